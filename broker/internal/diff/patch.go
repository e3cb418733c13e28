package diff

import (
	"cmp"
	"hash/maphash"
	"math/bits"
	"slices"
	"strconv"
	"sync"
)

// patcher makes one JSON Patch. It is scratch space that is used again.
type patcher struct {
	old, next tree
	dst       []byte
	base      int    // where the patch begins in dst
	limit     int    // bytes the patch may have before what turns out too long is taken back
	steps     int    // bytes that may still be compared or written
	path      []byte // JSON pointer of the values that are compared, escaped for a JSON string
	stack     []int32
	a, b      []uint64
	seed      maphash.Seed
	editor    editor
}

var patcherPool = sync.Pool{New: func() any { return &patcher{seed: maphash.MakeSeed()} }}

// JSONPatch appends the JSON Patch that makes next of old: the text that goes behind ^P, not yet encoded for the wire. It has only add,
// remove and replace operations, and values as they are written in next, blanks between them aside.
//
// It returns dst as it was, and false, if there is none: if a text is not valid JSON, is longer than MaxText or nested deeper than 128,
// if the patch would be no shorter on the wire than the whole value, or if finding it takes too long. What it compares is text: 1 and 1.0
// are different, and so are objects with a key that comes twice, unless they are written alike. The order of keys is no difference.
func JSONPatch(dst []byte, old, next string) ([]byte, bool) {
	if len(old) > MaxText || len(next) > MaxText || room(next) < len("[]") {
		return dst, false
	}
	p := patcherPool.Get().(*patcher)
	defer p.release()
	return p.patch(dst, old, next)
}

func (p *patcher) release() {
	p.dst = nil
	p.old.forget()
	p.next.forget()
	if max(cap(p.old.nodes), cap(p.next.nodes), cap(p.path), cap(p.stack), cap(p.a), cap(p.b)) <= maxScratch/8 {
		patcherPool.Put(p)
	}
}

func (p *patcher) patch(dst []byte, old, next string) ([]byte, bool) {
	if !p.old.parse(old) || !p.next.parse(next) {
		return dst, false
	}
	limit := room(next)
	p.base, p.limit = len(dst), 2*limit
	dst = append(dst, '[')
	p.dst = dst
	p.steps = patchSteps(old, next)
	p.path, p.stack = p.path[:0], p.stack[:0]
	if !p.compare(0, 0) || p.over() {
		return p.dst[:p.base], false
	}
	if n := len(p.dst); p.dst[n-1] == ',' {
		p.dst = p.dst[:n-1]
	}
	p.dst = append(p.dst, ']')
	if wireLen(p.dst[p.base:]) > limit {
		return p.dst[:p.base], false
	}
	return p.dst, true
}

// patchSteps is how many bytes may be compared and written for two texts.
func patchSteps(old, next string) int { return min(16*(len(old)+len(next))+1024, maxSteps) }

// over says that it is no use to go on.
func (p *patcher) over() bool { return p.steps < 0 || len(p.dst)-p.base > p.limit }

// same says whether two values are written alike.
func (p *patcher) same(o, n int32) bool {
	a, b := p.old.raw(o), p.next.raw(n)
	if len(a) != len(b) {
		return false
	}
	p.steps -= len(a)/8 + 1
	return a == b
}

// compare appends the operations that make value n of value o; false if there is no way short of replacing it, or nothing is left to
// do it with.
func (p *patcher) compare(o, n int32) bool {
	if p.same(o, n) {
		return true
	}
	mark, kind := len(p.dst), p.old.nodes[o].kind
	var ok bool
	switch {
	case kind != p.next.nodes[n].kind:
	case kind == object:
		ok = p.objects(o, n, mark+p.cost(n))
	case kind == array:
		ok = p.arrays(o, n, mark+p.cost(n))
	}
	if ok && len(p.dst) <= mark+p.cost(n) {
		return true
	}
	if len(p.path) == 0 || p.steps < 0 {
		return false
	}
	p.dst = p.dst[:mark]
	p.write("replace", n)
	return true
}

const replacing = len(`{"op":"replace","path":"","value":},`)

