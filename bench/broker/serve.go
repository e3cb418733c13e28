package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// serve is the broker's process: it obeys orders from its standard input until that ends, and answers each with a line of JSON.
func serve(ctx context.Context, o options) error {
	f := newFeed(o.layout())
	running, err := broker.Start(ctx, broker.Config{
		Addr: "127.0.0.1:0", Adapters: map[string]adapter.Set{o.set: {Data: map[string]adapter.DataProvider{"DEFAULT": f}}},
	})
	if err != nil {
		return err
	}
	defer running.Close()
	defer pprof.StopCPUProfile() // which does nothing if there is none
	answer := json.NewEncoder(os.Stdout)
	if err = answer.Encode(running.URL()); err != nil {
		return err
	}
	profiling := false
	var before usage
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		var rate float64
		switch line := orders.Text(); line {
		case "ready":
			select {
			case <-f.all:
			case <-time.After(time.Minute):
				return fmt.Errorf("only %d of %d items are subscribed", len(f.subs), f.count())
			}
			err = answer.Encode(true)
		case "stop":
			s := stopped{Sent: f.end(), Stats: running.Stats()}
			s.Usage = ownUsage().since(before)
			err = answer.Encode(s)
		default:
			if _, err = fmt.Sscanf(line, "start %g", &rate); err != nil {
				return fmt.Errorf("order %q: %w", line, err)
			}
			if o.brokerProfile != "" && !profiling {
				profiling = true
				if err = startProfile(o.brokerProfile); err != nil {
					return err
				}
			}
			before = ownUsage()
			f.start(rate)
			err = answer.Encode(true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// startProfile leaves the connecting of the clients out of the profile.
func startProfile(name string) error {
	file, err := os.Create(name) //nolint:gosec // where the person wants it
	if err != nil {
		return err
	}
	return pprof.StartCPUProfile(file) // the file ends with the process
}
