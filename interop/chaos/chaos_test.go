//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/interop/internal/ledger"
)

func TestAttribute(t *testing.T) {
	counts := func(untold, most int64) map[string]map[ledger.Mode]*ledger.Count {
		return map[string]map[ledger.Mode]*ledger.Count{
			"Go":   {ledger.Raw: {Untold: untold, MostUntold: most}, ledger.Distinct: {}},
			"Node": {ledger.Raw: {Untold: most, MostUntold: most}},
		}
	}
	for _, test := range []struct {
		name       string
		out        outcome
		unreported int64
		adapter    int64
		metrics    float64
	}{
		{name: "the clients know", out: outcome{counts: counts(0, 0), adapter: 3}},
		{name: "nobody knows", out: outcome{counts: counts(20, 5)}, unreported: 25},
		{name: "the adapter knows of all", out: outcome{counts: counts(20, 5), adapter: 5}, adapter: 25},
		{name: "the adapter knows of some", out: outcome{counts: counts(20, 5), adapter: 4}, unreported: 25},
		{name: "the broker knows of all", out: outcome{counts: counts(20, 5), metrics: 6}, metrics: 25},
	} {
		t.Run(test.name, func(t *testing.T) {
			unreported, adapter, metrics := attribute(&test.out)
			if unreported != test.unreported || adapter != test.adapter || metrics != test.metrics {
				t.Errorf("%d unreported, %d by the adapter, %.0f by metrics", unreported, adapter, metrics)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	out := &outcome{counts: map[string]map[ledger.Mode]*ledger.Count{"Go": {
		ledger.Raw: {Lost: 9, ByOverflow: 9}, ledger.Merge: {Wrong: 1}, ledger.Command: {Reordered: 2}, ledger.Distinct: {Doubled: 3},
	}}}
	res := new(result)
	res.judge(out)
	if got := strings.Join(res.Wrong, "; "); got != "3 updates doubled; 2 updates in the wrong order; 1 states wrong at the end" {
		t.Error(got)
	}
	before, during := ledger.Summary{P99: 10 * time.Millisecond}, ledger.Summary{P99: 30 * time.Millisecond}
	res = &result{Ended: 1, AdapterAgain: 2, Before: &before, During: &during}
	res.judgeOthers(&options{})
	if len(res.Wrong) != 2 {
		t.Errorf("%q, want the sessions and the adapter", res.Wrong)
	}
	if res.judgeOthers(&options{latencyDecides: true}); len(res.Wrong) != 5 {
		t.Errorf("%q, want the latency too", res.Wrong)
	}
}

func TestSlower(t *testing.T) {
	for _, test := range []struct {
		before, during time.Duration
		slower         bool
	}{
		{10 * time.Millisecond, 15 * time.Millisecond, false},
		{time.Millisecond, 5 * time.Millisecond, false}, // the floor
		{10 * time.Millisecond, 21 * time.Millisecond, true},
		{100 * time.Millisecond, 140 * time.Millisecond, false},
	} {
		if got := slower(ledger.Summary{P99: test.before}, ledger.Summary{P99: test.during}); got != test.slower {
			t.Errorf("%v after %v: slower is %v", test.during, test.before, got)
		}
	}
}

func TestMetrics(t *testing.T) {
	m, err := parseMetrics(strings.NewReader(`# HELP lightstreamer_broker_sessions Sessions there are.
lightstreamer_broker_sessions 12
lightstreamer_broker_updates_lost_total 7
lightstreamer_broker_adapter_connections_total{set="CHAOS",data_adapter=""} 3
lightstreamer_broker_adapter_connections_total{set="CHAOS",data_adapter="DEFAULT"} 2
lightstreamer_broker_adapter_connections_total{set="OTHER",data_adapter="DEFAULT"} 50
lightstreamer_broker_adapter_maybe_lost_total{set="CHAOS",data_adapter="DEFAULT"} 4
lightstreamer_broker_adapter_updates_lost_total{set="CHAOS",data_adapter="DEFAULT"} 40
`))
	if err != nil {
		t.Fatal(err)
	}
	if m["lightstreamer_broker_sessions"] != 12 || m.adapterConnections() != 5 || m.lostFromAdapters() != 40 {
		t.Errorf("%v: %d connections, %v lost", m, m.adapterConnections(), m.lostFromAdapters())
	}
}

func TestTrends(t *testing.T) {
	samples := make([]sample, 100)
	for i := range samples {
		samples[i] = sample{usage: usage{RSS: 100 << 20, Descriptors: 50 + i}, Metrics: metrics{}}
		if i < 10 {
			samples[i].RSS = 10 << 20 // it is warming up
		}
	}
	for _, tr := range trends(samples) {
		if grows := tr.What == "descriptors"; tr.Flat == grows {
			t.Errorf("%+v", tr)
		}
	}
}

// wired returns a wire, and both ends of a connection over it.
func wiredPair(t *testing.T) (w *wire, client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w = newWire(1)
	t.Cleanup(w.close)
	port := l.Addr().(*net.TCPAddr).Port
	if err := w.to(port); err != nil {
		t.Fatal(err)
	}
	c, err := from(7, 7)(t.Context(), "tcp", w.addr(port))
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	if at := s.RemoteAddr().(*net.TCPAddr).IP.String(); at != "127.0.7.7" {
		t.Errorf("the server sees %s", at)
	}
	return w, c.(*net.TCPConn), s.(*net.TCPConn)
}

func send(t *testing.T, to io.Writer, from io.Reader, text string) {
	t.Helper()
	if _, err := to.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(text))
	if _, err := io.ReadFull(from, buf); err != nil || string(buf) != text {
		t.Fatalf("%q, %v", buf, err)
	}
}

func TestWirePasses(t *testing.T) {
	w, client, server := wiredPair(t)
	for _, how := range []fault{{}, {pieces: 3}, {delay: time.Millisecond}} {
		w.set(how)
		send(t, client, server, "there and")
		send(t, server, client, "back again")
	}
}

func TestWireHolds(t *testing.T) {
	w, client, server := wiredPair(t)
	w.set(fault{hold: make(chan struct{})})
	if _, err := client.Write([]byte("held")); err != nil {
		t.Fatal(err)
	}
	w.set(fault{})
	buf := make([]byte, 4)
	if _, err := io.ReadFull(server, buf); err != nil || string(buf) != "held" {
		t.Fatalf("%q, %v", buf, err)
	}
}

func TestWireSwallows(t *testing.T) {
	w, client, server := wiredPair(t)
	w.set(fault{swallow: true})
	if _, err := client.Write([]byte("lost")); err != nil {
		t.Fatal(err)
	}
	taken := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for c := range w.conns {
			if c.lossy {
				return true
			}
		}
		return false
	}
	for !taken() {
		if err := wait(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	w.set(fault{})
	if n, err := server.Read(make([]byte, 1)); err == nil || n > 0 {
		t.Errorf("%d bytes, %v: want a reset", n, err)
	}
}

func TestWireHalfCloses(t *testing.T) {
	w, client, server := wiredPair(t)
	w.halfClose(true)
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want the end of the client's bytes", err)
	}
	send(t, server, client, "the other way goes on")
	if _, err := client.Write([]byte("into the void")); err != nil {
		t.Error(err)
	}
	send(t, server, client, "still")
}

func TestWireCutsInTheMidst(t *testing.T) {
	w, client, server := wiredPair(t)
	cut := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		close(ready)
		cut <- w.cutAfter(t.Context(), 3)
	}()
	<-ready
	for { // until the order for the cut is there
		w.mu.Lock()
		armed := w.cut != nil
		w.mu.Unlock()
		if armed {
			break
		}
		if err := wait(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := server.Write([]byte("abcdef")); err != nil {
		t.Fatal(err)
	}
	if err := <-cut; err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := io.Copy(&got, client); err == nil {
		t.Error("an end in order, want a reset")
	}
	if text := got.String(); len(text) > 3 || text != "abc"[:len(text)] { // a reset may take away what was not read
		t.Errorf("%q got through", text)
	}
}

func TestChildrenEnd(t *testing.T) {
	all := new(children)
	p, err := all.start(spec{name: "a shell with a child", args: []string{"sh", "-c", "sleep 600 & echo '{}'; wait"}})
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{}
	if err := p.order(t.Context(), order{Do: "nothing"}, &answer); err != nil {
		t.Fatal(err)
	}
	if err := p.signal(stopSignal); err != nil {
		t.Fatal(err)
	}
	all.killAll()
	if p.alive() || len(all.all) != 0 {
		t.Error("a process is left")
	}
	if err := p.order(context.WithoutCancel(t.Context()), order{Do: "nothing"}, &answer); err == nil {
		t.Error("a dead process answers")
	}
}

func TestRowsHaveNames(t *testing.T) {
	o := &options{clients: 10}
	names := make(map[string]bool)
	short := 0
	for _, r := range o.rows() {
		if names[r.name] || r.name == "" || r.title == "" || (r.fault == nil) == (r.attack == nil) {
			t.Errorf("row %q: %+v", r.name, r)
		}
		if r.attack != nil && attacks[r.attack.kind] == nil {
			t.Errorf("row %q has an attack %q", r.name, r.attack.kind)
		}
		names[r.name] = true
		if r.short {
			short++
		}
	}
	o.short = true
	if got := len(o.rows()); got != short {
		t.Errorf("%d rows in a short run, want %d", got, short)
	}
	o.only = "broker-,clock"
	if got := len(o.rows()); got != 3 {
		t.Errorf("%d rows are chosen, want 3", got)
	}
}