// cost is about what it takes to replace a value; of the whole text, anything.
func (p *patcher) cost(n int32) int {
	if len(p.path) == 0 {
		return p.limit
	}
	return replacing + len(p.path) + len(p.next.raw(n))
}

// write appends an operation on what the path leads to; n is the new value, negative if there is none.
func (p *patcher) write(op string, n int32) {
	mark := len(p.dst)
	p.dst = append(p.dst, `{"op":"`...)
	p.dst = append(p.dst, op...)
	p.dst = append(p.dst, `","path":"`...)
	p.dst = append(p.dst, p.path...)
	p.dst = append(p.dst, '"')
	if n >= 0 {
		p.dst = append(p.dst, `,"value":`...)
		p.dst = appendCompact(p.dst, p.next.raw(n))
	}
	p.dst = append(p.dst, '}', ',')
	p.steps -= len(p.dst) - mark
}

// appending is the segment of a path that means the end of an array. Some clients refuse it in most operations, even if it is a key.
const appending = "-"

// objects compares two objects key by key; false if a key comes twice in one of them, or can't be named in a path, or it gets longer than
// it may.
func (p *patcher) objects(o, n int32, limit int) bool {
	base := len(p.stack)
	defer func() { p.stack = p.stack[:base] }()
	if !p.keys(&p.old, o) {
		return false
	}
	mid := len(p.stack)
	if !p.keys(&p.next, n) {
		return false
	}
	end := len(p.stack)
	for i, j := base, mid; i < mid || j < end; {
		if len(p.dst) > limit || p.over() {
			return false
		}
		var order int
		switch {
		case i == mid:
			order = 1
		case j == end:
			order = -1
		default:
			order = cmp.Compare(p.old.key(p.stack[i]), p.next.key(p.stack[j]))
		}
		switch {
		case order <= 0 && p.old.key(p.stack[i]) == appending || order > 0 && p.next.key(p.stack[j]) == appending:
			if order != 0 || !p.same(p.stack[i]+1, p.stack[j]+1) {
				return false
			}
			i, j = i+1, j+1
		case order < 0:
			p.at(p.old.key(p.stack[i]), func() bool { p.write("remove", -1); return true })
			i++
		case order > 0: // in the order of the text, below
			p.stack = append(p.stack, p.stack[j])
			j++
		default:
			ov, nv := p.stack[i]+1, p.stack[j]+1
			if !p.at(p.old.key(p.stack[i]), func() bool { return p.compare(ov, nv) }) {
				return false
			}
			i, j = i+1, j+1
		}
	}
	added := p.stack[end:]
	slices.Sort(added)
	for _, k := range added {
		p.at(p.next.key(k), func() bool { p.write("add", k+1); return true })
		if len(p.dst) > limit || p.over() {
			return false
		}
	}
	return true
}

// keys puts the keys of an object on the stack, sorted; false if one comes twice.
func (p *patcher) keys(t *tree, n int32) bool {
	base := len(p.stack)
	for k := n + 1; k < t.nodes[n].next; k = t.nodes[k+1].next {
		p.stack = append(p.stack, k)
	}
	list := p.stack[base:]
	p.steps -= len(list) * bits.Len(uint(len(list)))
	slices.SortFunc(list, func(a, b int32) int { return cmp.Compare(t.key(a), t.key(b)) })
	for i := 1; i < len(list); i++ {
		if t.key(list[i-1]) == t.key(list[i]) {
			return false
		}
	}
	return true
}

// at calls f with the path extended by a key.
func (p *patcher) at(key string, f func() bool) bool {
	mark := len(p.path)
	p.path = appendKey(append(p.path, '/'), key)
	ok := f()
	p.path = p.path[:mark]
	return ok
}

// atIndex calls f with the path extended by a place in an array.
func (p *patcher) atIndex(i int, f func() bool) bool {
	mark := len(p.path)
	p.path = strconv.AppendInt(append(p.path, '/'), int64(i), 10)
	ok := f()
	p.path = p.path[:mark]
	return ok
}

