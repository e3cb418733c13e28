package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// warmSearch is how long each rate runs before it is judged.
const warmSearch = 3 * time.Second

// search returns the highest rate that holds.
func (l *load) search(ctx context.Context, progress io.Writer) (float64, error) {
	return search(l.o.rate, func(rate float64) (bool, error) { return l.try(ctx, rate, progress) })
}

// search tries rates, growing by a quarter while they hold, and then closes in on the highest.
func search(rate float64, try func(rate float64) (holds bool, err error)) (float64, error) {
	good, bad := 0.0, 0.0
	for bad == 0 || good == 0 || bad/good > 1.05 {
		holds, err := try(rate)
		switch {
		case err != nil:
			return 0, err
		case holds:
			good = rate
		default:
			bad = rate
		}
		switch {
		case good == 0 && rate < 100:
			return 0, fmt.Errorf("not even %.0f updates/s hold", rate)
		case good == 0:
			rate /= 2
		case bad == 0:
			rate *= 1.25
		default:
			rate = (good + bad) / 2
		}
	}
	return good, nil
}

// try runs a rate up to as often as it may fail.
func (l *load) try(ctx context.Context, rate float64, progress io.Writer) (holds bool, err error) {
	for n := 0; n < l.o.tries && !holds; n++ {
		r, err := l.measure(ctx, rate, warmSearch, l.o.step)
		if err != nil {
			return false, err
		}
		holds = r.holds(l.o.limit)
		fmt.Fprintf(progress, "%.0f updates/s: %t (delivered %.0f, p99 %v, cores: broker %.2f, generator %.2f, others %.2f)\n",
			rate, holds, r.Delivered, short(r.P99), r.Broker.cores(), r.Load.cores(), r.Rest)
	}
	return holds, nil
}
