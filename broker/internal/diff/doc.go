// Package diff finds what has changed between two values of a field, in the two forms in which clients take it: a JSON Patch
// (RFC 6902) and a TLCP-diff. Both are optional on the wire: whenever a difference is not worth it, or would not mean the same to
// every client, there is none and the whole value is to be sent.
//
// The functions are pure and may be called from any goroutine. They do not block, and never fail: any bytes give a difference or
// none. Work and memory are bounded by a small multiple of the length of the texts, counted in steps, and texts beyond [MaxText]
// are not looked at. They keep nothing of their arguments.
package diff

import "strings"

// MaxText is the length in bytes of the longest text that is compared. A longer one has no difference.
const MaxText = 1 << 20

// tagLen is what introduces a difference on the wire: ^P or ^T.
const tagLen = 2

// room returns how many bytes a difference may have on the wire to be shorter than the whole value; negative if there is none.
func room(value string) int {
	n := wireLen(value)
	switch {
	case value == "":
		n = 1 // $
	case strings.IndexByte("#$^", value[0]) >= 0:
		n += 2
	}
	return n - tagLen - 1
}

// wireLen is the length of a text on the wire, where the bytes %, |, CR and LF take three.
func wireLen[T string | []byte](text T) int {
	n := len(text)
	for i := range len(text) {
		if special(text[i]) {
			n += 2
		}
	}
	return n
}

func special(c byte) bool { return c == '%' || c == '|' || c == '\r' || c == '\n' }
