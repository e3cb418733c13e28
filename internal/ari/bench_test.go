package ari

import (
	"strconv"
	"strings"
	"testing"
)

type fieldCase struct {
	name  string
	value string
}

// values are what the eight fields hold in the allocation tests and the benchmarks.
var values = []fieldCase{
	{"plain", "12.34"},
	{"escapes", "100% a+b|c\r\n"},
	{"unicode", "漢字 café 😀"},
	{"invalid", "a\xff\xfeb"},
	{"single", "#"},
	{"empty", ""},
	{"long", strings.Repeat("a clean run of text. ", 10)},
}

func fieldNames() []string {
	names := make([]string, 8)
	for i := range names {
		names[i] = "field" + strconv.Itoa(i)
	}
	names[7] = "odd|name"
	return names
}

func versionOf(enc Encoding) Version {
	if enc == Smart {
		return V191
	}
	return V183
}

func TestAppendUpdateDoesNotAllocate(t *testing.T) {
	names := fieldNames()
	for _, enc := range []Encoding{Legacy, Smart} {
		head := AppendItemHead(nil, versionOf(enc), "item 1", "2000001853ec66d38")
		prefixes := make([][]byte, len(names))
		for i, name := range names {
			prefixes[i] = AppendFieldName(nil, enc, name)
		}
		buf := make([]byte, 0, 16<<10)
		for _, c := range values {
			s, b := c.value, []byte(c.value)
			text := T(s)
			for kind, appendAll := range map[string]func(dst []byte) []byte{
				"string": func(dst []byte) []byte {
					for _, name := range names {
						dst = AppendField(dst, enc, name, s)
					}
					return dst
				},
				"bytes": func(dst []byte) []byte {
					for _, name := range names {
						dst = AppendField(dst, enc, name, b)
					}
					return dst
				},
				"prefix": func(dst []byte) []byte {
					for i := range names {
						dst = AppendString(append(dst, prefixes[i]...), enc, s)
					}
					return dst
				},
				"text": func(dst []byte) []byte {
					for i := range names {
						dst = AppendText(append(dst, prefixes[i]...), enc, text)
					}
					return dst
				},
				"name": func(dst []byte) []byte {
					for _, name := range names {
						dst = AppendString(AppendFieldName(dst, enc, name), enc, b)
					}
					return dst
				},
				"null": func(dst []byte) []byte {
					for _, name := range names {
						dst = AppendNullField(dst, enc, name)
					}
					return dst
				},
				"latin1": func(dst []byte) []byte {
					for _, name := range names {
						dst = AppendBytesField(dst, enc, name, b)
					}
					return dst
				},
			} {
				n := testing.AllocsPerRun(100, func() {
					line := appendAll(AppendUpdateHead(buf, 1795340119454, head, false))
					if len(line) <= len(head) {
						t.Fatal("nothing appended")
					}
				})
				if n != 0 {
					t.Errorf("%s %s %s: %v allocations", enc, kind, c.name, n)
				}
			}
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	line := []byte("1795340119454|UD3|S|item one|S|2000001853ec66d38|B|0|S|last_price|S|12.34")
	b := NewLineBuffer(0)
	stream := append(append([]byte(nil), line...), EOL...)
	b.Space()
	n := testing.AllocsPerRun(100, func() {
		b.Advance(copy(b.Space(), stream))
		got, ok, err := b.Next()
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if l, err := ParseLine(got); err != nil || l.Method != UD3 || len(l.Body) == 0 {
			t.Fatal(l.Method, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a line", n)
	}
}

func BenchmarkAppendUpdate(b *testing.B) {
	names := fieldNames()
	for _, enc := range []Encoding{Smart, Legacy} {
		head := AppendItemHead(nil, versionOf(enc), "item 1", "2000001853ec66d38")
		for _, c := range values[:3] {
			b.Run(enc.String()+"/"+c.name, func(b *testing.B) {
				buf := make([]byte, 0, 16<<10)
				b.ReportAllocs()
				for b.Loop() {
					buf = AppendUpdateHead(buf[:0], 1795340119454, head, false)
					for _, name := range names {
						buf = AppendField(buf, enc, name, c.value)
					}
				}
				b.SetBytes(int64(len(buf)))
			})
		}
	}
}

func BenchmarkAppendString(b *testing.B) {
	for _, enc := range []Encoding{Smart, Legacy} {
		for _, c := range values {
			b.Run(enc.String()+"/"+c.name, func(b *testing.B) {
				buf := make([]byte, 0, 16<<10)
				b.ReportAllocs()
				b.SetBytes(int64(len(c.value)))
				for b.Loop() {
					buf = AppendString(buf[:0], enc, c.value)
				}
			})
		}
	}
}

func BenchmarkParseUpdate(b *testing.B) {
	for _, v := range []Version{V191, V183} {
		for _, c := range values[:3] {
			b.Run(v.String()+"/"+c.name, func(b *testing.B) {
				line := AppendUpdateHead(nil, 1795340119454, AppendItemHead(nil, v, "item 1", "2000001853ec66d38"), false)
				for _, name := range fieldNames() {
					line = AppendField(line, v.Encoding(), name, c.value)
				}
				b.ReportAllocs()
				b.SetBytes(int64(len(line)))
				for b.Loop() {
					l, err := ParseLine(line)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := ParseUpdate(l.Body, v); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkLineBuffer(b *testing.B) {
	stream := []byte(strings.Repeat("1795340119454|UD3|S|item one|S|2000001853ec66d38|B|0|S|last_price|S|12.34\r\n", 50))
	buf := NewLineBuffer(0)
	b.ReportAllocs()
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		buf.Advance(copy(buf.Space(), stream))
		for {
			_, ok, err := buf.Next()
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
		}
	}
}

// The strings of a short request are parts of one; lists take one allocation more, and what has escapes one each.
func TestParseRequestAllocates(t *testing.T) {
	for _, c := range []struct {
		body  string
		parse func(body []byte) error
		want  float64
	}{
		{"S|user|S|item1 item2|S|S123", func(b []byte) error { _, err := ParseGetItems(b, V191); return err }, 1},
		{"S|user|S|item1 item2|S|seq last|S|S123", func(b []byte) error { _, err := ParseGetSchema(b, V191); return err }, 1},
		{"S|user|S|100%25|S|S123", func(b []byte) error { _, err := ParseGetItems(b, V191); return err }, 2},
		{"S|user|S|S123|S|a message", func(b []byte) error { _, err := ParseNotifyUserMessage(b, V191); return err }, 1},
		{"S|user|S|password|S|host|S|example|S|agent|S|none", func(b []byte) error { _, err := ParseNotifyUser(NUS, b, V191); return err }, 2},
		// With a map: one string, the map, its entries.
		{"S|user|S|password|S|host|S|example|S|agent|S|none", func(b []byte) error { _, err := new(NotifyUser).ParseMap(NUS, b, V191); return err }, 3},
		{"S|user|S|S123|S|REMOTE_IP|S|127.0.0.1|S|X|S|#", func(b []byte) error { _, err := new(NotifyNewSession).ParseMap(b, V191); return err }, 3},
		{"S|item1|S|item2|S|item3", func(b []byte) error { _, err := ParseGetItemData(b, V191); return err }, 2},
		{"S|an item", func(b []byte) error { _, err := ParseItem(b, V191); return err }, 1},
	} {
		body := []byte(c.body)
		allocs := testing.AllocsPerRun(100, func() {
			if err := c.parse(body); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > c.want {
			t.Errorf("%q: %v allocations, want %v", c.body, allocs, c.want)
		}
	}
	line := []byte("10000010c3e4d0462|GIS|S|user|S|item1|S|S123")
	if allocs := testing.AllocsPerRun(100, func() { _, _ = ParseLine(line) }); allocs != 0 {
		t.Errorf("ParseLine: %v allocations", allocs)
	}
}
