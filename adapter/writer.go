package adapter

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// writer is the way out of a connection: any number of goroutines append whole lines to pending, one goroutine (run) swaps
// pending with a spare and writes it without the lock. What arrives during a write leaves with the next one, so that writes join by
// themselves under load and nothing waits for company when there is none.
//
// While run sleeps, whoever appends a line may write it in place, as far as the system takes it without waiting: that is sooner done than waking run.
//
// A producer does, under mu: look at the state its line depends on; append to pending; finish; then one of the unlock methods. Producers of
// updates wait while pending is full (backpressure.go); replies and keepalives never do, or a full buffer would stop the reader.
type writer struct {
	mu      sync.Mutex
	room    sync.Cond // for those who wait for pending to shrink or to be written
	pending []byte
	spare   []byte // what pending is exchanged with
	asleep  bool   // run waits for wake
	writing bool   // somebody writes what pending was
	waiting int    // goroutines in room.Wait
	closed  bool   // nothing is accepted any more
	wake    chan struct{}
	clock   clock

	max       int           // bytes in pending, and bytes held, from which updates wait
	keepalive time.Duration // longest silence; 0: none
	last      time.Time     // of the last write, or a little earlier

	conflate  bool
	held      map[*Subscription][]byte // fields of live events that wait, merged
	heldOrder []*Subscription          // in the order in which that began
	heldBytes int

	owed    int   // what the requests read and not yet replied to cost, see requestCost
	updates int   // in pending
	skip    int   // bytes of pending's first line that have been written
	unsent  int   // updates accepted that were not written, and will not be
	over    error // why the connection ends; nil while it does not
	ledger  *ledger
	stats   *stats
	events  *Events
	trace   *tracer
	ctx     context.Context // of the connection's subscriptions

	conn    net.Conn
	instant *instant // nil: nothing is written in place
}

// A buffer larger than this is only kept while at least a quarter of it is needed. It is above DefaultMaxPending, or a fast feed would allocate for every
// write.
const maxSpare = 1 << 20

func newWriter(ctx context.Context, s *settings, conn net.Conn) *writer {
	w := &writer{
		max: s.maxPending, conflate: s.whenFull == Conflate, wake: make(chan struct{}, 1), stats: s.stats, events: s.events, trace: s.tracer,
		ctx: ctx, conn: conn, instant: newInstant(conn), last: time.Now(), ledger: new(ledger),
	}
	if w.conflate {
		w.held = make(map[*Subscription][]byte)
	}
	w.room.L = &w.mu
	return w
}

// Lock and Unlock guard pending and the state of the subscriptions that write to it.
func (w *writer) Lock() { w.mu.Lock() }

// Unlock releases the lock without seeing to pending: for those who have appended nothing.
func (w *writer) Unlock() { w.mu.Unlock() }

func (w *writer) base() context.Context { return w.ctx }

// waitRoom releases mu until something has changed. mu is held.
func (w *writer) waitRoom() {
	w.waiting++
	w.room.Wait()
	w.waiting--
}

// finish takes over pending with one more line appended; after close it throws the line away. mu is held.
func (w *writer) finish(b []byte) {
	if w.closed {
		return
	}
	b = append(b, ari.EOL...)
	w.pending = b
}

// unlockAndWake releases mu and wakes run if it sleeps and there is work for it.
func (w *writer) unlockAndWake() {
	signal := w.asleep && !w.writing && len(w.pending) > 0
	if signal {
		w.asleep = false
	}
	w.mu.Unlock()
	if signal {
		w.kick()
	}
}

// unlockAndSend is unlockAndWake for those who have appended an update: they may write it themselves.
func (w *writer) unlockAndSend() {
	if w.clock.budget > 0 && w.idle() {
		w.clock.budget--
		w.writeInPlace()
	} else {
		w.unlockAndWake()
	}
}

// idle tells whether pending is there to be written in place. mu is held.
func (w *writer) idle() bool {
	return w.asleep && !w.writing && w.instant != nil && len(w.pending) > 0
}

