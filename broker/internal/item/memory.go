package item

import "github.com/lightstreamer-go/lightstreamer/broker/internal/budget"

// Cost is about what an item costs besides its name and its events: its slot, its engines, what the
// adapter's side keeps of it.
const Cost = 1 << 10

// keptStep is by how much what an item keeps may differ from what the budget knows of it.
const keptStep = 4 << 10

// keeps notes that the engines keep n bytes more, or less. The item's lock is held.
func (it *item) keeps(n int) {
	it.held += int64(n)
	if d := it.held - it.charged; (d > keptStep || d < -keptStep) && !it.retired {
		it.charged = it.held
		it.src.cfg.Budget.Add(d)
	}
}

// retire ends the item's life: it takes no more events, and the budget gets back what it kept.
func (it *item) retire() {
	it.dead.Store(true)
	it.mu.Lock()
	defer it.mu.Unlock()
	if !it.retired {
		it.retired = true
		it.src.cfg.Budget.Add(-it.charged)
	}
}

// slotCost is what the name of an item costs while anything goes on about it.
func slotCost(name string) int64 { return int64(Cost + 2*len(name)) }

// crowded reports whether memory is short, so that nothing is to be kept in case somebody wants it
// again.
func crowded(b *budget.Budget) bool { return b.Over(pressure) }

// pressure is the share of the budget from which on memory counts as short.
const pressure = 0.75
