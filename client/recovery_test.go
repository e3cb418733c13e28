package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/client"
)

// network is how a client reaches the server in a test: connections can be cut, at once or after so many bytes, or fall silent.
type network struct {
	mu     sync.Mutex
	conns  map[*wire]struct{}
	refuse bool
	dials  int
	budget func() int // bytes that a new connection lets through to the client; negative: any number; nil: any number
	mute   bool       // new and old connections carry nothing to the client
}

type wire struct {
	net.Conn
	n    *network
	left int // negative: no end
	once sync.Once
	cut  chan struct{}
}

var errCut = errors.New("the network is down")

func (n *network) dial(ctx context.Context, netw, addr string) (net.Conn, error) {
	n.mu.Lock()
	refuse, left := n.refuse, -1
	n.dials++
	if n.budget != nil {
		left = n.budget()
	}
	n.mu.Unlock()
	if refuse {
		return nil, errCut
	}
	conn, err := new(net.Dialer).DialContext(ctx, netw, addr)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn, n: n, left: left, cut: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conns == nil {
		n.conns = make(map[*wire]struct{})
	}
	n.conns[w] = struct{}{}
	return w, nil
}

// Read loses what is beyond the budget, as what is in flight is lost when a network fails.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.n.mu.Lock()
	mute := w.n.mute
	w.n.mu.Unlock()
	if mute && err == nil {
		<-w.cut
		return 0, errCut
	}
	if w.left >= 0 && n >= w.left {
		n = w.left
		w.left = 0
		w.Close()
		return n, errCut
	}
	if w.left > 0 {
		w.left -= n
	}
	return n, err
}

func (w *wire) Close() error {
	w.once.Do(func() { close(w.cut) })
	w.n.mu.Lock()
	delete(w.n.conns, w)
	w.n.mu.Unlock()
	return w.Conn.Close()
}

// cutAll cuts the connections there are.
func (n *network) cutAll() {
	n.mu.Lock()
	var all []*wire
	for w := range n.conns {
		all = append(all, w)
	}
	n.mu.Unlock()
	for _, w := range all {
		w.Close()
	}
}

func (n *network) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// numbers checks that the numbers from 0 come in order, none missing and none twice.
type numbers struct {
	t    *testing.T
	next int
	all  chan struct{}
	last int
}

func newNumbers(t *testing.T, count int) *numbers {
	return &numbers{t: t, all: make(chan struct{}), last: count - 1}
}

func (c *numbers) update(u *client.Update) {
	v, _ := u.At(0)
	n, err := strconv.Atoi(v)
	if err != nil || n != c.next {
		c.t.Errorf("got number %q, want %d", v, c.next)
	}
	if n == c.last {
		close(c.all)
	}
	c.next = n + 1
}

func (c *numbers) await() {
	c.t.Helper()
	select {
	case <-c.all:
	case <-time.After(patience):
		c.t.Fatal("not all updates come")
	}
}