// writeInPlace writes what is pending, or leaves to run what the system does not take at once. mu is held; it is released.
func (w *writer) writeInPlace() {
	buf, skip, updates := w.take()
	w.mu.Unlock()
	if w.trace != nil {
		w.trace.sent(buf)
	}
	n := w.instant.write(buf[skip:])
	start, whole := skip+n, updates
	if start < len(buf) {
		start, whole = wholeLines(buf[:start])
	}
	if n > 0 {
		w.flushed(whole, n)
	}
	w.mu.Lock()
	switch {
	case start == len(buf):
		w.keep(buf)
	case w.closed:
		w.unsent += updates - whole
	default:
		w.keep(w.pending)
		w.pending = append(buf[start:], w.pending...)
		w.skip = skip + n - start
		w.updates += updates - whole
	}
	w.written()
	w.unlockAndWake()
}

// wholeLines returns the length of the whole lines at the beginning of buf, and how many of them
// are updates.
func wholeLines(buf []byte) (size, updates int) {
	size = bytes.LastIndexByte(buf, '\n') + 1
	for line := range bytes.SplitSeq(buf[:size], []byte("\n")) {
		if _, rest, ok := bytes.Cut(line, []byte("|")); ok && bytes.HasPrefix(rest, []byte("UD3|")) {
			updates++
		}
	}
	return size, updates
}

func (w *writer) kick() {
	select {
	case w.wake <- struct{}{}:
	default: // there already: one is enough
	}
}

// line appends one line made by encode, whatever the bound says.
func (w *writer) line(encode func(dst []byte) []byte) {
	w.mu.Lock()
	w.finish(encode(w.pending))
	w.unlockAndWake()
}

// The requests that may wait for their replies, and how many times MaxPending their replies may fill pending, before no more requests are read. A proxy that
// asks and does not read stops itself so. A long request counts for several: what has been read and
// not been answered is bounded in bytes too, at some 40 MB and one line.
const (
	maxOwed    = 20_000
	maxReplies = 4
	// owedUnit is how many bytes of a request cost as much as another request.
	owedUnit = 2 << 10
)

// requestCost is what a request costs until it is replied to.
func requestCost(line ari.Line) int { return 1 + len(line.Body)/owedUnit }

// owe notes that requests of such a cost are to be replied to, or were until just now, and then
// waits while there are too many. Called by the reader.
func (w *writer) owe(n int) {
	w.mu.Lock()
	w.owed += n
	for (w.owed >= maxOwed || len(w.pending) >= maxReplies*w.max) && !w.closed {
		w.waitRoom()
	}
	w.mu.Unlock()
}

// reply appends the reply to a request of such a cost, whatever the bound says.
func (w *writer) reply(cost int, encode func(dst []byte) []byte) {
	w.mu.Lock()
	w.finish(encode(w.pending))
	w.replied(cost)
	w.unlockAndWake()
}

// replies appends the replies to requests of such a cost, of which no more are known to follow at
// once if last.
func (w *writer) replies(lines []byte, cost int, last bool) {
	w.mu.Lock()
	if !w.closed {
		w.pending = append(w.pending, lines...)
	}
	w.replied(cost)
	if last && w.idle() {
		w.clock.look(true)
		w.writeInPlace()
	} else {
		w.unlockAndWake()
	}
}

// replied notes that requests of such a cost have been replied to. mu is held.
func (w *writer) replied(cost int) {
	full := w.owed >= maxOwed
	if w.owed -= cost; full && w.owed < maxOwed {
		w.room.Broadcast() // the reader may be waiting
	}
}

func (w *writer) setKeepalive(interval time.Duration) {
	w.mu.Lock()
	w.keepalive = interval
	w.asleep = false
	w.mu.Unlock()
	w.kick() // run takes up the new interval
}

