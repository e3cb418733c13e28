package sdktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/metrics/otel"
	"github.com/lightstreamer-go/lightstreamer/metrics/prometheus"
)

// collect returns what the SDK has: the values by name and attributes, for histograms the counts; and the units by name.
func collect(t *testing.T, reader *metric.ManualReader) (values map[string]float64, kinds map[string]string) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	values, kinds = make(map[string]float64), make(map[string]string)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			name := strings.TrimPrefix(m.Name, "lightstreamer.adapter.")
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				kinds[name] = strings.TrimSpace("counter " + m.Unit)
				for _, p := range data.DataPoints {
					values[name+" "+p.Attributes.Encoded(attributes)] = float64(p.Value)
				}
			case metricdata.Sum[float64]:
				kinds[name] = strings.TrimSpace("counter " + m.Unit)
				for _, p := range data.DataPoints {
					values[name+" "+p.Attributes.Encoded(attributes)] = p.Value
				}
			case metricdata.Gauge[int64]:
				kinds[name] = strings.TrimSpace("gauge " + m.Unit)
				for _, p := range data.DataPoints {
					values[name+" "+p.Attributes.Encoded(attributes)] = float64(p.Value)
				}
			case metricdata.Histogram[int64]:
				kinds[name] = strings.TrimSpace("histogram " + m.Unit)
				for _, p := range data.DataPoints {
					values[name+" "+p.Attributes.Encoded(attributes)] = float64(p.Count)
				}
			case metricdata.Histogram[float64]:
				kinds[name] = strings.TrimSpace("histogram " + m.Unit)
				for _, p := range data.DataPoints {
					values[name+" "+p.Attributes.Encoded(attributes)] = float64(p.Count)
				}
			default:
				t.Errorf("%s is a %T", name, m.Data)
			}
		}
	}
	return values, kinds
}

func check(t *testing.T, got map[string]float64, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, value)
		}
	}
}

func quotes(_ context.Context, sub *adapter.Subscription) error {
	if sub.Item() != "EURUSD" {
		return &adapter.SubscribeError{Message: "no such item"}
	}
	_ = sub.Snapshot(adapter.Fields{"last": 1})
	_ = sub.Update(adapter.Fields{"last": 2})
	_ = sub.Snapshot(adapter.Fields{"last": 3}) // too late
	return nil
}

// scenario has a server connect, serve three requests, lose the connection, connect again and stop.
func scenario(t *testing.T, watch func(*adapter.DataServer) error, connected func(*adapter.DataServer)) {
	t.Helper()
	p := newProxy(t)
	server := &adapter.DataServer{Provider: adapter.DataProviderFunc(quotes), Addr: p.addr(), Reconnect: &adapter.Backoff{Min: time.Millisecond}}
	if err := watch(server); err != nil {
		t.Fatal(err)
	}
	s := start(t, server, &server.Events)
	c := p.accept()
	c.say("1|DPI|S|ARI.version|S|1.9.1")
	c.expect("1|DPI|")
	c.say("2|SUB|S|EURUSD")
	c.expect("2|SUB|V")
	wait(t, s.requests, "answer")
	c.say("3|SUB|S|GBPUSD")
	c.expect("3|SUB|EU|")
	wait(t, s.requests, "answer")
	c.say("4|USB|S|GBPUSD")
	c.expect("4|USB|V")
	wait(t, s.requests, "answer")
	c.settled(server.Stats)
	connected(server)
	c.conn.Close()
	wait(t, s.lost, "loss")
	p.accept()
	s.stop()
	if err := wait(t, s.ended, "return of Run"); err != nil {
		t.Error(err)
	}
}

