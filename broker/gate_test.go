package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// idleConn is a connection from an address of the test's choice.
type idleConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *idleConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.from), 1))
}
func (c *idleConn) Close() error { c.closed = true; return nil }

func testGate(cfg gateConfig) *gate {
	cfg.memory, cfg.n, cfg.log = budget.New(0), new(counters), sample.New(slog.New(slog.DiscardHandler), time.Minute, 1)
	return newGate(nil, cfg)
}

// An address has so many connections, whatever part of a /64 it uses, and others are not concerned.
func TestAddressLimit(t *testing.T) {
	g := testGate(gateConfig{connections: 100, perAddress: 10, trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	var open []*conn
	admit := func(from string) bool {
		c, _, why := g.admit(&idleConn{from: from})
		if why == "" {
			open = append(open, c)
		}
		return why == ""
	}
	for i := range 50 {
		if got := admit("198.51.100.7"); got != (i < 10) {
			t.Errorf("connection %d admitted: %v", i, got)
		}
		if got := admit(fmt.Sprintf("2001:db8::%x", i)); got != (i < 10) {
			t.Errorf("connection %d of a /64 admitted: %v", i, got)
		}
	}
	if admit("::ffff:198.51.100.7") {
		t.Error("an address counts anew when it is mapped")
	}
	for _, from := range []string{"198.51.100.8", "2001:db8:0:1::1"} {
		if !admit(from) {
			t.Errorf("%s is refused", from)
		}
	}
	for _, from := range []string{"127.0.0.1", "10.1.2.3", "::1"} {
		for range 20 {
			if !admit(from) {
				t.Fatalf("%s is refused", from)
			}
		}
	}
	if st := g.n.stats(); st.Open != 82 || st.RefusedByAddress != 81 {
		t.Errorf("stats %+v", st)
	}
	for _, c := range open {
		c.Close()
		c.Close() // gives nothing back twice
	}
	if g.open != 0 || len(g.addrs) != 0 || g.n.open.Load() != 0 {
		t.Errorf("%d connections, %d addresses are left", g.open, len(g.addrs))
	}
	if !admit("198.51.100.7") {
		t.Error("refused with no connection open")
	}
}

// An address opens connections at a bounded rate, and what is remembered of many addresses is
// bounded, too.
func TestAddressRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(gateConfig{perAddress: 10, perSecond: 5})
		knock := func(from string, n int) (admitted int) {
			for range n {
				if c, _, why := g.admit(&idleConn{from: from}); why == "" {
					c.Close()
					admitted++
				}
			}
			return admitted
		}
		if got := knock("198.51.100.7", 1000); got != 10 {
			t.Errorf("%d at once", got)
		}
		<-time.After(time.Second)
		if got := knock("198.51.100.7", 1000); got != 5 {
			t.Errorf("%d after a second", got)
		}
		if got := g.n.refusedRate.Load(); got != 1985 {
			t.Errorf("%d refused", got)
		}
		for i := range 100_000 {
			knock(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff), 1)
			if i%1000 == 0 {
				<-time.After(time.Second)
			}
		}
		if n := len(g.addrs); n > 2*minSweep {
			t.Errorf("%d addresses are remembered", n)
		}
	})
}

// addressListener has its first connections come from one remote address, and the others from
// another.
type addressListener struct {
	net.Listener
	hostile int
}

func (l *addressListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	from := "198.51.100.7"
	if l.hostile--; l.hostile < 0 {
		from = "192.0.2.1"
	}
	return &remoteConn{nc.(*net.TCPConn), from}, nil
}

type remoteConn struct {
	*net.TCPConn
	from string
}

func (c *remoteConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.from), 1))
}

// One address cannot take the places of others, over real sockets: beyond its limit connections are
// closed at once, and a client from elsewhere is served.
func TestOneAddressCannotTakeAll(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const attempts, limit = 200, 50
	var out syncBuffer
	d := startDemo(t, Config{
		Listener: &addressListener{l, attempts}, Limits: Limits{Connections: 100, AddressConnections: limit},
		Logger: slog.New(slog.NewTextHandler(&out, nil)),
	})
	closed := make(chan struct{}, attempts)
	for range attempts {
		conn := connectTo(t, d)
		go func() { // ends with the connection
			conn.Read(make([]byte, 1))
			closed <- struct{}{}
		}()
	}
	for range attempts - limit {
		<-closed
	}
	c := dial(t, d)
	c.send("create_session", "LS_adapter_set=DEMO")
	c.expect("CONOK,*", "SERVNAME,*", "CLIENTIP,192.0.2.1")
	if st := d.Stats().Front; st.Open != limit+1 || st.RefusedByAddress+st.RefusedByRate != attempts-limit {
		t.Errorf("stats %+v", st)
	}
	if n := strings.Count(out.String(), "connection refused"); n < 1 || n > 2 {
		t.Errorf("%d lines in the log", n)
	}
}