// drain waits until everything pending has been written, a write has failed, or close was called.
func (w *writer) drain() {
	w.mu.Lock()
	for !w.closed && (len(w.pending) > 0 || w.writing) {
		w.waitRoom()
	}
	w.mu.Unlock()
}

// ending notes why the connection ends, before its subscriptions do.
func (w *writer) ending(cause error) {
	w.mu.Lock()
	w.over = cause
	w.mu.Unlock()
}

// close makes run return without writing what is pending, and wakes everybody who waits. It can be called again.
func (w *writer) close() {
	w.mu.Lock()
	w.closed, w.asleep = true, false
	w.pending = nil
	w.room.Broadcast()
	w.mu.Unlock()
	w.kick()
}

// run writes until a write fails or close is called. It owns the keepalives, since it knows when the connection has been silent.
func (w *writer) run() error {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		buf, skip, updates, ok := w.next(timer)
		if !ok {
			return nil
		}
		if w.trace != nil {
			w.trace.sent(buf)
		}
		n, err := w.conn.Write(buf[skip:])
		whole := updates
		if err != nil {
			_, whole = wholeLines(buf[:skip+n])
		}
		w.flushed(whole, n)
		w.mu.Lock()
		w.last = time.Now()
		w.unsent += updates - whole
		w.keep(buf)
		w.written()
		w.mu.Unlock()
		if err != nil {
			w.close()
			return err
		}
	}
}

// flushed counts a write. It is called by whoever writes, before that is over.
func (w *writer) flushed(updates, n int) {
	w.ledger.add(updates, n)
	w.stats.flushed(updates, n)
	if w.events.Flushed != nil {
		w.events.Flushed(FlushInfo{Updates: updates, Bytes: n})
	}
}

// losses returns, after the end of the connection, how many updates were accepted and not written,
// and how many are among the last bytes written.
func (w *writer) losses(last int64) (unsent, among int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.writing {
		w.waitRoom()
	}
	return int64(w.unsent + w.updates), w.ledger.last(last)
}

// take takes what is pending, to write it from skip on. mu is held.
func (w *writer) take() (buf []byte, skip, updates int) {
	buf, skip, updates = w.pending, w.skip, w.updates
	w.pending, w.spare, w.skip, w.updates = w.spare[:0], nil, 0, 0
	w.writing = true
	return buf, skip, updates
}

// keep keeps a buffer that has been written for later use. mu is held.
func (w *writer) keep(buf []byte) {
	if cap(buf) <= maxSpare || len(buf) >= cap(buf)/4 {
		w.spare = buf[:0]
	}
}

// written notes the end of a write. mu is held.
func (w *writer) written() {
	w.writing = false
	if w.waiting > 0 {
		w.room.Broadcast()
	}
}

// next waits for something to write, and takes it. It returns a keepalive when the silence has been too long, false when the writer is closed.
func (w *writer) next(timer *time.Timer) (buf []byte, skip, updates int, ok bool) {
	w.mu.Lock()
	for {
		if w.closed {
			w.mu.Unlock()
			return nil, 0, 0, false
		}
		if len(w.pending) == 0 && !w.writing && w.keepalive > 0 && w.silence() >= w.keepalive {
			w.finish(append(w.pending, ari.KeepaliveLine...))
		}
		if len(w.pending) > 0 && !w.writing {
			break
		}
		w.asleep = true
		interval := w.keepalive - w.silence()
		armed := w.keepalive > 0
		w.mu.Unlock()
		if armed {
			timer.Reset(interval)
		}
		select {
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
		w.mu.Lock()
		w.asleep = false
	}
	buf, skip, updates = w.take()
	w.release()
	if w.waiting > 0 {
		w.room.Broadcast()
	}
	w.mu.Unlock()
	return buf, skip, updates, true
}

// silence is how long nothing has been written. The clock is read for each write in place. mu is held.
func (w *writer) silence() time.Duration {
	last := w.last
	if w.clock.at.After(last) {
		last = w.clock.at
	}
	return time.Since(last)
}
