package adapter

import (
	"net"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// writer is the way out of a connection: any number of goroutines append whole lines to pending, one goroutine (run) swaps
// pending with a spare and writes it without the lock. What arrives during a write leaves with the next one, so that writes join by
// themselves under load and nothing waits for company when there is none.
//
// A producer does, under mu: look at the state its line depends on; append to pending; finish; then unlockAndWake. Producers of
// updates wait while pending is full (backpressure.go); replies and keepalives never do, or a full buffer would stop the reader.
type writer struct {
	mu      sync.Mutex
	room    sync.Cond // for those who wait for pending to shrink or to be written
	pending []byte
	asleep  bool // run waits for wake
	writing bool // run is in Write
	waiting int  // goroutines in room.Wait
	closed  bool // nothing is accepted any more
	wake    chan struct{}

	max       int           // bytes in pending, and bytes held, from which updates wait
	keepalive time.Duration // longest silence; 0: none

	conflate  bool
	held      []*Subscription // with events held back, in the order in which that began
	heldBytes int

	owed    int // requests read and not yet replied to
	updates int // in pending
	stats   *stats
	events  *Events
	trace   *tracer
}

// A buffer that a burst has grown beyond this is not kept. It is above DefaultMaxPending, or a fast feed would allocate for every write.
const maxSpare = 1 << 20

func newWriter(s *settings) *writer {
	w := &writer{max: s.maxPending, conflate: s.whenFull == Conflate, wake: make(chan struct{}, 1), stats: s.stats, events: s.events, trace: s.tracer}
	w.room.L = &w.mu
	return w
}

// Lock and Unlock guard pending and the state of the subscriptions that write to it.
func (w *writer) Lock() { w.mu.Lock() }

// Unlock releases the lock without waking run: for those who have appended nothing.
func (w *writer) Unlock() { w.mu.Unlock() }

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
	signal := w.asleep && len(w.pending) > 0
	if signal {
		w.asleep = false
	}
	w.mu.Unlock()
	if signal {
		w.kick()
	}
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
// asks and does not read stops itself so.
const (
	maxOwed    = 20_000
	maxReplies = 4
)

// owe notes that a reply is due, having waited while too many are. Called by the reader.
func (w *writer) owe() {
	w.mu.Lock()
	for (w.owed >= maxOwed || len(w.pending) >= maxReplies*w.max) && !w.closed {
		w.waitRoom()
	}
	w.owed++
	w.mu.Unlock()
}

// reply appends the reply to a request, whatever the bound says.
func (w *writer) reply(encode func(dst []byte) []byte) {
	w.mu.Lock()
	w.owed--
	if w.owed == maxOwed-1 {
		w.room.Broadcast() // the reader may be waiting
	}
	w.finish(encode(w.pending))
	w.unlockAndWake()
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

// close makes run return without writing what is pending, and wakes everybody who waits. It can be called again.
func (w *writer) close() {
	w.mu.Lock()
	w.closed, w.asleep = true, false
	w.pending = nil
	w.room.Broadcast()
	w.mu.Unlock()
	w.kick()
}

// run writes until a write fails or close is called. It is the only goroutine that writes to conn, and it owns the keepalives, since it
// knows when the connection has been silent.
func (w *writer) run(conn net.Conn) error {
	var spare []byte
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	last := time.Now()
	for {
		buf, updates, ok := w.next(spare, timer, last)
		if !ok {
			return nil
		}
		if w.trace != nil {
			w.trace.sent(buf)
		}
		n, err := conn.Write(buf)
		last = time.Now()
		w.stats.flushed(updates, n)
		if w.events.Flushed != nil {
			w.events.Flushed(FlushInfo{Updates: updates, Bytes: n})
		}
		w.written()
		if err != nil {
			w.close()
			return err
		}
		if spare = buf[:0]; cap(spare) > maxSpare {
			spare = nil
		}
	}
}

func (w *writer) written() {
	w.mu.Lock()
	w.writing = false
	if w.waiting > 0 {
		w.room.Broadcast()
	}
	w.mu.Unlock()
}

// next waits for something to write and exchanges it with spare. It returns a keepalive when the silence since last has been too long,
// false when the writer is closed.
func (w *writer) next(spare []byte, timer *time.Timer, last time.Time) (buf []byte, updates int, ok bool) {
	w.mu.Lock()
	for {
		if w.closed {
			w.mu.Unlock()
			return nil, 0, false
		}
		if len(w.pending) == 0 && w.keepalive > 0 && time.Since(last) >= w.keepalive {
			w.finish(append(w.pending, ari.KeepaliveLine...))
		}
		if len(w.pending) > 0 {
			break
		}
		w.asleep = true
		interval := w.keepalive
		w.mu.Unlock()
		if interval > 0 {
			timer.Reset(interval - time.Since(last))
		}
		select {
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
		w.mu.Lock()
		w.asleep = false
	}
	buf, updates = w.pending, w.updates
	w.pending, w.updates = spare, 0
	w.writing = true
	w.release()
	if w.waiting > 0 {
		w.room.Broadcast()
	}
	w.mu.Unlock()
	return buf, updates, true
}
