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
// updates wait while pending is full; replies and keepalives never do, or a full buffer would stop the reader.
type writer struct {
	mu      sync.Mutex
	room    sync.Cond // for producers that wait for pending to shrink, and for idle
	pending []byte
	asleep  bool // run waits for wake
	writing bool // run is in Write
	waiting int  // goroutines in room.Wait
	closed  bool // nothing is accepted any more
	wake    chan struct{}

	max       int           // bytes in pending from which updates wait
	keepalive time.Duration // longest silence; 0: none
	updates   int64
	dropped   int64
}

// A buffer that a burst has grown beyond this is not kept. It is above DefaultMaxPending, or a fast feed would allocate for every write.
const maxSpare = 1 << 20

func newWriter(maxPending int) *writer {
	w := &writer{max: maxPending, wake: make(chan struct{}, 1)}
	w.room.L = &w.mu
	return w
}

// full tells whether updates have to wait. mu is held.
func (w *writer) full() bool { return len(w.pending) >= w.max && !w.closed }

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
	w.finish(append(encode(w.pending), ari.EOL...))
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
		buf, ok := w.next(spare, timer, last)
		if !ok {
			return nil
		}
		_, err := conn.Write(buf)
		last = time.Now()
		w.mu.Lock()
		w.writing = false
		if w.waiting > 0 {
			w.room.Broadcast()
		}
		w.mu.Unlock()
		if err != nil {
			w.close()
			return err
		}
		if spare = buf[:0]; cap(spare) > maxSpare {
			spare = nil
		}
	}
}

// next waits for something to write and exchanges it with spare. It returns a keepalive when the silence since last has been too long,
// false when the writer is closed.
func (w *writer) next(spare []byte, timer *time.Timer, last time.Time) ([]byte, bool) {
	w.mu.Lock()
	for {
		if w.closed {
			w.mu.Unlock()
			return nil, false
		}
		if len(w.pending) == 0 && w.keepalive > 0 && time.Since(last) >= w.keepalive {
			w.pending = append(append(w.pending, ari.KeepaliveLine...), ari.EOL...)
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
	buf := w.pending
	w.pending = spare
	w.writing = true
	if w.waiting > 0 {
		w.room.Broadcast()
	}
	w.mu.Unlock()
	return buf, true
}
