package diff

import (
	"sync"
	"unicode/utf8"
)

// texts is the scratch space of TLCP.
type texts struct {
	editor
	a, b   []byte
	wa, wb []uint16
}

var textPool = sync.Pool{New: func() any { return new(texts) }}

// maxScratch is how many characters a text may have for its scratch space to be kept.
const maxScratch = 64 << 10

// TLCP appends the TLCP-diff that makes next of old: the text that goes behind ^T, not yet encoded for the wire. It returns dst as it
// was, and false, if there is none: if the diff would be no shorter on the wire than the whole value, if a text is longer than
// MaxText, or if it has characters outside the basic plane or is no UTF-8, since clients count characters in different units then.
func TLCP(dst []byte, old, next string) ([]byte, bool) {
	if len(old) > MaxText || len(next) > MaxText || room(next) < 1 {
		return dst, false
	}
	ascii, ok := basic(old, next)
	if !ok {
		return dst, false
	}
	t := textPool.Get().(*texts)
	defer t.release()
	if ascii {
		t.a, t.b = append(t.a[:0], old...), append(t.b[:0], next...)
		return appendTLCP(&t.editor, dst, t.a, t.b, room(next))
	}
	t.wa, t.wb = wide(t.wa[:0], old), wide(t.wb[:0], next)
	return appendTLCP(&t.editor, dst, t.wa, t.wb, room(next))
}

func (t *texts) release() {
	if max(cap(t.a), cap(t.b), cap(t.wa), cap(t.wb), cap(t.links)) <= maxScratch {
		textPool.Put(t)
	}
}

// basic says whether the texts are all ASCII, and whether all clients count their characters alike: then each character is one unit
// of UTF-16.
func basic(texts ...string) (ascii, ok bool) {
	ascii = true
	for _, s := range texts {
		for i := 0; i < len(s); {
			if s[i] < utf8.RuneSelf {
				i++
				continue
			}
			ascii = false
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 || r > 0xFFFF {
				return false, false
			}
			i += size
		}
	}
	return ascii, true
}

func wide(dst []uint16, s string) []uint16 {
	for _, r := range s {
		dst = append(dst, uint16(r))
	}
	return dst
}

// appendTLCP appends a diff of at most limit bytes on the wire.
func appendTLCP[T byte | uint16](e *editor, dst []byte, a, b []T, limit int) ([]byte, bool) {
	e.hunks, e.steps, e.probe = e.hunks[:0], editSteps(len(a)+len(b)), 1
	if len(a) > maxScratch {
		e.probe = farProbe
	}
	find(e, a, b, 0, 0, 0)
	join(e, b)
	base, at := len(dst), 0
	for i, h := range e.hunks {
		end := i == len(e.hunks)-1 && h.a1 == len(a) // what is left of the old value is dropped
		dst = appendNumber(dst, h.a0-at)
		if !end || h.b0 < h.b1 {
			dst = appendNumber(dst, h.b1-h.b0)
			dst = appendCharacters(dst, b[h.b0:h.b1])
		}
		if !end {
			dst = appendNumber(dst, h.a1-h.a0)
		}
		if at = h.a1; len(dst)-base > limit {
			return dst[:base], false
		}
	}
	if at < len(a) || len(e.hunks) == 0 {
		dst = appendNumber(dst, len(a)-at)
	}
	if wireLen(dst[base:]) > limit {
		return dst[:base], false
	}
	return dst, true
}

// editSteps is how many comparisons texts of so many characters are worth.
func editSteps(n int) int { return min(32*n+1024, maxSteps) }

// farProbe is what it is worth in texts that the caches of a processor do not hold.
const farProbe = 16

// maxSteps bounds the work for a difference, however long the texts: some ten milliseconds. What is
// not found by then is sent as it is.
const maxSteps = 6 << 20

// join makes one hunk of two where it is not longer to add the characters between them than to copy them.
func join[T byte | uint16](e *editor, b []T) {
	if len(e.hunks) == 0 {
		return
	}
	out := e.hunks[:1]
	for _, h := range e.hunks[1:] {
		last := &out[len(out)-1]
		if gap := b[last.b1:h.b0]; len(gap) < 16 {
			added := last.b1 - last.b0
			split := digits(len(gap)) + digits(added) + digits(h.b1-h.b0) + digits(last.a1-last.a0) + digits(h.a1-h.a0)
			whole := characters(gap) + digits(h.b1-last.b0) + digits(h.a1-last.a0)
			if whole <= split {
				last.a1, last.b1 = h.a1, h.b1
				continue
			}
		}
		out = append(out, h)
	}
	e.hunks = out
}

// characters is the length of a text on the wire.
func characters[T byte | uint16](s []T) int {
	n := 0
	for _, c := range s {
		switch {
		case c < utf8.RuneSelf && special(byte(c)):
			n += 3
		default:
			n += utf8.RuneLen(rune(c))
		}
	}
	return n
}

func appendCharacters[T byte | uint16](dst []byte, s []T) []byte {
	for _, c := range s {
		dst = utf8.AppendRune(dst, rune(c))
	}
	return dst
}

// appendNumber appends n in base 26: the last digit is a lower case letter, the others are upper case.
func appendNumber(dst []byte, n int) []byte {
	var buf [16]byte
	i := len(buf) - 1
	buf[i] = 'a' + byte(n%26)
	for n /= 26; n > 0; n /= 26 {
		i--
		buf[i] = 'A' + byte(n%26)
	}
	return append(dst, buf[i:]...)
}

func digits(n int) int {
	d := 1
	for n /= 26; n > 0; n /= 26 {
		d++
	}
	return d
}
