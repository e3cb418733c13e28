package diff

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of JSON texts that are compared: clients parse and patch them recursively.
const (
	maxDepth = 128
	maxNodes = 1 << 16
)

// node is a value of a JSON text, or the key of one. Nodes are in the order of the text, so what a container holds follows it, up to
// next; in an object keys and values alternate.
type node struct {
	start, end int32 // in the text; of an escaped key, start is its place in names
	next       int32 // the node behind all that belongs to this one
	kind       kind
}

type kind uint8

const (
	scalar kind = iota
	object
	array
	plainKey   // the text between the quotes is the key
	escapedKey // the key is in names
)

// tree is a JSON text taken apart. It is valid for every client: RFC 8259, nothing more.
type tree struct {
	text  string
	nodes []node
	names []string
	pos   int
}

// parse takes a text apart; false if it is not valid JSON, goes beyond the limits, or has a key that some client or path can't express:
// half of a surrogate pair, or __proto__, which clients in JavaScript lose when they copy an object.
func (t *tree) parse(text string) bool {
	t.text, t.nodes, t.names, t.pos = text, t.nodes[:0], t.names[:0], 0
	if !utf8.ValidString(text) {
		return false
	}
	t.space()
	if !t.value(0) {
		return false
	}
	t.space()
	return t.pos == len(text)
}

// forget drops the references to the text.
func (t *tree) forget() {
	t.text = ""
	clear(t.names)
}

// raw is the text of a value.
func (t *tree) raw(n int32) string { return t.text[t.nodes[n].start:t.nodes[n].end] }

// key is the key that a key node holds, unescaped.
func (t *tree) key(n int32) string {
	k := &t.nodes[n]
	if k.kind == escapedKey {
		return t.names[k.start]
	}
	return t.text[k.start:k.end]
}

func (t *tree) add(k kind, start, end int) bool {
	if len(t.nodes) == maxNodes {
		return false
	}
	t.nodes = append(t.nodes, node{int32(start), int32(end), int32(len(t.nodes) + 1), k})
	return true
}

// close ends a container.
func (t *tree) close(n int) {
	t.nodes[n].end, t.nodes[n].next = int32(t.pos), int32(len(t.nodes))
}

func (t *tree) space() {
	for t.pos < len(t.text) {
		switch t.text[t.pos] {
		case ' ', '\t', '\r', '\n':
			t.pos++
		default:
			return
		}
	}
}

// accept takes one character, if it is the next one.
func (t *tree) accept(c byte) bool {
	if t.pos < len(t.text) && t.text[t.pos] == c {
		t.pos++
		return true
	}
	return false
}

func (t *tree) value(depth int) bool {
	if t.pos == len(t.text) {
		return false
	}
	start, n := t.pos, len(t.nodes)
	var ok bool
	switch t.text[start] {
	case '{':
		t.pos++
		return depth < maxDepth && t.add(object, start, start) && t.members(n, depth+1)
	case '[':
		t.pos++
		return depth < maxDepth && t.add(array, start, start) && t.elements(n, depth+1)
	case '"':
		_, ok = t.str()
	case 't':
		ok = t.word("true")
	case 'f':
		ok = t.word("false")
	case 'n':
		ok = t.word("null")
	default:
		ok = t.number()
	}
	return ok && t.add(scalar, start, t.pos)
}

func (t *tree) members(n, depth int) bool {
	t.space()
	if t.accept('}') {
		t.close(n)
		return true
	}
	for {
		t.space()
		if !t.name() {
			return false
		}
		t.space()
		if !t.accept(':') {
			return false
		}
		t.space()
		if !t.value(depth) {
			return false
		}
		t.space()
		if t.accept('}') {
			t.close(n)
			return true
		}
		if !t.accept(',') {
			return false
		}
	}
}

func (t *tree) elements(n, depth int) bool {
	t.space()
	if t.accept(']') {
		t.close(n)
		return true
	}
	for {
		t.space()
		if !t.value(depth) {
			return false
		}
		t.space()
		if t.accept(']') {
			t.close(n)
			return true
		}
		if !t.accept(',') {
			return false
		}
	}
}

// name reads a key.
func (t *tree) name() bool {
	start := t.pos + 1
	escaped, ok := t.str()
	if !ok {
		return false
	}
	s := t.text[start : t.pos-1]
	if escaped {
		if s, ok = unescape(s); !ok {
			return false
		}
		t.names = append(t.names, s)
		return s != proto && t.add(escapedKey, len(t.names)-1, 0)
	}
	return s != proto && t.add(plainKey, start, t.pos-1)
}

const proto = "__proto__"

// str passes over a string.
func (t *tree) str() (escaped, ok bool) {
	if !t.accept('"') {
		return false, false
	}
	for t.pos < len(t.text) {
		c := t.text[t.pos]
		t.pos++
		switch {
		case c == '"':
			return escaped, true
		case c < 0x20:
			return false, false
		case c == '\\':
			escaped = true
			if !t.escape() {
				return false, false
			}
		}
	}
	return false, false
}

// escape passes over what follows a backslash.
func (t *tree) escape() bool {
	if t.pos == len(t.text) {
		return false
	}
	c := t.text[t.pos]
	t.pos++
	if c != 'u' {
		return strings.IndexByte(`"\/bfnrt`, c) >= 0
	}
	if t.pos+4 > len(t.text) {
		return false
	}
	for _, c := range []byte(t.text[t.pos : t.pos+4]) {
		if strings.IndexByte("0123456789abcdefABCDEF", c) < 0 {
			return false
		}
	}
	t.pos += 4
	return true
}

func (t *tree) word(w string) bool {
	if !strings.HasPrefix(t.text[t.pos:], w) {
		return false
	}
	t.pos += len(w)
	return true
}

func (t *tree) number() bool {
	t.accept('-')
	if !t.accept('0') && !t.digits() {
		return false
	}
	if t.accept('.') && !t.digits() {
		return false
	}
	if t.accept('e') || t.accept('E') {
		if !t.accept('+') {
			t.accept('-')
		}
		return t.digits()
	}
	return true
}

// digits passes over at least one digit.
func (t *tree) digits() bool {
	start := t.pos
	for t.pos < len(t.text) && '0' <= t.text[t.pos] && t.text[t.pos] <= '9' {
		t.pos++
	}
	return t.pos > start
}

// unescape decodes what is between the quotes of a valid string; false if it has half of a surrogate pair.
func unescape(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := unit(s[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				if !strings.HasPrefix(s[i+1:], `\u`) {
					return "", false
				}
				if r = utf16.DecodeRune(r, unit(s[i+3:])); r == utf8.RuneError {
					return "", false
				}
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
	}
	return string(out), true
}

// unit reads four hexadecimal digits.
func unit(s string) rune {
	n, _ := strconv.ParseUint(s[:4], 16, 16) // checked when the string was read
	return rune(n)
}

// appendCompact appends a valid JSON text without its blanks.
func appendCompact(dst []byte, s string) []byte {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			dst = append(dst, s[start:i]...)
			start = i + 1
		case c == '\\':
			i++
		}
	}
	return append(dst, s[start:]...)
}
