package client

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A watch tells when a wait has lasted too long for this process, not by the clock: a process that
// was stopped, or whose machine was asleep, finds its timers run out although what it waits for is
// there. So the watch looks twice, and what lies between the looks is time in which the process was
// running and could have read.
type watch struct {
	received func() int64 // counts what has come; if it grows, the wait begins anew. Nil: only time counts
	expired  func()       // called once, on a goroutine of its own

	mu    sync.Mutex
	timer *time.Timer
	armed bool
	again bool // this is the second look
	wait  time.Duration
	due   time.Time // of the next look
	seen  int64
}

func newWatch(received func() int64, expired func()) *watch {
	w := &watch{received: received, expired: expired}
	w.timer = time.AfterFunc(time.Hour, func() { w.look(time.Now()) })
	w.timer.Stop()
	return w
}

// arm begins a wait, in place of the one before.
func (w *watch) arm(wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed, w.wait = true, wait
	if w.received != nil {
		w.seen = w.received()
	}
	w.next(time.Now(), wait, false)
}

// disarm ends the wait. What it has waited for has come, even if the watch was just about to
// expire.
func (w *watch) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = false
	w.timer.Stop()
}

// next sets the next look. w.mu is held.
func (w *watch) next(now time.Time, wait time.Duration, again bool) {
	w.due, w.again = now.Add(wait), again
	w.timer.Reset(wait)
}

// confirmation is the time between the two looks.
func (w *watch) confirmation() time.Duration {
	return max(min(w.wait/4, time.Second), time.Millisecond)
}

func (w *watch) look(now time.Time) {
	w.mu.Lock()
	if !w.armed || now.Before(w.due) { // armed anew while the timer's goroutine was starting
		w.mu.Unlock()
		return
	}
	late := now.Sub(w.due) > w.confirmation()/2
	seen := w.seen
	if w.received != nil {
		seen = w.received()
	}
	switch {
	case seen != w.seen:
		w.seen = seen
		w.next(now, w.wait, false)
	case !w.again || late:
		w.next(now, w.confirmation(), true)
	default:
		w.armed = false
		w.mu.Unlock()
		w.expired()
		return
	}
	w.mu.Unlock()
}

// within returns a context that is cancelled when a wait has lasted too long, as a watch sees it.
func within(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := newWatch(nil, func() { cancel(fmt.Errorf("no answer within %v", wait)) })
	w.arm(wait)
	return ctx, func() {
		w.disarm()
		cancel(nil)
	}
}

// A stopwatch measures time in which this process was running: a pause counts as two steps at most.
type stopwatch struct {
	mu      sync.Mutex
	timer   *time.Timer
	last    time.Time
	elapsed time.Duration
}

const stopwatchStep = 250 * time.Millisecond

func startStopwatch() *stopwatch {
	s := &stopwatch{last: time.Now()}
	s.mu.Lock() // the first step waits until timer is set
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(stopwatchStep, func() {
		s.read()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.timer != nil {
			s.timer.Reset(stopwatchStep)
		}
	})
	return s
}

// read returns the time measured so far.
func (s *stopwatch) read() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.elapsed += min(now.Sub(s.last), 2*stopwatchStep)
	s.last = now
	return s.elapsed
}

// reset begins at 0 again.
func (s *stopwatch) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.elapsed = time.Now(), 0
}

func (s *stopwatch) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	s.timer = nil
}
