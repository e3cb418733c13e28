//go:build linux

package main

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStatistics(t *testing.T) {
	nan := math.NaN()
	if m := median([]float64{3, nan, 1, 2}); m != 2 {
		t.Error(m)
	}
	if m := median([]float64{4, 1, 2, 3}); m != 2.5 {
		t.Error(m)
	}
	if q := ratio([]float64{2, nan, 9}, []float64{1, 5, 3}); q != 2.5 {
		t.Error(q)
	}
	if !math.IsNaN(median(nil)) || !math.IsNaN(ratio(nil, nil)) {
		t.Error("not NaN")
	}
}

// measured is a comparison with two rounds of some values.
func measured(vals map[string]map[string][]float64) *comparison {
	return &comparison{rounds: 2, vals: vals, base: "java", begin: time.Now(), peers: []*peer{{Name: "gosdk"}, {Name: "java"}, {Name: "node"}}}
}

func TestFloors(t *testing.T) {
	c := measured(map[string]map[string][]float64{
		"a.rate": {"gosdk": {30, 40}, "java": {10, 10}, "node": {5, 20}},
		"a.time": {"gosdk": {3, 4}, "java": {10, 10}, "node": {5, 20}},
		"b.rate": {"gosdk": {15, 10}},
	})
	for _, test := range []struct {
		floor    floor
		measured float64 // NaN: not measured
		reached  bool
	}{
		{floor{key: "a.rate", peer: "gosdk", of: []string{"java"}, atLeast: 3}, 3.5, true},
		{floor{key: "a.rate", peer: "gosdk", of: []string{"java"}, atLeast: 4}, 3.5, false},
		{floor{key: "a.rate", peer: "gosdk", of: []string{"java", "node"}, atLeast: 3}, 2.5, false},
		{floor{key: "a.time", peer: "gosdk", of: []string{"java", "node"}, atMost: 0.5}, 0.5, true},
		{floor{key: "a.time", peer: "gosdk", of: []string{"java", "python"}, atMost: 0.5}, math.NaN(), false},
		{floor{key: "a.rate", peer: "gosdk", of: []string{"gosdk"}, ofKey: "b.rate", atLeast: 3}, 3, true},
		{floor{key: "a.time", peer: "gosdk", atMost: 3.5, unit: "ms"}, 3.5, true},
		{floor{key: "a.time", peer: "gosdk", atMost: 3.4, unit: "ms"}, 3.5, false},
		{floor{key: "c.time", peer: "gosdk", atMost: 3.4, unit: "ms"}, math.NaN(), false},
	} {
		v := test.floor.verdict(c)
		if v.Reached != test.reached || (v.Measured == nil) != math.IsNaN(test.measured) || v.Measured != nil && *v.Measured != test.measured {
			t.Errorf("%+v: %+v; want %v, %t", test.floor, v, test.measured, test.reached)
		}
	}
}

// Beside a figure that misses its floor stands what the limit itself reaches, if that is known.
func TestMissedFloorsTellTheLimit(t *testing.T) {
	c := measured(map[string]map[string][]float64{"a.time": {"gosdk": {5, 5}, "java": {10, 10}, "limit": {4, 4}}, "b.time": {"gosdk": {5, 5}, "java": {10, 10}}})
	for key, want := range map[string]string{"a.time": "0.50 × (limit: 0.40 ×)", "b.time": "0.50 ×"} {
		f := floor{key: key, peer: "gosdk", of: []string{"java"}, atMost: 0.3}
		if v := f.verdict(c); v.text != want {
			t.Errorf("%s: %q, want %q", key, v.text, want)
		}
		f.atMost = 0.5
		if v := f.verdict(c); v.text != "0.50 ×" {
			t.Errorf("%s, reached: %q", key, v.text)
		}
	}
}

// A floor that names a measure nobody takes would never be measured.
func TestFloorsAndRowsNameScenarios(t *testing.T) {
	names := []string{"size"}
	for _, s := range new(options).scenarios() {
		names = append(names, s.name)
	}
	keys := slices.Clone(spreads)
	for _, r := range rows {
		keys = append(keys, r.key)
	}
	for _, f := range floors {
		keys = append(keys, f.key)
		if f.ofKey != "" {
			keys = append(keys, f.ofKey)
		}
		if (f.atLeast > 0) == (f.atMost > 0) {
			t.Errorf("%s has to have one limit", f.figure)
		}
	}
	for _, k := range keys {
		if name, _, ok := strings.Cut(k, "."); !ok || !slices.Contains(names, name) {
			t.Errorf("%s names no scenario", k)
		}
	}
}

func TestReport(t *testing.T) {
	c := measured(map[string]map[string][]float64{
		"credit.rate": {"gosdk": {3e6, 4e6}, "java": {1e6, 1e6}}, "latency.p50_us": {"node": {7, 8}}, "latency.behind": {"node": {1, 1}},
	})
	c.calib = []float64{1, 2}
	text := c.report()
	for _, want := range []string{
		"| updates/s, 8192 in flight, 1000 items, 1 producer | ↑ | 3.50 M (3.50×) | 1.00 M | – |", "| 7.50 behind! |",
		"| updates/s sustained, field list | gosdk | at least 3.20 × java | 3.50 × | reached |", "| not measured |", "2 interleaved rounds",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report has no %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestChoose(t *testing.T) {
	all := []string{"a", "b", "c"}
	same := func(s string) string { return s }
	for list, want := range map[string][]string{"": all, "c,a": {"a", "c"}} {
		if got, err := choose(all, list, "letter", same); err != nil || !slices.Equal(got, want) {
			t.Error(list, got, err)
		}
	}
	if _, err := choose(all, "a,d", "letter", same); err == nil || !strings.Contains(err.Error(), `"d"`) {
		t.Error(err)
	}
}

func TestOutput(t *testing.T) {
	var o output
	o.produced.Store(-1)
	for _, part := range []string{"STAT gc_cyc", "les 3\nnoise\nPRODUCED x\nPROD", "UCED 12\n"} {
		if _, err := o.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if n, s := o.produced.Load(), o.stats(); n != 12 || s["gc_cycles"] != 3 || len(s) != 1 || o.String() != "noise\nPRODUCED x" {
		t.Error(n, s, o.String())
	}
}
