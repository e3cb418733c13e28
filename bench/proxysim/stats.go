//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Statistics over the rounds, in which NaN stands for a round without a value.

func sorted(vs []float64) (s []float64) {
	for _, v := range vs {
		if !math.IsNaN(v) {
			s = append(s, v)
		}
	}
	slices.Sort(s)
	return s
}

func median(vs []float64) float64 { return quantile(vs, 0.5) }

func quantile(vs []float64, q float64) float64 {
	s := sorted(vs)
	if len(s) == 0 {
		return math.NaN()
	}
	x := q * float64(len(s)-1)
	i := int(x)
	if i+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[i] + (x-float64(i))*(s[i+1]-s[i])
}

func spread(vs []float64) float64 {
	return (quantile(vs, 1) - quantile(vs, 0)) / median(vs)
}

// ratio is the median of the ratios of the rounds that have both.
func ratio(a, b []float64) float64 {
	var q []float64
	for i := range min(len(a), len(b)) {
		if !math.IsNaN(a[i]) && !math.IsNaN(b[i]) && b[i] != 0 {
			q = append(q, a[i]/b[i])
		}
	}
	return median(q)
}

func times(q float64) string {
	switch {
	case q >= 99.5:
		return fmt.Sprintf("%.0f×", q)
	case q >= 9.95:
		return fmt.Sprintf("%.1f×", q)
	case q < 0.0995:
		return strconv.FormatFloat(q, 'g', 2, 64) + "×"
	}
	return fmt.Sprintf("%.2f×", q)
}

func human(v float64) string {
	a := math.Abs(v)
	switch {
	case a >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case a >= 1e4:
		return fmt.Sprintf("%.1f k", v/1e3)
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
