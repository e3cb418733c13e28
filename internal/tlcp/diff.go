package tlcp

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"unicode/utf8"
)

var errDiff = errors.New("tlcp: TLCP-diff does not fit the value")

// ApplyDiff applies a TLCP-diff to the text it is relative to. Characters are code points; servers use the format only on texts
// within the basic plane, where all clients count alike. Copies only go forward, so the result is at most as long as both together.
func ApplyDiff(old, diff string) (string, error) { return applyDiff(old, diff, math.MaxInt) }

// applyDiff is ApplyDiff with a limit on the length of the result, which is known before memory is
// taken for it.
func applyDiff(old, diff string, limit int) (string, error) {
	length := 0
	for part, err := range diffParts(old, diff) {
		if err != nil {
			return "", err
		}
		if length += len(part); length > limit {
			return "", fmt.Errorf("%w: over %d bytes after a diff", ErrValueTooLong, limit)
		}
	}
	var out strings.Builder
	out.Grow(length)
	for part, err := range diffParts(old, diff) {
		if err != nil {
			return "", err
		}
		out.WriteString(part)
	}
	return out.String(), nil
}

// diffParts are the pieces that the result of a diff consists of. After an error there are no more.
func diffParts(old, diff string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for section := 0; diff != ""; section++ {
			n, rest, ok := diffNumber(diff)
			if !ok {
				yield("", errDiff)
				return
			}
			diff = rest
			source := &old
			if section%3 == 1 {
				source = &diff
			}
			end, ok := runeOffset(*source, n)
			if !ok {
				yield("", errDiff)
				return
			}
			part := (*source)[:end]
			*source = (*source)[end:]
			if section%3 != 2 && !yield(part, nil) {
				return
			}
		}
	}
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
