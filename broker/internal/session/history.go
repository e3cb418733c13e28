package session

import (
	"bytes"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
)

// history holds the data notifications written last, for a recovery: whole lines, without gaps, numbered from 1 in the order in
// which they were written. It is bounded in bytes and time; what a client has confirmed is dropped.
type history struct {
	chunks []chunk
	bytes  int
	last   int64  // number of the last line added
	spare  []byte // of a chunk that was dropped, for the next one; nil if there is none
	mem    *budget.Budget
}

// chunk is some lines in a row.
type chunk struct {
	first int64 // number of the first line
	count int64
	data  []byte
	begun time.Time // of the first line
	at    time.Time // of the last line
}

// chunkSize and chunkTime are how long a chunk gets before another one is begun: lines are dropped by chunks.
const (
	chunkSize = 4 << 10
	chunkTime = 5 * time.Second
)

// add appends count whole lines. It keeps no reference to lines.
func (h *history) add(lines []byte, count int64, now time.Time) {
	n := len(h.chunks)
	if n == 0 || len(h.chunks[n-1].data)+len(lines) > chunkSize || now.Sub(h.chunks[n-1].begun) > chunkTime {
		h.chunks = append(h.chunks, chunk{first: h.last + 1, begun: now, data: h.spare})
		h.spare = nil
	}
	c := &h.chunks[len(h.chunks)-1]
	before := cap(c.data)
	if len(c.data) == 0 {
		before = 0 // the spare one is not counted
	}
	c.data = append(c.data, lines...)
	if grown := cap(c.data) - before; grown > 0 {
		h.mem.Add(int64(grown))
	}
	c.count += count
	c.at = now
	h.bytes += len(lines)
	h.last += count
}

// trim drops the oldest chunks while more than maxBytes would be left without them, and those older than maxAge. The newest chunk
// always stays: it was hardly sent.
func (h *history) trim(maxBytes int, maxAge time.Duration, now time.Time) {
	n := 0
	for left := h.bytes; n < len(h.chunks)-1 && (left > maxBytes || now.Sub(h.chunks[n].at) > maxAge); n++ {
		left -= len(h.chunks[n].data)
	}
	h.drop(n)
}

// confirm drops the chunks that hold nothing after line n.
func (h *history) confirm(n int64) {
	i := 0
	for i < len(h.chunks) && h.chunks[i].first+h.chunks[i].count-1 <= n {
		i++
	}
	h.drop(i)
}

func (h *history) drop(n int) {
	if n == 0 {
		return
	}
	for i := range n {
		h.bytes -= len(h.chunks[i].data)
		h.mem.Add(-int64(cap(h.chunks[i].data)))
	}
	if spare := h.chunks[n-1].data; cap(spare) <= 2*chunkSize {
		h.spare = spare[:0]
	}
	kept := copy(h.chunks, h.chunks[n:])
	clear(h.chunks[kept:])
	h.chunks = h.chunks[:kept]
}

// covers says whether the lines after line n are all there.
func (h *history) covers(n int64) bool {
	if n > h.last {
		return false
	}
	return n == h.last || len(h.chunks) > 0 && n+1 >= h.chunks[0].first
}

// appendAfter appends to dst the lines after line n, as many as fit into max bytes in all, but at least one if there is any. It
// returns how many.
func (h *history) appendAfter(dst []byte, n int64, limit int) ([]byte, int64) {
	base, taken := len(dst), int64(0)
	for i := range h.chunks {
		c := &h.chunks[i]
		rest := c.data
		for number := c.first; number < c.first+c.count; number++ {
			end := bytes.IndexByte(rest, '\n') + 1
			if number > n {
				if len(dst) > base && len(dst)+end > limit {
					return dst, taken
				}
				dst = append(dst, rest[:end]...)
				taken++
			}
			rest = rest[end:]
		}
	}
	return dst, taken
}
