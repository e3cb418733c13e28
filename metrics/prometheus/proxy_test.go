package prometheus_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// patience is how long a test waits for what has to come; it only runs out when something is wrong.
const patience = time.Minute

// proxy is the other end of the wire, on the loopback interface: it takes connections of a server and says and expects lines.
type proxy struct {
	t        testing.TB
	listener net.Listener
}

func newProxy(t testing.TB) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &proxy{t, l}
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// accept takes a connection and its first line.
func (p *proxy) accept() *peer {
	p.t.Helper()
	_ = p.listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := p.listener.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	c := &peer{t: p.t, conn: conn, lines: bufio.NewScanner(conn)}
	c.lines.Buffer(nil, 1<<20)
	c.expect("RAC")
	return c
}

// peer reads nothing unless told to: a peer that stalls.
type peer struct {
	t     testing.TB
	conn  net.Conn
	lines *bufio.Scanner
	bytes int64 // read
}

func (c *peer) say(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads lines up to the first that contains the text.
func (c *peer) expect(text string) {
	c.t.Helper()
	for c.lines.Scan() {
		c.bytes += int64(len(c.lines.Bytes()) + len("\r\n"))
		if strings.Contains(c.lines.Text(), text) {
			return
		}
	}
	c.t.Fatalf("the connection ended (%v) before a line with %q", c.lines.Err(), text)
}

// settled waits until the server has counted what it has written to c, and its callbacks have ended: both come after the line that tells of them.
func (c *peer) settled(stats func() adapter.Stats) {
	c.t.Helper()
	for begin := time.Now(); ; <-time.After(time.Millisecond) {
		if s := stats(); s.BytesWritten >= c.bytes && s.Callbacks == 0 {
			return
		}
		if time.Since(begin) > patience {
			c.t.Fatalf("%d bytes were read, but the counters are %+v", c.bytes, stats())
		}
	}
}

// started is a server at work.
type started struct {
	stop     context.CancelFunc
	ended    chan error
	requests chan adapter.RequestInfo
	lost     chan error
}

// hooks are for the end of a server's Events: when they are called, the Collector has been.
func (s *started) hooks() *adapter.Events {
	return &adapter.Events{
		Request:      func(r adapter.RequestInfo) { s.requests <- r },
		Disconnected: func(_ adapter.ConnInfo, err error) { s.lost <- err },
	}
}

func start(t testing.TB, server adapter.Runner, events **adapter.Events) *started {
	s := &started{ended: make(chan error, 1), requests: make(chan adapter.RequestInfo, 100), lost: make(chan error, 100)}
	*events = adapter.JoinEvents(*events, s.hooks())
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.ended <- server.Run(ctx) }()
	t.Cleanup(cancel)
	return s
}

func wait[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}
