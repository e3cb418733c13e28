package otel

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

const prefix = "lightstreamer.adapter."

// Metrics tell a meter what the servers do that they watch. They are safe for concurrent use.
type Metrics struct {
	duration                      metric.Float64Histogram
	flushUpdates, flushSize       metric.Int64Histogram
	disconnections, requestErrors metric.Int64Counter
	registration                  metric.Registration

	mu      sync.Mutex
	servers map[key]*watched
}

// key tells servers apart: the Metadata Adapter of a set and one of its Data Adapters may have the same name.
type key struct{ adapter, kind string }

// New returns Metrics that watch no server yet. An error comes from the meter. Close ends them.
func New(meter metric.Meter) (*Metrics, error) {
	m := &Metrics{servers: make(map[key]*watched)}
	var errs [5]error
	m.duration, errs[0] = meter.Float64Histogram(prefix+"request.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from the arrival of a request to its reply."),
		metric.WithExplicitBucketBoundaries(0.0001, 0.0004, 0.0016, 0.0064, 0.0256, 0.1024, 0.4096, 1.6384, 6.5536)) // the proxy gives up at 10 s
	m.flushUpdates, errs[1] = meter.Int64Histogram(prefix+"flush.updates", metric.WithUnit("{update}"),
		metric.WithDescription("Updates in one write to the proxy."),
		metric.WithExplicitBucketBoundaries(1, 4, 16, 64, 256, 1024, 4096, 16384))
	m.flushSize, errs[2] = meter.Int64Histogram(prefix+"flush.size", metric.WithUnit("By"),
		metric.WithDescription("Bytes of one write to the proxy."),
		metric.WithExplicitBucketBoundaries(64, 256, 1024, 4096, 16384, 65536, 262144, 1048576))
	m.disconnections, errs[3] = meter.Int64Counter(prefix+"disconnections", metric.WithUnit("{connection}"),
		metric.WithDescription("Connections that ended and attempts that failed, by reason."))
	m.requestErrors, errs[4] = meter.Int64Counter(prefix+"request.errors", metric.WithUnit("{request}"),
		metric.WithDescription("Requests answered with an error of a callback, by reason."))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	numbers, err := newNumbers(meter)
	if err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	instruments := make([]metric.Observable, len(numbers))
	for i := range numbers {
		instruments[i] = numbers[i].instrument
	}
	m.registration, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, w := range m.all() {
			w.observe(o, numbers)
		}
		return nil
	}, instruments...)
	if err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return m, nil
}

// Close makes the meter forget the servers. It can be called again.
func (m *Metrics) Close() error {
	m.mu.Lock()
	clear(m.servers)
	m.mu.Unlock()
	return m.registration.Unregister()
}

func (m *Metrics) all() []*watched {
	m.mu.Lock()
	defer m.mu.Unlock()
	servers := make([]*watched, 0, len(m.servers))
	for _, w := range m.servers {
		servers = append(servers, w)
	}
	return servers
}

// Watch makes the meter get the metrics of a [*adapter.DataServer] or [*adapter.MetadataServer] under a name, which becomes the attribute
// "adapter"; if it is empty, the server's Name or else its Addr is taken. Call it before the server's Run: it adds hooks of its own to the
// server's Events, which stay in force. It is an error to watch two servers of the same kind under one name, or another [adapter.Runner].
func (m *Metrics) Watch(name string, server adapter.Runner) error {
	w := &watched{}
	var events **adapter.Events
	switch s := server.(type) {
	case *adapter.DataServer:
		w.key, w.stats, events = key{firstOf(name, s.Name, s.Addr), "data"}, s.Stats, &s.Events
	case *adapter.MetadataServer:
		w.key, w.stats, events = key{firstOf(name, s.Name, s.Addr), "metadata"}, s.Stats, &s.Events
	default:
		return fmt.Errorf("otel: a %T cannot be watched, only *adapter.DataServer and *adapter.MetadataServer", server)
	}
	if w.adapter == "" {
		return errors.New("otel: the server needs a name: it has neither Name nor Addr")
	}
	w.attributes = metric.WithAttributeSet(attribute.NewSet(w.with()...))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.servers[w.key] != nil {
		return fmt.Errorf("otel: a %s server is watched as %q already", w.kind, w.adapter)
	}
	m.servers[w.key] = w
	*events = adapter.JoinEvents(*events, m.events(w))
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
