package otel_test

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/metrics/otel"
)

func TestWatchRefuses(t *testing.T) {
	metrics, err := otel.New(noop.NewMeterProvider().Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	data, metadata := &adapter.DataServer{Name: "set"}, &adapter.MetadataServer{Name: "set"}
	if err := errors.Join(metrics.Watch("", data), metrics.Watch("", metadata)); err != nil {
		t.Fatal(err)
	}
	before := data.Events
	for what, err := range map[string]error{
		"the same again":       metrics.Watch("", data),
		"another of that name": metrics.Watch("set", &adapter.DataServer{}),
		"without a name":       metrics.Watch("", &adapter.DataServer{}),
		"another runner":       metrics.Watch("x", runner{}),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if data.Events != before {
		t.Error("a refused Watch has changed the server")
	}
}

type runner struct{}

func (runner) Run(context.Context) error { return nil }
