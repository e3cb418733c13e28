package diff

import "slices"

// grams are the lengths of blocks that are looked for, one after the other: the long ones tell reliably what belongs together, the
// last one is about what it takes on the wire to copy a block.
var grams = [...]int{32, 12, 4}

// maxTries is how many places of a are tried for one place of b.
const maxTries = 8

// find appends the hunks of two texts, which begin at a0 and b0 in the whole: those of a shortest edit script if it is short, else by
// the blocks they have in common, beginning with the length of level. What steps do not suffice for becomes one hunk.
func find[T byte | uint16](e *editor, a, b []T, a0, b0, level int) {
	prefix, suffix := affix(a, b)
	a, b, a0, b0 = a[prefix:len(a)-suffix], b[prefix:len(b)-suffix], a0+prefix, b0+prefix
	e.steps -= prefix + suffix
	switch {
	case len(a) == 0 && len(b) == 0:
		return
	case len(a) == 0 || len(b) == 0 || level == len(grams) || e.steps < 0:
		e.hunks = append(e.hunks, hunk{a0, a0 + len(a), b0, b0 + len(b)})
		return
	case shortest(e, a, b, a0, b0, 8*(len(a)+len(b))+maxEdits):
		return
	}
	for _, h := range blocks(e, a, b, grams[level]) {
		find(e, a[h.a0:h.a1], b[h.b0:h.b1], a0+h.a0, b0+h.b0, level+1)
	}
}

// blocks returns what is left of two texts between blocks of at least g characters that they have in common, in the order in which they
// are in both. It does not look for the best ones, but in linear time.
func blocks[T byte | uint16](e *editor, a, b []T, g int) (rest []hunk) {
	var last hunk // begins where the block before ended
	if len(a) >= g && len(b) >= g {
		shift := e.index(len(a))
		for i, r := len(a)-g, newRolling(a[len(a)-g:], g); ; { // from the end, so that the lists ascend
			h := r.sum(shift)
			e.links[i], e.heads[h] = e.heads[h], int32(i)
			if i--; i < 0 {
				break
			}
			r.back(uint32(a[i]), uint32(a[i+g]))
		}
		e.steps -= len(a) * (1 + e.probe/4)
		y, r := 0, newRolling(b, g)
		for e.steps > 0 {
			x, length := longest(e, r.sum(shift), last.a0, a, b[y:])
			skip := 1
			if length >= g {
				from := y
				for x > last.a0 && from > last.b0 && a[x-1] == b[from-1] {
					x, from = x-1, from-1
				}
				last.a1, last.b1 = x, from
				rest = append(rest, last)
				skip = length
				last = hunk{a0: x + y - from + length, b0: y + length}
			}
			e.steps -= skip
			if y+skip+g > len(b) {
				break
			}
			for ; skip > 0; skip-- {
				r.forward(uint32(b[y]), uint32(b[y+g]))
				y++
			}
		}
	}
	last.a1, last.b1 = len(a), len(b)
	return append(rest, last)
}

// index makes room for an index of n places, and returns by how much hashes are to be shifted.
func (e *editor) index(n int) (shift int) {
	bits := 6
	for 1<<bits < n && bits < 16 {
		bits++
	}
	e.heads = slices.Grow(e.heads[:0], 1<<bits)[:1<<bits]
	for i := range e.heads {
		e.heads[i] = -1
	}
	e.links = slices.Grow(e.links[:0], n)[:n]
	return 32 - bits
}

// longest finds, among the next places of a with a hash, the one that has most in common with b. Places before low are dropped for
// good: blocks only go forward.
func longest[T byte | uint16](e *editor, h uint32, low int, a, b []T) (x, length int) {
	for e.heads[h] >= 0 && int(e.heads[h]) < low {
		e.heads[h] = e.links[e.heads[h]]
		e.steps -= e.probe
	}
	for i, tries := e.heads[h], 0; i >= 0 && tries < maxTries && e.steps > 0; i, tries = e.links[i], tries+1 {
		n := common(a[i:], b)
		e.steps -= n + e.probe
		if n > length {
			x, length = int(i), n
		}
	}
	return x, length
}

func common[T byte | uint16](a, b []T) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// rolling is the hash of a window that moves by one character: the sum of the characters times powers of factor, the first one's being 1.
type rolling struct{ h, top uint32 } // top is factor to the power of the window's length

const (
	factor  = 0x01000193
	inverse = 0x359C449B // factor times inverse is 1
)

func newRolling[T byte | uint16](s []T, g int) rolling {
	r := rolling{top: 1}
	for i := g - 1; i >= 0; i-- {
		r.h = r.h*factor + uint32(s[i])
		r.top *= factor
	}
	return r
}

// forward drops the first character and takes one more at the end.
func (r *rolling) forward(out, in uint32) { r.h = (r.h - out + in*r.top) * inverse }

// back takes one more character at the beginning and drops the last one.
func (r *rolling) back(in, out uint32) { r.h = r.h*factor + in - out*r.top }

// sum returns the upper bits, which depend on all characters.
func (r *rolling) sum(shift int) uint32 { return (r.h * 0x9E3779B1) >> shift }
