package ari

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// MalformedError says that a line, or the body of one, cannot be read as the message it should be. It never quotes the
// line, which may hold a password.
type MalformedError struct {
	Method string // the method, or what was read
	Field  string // which part of the message; may be empty
	Token  int    // how many tokens of the body were taken, the offending one included; 0 if not known
	Reason string
}

// Error tells what was expected and where.
func (e *MalformedError) Error() string {
	b := append([]byte("ari: malformed "), e.Method...)
	b = append(b, ": "...)
	if e.Field != "" {
		b = append(b, e.Field...)
		if e.Token > 0 {
			b = append(b, " (token "...)
			b = strconv.AppendInt(b, int64(e.Token), 10)
			b = append(b, ')')
		}
		b = append(b, ": "...)
	}
	return string(append(b, e.Reason...))
}

// parser walks over the tokens of a body. After the first failure every method returns zero values and more reports
// false, so that callers read straight on and look at the error once, in done.
type parser struct {
	method string
	rest   []byte
	enc    Encoding
	sep    bool // the last token taken was followed by a separator
	taken  int
	err    *MalformedError

	// If body is set, to what rest is in the beginning, and short, the strings returned are parts of one: one allocation instead of several.
	body   []byte
	at     int    // where in body the last token taken begins
	shared string // body
}

// maxShared is the length of a body up to which a string of it may keep all of it in memory.
const maxShared = 512

func (p *parser) fail(field, reason string) {
	if p.err == nil {
		p.err = &MalformedError{Method: p.method, Field: field, Token: p.taken, Reason: reason}
	}
}

// done returns the failure, if there was one. Tokens left over are none.
func (p *parser) done() error {
	if p.err != nil {
		return p.err
	}
	return nil
}

// more says whether a token is left and nothing has failed.
func (p *parser) more() bool {
	if p.err != nil {
		return false
	}
	for len(p.rest) > 0 && p.rest[0] == '|' {
		p.rest = p.rest[1:]
	}
	return len(p.rest) > 0
}

// token takes the next token that is not empty; nil after a failure or when there is none, which is one.
func (p *parser) token(field string) []byte {
	if !p.more() {
		p.fail(field, "missing")
		return nil
	}
	return p.cut()
}

func (p *parser) cut() []byte {
	p.taken++
	tok := p.rest
	p.at = len(p.body) - len(tok)
	i := bytes.IndexByte(tok, '|')
	if p.sep = i >= 0; !p.sep {
		p.rest = nil
		return tok
	}
	p.rest = tok[i+1:]
	return tok[:i]
}

// peek returns the next token without taking it, nil if there is none.
func (p *parser) peek() []byte {
	if !p.more() {
		return nil
	}
	if i := bytes.IndexByte(p.rest, '|'); i >= 0 {
		return p.rest[:i]
	}
	return p.rest
}

// tag takes a type token, which must be the one given.
func (p *parser) tag(want, field string) bool {
	if rest := p.rest; p.err == nil && len(rest) > 1 && rest[0] == want[0] && rest[1] == '|' {
		p.taken++
		p.rest, p.sep = rest[2:], true
		return true
	}
	tok := p.token(field)
	if p.err == nil && string(tok) != want {
		p.fail(field, "want type "+want)
	}
	return p.err == nil
}

// void takes the type token V.
func (p *parser) void() { p.tag("V", "reply") }

// text takes a string.
func (p *parser) text(field string) Text {
	if t, ok := p.plainText(); ok {
		return t
	}
	if !p.tag("S", field) {
		return Text{}
	}
	return p.bareText(field)
}

// plainText takes a string if there is one as most are: of two bytes or more, with nothing escaped in it. It looks at each byte once.
func (p *parser) plainText() (Text, bool) {
	const tag = "S|"
	if p.err != nil || len(p.rest) < len(tag) || string(p.rest[:len(tag)]) != tag {
		return Text{}, false
	}
	tok := p.rest[len(tag):]
	n := plainLen(tok)
	if n < 2 || n < len(tok) && tok[n] != '|' {
		return Text{}, false
	}
	p.taken += 2
	p.at = len(p.body) - len(tok)
	if p.sep = n < len(tok); p.sep {
		p.rest = tok[n+1:]
	} else {
		p.rest = nil
	}
	return Text{S: p.lastToken(tok[:n])}, true
}

// lastToken returns the last token taken as a string.
func (p *parser) lastToken(tok []byte) string {
	if len(p.body) == 0 || len(p.body) > maxShared {
		return string(tok)
	}
	if p.shared == "" {
		p.shared = string(p.body)
	}
	return p.shared[p.at : p.at+len(tok)]
}

// bareText takes a string that has no type token, or whose type token has been taken.
func (p *parser) bareText(field string) Text {
	tok := p.token(field)
	if p.err != nil {
		return Text{}
	}
	t, reason := decodeText(tok, p.enc)
	if reason != "" {
		p.fail(field, reason)
	}
	return t
}

// str takes a string that cannot be null.
func (p *parser) str(field string) string {
	t := p.text(field)
	if t.Null {
		p.fail(field, "null")
	}
	return t.S
}

// id takes an identifier, which is a string that both ends write as it is.
func (p *parser) id(field string) string {
	if !p.tag("S", field) {
		return ""
	}
	return string(p.token(field))
}

func (p *parser) boolean(field string) bool {
	if !p.tag("B", field) {
		return false
	}
	switch tok := p.token(field); string(tok) {
	case "1":
		return true
	case "0":
	default:
		p.fail(field, "want 0 or 1")
	}
	return false
}

