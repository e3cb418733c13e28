package ari

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestLineBuffer(t *testing.T) {
	stream := "one\r\ntwo\nthree\r\r\n\r\n\n  \nfo\rur\u0085\u2028\v\f\r\n" + strings.Repeat("x", 70000) + "\r\nrest"
	want := []string{"one", "two", "three", "", "", "  ", "fo\rur\u0085\u2028\v\f", strings.Repeat("x", 70000)}
	for _, size := range []int{1, 2, 3, 7, 100, 4096, len(stream)} {
		b := NewLineBuffer(0)
		var got []string
		for rest := []byte(stream); len(rest) > 0; {
			n := copy(b.Space(), rest[:min(size, len(rest))])
			b.Advance(n)
			rest = rest[n:]
			for {
				line, ok, err := b.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				got = append(got, string(line))
			}
			// What has been looked at is not looked at again.
			if b.scanned != b.end {
				t.Fatalf("scanned %d of %d bytes", b.scanned, b.end)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: %q", size, got)
		}
	}
}

func TestLineBufferNeverRescans(t *testing.T) {
	b := NewLineBuffer(1 << 20)
	for range 1000 {
		b.Space()[0] = 'x'
		b.Advance(1)
		before := b.scanned
		if _, ok, err := b.Next(); ok || err != nil {
			t.Fatal(ok, err)
		}
		if b.scanned != before+1 {
			t.Fatalf("scanned from %d to %d for one byte", before, b.scanned)
		}
	}
	// Poison what was scanned: a second look would find an end there.
	for i := range b.buf[b.start:b.scanned] {
		b.buf[b.start+i] = '\n'
	}
	if line, ok, err := b.Next(); ok || err != nil {
		t.Fatalf("rescanned: %q %v", line, err)
	}
}

func TestLineBufferSpace(t *testing.T) {
	const bound = 100000
	b := NewLineBuffer(bound)
	rest := bytes.Repeat([]byte("y"), bound)
	rest = append(rest, "\r\n"...)
	for len(rest) > 0 {
		space := b.Space()
		if len(space) < minSpace {
			t.Fatalf("room for %d bytes, %d pending", len(space), b.end-b.start)
		}
		n := copy(space[:min(len(space), 1000)], rest)
		b.Advance(n)
		rest = rest[n:]
		line, ok, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		if ok != (len(rest) == 0) || ok && len(line) != bound {
			t.Fatalf("line of %d bytes, %d left", len(line), len(rest))
		}
	}
	// Without Next the memory stays bounded all the same.
	for total := 0; ; {
		space := b.Space()
		if len(space) == 0 {
			break
		}
		b.Advance(len(space))
		if total += len(space); total > 4*bound {
			t.Fatal("no bound on what is not fetched")
		}
	}
}

func TestLineBufferGivesMemoryBack(t *testing.T) {
	b := NewLineBuffer(0)
	huge := append(bytes.Repeat([]byte("z"), 5<<20), "\nnext\npart"...)
	lines, err := feed(b, huge, nil)
	if err != nil || len(lines) != 2 || len(lines[0]) != 5<<20 || lines[1] != "next" {
		t.Fatal(len(lines), err)
	}
	if len(b.buf) < 5<<20 {
		t.Fatalf("buffer of %d bytes", len(b.buf))
	}
	b.Space()
	if len(b.buf) > keptBuffer {
		t.Errorf("buffer of %d bytes kept after the line", len(b.buf))
	}
	lines, err = feed(b, []byte("ial\r\n"), nil)
	if err != nil || !slices.Equal(lines, []string{"partial"}) {
		t.Errorf("%q %v", lines, err)
	}
}

func TestLineTooLong(t *testing.T) {
	tests := []struct {
		stream string
		lines  []string
		fails  bool
	}{
		{"12345\n12345\r\n1234\n", []string{"12345", "12345", "1234"}, false},
		{"12345\n123456\nmore\n", []string{"12345"}, true},
		{"123456\r\n", nil, true},
		{"12345\r", nil, false},
		{"1234567", nil, true},
		{"12\r\r\r\r\r\n", nil, true},
		{"12\r\r\r\r\n", []string{"12"}, false},
	}
	for _, tt := range tests {
		for _, sizes := range [][]byte{nil, {0}, {2, 0}} {
			b := NewLineBuffer(5)
			lines, err := feed(b, []byte(tt.stream), sizes)
			if !slices.Equal(lines, tt.lines) || errors.Is(err, ErrLineTooLong) != tt.fails {
				t.Errorf("%q: %q %v", tt.stream, lines, err)
			}
			if !tt.fails {
				continue
			}
			if space := b.Space(); len(space) != 0 {
				t.Errorf("%q: room for %d bytes after the error", tt.stream, len(space))
			}
			if _, ok, err := b.Next(); ok || !errors.Is(err, ErrLineTooLong) {
				t.Errorf("%q: not sticky: %v %v", tt.stream, ok, err)
			}
			if b.buf != nil {
				t.Errorf("%q: memory kept after the error", tt.stream)
			}
		}
	}
}

func TestAdvanceBeyondSpace(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	b := NewLineBuffer(0)
	b.Advance(len(b.Space()) + 1)
}
