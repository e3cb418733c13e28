package client

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A watch expires a quarter later than the wait, 1 s at most, if nothing comes.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var received atomic.Int64
		expired := make(chan time.Time, 1)
		w := newWatch(received.Load, func() { expired <- time.Now() })
		start := time.Now()
		w.arm(10 * time.Second)
		if at := <-expired; at.Sub(start) != 11*time.Second {
			t.Errorf("expired after %v", at.Sub(start))
		}
		// What has come between the looks counts, also a part of a message.
		start = time.Now()
		w.arm(10 * time.Second)
		<-time.After(10*time.Second + 500*time.Millisecond)
		received.Add(1)
		if at := <-expired; at.Sub(start) != 22*time.Second {
			t.Errorf("expired after %v", at.Sub(start))
		}
		w.arm(time.Second)
		w.disarm()
		select {
		case <-expired:
			t.Error("expired although disarmed")
		case <-time.After(time.Minute):
		}
	})
}

// However late its timer is, a watch expires only after a look that was in time: before that, the
// process may have been stopped, and what it waits for may be in the socket.
func TestWatchAfterAPause(t *testing.T) {
	for _, pause := range []time.Duration{0, time.Second, 15 * time.Second, time.Hour} {
		expired := 0
		w := newWatch(nil, func() { expired++ })
		w.arm(24 * time.Hour) // the looks are the test's
		w.wait = 10 * time.Second
		now := w.due
		for range 20 {
			w.look(now.Add(time.Second + pause))
			if expired > 0 {
				t.Fatalf("expired after a pause of %v", pause)
			}
			now = w.due
		}
		w.look(now)
		if expired != 1 {
			t.Errorf("not expired after a pause of %v and then none", pause)
		}
		w.look(now)
		w.disarm()
		if expired != 1 {
			t.Error("expired twice")
		}
	}
}

// A stopwatch counts a pause as two steps at most.
func TestStopwatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStopwatch()
		<-time.After(time.Minute)
		if d := s.read(); d != time.Minute {
			t.Errorf("%v in a minute", d)
		}
		s.reset()
		s.stop() // no steps any more, as in a stopped process
		<-time.After(time.Minute)
		if d := s.read(); d != 2*stopwatchStep {
			t.Errorf("%v in a minute's pause", d)
		}
	})
}
