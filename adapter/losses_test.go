package adapter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// breaking is a connection that breaks after so many bytes have been written.
type breaking struct {
	net.Conn
	mu   sync.Mutex
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	b.mu.Lock()
	fits := min(len(p), b.left)
	b.left -= fits
	b.mu.Unlock()
	n, err := b.Conn.Write(p[:fits])
	if err == nil && n < len(p) {
		_ = b.Close()
		return n, syscall.EPIPE
	}
	return n, err
}

// Each update that was accepted is counted as written or as lost, wherever the connection breaks,
// and none is counted as written that did not arrive whole.
func FuzzLosses(f *testing.F) {
	for _, after := range []uint16{0, 1, 60, 200, 201, 202, 300, 1000, 5000, 40_000} {
		f.Add(after, false)
		f.Add(after, true)
	}
	f.Fuzz(func(t *testing.T, after uint16, conflate bool) {
		synctest.Test(t, func(t *testing.T) { testLosses(t, int(after), conflate) })
	})
}

func testLosses(t *testing.T, after int, conflate bool) {
	ours, theirs := net.Pipe()
	conn := &breaking{Conn: theirs, left: 1 << 30}
	subs := make(chan *adapter.Subscription, 1)
	var ended adapter.ConnInfo
	var log lockedBuffer
	s := &adapter.DataServer{
		Addr: "proxy:1", Dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Reconnect: adapter.NoReconnect, MaxPending: 2048, Keepalive: -1, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
			subs <- sub
			return nil
		}),
		Events: &adapter.Events{Disconnected: func(c adapter.ConnInfo, _ error) { ended = c }},
	}
	if conflate {
		s.WhenFull = adapter.Conflate
	}
	r := start(t, s)
	c := newPeer(t, ours)
	c.next()
	c.say("1|DPI|S|ARI.version|S|1.9.1")
	c.expect("1|DPI|S|ARI.version|S|1.9.1")
	c.say("2|SUB|S|i")
	c.expect("EOS|S|i|S|2", "2|SUB|V")
	sub := <-subs
	conn.mu.Lock()
	conn.left = after
	conn.mu.Unlock()
	accepted := int64(0)
	for n := range 1000 {
		if err := sub.Update(adapter.Fields{"n": n, "text": strings.Repeat("x", n%50)}); err != nil {
			break
		}
		accepted++
	}
	_ = ours.SetDeadline(time.Now()) // in case all of it has fitted
	c.cut()
	if err := r.wait(); err == nil {
		t.Error("Run returned nil")
	}
	arrived := int64(0)
	for line := range c.lines {
		if strings.Contains(line, "|UD3|") {
			arrived++
		}
	}
	got := s.Stats()
	if got.Updates != arrived || got.Updates+got.LostUnsent+got.Conflated != accepted {
		t.Errorf("of %d updates %d were written, %d merged, %d lost; %d have arrived", accepted, got.Updates, got.Conflated, got.LostUnsent, arrived)
	}
	if ended.LostUnsent != got.LostUnsent || got.LostUnsent > 0 != strings.Contains(log.String(), "updates lost with the connection") {
		t.Errorf("Disconnected tells of %d, Stats of %d lost; the log:\n%s", ended.LostUnsent, got.LostUnsent, log.String())
	}
}

// feed returns a server connected over loopback to a peer that has read the replies, and the
// subscription to feed.
func feed(t *testing.T, change func(*adapter.DataServer)) (*adapter.DataServer, *running, *net.TCPConn, *adapter.Subscription) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	subs := make(chan *adapter.Subscription, 1)
	s := &adapter.DataServer{
		Addr: l.Addr().String(), Reconnect: adapter.NoReconnect, Logger: testLogger(t), Keepalive: -1,
		Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
			subs <- sub
			return nil
		}),
	}
	change(s)
	r := start(t, s)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var got []byte
	for i, say := range []string{"1|DPI|S|ARI.version|S|1.9.1\r\n", "2|SUB|S|i\r\n"} {
		if _, err := conn.Write([]byte(say)); err != nil {
			t.Fatal(err)
		}
		for !bytes.Contains(got, []byte([]string{"1|DPI|", "2|SUB|V\r\n"}[i])) {
			buf := make([]byte, 1000)
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
		}
	}
	return s, r, conn.(*net.TCPConn), <-subs
}

