package adapter

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
)

// calls runs callbacks on goroutines of its own, its workers. As many workers as there are processors take tasks from a queue, so that
// a burst of short ones costs few wake-ups. Tasks must not wait for each other: while the queue does not drain, more workers join, up to the limit.
//
// Each task is known by name, so that one that does not return can be told.
type calls struct {
	ctx   context.Context // its profiler labels are those of the workers
	limit int             // tasks at the same time; 0: none
	count *atomic.Int64   // tasks at work, of all the connections of the server

	mu      sync.Mutex
	queue   []task // from next on
	next    int
	working map[*worker]struct{}
	parked  []*worker // waiting for work
	taken   uint64    // tasks taken from the queue, ever
	watch   *time.Timer
	mark    uint64        // taken, at the last look of watch
	idle    chan struct{} // made by stop, closed when no worker is at work
	stopped bool
}

// A task is the answer to a request: callbacks, and the reply that follows from them.
type task interface {
	// name returns what it is: "Subscribe" and the item, or a method.
	name() (what, item string)
	// run does it, and tells whether the goroutine still has the turn with which it began.
	run(place) (kept bool)
	// recycle may take the task apart for a later one of the turn: nobody else knows it, and it has been run on the goroutine that has the turn.
	recycle(*turn)
}

// worker is a goroutine that runs tasks. It keeps its stack between them, which a new goroutine would have to grow again.
type worker struct {
	wake    chan struct{} // one signal for each time it was parked; closed: end
	current task          // what it is at, guarded by calls.mu
	turn    uint64        // the state of its turn in the callback that it is at; 0: it is at none, or has no turn
}

const (
	maxParked = 16
	// watchInterval is how long tasks wait at most for those at work before a worker more is tried.
	watchInterval = 500 * time.Microsecond
)

func newCalls(ctx context.Context, limit int, count *atomic.Int64) *calls {
	return &calls{ctx: ctx, limit: limit, count: count, working: make(map[*worker]struct{})}
}

// start has a task run by a worker. After stop nothing is started.
func (c *calls) start(f task) {
	c.mu.Lock()
	w := c.enqueue(f)
	c.mu.Unlock()
	w.signal()
}

// startIfBusy starts a task if others are at work or more requests wait behind it; else it clears the flag and returns false.
func (c *calls) startIfBusy(f task, b behind, flag *atomic.Bool) bool {
	c.mu.Lock()
	if len(c.working) == 0 && b == nothing && !c.stopped {
		flag.Store(false)
		c.mu.Unlock()
		return false
	}
	w := c.enqueue(f)
	c.mu.Unlock()
	w.signal()
	return true
}

// enqueue returns a worker that has to be signalled once mu is free, or nil. mu is held.
func (c *calls) enqueue(f task) *worker {
	if c.stopped {
		return nil
	}
	c.queue = append(c.queue, f)
	switch n := len(c.working); {
	case c.limit > 0 && n >= c.limit:
	case n < runtime.GOMAXPROCS(0):
		return c.addWorker()
	default:
		c.watchOver()
	}
	return nil
}

// addWorker puts a worker to work; one that was parked is returned, to be signalled once mu is free. mu is held.
func (c *calls) addWorker() *worker {
	if n := len(c.parked); n > 0 {
		w := c.parked[n-1]
		c.parked = c.parked[:n-1]
		c.working[w] = struct{}{}
		return w
	}
	w := &worker{wake: make(chan struct{}, 1)}
	c.working[w] = struct{}{}
	go c.begin(w) // ends in stop, or when enough are parked
	return nil
}

// enlist makes a worker of a goroutine that is at a task. mu is held.
func (c *calls) enlist(w *worker, f task) {
	c.working[w] = struct{}{}
	w.current = f
	c.count.Add(1)
}

func (w *worker) signal() {
	if w != nil {
		w.wake <- struct{}{}
	}
}

