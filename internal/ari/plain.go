package ari

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Most values are short and have nothing to escape. They are looked at eight bytes at a time, in registers, and stored from there: a value of up to
// sixteen bytes is two loads and two stores, which may overlap.

const (
	low  = 0x0101010101010101 // the lowest bit of each of eight bytes
	high = 0x8080808080808080
)

// suspects marks, in the highest bit of each byte of x, the bytes that may not stand for themselves in the smart encoding: those to escape, control characters
// with them, and those that are not ASCII. Taking one from a zero sets that bit, and so does taking a space from a control character. A borrow can mark
// the byte above a marked one wrongly; none is ever missed.
func suspects(x uint64) uint64 {
	return ((x - low*' ') | ((x ^ low*'|') - low) | ((x ^ low*'%') - low) | ((x ^ low*'+') - low) | x) & high
}

func load8[S ~string | ~[]byte](s S, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func load4[S ~string | ~[]byte](s S, i int) uint64 {
	s = s[i : i+4]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// appendPlain appends s, of two bytes or more, if all of it may stand for itself, and tells whether. It can say no to an s with nothing to escape.
func appendPlain[S ~string | ~[]byte](dst []byte, s S) ([]byte, bool) {
	n, at := len(s), len(dst)
	switch {
	case n > 16:
		if !isPlain(s) {
			return dst, false
		}
		return append(dst, s...), true
	case cap(dst)-at < n:
		dst = slices.Grow(dst, n)
	}
	if n >= 8 {
		first, last := load8(s, 0), load8(s, n-8)
		if suspects(first)|suspects(last) != 0 {
			return dst, false
		}
		dst = dst[:at+n]
		binary.LittleEndian.PutUint64(dst[at:], first)
		binary.LittleEndian.PutUint64(dst[at+n-8:], last)
		return dst, true
	}
	if n >= 4 {
		first, last := load4(s, 0), load4(s, n-4)
		if suspects(first|last<<32) != 0 {
			return dst, false
		}
		dst = dst[:at+n]
		binary.LittleEndian.PutUint32(dst[at:], uint32(first))
		binary.LittleEndian.PutUint32(dst[at+n-4:], uint32(last))
		return dst, true
	}
	for i := range n {
		if smartClass[s[i]] != plain {
			return dst, false
		}
	}
	return append(dst, s...), true
}

// plainLen returns how many bytes in the beginning of b may stand for themselves. It can be too few, if a control character follows.
func plainLen(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if marks := suspects(load8(b, i)); marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(b) && smartClass[b[i]] == plain {
		i++
	}
	return i
}

// isPlain tells whether all of s may stand for itself in the smart encoding, and stands for itself in both. It can say no where it could say yes.
func isPlain[S ~string | ~[]byte](s S) bool {
	n := len(s)
	switch {
	case n >= 8:
		marks := suspects(load8(s, n-8))
		for i := 0; i < n-8; i += 8 {
			marks |= suspects(load8(s, i))
		}
		return marks == 0
	case n >= 4:
		return suspects(load4(s, 0)|load4(s, n-4)<<32) == 0
	}
	for i := range n {
		if smartClass[s[i]] != plain {
			return false
		}
	}
	return true
}
