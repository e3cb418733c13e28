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
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		initialised := 0
		subs := make(chan *adapter.Subscription, 2)
		r := start(t, dataServer(t, p, &provider{
			initialize: func(context.Context, adapter.Init) error {
				initialised++
				return nil
			},
			subscribe: func(_ context.Context, sub *adapter.Subscription) error {
				subs <- sub
				return nil
			},
			unsubscribe: func(context.Context, *adapter.Subscription) error {
				t.Error("Unsubscribe was called for a lost connection")
				return nil
			},
		}))
		c := p.acceptData()
		c.say("2|SUB|S|i")
		c.expect("EOS|S|i|S|2", "2|SUB|V")
		lost := <-subs
		c.cut()
		<-lost.Context().Done()
		if cause := context.Cause(lost.Context()); !errors.Is(cause, adapter.ErrDisconnected) {
			t.Errorf("cause = %v, want ErrDisconnected", cause)
		}
		if err := lost.Update(nil); !errors.Is(err, adapter.ErrSubscriptionEnded) {
			t.Errorf("Update returned %v, want ErrSubscriptionEnded", err)
		}
		c = p.acceptData()
		c.say("3|SUB|S|i")
		c.expect("EOS|S|i|S|3", "3|SUB|V")
		if err := (<-subs).Update(adapter.Fields{"f": "x"}); err != nil {
			t.Error(err)
		}
		c.expect("UD3|S|i|S|3|B|0|S|f|S|x")
		if initialised != 2 {
			t.Errorf("initialised %d times, want 2", initialised)
		}
		if err := r.stop(); err != nil {
			t.Errorf("Run returned %v after a stop", err)
		}
	})
}

func TestStartBeforeTheProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		var pauses []time.Duration
		last := time.Now()
		s := dataServer(t, p, &provider{})
		s.Reconnect = &adapter.Backoff{Min: time.Second, Max: 20 * time.Second}
		s.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			pauses = append(pauses, time.Since(last))
			last = time.Now()
			if len(pauses) < 7 {
				return nil, errRefused
			}
			return p.Dial(ctx, network, addr)
		}
		start(t, s)
		p.acceptData()
		for i, millis := range []int{0, 500, 1000, 2000, 4000, 8000, 10000} {
			least := time.Duration(millis) * time.Millisecond
			if pauses[i] < least || pauses[i] > 2*least {
				t.Errorf("pause %d was %v, want between %v and twice that", i, pauses[i], least)
			}
		}
	})
}

func TestCloseByTheProxy(t *testing.T) {
	for _, tt := range []struct {
		name       string
		beforeInit bool
		reconnect  *adapter.Backoff
		again      bool
	}{
		{"at work: connect again", false, nil, true},
		{"at work, no reconnection", false, adapter.NoReconnect, false},
		{"refused", true, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProxy(t)
				s := dataServer(t, p, &provider{})
				s.Reconnect = tt.reconnect
				r := start(t, s)
				var c *peer
				if tt.beforeInit {
					c = p.accept()
				} else {
					c = p.acceptData()
				}
				c.say("0|CLOSE|S|reason|S|bad+user%7C100%25")
				c.expectClosed()
				if tt.again {
					p.acceptData()
					return
				}
				var closed *adapter.CloseError
				err := r.wait()
				if !errors.As(err, &closed) || closed.Reason != "bad user|100%" || closed.BeforeInit != tt.beforeInit {
					t.Errorf("Run returned %v", err)
				}
				if !strings.Contains(err.Error(), "data server proxy:8001") {
					t.Errorf("error %q does not name the server", err)
				}
			})
		})
	}
}

func TestStopFlushesAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		subs := make(chan *adapter.Subscription, 1)
		r := start(t, dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
			subs <- sub
			return nil
		})))
		c := p.acceptData()
		c.say("2|SUB|S|i")
		c.expect("EOS|S|i|S|2", "2|SUB|V")
		sub := <-subs
		for n := range 100 {
			if err := sub.Update(adapter.Fields{"n": n}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.stop(); err != nil {
			t.Errorf("Run returned %v", err)
		}
		for n := range 100 {
			c.expect(fmt.Sprintf("UD3|S|i|S|2|B|0|S|n|S|%d", n))
		}
		c.expectClosed()
		if cause := context.Cause(sub.Context()); !errors.Is(cause, adapter.ErrStopped) {
			t.Errorf("cause = %v, want ErrStopped", cause)
		}
	})
}

func TestStopDoesNotWaitForHangingCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		var log bytes.Buffer
		forever := make(chan struct{})
		atWork := make(chan struct{})
		s := dataServer(t, p, adapter.DataProviderFunc(func(context.Context, *adapter.Subscription) error {
			close(atWork)
			<-forever
			return nil
		}))
		s.Logger = slog.New(slog.NewTextHandler(&log, nil))
		r := start(t, s)
		c := p.acceptData()
		c.say("2|SUB|S|stuck")
		<-atWork
		before := time.Now()
		if err := r.stop(); err != nil {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(before); took > adapter.DefaultStopTimeout {
			t.Errorf("the stop took %v", took)
		}
		if !strings.Contains(log.String(), "Subscribe stuck") {
			t.Errorf("the log does not tell which callback hangs:\n%s", &log)
		}
		close(forever)
		synctest.Wait()
	})
}

// A proxy that stops reading must not make memory grow, nor keep replies from the queue once it reads again.
func TestUpdatesWaitForASlowProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		subs := make(chan *adapter.Subscription, 2)
		s := dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
			subs <- sub
			return nil
		}))
		s.MaxPending = 4096
		ours, theirs := net.Pipe()
		s.Dial = func(context.Context, string, string) (net.Conn, error) { return theirs, nil }
		r := start(t, s)
		c := &peer{t: t, conn: ours}
		readLine := func() {
			one := make([]byte, 1)
			for one[0] != '\n' {
				if _, err := ours.Read(one); err != nil {
					t.Fatal(err)
				}
			}
		}
		readLine() // RAC
		c.say("1|DPI|S|ARI.version|S|1.9.1")
		readLine()
		c.say("2|SUB|S|i", "3|SUB|S|j")
		for range 4 {
			readLine() // EOS and the reply, of each
		}
		// From here on nothing is read.
		sub := <-subs
		other := <-subs
		var sent int
		blocked := make(chan error)
		go func() {
			for {
				if err := sub.Update(adapter.Fields{"f": strings.Repeat("x", 100)}); err != nil {
					blocked <- err
					return
				}
				sent++
			}
		}()
		synctest.Wait()
		if most := 2 * (4096/100 + 1); sent == 0 || sent > most {
			t.Errorf("%d updates of over 100 bytes were taken, want some, but at most %d", sent, most)
		}
		c.say("4|USB|S|" + sub.Item()) // the reader goes on, and ends the wait
		if err := <-blocked; !errors.Is(err, adapter.ErrSubscriptionEnded) {
			t.Errorf("the waiting Update returned %v, want ErrSubscriptionEnded", err)
		}
		go func() { blocked <- other.Update(adapter.Fields{"f": "x"}) }()
		synctest.Wait()
		r.cancel() // a stop ends the wait too
		if err := <-blocked; !errors.Is(err, adapter.ErrSubscriptionEnded) {
			t.Errorf("the waiting Update returned %v, want ErrSubscriptionEnded", err)
		}
		before := time.Now()
		if err := r.wait(); err != nil {
			t.Error(err)
		}
		if took := time.Since(before); took > 2*adapter.DefaultStopTimeout {
			t.Errorf("the stop took %v with a proxy that does not read", took)
		}
	})
}

func TestConnectedByTheProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &adapter.DataServer{Provider: &provider{}, Listener: l, Logger: testLogger(t)}
	r := start(t, s)
	for range 2 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c := newPeer(t, conn)
		if rac := c.next(); !strings.HasPrefix(rac, "1|RAC|") {
			t.Fatalf("first line is %q", rac)
		}
		c.say("1|DPI|S|ARI.version|S|1.9.1")
		c.expect("1|DPI|S|ARI.version|S|1.9.1")
		c.cut()
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for want, s := range map[string]interface{ Validate() error }{
		"Provider is missing":             &adapter.DataServer{Addr: "h:1"},
		"DefaultMetadata will do":         &adapter.MetadataServer{Addr: "h:1"},
		"set Addr to":                     &adapter.DataServer{Provider: &provider{}},
		"not both":                        &adapter.DataServer{Provider: &provider{}, Addr: "h:1", Listener: l},
		"missing port":                    &adapter.DataServer{Provider: &provider{}, Addr: "h"},
		`port "0" is not a number from 1`: &adapter.DataServer{Provider: &provider{}, Addr: "h:0"},
		"MaxPending is negative":          &adapter.DataServer{Provider: &provider{}, Addr: "h:1", MaxPending: -1},
		"MaxLine is negative":             &adapter.DataServer{Provider: &provider{}, Addr: "h:1", MaxLine: -1},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want an error with %q", err, want)
		}
	}
	if err := (&adapter.DataServer{Provider: &provider{}, Addr: "h:1"}).Validate(); err != nil {
		t.Error(err)
	}
	both := &adapter.DataServer{MaxPending: -1}
	if err := both.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "MaxPending") || !strings.Contains(err.Error(), "Provider") {
		t.Errorf("Run() = %v, want every mistake", err)
	}
}

func TestRunStopsAllWhenOneFails(t *testing.T) {
	p := newProxy(t)
	refusal := errors.New("cannot work")
	bad := dataServer(t, p, &provider{initialize: func(context.Context, adapter.Init) error { return refusal }})
	good := newProxy(t)
	done := make(chan error, 1)
	go func() {
		done <- adapter.Run(t.Context(), metadataServer(t, good, adapter.DefaultMetadata{}), bad)
	}()
	m := good.acceptMetadata()
	c := p.accept()
	c.say("1|DPI|S|ARI.version|S|1.9.1")
	c.expect("1|DPI|E|cannot+work")
	m.expectClosed()
	if err := <-done; !errors.Is(err, refusal) {
		t.Errorf("Run returned %v", err)
	}
}

func TestCredentialsFailureIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		s := dataServer(t, p, &provider{})
		calls := 0
		s.Credentials = func(context.Context) (adapter.Credentials, error) {
			if calls++; calls == 1 {
				return adapter.Credentials{}, errors.New("vault sealed")
			}
			return adapter.Credentials{User: "u"}, nil
		}
		start(t, s)
		p.acceptData()
		if calls != 2 {
			t.Errorf("Credentials was called %d times, want 2", calls)
		}
	})
}

func TestSecretsStayOutOfTheLog(t *testing.T) {
	p := newProxy(t)
	var log lockedBuffer
	s := metadataServer(t, p, adapter.DefaultMetadata{})
	s.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.Credentials = func(context.Context) (adapter.Credentials, error) {
		return adapter.Credentials{User: "u", Password: "tiger1"}, nil
	}
	r := start(t, s)
	c := p.acceptMetadata()
	c.say("2|NUS|S|scott|S|tiger2")
	c.expect("2|NUS|D|0.0|B|0")
	c.say("3|NUS|S|scott|S|tiger3%zz")
	c.next()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	text := log.String() + fmt.Sprintf("%v %+v %#v", adapter.User{Password: "tiger4"}, adapter.User{Password: "tiger4"}, adapter.User{Password: "tiger4"})
	if strings.Contains(text, "tiger") {
		t.Errorf("a password shows:\n%s", text)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A proxy that accepts the connection and says nothing is given up; the next one may do better.
func TestNoInitialisation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		start(t, dataServer(t, p, &provider{}))
		p.accept().expectClosed()
		p.acceptData()
	})
}

func TestRunTwice(t *testing.T) {
	p := newProxy(t)
	s := dataServer(t, p, &provider{})
	r := start(t, s)
	p.acceptData()
	if err := s.Run(t.Context()); !errors.Is(err, adapter.ErrRunning) {
		t.Errorf("a second Run returned %v, want ErrRunning", err)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	start(t, s) // one after the other is fine
	p.acceptData()
}
