package ari

import (
	"math"
	"testing"
	"time"
)

func TestKeepaliveInterval(t *testing.T) {
	const (
		ms     = time.Millisecond
		absent = time.Duration(math.MinInt64)
	)
	tests := []struct{ configured, hint, want time.Duration }{
		// not set
		{0, absent, 10000 * ms},
		{0, -1 * ms, 10000 * ms},
		{0, 0, 10000 * ms},
		{0, 1 * ms, 1000 * ms},
		{0, 999 * ms, 1000 * ms},
		{0, 1000 * ms, 1000 * ms},
		{0, 5000 * ms, 5000 * ms},
		{0, 10000 * ms, 10000 * ms},
		{0, 20000 * ms, 10000 * ms},
		// set, long
		{3000 * ms, absent, 3000 * ms},
		{3000 * ms, -1 * ms, 3000 * ms},
		{3000 * ms, 0, 3000 * ms},
		{3000 * ms, 300 * ms, 1000 * ms},
		{3000 * ms, 1000 * ms, 1000 * ms},
		{3000 * ms, 2000 * ms, 2000 * ms},
		{3000 * ms, 3000 * ms, 3000 * ms},
		{3000 * ms, 9000 * ms, 3000 * ms},
		{60000 * ms, 20000 * ms, 20000 * ms},
		// set, shorter than the minimum, which does not bound it
		{500 * ms, absent, 500 * ms},
		{500 * ms, 0, 500 * ms},
		{500 * ms, 300 * ms, 1000 * ms},
		{500 * ms, 500 * ms, 500 * ms},
		{500 * ms, 700 * ms, 500 * ms},
		{500 * ms, 1000 * ms, 500 * ms},
		{500 * ms, 8000 * ms, 500 * ms},
		// none
		{-1, absent, 0},
		{-1, -1 * ms, 0},
		{-1, 0, 0},
		{-1, 300 * ms, 1000 * ms},
		{-1, 1000 * ms, 1000 * ms},
		{-1, 60000 * ms, 60000 * ms},
	}
	for _, tt := range tests {
		got := KeepaliveInterval(tt.configured, tt.hint, tt.hint != absent)
		if got != tt.want {
			t.Errorf("configured %v, hint %v: %v, want %v", tt.configured, tt.hint, got, tt.want)
		}
	}
}

func TestDefaultKeepaliveHint(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		-1: 0, 0: 0, time.Second: 500 * time.Millisecond, 3998 * time.Millisecond: 1999 * time.Millisecond,
		4 * time.Second: 2 * time.Second, 10 * time.Second: 8 * time.Second,
	} {
		if got := DefaultKeepaliveHint(timeout); got != want {
			t.Errorf("%v: %v, want %v", timeout, got, want)
		}
	}
}

func TestParseKeepaliveHint(t *testing.T) {
	tests := []struct {
		value Text
		want  time.Duration
		ok    bool
	}{
		{T("8000"), 8 * time.Second, true},
		{T("0"), 0, true},
		{T("-1"), -time.Millisecond, true},
		{T("9223372036854775807"), 9223372036854 * time.Millisecond, true},
		{T("-9223372036854775808"), -(9223372036854 * time.Millisecond), true},
		{T("1.5"), 0, false},
		{T("8000 "), 0, false},
		{T("soon"), 0, false},
		{T(""), 0, false},
		{Null, 0, false},
		{T("99999999999999999999"), 0, false},
	}
	for _, tt := range tests {
		if got, ok := ParseKeepaliveHint(tt.value); got != tt.want || ok != tt.ok {
			t.Errorf("%v: %v %v, want %v %v", tt.value, got, ok, tt.want, tt.ok)
		}
	}
}
