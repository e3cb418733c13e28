package tlcp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Tag is the kind of a line from the server. The zero Tag is a line this package does not know, which clients ignore.
type Tag uint8

// The tags.
const (
	TagCONOK Tag = iota + 1
	TagCONERR
	TagSERVNAME
	TagCLIENTIP
	TagCONS
	TagPROG
	TagNOOP
	TagPROBE
	TagSYNC
	TagLOOP
	TagEND
	TagSUBOK
	TagSUBCMD
	TagCONF
	TagU
	TagEOS
	TagCS
	TagOV
	TagUNSUB
	TagMSGDONE
	TagMSGFAIL
	TagREQOK
	TagREQERR
	TagERROR
	TagWSOK
)

// tagShapes gives the number of arguments of each tag; -1: any, read by the tag's own rule.
var tagShapes = [...]struct {
	text string
	args int
}{
	TagCONOK:    {"CONOK", 4},
	TagCONERR:   {"CONERR", 2},
	TagSERVNAME: {"SERVNAME", 1},
	TagCLIENTIP: {"CLIENTIP", 1},
	TagCONS:     {"CONS", 1},
	TagPROG:     {"PROG", 1},
	TagNOOP:     {"NOOP", -1},
	TagPROBE:    {"PROBE", 0},
	TagSYNC:     {"SYNC", 1},
	TagLOOP:     {"LOOP", 1},
	TagEND:      {"END", 2},
	TagSUBOK:    {"SUBOK", 3},
	TagSUBCMD:   {"SUBCMD", 5},
	TagCONF:     {"CONF", 3},
	TagU:        {"U", 3},
	TagEOS:      {"EOS", 2},
	TagCS:       {"CS", 2},
	TagOV:       {"OV", 3},
	TagUNSUB:    {"UNSUB", 1},
	TagMSGDONE:  {"MSGDONE", -1},
	TagMSGFAIL:  {"MSGFAIL", 4},
	TagREQOK:    {"REQOK", -1},
	TagREQERR:   {"REQERR", 3},
	TagERROR:    {"ERROR", 2},
	TagWSOK:     {"WSOK", 0},
}

// String returns the tag as it is on the wire, and "unknown" for none.
func (t Tag) String() string {
	if t == 0 || int(t) >= len(tagShapes) {
		return "unknown"
	}
	return tagShapes[t].text
}

// Data says whether lines of the tag are data notifications, which both sides count for recovery.
func (t Tag) Data() bool {
	switch t {
	case TagSUBOK, TagSUBCMD, TagCONF, TagU, TagEOS, TagCS, TagOV, TagUNSUB, TagMSGDONE, TagMSGFAIL:
		return true
	}
	return false
}

// Line is one line from the server. Each tag fills the fields its arguments go to, named in the comments; the others are zero.
type Line struct {
	Tag Tag

	SubID, Item        int           // SUBOK SUBCMD CONF U EOS CS OV UNSUB
	Items, Fields      int           // SUBOK SUBCMD
	KeyPos, CommandPos int           // SUBCMD
	Frequency          Frequency     // CONF
	Values             []byte        // U: the list of values, for Elements; shares memory with the line
	Count              int64         // PROG OV
	Session            string        // CONOK
	RequestLimit       int           // CONOK: bytes
	ControlLink        string        // CONOK: * for none
	Duration           time.Duration // CONOK LOOP SYNC
	Bandwidth          Bandwidth     // CONS
	ReqID              string        // REQOK REQERR; empty in the short REQOK
	Code               int           // CONERR END ERROR REQERR MSGFAIL
	Text               string        // CONERR END ERROR REQERR MSGFAIL SERVNAME CLIENTIP NOOP; MSGDONE: the response
	Sequence           string        // MSGDONE MSGFAIL; empty for *
	Prog               int           // MSGDONE MSGFAIL
}

// ParseLine reads one line, without its CR-LF (a CR at the end is taken off). An unknown tag is no error: the Line has Tag 0. It
// allocates for texts only, not for updates.
func ParseLine(line []byte) (Line, error) {
	line = bytes.TrimSuffix(line, []byte{'\r'})
	word, rest, hasArgs := bytes.Cut(line, []byte{','})
	tag := parseTag(word)
	if tag == 0 {
		return Line{}, nil
	}
	p := lineParser{line: Line{Tag: tag}, rest: rest, more: hasArgs}
	if tag == TagNOOP {
		p.line.Text = validText(string(rest))
		return p.line, nil
	}
	if want := tagShapes[tag].args; want >= 0 && tag != TagU {
		got := 0
		if hasArgs {
			got = bytes.Count(rest, []byte{','}) + 1
		}
		// Clients split at every comma and ignore what follows the last argument they know.
		if got < want {
			return Line{}, fmt.Errorf("tlcp: line %s: want %d arguments, got %d", tag, want, got)
		}
	}
	p.read()
	if p.err != nil {
		return Line{}, fmt.Errorf("tlcp: line %s: %w", tag, p.err)
	}
	return p.line, nil
}

func parseTag(word []byte) Tag {
	for t := range tagShapes {
		if t > 0 && tagShapes[t].text == string(word) {
			return Tag(t)
		}
	}
	return 0
}

// lineParser takes the arguments of a line one by one and keeps the first error.
type lineParser struct {
	line Line
	rest []byte
	more bool
	err  error
}

