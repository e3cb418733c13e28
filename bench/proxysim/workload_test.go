//go:build linux

package main

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/bench/internal/work"
)

const good = "|S|seq|S|1000000007|S|ts|S|123456|S|last|S|1234.56707|S|time|S|12:34:07.0|S|bid|S|1234.56607|S|ask|S|1234.56807|S|bidqty|S|1000000007|S|askqty|S|2000000007"

func TestParseUpdate(t *testing.T) {
	var u update
	if !u.parse([]byte("1763800000000|UD3|S|item-123|S|abc|B|0" + good)) {
		t.Fatal("not parsed")
	}
	if u.item != 123 || string(u.sub) != "abc" || string(u.rest) != good {
		t.Fatalf("%+v", u)
	}
	if n := number(u.rest, patSeq); n != 1000000007 {
		t.Fatal(n)
	}
	if n := number(u.rest, patTS); n != 123456 {
		t.Fatal(n)
	}
	for _, bad := range []string{
		"", "KEEPALIVE", "abc|SUB|V", "|UD3|S|item-1|S|abc|B|0" + good, "1|UD3|S|item-|S|abc|B|0" + good, "1|UD3|S|item-1|S|abc|B|1" + good,
		"1|UD3|S|item-1|S|abc", "1|EOS|S|item-1|S|abc",
	} {
		if u.parse([]byte(bad)) {
			t.Errorf("parsed %q", bad)
		}
	}
	if n := number([]byte("|S|seq|S|12x"), patSeq); n != -1 {
		t.Error(n)
	}
	if n := number([]byte("|S|last|S|12"), patSeq); n != -1 {
		t.Error(n)
	}
}

func TestCheckFields(t *testing.T) {
	const seq = 1000000007 // & 63 is 7: 10^9 is a multiple of 64
	if err := plain.check([]byte(good), seq); err != nil {
		t.Error(err)
	}
	// Another order of the fields, and the encoding of old versions.
	other := "|S|time|S|12%3A34%3A07.0" + strings.Replace(good, "|S|time|S|12:34:07.0", "", 1)
	if err := plain.check([]byte(other), seq); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{
		strings.Replace(good, "12:34:07.0", "12:34:08.0", 1),
		strings.Replace(good, "|S|bid|", "|S|bod|", 1),
		strings.Replace(good, "|S|bid|S|1234.56607", "", 1),
		strings.Replace(good, "|S|bid|S|1234.56607", "|S|last|S|1234.56707", 1),
		strings.Replace(good, "|S|1234.56607", "|Y|1234.56607", 1),
	} {
		if plain.check([]byte(bad), seq) == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

// What the Go peers send in each shape is what the harness expects, and nothing else is.
func TestShapes(t *testing.T) {
	for _, s := range []*shape{&plain, &escaping, &large, &wide} {
		table := work.NewTable(s.name)
		values := make([]string, len(table.Names))
		const seq = 1000000063
		table.Fill(values, seq, "12")
		line := func() []byte {
			var b strings.Builder
			for i, name := range table.Names {
				b.WriteString(encoder{}.params(name, values[i]))
			}
			return []byte(b.String())
		}
		if err := s.check(line(), seq); err != nil {
			t.Errorf("shape %q: %v", s.name, err)
		}
		if err := s.check(line(), seq+1); err == nil {
			t.Errorf("shape %q: the values of another update were accepted", s.name)
		}
		last := len(values) - 1
		values[last] = values[last][:len(values[last])-1]
		if err := s.check(line(), seq); err == nil {
			t.Errorf("shape %q: a short value was accepted", s.name)
		}
	}
}

func TestAnswers(t *testing.T) {
	a := newAnswers("SUB", subBase, 3)
	reqs := bytes.Split(bytes.TrimSuffix(a.requests(), []byte("\r\n")), []byte("\r\n"))
	if len(reqs) != 3 || string(reqs[2]) != "10000000002|SUB|S|item-2" {
		t.Fatalf("%q", reqs)
	}
	for i := range 3 {
		id := strconv.FormatInt(subBase+int64(i), 16)
		if len(id) != idLen {
			t.Errorf("the id %s has %d bytes instead of %d", id, len(id), idLen)
		}
		if mine, err := a.take([]byte(id+"|SUB|V"), 1); !mine || err != nil || a.complete() != (i == 2) {
			t.Error(i, mine, err, a.complete())
		}
	}
	for line, wantMine := range map[string]bool{
		"10000000000|SUB|V": true, "10000000003|SUB|V": true, "x|SUB|V": true, "|SUB|V": true, "10000000000|USB|V": false, "10000000000|SUB|E|x": false,
	} {
		if mine, err := a.take([]byte(line), 1); mine != wantMine || (err != nil) != wantMine {
			t.Errorf("%s: %t, %v", line, mine, err)
		}
	}
}

func TestEncoder(t *testing.T) {
	for _, c := range []struct {
		old      bool
		in, want string
	}{{true, "a b+c|d", "a+b%2Bc%7Cd"}, {false, "a b+c|d", "a b%2Bc%7Cd"}, {true, "", "$"}, {false, "", "$"}} {
		got := encoder{old: c.old}.text(c.in)
		if got != c.want {
			t.Errorf("%q instead of %q", got, c.want)
		}
		if back := decode([]byte(got)); c.in != "" && back != c.in {
			t.Errorf("%q comes back as %q", c.in, back)
		}
	}
}
