// Package budget bounds how much memory parts of the broker may hold, before it is taken.
//
// A budget is a number of bytes, and may be part of a larger one: what a session holds is also held
// by the broker. The numbers are estimates made by whoever takes: text by its length, structures by
// a constant. They have to be of the right order, and given back exactly as they were taken.
package budget

import "sync/atomic"

// Budget is an amount of memory. Its methods may be called from any goroutine and do not block.
// The zero value has no limit and counts all the same; nil has no limit and counts nothing.
type Budget struct {
	parent  *Budget
	limit   int64 // 0: none
	used    atomic.Int64
	refused atomic.Int64
}

// New returns a budget of limit bytes; zero or less means without a limit.
func New(limit int64) *Budget { return &Budget{limit: max(limit, 0)} }

// Part returns a budget of limit bytes (zero or less: without a limit of its own) whose bytes count
// for b, too.
func (b *Budget) Part(limit int64) *Budget { return &Budget{parent: b, limit: max(limit, 0)} }

// Take takes n bytes, which must not be negative, and reports whether they were to be had, here and
// in all that b is a part of. If not, nothing is taken.
func (b *Budget) Take(n int64) bool {
	for at := b; at != nil; at = at.parent {
		if used := at.used.Add(n); at.limit > 0 && used > at.limit {
			at.refused.Add(1)
			for back := b; back != at; back = back.parent {
				back.used.Add(-n)
			}
			at.used.Add(-n)
			return false
		}
	}
	return true
}

// Add takes n bytes that exist already, even beyond the limit. A negative n gives bytes back.
func (b *Budget) Add(n int64) {
	for at := b; at != nil; at = at.parent {
		at.used.Add(n)
	}
}

// Used returns how many bytes are taken.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// Limit returns the limit; 0 if there is none.
func (b *Budget) Limit() int64 {
	if b == nil {
		return 0
	}
	return b.limit
}

// Over reports whether more than a share (from 0 to 1) of the limit is taken, here or in anything
// that b is a part of.
func (b *Budget) Over(share float64) bool {
	for at := b; at != nil; at = at.parent {
		if at.limit > 0 && float64(at.used.Load()) > share*float64(at.limit) {
			return true
		}
	}
	return false
}

// Full reports whether the limit of b itself is exceeded, as Add may do. It is quicker than Over.
func (b *Budget) Full() bool { return b != nil && b.limit > 0 && b.used.Load() > b.limit }

// Refused returns how often Take found this budget, not one above it, used up.
func (b *Budget) Refused() int64 {
	if b == nil {
		return 0
	}
	return b.refused.Load()
}
