//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"unsafe"
)

// wire is one connection of an adapter, read and written by plain blocking system calls, so that Go's network poller plays no part in the figures.
type wire struct {
	fd      int
	buf     []byte
	r, w    int // what has been read and not consumed is buf[r:w]
	scanned int // no line ends in buf[r:scanned]
	bytesIn int64
}

var (
	errTimeout = errors.New("timeout")
	errTooLong = errors.New("line longer than the read buffer")
)

const (
	readTimeoutMs = 25
	readSize      = 256 << 10
	bufSize       = 4 << 20 // room for a line of the large shape
)

// Buffers are used again by the next run: there is one at a time.
var buffers = [2][]byte{make([]byte, bufSize), make([]byte, bufSize)}

func newWire(fd int, buf []byte) (*wire, error) {
	if err := syscall.SetNonblock(fd, false); err != nil {
		return nil, err
	}
	tv := syscall.Timeval{Usec: readTimeoutMs * 1000}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tv); err != nil {
		return nil, err
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return nil, err
	}
	return &wire{fd: fd, buf: buf}, nil
}

// fill reads once. It returns errTimeout when nothing came for readTimeoutMs.
func (c *wire) fill() error {
	c.makeRoom()
	end := min(c.w+readSize, len(c.buf))
	if c.w == end {
		return errTooLong
	}
	for {
		n, err := syscall.Read(c.fd, c.buf[c.w:end])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return errTimeout
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		}
		c.w += n
		c.bytesIn += int64(n)
		return nil
	}
}

// makeRoom moves what has not been consumed to the front, unless it is long or there is room enough: as little memory as possible is walked through.
func (c *wire) makeRoom() {
	switch {
	case c.r == c.w:
		c.r, c.w, c.scanned = 0, 0, 0
	case c.r > 0 && (len(c.buf)-c.w < readSize || c.w > 1<<20 && c.w-c.r < 64<<10):
		c.scanned -= c.r
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
}

// next returns the next complete line without its end, \r\n or \n, or nil.
func (c *wire) next() []byte {
	from := max(c.r, c.scanned)
	i := bytes.IndexByte(c.buf[from:c.w], '\n')
	if i < 0 {
		c.scanned = c.w
		return nil
	}
	line := c.buf[c.r : from+i]
	c.r = from + i + 1
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

func (c *wire) write(b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(c.fd, b)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// link is what an adapter sends: on one connection, or on two, if its SDK wants one more for notifications. Requests go to the first one.
type link struct {
	wires []*wire
	polls [2]pollFD
	turn  int // whose lines are being consumed
}

type pollFD struct {
	fd              int32
	events, revents int16
}

const pollIn = 1

// fill reads once from each connection that has something.
func (l *link) fill() error {
	if len(l.wires) == 1 {
		return l.wires[0].fill()
	}
	for i, w := range l.wires {
		l.polls[i] = pollFD{fd: int32(w.fd), events: pollIn}
	}
	timeout := syscall.NsecToTimespec(readTimeoutMs * 1e6)
	_, _, e := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&l.polls)), uintptr(len(l.wires)), //nolint:gosec // as ppoll(2) has it
		uintptr(unsafe.Pointer(&timeout)), 0, 0, 0) //nolint:gosec // the same
	if e == syscall.EINTR {
		return errTimeout
	}
	if e != 0 {
		return e
	}
	got := false
	for i, w := range l.wires {
		if l.polls[i].revents == 0 {
			continue
		}
		if err := w.fill(); err != nil && !errors.Is(err, errTimeout) {
			return err
		}
		got = true
	}
	if !got {
		return errTimeout
	}
	return nil
}

func (l *link) next() []byte {
	for range l.wires {
		if line := l.wires[l.turn].next(); line != nil {
			return line
		}
		l.turn = (l.turn + 1) % len(l.wires)
	}
	return nil
}

// skip counts the lines that are left, and consumes them.
func (l *link) skip() (n int64) {
	for _, w := range l.wires {
		n += int64(bytes.Count(w.buf[w.r:w.w], []byte{'\n'}))
		w.r = w.w
	}
	return n
}

func (l *link) bytesIn() (n int64) {
	for _, w := range l.wires {
		n += w.bytesIn
	}
	return n
}

// line waits for the next line.
func (l *link) line(deadline int64) (string, error) {
	for {
		if s := l.next(); s != nil {
			return string(s), nil
		}
		if err := l.fill(); err != nil && !errors.Is(err, errTimeout) {
			return "", err
		}
		if monotonic() > deadline {
			return "", errTimeout
		}
	}
}

func (l *link) write(b []byte) error { return l.wires[0].write(b) }
