package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts latencies in microseconds: exactly up to 2^subBits, beyond with an error below 1/2^(subBits-1).
type histogram struct {
	counts [buckets]atomic.Uint64
}

const (
	subBits = 7
	buckets = (32 - subBits + 1) << subBits
)

// add counts a latency. It may be called from any goroutine.
func (h *histogram) add(d time.Duration) { h.counts[bucket(d.Microseconds())].Add(1) }

func bucket(us int64) int {
	us = min(max(us, 0), 1<<31-1)
	if us < 1<<subBits {
		return int(us)
	}
	shift := bits.Len64(uint64(us)) - subBits
	return shift<<subBits + int(us>>shift)
}

// upper is the largest latency of a bucket.
func upper(b int) time.Duration {
	if b < 1<<subBits {
		return time.Duration(b) * time.Microsecond
	}
	shift := b >> subBits
	us := (int64(b&(1<<subBits-1))+1)<<shift - 1
	return time.Duration(us) * time.Microsecond
}

func (h *histogram) reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
}

func (h *histogram) count() (n uint64) {
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// quantile is a latency that the given part of all does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	total := h.count()
	if total == 0 {
		return 0
	}
	rank := uint64(q * float64(total))
	seen := uint64(0)
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen > rank {
			return upper(i)
		}
	}
	return h.max()
}

func (h *histogram) max() time.Duration {
	for i := len(h.counts) - 1; i >= 0; i-- {
		if h.counts[i].Load() > 0 {
			return upper(i)
		}
	}
	return 0
}