func (p *parser) integer(tag, field string, bits int) int64 {
	if !p.tag(tag, field) {
		return 0
	}
	return p.bareInteger(field, bits)
}

func (p *parser) bareInteger(field string, bits int) int64 {
	n, ok := parseInt(p.token(field), bits)
	if !ok {
		p.fail(field, "want a "+strconv.Itoa(bits)+"-bit integer")
	}
	return n
}

// int32 takes an integer of tag I.
func (p *parser) int32(field string) int { return int(p.integer("I", field, 32)) }

// int64 takes an integer of tag L.
func (p *parser) int64(field string) int64 { return p.integer("L", field, 64) }

// nullableInt32 takes an integer of tag I in a reply, where Node.js can send a null; that is 0.
func (p *parser) nullableInt32(field string) int {
	if !p.tag("I", field) {
		return 0
	}
	return p.bareNullableInt32(field)
}

func (p *parser) bareNullableInt32(field string) int {
	if string(p.peek()) == "#" {
		p.cut()
		return 0
	}
	return int(p.bareInteger(field, 32))
}

func (p *parser) double(field string) float64 {
	if !p.tag("D", field) {
		return 0
	}
	f, ok := parseDouble(p.token(field))
	if !ok {
		p.fail(field, "want a number")
	}
	return f
}

// count takes the length of a list. It says nothing about how many tokens there are: never allocate by it.
func (p *parser) count(field string) int {
	n := p.int32(field)
	if n < 0 {
		p.fail(field, "negative")
		return 0
	}
	return n
}

// strs takes all that is left as a list of strings.
func (p *parser) strs(field string) []string {
	var list []string
	if p.more() {
		list = make([]string, 0, bytes.Count(p.rest, []byte{'|'})/2+1)
	}
	for p.more() {
		list = append(list, p.str(field))
	}
	return list
}

// params takes all that is left, as name-value pairs.
func (p *parser) params() []Param {
	if !p.more() {
		return nil
	}
	list := make([]Param, 0, p.pairs())
	for p.more() {
		name := p.str("name")
		list = append(list, Param{Name: name, Value: p.text("value")})
	}
	return list
}

// paramMap takes all that is left, as name-value pairs, those with a value of null left out.
func (p *parser) paramMap() map[string]string {
	m := make(map[string]string, p.pairs())
	for p.more() {
		name, value := p.str("name"), p.text("value")
		if p.err == nil && !value.Null {
			m[name] = value.S
		}
	}
	return m
}

// pairs is how many name-value pairs are left, about: room for some is made at once.
func (p *parser) pairs() int { return min(bytes.Count(p.rest, []byte{'|'})/4+1, 64) }

// latin1 takes bytes whose type token Y has been taken, as ISO-8859-1 text. Python writes an empty token for no bytes,
// the only case in which an empty token means something.
func (p *parser) latin1(field string) Text {
	if p.err != nil {
		return Text{}
	}
	if !p.sep {
		p.fail(field, "missing")
		return Text{}
	}
	tok := p.cut()
	switch string(tok) {
	case "#":
		return Null
	case "$":
		return Text{}
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(tok)))
	n, err := base64.StdEncoding.Decode(raw, tok)
	if err != nil {
		p.fail(field, "want base64")
		return Text{}
	}
	text := make([]byte, 0, n)
	for _, c := range raw[:n] {
		text = utf8.AppendRune(text, rune(c))
	}
	return Text{S: string(text)}
}

// CountRawPlus returns how many "+" stand in the strings of a body in the smart encoding, where no encoder should write
// one: Java and .NET read it as a space, Node.js and this package as it is. A reader counts them to notice a peer that
// disagrees. In the legacy encoding it is 0.
func CountRawPlus(body []byte, enc Encoding) int {
	if enc != Smart || bytes.IndexByte(body, '+') < 0 {
		return 0
	}
	n := 0
	p := parser{rest: body}
	for p.more() {
		switch tag := p.cut(); tag[0] {
		case 'V':
		case 'S':
			n += bytes.Count(p.token(""), []byte{'+'})
		case 'E': // untyped strings follow
			return n + bytes.Count(p.rest, []byte{'+'})
		default:
			p.token("")
		}
	}
	return n
}

func appendHead(dst []byte, id string, m Method) []byte {
	dst = append(dst, id...)
	dst = append(dst, '|')
	return append(dst, m.String()...)
}

func appendMillis(dst []byte, millis int64, m Method) []byte {
	dst = strconv.AppendInt(dst, millis, 10)
	dst = append(dst, '|')
	return append(dst, m.String()...)
}

func appendStr(dst []byte, enc Encoding, s string) []byte {
	return AppendString(append(dst, "|S|"...), enc, s)
}

func appendTaggedText(dst []byte, enc Encoding, t Text) []byte {
	return AppendText(append(dst, "|S|"...), enc, t)
}

func appendStrs(dst []byte, enc Encoding, list []string) []byte {
	for _, s := range list {
		dst = appendStr(dst, enc, s)
	}
	return dst
}

func appendParams(dst []byte, enc Encoding, params []Param) []byte {
	for _, p := range params {
		dst = appendTaggedText(appendStr(dst, enc, p.Name), enc, p.Value)
	}
	return dst
}

func appendTaggedInt(dst []byte, n int) []byte {
	return appendInt32(append(dst, "|I|"...), n)
}

func appendTaggedDouble(dst []byte, f float64) []byte {
	return appendDouble(append(dst, "|D|"...), f)
}

func appendTaggedBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, "|B|1"...)
	}
	return append(dst, "|B|0"...)
}
