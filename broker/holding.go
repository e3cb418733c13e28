package broker

import (
	"errors"
	"io"
	"net/http"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
)

// holding is the memory that a request has been charged with, and its place among those of its
// client's address if a proxy has passed it on. It belongs to the goroutine of the request.
type holding struct {
	memory *budget.Budget
	header int64
	body   int64
	short  bool   // there was no memory for the body
	leave  func() // nil if there is no place to give back
}

// What a request takes besides the text of its header: for itself, and for each line of it, which
// is kept in two maps.
const (
	requestCost = 1 << 10
	lineCost    = 200
)

// noMemory is why a request is refused that finds no room.
const noMemory = "too many requests are being read (Limits.RequestMemory)"

// hold charges a request that has just arrived, or tells why it is refused.
func (f *frontend) hold(r *http.Request, from peer) (*holding, string) {
	h := &holding{memory: f.gate.memory}
	if c := connOf(r); c != nil {
		h.memory = f.gate.memoryOf(c.addr)
	}
	if from.proxied {
		memory, leave, ok := f.gate.forwarded(from.addr)
		if !ok {
			return nil, tooManyOfAddress
		}
		h.memory, h.leave = memory, leave
	}
	cost := headerCost(r)
	if !h.memory.Take(cost) {
		f.n.requestMemory.Add(1)
		h.release()
		return nil, noMemory
	}
	h.header = cost
	return h, ""
}

// headerCost returns about how much memory the header of a request holds.
func headerCost(r *http.Request) int64 {
	cost := requestCost + 3*len(r.RequestURI)
	for name, values := range r.Header {
		cost += lineCost + len(name)
		for _, v := range values {
			cost += 2 * (len(v) + 16)
		}
	}
	return int64(cost)
}

// release gives everything back.
func (h *holding) release() {
	h.releaseBody()
	h.memory.Add(-h.header)
	h.header = 0
	if h.leave != nil {
		h.leave()
		h.leave = nil
	}
}

// releaseBody gives back what was taken for a body that is of no use any more.
func (h *holding) releaseBody() {
	h.memory.Add(-h.body)
	h.body = 0
}

// readAll reads r to its end, and fails with errBusy when there is no memory for what it has.
func (h *holding) readAll(r io.Reader) ([]byte, error) {
	var b []byte
	for {
		if len(b) == cap(b) {
			grown := max(512, 2*cap(b))
			if !h.memory.Take(int64(grown - cap(b))) {
				h.short = true
				return nil, errBusy
			}
			h.body += int64(grown - cap(b))
			b = append(make([]byte, 0, grown), b...)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