// syncBuffer is a buffer that a logger writes to while the test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// The client's address is what trusted proxies say, and nobody else.
func TestTrustedProxies(t *testing.T) {
	for _, tt := range []struct {
		name       string
		trusted    []string
		forwarded  []string
		ip         string
		forwarding string
	}{
		{"nobody trusted", nil, []string{"203.0.113.1"}, "127.0.0.1", "203.0.113.1"},
		{"another trusted", []string{"10.0.0.0/8"}, []string{"203.0.113.1"}, "127.0.0.1", ""},
		{"one proxy", []string{"127.0.0.0/8"}, []string{"203.0.113.1"}, "203.0.113.1", "203.0.113.1"},
		{"invented by the client", []string{"127.0.0.0/8"}, []string{"6.6.6.6, 203.0.113.1"}, "203.0.113.1", "6.6.6.6, 203.0.113.1"},
		{"in several lines", []string{"127.0.0.0/8"}, []string{"6.6.6.6", "203.0.113.1"}, "203.0.113.1", "6.6.6.6, 203.0.113.1"},
		{"two proxies", []string{"127.0.0.0/8", "10.0.0.0/8"}, []string{"203.0.113.1,10.1.1.1"}, "203.0.113.1", "203.0.113.1,10.1.1.1"},
		{"proxies only", []string{"127.0.0.0/8", "10.0.0.0/8"}, []string{"10.0.0.2, 10.1.1.1"}, "10.0.0.2", "10.0.0.2, 10.1.1.1"},
		{"with ports", []string{"127.0.0.0/8"}, []string{"203.0.113.1:55"}, "203.0.113.1", "203.0.113.1:55"},
		{"IPv6", []string{"127.0.0.0/8"}, []string{"[2001:db8::7]:55"}, "2001:db8::7", "[2001:db8::7]:55"},
		{"IPv6 in brackets", []string{"127.0.0.0/8"}, []string{"[2001:db8::7]"}, "2001:db8::7", "[2001:db8::7]"},
		{"nonsense", []string{"127.0.0.0/8"}, []string{"203.0.113.1, unknown"}, "127.0.0.1", "203.0.113.1, unknown"},
		{"empty", []string{"127.0.0.0/8"}, []string{""}, "127.0.0.1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var trusted []netip.Prefix
			for _, p := range tt.trusted {
				trusted = append(trusted, netip.MustParsePrefix(p))
			}
			d := startDemo(t, Config{TrustedProxies: trusted})
			conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{
				Subprotocol: tlcp.Latest.Subprotocol(), Header: http.Header{"X-Forwarded-For": tt.forwarded},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			conn.WriteText([]byte("create_session\r\nLS_adapter_set=DEMO"))
			answer, err := conn.ReadText()
			if err != nil || !strings.Contains(string(answer), "CLIENTIP,"+tt.ip+"\r\n") {
				t.Errorf("answered %q, %v; want the address %s", answer, err, tt.ip)
			}
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			req.RemoteAddr, req.Header["X-Forwarded-For"] = "127.0.0.1:5", tt.forwarded
			if got := d.front.peerOf(req); got.forwarding != tt.forwarding || got.addr.String() != tt.ip {
				t.Errorf("the Metadata Adapter is told %+v", got)
			}
		})
	}
}

// Behind a trusted proxy each client is bounded, and the proxy is not.
func TestAddressLimitBehindProxy(t *testing.T) {
	d := startDemo(t, Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Limits: Limits{AddressConnections: 3, LoopbackConnections: 1},
	})
	open := func(client string) error {
		conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{
			Subprotocol: tlcp.Latest.Subprotocol(), Header: http.Header{"X-Forwarded-For": {client}},
		})
		if err == nil {
			t.Cleanup(conn.CloseNow)
		}
		return err
	}
	for _, client := range []string{"203.0.113.1", "203.0.113.2", "2001:db8::1"} {
		for i := range 5 {
			if err := open(client); (err == nil) != (i < 3) || err != nil && !strings.Contains(err.Error(), "status 429") {
				t.Errorf("connection %d of %s: %v", i, client, err)
			}
		}
	}
	if st := d.Stats().Front; st.Open < 9 || st.RequestsByAddress != 6 || st.RefusedByAddress != 0 {
		t.Errorf("stats %+v", st)
	}
}

