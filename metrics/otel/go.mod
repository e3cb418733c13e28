module github.com/lightstreamer-go/lightstreamer/metrics/otel

go 1.26.0

require (
	github.com/lightstreamer-go/lightstreamer v0.0.0
	go.opentelemetry.io/otel v1.47.0
	go.opentelemetry.io/otel/metric v1.47.0
)

require github.com/cespare/xxhash/v2 v2.3.0 // indirect