func TestData(t *testing.T) {
	reader := metric.NewManualReader()
	metrics, err := otel.New(metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	const at = " adapter=quotes,kind=data"
	scenario(t, func(s *adapter.DataServer) error { return metrics.Watch("quotes", s) }, func(s *adapter.DataServer) {
		stats := s.Stats()
		got, _ := collect(t, reader)
		check(t, got, map[string]float64{
			"connected" + at: 1, "initialised" + at: 1, "connections" + at: 1, "reconnections" + at: 0, "items" + at: 1, "callbacks" + at: float64(stats.Callbacks),
			"requests" + at: 3, "requests.refused" + at: 1, "protocol_errors" + at: 0, "updates" + at: 2, "lost_unsent_updates" + at: 0, "maybe_lost_updates" + at: 0, "dropped_events" + at: 1, "conflated_updates" + at: 0,
			"waits" + at: 0, "waiting" + at: 0, "wait" + at: 0, "written" + at: float64(stats.BytesWritten), "read" + at: float64(stats.BytesRead),
			"request.duration" + at + ",method=SUB": 2, "request.duration" + at + ",method=USB": 1,
			"request.errors" + at + ",method=SUB,reason=subscribe": 1,
		})
		if got["flush.size"+at] < 4 || got["flush.updates"+at] < 1 {
			t.Errorf("flush.size counts %v writes, flush.updates %v", got["flush.size"+at], got["flush.updates"+at])
		}
	})
	got, kinds := collect(t, reader)
	check(t, got, map[string]float64{
		"connected" + at: 0, "items" + at: 0, "connections" + at: 2, "reconnections" + at: 1,
		"disconnections" + at + ",reason=lost": 1, "disconnections" + at + ",reason=stopped": 1,
	})
	compareWithComment(t, kinds)

	if err := errors.Join(metrics.Close(), metrics.Close()); err != nil {
		t.Error(err)
	}
	if got, _ := collect(t, reader); got["connections"+at] != 0 {
		t.Error("the server is watched after Close")
	}
}

// The package comment lists every metric with its kind and unit.
func compareWithComment(t *testing.T, kinds map[string]string) {
	t.Helper()
	doc, err := os.ReadFile("../doc.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^//\t([a-z_.]+) +(gauge|counter|histogram) +((?:\{[a-z]+\}|s|By) )?`).FindAllStringSubmatch(string(doc), -1) {
		listed[m[1]] = strings.TrimSpace(m[2] + " " + strings.TrimSpace(m[3]))
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if listed[name] != kinds[name] {
			t.Errorf("the package comment calls %s %q, it is a %s", name, listed[name], kinds[name])
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("the package comment lists %s, which is not collected", name)
	}
}

// auth refuses users in different ways.
type auth struct{ adapter.DefaultMetadata }

func (auth) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	switch u.Name {
	case "stranger":
		return adapter.UserGrant{}, fmt.Errorf("who is that: %w", &adapter.AccessError{Message: "unknown user"})
	case "poison":
		panic("boom")
	}
	return adapter.UserGrant{}, nil
}

func TestMetadata(t *testing.T) {
	reader := metric.NewManualReader()
	metrics, err := otel.New(metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(t)
	server := &adapter.MetadataServer{Provider: auth{}, Addr: p.addr()}
	if err := metrics.Watch("auth", server); err != nil {
		t.Fatal(err)
	}
	s := start(t, server, &server.Events)
	c := p.accept()
	c.say("1|MPI|S|ARI.version|S|1.9.1")
	c.expect("1|MPI|")
	for i, user := range []string{"ann", "stranger", "poison"} {
		c.say(fmt.Sprintf("%d|NUS|S|%s|S|secret", i+2, user))
		c.expect(fmt.Sprintf("%d|NUS|", i+2))
		wait(t, s.requests, "answer")
	}
	got, kinds := collect(t, reader)
	check(t, got, map[string]float64{
		"request.duration adapter=auth,kind=metadata,method=NUS":              3,
		"request.errors adapter=auth,kind=metadata,method=NUS,reason=access":  1,
		"request.errors adapter=auth,kind=metadata,method=NUS,reason=generic": 1,
		"requests.refused adapter=auth,kind=metadata":                         2,
	})
	for _, name := range []string{"items", "updates", "waits", "wait", "flush.updates"} {
		if _, there := kinds[name]; there {
			t.Errorf("a metadata server has %s", name)
		}
	}
}

// Exported to Prometheus, the metrics have the names, kinds and labels of package metrics/prometheus.
func TestNamesInPrometheus(t *testing.T) {
	exported := client.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(exported), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := otel.New(metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	collector := prometheus.NewCollector()
	native := client.NewRegistry()
	native.MustRegister(collector)
	scenario(t, func(s *adapter.DataServer) error {
		return errors.Join(metrics.Watch("quotes", s), collector.Watch("quotes", s))
	}, func(*adapter.DataServer) {})
	want, got := samples(t, native), samples(t, exported)
	for name := range want {
		// Reasons that have not occurred are zero here, absent there.
		occurred := strings.Contains(name, `"lost"`) || strings.Contains(name, `"stopped"`)
		if !got[name] && (occurred || !strings.Contains(name, "disconnections_total{")) {
			t.Errorf("not exported: %s", name)
		}
	}
	for name := range got {
		if !want[name] {
			t.Errorf("exported, and unknown to metrics/prometheus: %s", name)
		}
	}
}

// samples returns the names and labels that a scrape finds, but for the buckets, and the types.
func samples(t *testing.T, registry *client.Registry) map[string]bool {
	t.Helper()
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	found := make(map[string]bool)
	for line := range strings.Lines(recorder.Body.String()) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "# TYPE"):
			found[line] = true
		case !strings.HasPrefix(line, "#") && !strings.Contains(line, "_bucket{"):
			found[line[:strings.LastIndexByte(line, ' ')]] = true
		}
	}
	if len(found) < 20 {
		t.Fatalf("only %d names in\n%s", len(found), recorder.Body)
	}
	return found
}