// failingListener has no descriptor left for a while.
type failingListener struct {
	net.Listener
	mu       sync.Mutex
	failures int
}

func (l *failingListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	fail := l.failures > 0
	l.failures--
	l.mu.Unlock()
	if fail {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// For want of descriptors nobody is accepted for a while, which is said once, and then clients are
// served again.
func TestAcceptFailures(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var out syncBuffer
	d := startDemo(t, Config{Listener: &failingListener{Listener: l, failures: 6}, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	dial(t, d).open("")
	if n := strings.Count(out.String(), "cannot accept clients"); n != 1 {
		t.Errorf("%d lines:\n%s", n, &out)
	}
	if got := d.Stats().Front.AcceptFailures; got != 6 {
		t.Errorf("%d failures", got)
	}
	for err, want := range map[error]bool{net.ErrClosed: false, errors.New("gone"): false, syscall.ENFILE: true, syscall.EBADF: false} {
		if got := passing(err); got != want {
			t.Errorf("%v passes: %v", err, got)
		}
	}
}

// At the limit of connections monitoring still answers, at the clients' address, however many
// idle connections press in.
func TestMonitoringAtTheLimit(t *testing.T) {
	d := startDemo(t, Config{Limits: Limits{Connections: 20}})
	for range 20 {
		conn := connectTo(t, d)
		upgrade(t, conn)
	}
	for range 3 * monitorPlaces {
		connectTo(t, d) // and no word
	}
	for range 5 {
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			conn := connectTo(t, d)
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
			answer, err := io.ReadAll(conn)
			if !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %q, %v", path, answer, err)
			}
		}
	}
	conn := connectTo(t, d)
	io.WriteString(conn, "POST /lightstreamer/heartbeat.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n\r\n")
	if answer, _ := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") || !strings.Contains(string(answer), "\r\nRetry-After: 5\r\n") {
		t.Errorf("a client is answered %q", answer)
	}
	silent := connectTo(t, d)
	if _, err := io.ReadAll(silent); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a silent connection stays beyond the limit")
	}
	if st := d.Stats().Front; st.Open != 20 || st.RefusedByLimit == 0 {
		t.Errorf("stats %+v", st)
	}
}

// Connections beyond the limit give way to those of other addresses.
func TestSparePlaces(t *testing.T) {
	g := testGate(gateConfig{connections: 1, spares: 4})
	g.admit(&idleConn{from: "192.0.2.1"})
	probe, _, _ := g.admit(&idleConn{from: "192.0.2.2"})
	for range 100 {
		_, evicted, why := g.admit(&idleConn{from: "198.51.100.7"})
		if why != "" {
			t.Fatal(why)
		}
		if evicted != nil {
			evicted.Close()
			if evicted == probe {
				t.Fatal("the probe had to give way")
			}
		}
	}
	if !probe.spare || len(g.spare) != 4 {
		t.Errorf("%d spare connections", len(g.spare))
	}
	for len(g.spare) > 0 {
		g.spare[0].Close()
	}
}

// Monitoring has an address of its own if it is configured, and is not at the clients' then.
func TestMonitorAddr(t *testing.T) {
	d := startDemo(t, Config{MonitorAddr: "127.0.0.1:0", Limits: Limits{Connections: 1}})
	upgrade(t, connectTo(t, d))
	url := "http://" + d.MonitorAddr().String()
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/": 404, "/lightstreamer": 404} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	elsewhere := startDemo(t, Config{MonitorAddr: "127.0.0.1:0"})
	if status, _ := get(t, elsewhere, "/healthz"); status != http.StatusNotFound {
		t.Errorf("at the clients' address: %d", status)
	}
	if startDemo(t, Config{}).MonitorAddr() != nil {
		t.Error("an address without one configured")
	}
	if r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", MonitorAddr: "127.0.0.1:http-nonsense"}); err == nil || !strings.Contains(err.Error(), "MonitorAddr") {
		t.Errorf("started %v, %v", r, err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Config{MonitorListener: l, Keepalive: -1}); err == nil {
		t.Error("started")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener of a broker that did not start: %v", err)
	}
}

