package prometheus_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/metrics/prometheus"
)

// scrape asks as Prometheus does, and returns the samples by name and labels.
func scrape(t *testing.T, registry *client.Registry) map[string]float64 {
	t.Helper()
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if recorder.Code != http.StatusOK {
		t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
	samples := make(map[string]float64)
	for lines := bufio.NewScanner(recorder.Body); lines.Scan(); {
		name, value, ok := cutLast(lines.Text())
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		samples[strings.TrimPrefix(name, "lightstreamer_adapter_")] = number
	}
	return samples
}

func cutLast(line string) (name, value string, ok bool) {
	at := strings.LastIndexByte(line, ' ')
	if at < 0 {
		return "", "", false
	}
	return line[:at], line[at+1:], true
}

func check(t *testing.T, got map[string]float64, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, value)
		}
	}
}

func newRegistry(t *testing.T, c *prometheus.Collector) *client.Registry {
	t.Helper()
	registry := client.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	return registry
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

const initData, initMetadata = "1|DPI|S|ARI.version|S|1.9.1", "1|MPI|S|ARI.version|S|1.9.1"

func TestData(t *testing.T) {
	p := newProxy(t)
	collector := prometheus.NewCollector()
	registry := newRegistry(t, collector)
	userRequests := 0
	server := &adapter.DataServer{
		Provider: adapter.DataProviderFunc(quotes), Addr: p.addr(), Reconnect: &adapter.Backoff{Min: time.Millisecond},
		Events: &adapter.Events{Request: func(adapter.RequestInfo) { userRequests++ }},
	}
	if err := collector.Watch("quotes", server); err != nil {
		t.Fatal(err)
	}
	const labels = `{adapter="quotes",kind="data"}`
	check(t, scrape(t, registry), map[string]float64{
		"connected" + labels: 0, "connections_total" + labels: 0, "reconnections_total" + labels: 0,
		`disconnections_total{adapter="quotes",kind="data",reason="lost"}`: 0,
	})

	s := start(t, server, &server.Events)
	c := p.accept()
	c.say(initData)
	c.expect("1|DPI|")
	c.say("2|SUB|S|EURUSD")
	c.expect("2|SUB|V")
	wait(t, s.requests, "answer")
	c.say("3|SUB|S|GBPUSD")
	c.expect("3|SUB|EU|")
	wait(t, s.requests, "answer")
	c.say("nonsense")
	c.say("4|USB|S|GBPUSD")
	c.expect("4|USB|V")
	wait(t, s.requests, "answer")
	c.settled(server.Stats)
	stats := server.Stats()
	check(t, scrape(t, registry), map[string]float64{
		"connected" + labels: 1, "initialised" + labels: 1, "connections_total" + labels: 1, "reconnections_total" + labels: 0,
		"items" + labels: 1, "callbacks" + labels: float64(stats.Callbacks), "requests_total" + labels: 3, "requests_refused_total" + labels: 1, "protocol_errors_total" + labels: 1,
		"updates_total" + labels: 2, "lost_unsent_updates_total" + labels: 0, "maybe_lost_updates_total" + labels: 0, "dropped_events_total" + labels: 1, "conflated_updates_total" + labels: 0, "waits_total" + labels: 0, "waiting" + labels: 0,
		"wait_seconds_total" + labels: 0, "written_bytes_total" + labels: float64(stats.BytesWritten), "read_bytes_total" + labels: float64(stats.BytesRead),
		`request_duration_seconds_count{adapter="quotes",kind="data",method="SUB"}`:            2,
		`request_duration_seconds_count{adapter="quotes",kind="data",method="USB"}`:            1,
		`request_duration_seconds_bucket{adapter="quotes",kind="data",method="SUB",le="+Inf"}`: 2,
		`request_errors_total{adapter="quotes",kind="data",method="SUB",reason="subscribe"}`:   1,
		"flush_updates_sum" + labels: 2, "flush_size_bytes_sum" + labels: float64(stats.BytesWritten),
	})
	if userRequests != 3 {
		t.Errorf("the server's own hook was called %d times, want 3", userRequests)
	}

	// The connection is lost, and made again; then the proxy closes it, and the server is stopped.
	c.conn.Close()
	wait(t, s.lost, "loss")
	c = p.accept()
	c.say(initData)
	c.expect("1|DPI|")
	c.say("0|CLOSE|S|reason|S|enough")
	wait(t, s.lost, "end")
	p.accept()
	s.stop()
	if err := wait(t, s.ended, "return of Run"); err != nil {
		t.Error(err)
	}
	reason := func(name string) string {
		return fmt.Sprintf(`disconnections_total{adapter="quotes",kind="data",reason=%q}`, name)
	}
	check(t, scrape(t, registry), map[string]float64{
		"connected" + labels: 0, "initialised" + labels: 0, "items" + labels: 0, "connections_total" + labels: 3, "reconnections_total" + labels: 2,
		reason("lost"): 1, reason("closed"): 1, reason("stopped"): 1, reason("refused"): 0,
	})
	lintAndCompare(t, registry)
}

// lintAndCompare checks the names, and that the package comment lists them all.
func lintAndCompare(t *testing.T, registry *client.Registry) {
	t.Helper()
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^//\t([a-z_]+) +(gauge|counter|histogram) `).FindAllStringSubmatch(string(doc), -1) {
		listed[m[1]] = m[2]
	}
	for _, f := range families {
		name := strings.TrimPrefix(f.GetName(), "lightstreamer_adapter_")
		if kind := strings.ToLower(f.GetType().String()); listed[name] != kind {
			t.Errorf("the package comment calls %s %q, it is a %s", name, listed[name], kind)
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
	case "debtor":
		return adapter.UserGrant{}, &adapter.CreditsError{Code: -1}
	case "poison":
		panic("boom")
	}
	return adapter.UserGrant{}, nil
}

func TestMetadata(t *testing.T) {
	p := newProxy(t)
	collector := prometheus.NewCollector()
	registry := newRegistry(t, collector)
	server := &adapter.MetadataServer{Provider: auth{}, Addr: p.addr(), Name: "auth"}
	if err := collector.Watch("", server); err != nil {
		t.Fatal(err)
	}
	s := start(t, server, &server.Events)
	c := p.accept()
	c.say(initMetadata)
	c.expect("1|MPI|")
	for i, user := range []string{"ann", "stranger", "debtor", "poison"} {
		c.say(fmt.Sprintf("%d|NUS|S|%s|S|secret", i+2, user))
		c.expect(fmt.Sprintf("%d|NUS|", i+2))
		wait(t, s.requests, "answer")
	}
	got := scrape(t, registry)
	count := func(reason string) string {
		return fmt.Sprintf(`request_errors_total{adapter="auth",kind="metadata",method="NUS",reason=%q}`, reason)
	}
	check(t, got, map[string]float64{
		`request_duration_seconds_count{adapter="auth",kind="metadata",method="NUS"}`: 4,
		count("access"): 1, count("credits"): 1, count("generic"): 1,
		`requests_refused_total{adapter="auth",kind="metadata"}`: 3,
	})
	for name := range got {
		if strings.HasPrefix(name, "items{") || strings.HasPrefix(name, "updates_total{") || strings.HasPrefix(name, "flush_updates_count") {
			t.Errorf("a metadata server has %s", name)
		}
		if strings.Contains(name, "ann") || strings.Contains(name, "stranger") {
			t.Errorf("a user is in %s", name)
		}
	}
}

func TestRefusedAndUnreachable(t *testing.T) {
	p := newProxy(t)
	collector := prometheus.NewCollector()
	registry := newRegistry(t, collector)
	refused := &adapter.DataServer{Provider: adapter.DataProviderFunc(quotes), Addr: p.addr()}
	wrong := &adapter.MetadataServer{Provider: auth{}, Addr: p.addr(), Credentials: func(context.Context) (adapter.Credentials, error) {
		return adapter.Credentials{}, errors.New("the vault is closed")
	}, Reconnect: adapter.NoReconnect}
	ancient := &adapter.DataServer{Provider: adapter.DataProviderFunc(quotes), Addr: p.addr()}
	second := &adapter.DataServer{Provider: adapter.DataProviderFunc(quotes), Addr: p.addr(), Reconnect: adapter.NoReconnect}
	for name, server := range map[string]adapter.Runner{"refused": refused, "wrong": wrong, "ancient": ancient, "second": second} {
		if err := collector.Watch(name, server); err != nil {
			t.Fatal(err)
		}
	}
	ran := make(chan error, 1)
	go func() { ran <- refused.Run(t.Context()) }()
	p.accept().say("0|CLOSE|S|reason|S|wrong password")
	if err := wait(t, ran, "return of Run"); err == nil {
		t.Error("Run returned nil after a refusal")
	}
	if err := wrong.Run(t.Context()); err == nil {
		t.Error("Run returned nil without credentials")
	}
	go func() { ran <- second.Run(t.Context()) }()
	p.accept().say("0|CLOSE|S|reason|S|there is a remote adapter already")
	if err := wait(t, ran, "return of Run"); err == nil {
		t.Error("Run returned nil although the proxy has another adapter")
	}
	go func() { ran <- ancient.Run(t.Context()) }()
	p.accept().say("1|DPI|S|ARI.version|S|1.8.2")
	if err := wait(t, ran, "return of Run"); err == nil {
		t.Error("Run returned nil after an initialisation that failed")
	}
	check(t, scrape(t, registry), map[string]float64{
		`disconnections_total{adapter="refused",kind="data",reason="refused"}`:        1,
		`disconnections_total{adapter="second",kind="data",reason="occupied"}`:        1,
		`disconnections_total{adapter="wrong",kind="metadata",reason="unreachable"}`:  1,
		`disconnections_total{adapter="ancient",kind="data",reason="initialisation"}`: 1,
	})
}

// A proxy that does not read makes the feed wait.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		collector := prometheus.NewCollector()
		registry := newRegistry(t, collector)
		subscribed := make(chan *adapter.Subscription, 1)
		server := &adapter.DataServer{
			Addr: "localhost:8001", MaxPending: 1000, Dial: func(context.Context, string, string) (net.Conn, error) { return theirs, nil },
			Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
				subscribed <- sub
				return nil
			}),
		}
		if err := collector.Watch("slow", server); err != nil {
			t.Fatal(err)
		}
		s := start(t, server, &server.Events)
		c := &peer{t: t, conn: ours, lines: bufio.NewScanner(ours)}
		c.lines.Buffer(nil, 1<<20)
		c.expect("RAC")
		c.say(initData)
		c.expect("1|DPI|")
		c.say("2|SUB|S|EURUSD")
		c.expect("2|SUB|V")
		sub := <-subscribed
		fed := make(chan error, 2)
		for range 2 {
			go func() {
				var err error
				for range 3 { // the first is being written, the second fills the room, the third waits
					err = errors.Join(err, sub.Update(adapter.Fields{"f": strings.Repeat("x", 2000)}))
				}
				fed <- err
			}()
		}
		synctest.Wait()
		<-time.After(3 * time.Second)
		const labels = `{adapter="slow",kind="data"}`
		check(t, scrape(t, registry), map[string]float64{"waiting" + labels: 2, "waits_total" + labels: float64(server.Stats().Waits), "wait_seconds_total" + labels: 6})
		for range 6 {
			c.expect("UD3")
		}
		if err := errors.Join(<-fed, <-fed); err != nil {
			t.Error(err)
		}
		synctest.Wait() // the last write has been counted
		got := scrape(t, registry)
		check(t, got, map[string]float64{"waiting" + labels: 0, "wait_seconds_total" + labels: 6, "updates_total" + labels: 6})
		s.stop()
		<-s.ended
	})
}

func TestWatchRefuses(t *testing.T) {
	collector := prometheus.NewCollector()
	data, metadata := &adapter.DataServer{Name: "set"}, &adapter.MetadataServer{Name: "set"}
	if err := errors.Join(collector.Watch("", data), collector.Watch("", metadata)); err != nil {
		t.Fatal(err)
	}
	before := data.Events
	for what, err := range map[string]error{
		"the same again":       collector.Watch("", data),
		"another of that name": collector.Watch("set", &adapter.DataServer{}),
		"without a name":       collector.Watch("", &adapter.DataServer{}),
		"another runner":       collector.Watch("x", runner{}),
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
