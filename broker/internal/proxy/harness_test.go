package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// memListener is a listener in memory, usable in synctest bubbles.
type memListener struct {
	conns chan net.Conn
	down  chan struct{}
	once  sync.Once
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn), down: make(chan struct{})}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.down:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() { close(l.down) })
	return nil
}

func (l *memListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

func (l *memListener) dial() (net.Conn, error) { return l.dialFrom("") }

// from is a connection whose peer has an address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr { return &net.UnixAddr{Name: f.addr, Net: "memory"} }

// dialFrom dials with an address, host:port; empty means that of a pipe.
func (l *memListener) dialFrom(addr string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	if addr != "" {
		theirs = from{theirs, addr}
	}
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.down:
		return nil, errors.New("connection refused")
	}
}

// connectFrom dials the proxy with an address.
func connectFrom(t *testing.T, ln *memListener, addr string) *remote {
	t.Helper()
	nc, err := ln.dialFrom(addr)
	if err != nil {
		t.Fatal(err)
	}
	return newRemote(t, nc)
}

// remote is the other end of a connection: it says and expects lines as they stand on the wire.
type remote struct {
	t     *testing.T
	nc    net.Conn
	lines chan string // closed at the end of the connection
	v     ari.Version
}

// connect dials the proxy and reads what it says from then on.
func connect(t *testing.T, ln *memListener) *remote {
	t.Helper()
	nc, err := ln.dial()
	if err != nil {
		t.Fatal(err)
	}
	return newRemote(t, nc)
}

func newRemote(t *testing.T, nc net.Conn) *remote {
	r := &remote{t: t, nc: nc, lines: make(chan string, 10_000), v: ari.Latest}
	go func() { // ends with the connection
		defer close(r.lines)
		in := bufio.NewScanner(nc)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			r.lines <- in.Text()
		}
	}()
	t.Cleanup(func() { nc.Close() })
	return r
}

func (r *remote) say(format string, args ...any) {
	r.t.Helper()
	line := fmt.Sprintf(format, args...)
	if _, err := r.nc.Write([]byte(line + "\r\n")); err != nil {
		r.t.Errorf("saying %q: %v", line, err)
	}
}

// next returns the next line of the proxy, "" at the end of the connection.
func (r *remote) next() string {
	line, ok := <-r.lines
	if ok && line == "" {
		r.t.Error("the proxy wrote an empty line")
	}
	return line
}

// request expects a request whose text after the id is want, and returns the id.
func (r *remote) request(want string) string {
	r.t.Helper()
	line := r.next()
	id, rest, _ := strings.Cut(line, "|")
	if rest != want {
		r.t.Fatalf("the proxy says %q, want ...|%s", line, want)
	}
	return id
}

func (r *remote) expect(want string) {
	r.t.Helper()
	if line := r.next(); line != want {
		r.t.Fatalf("the proxy says %q, want %q", line, want)
	}
}

// silent checks that the proxy says nothing more by itself.
func (r *remote) silent() {
	r.t.Helper()
	synctest.Wait()
	select {
	case line, ok := <-r.lines:
		if ok {
			r.t.Fatalf("the proxy says %q, want silence", line)
		}
		r.t.Fatal("the proxy has closed the connection, want silence")
	default:
	}
}

// gone expects the end of the connection.
func (r *remote) gone() {
	r.t.Helper()
	if line, ok := <-r.lines; ok {
		r.t.Fatalf("the proxy says %q, want the end of the connection", line)
	}
}

const rac = "1|RAC|S|SDK|S|test|S|enableClosePacket|S|true"

// init goes through the opening, and answers with the given version.
func (r *remote) init(ch ari.Channel, v ari.Version) *remote {
	r.t.Helper()
	r.say(rac)
	l, err := ari.ParseLine([]byte(r.next()))
	if err != nil || l.Method != ari.DPI && l.Method != ari.MPI {
		r.t.Fatalf("%s|%s|%s (%v) is no init request", l.ID, l.Name, l.Body, err)
	}
	r.say("%s", ari.AppendInitReply(nil, string(l.ID), ch, v))
	r.v = v
	return r
}

func connectData(t *testing.T, ln *memListener) *remote {
	t.Helper()
	r := connect(t, ln).init(ari.Data, ari.Latest)
	synctest.Wait()
	return r
}

func connectMetadata(t *testing.T, ln *memListener) *remote {
	t.Helper()
	r := connect(t, ln).init(ari.Metadata, ari.Latest)
	synctest.Wait()
	return r
}

// startData starts a data proxy that listens in memory. It is closed at the end of the test.
func startData(t *testing.T, cfg proxy.DataConfig) (*proxy.Data, *memListener) {
	t.Helper()
	ln := newMemListener()
	if cfg.Listener == nil && cfg.RemoteAddr == "" {
		cfg.Listener = ln
	}
	cfg.Set = "DEMO"
	d, err := proxy.StartData(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d, ln
}

func startMetadata(t *testing.T, cfg proxy.MetadataConfig) (*proxy.Metadata, *memListener) {
	t.Helper()
	ln := newMemListener()
	cfg.Listener = ln
	cfg.Set = "DEMO"
	m, err := proxy.StartMetadata(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m, ln
}

// sink writes down the events of an item, and checks the contract of provider.Sink.
type sink struct {
	t     *testing.T
	busy  atomic.Bool
	ended atomic.Bool

	mu   sync.Mutex
	list []string
}

func (s *sink) add(event string) {
	if !s.busy.CompareAndSwap(false, true) {
		s.t.Error("the sink is called by two goroutines at a time")
	}
	if s.ended.Load() {
		s.t.Errorf("%s after Unsubscribe had returned", event)
	}
	s.mu.Lock()
	s.list = append(s.list, event)
	s.mu.Unlock()
	s.busy.Store(false)
}

func (s *sink) Update(u provider.Update) {
	var b strings.Builder
	b.WriteString("live")
	if u.Snapshot {
		b.Reset()
		b.WriteString("snap")
	}
	for _, f := range u.Fields {
		value := f.Value.S
		if f.Value.Null {
			value = "NULL"
		}
		fmt.Fprintf(&b, " %s=%s", f.Name, value)
	}
	s.add(b.String())
}

func (s *sink) EndOfSnapshot() { s.add("EOS") }
func (s *sink) ClearSnapshot() { s.add("CLS") }
func (s *sink) Lost(cleared bool) {
	if cleared {
		s.add("LOST before CLS")
		return
	}
	s.add("LOST")
}
func (s *sink) DeclareFieldDiffOrder(order []provider.FieldDiff) {
	event := "DFD"
	for _, f := range order {
		event += " " + f.Field + "="
		for _, a := range f.Algorithms {
			event += string(rune(a))
		}
	}
	s.add(event)
}

// take returns the events so far, and forgets them.
func (s *sink) take() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.list, ", ")
	s.list = nil
	return all
}

func (s *sink) expect(want string) {
	s.t.Helper()
	if got := s.take(); got != want {
		s.t.Fatalf("the item got %q, want %q", got, want)
	}
}

// syncBuffer is a log to look into.
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

func newLog() (*slog.Logger, *syncBuffer) {
	b := &syncBuffer{}
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})), b
}

// asError checks that err is a refusal of the given kind.
func asError(t *testing.T, err error, kind provider.ErrorKind) *provider.Error {
	t.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("error %v (%T), want kind %d", err, err, kind)
	}
	return e
}

// background runs call in a goroutine and returns its error's channel.
func background(call func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- call() }()
	return c
}

// pass lets the bubble's clock run.
func pass(d time.Duration) { <-time.After(d) }

var errStop = errors.New("stop")

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	return ctx
}
