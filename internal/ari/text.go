package ari

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// Encoding is one of the two ways of writing strings.
type Encoding uint8

// The two encodings.
const (
	Legacy Encoding = iota // as in HTML forms; every version before 1.9.0, and a few methods in all versions
	Smart                  // five characters escaped, the rest as UTF-8
)

// String returns "legacy" or "smart".
func (e Encoding) String() string {
	if e == Smart {
		return "smart"
	}
	return "legacy"
}

// Text is a string that can be null, as every string of the protocol can. The zero value is the empty string.
type Text struct {
	S    string
	Null bool
}

// T returns s as a Text that is not null.
func T(s string) Text { return Text{S: s} }

// Null is the null text.
var Null = Text{Null: true}

// The classes of bytes in the tables below.
const (
	plain    = iota // stands for itself
	escaped         // written as % and two digits
	space           // written as + (legacy only)
	nonASCII        // part of a longer UTF-8 sequence, or no UTF-8 at all
)

var smartClass, legacyClass = classes()

func classes() (smart, legacy [256]uint8) {
	for c := range 256 {
		switch {
		case c >= utf8.RuneSelf:
			smart[c], legacy[c] = nonASCII, nonASCII
		case c == ' ':
			legacy[c] = space
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			legacy[c] = escaped
		}
	}
	for _, c := range "\r\n|%+" {
		smart[c] = escaped
	}
	return smart, legacy
}

const upperHex = "0123456789ABCDEF"

func appendEscaped(dst []byte, c byte) []byte {
	return append(dst, '%', upperHex[c>>4], upperHex[c&15])
}

// AppendString appends s as one value token. It allocates only when dst has to grow; the empty string is written as "$",
// and each byte that is not part of valid UTF-8 as U+FFFD. It keeps nothing of s.
func AppendString[S ~string | ~[]byte](dst []byte, enc Encoding, s S) []byte {
	if enc == Smart && len(s) > 1 {
		if out, ok := appendPlain(dst, s); ok {
			return out
		}
	}
	switch len(s) {
	case 0:
		return append(dst, '$')
	case 1:
		// As a whole token these two would read as null and empty.
		if c := s[0]; c == '#' || c == '$' {
			return appendEscaped(dst, c)
		}
	}
	if enc == Smart {
		return appendSmart(dst, s)
	}
	return appendLegacy(dst, s)
}

func appendSmart[S ~string | ~[]byte](dst []byte, s S) []byte {
	dst = slices.Grow(dst, len(s))
	start := 0
	for i := 0; i < len(s); {
		if i+8 <= len(s) && suspects(load8(s, i)) == 0 {
			i += 8
			continue
		}
		c := s[i]
		class := smartClass[c]
		if class == plain {
			i++
			continue
		}
		if class == nonASCII {
			if n := runeLen(s, i); n > 0 {
				i += n
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\uFFFD"...)
		} else {
			dst = append(dst, s[start:i]...)
			dst = appendEscaped(dst, c)
		}
		i++
		start = i
	}
	return append(dst, s[start:]...)
}

func appendLegacy[S ~string | ~[]byte](dst []byte, s S) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		class := legacyClass[c]
		if class == plain {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch class {
		case space:
			dst = append(dst, '+')
			i++
		case escaped:
			dst = appendEscaped(dst, c)
			i++
		default:
			if n := runeLen(s, i); n > 0 {
				for end := i + n; i < end; i++ {
					dst = appendEscaped(dst, s[i])
				}
			} else {
				dst = append(dst, "%EF%BF%BD"...)
				i++
			}
		}
		start = i
	}
	return append(dst, s[start:]...)
}

// runeLen returns the length of the UTF-8 sequence of two bytes or more that starts at s[i], 0 if there is none. The
// standard decoder wants a string or a byte slice, and turning S into either could allocate.
func runeLen[S ~string | ~[]byte](s S, i int) int {
	var n int
	lo, hi := byte(0x80), byte(0xBF) // the second byte's bounds: no overlong forms, no surrogates, nothing past the last one
	switch c := s[i]; {
	case c < 0xC2 || c > 0xF4:
		return 0
	case c < 0xE0:
		n = 2
	case c == 0xE0:
		n, lo = 3, 0xA0
	case c == 0xED:
		n, hi = 3, 0x9F
	case c < 0xF0:
		n = 3
	case c == 0xF0:
		n, lo = 4, 0x90
	case c == 0xF4:
		n, hi = 4, 0x8F
	default:
		n = 4
	}
	if len(s)-i < n || s[i+1] < lo || s[i+1] > hi {
		return 0
	}
	for k := i + 2; k < i+n; k++ {
		if s[k]&0xC0 != 0x80 {
			return 0
		}
	}
	return n
}

// AppendText appends t as one value token, "#" when it is null.
func AppendText(dst []byte, enc Encoding, t Text) []byte {
	if t.Null {
		return append(dst, '#')
	}
	return AppendString(dst, enc, t.S)
}

// appendLatin1 appends b, read as ISO-8859-1 text, in the smart encoding.
func appendLatin1(dst []byte, b []byte) []byte {
	switch {
	case len(b) == 0:
		return append(dst, '$')
	case len(b) == 1 && (b[0] == '#' || b[0] == '$'):
		return appendEscaped(dst, b[0])
	}
	for _, c := range b {
		switch smartClass[c] {
		case plain:
			dst = append(dst, c)
		case nonASCII:
			dst = utf8.AppendRune(dst, rune(c))
		default:
			dst = appendEscaped(dst, c)
		}
	}
	return dst
}

// ParseText reads one value token. "#" and "$" are null and empty when they are the whole token. Any %XX is taken, in
// either case of digits; a bad escape is a *MalformedError. In the legacy encoding "+" is a space; in the smart encoding
// it stands for itself, although no encoder should write it (see [CountRawPlus]).
func ParseText(tok []byte, enc Encoding) (Text, error) {
	t, reason := decodeText(tok, enc)
	if reason != "" {
		return Text{}, &MalformedError{Method: "text", Reason: reason}
	}
	return t, nil
}

// decodeText is ParseText with the failure as a bare reason, empty for none.
func decodeText(tok []byte, enc Encoding) (t Text, reason string) {
	if len(tok) == 1 {
		switch tok[0] {
		case '#':
			return Null, ""
		case '$':
			return Text{}, ""
		}
	}
	if isPlain(tok) {
		return Text{S: string(tok)}, ""
	}
	var s string
	if bytes.IndexByte(tok, '%') < 0 && (enc == Smart || bytes.IndexByte(tok, '+') < 0) {
		s = string(tok)
	} else if s, reason = unescape(tok, enc); reason != "" {
		return Text{}, reason
	}
	if !utf8.ValidString(s) {
		s = string([]rune(s)) // one U+FFFD for each bad byte, as AppendString does
	}
	return Text{S: s}, ""
}

func unescape(tok []byte, enc Encoding) (s, reason string) {
	var b strings.Builder
	b.Grow(len(tok))
	for i := 0; i < len(tok); i++ {
		c := tok[i]
		switch {
		case c == '%':
			if i+2 >= len(tok) {
				return "", "% escape cut short"
			}
			hi, ok1 := hexDigit(tok[i+1])
			lo, ok2 := hexDigit(tok[i+2])
			if !ok1 || !ok2 {
				return "", "% not followed by two hexadecimal digits"
			}
			b.WriteByte(hi<<4 | lo)
			i += 2
		case c == '+' && enc == Legacy:
			b.WriteByte(' ')
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
