package testset

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// CountInterval is the time from one value of the counters to the next.
const CountInterval = 100 * time.Millisecond

// CountField is the only field of the counters.
const CountField = "count"

// counts is a counter that goes on where it was when its item is subscribed to again.
type counts struct {
	streams *streams
	value   func(n int64) string
	diffs   []adapter.DiffAlgorithm
	last    atomic.Int64
}

func (c *counts) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	if sub.Item() != CountItem {
		return noSuchItem(sub)
	}
	if c.diffs != nil {
		if err := sub.DeclareFieldDiffOrder(adapter.FieldDiffOrder{CountField: c.diffs}); err != nil {
			return err
		}
	}
	n := c.last.Load()
	if err := sub.Snapshot(adapter.Fields{CountField: c.value(n)}); err != nil {
		return err
	}
	if err := sub.EndOfSnapshot(); err != nil {
		return err
	}
	every(c.streams, sub, CountInterval, func() error {
		n++
		c.last.Store(n)
		return sub.Update(adapter.Fields{CountField: c.value(n)})
	})
	return nil
}

func plain(n int64) string { return strconv.FormatInt(n, 10) }

// jsonValue is much longer than a patch of its number.
func jsonValue(n int64) string {
	return fmt.Sprintf(`{"what":"a counter that grows by one, ten times a second, as long as somebody looks","where":["testset","€"],"value":%d}`, n)
}

// sentence has characters that take one, two and three bytes before what changes: where differences count wrongly, it shows. It has none outside
// of the basic plane, which clients count in different ways, so that brokers send no differences of them.
func sentence(n int64) string {
	return fmt.Sprintf("Così fan tutte, 10 € each: value=%d, and it grows by one ten times a second", n)
}
