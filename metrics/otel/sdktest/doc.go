// Package sdktest holds no code: its tests let package metrics/otel tell a real SDK what a server does. It is a module of its own because the users of metrics/otel
// choose the SDK, and what tests require ends up in their go.sum.
package sdktest