// What the proxy's host has not acknowledged when the connection ends may be lost, and is counted.
func TestMaybeLost(t *testing.T) {
	full := make(chan struct{})
	written := 0
	s, r, conn, sub := feed(t, func(s *adapter.DataServer) {
		s.Events = &adapter.Events{Flushed: func(f adapter.FlushInfo) {
			if before := written; before < 1<<20 {
				if written += f.Bytes; written >= 1<<20 {
					close(full)
				}
			}
		}}
	})
	row := sub.Row(adapter.NewSchema("text"))
	accepted := make(chan int64)
	go func() {
		n := int64(0)
		for row.Update(strings.Repeat("x", 200)) == nil {
			n++
		}
		accepted <- n
	}()
	<-full // more than the host of a proxy that does not read takes
	_ = conn.SetLinger(0)
	_ = conn.Close()
	if err := r.wait(); !errors.Is(err, adapter.ErrDisconnected) {
		t.Errorf("Run returned %v", err)
	}
	n, got := <-accepted, s.Stats()
	// Whether anything had to wait depends on the buffers of this machine: nothing is left
	// uncounted.
	if got.Updates+got.LostUnsent != n {
		t.Errorf("of %d updates %d were written and %d lost", n, got.Updates, got.LostUnsent)
	}
	if acksAreKnown && got.MaybeLost < 1000 || got.MaybeLost > got.Updates {
		t.Errorf("%d of %d updates written may be lost", got.MaybeLost, got.Updates)
	}
}

// A proxy that does not read for longer than AckTimeout, on a host that is well, keeps its
// connection, and misses nothing.
func TestProxyThatPauses(t *testing.T) {
	const timeout = 200 * time.Millisecond
	waiting := make(chan struct{})
	var once sync.Once
	s, _, conn, sub := feed(t, func(s *adapter.DataServer) {
		s.AckTimeout = timeout
		s.Events = &adapter.Events{Waiting: func(adapter.WaitInfo) { once.Do(func() { close(waiting) }) }}
	})
	fed := make(chan int)
	stop := make(chan struct{})
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				fed <- n
				return
			default:
			}
			if sub.Update(adapter.Fields{"n": n}) != nil {
				fed <- n
				return
			}
			n++
		}
	}()
	<-waiting
	<-time.After(8 * timeout)
	if got := s.Stats(); !got.Connected || got.Failures != 0 {
		t.Fatalf("the connection was given up: %+v", got)
	}
	close(stop)
	seen := 0
	all := -1
	for tail, buf := "", make([]byte, 1<<16); seen != all; {
		if all < 0 {
			select {
			case all = <-fed:
				continue
			default:
			}
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		tail += string(buf[:n])
		seen += strings.Count(tail, "\r\n")
		tail = tail[strings.LastIndexByte(tail, '\n')+1:]
	}
}

// Updates that are held back when the server is stopped leave with the others.
func TestStopWritesWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, in, _, subs := stalled(t, func(s *adapter.DataServer) { s.WhenFull = adapter.Conflate })
		for n := range 2000 {
			if err := errors.Join(subs["i"].Update(adapter.Fields{"n": n}), subs["j"].Update(adapter.Fields{"n": n})); err != nil {
				t.Fatal(err)
			}
		}
		r.cancel()
		last := map[string]bool{}
		for len(last) < 2 {
			line := readLines(t, in, 1)[0]
			if item, ok := strings.CutSuffix(line, "|B|0|S|n|S|1999"); ok {
				last[item] = true
			}
		}
		if err := r.wait(); err != nil {
			t.Error(err)
		}
	})
}

// A proxy that has another adapter is asked more and more seldom, and what it said is told.
func TestTurnedAway(t *testing.T) {
	for _, tt := range []struct {
		name, say string
		want      func(error) bool
	}{
		{"with the reason", "0|CLOSE|S|reason|S|there+is+a+remote+adapter+already", func(err error) bool {
			closed, ok := errors.AsType[*adapter.CloseError](err)
			return ok && closed.Occupied && closed.BeforeInit && strings.Contains(err.Error(), "another adapter")
		}},
		{"without a word", "", func(err error) bool {
			return errors.Is(err, adapter.ErrTurnedAway) && errors.Is(err, adapter.ErrDisconnected)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProxy(t)
				var log lockedBuffer
				var events []error
				s := dataServer(t, p, &provider{})
				s.Logger = slog.New(slog.NewTextHandler(&log, nil))
				s.Events = &adapter.Events{Disconnected: func(_ adapter.ConnInfo, err error) { events = append(events, err) }}
				r := start(t, s)
				var last time.Time
				var pauses []time.Duration
				const attempts = 15
				for range attempts {
					c := p.accept()
					if !last.IsZero() {
						pauses = append(pauses, time.Since(last))
					}
					last = time.Now()
					if tt.say != "" {
						c.say(tt.say)
					}
					c.cut()
					synctest.Wait()
					if err := events[len(events)-1]; !tt.want(err) {
						t.Fatalf("Disconnected got %v", err)
					}
				}
				for _, pause := range pauses[len(pauses)-5:] {
					if pause < 30*time.Second || pause > time.Minute {
						t.Errorf("paused for %v, want 30 s to 1 min", pause)
					}
				}
				if n := strings.Count(log.String(), "level=WARN"); n < 1 || n > attempts/3 {
					t.Errorf("%d warnings:\n%s", n, log.String())
				}
				p.acceptData() // the other one has left
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// unwritable is a connection to a proxy that has closed it: writes fail, and what it said before is
// still to be read.
type unwritable struct {
	net.Conn
	closed chan struct{}
}

func (u *unwritable) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func (u *unwritable) Read(p []byte) (int, error) {
	select {
	case <-time.After(500 * time.Millisecond):
		return copy(p, "0|CLOSE|S|reason|S|bad+user\r\n"), nil
	case <-u.closed:
		return 0, net.ErrClosed
	}
}

func (u *unwritable) Close() error { close(u.closed); return nil }

func TestReasonIsReadAfterAFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		s := dataServer(t, p, &provider{})
		s.Dial = func(context.Context, string, string) (net.Conn, error) {
			ours, _ := net.Pipe()
			return &unwritable{ours, make(chan struct{})}, nil
		}
		closed, ok := errors.AsType[*adapter.CloseError](start(t, s).wait())
		if !ok || closed.Reason != "bad user" {
			t.Errorf("Run returned %v", closed)
		}
	})
}

// A process without file descriptors says so once, with the remedy, and tries again with growing
// pauses.
func TestOutOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		var log lockedBuffer
		attempts := 0
		s := dataServer(t, p, &provider{})
		s.Logger = slog.New(slog.NewTextHandler(&log, nil))
		back := time.Now().Add(5 * time.Minute)
		s.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if attempts++; time.Now().Before(back) {
				return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("socket: %w", syscall.EMFILE)}
			}
			return p.Dial(ctx, network, addr)
		}
		start(t, s)
		p.patience = 10 * time.Minute
		p.acceptData()
		if attempts < 20 || attempts > 50 {
			t.Errorf("%d attempts in five minutes", attempts)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "ulimit -n") {
			t.Errorf("%d warnings:\n%s", n, log.String())
		}
	})
}

