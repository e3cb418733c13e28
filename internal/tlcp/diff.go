package tlcp

import (
	"errors"
	"strings"
	"unicode/utf8"
)

var errDiff = errors.New("tlcp: TLCP-diff does not fit the value")

// ApplyDiff applies a TLCP-diff to the text it is relative to. Characters are code points; servers use the format only on texts
// within the basic plane, where all clients count alike. Copies only go forward, so the result is at most as long as both together.
func ApplyDiff(old, diff string) (string, error) {
	var out strings.Builder
	for section := 0; diff != ""; section++ {
		n, rest, ok := diffNumber(diff)
		if !ok {
			return "", errDiff
		}
		diff = rest
		source := &old
		if section%3 == 1 {
			source = &diff
		}
		end, ok := runeOffset(*source, n)
		if !ok {
			return "", errDiff
		}
		if section%3 != 2 {
			out.WriteString((*source)[:end])
		}
		*source = (*source)[end:]
	}
	return out.String(), nil
}

// diffNumber reads a number in base 26 whose last digit is lower case and whose others are upper case.
func diffNumber(s string) (n int, rest string, ok bool) {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z':
			n = n*26 + int(c-'A')
		case 'a' <= c && c <= 'z':
			return n*26 + int(c-'a'), s[i+1:], true
		default:
			return 0, "", false
		}
		if n > maxInt32 {
			return 0, "", false
		}
	}
	return 0, "", false
}

// runeOffset returns the byte offset of the n-th character; false if the text is shorter.
func runeOffset(s string, n int) (int, bool) {
	i := 0
	for ; n > 0; n-- {
		if i >= len(s) {
			return 0, false
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return i, true
}
