package testset

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

const (
	tableRows     = 5
	tableInterval = 100 * time.Millisecond
)

// multTable has the rows 1 to 5. Its steps come in fours, for one row after the other: changed, changed again, gone, back again.
func (s *Set) multTable(sub *adapter.Subscription) error {
	for row := 1; row <= tableRows; row++ {
		if err := sub.Add(product(row, 1)); err != nil {
			return err
		}
	}
	if err := sub.EndOfSnapshot(); err != nil {
		return err
	}
	n := 0
	every(&s.streams, sub, tableInterval, func() error {
		step, row := n%4, n/4%tableRows+1
		n++
		switch step {
		case 2:
			return sub.Delete(strconv.Itoa(row))
		case 3:
			return sub.Add(product(row, n))
		default:
			return sub.Modify(product(row, n))
		}
	})
	return nil
}

func product(row, factor int) (string, adapter.Fields) {
	return strconv.Itoa(row), adapter.Fields{"value1": factor, "value2": row * factor}
}

// twoLevelCommand has one row that stays. There are as many such items as one likes, so that each test can have its own.
func twoLevelCommand(_ context.Context, sub *adapter.Subscription) error {
	if !strings.HasPrefix(sub.Item(), TwoLevelPrefix) {
		return noSuchItem(sub)
	}
	if err := sub.Add(CountItem, nil); err != nil {
		return err
	}
	return sub.EndOfSnapshot()
}
