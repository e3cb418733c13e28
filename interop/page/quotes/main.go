// Command quotes is a pair of Remote Adapters that replay a file of quotes. Its arguments are the adapters.xml that configures the server, and the
// file: CSV with the columns number, symbol, last, bid, ask, volume. The items are the symbols, in MERGE mode.
//
// A line comes every 50 ms, by the clock, and after the last one the first: so a program that was started anew goes on where it would be, and
// several of them tell the same.
package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

const interval = 50 * time.Millisecond

// quote is a line of the file, and an event of an item.
type quote struct {
	Number string `ls:"number"`
	Symbol string `ls:"symbol"`
	Last   string `ls:"last"`
	Bid    string `ls:"bid"`
	Ask    string `ls:"ask"`
	Volume string `ls:"volume"`
}

var event = adapter.NewStruct[quote]()

// replay is the Data Adapter.
type replay struct{ quotes []quote }

func read(filename string) (*replay, error) {
	f, err := os.Open(filename) //nolint:gosec // whoever starts the program names its file
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := csv.NewReader(f)
	in.FieldsPerRecord = 6
	lines, err := in.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filename, err)
	}
	if len(lines) < 2 {
		return nil, fmt.Errorf("%s has no quotes", filename)
	}
	r := new(replay)
	for _, l := range lines[1:] {
		r.quotes = append(r.quotes, quote{l[0], l[1], l[2], l[3], l[4], l[5]})
	}
	return r, nil
}

// at returns the newest quote of a symbol at some time; nil if there is none in the file.
func (r *replay) at(symbol string, t time.Time) *quote {
	now := int(t.UnixMilli()/interval.Milliseconds()) % len(r.quotes)
	for back := range r.quotes {
		q := &r.quotes[(now-back+len(r.quotes))%len(r.quotes)]
		if q.Symbol == symbol {
			return q
		}
	}
	return nil
}

func (r *replay) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	shown := r.at(sub.Item(), time.Now())
	if shown == nil {
		return &adapter.SubscribeError{Message: "no such symbol"}
	}
	if err := event.Snapshot(sub, shown); err != nil {
		return err
	}
	go func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				if q := r.at(sub.Item(), now); q != shown {
					shown = q
					_ = event.Update(sub, q) // it fails when the subscription has ended, which comes next
				}
			case <-sub.Context().Done():
				return
			}
		}
	}()
	return nil
}

func run(ctx context.Context) error {
	if len(os.Args) != 3 {
		return errors.New("usage: quotes adapters.xml quotes.csv")
	}
	quotes, err := read(os.Args[2])
	if err != nil {
		return err
	}
	set := adapter.Set{
		Metadata: &adapter.LiteralMetadata{},
		Data:     map[string]adapter.DataProvider{"DEFAULT": quotes},
		Logger:   slog.Default(),
	}
	return set.Run(ctx, os.Args[1])
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("stopped", "err", err)
		os.Exit(1)
	}
}
