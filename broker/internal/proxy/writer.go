package proxy

import (
	"fmt"
	"io"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

const (
	// maxSpare is the size of a buffer that is kept after a burst.
	maxSpare = 64 << 10
	// maxAhead is how many bytes of requests may be unsent before the next ones wait where they can
	// still take turns. As much again may be on its way into the socket.
	maxAhead = 256 << 10
)

// writer is the way out of a connection. Any goroutine appends whole lines to pending; run swaps pending with a spare buffer
// and writes it without the lock, so that what arrives during a write leaves with the next one.
type writer struct {
	max     int           // bytes of replies that may be unsent
	ahead   int           // bytes of which room reports that there is none
	wake    chan struct{} // one slot: there is something to write, or finish was called
	drained func()        // called by run after each write, without the lock; set before

	mu       sync.Mutex
	pending  []byte
	replies  int  // bytes of pending that answer what the remote has asked
	finished bool // nothing is accepted any more; run returns when pending is written
}

func newWriter(maxUnsent int) *writer {
	return &writer{max: maxUnsent, ahead: min(maxUnsent, maxAhead), wake: make(chan struct{}, 1)}
}

// room reports whether requests may be appended, rather than wait.
func (w *writer) room() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pending) < w.ahead
}

// request appends one line made by encode. It never blocks. After finish the line is dropped
// silently, as the connection is coming to its end.
func (w *writer) request(encode func(dst []byte) []byte) {
	w.mu.Lock()
	if !w.finished {
		w.pending = append(encode(w.pending), ari.EOL...)
	}
	w.mu.Unlock()
	w.kick()
}

// reply is request for an answer to the remote. The error says that it asks without reading the
// answers.
func (w *writer) reply(encode func(dst []byte) []byte) error {
	w.mu.Lock()
	defer w.kick()
	defer w.mu.Unlock()
	if w.finished {
		return nil
	}
	if w.replies >= w.max {
		return fmt.Errorf("the remote does not read: %d bytes of answers wait for it", w.replies)
	}
	before := len(w.pending)
	w.pending = append(encode(w.pending), ari.EOL...)
	w.replies += len(w.pending) - before
	return nil
}

// finish makes run return when it has written what is pending, with a last line if encode is not nil.
func (w *writer) finish(encode func(dst []byte) []byte) {
	w.mu.Lock()
	if !w.finished {
		w.finished = true
		if encode != nil {
			w.pending = append(encode(w.pending), ari.EOL...)
		}
	}
	w.mu.Unlock()
	w.kick()
}

func (w *writer) kick() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake, or about to be
	}
}

// run writes until finish, or until a write fails. It is the body of the connection's writer goroutine.
func (w *writer) run(out io.Writer) error {
	var spare []byte
	for {
		w.mu.Lock()
		batch := w.pending
		finished := w.finished
		w.pending, w.replies = spare[:0], 0
		w.mu.Unlock()
		if len(batch) == 0 {
			if finished {
				return nil
			}
			spare = batch
			<-w.wake
			continue
		}
		if _, err := out.Write(batch); err != nil {
			return err
		}
		if spare = batch; cap(spare) > maxSpare {
			spare = nil
		}
		w.drained()
	}
}
