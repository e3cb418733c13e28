package tlcp

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxParams is the number of parameters above which a line is refused: several times what any request has.
const MaxParams = 100

// Param is one decoded name=value of a request line.
type Param struct{ Name, Value string }

// Params are the parameters of one request line, in their order. Names that come twice are kept twice; look-ups find the first.
type Params []Param

// ParamError tells which parameter is wrong and why. Its text is fit for a client, so the value is not in it: it may be a secret.
type ParamError struct {
	Param  string
	Value  string // as sent, for logs of parameters known not to be secret
	Reason string
}

// Error names the parameter and the reason.
func (e *ParamError) Error() string { return "tlcp: parameter " + e.Param + ": " + e.Reason }

// ParseParams decodes a line such as LS_op=add&LS_subId=1. A raw + is a space, as URL encoding has it; text that is not UTF-8 gets
// U+FFFD in the place of what is wrong; empty pieces (a stray &) are skipped; a piece without = is a name with an empty value.
//
// The error is a *ParamError for a percent sign without two hex digits, and for more than [MaxParams] parameters. The parameters
// that could be decoded are returned with it, so that a refusal can carry the request's id.
func ParseParams(line []byte) (Params, error) {
	if len(line) == 0 {
		return nil, nil
	}
	var fault error
	ps := make(Params, 0, min(bytes.Count(line, []byte{'&'})+1, MaxParams))
	for len(line) > 0 {
		var piece []byte
		piece, line, _ = bytes.Cut(line, []byte{'&'})
		if len(piece) == 0 {
			continue
		}
		if len(ps) == MaxParams {
			fault = &ParamError{Param: "list", Reason: "more than " + strconv.Itoa(MaxParams) + " parameters"}
			break
		}
		rawName, rawValue, _ := bytes.Cut(piece, []byte{'='})
		name := validText(string(rawName))
		value, ok := unescapeParam(rawValue)
		if !ok {
			if fault == nil {
				fault = &ParamError{Param: clip(name), Value: string(rawValue), Reason: "percent sign without two hex digits"}
			}
			continue
		}
		ps = append(ps, Param{name, value})
	}
	return ps, fault
}

// unescapeParam decodes percent-encoding and raw plus signs; false for a percent sign without two hex digits.
func unescapeParam(raw []byte) (string, bool) {
	if bytes.IndexByte(raw, '%') < 0 && bytes.IndexByte(raw, '+') < 0 {
		return validText(string(raw)), true
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '+':
			out = append(out, ' ')
		case '%':
			b, ok := hexByte(raw[i+1:])
			if !ok {
				return "", false
			}
			out = append(out, b)
			i += 2
		default:
			out = append(out, c)
		}
	}
	return validText(string(out)), true
}

// hexByte reads two hex digits at the beginning of s.
func hexByte[T []byte | string](s T) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	hi, lo := hexDigit(s[0]), hexDigit(s[1])
	return hi<<4 | lo, hi < 16 && lo < 16
}

func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xFF
}

func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// Lookup returns the first value of a name.
func (ps Params) Lookup(name string) (value string, ok bool) {
	for i := range ps {
		if ps[i].Name == name {
			return ps[i].Value, true
		}
	}
	return "", false
}

// String returns the first value of a name, or def if there is none.
func (ps Params) String(name, def string) string {
	if v, ok := ps.Lookup(name); ok {
		return v
	}
	return def
}

// filled returns the first value of a name, or def if there is none or it is empty.
func (ps Params) filled(name, def string) string {
	if v := ps.String(name, def); v != "" {
		return v
	}
	return def
}

// text returns nil for a name that is not there.
func (ps Params) text(name string) *string {
	if v, ok := ps.Lookup(name); ok {
		return &v
	}
	return nil
}

// Bool reads true or false; def if the name is not there. The error is a *ParamError.
func (ps Params) Bool(name string, def bool) (bool, error) {
	v, ok := ps.Lookup(name)
	switch {
	case !ok:
		return def, nil
	case v == "true":
		return true, nil
	case v == "false":
		return false, nil
	}
	return def, &ParamError{name, v, "want true or false"}
}

// Int reads a decimal integer from low to high; def if the name is not there. The error is a *ParamError.
func (ps Params) Int(name string, def, low, high int64) (int64, error) {
	v, ok := ps.Lookup(name)
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < low || n > high {
		return def, &ParamError{name, v, fmt.Sprintf("want an integer from %d to %d", low, high)}
	}
	return n, nil
}

