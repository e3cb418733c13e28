package feed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
)

// PortfolioItem is the item of the one portfolio there is.
const PortfolioItem = "portfolio1"

// MaxQuantity is the largest number of shares of one order and of one position.
const MaxQuantity = 1_000_000

// Mistakes of whoever trades.
var (
	ErrQuantity = fmt.Errorf("the quantity must be a whole number from 1 to %d", MaxQuantity)
	ErrPosition = fmt.Errorf("a position cannot be larger than %d", MaxQuantity)
	ErrNotHeld  = errors.New("the portfolio does not hold it")
)

// Change is one difference between two states of a portfolio.
type Change struct {
	Key      string // the name of the stock's item
	Quantity int    // held now; 0: the position is gone
	New      bool   // there was no such position before
}

// Portfolio holds positions by the name of the stock's item. Its methods are safe for concurrent use.
type Portfolio struct {
	mu      sync.Mutex
	held    map[string]int // replaced, never changed: watchers keep the one they have seen
	changed bell
}

// NewPortfolio returns a portfolio that holds the given positions; it keeps no reference to the map.
func NewPortfolio(held map[string]int) *Portfolio {
	return &Portfolio{held: maps.Clone(held)}
}

// Buy adds shares. The error is [ErrQuantity] or [ErrPosition].
func (p *Portfolio) Buy(key string, quantity int) error {
	if quantity < 1 || quantity > MaxQuantity {
		return ErrQuantity
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[key]+quantity > MaxQuantity {
		return ErrPosition
	}
	p.set(key, p.held[key]+quantity)
	return nil
}

// Sell takes shares away; selling all or more than all of them ends the position. The error is [ErrQuantity] or
// [ErrNotHeld].
func (p *Portfolio) Sell(key string, quantity int) error {
	if quantity < 1 || quantity > MaxQuantity {
		return ErrQuantity
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[key] == 0 {
		return ErrNotHeld
	}
	p.set(key, max(0, p.held[key]-quantity))
	return nil
}

func (p *Portfolio) set(key string, quantity int) {
	held := maps.Clone(p.held)
	if held == nil {
		held = make(map[string]int)
	}
	if quantity == 0 {
		delete(held, key)
	} else {
		held[key] = quantity
	}
	p.held = held
	p.changed.ring()
}

// Watch returns the positions, sorted by key and each of them New, and the changes from then on, until ctx ends. A reader
// that is behind gets what is different from what it has seen, not every step on the way.
func (p *Portfolio) Watch(ctx context.Context) (positions []Change, changes iter.Seq[Change]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.held
	return diff(nil, seen), func(yield func(Change) bool) {
		for ctx.Err() == nil {
			p.mu.Lock()
			held, changed := p.held, p.changed.wait()
			p.mu.Unlock()
			for _, change := range diff(seen, held) {
				if !yield(change) {
					return
				}
			}
			seen = held
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	}
}

func diff(before, after map[string]int) []Change {
	var changes []Change
	for key, quantity := range after {
		if old, held := before[key]; !held || old != quantity {
			changes = append(changes, Change{Key: key, Quantity: quantity, New: !held})
		}
	}
	for key := range before {
		if _, held := after[key]; !held {
			changes = append(changes, Change{Key: key})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int {
		if len(a.Key) != len(b.Key) { // item2 before item10
			return len(a.Key) - len(b.Key)
		}
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return changes
}
