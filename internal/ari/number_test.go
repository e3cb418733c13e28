package ari

import (
	"math"
	"testing"
)

func TestDoubles(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		value float64
		want  string   // as written
		read  []string // forms of the platforms
	}{
		{0, "0.0", []string{"0", "0.0", "-0", "#", "00"}},
		{math.Copysign(0, -1), "-0.0", nil},
		{1, "1.0", []string{"1", "1.0", "+1", "1E0"}},
		{40.5, "40.5", nil},
		{-2.25, "-2.25", nil},
		{1e6, "1000000.0", []string{"1000000", "1000000.0", "1E+06"}},
		{1.0 / 3, "0.3333333333333333", nil},
		{0.00001, "0.00001", []string{"1.0E-5", "1e-05", "0.00001", "1E-05"}},
		{0.000001, "1e-06", []string{"1.0E-6"}},
		{1e15, "1000000000000000.0", nil},
		{1e16, "1e+16", []string{"1.0E16", "1e+16", "10000000000000000", "1E+16"}},
		{1e21, "1e+21", []string{"1e+21"}},
		{math.MaxFloat64, "1.7976931348623157e+308", []string{"1.7976931348623157E308"}},
		{math.SmallestNonzeroFloat64, "5e-324", []string{"4.9E-324"}},
		{inf, "Infinity", []string{"Infinity", "inf", "+Infinity", "1e999"}},
		{-inf, "-Infinity", []string{"-Infinity", "-inf", "-1e999"}},
		{math.NaN(), "NaN", []string{"NaN", "nan"}},
	}
	for _, tt := range tests {
		if got := string(appendDouble([]byte("1.5|"), tt.value)); got != "1.5|"+tt.want {
			t.Errorf("%v: %s, want %s", tt.value, got, tt.want)
		}
		for _, form := range append(tt.read, tt.want) {
			r, err := ParseUserReply([]byte("D|" + form + "|B|1"))
			if got := r.MaxBandwidth; err != nil || got != tt.value && !(math.IsNaN(got) && math.IsNaN(tt.value)) {
				t.Errorf("%s: %v %v, want %v", form, got, err, tt.value)
			}
		}
	}
	for _, form := range []string{"$", "x", "1,5", "0x10", "0x1p4", "1_0", "1e", " 1", "1 ", "--1", "#1", "infi"} {
		r, err := ParseUserReply([]byte("D|" + form + "|B|1"))
		if err == nil {
			t.Errorf("%q: %v", form, r)
			continue
		}
		checkMalformed(t, err, r)
	}
}

func TestIntegers(t *testing.T) {
	for body, want := range map[string]int{
		"I|0": 0, "I|-1": -1, "I|2147483647": math.MaxInt32, "I|-2147483648": math.MinInt32, "I|#": 0, "V": 0, "I|007": 7,
	} {
		if got, err := ParseSessionReply([]byte(body)); err != nil || int(got) != want {
			t.Errorf("%s: %d %v, want %d", body, got, err, want)
		}
	}
	for _, body := range []string{"I|2147483648", "I|-2147483649", "I|1.0", "I|", "I|x", "I|$", "I|0x1", "L|1", "I1|1", "", "i|1"} {
		if got, err := ParseSessionReply([]byte(body)); err == nil {
			t.Errorf("%q: %d", body, got)
		}
	}
	// A number of Go's that is too big for the wire is held to what fits.
	line := AppendItemData(nil, "1", []ItemData{{DistinctSnapshotLength: math.MaxInt}, {DistinctSnapshotLength: math.MinInt}})
	if want := "1|GIT|I|2147483647|D|0.0|M|$|I|-2147483648|D|0.0|M|$"; string(line) != want {
		t.Errorf("%s, want %s", line, want)
	}
}
