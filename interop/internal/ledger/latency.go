package ledger

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Latency counts latencies in microseconds, with an error below 1/32. Its methods may be called
// from any goroutine.
type Latency struct{ counts [latencyBuckets]atomic.Uint64 }

const (
	latencyBits    = 6
	latencyBuckets = (40 - latencyBits + 1) << latencyBits
)

// Add counts a latency.
func (h *Latency) Add(d time.Duration) {
	us := min(max(d.Microseconds(), 0), 1<<39-1)
	if us < 1<<latencyBits {
		h.counts[us].Add(1)
		return
	}
	shift := bits.Len64(uint64(us)) - latencyBits
	h.counts[shift<<latencyBits+int(us>>shift)].Add(1)
}

// Reset forgets everything.
func (h *Latency) Reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
}

// Summary is what a Latency has counted.
type Summary struct {
	Count uint64        `json:"count"`
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
	Max   time.Duration `json:"max"`
}

// Summary sums up.
func (h *Latency) Summary() Summary {
	var s Summary
	for i := range h.counts {
		s.Count += h.counts[i].Load()
	}
	seen := uint64(0)
	for i := range h.counts {
		n := h.counts[i].Load()
		if n == 0 {
			continue
		}
		before := seen
		seen += n
		value := latencyOf(i)
		s.Max = value
		if half := s.Count / 2; before <= half && half < seen {
			s.P50 = value
		}
		if rank := s.Count * 99 / 100; before <= rank && rank < seen {
			s.P99 = value
		}
	}
	return s
}

// latencyOf is the largest latency of a bucket.
func latencyOf(bucket int) time.Duration {
	us := int64(bucket)
	if shift := bucket >> latencyBits; shift > 0 {
		us = (int64(bucket&(1<<latencyBits-1))+1)<<shift - 1
	}
	return time.Duration(us) * time.Microsecond
}