// Connections that break again and again, in the midst of lines, of recoveries and of requests, lose nothing and repeat nothing: no update, and
// no message. The rows of a MERGE item, whose updates are differences, stay right.
func TestNothingLostNothingTwice(t *testing.T) {
	r, f, d := start(t)
	random := rand.New(rand.NewPCG(7, 7))
	n := &network{}
	c := connect(t, client.Config{Addr: r.URL(), DialContext: n.dial, RecoveryTimeout: patience})
	n.set(func() {
		n.budget = func() int { return 300 + random.IntN(1500) } // from the next connection on
	})
	const total, messages = 2000, 40
	raw, merge := newNumbers(t, total), make(chan string, 10_000)
	if _, err := c.Subscribe(t.Context(), client.Subscription{Mode: client.Raw, Items: []string{"raw.1"}, Fields: []string{"n"}, OnUpdate: raw.update}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Subscribe(t.Context(), client.Subscription{
		Mode: client.Merge, Items: []string{"quote.1"}, Fields: []string{"name", "last", "sum"}, Snapshot: true, Unfiltered: true,
		OnUpdate: func(u *client.Update) {
			name, _ := u.At(0)
			last, _ := u.At(1)
			sum, _ := u.At(2)
			merge <- name + " " + last + " " + sum
		},
	}); err != nil {
		t.Fatal(err)
	}
	item, quote := f.item(t, "raw.1"), f.item(t, "quote.1")
	n.cutAll()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range messages {
			text := fmt.Sprint("m", i)
			if got, err := c.Send(t.Context(), client.Message{Text: text, Sequence: "s"}); got != "got "+text || err != nil {
				t.Errorf("message %d: %q, %v", i, got, err)
				return
			}
		}
	})
	for i := range total {
		item.Update(adapter.Fields{"n": i})
		if i%10 == 0 {
			quote.Update(adapter.Fields{"last": fmt.Sprint(i / 20), "sum": fmt.Sprint(i/20 + i)})
		}
		if i%400 == 399 { // so that the cuts are spread over the whole
			waitFor(t, "the updates so far", func() bool { return c.Stats().Updates > int64(i) })
		}
	}
	raw.await()
	wg.Wait()
	want := []string{"quote.1 1.0 "}
	for i := 0; i < total; i += 10 {
		want = append(want, fmt.Sprintf("quote.1 %d %d", i/20, i/20+i))
	}
	for _, w := range want {
		if got := <-merge; got != w {
			t.Fatalf("got %q, want %q", got, w)
		}
	}
	if c.Stats().Recoveries < 3 || n.dials < 20 {
		t.Errorf("only %d recoveries, %d connections", c.Stats().Recoveries, n.dials)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, m := range d.messages {
		if m != fmt.Sprint("m", i) {
			t.Fatalf("message %d is %q", i, m)
		}
	}
	if len(d.messages) != messages {
		t.Errorf("%d messages came", len(d.messages))
	}
}

// Requests made while there is no connection are sent when there is one.
func TestRequestsWithoutConnection(t *testing.T) {
	r, f, _ := start(t)
	n := &network{}
	c := connect(t, client.Config{Addr: r.URL(), DialContext: n.dial, RecoveryTimeout: patience})
	n.set(func() { n.refuse = true })
	n.cutAll()
	got := make(recorder, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		sub, err := c.Subscribe(t.Context(), got.callbacks(client.Subscription{Mode: client.Raw, Items: []string{"raw.1"}, Fields: []string{"n"}}))
		if err != nil {
			t.Error(err)
			return
		}
		f.item(t, "raw.1").Update(adapter.Fields{"n": 1})
		got.expect(t, "raw.1 1!")
		if err := sub.Unsubscribe(t.Context()); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if answer, err := c.Send(t.Context(), client.Message{Text: "x"}); answer != "got x" || err != nil {
			t.Errorf("%q, %v", answer, err)
		}
	})
	<-time.After(20 * time.Millisecond) // most of the time they are waiting by now
	n.set(func() { n.refuse = false })
	wg.Wait()
}

// A network that falls silent without breaking is noticed.
func TestSilence(t *testing.T) {
	r, f, _ := start(t)
	n := &network{}
	c := connect(t, client.Config{Addr: r.URL(), DialContext: n.dial, Keepalive: time.Second, Patience: 100 * time.Millisecond})
	got := newNumbers(t, 2)
	if _, err := c.Subscribe(t.Context(), client.Subscription{Mode: client.Raw, Items: []string{"raw.1"}, Fields: []string{"n"}, OnUpdate: got.update}); err != nil {
		t.Fatal(err)
	}
	item := f.item(t, "raw.1")
	item.Update(adapter.Fields{"n": 0})
	n.set(func() { n.mute = true })
	item.Update(adapter.Fields{"n": 1})
	<-time.After(200 * time.Millisecond)
	// The connection is given up when the keepalive does not come; the next one carries everything again.
	n.set(func() { n.mute = false })
	got.await()
}

