package prometheus

import (
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

const prefix = "lightstreamer_adapter_"

// A Collector collects the metrics of the servers it watches. It is safe for concurrent use.
type Collector struct {
	durations, flushUpdates, flushBytes *prometheus.HistogramVec
	disconnections, requestErrors       *prometheus.CounterVec

	mu      sync.Mutex
	servers map[key]*watched
}

// key tells servers apart: the Metadata Adapter of a set and one of its Data Adapters may have the same name.
type key struct{ adapter, kind string }

// NewCollector returns a Collector that watches no server yet.
func NewCollector() *Collector {
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets}, append([]string{"adapter", "kind"}, labels...))
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, append([]string{"adapter", "kind"}, labels...))
	}
	return &Collector{
		durations: histogram("request_duration_seconds", "Time from the arrival of a request to its reply.",
			prometheus.ExponentialBuckets(0.0001, 4, 9), "method"), // 0.1 ms to 6.6 s: the proxy gives up at 10 s
		flushUpdates:   histogram("flush_updates", "Updates in one write to the proxy.", prometheus.ExponentialBuckets(1, 4, 8)),
		flushBytes:     histogram("flush_size_bytes", "Bytes of one write to the proxy.", prometheus.ExponentialBuckets(64, 4, 8)),
		disconnections: counter("disconnections_total", "Connections that ended and attempts that failed, by reason.", "reason"),
		requestErrors:  counter("request_errors_total", "Requests answered with an error of a callback, by reason.", "method", "reason"),
		servers:        make(map[key]*watched),
	}
}

// Watch makes the Collector collect the metrics of a [*adapter.DataServer] or [*adapter.MetadataServer] under a name, which becomes the label
// "adapter"; if it is empty, the server's Name or else its Addr is taken. Call it before the server's Run: it adds hooks of its own to the
// server's Events, which stay in force. It is an error to watch two servers of the same kind under one name, or another [adapter.Runner].
func (c *Collector) Watch(name string, server adapter.Runner) error {
	w := &watched{collector: c}
	var events **adapter.Events
	switch s := server.(type) {
	case *adapter.DataServer:
		w.key, w.stats, events = key{firstOf(name, s.Name, s.Addr), "data"}, s.Stats, &s.Events
	case *adapter.MetadataServer:
		w.key, w.stats, events = key{firstOf(name, s.Name, s.Addr), "metadata"}, s.Stats, &s.Events
	default:
		return fmt.Errorf("prometheus: a %T cannot be watched, only *adapter.DataServer and *adapter.MetadataServer", server)
	}
	if w.adapter == "" {
		return errors.New("prometheus: the server needs a name: it has neither Name nor Addr")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.servers[w.key] != nil {
		return fmt.Errorf("prometheus: a %s server is watched as %q already", w.kind, w.adapter)
	}
	c.servers[w.key] = w
	for _, reason := range disconnectionReasons {
		c.disconnections.WithLabelValues(w.adapter, w.kind, reason) // so that the first one is an increase
	}
	*events = adapter.JoinEvents(*events, w.events())
	return nil
}

func firstOf(names ...string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}

// Describe sends the descriptions of all metrics. It is called by the registry.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for i := range counters {
		ch <- counters[i].desc
	}
	for _, vec := range c.vectors() {
		vec.Describe(ch)
	}
}

// Collect sends the present values. It is called by the registry, and may be called concurrently.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	servers := make([]*watched, 0, len(c.servers))
	for _, w := range c.servers {
		servers = append(servers, w)
	}
	c.mu.Unlock()
	for _, w := range servers {
		w.collect(ch)
	}
	for _, vec := range c.vectors() {
		vec.Collect(ch)
	}
}

func (c *Collector) vectors() []prometheus.Collector {
	return []prometheus.Collector{c.durations, c.flushUpdates, c.flushBytes, c.disconnections, c.requestErrors}
}