func (c *calls) begin(w *worker) {
	// A worker that the watch has started would have none: profiles could not tell whose it is.
	pprof.SetGoroutineLabels(c.ctx)
	returned := false
	defer func() {
		if !returned {
			c.dismiss(w) // a callback has ended the goroutine
		}
	}()
	c.work(w)
	returned = true
}

// work runs tasks until the worker is not needed any more.
func (c *calls) work(w *worker) {
	for {
		for f := c.take(w); f != nil; f = c.take(w) {
			f.run(place{})
		}
		if _, ok := <-w.wake; !ok {
			return
		}
	}
}

// take gives a worker its next task, or parks it.
func (c *calls) take(w *worker) task {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done(w)
	if c.next < len(c.queue) {
		f := c.queue[c.next]
		c.queue[c.next] = nil
		if c.next++; c.next == len(c.queue) {
			c.queue, c.next = c.queue[:0], 0
			if cap(c.queue) > 1024 {
				c.queue = nil
			}
		}
		c.taken++
		w.current = f
		c.count.Add(1)
		return f
	}
	c.leave(w)
	if c.stopped || len(c.parked) >= maxParked {
		close(w.wake)
	} else {
		c.parked = append(c.parked, w)
	}
	return nil
}

// dismiss takes leave of a worker whose goroutine ends in the midst of a task.
func (c *calls) dismiss(w *worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done(w)
	c.leave(w)
}

// done notes the end of what a worker was at. mu is held.
func (c *calls) done(w *worker) {
	if w.current != nil {
		w.current = nil
		c.count.Add(-1)
	}
}

// leave notes that a worker is not at work any more. mu is held.
func (c *calls) leave(w *worker) {
	delete(c.working, w)
	if c.idle != nil && len(c.working) == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// watchOver sees to it that the queue drains. mu is held.
func (c *calls) watchOver() {
	switch {
	case c.watch == nil:
		c.watch = time.AfterFunc(watchInterval, c.look)
	case c.mark == idleMark:
		c.watch.Reset(watchInterval)
	default:
		return // it is at it
	}
	c.mark = c.taken
}

// idleMark is the mark of a watch that is not set.
const idleMark = ^uint64(0)

// look adds workers if those at work could not take what waits within the interval, since they wait for something themselves: twice as many each time. If
// they take many tasks it is a processor that is missing, and more workers would only get in each other's way.
func (c *calls) look() {
	var added []*worker
	c.mu.Lock()
	waiting := len(c.queue) - c.next
	if waiting == 0 || c.stopped {
		c.mark = idleMark
		c.mu.Unlock()
		return
	}
	if many := fewTasks * runtime.GOMAXPROCS(0); c.taken-c.mark < uint64(min(waiting, many)) {
		n := min(max(len(c.working), 1), waiting)
		if c.limit > 0 {
			n = min(n, c.limit-len(c.working))
		}
		for range n {
			if w := c.addWorker(); w != nil {
				added = append(added, w)
			}
		}
	}
	c.mark = c.taken
	c.watch.Reset(watchInterval)
	c.mu.Unlock()
	for _, w := range added {
		w.signal()
	}
}

// stop ends the workers, drops what waits, and returns when no call is at work, or after the time-out with the names of those that are.
func (c *calls) stop(timeout time.Duration) []string {
	c.mu.Lock()
	c.stopped, c.queue, c.next = true, nil, 0
	for _, w := range c.parked {
		close(w.wake)
	}
	c.parked = nil
	if c.watch != nil {
		c.watch.Stop()
	}
	if len(c.working) == 0 {
		c.mu.Unlock()
		return nil
	}
	idle := make(chan struct{})
	c.idle = idle
	c.mu.Unlock()
	if !expires(timeout, idle) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = nil
	var names []string
	for w := range c.working {
		if w.current != nil {
			what, item := w.current.name()
			names = append(names, what+" "+item)
		}
	}
	return names
}

// protect makes an error of a panic in user code.
func protect(log *slog.Logger, callback string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in "+callback, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic in %s: %v", callback, p)
		}
	}()
	return f()
}
