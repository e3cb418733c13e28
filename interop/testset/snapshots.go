package testset

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

const (
	clearInterval    = 100 * time.Millisecond
	clearEvents      = 3 // before the item is cleared
	snapshotInterval = 50 * time.Millisecond
	snapshotEvents   = 3
	overflowInterval = 20 * time.Millisecond
	overflowEvents   = 10 // in each interval
	overflowBytes    = 100
)

// clearSnapshot has fields for all modes: key and command, and dummy for who wants neither.
func (s *Set) clearSnapshot(sub *adapter.Subscription) error {
	n := 0
	add := func() error {
		n++
		return sub.Add("row"+strconv.Itoa(n%(clearEvents+1)), adapter.Fields{"dummy": n})
	}
	if err := add(); err != nil { // the snapshot, so that there is one to clear
		return err
	}
	if err := sub.EndOfSnapshot(); err != nil {
		return err
	}
	every(&s.streams, sub, clearInterval, func() error {
		if n%(clearEvents+1) < clearEvents {
			return add()
		}
		n++
		return sub.ClearSnapshot()
	})
	return nil
}

// endOfSnapshot takes its time for the snapshot. Then each event changes the first row, which in DISTINCT mode is just one more event.
func (s *Set) endOfSnapshot(sub *adapter.Subscription) error {
	if err := sub.SnapshotFollows(); err != nil {
		return err
	}
	n := 0
	every(&s.streams, sub, snapshotInterval, func() error {
		n++
		switch {
		case n <= snapshotEvents:
			return sub.Add("row"+strconv.Itoa(n), adapter.Fields{"value": n})
		case n == snapshotEvents+1:
			return sub.EndOfSnapshot()
		default:
			return sub.Modify("row1", adapter.Fields{"value": n - 1})
		}
	})
	return nil
}

// overflow is too much for the bandwidth that the Metadata Adapter grants.
func (s *Set) overflow(sub *adapter.Subscription) error {
	n := 0
	value := func() adapter.Fields {
		n++
		text := strconv.Itoa(n)
		return adapter.Fields{"value": text + strings.Repeat(".", overflowBytes-len(text))}
	}
	if err := sub.Snapshot(value()); err != nil {
		return err
	}
	if err := sub.EndOfSnapshot(); err != nil {
		return err
	}
	every(&s.streams, sub, overflowInterval, func() error {
		for range overflowEvents {
			if err := sub.Update(value()); err != nil {
				return fmt.Errorf("testset: %s: %w", sub.Item(), err)
			}
		}
		return nil
	})
	return nil
}
