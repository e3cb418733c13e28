package adaptersxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Limits on a file that comes from who knows where. A real one has three levels and some hundred elements.
const (
	defaultMaxBytes = 1 << 20
	maxDepth        = 16
	maxElements     = 5_000
	maxAttributes   = 20 // of an element
)

// Pos is a place in the file: line and column from 1, the column in characters. The zero Pos is no place.
type Pos struct{ Line, Column int }

// node is an element with its place.
type node struct {
	name     string
	pos      Pos
	attrs    []xml.Attr
	text     strings.Builder
	children []*node
}

// attr returns an attribute's value.
func (n *node) attr(name string) (string, bool) {
	for _, a := range n.attrs {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// cursor turns byte offsets into places. They have to come in rising order: each is counted from
// the one before, or a file of one long line would be counted from its beginning at each element.
type cursor struct {
	data   []byte
	offset int
	pos    Pos
}

func newCursor(data []byte) *cursor { return &cursor{data: data, pos: Pos{Line: 1, Column: 1}} }

func (c *cursor) at(offset int64) Pos {
	o := min(max(int(offset), c.offset), len(c.data))
	passed := c.data[c.offset:o]
	c.offset = o
	if n := bytes.Count(passed, []byte{'\n'}); n > 0 {
		c.pos = Pos{Line: c.pos.Line + n, Column: 1}
		passed = passed[bytes.LastIndexByte(passed, '\n')+1:]
	}
	c.pos.Column += utf8.RuneCount(passed)
	return c.pos
}

// load reads at most maxBytes and returns UTF-8 without a byte order mark.
func load(r io.Reader, maxBytes int64) ([]byte, error) {
	maxBytes = min(maxBytes, math.MaxInt64-1)
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if int64(len(data)) > maxBytes {
		return nil, fmt.Errorf("longer than %d bytes", maxBytes)
	}
	if bytes.HasPrefix(data, []byte{0xFE, 0xFF}) || bytes.HasPrefix(data, []byte{0xFF, 0xFE}) {
		return nil, errors.New("in UTF-16; save it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if m := declaredEncoding.FindSubmatch(data); m != nil {
		switch strings.ToLower(string(m[1])) {
		case "utf-8", "us-ascii":
		case "iso-8859-1":
			data = fromLatin1(data)
		default:
			return nil, fmt.Errorf("in the encoding %s; save it as UTF-8", quote(string(m[1])))
		}
	}
	return data, nil
}

var declaredEncoding = regexp.MustCompile(`^<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)["']`)

func fromLatin1(data []byte) []byte {
	out := make([]byte, 0, len(data)+len(data)/8)
	for _, b := range data {
		out = utf8.AppendRune(out, rune(b))
	}
	return out
}

// parse builds the tree. Its problems are syntax errors, after which nothing more can be said of the file: root is nil then.
func parse(data []byte, rep *report) (root *node, comment string) {
	where := newCursor(data)
	d := xml.NewDecoder(bytes.NewReader(data))
	// load has converted the bytes already; the declaration still says what they were.
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var stack []*node
	elements := 0
	for {
		at := where.at(d.InputOffset())
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			rep.errorf(where.at(d.InputOffset()), "%s", syntaxMessage(err))
			return nil, comment
		}
		switch t := tok.(type) {
		case xml.StartElement:
			elements++
			if elements > maxElements || len(stack) >= maxDepth {
				rep.errorf(at, "more than %d elements, or nested deeper than %d", maxElements, maxDepth)
				return nil, comment
			}
			if len(t.Attr) > maxAttributes {
				rep.errorf(at, "<%s> has more than %d attributes", t.Name.Local, maxAttributes)
				return nil, comment
			}
			n := &node{name: t.Name.Local, pos: at, attrs: t.Copy().Attr}
			switch {
			case len(stack) > 0:
				parent := stack[len(stack)-1]
				parent.children = append(parent.children, n)
			case root != nil:
				rep.errorf(at, "a second root element, <%s>", shorten(n.name))
				return nil, comment
			default:
				root = n
			}
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text.Write(t)
			}
		case xml.Comment:
			if comment == "" {
				comment = string(t)
			}
		case xml.Directive:
			rep.warnf(at, "a document type declaration has no effect here; entities are not expanded")
		}
	}
	if root == nil {
		rep.errorf(Pos{1, 1}, "no <adapters_conf> element")
	}
	return root, comment
}

func syntaxMessage(err error) string {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return "not well-formed XML: " + shorten(syntax.Msg)
	}
	return "not well-formed XML: " + shorten(strings.TrimPrefix(err.Error(), "xml: "))
}
