package ari

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// random makes values, biased towards what is special on the wire.
type random struct{ *rand.Rand }

func (r *random) str() string {
	const special = "#$+%|\r\n \t&=/~*!'()-._Az09\x00\x7f\u0085\u2028éö€漢😀\uFFFD"
	alphabet := []rune(special)
	switch r.IntN(8) {
	case 0:
		return ""
	case 1:
		return string(alphabet[r.IntN(len(alphabet))])
	case 2:
		return strings.Repeat("clean run of text ", 1+r.IntN(20))
	}
	s := make([]rune, r.IntN(12))
	for i := range s {
		if r.IntN(2) == 0 {
			s[i] = alphabet[r.IntN(len(alphabet))]
		} else {
			s[i] = rune('a' + r.IntN(26))
		}
	}
	return string(s)
}

func (r *random) text() Text {
	if r.IntN(6) == 0 {
		return Null
	}
	return T(r.str())
}

func (r *random) boolean() bool { return r.IntN(2) == 0 }
func (r *random) id() string    { return strconv.FormatUint(r.Uint64()|1, 16) }

func (r *random) int32() int {
	return []int{0, 1, -1, math.MaxInt32, math.MinInt32, int(r.Int32())}[r.IntN(6)]
}

func (r *random) int64() int64 {
	return []int64{0, 1, -1, math.MaxInt64, math.MinInt64, r.Int64()}[r.IntN(6)]
}

func (r *random) double() float64 {
	switch r.IntN(4) {
	case 0:
		return math.Float64frombits(r.Uint64())
	case 1:
		return float64(r.IntN(1e6))
	}
	special := []float64{
		0, math.Copysign(0, -1), 0.5, 1e-5, 9e-6, 1e16, 1e15, 1e21, 1e22, math.Inf(1), math.Inf(-1), math.NaN(),
		math.MaxFloat64, math.SmallestNonzeroFloat64,
	}
	return special[r.IntN(len(special))]
}

// list calls f up to three times; nil for none, as the parsers give it.
func list[T any](r *random, f func() T) []T {
	var l []T
	for range r.IntN(4) {
		l = append(l, f())
	}
	return l
}

func (r *random) strs() []string { return list(r, r.str) }

func (r *random) params() []Param {
	return list(r, func() Param { return Param{r.str(), r.text()} })
}

func (r *random) modes() Modes { return Modes(r.IntN(int(AllModes) + 1)) }

func (r *random) table(m Method, v Version) Table {
	t := Table{
		WinIndex: r.int32(), Mode: []Mode{0, Raw, Merge, Distinct, Command}[r.IntN(5)], Group: r.text(), DataAdapter: Null,
		Schema: r.text(), Min: r.int32(), Max: r.int32(), Selector: Null,
	}
	if m != MSA {
		t.Selector = r.text()
	}
	if v.AtLeast(V190) {
		t.DataAdapter, t.Items = r.text(), r.strs()
		if m == NTC {
			t.Stats = list(r, func() TableStats { return TableStats{r.int64(), r.int64(), r.int64()} })
		}
	}
	return t
}

func (r *random) tables(m Method, v Version) []Table {
	return list(r, func() Table { return r.table(m, v) })
}

func (r *random) device() Device {
	return Device{[]Platform{0, Apple, Google}[r.IntN(3)], r.str(), r.str()}
}
