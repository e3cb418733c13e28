//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/interop/internal/ledger"
)

// order is what the harness wants of one of its processes: a line of JSON on the standard input,
// which is answered by one on the standard output.
type order struct {
	Do     string                        `json:"do"`
	Since  int64                         `json:"since,omitempty"` // microseconds of Unix time
	Finals map[ledger.Mode]ledger.Finals `json:"finals,omitempty"`
	Rows   map[string]ledger.Number      `json:"rows,omitempty"`
}

// feedAnswer is that of the adapter.
type feedAnswer struct {
	Rows map[string]ledger.Number `json:"rows"` // of the item in COMMAND mode
	// Stats are those of the Data Adapter's server; Reported is what they tell of updates lost.
	Stats    adapter.Stats `json:"stats"`
	Reported int64         `json:"reported"`
}

// clientsAnswer is that of clients. What was not asked for is left out.
type clientsAnswer struct {
	Clients  int                           `json:"clients"`
	Good     int                           `json:"good"` // those for which what was asked is true
	Sessions int64                         `json:"sessions"`
	Ended    int64                         `json:"ended"` // sessions, not at our wish
	Why      map[string]int64              `json:"why"`   // they have ended, or could not begin
	Counts   map[ledger.Mode]*ledger.Count `json:"counts"`
	Latency  ledger.Summary                `json:"latency"`
}

// obey answers orders until there are no more, or ctx ends.
func obey(ctx context.Context, in io.Reader, out io.Writer, answer func(order) (any, error)) error {
	orders := make(chan order)
	ended := make(chan error, 1)
	go func() { // ends with the input, which is the process's
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var o order
			if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
				ended <- fmt.Errorf("order %q: %w", lines.Text(), err)
				return
			}
			orders <- o
		}
		ended <- lines.Err()
	}()
	encoder := json.NewEncoder(out)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case o := <-orders:
			a, err := answer(o)
			if err != nil {
				return err
			}
			if err := encoder.Encode(a); err != nil {
				return err
			}
		}
	}
}
