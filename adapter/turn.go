package adapter

import (
	"runtime/pprof"
	"sync/atomic"
	"time"
)

// A turn is the right to read the requests of a connection. The goroutine that has it also runs their callbacks, one after the other as it reads them: most
// take less time than it would to wake another goroutine. A callback that takes longer costs the turn: a new goroutine reads on, and the old one goes on
// as a worker of calls when its callback returns. So callbacks are isolated from the reader and from each other, but for a delay of at most two lookIntervals.
//
// While callbacks are slow, they are left to the workers as they are read, until there was a moment without any, or the workers are through with them quickly.
// One alone is no proof: on a busy machine the goroutine may just not have been given a processor.
type turn struct {
	calls *calls
	pass  func() // starts the goroutine that reads on

	state   atomic.Uint64 // callbacks begun and ended, in all: odd while one runs
	slow    atomic.Bool
	watched atomic.Bool

	// Of the goroutine that has the turn; and of the watch, once that has taken the turn away.
	holder *worker
	task   task

	// Guarded by calls.mu.
	watch *time.Timer
	seen  uint64 // state at the last look
	late  int    // looks in a row that found a callback at work, and few done since the one before
	taken uint64 // by the workers, at the last look
	calm  int    // looks since the turn was taken away
}

const (
	lookInterval = 500 * time.Microsecond
	// Fewer callbacks than fewTasks in an interval, lateLooks times, take longer than a worker would to wake up.
	fewTasks  = 25
	lateLooks = 3
	// Two that cost the turn within so many looks make callbacks slow.
	calmLooks = 8
)

// run runs a task, or has it run by a worker. It returns false if that has cost the caller the turn: somebody else reads on. alone says that no other
// request waits to be read.
func (t *turn) run(f task, alone bool) bool {
	if t.slow.Load() && t.calls.startIfBusy(f, &t.slow) {
		t.keepWatch()
		return true
	}
	running := t.state.Load() + 1
	t.task, t.holder.turn = f, running
	t.state.Store(running)
	t.keepWatch()
	f.run(alone)
	if !t.state.CompareAndSwap(running, running+1) {
		return false
	}
	f.recycle()
	return true
}

// running returns how many callbacks the goroutine with the turn is at: 0 or 1. t may be nil.
func (t *turn) running() int64 {
	if t == nil {
		return 0
	}
	return int64(t.state.Load() % 2)
}

// keepWatch sees to it that look is called.
func (t *turn) keepWatch() {
	if t.watched.Load() {
		return
	}
	t.calls.mu.Lock()
	defer t.calls.mu.Unlock()
	if t.calls.stopped {
		return
	}
	t.watched.Store(true)
	if t.watch == nil {
		t.watch = time.AfterFunc(lookInterval, t.look)
	} else {
		t.watch.Reset(lookInterval)
	}
}

// look takes the turn away from a callback that was running at the last look already, and stops looking when nothing has happened since.
func (t *turn) look() {
	c := t.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	state := t.state.Load()
	running := state%2 == 1
	t.calm++
	switch {
	case running && state == t.seen:
		t.take(state)
	case running && state-t.seen < 2*fewTasks:
		if t.late++; t.late >= lateLooks {
			t.slow.Store(true)
		}
	default:
		t.late = 0
	}
	done := c.taken - t.taken // by the workers
	if done >= fewTasks*uint64(max(len(c.working), 1)) && c.limit == 0 {
		t.slow.Store(false)
	}
	if !running && state == t.seen && done == 0 {
		t.watched.Store(false)
		// Whoever begins a callback now starts the watch. One begun just before may have counted on this one.
		if t.state.Load() == state {
			return
		}
		t.watched.Store(true)
	}
	t.seen, t.taken = state, c.taken
	t.watch.Reset(lookInterval)
}

// hurry takes the turn away from a callback that is running now, if one is.
func (t *turn) hurry() {
	t.calls.mu.Lock()
	defer t.calls.mu.Unlock()
	if state := t.state.Load(); state%2 == 1 {
		t.take(state)
	}
}

// take makes a worker of the goroutine that has the turn, unless its callback has just returned. calls.mu is held.
func (t *turn) take(state uint64) {
	if !t.state.CompareAndSwap(state, state+1) {
		return
	}
	if t.calm < calmLooks || t.calls.limit > 0 {
		t.slow.Store(true)
	}
	t.calm = 0
	t.calls.enlist(t.holder, t.task)
	t.pass()
}

// hold is the life of a goroutine with the turn: it reads until the connection ends, and tells ended, or until a callback has cost it the turn.
func (t *turn) hold(read func() (kept bool), ended func()) {
	w := &worker{wake: make(chan struct{}, 1)}
	t.holder = w
	pprof.SetGoroutineLabels(t.calls.ctx) // as a child of the watch it would have none
	returned := false
	defer func() {
		if !returned {
			t.abandoned(w)
		}
	}()
	kept := read()
	returned = true
	if kept {
		ended()
	} else {
		t.calls.work(w)
	}
}

// abandoned is for a callback that has ended its goroutine ([runtime.Goexit], as testing.T.FailNow does): the connection goes on without it.
func (t *turn) abandoned(w *worker) {
	if t.state.CompareAndSwap(w.turn, w.turn+1) {
		t.pass()
		return
	}
	t.calls.dismiss(w)
}
