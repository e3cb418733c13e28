package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// result is what came of one run.
type result struct {
	Sessions        int
	ItemsPerSession int
	Fanout          int           // sessions for each item
	Rate            float64       // updates per second asked for
	Delivered       float64       // updates per second received, in the measured time
	Duration        time.Duration // measured
	Seconds         float64       // in all
	Sent            int64         // updates that were due to sessions, in all
	P50, P99, P999  time.Duration // latency from the scheduled time to the client
	Max             time.Duration
	Kinds           [3]kindResult
	Overflow        int64   // updates that the broker said it had dropped
	Broker          usage   // its process, from the start of the feed to its end
	Load            usage   // the generator's, in the measured time
	Rest            float64 // cores in use by everything else on the machine, in the measured time
	LoadAverage     string
}

// kindResult is what came of the items of one mode.
type kindResult struct {
	Kind     string
	Received int64
	Missing  int64 // of what was sent: lost, or in MERGE merged into others
	Wrong    int64 // came twice or out of order
}

// complete tells whether nothing was lost that may not be.
func (r *result) complete() bool {
	for k, c := range r.Kinds {
		if c.Wrong > 0 || c.Missing > 0 && kind(k) != merge {
			return false
		}
	}
	return r.Overflow == 0
}

// holds tells whether the broker keeps up with the rate.
func (r *result) holds(limit time.Duration) bool {
	return r.complete() && r.P99 <= limit && r.Delivered >= .98*r.Rate && r.Kinds[merge].Missing*100 <= r.Kinds[merge].Received
}

func (r *result) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("sessions × items", "%d × %d, %d sessions for each item", r.Sessions, r.ItemsPerSession, r.Fanout)
	row("rate asked", "%.0f updates/s", r.Rate)
	row("rate delivered", "%.0f updates/s for %v", r.Delivered, r.Duration)
	row("latency p50 p99 p99.9 max", "%v  %v  %v  %v", short(r.P50), short(r.P99), short(r.P999), short(r.Max))
	for _, k := range r.Kinds {
		what := "lost"
		if k.Kind == merge.String() {
			what = "merged"
		}
		row(k.Kind, "%d received, %d %s, %d out of order", k.Received, k.Missing, what, k.Wrong)
	}
	row("dropped by the broker", "%d", r.Overflow)
	if r.Broker.PeakRSS > 0 {
		row("broker and feed", "%.2f cores, %d MiB at most", r.Broker.cores(), r.Broker.PeakRSS>>20)
	}
	row("load generator", "%.2f cores, %d MiB at most", r.Load.cores(), r.Load.PeakRSS>>20)
	row("rest of the machine", "%.2f cores, load average %s", r.Rest, r.LoadAverage)
	t.Flush()
}

func short(d time.Duration) time.Duration {
	if d > 10*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}

// loadAverage is that of the machine, which tells how much else was going on.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "not known"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}
