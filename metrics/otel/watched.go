package otel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// watched is one server.
type watched struct {
	key
	attributes metric.MeasurementOption // adapter and kind; made once, as a write takes place thousands of times a second
	stats      func() adapter.Stats
	waits      waitClock
}

// with returns the attributes of the server and further ones.
func (w *watched) with(more ...attribute.KeyValue) []attribute.KeyValue {
	return append([]attribute.KeyValue{attribute.String("adapter", w.adapter), attribute.String("kind", w.kind)}, more...)
}

// events are the hooks for what Stats cannot tell.
func (m *Metrics) events(w *watched) *adapter.Events {
	ctx := context.Background() //nolint:forbidigo // what the hooks tell belongs to no call
	isData := w.kind == "data"
	e := &adapter.Events{
		Disconnected: func(info adapter.ConnInfo, err error) {
			reason := attribute.String("reason", disconnectionReason(info, err))
			m.disconnections.Add(ctx, 1, metric.WithAttributes(w.with(reason)...))
		},
		Request: func(r adapter.RequestInfo) {
			method := attribute.String("method", r.Method)
			m.duration.Record(ctx, r.Duration.Seconds(), metric.WithAttributes(w.with(method)...))
			if r.Err != nil {
				m.requestErrors.Add(ctx, 1, metric.WithAttributes(w.with(method, attribute.String("reason", errorReason(r.Err)))...))
			}
		},
		Flushed: func(f adapter.FlushInfo) {
			m.flushSize.Record(ctx, int64(f.Bytes), w.attributes)
			if isData && f.Updates > 0 { // not replies and keepalives
				m.flushUpdates.Record(ctx, int64(f.Updates), w.attributes)
			}
		},
	}
	if isData {
		e.Waiting = func(i adapter.WaitInfo) { w.waits.count(i.Began) }
	}
	return e
}

func (w *watched) observe(o metric.Observer, numbers []number) {
	stats := w.stats()
	for i := range numbers {
		if n := &numbers[i]; !n.dataOnly || w.kind == "data" {
			n.observe(o, &stats, &w.waits, w.attributes)
		}
	}
}