// amount reads an integer that stands for how much is wanted of something: one below low or above
// high is brought there, however large it is. def if the name is not there. The error is a
// *ParamError.
func (ps Params) amount(name string, def, low, high int64) (int64, error) {
	v, ok := ps.Lookup(name)
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil // n is the nearest one
	}
	if err != nil { // some languages write large numbers with an exponent
		f, ok := readNumber(v)
		if !ok || f != math.Trunc(f) {
			return def, &ParamError{name, v, "want an integer"}
		}
		n = int64(min(max(f, float64(low)), float64(high)))
	}
	return min(max(n, low), high), nil
}

// Decimals that clients ask for are brought between these: all arithmetic with them stays within
// what a float64 and a [time.Duration] can hold.
const (
	minDecimal = 1e-9
	maxDecimal = 1e12
)

// Decimal reads a positive decimal number, also with an exponent, and brings it between 1e-9 and
// 1e12; def if the name is not there. Any of words gives 0, which stands for no limit. The error is
// a *ParamError.
func (ps Params) Decimal(name string, def float64, words ...string) (float64, error) {
	v, ok := ps.Lookup(name)
	if !ok {
		return def, nil
	}
	for _, w := range words {
		if v == w {
			return 0, nil
		}
	}
	f, ok := readNumber(v)
	if mantissa, _, _ := strings.Cut(strings.ToLower(v), "e"); !ok || v[0] == '-' || strings.Trim(mantissa, "+0.") == "" {
		return def, &ParamError{name, v, "want a positive decimal number"}
	}
	return min(max(f, minDecimal), maxDecimal), nil
}

// maxNumber is the longest text that is read as a number.
const maxNumber = 400

// readNumber reads a decimal number, which may have a sign, a dot and an exponent. What is too
// large for a float64 is infinite.
func readNumber(s string) (float64, bool) {
	if s == "" || len(s) > maxNumber {
		return 0, false
	}
	for i := range len(s) { // no words, hexadecimal numbers and underscores, which strconv would take
		switch c := s[i]; {
		case '0' <= c && c <= '9', c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}

// parseDecimal reads digits with at most one dot: no sign, exponent or word, all of which strconv would take.
func parseDecimal(s string) (float64, bool) {
	if len(s) == 0 || len(s) > 40 {
		return 0, false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '.' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// maxMillis keeps every time a client can ask for far from the overflow of a time.Duration: some thirty years.
const maxMillis = 1_000_000_000_000

// millis reads a time, which is at most maxMillis; 0 if the name is not there, or the time is
// negative.
func (ps Params) millis(name string) (time.Duration, error) {
	n, err := ps.amount(name, 0, 0, maxMillis)
	return time.Duration(n) * time.Millisecond, err
}

// SplitMessage takes the name off a WebSocket message; the rest is for [Lines]. An HTTP body has no name, it is in the address.
// False if the first line is no request name. Body shares memory with message.
func SplitMessage(message []byte) (name Name, body []byte, ok bool) {
	first, body, _ := bytes.Cut(message, []byte{'\n'})
	name, ok = ParseName(bytes.TrimSuffix(first, []byte{'\r'}))
	return name, body, ok
}

// Lines yields the lines of a body without their CR-LF; a bare LF separates too. An end of line at the end starts no further line,
// and an empty body has no lines. The lines share memory with body.
func Lines(body []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(body) > 0 {
			line, rest, _ := bytes.Cut(body, []byte{'\n'})
			if !yield(bytes.TrimSuffix(line, []byte{'\r'})) {
				return
			}
			body = rest
		}
	}
}

// appendParam appends name=value, with an & in front unless it is the first of the line, and the value encoded.
func appendParam(dst []byte, start int, name, value string) []byte {
	if len(dst) > start {
		dst = append(dst, '&')
	}
	dst = append(dst, name...)
	dst = append(dst, '=')
	return appendEscapedParam(dst, value)
}

func appendIntParam(dst []byte, start int, name string, n int64) []byte {
	if len(dst) > start {
		dst = append(dst, '&')
	}
	dst = append(dst, name...)
	dst = append(dst, '=')
	return strconv.AppendInt(dst, n, 10)
}

const upperHex = "0123456789ABCDEF"

// appendEscapedParam encodes all but the characters that every client of the family leaves as they are.
func appendEscapedParam(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}
