package ari

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// slowSmart is the smart encoding one byte at a time.
func slowSmart(s string) []byte {
	var dst []byte
	switch s {
	case "":
		return []byte("$")
	case "#", "$":
		return fmt.Appendf(nil, "%%%02X", s[0])
	}
	for _, r := range s { // a bad byte is U+FFFD
		if strings.ContainsRune("\r\n|%+", r) {
			dst = fmt.Appendf(dst, "%%%02X", r)
		} else {
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// Every byte, at every place of texts around the sizes that are looked at in words, with and without room in the destination.
func TestSmartEqualsSlow(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 16, 17, 23, 24, 25, 33} {
		for _, filler := range []string{" ", "~", "é"} {
			plain := strings.Repeat(filler, n)[:n]
			for at := range n {
				for c := range 256 {
					s := plain[:at] + string([]byte{byte(c)}) + plain[at+1:]
					want := slowSmart(s)
					if got := AppendString(nil, Smart, s); !bytes.Equal(got, want) {
						t.Fatalf("%q: %q, want %q", s, got, want)
					}
					if got := AppendString(make([]byte, 1, 128), Smart, []byte(s)); !bytes.Equal(got[1:], want) {
						t.Fatalf("%q as bytes: %q, want %q", s, got[1:], want)
					}
				}
			}
		}
	}
}

// Neighbours of what is escaped, in every pair: a borrow from one byte to the next must hide nothing.
func TestSuspectsMissNothing(t *testing.T) {
	for a := range 256 {
		for b := range 256 {
			s := []byte{'0', byte(a), byte(b), '0', '0', byte(b), byte(a), '0'}
			marks := suspects(load8(s, 0))
			for i, c := range s {
				if smartClass[c] != plain && marks>>(8*i)&0x80 == 0 {
					t.Fatalf("%q: byte %d is not marked", s, i)
				}
			}
			if clean := byte(a) >= '!' && byte(b) >= '!'; clean && smartClass[a] == plain && smartClass[b] == plain && marks != 0 {
				t.Fatalf("%q is marked: %016x", s, marks)
			}
		}
	}
}
