package feed

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"time"
)

// Market is a stock exchange whose prices walk randomly while [Market.Run] runs. Its methods are safe for concurrent use.
type Market struct {
	items  []string
	mu     sync.Mutex // guards what the stocks hold, and their bells
	stocks map[string]*stock
}

// NewMarket returns a market of the items item1 to item30. Equal seeds and times give equal prices.
func NewMarket(seed uint64, now time.Time) *Market {
	m := &Market{stocks: make(map[string]*stock, len(companies))}
	for i, company := range companies {
		item := fmt.Sprintf("item%d", i+1)
		m.items = append(m.items, item)
		m.stocks[item] = newStock(company, rand.New(rand.NewPCG(seed, uint64(i))), now)
	}
	return m
}

// Has says whether the market knows the item.
func (m *Market) Has(item string) bool { return m.stocks[item] != nil }

// Items returns the names of all items, item1 first. The caller may keep and change the result.
func (m *Market) Items() []string { return append([]string(nil), m.items...) }

// Run moves the prices until ctx ends.
func (m *Market) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(time.Until(m.step(time.Now())))
	}
}

// step moves every stock that is due and returns when the next one is.
func (m *Market) step(now time.Time) (next time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, item := range m.items {
		s := m.stocks[item]
		if !s.due.After(now) {
			s.step(now)
			s.changed.ring()
		}
		if next.IsZero() || s.due.Before(next) {
			next = s.due
		}
	}
	return next
}

// Watch returns the quotes of an item: the current one at once, then each new one until ctx ends. A reader slower than the
// stock gets the newest quote and misses those in between. For an item that the market does not have there is none.
func (m *Market) Watch(ctx context.Context, item string) iter.Seq[Quote] {
	return func(yield func(Quote) bool) {
		s := m.stocks[item]
		if s == nil {
			return
		}
		for ctx.Err() == nil {
			m.mu.Lock()
			quote, changed := s.quote, s.changed.wait()
			m.mu.Unlock()
			if !yield(quote) {
				return
			}
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	}
}
