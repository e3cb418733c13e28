//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// sample is what the broker has at a moment.
type sample struct {
	At time.Duration `json:"at"`
	usage
	Metrics metrics `json:"metrics,omitempty"`
}

// soakResult is what a soak has shown.
type soakResult struct {
	result
	Samples []sample `json:"samples"`
	Trends  []trend  `json:"trends"`
}

// trend compares the first third of the samples with the last one.
type trend struct {
	What   string  `json:"what"`
	First  float64 `json:"first"`
	Last   float64 `json:"last"`
	Flat   bool    `json:"flat"`
	Within float64 `json:"within"` // growth that is allowed
}

// soakEvery is how often is sampled; churn is what happens between.
const soakEvery = 2 * time.Second

// soak lets clients come and go, adapters die, and wires break, and looks whether the broker keeps
// what it should give back.
func soak(ctx context.Context, o *options) error {
	res := &soakResult{result: result{Row: "soak", Title: "mixed churn"}}
	begin := time.Now()
	err := res.play(ctx, o)
	res.Took = time.Since(begin)
	if err != nil {
		res.fail("%v", err)
	}
	if res.Verdict = "ok"; len(res.Wrong) > 0 {
		res.Verdict = "FAILED"
	}
	if o.json {
		if err := json.NewEncoder(os.Stdout).Encode(res); err != nil {
			return err
		}
	} else {
		if err := printResults(os.Stdout, []*result{&res.result}); err != nil {
			return err
		}
		t := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(t, "\nof the broker\tfirst third\tlast third\tallowed\t")
		for _, tr := range res.Trends {
			flat := "flat"
			if !tr.Flat {
				flat = "GROWS"
			}
			fmt.Fprintf(t, "%s\t%.1f\t%.1f\t+%.1f\t%s\n", tr.What, tr.First, tr.Last, tr.Within, flat)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if res.Verdict != "ok" {
		return fmt.Errorf("the soak failed: %s", firstLines(res.Wrong))
	}
	return nil
}

func (res *soakResult) play(ctx context.Context, o *options) error {
	s, err := openStage(ctx, o, brokerConfig{flags: []string{"--recovery-timeout=5s", "--linger=1s"}}, o.clients, o.nodes)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Fprintf(os.Stderr, "soaking for %v, with %d Go clients and %d of Node.js\n", o.soak, o.clients, o.nodes)
	begin := time.Now()
	for step := 0; time.Since(begin) < o.soak; step++ {
		if err = s.churn(ctx, step); err != nil {
			return err
		}
		if err = wait(ctx, soakEvery); err != nil {
			return err
		}
		one := sample{At: time.Since(begin)}
		if one.usage, err = usageOf(s.broker.cmd.Process.Pid); err != nil {
			return fmt.Errorf("the broker has ended: %w", s.broker.death())
		}
		if one.Metrics, err = s.broker.metrics(ctx); err != nil {
			return err
		}
		res.Samples = append(res.Samples, one)
		if step%15 == 0 {
			fmt.Fprintf(os.Stderr, "%6s: %d MiB, %d descriptors, %d threads, %.0f sessions\n", one.At.Round(time.Second), one.RSS>>20,
				one.Descriptors, one.Threads, one.Metrics["lightstreamer_broker_sessions"])
		}
	}
	recovering, cancel := context.WithTimeoutCause(ctx, o.patience, fmt.Errorf("not within %v", o.patience))
	res.Recovery, err = s.awaitFresh(recovering, time.Now())
	cancel()
	if err != nil {
		return err
	}
	out, err := s.finish(ctx)
	if err != nil {
		return err
	}
	res.Ended, res.AdapterAgain, res.Notes = out.ended, out.connections, s.notes
	res.judge(out)
	res.Trends = trends(res.Samples)
	for _, t := range res.Trends {
		if !t.Flat {
			res.fail("%s grew from %.1f to %.1f", t.What, t.First, t.Last)
		}
	}
	return nil
}

// churn is one of what goes on in a soak.
func (s *stage) churn(ctx context.Context, step int) error {
	switch step % 5 {
	case 0: // visitors come, and half of them vanish without a word
		return s.visitors(step)
	case 1:
		return s.restartFeed()
	case 2:
		s.clientWire.reset()
	case 3:
		s.adapterWire.reset()
	case 4:
		return pause(ctx, s.feed, 500*time.Millisecond)
	}
	return nil
}

// visitors replaces the clients besides: the former ones are killed.
func (s *stage) visitors(step int) error {
	for _, p := range s.others {
		p.kill()
	}
	s.others = nil
	p, err := s.o.children.start(spec{name: "visitors", args: []string{
		s.o.self, "clients", "-url", s.broker.url, "-count=40", fmt.Sprint("-seed=", s.seed+uint64(step)),
	}})
	if err == nil {
		s.others = append(s.others, p)
	}
	return err
}

// trends compares the first third with the last: the middle of each, since churn makes waves. The
// first samples are those of a broker that is warming up, and left out.
func trends(samples []sample) []trend {
	samples = samples[len(samples)/10:]
	third := len(samples) / 3
	if third == 0 {
		return nil
	}
	var all []trend
	look := func(what string, within func(first float64) float64, value func(sample) float64) {
		first, last := median(samples[:third], value), median(samples[len(samples)-third:], value)
		allowed := within(first)
		all = append(all, trend{What: what, First: first, Last: last, Within: allowed, Flat: last <= first+allowed})
	}
	part := func(least, share float64) func(float64) float64 {
		return func(first float64) float64 { return max(least, share*first) }
	}
	look("memory, MiB", part(16, 0.25), func(s sample) float64 { return float64(s.RSS) / (1 << 20) })
	look("descriptors", part(20, 0.1), func(s sample) float64 { return float64(s.Descriptors) })
	look("threads", part(5, 0.25), func(s sample) float64 { return float64(s.Threads) })
	if _, ok := samples[0].Metrics["lightstreamer_broker_goroutines"]; ok {
		look("goroutines", part(40, 0.1), func(s sample) float64 { return s.Metrics["lightstreamer_broker_goroutines"] })
	}
	for _, name := range []string{"sessions", "subscriptions", "items", "queue_bytes", "history_bytes"} {
		least := 50.0
		if name == "queue_bytes" || name == "history_bytes" {
			least = 4 << 20
		}
		look(name, part(least, 0.25), func(s sample) float64 { return s.Metrics["lightstreamer_broker_"+name] })
	}
	return all
}

func median(samples []sample, value func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = value(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
