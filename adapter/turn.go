package adapter

import (
	"runtime"
	"runtime/pprof"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A turn is the right to take requests from a buffer. The goroutine that has it also runs their callbacks, one after the other: most take less time than it
// would to wake another goroutine. A callback that takes longer costs the turn: a new goroutine goes on with it, and the old one becomes a worker of calls when
// its callback returns. So callbacks are isolated from the reader and from each other, but for a delay of at most two lookIntervals.
type turn struct {
	of *turns

	// Of the goroutine that has the turn.
	in      *ari.LineBuffer
	reads   bool              // on, when in is used up; else the turn ends then
	flooded bool              // in was filled by one read: there is more to come
	due     int               // cost of requests taken that the writer does not know of yet
	replies []byte            // lines that wait for more of them
	replied int               // cost of their requests
	since   uint32            // turns.looks when the first of them was made
	counted int64             // requests that stats do not know of yet
	spare   [ari.Methods]task // by method, for later requests

	state atomic.Uint64 // callbacks begun and ended, in all: odd while one runs

	// Of that goroutine too; and of the watch, once that has taken the turn away.
	holder *worker
	task   task

	// Guarded by calls.mu.
	seen uint64 // state at the last look
	late int    // looks in a row that found a callback at work, and few done since the one before
}

// turns are those of a connection. One of them reads. While the proxy sends more than one goroutine takes, there are others, each of which is through with it
// when it has taken what was read before.
//
// While callbacks are slow, they are left to the workers as they are read, until there was a moment without any, or the workers are through with them quickly.
// One alone is no proof: on a busy machine the goroutine may just not have been given a processor.
type turns struct {
	calls   *calls
	begin   func(*turn) // starts a goroutine that has a new one
	start   func(*turn) // starts a goroutine that goes on with one
	most    int         // at the same time
	maxLine int

	slow    atomic.Bool
	watched atomic.Bool
	looks   atomic.Uint32

	// Guarded by calls.mu.
	all   []*turn
	spare *turn // one that is over
	watch *time.Timer
	taken uint64 // by the workers, at the last look
	calm  int    // looks since a turn was taken away
}

const (
	lookInterval = 500 * time.Microsecond
	// Fewer callbacks than fewTasks in an interval, lateLooks times, take longer than a worker would to wake up.
	fewTasks  = 25
	lateLooks = 3
	// Two that cost a turn within so many looks make callbacks slow.
	calmLooks = 8
)

// behind is what is known to wait behind a request.
type behind uint8

const (
	nothing behind = iota
	something
	plenty // of requests: replies leave together, those of half a millisecond at most
)

// newTurns returns what a connection needs, with the turn that reads. If requests may overtake each other, as many goroutines as there are processors take
// them.
func newTurns(c *calls, maxLine int, overtaking bool) (*turns, *turn) {
	ts := &turns{calls: c, most: 1, maxLine: maxLine, calm: calmLooks}
	if overtaking && c.limit == 0 {
		ts.most = runtime.GOMAXPROCS(0)
	}
	t := &turn{of: ts, in: ari.NewLineBuffer(maxLine), reads: true}
	ts.all = append(ts.all, t)
	return ts, t
}

// place is where a task runs: on a goroutine that has a turn, or on one that has none (the zero value).
type place struct {
	turn   *turn
	state  uint64 // of the turn, as long as its callback is at work
	behind behind
}

// run runs a task, or has it run by a worker. It returns false if that has cost the caller the turn: somebody else goes on with it.
func (t *turn) run(f task, b behind) bool {
	ts := t.of
	if ts.slow.Load() && ts.calls.startIfBusy(f, b, &ts.slow) {
		ts.keepWatch()
		return true
	}
	if !f.run(place{turn: t, behind: b}) {
		return false
	}
	f.recycle(t)
	return true
}

// begin notes that a callback of f begins.
func (p *place) begin(f task) {
	t := p.turn
	if t == nil {
		return
	}
	p.state = t.state.Load() + 1
	t.task, t.holder.turn = f, p.state
	t.state.Store(p.state)
	t.of.keepWatch()
}

// end notes that the callback has ended, and tells whether the goroutine has the turn still.
func (p *place) end() (kept bool) {
	t := p.turn
	if t == nil || !t.state.CompareAndSwap(p.state, p.state+1) {
		p.turn = nil
		return false
	}
	t.holder.turn = 0
	return true
}

// reply sends the reply to the request, of such a cost, whose callback has ended.
func (p *place) reply(w *writer, cost int, encode func(dst []byte) []byte) {
	t := p.turn
	if t == nil {
		w.reply(cost, encode)
		return
	}
	looks := t.of.looks.Load()
	if t.replied == 0 {
		t.since = looks
	}
	t.replies = append(encode(t.replies), ari.EOL...)
	t.replied += cost
	if p.behind != plenty || len(t.replies) >= enoughReplies || looks != t.since {
		t.flush(w, p.behind == nothing)
	}
}

// behind looks for what waits.
func (t *turn) behind() behind {
	switch {
	case !t.in.HasLine():
		return nothing
	case t.flooded:
		return plenty
	}
	return something
}

// enoughReplies is how many bytes of replies wait for each other at most, about.
const enoughReplies = 8 << 10

// flush sends the replies that have waited.
func (t *turn) flush(w *writer, last bool) {
	if t.replied == 0 {
		return
	}
	w.replies(t.replies, t.replied, last)
	t.replies, t.replied = t.replies[:0], 0
	if cap(t.replies) > maxReplyBuffer {
		t.replies = nil
	}
}

// maxReplyBuffer is the largest buffer that a turn keeps.
const maxReplyBuffer = 4 * enoughReplies

// share leaves the reading to a new turn, and what has been read to t, if there is a processor for both.
func (t *turn) share() {
	ts := t.of
	c := ts.calls
	if ts.most == 1 || ts.slow.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(ts.all) == ts.most || c.stopped || !t.in.HasLine() {
		return
	}
	next := ts.spare
	if next == nil {
		next = &turn{of: ts, in: ari.NewLineBuffer(ts.maxLine)}
	}
	t.in.Split(next.in)
	ts.spare = nil
	t.reads, next.reads, next.seen = false, true, next.state.Load()
	ts.all = append(ts.all, next)
	ts.begin(next)
}

// running returns how many callbacks run on goroutines that have a turn. ts may be nil.
func (ts *turns) running() (n int64) {
	if ts == nil {
		return 0
	}
	ts.calls.mu.Lock()
	defer ts.calls.mu.Unlock()
	for _, t := range ts.all {
		n += int64(t.state.Load() % 2)
	}
	return n
}

// keepWatch sees to it that look is called.
func (ts *turns) keepWatch() {
	if ts.watched.Load() {
		return
	}
	ts.calls.mu.Lock()
	defer ts.calls.mu.Unlock()
	if ts.calls.stopped {
		return
	}
	ts.watched.Store(true)
	if ts.watch == nil {
		ts.watch = time.AfterFunc(lookInterval, ts.look)
	} else {
		ts.watch.Reset(lookInterval)
	}
}

// look takes turns away from callbacks that were running at the last look already, and stops looking when nothing has happened since.
func (ts *turns) look() {
	c := ts.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	ts.looks.Add(1)
	ts.calm++
	done := c.taken - ts.taken // by the workers
	if done >= fewTasks*uint64(max(len(c.working), 1)) && c.limit == 0 {
		ts.slow.Store(false)
	}
	ts.taken = c.taken
	busy := done > 0
	for _, t := range ts.all {
		busy = t.look() || busy
	}
	if !busy {
		ts.watched.Store(false)
		// Whoever begins a callback now starts the watch. One begun just before may have counted on this one.
		if !ts.changed() {
			return
		}
		ts.watched.Store(true)
	}
	ts.watch.Reset(lookInterval)
}

// look is the part of turns.look for one of them. It returns false if nothing happens there. calls.mu is held.
func (t *turn) look() bool {
	state, seen := t.state.Load(), t.seen
	running := state%2 == 1
	t.seen = state
	switch {
	case running && state == seen:
		t.take(state)
	case running && state-seen < 2*fewTasks:
		if t.late++; t.late >= lateLooks {
			t.of.slow.Store(true)
		}
	default:
		t.late = 0
	}
	return running || state != seen
}

// changed tells whether a callback has begun or ended since the last look. calls.mu is held.
func (ts *turns) changed() bool {
	for _, t := range ts.all {
		if t.state.Load() != t.seen {
			return true
		}
	}
	return false
}

// hurry takes turns away from callbacks that are running now.
func (ts *turns) hurry() {
	ts.calls.mu.Lock()
	defer ts.calls.mu.Unlock()
	for _, t := range ts.all {
		if state := t.state.Load(); state%2 == 1 {
			t.take(state)
		}
	}
}

// take makes a worker of the goroutine that has the turn, unless its callback has just returned. calls.mu is held.
func (t *turn) take(state uint64) {
	if !t.state.CompareAndSwap(state, state+1) {
		return
	}
	ts := t.of
	if ts.calm < calmLooks || ts.calls.limit > 0 {
		ts.slow.Store(true)
	}
	ts.calm = 0
	ts.calls.enlist(t.holder, t.task)
	ts.start(t)
}

// hold is the life of a goroutine with the turn: it takes requests until the turn is over, and tells ended, or until a callback has cost it the turn.
func (t *turn) hold(read func(*turn) (kept bool), ended func()) {
	w := &worker{wake: make(chan struct{}, 1)}
	t.holder = w
	pprof.SetGoroutineLabels(t.of.calls.ctx) // as a child of the watch it would have none
	returned := false
	defer func() {
		if !returned {
			t.abandoned(w)
		}
	}()
	kept := read(t)
	returned = true
	if kept {
		t.over()
		ended()
	} else {
		t.of.calls.work(w)
	}
}

// over ends the turn.
func (t *turn) over() {
	ts := t.of
	ts.calls.mu.Lock()
	defer ts.calls.mu.Unlock()
	ts.all = slices.DeleteFunc(ts.all, func(other *turn) bool { return other == t })
	ts.spare = t
}

// abandoned is for a callback, or a hook, that has ended its goroutine ([runtime.Goexit], as testing.T.FailNow does): the connection goes on without it.
func (t *turn) abandoned(w *worker) {
	if w.turn == 0 || t.state.CompareAndSwap(w.turn, w.turn+1) {
		t.of.start(t)
		return
	}
	t.of.calls.dismiss(w)
}
