// Command broker loads a broker with sessions and updates, and tells whether all of them arrived, and how late:
//
//	go run ./broker                          1,000 sessions × 10 items, 50,000 updates/s delivered, for 60 s
//	go run ./broker -search                  the highest rate that holds
//	go run ./broker -page ../docs/FILE.md    both, into a page (make bench-broker)
//	go run ./broker -url http://host:8080 -adapters adapters.xml
//
// By itself it runs the broker, with the feed as an adapter in its process, in a process of its own, so that what each needs is told apart. With
// -url the broker is somebody else's, and the feed connects to it as the remote adapter that the file describes: a set with one Data
// Adapter DEFAULT and the built-in Metadata Adapter.
//
// Of ten items four are RAW, three MERGE and three COMMAND (unfiltered), each of them seen by as many sessions as -fanout says. An update
// carries a number, by which losses and merges are counted, and the time for which it was scheduled: a feed or a broker that falls behind
// shows as latency, not as fewer measurements.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"time"
)

type options struct {
	sessions, items, fanout int
	rate                    float64
	duration, warmup        time.Duration
	search                  bool
	step                    time.Duration
	tries                   int
	limit                   time.Duration
	url, adapters, set      string
	json                    bool
	page                    string
	brokerProfile, profile  string
	serve                   bool
}

func main() {
	var o options
	flag.IntVar(&o.sessions, "sessions", 1000, "WebSocket sessions")
	flag.IntVar(&o.items, "items", 10, "items of each session, a multiple of 10")
	flag.IntVar(&o.fanout, "fanout", 10, "sessions that share an item")
	flag.Float64Var(&o.rate, "rate", 50_000, "updates per second delivered, in all")
	flag.DurationVar(&o.duration, "duration", time.Minute, "how long to measure")
	flag.DurationVar(&o.warmup, "warmup", 5*time.Second, "how long to run before")
	flag.BoolVar(&o.search, "search", false, "find the highest rate that holds, from -rate on")
	flag.DurationVar(&o.step, "step", 10*time.Second, "how long each rate is tried by -search")
	flag.IntVar(&o.tries, "tries", 3, "how often a rate has to fail: something else may have been going on")
	flag.DurationVar(&o.limit, "limit", 100*time.Millisecond, "the p99 latency up to which a rate holds")
	flag.StringVar(&o.url, "url", "", "a broker to load, instead of one of its own")
	flag.StringVar(&o.adapters, "adapters", "", "with -url: the adapters.xml that says where the feed connects")
	flag.StringVar(&o.set, "set", "BENCH", "the Adapter Set")
	flag.BoolVar(&o.json, "json", false, "print the result as JSON")
	flag.StringVar(&o.page, "page", "", "measure -rate and the highest one that holds, each for -duration, and write the figures into this page")
	flag.StringVar(&o.brokerProfile, "cpuprofile", "", "write a CPU profile of the broker's process to this file")
	flag.StringVar(&o.profile, "loadprofile", "", "write a CPU profile of the generator's process to this file")
	flag.BoolVar(&o.serve, "serve", false, "be the broker's process (used by the command itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

var errMissing = errors.New("updates are missing")

func (o *options) check() error {
	switch {
	case o.sessions < 1 || o.items < 10 || o.items%10 != 0 || o.fanout < 1 || o.sessions%o.fanout != 0:
		return errors.New("want sessions in multiples of -fanout, and -items in multiples of 10")
	case o.rate <= 0 || o.duration <= 0 || o.warmup < 0 || o.step <= 0 || o.tries < 1:
		return errors.New("want a rate and times above zero")
	case (o.url == "") != (o.adapters == ""):
		return errors.New("-url and -adapters belong together")
	}
	return nil
}

func run(ctx context.Context, o options) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.serve {
		return serve(ctx, o)
	}
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	src, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer src.close()
	l, err := connect(ctx, o, src)
	if err != nil {
		return err
	}
	defer l.close()
	switch {
	case o.page != "":
		return l.writePage(ctx, os.Stderr)
	case o.search:
		return printHighest(ctx, o, l)
	}
	result, err := l.measure(ctx, o.rate, o.warmup, o.duration)
	if err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(result)
	}
	result.print(os.Stdout)
	if !result.complete() {
		return errMissing
	}
	return nil
}

func printHighest(ctx context.Context, o options, l *load) error {
	rate, err := l.search(ctx, os.Stderr)
	if err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(map[string]float64{"rate": rate})
	}
	fmt.Printf("the highest rate that holds (p99 within %v, nothing lost): %.0f updates/s\n", o.limit, rate)
	return nil
}
