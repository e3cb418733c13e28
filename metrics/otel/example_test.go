package otel_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/metrics/otel"
)

// The meter here is one that forgets; in a program it comes from the MeterProvider of an OpenTelemetry SDK, or from the global one.
func Example() {
	metrics, err := otel.New(noop.NewMeterProvider().Meter("quotes"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer metrics.Close()
	feed := adapter.DataProviderFunc(func(context.Context, *adapter.Subscription) error { return nil })
	data := &adapter.DataServer{Provider: feed, Addr: "localhost:8001"}
	metadata := &adapter.MetadataServer{Provider: adapter.DefaultMetadata{}, Addr: "localhost:8003"}
	for _, server := range []adapter.Runner{data, metadata, data} {
		fmt.Println(metrics.Watch("quotes", server))
	}
	// Then: adapter.Run(ctx, metadata, data).

	// Output:
	// <nil>
	// <nil>
	// otel: a data server is watched as "quotes" already
}