// appendKey appends a key as it stands in a JSON pointer in a JSON string.
func appendKey(dst []byte, key string) []byte {
	for i := range len(key) {
		switch c := key[i]; {
		case c == '~':
			dst = append(dst, '~', '0')
		case c == '/':
			dst = append(dst, '~', '1')
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// arrays compares two arrays: what is equal stays, in between elements are compared in pairs, and what is left over is added or
// removed. False if it gets longer than it may.
func (p *patcher) arrays(o, n int32, limit int) bool {
	base := len(p.stack)
	defer func() { p.stack = p.stack[:base] }()
	p.children(&p.old, o)
	mid := len(p.stack)
	p.children(&p.next, n)
	end := len(p.stack)
	la, lb := mid-base, end-mid
	prefix := 0
	for prefix < min(la, lb) && p.same(p.stack[base+prefix], p.stack[mid+prefix]) {
		prefix++
	}
	suffix := 0
	for suffix < min(la, lb)-prefix && p.same(p.stack[mid-1-suffix], p.stack[end-1-suffix]) {
		suffix++
	}
	hunks := p.align(base+prefix, mid-suffix, mid+prefix, end-suffix)
	for _, h := range hunks {
		for h.a0 < h.a1 || h.b0 < h.b1 {
			if len(p.dst) > limit || p.over() {
				return false
			}
			ok := p.atIndex(prefix+h.b0, func() bool {
				switch {
				case h.b0 == h.b1:
					p.write("remove", -1)
				case h.a0 == h.a1:
					p.write("add", p.stack[mid+prefix+h.b0])
				default:
					return p.compare(p.stack[base+prefix+h.a0], p.stack[mid+prefix+h.b0])
				}
				return true
			})
			if !ok {
				return false
			}
			h.a0, h.b0 = min(h.a0+1, h.a1), min(h.b0+1, h.b1)
		}
	}
	return true
}

// children puts the elements of an array on the stack.
func (p *patcher) children(t *tree, n int32) {
	for c := n + 1; c < t.nodes[n].next; c = t.nodes[c].next {
		p.stack = append(p.stack, c)
	}
}

// align finds where elements have come or gone, among those on the stack from a0 to a1 (old) and b0 to b1 (new). The result, relative
// to a0 and b0, is the caller's.
func (p *patcher) align(a0, a1, b0, b1 int) []hunk {
	if a0 == a1 && b0 == b1 {
		return nil
	}
	whole := hunk{a1: a1 - a0, b1: b1 - b0}
	if a0 == a1 || b0 == b1 || a1-a0 == 1 && b1-b0 == 1 {
		return []hunk{whole}
	}
	p.a, p.b = p.a[:0], p.b[:0]
	for _, c := range p.stack[a0:a1] {
		p.a = append(p.a, p.sum(p.old.raw(c)))
	}
	for _, c := range p.stack[b0:b1] {
		p.b = append(p.b, p.sum(p.next.raw(c)))
	}
	p.editor.hunks, p.editor.steps = p.editor.hunks[:0], 8*(len(p.a)+len(p.b))+maxEdits
	if !shortest(&p.editor, p.a, p.b, 0, 0, p.editor.steps) {
		return []hunk{whole}
	}
	hunks := slices.Clone(p.editor.hunks) // elements are aligned in turn
	if !p.aligned(hunks, a0, b0, a1) {
		return []hunk{whole}
	}
	return hunks
}

func (p *patcher) sum(s string) uint64 {
	p.steps -= len(s)/8 + 1
	return maphash.String(p.seed, s)
}

// aligned makes sure that what has the same hash between the hunks is the same.
func (p *patcher) aligned(hunks []hunk, a, b, end int) bool {
	a0, b0 := a, b
	for _, h := range hunks {
		for ; a < a0+h.a0; a, b = a+1, b+1 {
			if !p.same(p.stack[a], p.stack[b]) {
				return false
			}
		}
		a, b = a0+h.a1, b0+h.b1
	}
	for ; a < end; a, b = a+1, b+1 {
		if !p.same(p.stack[a], p.stack[b]) {
			return false
		}
	}
	return true
}
