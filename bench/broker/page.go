package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// The figures of a page stand between these lines.
const (
	figuresBegin = "<!-- figures: begin (written by make bench-broker) -->\n"
	figuresEnd   = "<!-- figures: end -->\n"
)

// writePage runs what the page is about, and puts the figures into it: the rate that is asked for, and the highest one that holds as long.
func (l *load) writePage(ctx context.Context, progress io.Writer) error {
	page, err := os.ReadFile(l.o.page)
	if err != nil {
		return err
	}
	if _, err = replaceFigures(page, nil); err != nil {
		return fmt.Errorf("%s: %w", l.o.page, err) // before the minutes that it takes
	}
	before := loadAverage()
	first, err := l.first(ctx, progress)
	if err != nil {
		return err
	}
	best, err := l.best(ctx, progress)
	if err != nil {
		return err
	}
	figures := new(bytes.Buffer)
	fmt.Fprintf(figures, "%s, %s, %d cores of %q, load average before the run: %s.\n\n", time.Now().Format(time.DateOnly), runtime.Version(),
		runtime.NumCPU(), processor(), before)
	table(figures, first, best)
	fmt.Fprintf(figures, "\nThe highest rate that holds (p99 within %v, 98 %% delivered in time, nothing lost, less than 1 %% merged): **%.0f updates/s**.\n",
		l.o.limit, best.Rate)
	if page, err = replaceFigures(page, figures.Bytes()); err != nil {
		return err
	}
	if err = os.WriteFile(l.o.page, page, 0o644); err != nil { //nolint:gosec // documentation
		return err
	}
	if !first.complete() {
		return errMissing
	}
	return nil
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

// replaceFigures puts figures between the marks of a page.
func replaceFigures(page, figures []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(page, []byte(figuresBegin))
	_, after, ended := bytes.Cut(rest, []byte(figuresEnd))
	if !ok || !ended {
		return nil, fmt.Errorf("no place for the figures: want the lines %q and %q", strings.TrimSpace(figuresBegin), strings.TrimSpace(figuresEnd))
	}
	return bytes.Join([][]byte{before, []byte(figuresBegin), figures, []byte(figuresEnd), after}, nil), nil
}

// processor names the machine's.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo") // elsewhere it has no name
	_, rest, _ := strings.Cut(string(b), "model name")
	name, _, _ := strings.Cut(rest, "\n")
	return strings.TrimLeft(name, "\t :")
}
