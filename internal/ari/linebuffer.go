package ari

import (
	"bytes"
	"errors"
)

// ErrLineTooLong says that a peer sent a line longer than the bound of the [LineBuffer]. There is no way to go on: close
// the connection.
var ErrLineTooLong = errors.New("ari: line longer than the bound; raise the bound or look at the peer")

const (
	defaultMaxLine = 16 << 20
	minSpace       = 4 << 10  // the least room Space offers
	firstBuffer    = 16 << 10 // the size to begin with and to come back to
	keptBuffer     = 64 << 10 // buffers up to this size are kept between lines
)

// LineBuffer splits a stream of bytes into lines. It does no I/O: the reading goroutine, which owns it, reads into
// Space, tells with Advance how much arrived, and calls Next until it has no more.
//
// Lines end with LF; CRs before it belong to the end. No other character ends a line. A byte is looked at once, however
// many reads a line takes, and memory that a huge line needed is given back after it.
type LineBuffer struct {
	buf     []byte
	start   int // first byte not yet returned as part of a line
	scanned int // no LF in buf[start:scanned]
	end     int // first free byte
	max     int
	err     error
}

// NewLineBuffer returns a buffer for lines of at most maxLine bytes, the end of the line not counted; 16 MiB if maxLine is
// not positive.
func NewLineBuffer(maxLine int) *LineBuffer {
	if maxLine <= 0 {
		maxLine = defaultMaxLine
	}
	return &LineBuffer{max: maxLine}
}

// Space returns where to read into: at least 4 KiB once Next has reported that there are no more lines. It is empty only
// after an error, or when whole lines up to the bound wait for Next. Lines returned before are no longer valid.
func (b *LineBuffer) Space() []byte {
	if b.err != nil {
		return nil
	}
	pending := b.end - b.start
	size := len(b.buf)
	switch {
	case size > keptBuffer && pending <= firstBuffer-minSpace:
		size = firstBuffer
	case size-b.end >= minSpace:
		return b.buf[b.end:]
	}
	// A line at the bound, its CR, and room for what follows; what is beyond has to be fetched with Next first.
	limit := b.max + 1 + minSpace
	for size < pending+minSpace && size < limit {
		size = max(2*size, firstBuffer)
	}
	size = min(size, max(limit, firstBuffer))
	b.move(size, pending)
	return b.buf[b.end:]
}

// move brings what is pending to the front of a buffer of the given size.
func (b *LineBuffer) move(size, pending int) {
	buf := b.buf
	if size != len(buf) {
		buf = make([]byte, size)
	}
	copy(buf, b.buf[b.start:b.end])
	b.scanned -= b.start
	b.buf, b.start, b.end = buf, 0, pending
}

// Advance says that n bytes were read into what Space returned.
func (b *LineBuffer) Advance(n int) {
	if n < 0 || n > len(b.buf)-b.end {
		panic("ari: LineBuffer.Advance beyond the space given")
	}
	b.end += n
}

// Next returns the next line without its LF and the CRs before it; it may be empty, and is valid until Space is called.
// ok is false when no whole line is there. err is [ErrLineTooLong] when the line is longer than the bound, and stays so.
func (b *LineBuffer) Next() (line []byte, ok bool, err error) {
	if b.err != nil {
		return nil, false, b.err
	}
	i := bytes.IndexByte(b.buf[b.scanned:b.end], '\n')
	if i < 0 {
		b.scanned = b.end
		// One more than the bound may be the CR of a line end that is still to come.
		if b.end-b.start > b.max+1 {
			return nil, false, b.tooLong()
		}
		return nil, false, nil
	}
	lf := b.scanned + i
	raw := b.buf[b.start:lf]
	line = raw
	for len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	if len(line) > b.max || len(raw) > b.max+1 {
		return nil, false, b.tooLong()
	}
	b.start, b.scanned = lf+1, lf+1
	if b.start == b.end {
		b.start, b.scanned, b.end = 0, 0, 0
	}
	return line, true, nil
}

// HasLine tells whether Next has a line to return.
func (b *LineBuffer) HasLine() bool {
	if b.err != nil {
		return false
	}
	i := bytes.IndexByte(b.buf[b.scanned:b.end], '\n')
	if i >= 0 {
		b.scanned += i // Next need not search again
	}
	return i >= 0
}

// Split moves what follows the last whole line over to another buffer, in which nothing may be left.
func (b *LineBuffer) Split(to *LineBuffer) {
	rest := b.buf[b.start:b.end]
	rest = rest[bytes.LastIndexByte(rest, '\n')+1:]
	if size := len(rest) + minSpace; len(to.buf) < size {
		to.buf = make([]byte, max(size, firstBuffer))
	}
	to.start, to.scanned, to.end = 0, 0, copy(to.buf, rest)
	b.end -= len(rest)
	b.scanned = min(b.scanned, b.end)
}

func (b *LineBuffer) tooLong() error {
	b.err = ErrLineTooLong
	b.buf, b.start, b.scanned, b.end = nil, 0, 0, 0
	return b.err
}
