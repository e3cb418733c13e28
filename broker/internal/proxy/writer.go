package proxy

import (
	"fmt"
	"io"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A buffer that a burst has grown beyond this is not kept.
const maxSpare = 64 << 10

// writer is the way out of a connection. Any goroutine appends whole lines to pending; run swaps pending with a spare buffer
// and writes it without the lock, so that what arrives during a write leaves with the next one.
type writer struct {
	max  int
	wake chan struct{} // one slot: there is something to write, or finish was called

	mu       sync.Mutex
	pending  []byte
	finished bool // nothing is accepted any more; run returns when pending is written
}

func newWriter(maxUnsent int) *writer {
	return &writer{max: maxUnsent, wake: make(chan struct{}, 1)}
}

// line appends one line made by encode. It never blocks. The error says that the peer does not read; after finish the line
// is dropped silently, as the connection is coming to its end.
func (w *writer) line(encode func(dst []byte) []byte) error {
	w.mu.Lock()
	if w.finished {
		w.mu.Unlock()
		return nil
	}
	if len(w.pending) >= w.max {
		w.mu.Unlock()
		return fmt.Errorf("the remote does not read: %d bytes wait for it", w.max)
	}
	w.pending = append(encode(w.pending), ari.EOL...)
	w.mu.Unlock()
	w.kick()
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
		w.pending = spare[:0]
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
	}
}
