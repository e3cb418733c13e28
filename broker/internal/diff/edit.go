package diff

import "slices"

// hunk is a place where two sequences differ: a[a0:a1] has become b[b0:b1]. Between hunks they are equal.
type hunk struct{ a0, a1, b0, b1 int }

// maxEdits is how many insertions and deletions of single elements a shortest script is looked for. The memory it takes grows
// with the square.
const maxEdits = 128

// editor finds hunks. It is scratch space: the zero value is ready, and it is used again to save allocations.
type editor struct {
	hunks []hunk
	steps int // comparisons that may still be made, about
	probe int // how many comparisons it is worth to look at another place of the text

	reach [2*maxEdits + 3]int32 // by diagonal: how far the best path has come in a
	trace []int32               // reach after each round, in rows of 1, 2, 3... diagonals
	heads []int32               // blocks: by hash, the first place in a
	links []int32               // blocks: by place in a, the next one with the same hash
}

// element is what is compared: characters, or values by their hash.
type element interface{ byte | uint16 | uint64 }

// affix returns how many elements are equal at the beginning, and of the others at the end.
func affix[T element](a, b []T) (prefix, suffix int) {
	n := min(len(a), len(b))
	for prefix < n && a[prefix] == b[prefix] {
		prefix++
	}
	n -= prefix
	for suffix < n && a[len(a)-1-suffix] == b[len(b)-1-suffix] {
		suffix++
	}
	return prefix, suffix
}

// shortest appends the hunks of a shortest edit script (Myers' greedy algorithm); false, and none, if it would be longer than maxEdits
// or takes more steps than limit. A0 and b0 are where the slices begin in the whole.
func shortest[T element](e *editor, a, b []T, a0, b0, limit int) bool {
	if len(a)-len(b) > maxEdits || len(b)-len(a) > maxEdits {
		return false
	}
	const mid = maxEdits + 1
	v := &e.reach
	v[mid+1] = 0
	e.trace = e.trace[:0]
	limit = e.steps - min(limit, e.steps)
	for d := 0; d <= maxEdits; d++ {
		e.steps -= d + 1
		for k := -d; k <= d; k += 2 {
			var x int
			if k == -d || k != d && v[mid+k-1] < v[mid+k+1] {
				x = int(v[mid+k+1])
			} else {
				x = int(v[mid+k-1]) + 1
			}
			y, from := x-k, x
			for x < len(a) && y < len(b) && a[x] == b[y] {
				x, y = x+1, y+1
			}
			e.steps -= x - from
			v[mid+k] = int32(x)
			if x >= len(a) && y >= len(b) {
				e.backtrack(d, x, y, a0, b0)
				return true
			}
		}
		if e.steps < limit {
			return false
		}
		for k := -d; k <= d; k += 2 {
			e.trace = append(e.trace, v[mid+k])
		}
	}
	return false
}

// backtrack collects the hunks of the path that has come to x and y with d edits, from its end.
func (e *editor) backtrack(d, x, y, a0, b0 int) {
	first := len(e.hunks)
	for ; d > 0; d-- {
		k := x - y
		row := e.trace[(d-1)*d/2:] // of round d-1: diagonals -(d-1), -(d-3), ... d-1
		at := func(k int) int { return int(row[(k+d-1)/2]) }
		var h hunk
		if k == -d || k != d && at(k-1) < at(k+1) {
			x = at(k + 1)
			y = x - k - 1
			h = hunk{x, x, y, y + 1}
		} else {
			x = at(k - 1)
			y = x - k + 1
			h = hunk{x, x + 1, y, y}
		}
		h.a0, h.a1, h.b0, h.b1 = h.a0+a0, h.a1+a0, h.b0+b0, h.b1+b0
		if n := len(e.hunks); n > first && e.hunks[n-1].a0 == h.a1 && e.hunks[n-1].b0 == h.b1 {
			e.hunks[n-1].a0, e.hunks[n-1].b0 = h.a0, h.b0
		} else {
			e.hunks = append(e.hunks, h)
		}
	}
	slices.Reverse(e.hunks[first:])
}
