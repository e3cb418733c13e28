package sdktest

import "go.opentelemetry.io/otel/attribute"

// attributes writes attributes as name=value, sorted by name.
var attributes = attribute.DefaultEncoder()
