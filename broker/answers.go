package broker

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// answers are the lines that answer requests on a WebSocket, waiting to be written. They come from the reader and from the workers of
// the session, which must not wait for a slow client.
type answers struct {
	conn *wsconn.Conn

	mu      sync.Mutex
	changed *sync.Cond // signalled when lines have been written, or will not be
	lines   []byte
	writing bool // the goroutine that writes is there
	closed  bool
	cut     bool          // the connection has to be closed: answers have been dropped
	cuts    *atomic.Int64 // counts these
}

// maxAnswers is how many bytes of answers may wait before the reader does.
const maxAnswers = 64 << 10

// mostAnswers is how many bytes of answers may wait at all: requests that were accepted before may
// still be answered, with texts of the adapter's. Beyond it the client is cut off.
const mostAnswers = 4 << 20

func (a *answers) init(conn *wsconn.Conn, cuts *atomic.Int64) {
	a.conn, a.cuts = conn, cuts
	a.changed = sync.NewCond(&a.mu)
}

// add queues lines; none are no answer. It does not block.
func (a *answers) add(lines []byte) {
	if len(lines) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	if len(a.lines)+len(lines) > mostAnswers {
		a.closed, a.cut, a.lines = true, true, nil
		a.cuts.Add(1)
		if !a.writing { // one answer of that size
			a.writing = true
			go a.write()
		}
		a.changed.Broadcast()
		return
	}
	a.lines = append(a.lines, lines...)
	if !a.writing {
		a.writing = true
		go a.write()
	}
}

// now writes lines behind those that wait, and returns when they are written. Only the reader may call it. What has become of them is
// seen by the next read.
func (a *answers) now(lines []byte) {
	a.flush()
	if len(lines) > 0 {
		_ = a.conn.WriteText(lines)
	}
}

// write is the goroutine that writes until nothing waits; flush and close wait for its end.
func (a *answers) write() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.lines) > 0 && !a.closed {
		lines := a.lines
		a.lines = nil
		a.mu.Unlock()
		err := writeChunks(a.conn, lines)
		a.mu.Lock()
		a.closed = a.closed || err != nil
		a.changed.Broadcast()
	}
	if a.cut {
		a.mu.Unlock()
		a.conn.CloseNow()
		a.mu.Lock()
	}
	a.writing = false
	a.changed.Broadcast()
}

// wait holds up a reader whose client does not read its answers.
func (a *answers) wait() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.lines) > maxAnswers && !a.closed {
		a.changed.Wait()
	}
}

// flush returns when nothing waits any more.
func (a *answers) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.writing {
		a.changed.Wait()
	}
}

// close drops what waits, and what is still to come. The connection has to be closed: a write may have to fail.
func (a *answers) close() {
	a.mu.Lock()
	a.closed, a.lines = true, nil
	a.mu.Unlock()
	a.flush()
}

// maxFrame is the size of a message above which lines are put into another one.
const maxFrame = 16 << 10

// writeChunks sends lines in messages of whole lines.
func writeChunks(conn *wsconn.Conn, lines []byte) error {
	for len(lines) > maxFrame {
		end := bytes.LastIndexByte(lines[:maxFrame], '\n') + 1
		if end == 0 {
			end = bytes.IndexByte(lines, '\n') + 1
		}
		if err := conn.WriteText(lines[:end]); err != nil {
			return err
		}
		lines = lines[end:]
	}
	if len(lines) == 0 {
		return nil
	}
	return conn.WriteText(lines)
}
