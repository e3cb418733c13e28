package adaptertest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A half is one direction of a connection in memory: what one end has written and the other has not read yet.
//
// Whoever has to wait does so in cond, never with a lock held: in a testing/synctest bubble that counts as durably blocked, so virtual
// time goes on.
type half struct {
	mu   sync.Mutex
	cond sync.Cond

	sent   []segment // oldest first
	size   int       // bytes in sent
	limit  int       // of size, from which writes wait; 0: none
	delay  time.Duration
	change func([]byte) []byte // what becomes of written bytes on their way; nil: nothing

	stalled bool  // reads wait, whatever there is
	ended   bool  // the writer has closed
	gone    bool  // the reader has closed
	err     error // reset: all that was under way is lost

	reading deadline
	writing deadline
}

// A segment is what arrives at one moment. The last one of a direction that was closed is its end.
type segment struct {
	data []byte
	due  time.Time // zero: at once
	end  bool
}

func newHalf(limit int) *half {
	h := &half{limit: max(limit, 0)}
	h.cond.L = &h.mu
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.gone:
			return 0, net.ErrClosed
		case h.err != nil:
			return 0, h.err
		case h.reading.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case !h.stalled && len(h.sent) > 0:
			wait := time.Until(h.sent[0].due)
			if h.sent[0].due.IsZero() || wait <= 0 {
				return h.take(p)
			}
			time.AfterFunc(wait, h.wake)
		}
		h.cond.Wait()
	}
}

// take moves bytes of the first segment to p. mu is held.
func (h *half) take(p []byte) (int, error) {
	first := &h.sent[0]
	if first.end {
		return 0, io.EOF // stays for the next read
	}
	n := copy(p, first.data)
	if first.data = first.data[n:]; len(first.data) == 0 {
		h.sent[0] = segment{}
		h.sent = h.sent[1:]
	}
	h.size -= n
	h.cond.Broadcast()
	return n, nil
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.change != nil {
		// The caller is told about its own bytes, whatever became of them.
		if _, err := h.put(h.change(append([]byte(nil), p...))); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return h.put(p)
}

func (h *half) put(p []byte) (int, error) {
	written := 0
	for {
		switch {
		case h.ended:
			return written, net.ErrClosed
		case h.err != nil:
			return written, h.err
		case h.gone:
			return written, os.NewSyscallError("write", syscall.EPIPE)
		case h.writing.passed:
			return written, os.ErrDeadlineExceeded
		case len(p) == 0:
			return written, nil
		}
		n := len(p)
		if h.limit > 0 {
			n = min(n, h.limit-h.size)
		}
		if n <= 0 {
			h.cond.Wait()
			continue
		}
		h.push(p[:n])
		written, p = written+n, p[n:]
	}
}

// push appends a copy of p. mu is held.
func (h *half) push(p []byte) {
	due := h.due()
	if last := len(h.sent) - 1; last >= 0 && h.sent[last].due.Equal(due) && len(h.sent[last].data) < 1<<16 {
		h.sent[last].data = append(h.sent[last].data, p...)
	} else {
		h.sent = append(h.sent, segment{data: append([]byte(nil), p...), due: due})
	}
	h.size += len(p)
	h.cond.Broadcast()
}

// due is when what is written now arrives: never before what was written earlier.
func (h *half) due() time.Time {
	var due time.Time
	if h.delay > 0 {
		due = time.Now().Add(h.delay)
	}
	if last := len(h.sent) - 1; last >= 0 && h.sent[last].due.After(due) {
		due = h.sent[last].due
	}
	return due
}

// closeWrite makes the reader see the end after what is under way.
func (h *half) closeWrite() {
	h.update(func() {
		if !h.ended {
			h.ended = true
			h.sent = append(h.sent, segment{due: h.due(), end: true})
		}
	})
}

// closeRead throws away what is under way; writes fail from now on.
func (h *half) closeRead() {
	h.update(func() { h.gone, h.sent, h.size = true, nil, 0 })
}

// reset fails both ends.
func (h *half) reset(err error) {
	h.update(func() {
		if h.err == nil {
			h.err, h.sent, h.size = err, nil, 0
		}
	})
}

// update changes something that somebody may be waiting for.
func (h *half) update(change func()) {
	h.mu.Lock()
	change()
	h.cond.Broadcast()
	h.mu.Unlock()
}

func (h *half) wake() { h.update(func() {}) }

// A deadline is one of the two of a half, which guards it.
type deadline struct {
	timer  *time.Timer
	passed bool
}

func (h *half) setDeadline(d *deadline, at time.Time) {
	h.update(func() {
		if d.timer != nil {
			d.timer.Stop()
			d.timer = nil
		}
		d.passed = false
		if at.IsZero() {
			return
		}
		wait := time.Until(at)
		if wait <= 0 {
			d.passed = true
			return
		}
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			h.update(func() {
				if d.timer == timer { // not replaced meanwhile
					d.passed = true
				}
			})
		})
		d.timer = timer
	})
}

// socket is one end of a connection in memory.
type socket struct {
	in, out       *half
	local, remote net.Addr
}

// newSockets returns the two ends of a connection whose directions hold limit bytes each.
func newSockets(a, b net.Addr, limit int) (*socket, *socket) {
	ab, ba := newHalf(limit), newHalf(limit)
	return &socket{in: ba, out: ab, local: a, remote: b}, &socket{in: ab, out: ba, local: b, remote: a}
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.in.read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // the bare EOF is what readers compare with
		err = s.opError("read", err)
	}
	return n, err
}

func (s *socket) Write(p []byte) (int, error) {
	n, err := s.out.write(p)
	if err != nil {
		err = s.opError("write", err)
	}
	return n, err
}

func (s *socket) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: s.local, Addr: s.remote, Err: err}
}

// Close ends both directions: the other end reads what is under way and then io.EOF, and can write no more.
func (s *socket) Close() error {
	s.out.closeWrite()
	s.in.closeRead()
	return nil
}

// CloseWrite ends the direction to the other end only.
func (s *socket) CloseWrite() error {
	s.out.closeWrite()
	return nil
}

// reset breaks the connection: reads and writes fail with err on both ends, and what is under way is lost.
func (s *socket) reset(err error) {
	s.out.reset(err)
	s.in.reset(err)
}

func (s *socket) LocalAddr() net.Addr  { return s.local }
func (s *socket) RemoteAddr() net.Addr { return s.remote }

func (s *socket) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

func (s *socket) SetReadDeadline(t time.Time) error {
	s.in.setDeadline(&s.in.reading, t)
	return nil
}

func (s *socket) SetWriteDeadline(t time.Time) error {
	s.out.setDeadline(&s.out.writing, t)
	return nil
}
