package broker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

func isStopped(err error) bool { return errors.Is(err, ErrStopped) }

// get asks for a page.
func get(t *testing.T, d *demo, path string) (status int, text string) {
	t.Helper()
	resp, err := http.Get(d.URL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// Readiness is that of the present, not that every adapter was there once.
func TestReadyz(t *testing.T) {
	set := xmlSet(t, robustMeta, robustData)
	set.MetadataFirst = false
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	d := &demo{Running: r}
	if status, text := get(t, d, "/healthz"); status != http.StatusOK || text != "ok\n" {
		t.Errorf("/healthz: %d %q", status, text)
	}
	const noData, noMeta = "not connected: Adapter Set DEMO, Data Adapter QUOTES\n", "not connected: Adapter Set DEMO, Metadata Adapter\n"
	if status, text := get(t, d, "/readyz"); status != http.StatusServiceUnavailable || text != noMeta+noData {
		t.Errorf("/readyz: %d %q", status, text)
	}
	run(t, &adapter.MetadataServer{Provider: &hall{}, Addr: r.Adapters()[0].Addr.String()})
	stop := run(t, &adapter.DataServer{Provider: quotes{}, Addr: r.Adapters()[1].Addr.String()})
	<-r.Ready()
	if status, text := get(t, d, "/readyz"); status != http.StatusOK || text != "ready\n" {
		t.Errorf("/readyz: %d %q", status, text)
	}
	stop()
	for status, text := get(t, d, "/readyz"); status != http.StatusServiceUnavailable || text != noData; status, text = get(t, d, "/readyz") {
		if status != http.StatusOK { // until the loss is noticed
			t.Fatalf("/readyz: %d %q", status, text)
		}
	}
}

func TestMonitoringPages(t *testing.T) {
	other := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "application") })
	d := startDemo(t, Config{Handler: other})
	if _, text := get(t, d, "/metrics/x"); text != "application" {
		t.Errorf("beside /metrics: %q", text)
	}
	resp, err := http.Post(d.URL()+"/metrics", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	off := startDemo(t, Config{Handler: other, NoMonitoring: true})
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if _, text := get(t, off, path); text != "application" {
			t.Errorf("switched off, %s is %q", path, text)
		}
	}
	d.shutdown()
	if status, text := d.readiness(); status != http.StatusServiceUnavailable || text == nil {
		t.Errorf("stopping: %d %q", status, text)
	}
}

// The numbers are those of what has happened, and the text is what Prometheus reads.
func TestMetrics(t *testing.T) {
	meta := &concierge{}
	d := startInProcess(t, adapter.Set{Metadata: meta, Data: map[string]adapter.DataProvider{`Q"\` + "\n": quotes{}, "QUOTES": quotes{}}})
	seeQuote(t, d)
	c := connect(t, d, "WS-STREAMING")
	c.request("msg", func(id string) []byte { return (&tlcp.Message{ReqID: id, Text: "x", Prog: 1}).Append(nil) })
	c.until(tlcp.TagMSGDONE)
	status, text := get(t, d, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	sample := regexp.MustCompile(`^([a-z_]+)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? ([0-9.]+)$`)
	got, typed := map[string]string{}, map[string]bool{}
	for scan := bufio.NewScanner(strings.NewReader(text)); scan.Scan(); {
		line := scan.Text()
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			typed[strings.Fields(kind)[0]] = true
			continue
		}
		if strings.HasPrefix(line, "# HELP ") {
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil || !typed[m[1]] {
			t.Errorf("line %q", line)
			continue
		}
		got[m[1]+m[2]] = m[3]
	}
	for name, want := range map[string]string{
		"lightstreamer_broker_sessions": "2", "lightstreamer_broker_sessions_created_total": "2", "lightstreamer_broker_messages_total": "1",
		"lightstreamer_broker_subscriptions": "1", "lightstreamer_broker_items": "1",
		`lightstreamer_broker_adapter_connected{set="DEMO",data_adapter=""}`:                 "1",
		`lightstreamer_broker_adapter_connected{set="DEMO",data_adapter="Q\"\\\n"}`:          "1",
		`lightstreamer_broker_adapter_requests_total{set="DEMO",data_adapter="QUOTES"}`:      "1",
		`lightstreamer_broker_adapter_notifications_total{set="DEMO",data_adapter="QUOTES"}`: "2",
	} {
		if got[name] != want {
			t.Errorf("%s is %s, want %s", name, got[name], want)
		}
	}
	if st := d.Stats(); st.Sent+st.Filtered != 2 || st.Lost != 0 || fmt.Sprint(st.Sent) != got["lightstreamer_broker_updates_sent_total"] {
		t.Errorf("stats %+v", st)
	}
}
