package tlcp

import (
	"strconv"
	"unicode/utf8"
)

// Value is the value of a field: a text or null. The zero value is the empty text. It converts to and from any struct type with the
// same two fields.
type Value struct {
	S    string
	Null bool
}

// AppendUpdate appends the U line of an item whose fields now have the values next, with CR-LF. Prev are the values of the last U
// line sent for the same item of the same subscription: what did not change is left out, in the shortest form. Prev nil (or of
// another length) is the first line, which has every value.
//
// It does not allocate unless dst has to grow, and keeps neither slice. Text that is not UTF-8 gets U+FFFD in the place of what is
// wrong. A data notification.
func AppendUpdate(dst []byte, subID, item int, prev, next []Value) []byte {
	return AppendUpdateDiffs(dst, subID, item, prev, next, nil)
}

// AppendUpdateDiffs is AppendUpdate with differences: where diffs, in the order of next, has an element of kind [JSONPatch] or
// [TLCPDiff] for a field that has changed, its text is sent instead of the value. It has to fit what the client holds: that the first
// line has none is seen to here, the rest is for the caller.
func AppendUpdateDiffs(dst []byte, subID, item int, prev, next []Value, diffs []Element) []byte {
	dst = append(dst, 'U')
	dst = appendIntArg(dst, int64(subID))
	dst = appendIntArg(dst, int64(item))
	sep := byte(',')
	if len(prev) != len(next) {
		for i := range next {
			dst = AppendValue(append(dst, sep), next[i])
			sep = '|'
		}
		return append(dst, EOL...)
	}
	for i := 0; i < len(next); {
		run := i
		for run < len(next) && prev[run] == next[run] {
			run++
		}
		if run == i {
			dst = append(dst, sep)
			if i < len(diffs) && diffs[i].Kind >= JSONPatch {
				dst = appendDiff(dst, &diffs[i])
			} else {
				dst = AppendValue(dst, next[i])
			}
			i++
		} else {
			dst = appendUnchanged(dst, sep, run-i)
			i = run
		}
		sep = '|'
	}
	return append(dst, EOL...)
}

// appendUnchanged appends n unchanged fields: empty elements up to three, where ^n is not shorter.
func appendUnchanged(dst []byte, sep byte, n int) []byte {
	dst = append(dst, sep)
	if n > 3 {
		return strconv.AppendInt(append(dst, '^'), int64(n), 10)
	}
	for range n - 1 {
		dst = append(dst, '|')
	}
	return dst
}

// appendDiff appends a difference as it stands between the bars of a U line.
func appendDiff(dst []byte, e *Element) []byte {
	tag := byte('P')
	if e.Kind == TLCPDiff {
		tag = 'T'
	}
	return appendUpdateText(append(dst, '^', tag), e.Value.S)
}

// AppendValue appends one value as it stands between the bars of a U line.
func AppendValue(dst []byte, v Value) []byte {
	if v.Null {
		return append(dst, '#')
	}
	s := v.S
	if s == "" {
		return append(dst, '$')
	}
	if c := s[0]; c == '#' || c == '$' || c == '^' {
		dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		s = s[1:]
	}
	return appendUpdateText(dst, s)
}

// appendUpdateText copies runs of bytes that need no encoding at once: most values have nothing else.
func appendUpdateText(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '%' || c == '|' || c == '\r' || c == '\n':
			dst = append(dst, s[start:i]...)
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
			i++
			start = i
		case c < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\uFFFD"...)
				start = i + size
			}
			i += size
		}
	}
	return append(dst, s[start:]...)
}
