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

// calls runs the callbacks of a connection on goroutines of its own, its workers. As many workers as there are processors take calls from a queue, so that
// a burst of short calls costs few wake-ups. Calls must not wait for each other: while the queue does not drain, more workers join, up to the limit.
//
// Each call is known by name, so that one that does not return can be told.
type calls struct {
	ctx   context.Context // its profiler labels are those of the workers
	limit int             // calls at the same time; 0: none
	count *atomic.Int64   // calls at work, of all the connections of the server

	mu      sync.Mutex
	queue   []call // from next on
	next    int
	working map[*worker]struct{}
	parked  []*worker // waiting for work
	taken   uint64    // calls taken from the queue, ever
	watch   *time.Timer
	mark    uint64        // taken, at the last look of watch
	idle    chan struct{} // made by stop, closed when no worker is at work
	stopped bool
}

type call struct {
	what, item string // "Subscribe" and the item, or a method
	run        func()
}

// worker is a goroutine that runs calls. It keeps its stack between them, which a new goroutine would have to grow again.
type worker struct {
	wake    chan struct{} // one signal for each time it was parked; closed: end
	current call          // what it is at, guarded by calls.mu
}

const (
	maxParked = 16
	// watchInterval is how long calls wait at most for those at work before a worker more is tried.
	watchInterval = 500 * time.Microsecond
)

func newCalls(ctx context.Context, limit int, count *atomic.Int64) *calls {
	return &calls{ctx: ctx, limit: limit, count: count, working: make(map[*worker]struct{})}
}

// start has f run by a worker. After stop nothing is started.
func (c *calls) start(what, item string, f func()) {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return
	}
	c.queue = append(c.queue, call{what, item, f})
	var w *worker
	switch n := len(c.working); {
	case c.limit > 0 && n >= c.limit:
	case n < runtime.GOMAXPROCS(0):
		w = c.addWorker()
	default:
		c.watchOver()
	}
	c.mu.Unlock()
	w.signal()
}

// addWorker puts a worker to work. It has to be signalled once mu is free.
func (c *calls) addWorker() *worker {
	var w *worker
	if n := len(c.parked); n > 0 {
		w, c.parked = c.parked[n-1], c.parked[:n-1]
	} else {
		w = &worker{wake: make(chan struct{}, 1)}
		go c.work(w) // ends in stop, or when enough are parked
	}
	c.working[w] = struct{}{}
	return w
}

func (w *worker) signal() {
	if w != nil {
		w.wake <- struct{}{}
	}
}

func (c *calls) work(w *worker) {
	// A worker that the watch has started would have none: profiles could not tell whose it is.
	pprof.SetGoroutineLabels(c.ctx)
	for range w.wake {
		for f, ok := c.take(w); ok; f, ok = c.take(w) {
			f.run()
		}
	}
}

// take gives a worker its next call, or parks it.
func (c *calls) take(w *worker) (call, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.current.run != nil {
		w.current = call{}
		c.count.Add(-1)
	}
	if c.next < len(c.queue) {
		f := c.queue[c.next]
		c.queue[c.next] = call{}
		if c.next++; c.next == len(c.queue) {
			c.queue, c.next = c.queue[:0], 0
			if cap(c.queue) > 1024 {
				c.queue = nil
			}
		}
		c.taken++
		w.current = f
		c.count.Add(1)
		return f, true
	}
	delete(c.working, w)
	if c.stopped || len(c.parked) >= maxParked {
		close(w.wake)
	} else {
		c.parked = append(c.parked, w)
	}
	if c.idle != nil && len(c.working) == 0 {
		close(c.idle)
		c.idle = nil
	}
	return call{}, false
}

// watchOver looks now and then whether the queue drains. mu is held.
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

// look adds workers if those at work could not take what waits within the interval: twice as many each time.
func (c *calls) look() {
	var added []*worker
	c.mu.Lock()
	waiting := len(c.queue) - c.next
	if waiting == 0 || c.stopped {
		c.mark = idleMark
		c.mu.Unlock()
		return
	}
	if c.taken-c.mark < uint64(waiting) {
		n := min(max(len(c.working), 1), waiting)
		if c.limit > 0 {
			n = min(n, c.limit-len(c.working))
		}
		for range n {
			added = append(added, c.addWorker())
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
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-idle:
		return nil
	case <-timer.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = nil
	var names []string
	for w := range c.working {
		if w.current.run != nil {
			names = append(names, w.current.what+" "+w.current.item)
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
