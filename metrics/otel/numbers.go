package otel

import (
	"errors"

	"go.opentelemetry.io/otel/metric"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// number is a metric that Stats tells of, or the waitClock.
type number struct {
	instrument metric.Observable
	dataOnly   bool
	observe    func(metric.Observer, *adapter.Stats, *waitClock, metric.ObserveOption)
}

// maker makes instruments and keeps the errors.
type maker struct {
	meter metric.Meter
	made  []number
	errs  []error
}

func (m *maker) add(instrument metric.Observable, err error, dataOnly bool, observe func(metric.Observer, *adapter.Stats, *waitClock, metric.ObserveOption)) {
	m.made = append(m.made, number{instrument, dataOnly, observe})
	m.errs = append(m.errs, err)
}

func (m *maker) counter(name, unit, help string, dataOnly bool, value func(*adapter.Stats) int64) {
	instrument, err := m.meter.Int64ObservableCounter(prefix+name, metric.WithUnit(unit), metric.WithDescription(help))
	m.add(instrument, err, dataOnly, func(o metric.Observer, s *adapter.Stats, _ *waitClock, at metric.ObserveOption) {
		o.ObserveInt64(instrument, value(s), at)
	})
}

func (m *maker) gauge(name, help string, dataOnly bool, value func(*adapter.Stats, *waitClock) int64) {
	instrument, err := m.meter.Int64ObservableGauge(prefix+name, metric.WithDescription(help))
	m.add(instrument, err, dataOnly, func(o metric.Observer, s *adapter.Stats, w *waitClock, at metric.ObserveOption) {
		o.ObserveInt64(instrument, value(s, w), at)
	})
}

func (m *maker) waited() {
	instrument, err := m.meter.Float64ObservableCounter(prefix+"wait", metric.WithUnit("s"), metric.WithDescription("Time that calls have waited for room."))
	m.add(instrument, err, forData, func(o metric.Observer, _ *adapter.Stats, w *waitClock, at metric.ObserveOption) {
		o.ObserveFloat64(instrument, w.total().Seconds(), at)
	})
}

const (
	both    = false
	forData = true
)

func newNumbers(meter metric.Meter) ([]number, error) {
	m := &maker{meter: meter}
	m.gauge("connected", "Whether there is a connection to the proxy.", both, func(s *adapter.Stats, _ *waitClock) int64 { return truth(s.Connected) })
	m.gauge("initialised", "Whether the adapter is initialised and serves requests.", both, func(s *adapter.Stats, _ *waitClock) int64 { return truth(s.Initialised) })
	m.counter("connections", "{connection}", "Connections made.", both, func(s *adapter.Stats) int64 { return s.Connections })
	m.counter("reconnections", "{connection}", "Connections made after the first.", both, func(s *adapter.Stats) int64 { return max(s.Connections-1, 0) })
	m.gauge("items", "Items subscribed now.", forData, func(s *adapter.Stats, _ *waitClock) int64 { return s.Items })
	m.gauge("callbacks", "Callbacks at work now.", both, func(s *adapter.Stats, _ *waitClock) int64 { return s.Callbacks })
	m.counter("requests", "{request}", "Requests received.", both, func(s *adapter.Stats) int64 { return s.Requests })
	m.counter("requests.refused", "{request}", "Requests answered with an error, those that made no sense included.", both, func(s *adapter.Stats) int64 { return s.Refused })
	m.counter("protocol_errors", "{line}", "Lines of the proxy that made no sense.", both, func(s *adapter.Stats) int64 { return s.ProtocolErrors })
	m.counter("updates", "{update}", "Updates written.", forData, func(s *adapter.Stats) int64 { return s.Updates })
	m.counter("lost_unsent_updates", "{update}", "Updates that were not written when the connection ended.", forData, func(s *adapter.Stats) int64 { return s.LostUnsent })
	m.counter("maybe_lost_updates", "{update}", "Updates written that the proxy's host had not acknowledged when the connection ended.", forData, func(s *adapter.Stats) int64 { return s.MaybeLost })
	m.counter("dropped_events", "{event}", "Events that came after the end of their subscription or snapshot.", forData, func(s *adapter.Stats) int64 { return s.Dropped })
	m.counter("conflated_updates", "{update}", "Updates merged into others.", forData, func(s *adapter.Stats) int64 { return s.Conflated })
	m.counter("waits", "{call}", "Calls that had to wait for room.", forData, func(s *adapter.Stats) int64 { return s.Waits })
	m.gauge("waiting", "Calls that wait for room now.", forData, func(_ *adapter.Stats, w *waitClock) int64 { return int64(w.now()) })
	m.waited()
	m.counter("written", "By", "Bytes written to the proxy.", both, func(s *adapter.Stats) int64 { return s.BytesWritten })
	m.counter("read", "By", "Bytes read from the proxy.", both, func(s *adapter.Stats) int64 { return s.BytesRead })
	return m.made, errors.Join(m.errs...)
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