func (p *lineParser) read() {
	l := &p.line
	switch l.Tag {
	case TagCONOK:
		l.Session = p.plain()
		l.RequestLimit = p.int("request limit", 0)
		l.Duration = p.millis()
		l.ControlLink = p.plain()
	case TagCONERR, TagEND, TagERROR:
		l.Code, l.Text = p.int("code", minInt32), p.text()
	case TagSERVNAME, TagCLIENTIP:
		l.Text = p.plain()
	case TagCONS:
		l.Bandwidth = p.bandwidth()
	case TagPROG:
		l.Count = p.int64("count", 0)
	case TagSYNC:
		l.Duration = time.Duration(min(p.int64("seconds", 0), maxMillis/1000)) * time.Second
	case TagLOOP:
		l.Duration = p.millis()
	case TagSUBOK, TagSUBCMD:
		l.SubID, l.Items, l.Fields = p.int("subscription", 1), p.int("items", 1), p.int("fields", 1)
		if l.Tag == TagSUBCMD {
			l.KeyPos, l.CommandPos = p.position("key"), p.position("command")
		}
	case TagCONF:
		l.SubID, l.Frequency = p.int("subscription", 1), p.frequency()
	case TagU:
		l.SubID, l.Item = p.int("subscription", 1), p.int("item", 1)
		if !p.more {
			p.fail(errors.New("want a list of values"))
		}
		l.Values = p.rest
	case TagEOS, TagCS, TagOV:
		l.SubID, l.Item = p.int("subscription", 1), p.int("item", 1)
		if l.Tag == TagOV {
			l.Count = p.int64("count", 0)
		}
	case TagUNSUB:
		l.SubID = p.int("subscription", 1)
	case TagMSGDONE, TagMSGFAIL:
		p.message()
	case TagREQOK:
		if p.more {
			l.ReqID = p.plain()
		}
	case TagREQERR:
		l.ReqID, l.Code, l.Text = p.plain(), p.int("code", minInt32), p.text()
	}
}

const minInt32 = -1 << 31

func (p *lineParser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// arg takes the next argument; nil when there are no more, which the count has excluded for tags with a fixed number.
func (p *lineParser) arg() []byte {
	if !p.more {
		return nil
	}
	var a []byte
	a, p.rest, p.more = bytes.Cut(p.rest, []byte{','})
	return a
}

func (p *lineParser) plain() string { return validText(string(p.arg())) }

func (p *lineParser) text() string {
	raw := p.arg()
	s, err := unescapeText(raw)
	if err != nil {
		p.fail(err)
	}
	return s
}

func (p *lineParser) int64(what string, low int64) int64 {
	raw := p.arg()
	n, ok := parseInt(raw)
	if !ok || n < low || n > maxCount {
		p.fail(fmt.Errorf("%s: %q is no valid number", what, clip(string(raw))))
		return 0
	}
	return n
}

func (p *lineParser) int(what string, low int64) int {
	n := p.int64(what, low)
	if n > maxInt32 {
		p.fail(fmt.Errorf("%s: number too large", what))
		return 0
	}
	return int(n)
}

// parseInt is strconv.ParseInt for a byte slice, without its allocation.
func parseInt(raw []byte) (int64, bool) {
	digits := bytes.TrimPrefix(raw, []byte{'-'})
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(raw) {
		n = -n
	}
	return n, true
}

func (p *lineParser) millis() time.Duration {
	return time.Duration(min(p.int64("milliseconds", 0), maxMillis)) * time.Millisecond
}

func (p *lineParser) position(what string) int {
	n := p.int(what+" position", 1)
	if n > p.line.Fields {
		p.fail(fmt.Errorf("%s position %d beyond %d fields", what, n, p.line.Fields))
	}
	return n
}

func (p *lineParser) bandwidth() Bandwidth {
	switch s := p.plain(); s {
	case "unlimited":
		return Bandwidth{}
	case "unmanaged":
		return Bandwidth{Unmanaged: true}
	default:
		f, ok := parseDecimal(s)
		if !ok || f <= 0 {
			p.fail(fmt.Errorf("bandwidth: %q is no valid number", clip(s)))
		}
		return Bandwidth{Limit: f}
	}
}

func (p *lineParser) frequency() Frequency {
	var f Frequency
	if s := p.plain(); s != "unlimited" {
		var ok bool
		if f.Limit, ok = parseDecimal(s); !ok || f.Limit <= 0 {
			p.fail(fmt.Errorf("frequency: %q is no valid number", clip(s)))
		}
	}
	switch s := p.plain(); s {
	case "filtered":
	case "unfiltered":
		f.Unfiltered = true
	default:
		p.fail(fmt.Errorf("filtering: %q is neither filtered nor unfiltered", clip(s)))
	}
	return f
}

// message reads MSGDONE and MSGFAIL. Servers of a version before 2.5 send MSGDONE without a response.
func (p *lineParser) message() {
	l := &p.line
	if l.Sequence = p.plain(); l.Sequence == "*" {
		l.Sequence = ""
	}
	l.Prog = p.int("message number", 0)
	switch {
	case l.Tag == TagMSGFAIL:
		l.Code, l.Text = p.int("code", minInt32), p.text()
	case p.more:
		l.Text = p.text()
	}
}

// unescapeText decodes the percent-encoding of a text argument or of a value.
func unescapeText(raw []byte) (string, error) {
	if bytes.IndexByte(raw, '%') < 0 {
		return validText(string(raw)), nil
	}
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '%' {
			b.WriteByte(raw[i])
			continue
		}
		c, ok := hexByte(raw[i+1:])
		if !ok {
			return "", errors.New("percent sign without two hex digits in " + strconv.Quote(clip(string(raw))))
		}
		b.WriteByte(c)
		i += 2
	}
	return validText(b.String()), nil
}
