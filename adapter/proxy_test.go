package adapter_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// proxy is the other end of the wire: it accepts the connections that a server makes through Dial, in memory, and says and expects
// lines as they stand on the wire.
type proxy struct {
	t     *testing.T
	conns chan net.Conn
	down  chan struct{} // closed: nobody listens

	patience time.Duration // how long a connection is waited for
}

func newProxy(t *testing.T) *proxy {
	return &proxy{t: t, conns: make(chan net.Conn, 8), down: make(chan struct{}), patience: 2 * time.Minute}
}

var errRefused = errors.New("connection refused")

func (p *proxy) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- ours:
		return theirs, nil
	case <-p.down:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// accept returns the next connection, after its first line.
func (p *proxy) accept() *peer {
	p.t.Helper()
	c := p.acceptRaw()
	if rac := c.next(); !strings.HasPrefix(rac, "1|RAC|S|") {
		p.t.Fatalf("first line is %q, not RAC", rac)
	}
	return c
}

func (p *proxy) acceptRaw() *peer {
	p.t.Helper()
	select {
	case conn := <-p.conns:
		return newPeer(p.t, conn)
	case <-time.After(p.patience):
		p.t.Fatalf("no connection within %v", p.patience)
		return nil
	}
}

// acceptData accepts and initialises a data connection.
func (p *proxy) acceptData() *peer {
	p.t.Helper()
	c := p.accept()
	c.say("1|DPI|S|ARI.version|S|1.9.1|S|adapters_conf.id|S|DEMO|S|data_provider.name|S|QUOTES")
	c.expect("1|DPI|S|ARI.version|S|1.9.1")
	return c
}

// acceptMetadata accepts and initialises a metadata connection.
func (p *proxy) acceptMetadata() *peer {
	p.t.Helper()
	c := p.accept()
	c.say("1|MPI|S|ARI.version|S|1.9.1|S|adapters_conf.id|S|DEMO")
	c.expect("1|MPI|S|ARI.version|S|1.9.1")
	return c
}

type peer struct {
	t     *testing.T
	conn  net.Conn
	lines chan string
	done  chan struct{} // the reader has ended
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	c := &peer{t: t, conn: conn, lines: make(chan string, 1<<16), done: make(chan struct{})}
	go func() { // ends when either side closes the connection
		defer close(c.done)
		defer close(c.lines)
		r := bufio.NewReader(conn)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if !strings.HasSuffix(line, "\r\n") {
				t.Errorf("line %q does not end with CR LF", line)
			}
			c.lines <- strings.TrimSuffix(line, "\r\n")
		}
	}()
	t.Cleanup(c.cut)
	return c
}

func (c *peer) say(lines ...string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(strings.Join(lines, "\r\n") + "\r\n")); err != nil {
		c.t.Fatalf("say %q: %v", lines, err)
	}
}

// next returns the next line that is not a keepalive; notifications come without their time stamp.
func (c *peer) next() string {
	c.t.Helper()
	for {
		line := c.nextRaw()
		if line == "KEEPALIVE" {
			continue
		}
		stamp, rest, _ := strings.Cut(line, "|")
		// In place of a time stamp replies have an id, shorter in these tests.
		if method, _, _ := strings.Cut(rest, "|"); len(stamp) >= 12 && slices.Contains([]string{"UD3", "EOS", "CLS", "DFD", "FAL"}, method) {
			return rest
		}
		return line
	}
}

func (c *peer) nextRaw() string {
	c.t.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok {
			c.t.Fatal("the connection was closed instead of a line")
		}
		return line
	case <-time.After(time.Minute):
		c.t.Fatal("no line within a minute")
		return ""
	}
}

func (c *peer) expect(lines ...string) {
	c.t.Helper()
	for _, want := range lines {
		if got := c.next(); got != want {
			c.t.Fatalf("got line\n  %q\nwant\n  %q", got, want)
		}
	}
}

// expectSet takes as many lines as given, in any order.
func (c *peer) expectSet(lines ...string) {
	c.t.Helper()
	want := map[string]int{}
	for _, l := range lines {
		want[l]++
	}
	for range lines {
		got := c.next()
		if want[got] == 0 {
			c.t.Fatalf("got line %q, want one of %q", got, lines)
		}
		want[got]--
	}
}

func (c *peer) expectClosed() {
	c.t.Helper()
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				return
			}
			if line != "KEEPALIVE" {
				c.t.Fatalf("got line %q, want the end of the connection", line)
			}
		case <-time.After(time.Minute):
			c.t.Fatal("the connection was not closed within a minute")
		}
	}
}

func (c *peer) cut() {
	_ = c.conn.Close()
	<-c.done
}

// running is a server at work.
type running struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan error
}

// start runs a server until the test ends; a test that wants to see the result calls stop or wait.
func start(t *testing.T, s adapter.Runner) *running {
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		r.wait()
	})
	return r
}

// wait returns what Run returned, again and again.
func (r *running) wait() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(time.Minute):
		r.t.Fatal("Run has not returned within a minute")
		return nil
	}
}

func (r *running) stop() error {
	r.t.Helper()
	r.cancel()
	return r.wait()
}

func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func dataServer(t *testing.T, p *proxy, provider adapter.DataProvider) *adapter.DataServer {
	return &adapter.DataServer{Provider: provider, Addr: "proxy:8001", Dial: p.Dial, Logger: testLogger(t)}
}

func metadataServer(t *testing.T, p *proxy, provider adapter.MetadataProvider) *adapter.MetadataServer {
	return &adapter.MetadataServer{Provider: provider, Addr: "proxy:8003", Dial: p.Dial, Logger: testLogger(t)}
}

// provider is a Data Adapter made of functions.
type provider struct {
	subscribe   func(ctx context.Context, sub *adapter.Subscription) error
	unsubscribe func(ctx context.Context, sub *adapter.Subscription) error
	initialize  func(ctx context.Context, in adapter.Init) error
}

func (p *provider) Subscribe(ctx context.Context, sub *adapter.Subscription) error {
	if p.subscribe == nil {
		return nil
	}
	return p.subscribe(ctx, sub)
}

func (p *provider) Unsubscribe(ctx context.Context, sub *adapter.Subscription) error {
	if p.unsubscribe == nil {
		return nil
	}
	return p.unsubscribe(ctx, sub)
}

func (p *provider) Initialize(ctx context.Context, in adapter.Init) error {
	if p.initialize == nil {
		return nil
	}
	return p.initialize(ctx, in)
}
