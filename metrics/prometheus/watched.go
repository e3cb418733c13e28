package prometheus

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// watched is one server.
type watched struct {
	key
	collector *Collector
	stats     func() adapter.Stats
	waits     waitClock
}

// events are the hooks for what Stats cannot tell. Their metrics are looked up once: a write takes place thousands of times a second.
func (w *watched) events() *adapter.Events {
	c := w.collector
	bytes := c.flushBytes.WithLabelValues(w.adapter, w.kind)
	e := &adapter.Events{
		Disconnected: func(info adapter.ConnInfo, err error) {
			c.disconnections.WithLabelValues(w.adapter, w.kind, disconnectionReason(info, err)).Inc()
		},
		Request: func(r adapter.RequestInfo) {
			c.durations.WithLabelValues(w.adapter, w.kind, r.Method).Observe(r.Duration.Seconds())
			if r.Err != nil {
				c.requestErrors.WithLabelValues(w.adapter, w.kind, r.Method, errorReason(r.Err)).Inc()
			}
		},
		Flushed: func(f adapter.FlushInfo) { bytes.Observe(float64(f.Bytes)) },
	}
	if w.kind == "data" {
		updates := c.flushUpdates.WithLabelValues(w.adapter, w.kind)
		e.Flushed = func(f adapter.FlushInfo) {
			bytes.Observe(float64(f.Bytes))
			if f.Updates > 0 { // not replies and keepalives
				updates.Observe(float64(f.Updates))
			}
		}
		e.Waiting = func(i adapter.WaitInfo) { w.waits.count(i.Began) }
	}
	return e
}

// counter is a metric that Stats tells of.
type counter struct {
	desc     *prometheus.Desc
	kind     prometheus.ValueType
	dataOnly bool
	value    func(*adapter.Stats, *waitClock) float64
}

func of(name, help string, kind prometheus.ValueType, dataOnly bool, value func(*adapter.Stats, *waitClock) float64) counter {
	return counter{prometheus.NewDesc(prefix+name, help, []string{"adapter", "kind"}, nil), kind, dataOnly, value}
}

const (
	gauge   = prometheus.GaugeValue
	total   = prometheus.CounterValue
	both    = false
	forData = true
)

var counters = []counter{
	of("connected", "Whether there is a connection to the proxy.", gauge, both, func(s *adapter.Stats, _ *waitClock) float64 { return truth(s.Connected) }),
	of("initialised", "Whether the adapter is initialised and serves requests.", gauge, both, func(s *adapter.Stats, _ *waitClock) float64 { return truth(s.Initialised) }),
	of("connections_total", "Connections made.", total, both, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.Connections) }),
	of("reconnections_total", "Connections made after the first.", total, both, func(s *adapter.Stats, _ *waitClock) float64 { return float64(max(s.Connections-1, 0)) }),
	of("items", "Items subscribed now.", gauge, forData, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.Items) }),
	of("callbacks", "Callbacks at work now.", gauge, both, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.Callbacks) }),
	of("requests_total", "Requests received.", total, both, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.Requests) }),
	of("requests_refused_total", "Requests answered with an error, those that made no sense included.", total, both, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.Refused) }),
	of("protocol_errors_total", "Lines of the proxy that made no sense.", total, both, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.ProtocolErrors) }),
	of("updates_total", "Updates written.", total, forData, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.Updates) }),
	of("lost_unsent_updates_total", "Updates that were not written when the connection ended.", total, forData, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.LostUnsent) }),
	of("maybe_lost_updates_total", "Updates written that the proxy's host had not acknowledged when the connection ended.", total, forData, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.MaybeLost) }),
	of("dropped_events_total", "Events that came after the end of their subscription or snapshot.", total, forData, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.Dropped) }),
	of("conflated_updates_total", "Updates merged into others.", total, forData, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.Conflated) }),
	of("waits_total", "Calls that had to wait for room.", total, forData, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.Waits) }),
	of("waiting", "Calls that wait for room now.", gauge, forData, func(_ *adapter.Stats, w *waitClock) float64 { return float64(w.now()) }),
	of("wait_seconds_total", "Time that calls have waited for room.", total, forData, func(_ *adapter.Stats, w *waitClock) float64 { return w.total().Seconds() }),
	of("written_bytes_total", "Bytes written to the proxy.", total, both, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.BytesWritten) }),
	of("read_bytes_total", "Bytes read from the proxy.", total, both, func(s *adapter.Stats, _ *waitClock) float64 { return float64(s.BytesRead) }),
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (w *watched) collect(ch chan<- prometheus.Metric) {
	stats := w.stats()
	for i := range counters {
		if c := &counters[i]; !c.dataOnly || w.kind == "data" {
			ch <- prometheus.MustNewConstMetric(c.desc, c.kind, c.value(&stats, &w.waits), w.adapter, w.kind)
		}
	}
}
