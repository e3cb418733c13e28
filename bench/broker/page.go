package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/bench/internal/page"
)

// writePage runs what the page is about, and puts the figures into it: the rate that is asked for, and the highest one that holds as long.
func (l *load) writePage(ctx context.Context, progress io.Writer) error {
	if err := page.Check(l.o.page); err != nil {
		return err
	}
	before := loadAverage()
	first, err := l.first(ctx, progress)
	if err != nil {
		return err
	}
	if !first.complete() {
		return fmt.Errorf("%w: %s is left as it was", errMissing, l.o.page)
	}
	best, err := l.best(ctx, progress)
	if err != nil {
		return err
	}
	figures := new(strings.Builder)
	fmt.Fprintf(figures, "%s, %s, %d cores of %q, load average before the run: %s.\n\n", time.Now().Format(time.DateOnly), runtime.Version(),
		runtime.NumCPU(), processor(), before)
	table(figures, first, best)
	fmt.Fprintf(figures, "\nThe highest rate that holds (p99 within %v, 98 %% delivered in time, nothing lost, less than 1 %% merged): **%.0f updates/s**.\n",
		l.o.limit, best.Rate)
	return page.Update(l.o.page, figures.String())
}

// first is the run at the rate asked for. Like any other rate it may be tried again if it does not hold, but not if something is lost.
func (l *load) first(ctx context.Context, progress io.Writer) (r *result, err error) {
	for n := 0; n < l.o.tries && (r == nil || r.complete() && !r.holds(l.o.limit)); n++ {
		if r, err = l.measure(ctx, l.o.rate, l.o.warmup, l.o.duration); err != nil {
			return nil, err
		}
		r.print(progress)
	}
	return r, nil
}

// best is the run, as long as the others, at the highest rate that holds.
func (l *load) best(ctx context.Context, progress io.Writer) (*result, error) {
	rate, err := l.search(ctx, progress)
	if err != nil {
		return nil, err
	}
	for ; rate >= 100; rate *= .95 { // what holds for a few seconds may not for a minute
		r, err := l.measure(ctx, rate, l.o.warmup, l.o.duration)
		if err != nil {
			return nil, err
		}
		r.print(progress)
		if r.holds(l.o.limit) {
			return r, nil
		}
	}
	return nil, fmt.Errorf("no rate holds for %v", l.o.duration)
}

func table(w io.Writer, results ...*result) {
	fmt.Fprint(w, `| asked, updates/s | delivered | p50 | p99 | p99.9 | max | broker and feed, cores | generator | rest of the machine | RSS of the broker | lost in RAW, COMMAND | merged in MERGE |
|---|---|---|---|---|---|---|---|---|---|---|---|
`)
	for _, r := range results {
		fmt.Fprintf(w, "| %.0f for %v | %.0f | %v | %v | %v | %v | %.2f | %.2f | %.2f | %d MiB | %d, %d | %d of %d |\n",
			r.Rate, r.Duration, r.Delivered, short(r.P50), short(r.P99), short(r.P999), short(r.Max), r.Broker.cores(), r.Load.cores(), r.Rest,
			r.Broker.PeakRSS>>20, r.Kinds[raw].Missing, r.Kinds[command].Missing, r.Kinds[merge].Missing, r.Kinds[merge].Received+r.Kinds[merge].Missing)
	}
}

// processor names the machine's.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo") // elsewhere it has no name
	_, rest, _ := strings.Cut(string(b), "model name")
	name, _, _ := strings.Cut(rest, "\n")
	return strings.TrimLeft(name, "\t :")
}