// A session that cannot be recovered ends, whichever way it is known.
func TestNotRecovered(t *testing.T) {
	r, _, d := start(t)
	t.Run("in time", func(t *testing.T) {
		n := &network{}
		c := connect(t, client.Config{Addr: r.URL(), DialContext: n.dial, RecoveryTimeout: time.Millisecond})
		n.set(func() { n.refuse = true })
		n.cutAll()
		<-c.Done()
		if err := c.Err(); !errors.Is(err, client.ErrLost) || !errors.Is(err, errCut) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("switched off", func(t *testing.T) {
		n := &network{}
		c := connect(t, client.Config{Addr: r.URL(), DialContext: n.dial, RecoveryTimeout: -1})
		n.cutAll()
		<-c.Done()
		if err := c.Err(); !errors.Is(err, client.ErrLost) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("session gone", func(t *testing.T) {
		n := &network{}
		c := connect(t, client.Config{Addr: r.URL(), DialContext: n.dial, RecoveryTimeout: patience})
		n.set(func() { n.refuse = true })
		n.cutAll()
		if err := d.control.ForceSessionTermination(t.Context(), c.SessionID(), nil); err != nil {
			t.Fatal(err)
		}
		n.set(func() { n.refuse = false })
		<-c.Done()
		if end, ok := errors.AsType[*client.SessionError](c.Err()); !ok || end.Code != 32 {
			t.Errorf("got %v", c.Err())
		}
	})
	t.Run("closed meanwhile", func(t *testing.T) {
		n := &network{}
		c := connect(t, client.Config{Addr: r.URL(), DialContext: n.dial, RecoveryTimeout: patience})
		n.set(func() { n.refuse = true })
		n.cutAll()
		c.Close()
		if err := c.Err(); err != nil {
			t.Errorf("got %v", err)
		}
	})
	t.Run("from the beginning", func(t *testing.T) {
		n := &network{refuse: true}
		if _, err := client.Connect(t.Context(), client.Config{Addr: r.URL(), DialContext: n.dial}); !errors.Is(err, errCut) {
			t.Errorf("got %v", err)
		}
	})
}

// A server that breaks the protocol is told from one that is gone.
func TestProtocolErrors(t *testing.T) {
	r, f, _ := start(t)
	for name, replace := range map[string][2]string{
		"unreadable line": {"U,1,1,1", "U,1,x,1"},
		"unknown item":    {"U,1,1,1", "U,1,9,1"},
		"too few fields":  {"U,1,1,1", "U,1,1,|"},
		// Outside a recovery nothing is repeated, so the server's count has to be the client's: here 2, of SUBOK and CONF.
		"behind the count": {"U,1,1,1", "PROG,01"},
		"ahead of it":      {"U,1,1,1", "PROG,03"},
	} {
		t.Run(name, func(t *testing.T) {
			dial := func(ctx context.Context, netw, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, netw, addr)
				return &forger{conn, replace}, err
			}
			c := connect(t, client.Config{Addr: r.URL(), DialContext: dial})
			if _, err := c.Subscribe(t.Context(), client.Subscription{Mode: client.Raw, Items: []string{"raw." + name[:2]}, Fields: []string{"n"}}); err != nil {
				t.Fatal(err)
			}
			f.item(t, "raw."+name[:2]).Update(adapter.Fields{"n": 1})
			select {
			case <-c.Done():
			case <-time.After(patience):
				t.Fatal("the session goes on")
			}
			if !errors.Is(c.Err(), client.ErrProtocol) {
				t.Errorf("got %v", c.Err())
			}
		})
	}
}

// A server may tell the count of notifications outside a recovery, too, and nothing comes of it if it is right.
func TestProgress(t *testing.T) {
	r, f, _ := start(t)
	dial := func(ctx context.Context, netw, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, netw, addr)
		return &forger{conn, [2]string{"U,1,1,1", "PROG,02"}}, err
	}
	c := connect(t, client.Config{Addr: r.URL(), DialContext: dial})
	got := make(recorder, 100)
	if _, err := c.Subscribe(t.Context(), got.callbacks(client.Subscription{Mode: client.Raw, Items: []string{"raw.1"}, Fields: []string{"n"}})); err != nil {
		t.Fatal(err)
	}
	item := f.item(t, "raw.1")
	item.Update(adapter.Fields{"n": 1})
	item.Update(adapter.Fields{"n": 2})
	got.expect(t, "raw.1 2!")
}

// forger changes what a server says, if it comes in one piece. The length stays.
type forger struct {
	net.Conn
	replace [2]string
}

func (g *forger) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	copy(b[:n], strings.Replace(string(b[:n]), g.replace[0], g.replace[1], 1))
	return n, err
}

var _ io.Reader = (*forger)(nil)
