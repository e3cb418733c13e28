package ari

import (
	"bytes"
	"math"
	"strconv"
)

// appendDouble writes f so that every platform's parser takes it: the shortest decimal form that reads back as f, whole
// numbers with ".0", and the names Java uses for what is not a number.
func appendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-5 || a >= 1e16) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if bytes.IndexByte(dst[start:], '.') < 0 {
		dst = append(dst, ".0"...)
	}
	return dst
}

// parseDouble takes the forms of every platform; a null, which Node.js can send, is 0, and what is too big is infinite.
func parseDouble(tok []byte) (float64, bool) {
	if string(tok) == "#" {
		return 0, true
	}
	if bytes.ContainsAny(tok, "xXpP_") {
		return 0, false // Go's own notations, which no peer means
	}
	f, err := strconv.ParseFloat(string(tok), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// appendInt32 writes n held to the 32 bits of tag I.
func appendInt32(dst []byte, n int) []byte {
	return strconv.AppendInt(dst, int64(min(max(n, math.MinInt32), math.MaxInt32)), 10)
}

func parseInt(tok []byte, bits int) (int64, bool) {
	n, err := strconv.ParseInt(string(tok), 10, bits)
	return n, err == nil
}
