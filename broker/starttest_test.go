package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// watched is the testing.TB of a test about tests: failures are kept, and cleanups are run by end.
type watched struct {
	testing.TB
	failures []string
	fatal    bool
	cleanups []func()
	log      bytes.Buffer
}

func (w *watched) Helper()                   {}
func (w *watched) Output() io.Writer         { return &w.log }
func (w *watched) Cleanup(f func())          { w.cleanups = append(w.cleanups, f) }
func (w *watched) Errorf(f string, a ...any) { w.failures = append(w.failures, fmt.Sprintf(f, a...)) }
func (w *watched) Fatal(a ...any) {
	w.failures, w.fatal = append(w.failures, fmt.Sprint(a...)), true
	panic(w)
}

// run calls f as a test, and its cleanups.
func (w *watched) run(f func()) {
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(w) {
				panic(p)
			}
		}()
		f()
	}()
	for _, f := range w.cleanups {
		f()
	}
}

// stubborn has a Subscribe that returns late, and declares failures when told to.
type stubborn struct {
	control chan *adapter.Control
	entered chan struct{}
	leave   chan struct{}
}

func (s *stubborn) Initialize(_ context.Context, in adapter.Init) error {
	s.control <- in.Control
	return nil
}

func (s *stubborn) Subscribe(context.Context, *adapter.Subscription) error {
	close(s.entered)
	<-s.leave
	return nil
}

func TestShop(t *testing.T) { testShop(t) }

func TestStartTest(t *testing.T) {
	newStubborn := func() *stubborn {
		return &stubborn{control: make(chan *adapter.Control, 1), entered: make(chan struct{}), leave: make(chan struct{})}
	}
	set := func(s *stubborn) adapter.Set {
		return adapter.Set{Data: map[string]adapter.DataProvider{"DEFAULT": s}}
	}
	t.Run("clean", func(t *testing.T) {
		w := &watched{TB: t}
		var r *broker.Running
		w.run(func() {
			r = broker.StartTest(w, set(newStubborn()))
			if !strings.HasPrefix(r.URL(), "http://127.0.0.1:") {
				t.Errorf("serving %s", r.URL())
			}
		})
		<-r.Done()
		if len(w.failures) > 0 || w.log.Len() == 0 {
			t.Errorf("failures %q, log %q", w.failures, &w.log)
		}
	})
	t.Run("does not start", func(t *testing.T) {
		w := &watched{TB: t}
		w.run(func() { broker.StartTest(w, adapter.Set{Data: map[string]adapter.DataProvider{"X": nil}}) })
		if !w.fatal {
			t.Errorf("failures %q", w.failures)
		}
	})
	t.Run("failure", func(t *testing.T) {
		w := &watched{TB: t}
		w.run(func() {
			s := newStubborn()
			r := broker.StartTest(w, set(s))
			if err := (<-s.control).Failure("feed gone"); err != nil {
				t.Error(err)
			}
			<-r.Done()
		})
		if len(w.failures) != 1 || !strings.Contains(w.failures[0], "feed gone") {
			t.Errorf("failures %q", w.failures)
		}
	})
	t.Run("hanging callback", func(t *testing.T) {
		w := &watched{TB: t}
		s := newStubborn()
		defer close(s.leave)
		w.run(func() {
			r := broker.StartTest(w, set(s))
			session, err := http.Post(r.URL()+"/lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0", "text/plain",
				strings.NewReader("LS_polling=true&LS_polling_millis=0&LS_idle_millis=0"))
			if err != nil {
				t.Fatal(err)
			}
			defer session.Body.Close()
			head, _ := io.ReadAll(session.Body)
			id := strings.Split(string(head), ",")[1]
			control, err := http.Post(r.URL()+"/lightstreamer/control.txt?LS_protocol=TLCP-2.5.0", "text/plain",
				strings.NewReader("LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_group=a&LS_schema=f&LS_session="+id))
			if err != nil {
				t.Fatal(err)
			}
			control.Body.Close()
			<-s.entered
		})
		if len(w.failures) != 1 || !strings.Contains(w.failures[0], "left behind") {
			t.Errorf("failures %q", w.failures)
		}
	})
}