// A connection that is lost as soon as it was initialised, again and again, is made more and more
// seldom too.
func TestConnectionsThatDoNotLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		start(t, dataServer(t, p, &provider{}))
		began := time.Now()
		const times = 12
		for range times {
			p.acceptData().cut()
		}
		if took := time.Since(began); took < 45*time.Second {
			t.Errorf("%d connections in %v", times, took)
		}
	})
}

// The memory for items is bounded, and that of those unsubscribed is free for others.
func TestTooManyItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		s := dataServer(t, p, &provider{})
		s.MaxItemBytes = 3 * (256 + 10)
		start(t, s)
		c := p.acceptData()
		for i := range 3 {
			c.say(fmt.Sprintf("%d|SUB|S|item%06d", i, i))
			c.expect(fmt.Sprintf("EOS|S|item%06d|S|%d", i, i), fmt.Sprintf("%d|SUB|V", i))
		}
		c.say("4|SUB|S|item000004")
		if got := c.next(); !strings.HasPrefix(got, "4|SUB|E|too+many+items") && !strings.HasPrefix(got, "4|SUB|E|too many items") {
			t.Errorf("got %q", got)
		}
		c.say("5|SUB|S|item000001") // one of those there are
		c.expect("EOS|S|item000001|S|5", "5|SUB|V")
		c.say("6|USB|S|item000000")
		c.expect("6|USB|V")
		c.say("7|SUB|S|item000004")
		c.expect("EOS|S|item000004|S|7", "7|SUB|V")
		c.say("8|SUB|S|" + strings.Repeat("x", 1000))
		if got := c.next(); !strings.HasPrefix(got, "8|SUB|E|") {
			t.Errorf("got %q", got)
		}
	})
}

// Who is not initialised yet cannot make an adapter parse long lines.
func TestLongLineBeforeTheInitialisation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		s := dataServer(t, p, &provider{})
		s.Reconnect = adapter.NoReconnect
		r := start(t, s)
		c := p.accept()
		c.say("1|DPI" + strings.Repeat("|S|a|S|b", 1<<17))
		if err := r.wait(); !errors.Is(err, adapter.ErrLineTooLong) {
			t.Errorf("Run returned %v", err)
		}
	})
}

// Lines that make no sense are counted, each, and logged now and then.
func TestNonsenseDoesNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		var log lockedBuffer
		s := dataServer(t, p, &provider{})
		s.Logger = slog.New(slog.NewTextHandler(&log, nil))
		start(t, s)
		c := p.acceptData()
		const lines = 48_000
		c.say(strings.Repeat("x\r\n", lines-1) + "x")
		c.say("2|SUB|S|i")
		c.expect("EOS|S|i|S|2", "2|SUB|V")
		if got := s.Stats().ProtocolErrors; got != lines {
			t.Errorf("%d errors counted", got)
		}
		if n := strings.Count(log.String(), "level=WARN"); n > 25 {
			t.Errorf("%d warnings", n)
		}
		<-time.After(time.Minute) // virtual
		c.say("x", "3|USB|S|i")
		c.expect("3|USB|V")
		if !strings.Contains(log.String(), "like_it_not_logged=479") {
			t.Errorf("the log does not tell of those it leaves out:\n%s", log.String())
		}
	})
}
