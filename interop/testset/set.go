package testset

import (
	"context"
	"fmt"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// ID is the name of the Adapter Set.
const ID = "TEST"

// Names of the Data Adapters.
const (
	Count           = "COUNT"
	JSONCount       = "JSON_COUNT"
	DiffCount       = "DIFF_COUNT"
	MultTable       = "MULT_TABLE"
	TwoLevelCommand = "TWO_LEVEL_COMMAND"
	StrangeNames    = "STRANGE_NAMES"
	ClearSnapshot   = "CLEAR_SNAPSHOT"
	EndOfSnapshot   = "END_OF_SNAPSHOT"
	Overflow        = "OVERFLOW"
)

// Names of the items.
const (
	CountItem         = "count"
	MultTableItem     = "mult_table"
	TwoLevelPrefix    = "two_level_command_count"
	ClearSnapshotItem = "clear_snapshot"
	EndOfSnapshotItem = "end_of_snapshot"
	OverflowItem      = "overflow"
)

// A Set is one instance of the Adapter Set, with counters of its own. Make it with [New].
type Set struct {
	streams streams // the goroutines that feed subscriptions; each ends with its subscription
	names   names
	data    map[string]adapter.DataProvider
}

// New returns a Set whose counters begin at 0.
func New() *Set {
	s := new(Set)
	s.data = map[string]adapter.DataProvider{
		Count:           &counts{streams: &s.streams, value: plain},
		JSONCount:       &counts{streams: &s.streams, value: jsonValue, diffs: []adapter.DiffAlgorithm{adapter.JSONPatch}},
		DiffCount:       &counts{streams: &s.streams, value: sentence, diffs: []adapter.DiffAlgorithm{adapter.DiffMatchPatch}},
		MultTable:       s.feed(MultTableItem, s.multTable),
		TwoLevelCommand: adapter.DataProviderFunc(twoLevelCommand),
		StrangeNames:    adapter.DataProviderFunc(s.strangeNames),
		ClearSnapshot:   s.feed(ClearSnapshotItem, s.clearSnapshot),
		EndOfSnapshot:   s.feed(EndOfSnapshotItem, s.endOfSnapshot),
		Overflow:        s.feed(OverflowItem, s.overflow),
	}
	return s
}

// Adapters returns the Metadata and Data Adapters, to be run. They are always the same.
func (s *Set) Adapters() adapter.Set {
	return adapter.Set{Metadata: &metadata{names: &s.names}, Data: s.data}
}

// Wait returns when no goroutine of the feeds is left. Call it when whatever runs the adapters has ended.
func (s *Set) Wait() { s.streams.Wait() }

// feed is a provider of one item. The function gets its subscriptions, and need not care for others.
func (s *Set) feed(item string, subscribe func(*adapter.Subscription) error) adapter.DataProvider {
	return adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		if sub.Item() != item {
			return noSuchItem(sub)
		}
		return subscribe(sub)
	})
}

func noSuchItem(sub *adapter.Subscription) error {
	return &adapter.SubscribeError{Message: fmt.Sprintf("there is no item %q", sub.Item())}
}

// every calls step at each tick, on a goroutine that ends with the subscription or when step fails: it can only fail for the same reason.
func every(streams *streams, sub *adapter.Subscription, interval time.Duration, step func() error) {
	streams.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if step() != nil {
					return
				}
			case <-sub.Context().Done():
				return
			}
		}
	})
}
