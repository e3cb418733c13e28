//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// seqBase is what the sequence numbers of an item start from: its n-th update, n from 1, carries seqBase+n.
const seqBase = 1000000000

// shape is what updates look like.
type shape struct {
	name   string // SHAPE
	fields int
	tail   string // at the end of the six plain values
	every  int64  // how many updates from one that is compared field by field to the next
}

var (
	plain    = shape{"", 8, "", 64}
	escaping = shape{"escape", 8, "|+%\r\n", 64}
	large    = shape{"large", 9, "", 8}
	wide     = shape{"wide", 200, "", 16}
)

var big = strings.Repeat("0123456789abcdef", 1<<16)

// expected is the contract's content of a field in the update with that sequence number; empty for the time stamp, which does not follow from it.
func (s *shape) expected(field string, seq int64) (v string, known bool) {
	rr := fmt.Sprintf("%02d", seq&63)
	switch field {
	case "seq":
		return strconv.FormatInt(seq, 10), true
	case "ts":
		return "", true
	case "last":
		return "1234.567" + rr + s.tail, true
	case "time":
		return "12:34:" + rr + ".0" + s.tail, true
	case "bid":
		return "1234.566" + rr + s.tail, true
	case "ask":
		return "1234.568" + rr + s.tail, true
	case "bidqty":
		return "10000000" + rr + s.tail, true
	case "askqty":
		return "20000000" + rr + s.tail, true
	case "big":
		return big, s.name == "large"
	}
	number, ok := strings.CutPrefix(field, "f")
	k, err := strconv.Atoi(number)
	return number + "." + rr, s.name == "wide" && ok && err == nil && len(number) == 3 && k >= 8 && k < s.fields
}

// check verifies every name and value of an update.
func (s *shape) check(rest []byte, seq int64) error {
	tok := bytes.Split(rest, []byte("|"))
	if len(tok) != 1+4*s.fields || len(tok[0]) != 0 {
		return fmt.Errorf("update with %d tokens of fields", len(tok)-1)
	}
	seen := make(map[string]bool, s.fields)
	for i := 1; i < len(tok); i += 4 {
		if string(tok[i]) != "S" || string(tok[i+2]) != "S" {
			return fmt.Errorf("unexpected field types in %.200q", rest)
		}
		f, v := decode(tok[i+1]), decode(tok[i+3])
		want, known := s.expected(f, seq)
		if !known || seen[f] {
			return fmt.Errorf("unexpected field %.200q", f)
		}
		seen[f] = true
		if want != "" && v != want {
			return fmt.Errorf("field %s is %.200q instead of %.200q", f, v, want)
		}
	}
	return nil
}

// update is a parsed UD3 line.
type update struct {
	item int
	sub  []byte
	rest []byte // from the separator before the first field
}

var (
	patSeq   = []byte("|S|seq|S|")
	patTS    = []byte("|S|ts|S|")
	patUD3   = []byte("|UD3|S|item-")
	patParam = []byte("|S|")
)

func (u *update) parse(line []byte) bool {
	i := bytes.IndexByte(line, '|')
	if i < 1 || !bytes.HasPrefix(line[i:], patUD3) {
		return false
	}
	p := line[i+len(patUD3):]
	item, k := digits(p)
	u.item = int(item)
	if k == 0 || !bytes.HasPrefix(p[k:], patParam) {
		return false
	}
	p = p[k+3:]
	j := bytes.IndexByte(p, '|')
	if j < 0 || len(p) < j+4 || p[j+1] != 'B' || p[j+2] != '|' || p[j+3] != '0' {
		return false
	}
	u.sub, u.rest = p[:j], p[j+4:]
	return true
}

func digits(p []byte) (n int64, k int) {
	for k < len(p) && p[k]-'0' < 10 {
		n = n*10 + int64(p[k]-'0')
		k++
	}
	return n, k
}

// number reads the decimal that follows a pattern; -1 when there is none.
func number(rest, pat []byte) int64 {
	i := bytes.Index(rest, pat)
	if i < 0 {
		return -1
	}
	p := rest[i+len(pat):]
	n, k := digits(p)
	if k == 0 || k < len(p) && p[k] != '|' {
		return -1
	}
	return n
}
