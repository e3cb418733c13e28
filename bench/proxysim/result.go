//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
)

// result is what one run of one scenario measured.
type result struct {
	metrics map[string]float64
	errs    []string // what was wrong with what the adapter sent
}

func newResult() *result { return &result{metrics: map[string]float64{}} }

// fail records the first few violations of the contract.
func (r *result) fail(format string, a ...any) {
	if len(r.errs) < 5 {
		r.errs = append(r.errs, fmt.Sprintf(format, a...))
	}
}

// percentiles sorts the samples and adds their percentiles to the metrics.
func (r *result) percentiles(prefix string, ns []int64) {
	if len(ns) == 0 {
		r.fail("no samples")
		return
	}
	slices.Sort(ns)
	at := func(q float64) float64 { return float64(ns[min(int(q*float64(len(ns))), len(ns)-1)]) / 1e3 }
	r.metrics[prefix+"p50_us"] = at(0.50)
	r.metrics[prefix+"p99_us"] = at(0.99)
	r.metrics[prefix+"p999_us"] = at(0.999)
	r.metrics[prefix+"max_us"] = at(1)
}

// process adds what the run says about the adapter's process, and ends it.
func (r *result) process(c *child) {
	maps.Copy(r.metrics, c.out.stats())
	r.metrics["start_ms"] = c.initMs
	r.metrics["threads"] = float64(c.maxThreads.Load())
	r.metrics["peak_rss_mb"] = c.stop()
}