// Hosts that a stranger's page has made to mean this machine are refused; names can be configured.
func TestHosts(t *testing.T) {
	for _, tt := range []struct {
		host    string
		allowed []string
		local   string
		ok      bool
	}{
		{"localhost", nil, "", true}, {"LOCALHOST:8080", nil, "", true}, {"localhost.", nil, "", true}, {"app.localhost:1", nil, "", true},
		{"127.0.0.1:8080", nil, "", true}, {"127.1.2.3", nil, "", true}, {"[::1]:8080", nil, "", true}, {"", nil, "", true},
		{"evil.example:8080", nil, "", false}, {"localhost.evil.example", nil, "", false}, {"127.0.0.1.evil.example", nil, "", false},
		{"192.0.2.1", nil, "", false}, {"[::2]", nil, "", false}, {"evil.example", []string{"dev.example"}, "", false},
		{"DEV.example:443", []string{"dev.example"}, "", true}, {"dev.example", []string{"DEV.example"}, "", true}, {"any.example", []string{"*"}, "", true},
		{"evil.example", nil, "192.0.2.1", true}, {"evil.example", []string{"dev.example"}, "192.0.2.1", false},
		{"192.0.2.1:80", []string{"dev.example"}, "192.0.2.1", true}, {"localhost", []string{"dev.example"}, "192.0.2.1", false},
	} {
		d := startDemo(t, Config{AllowedHosts: tt.allowed})
		for _, path := range []string{"/lightstreamer/heartbeat.txt?LS_protocol=TLCP-2.5.0", "/lightstreamer", "/healthz"} {
			ctx := t.Context()
			if tt.local != "" {
				ctx = context.WithValue(ctx, http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(tt.local), Port: 80})
			}
			req := httptest.NewRequest(http.MethodGet, path, nil).WithContext(ctx)
			req.Host = tt.host
			w := httptest.NewRecorder()
			d.front.ServeHTTP(w, req)
			if refused := w.Code == http.StatusForbidden; refused == tt.ok || refused && !strings.Contains(w.Body.String(), "allowed-hosts") {
				t.Errorf("host %q of %q on %q, %s: %d %q", tt.host, tt.allowed, tt.local, path, w.Code, w.Body)
			}
		}
		if n := d.Stats().Front.Hosts; tt.ok != (n == 0) {
			t.Errorf("host %q: %d refused", tt.host, n)
		}
	}
}

// A page of a stranger that leaves the Origin out, as browsers do for pictures and scripts, is
// recognised by what they tell instead.
func TestCrossSiteWithoutOrigin(t *testing.T) {
	for site, want := range map[string]bool{"": true, "none": true, "same-origin": true, "same-site": false, "cross-site": false} {
		d := startDemo(t, Config{})
		req := httptest.NewRequest(http.MethodGet, "http://localhost/lightstreamer/heartbeat.txt?LS_protocol=TLCP-2.5.0", nil)
		req.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		d.front.ServeHTTP(w, req)
		if ok := w.Body.String() == "REQOK\r\n"; ok != want {
			t.Errorf("%q: %q", site, w.Body)
		}
	}
}

// Refused origins and hosts are told once each, with what to set, and no more for many of them.
func TestRefusalsAreTold(t *testing.T) {
	var out syncBuffer
	d := startDemo(t, Config{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	for i := range 2000 {
		req := httptest.NewRequest(http.MethodGet, "http://localhost/lightstreamer/heartbeat.txt", nil)
		req.Header.Set("Origin", "http://evil.example")
		if i >= 1000 {
			req.Header.Set("Origin", fmt.Sprintf("http://evil%d.example", i))
		}
		d.front.ServeHTTP(httptest.NewRecorder(), req)
	}
	text := out.String()
	if strings.Count(text, "origin=http://evil.example\n") != 1 || !strings.Contains(text, "--allowed-origins") {
		t.Errorf("logged:\n%.500s", text)
	}
	if lines := strings.Count(text, "\n"); lines > 250 {
		t.Errorf("%d lines", lines)
	}
	if got := d.Stats().Front.Origins; got != 2000 {
		t.Errorf("%d counted", got)
	}
}

func TestAccessMistakes(t *testing.T) {
	cfg := Config{AllowedOrigins: []string{"example.com", "http://a/", "http://ok"}, AllowedHosts: []string{"http://a", ""}, TrustedProxies: []netip.Prefix{{}}}.withDefaults()
	err := cfg.check()
	if err == nil {
		t.Fatal("no mistake found")
	}
	for _, part := range []string{`"example.com"`, `"http://a/"`, `"http://a"`, `""`, "TrustedProxies"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v: not named: %s", err, part)
		}
	}
}
