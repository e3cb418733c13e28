package item

import (
	"sync"
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// Delta is what the adapter has declared for a field: that a change of its value may be sent as a difference. One Delta is shared by all
// receivers of the item and lasts as long as the item is subscribed. Its methods may be called from any goroutine.
type Delta struct {
	order []provider.DiffAlgorithm
	memos [memos]atomic.Pointer[memo]
	mu    sync.Mutex // for storing
	next  uint
}

// memos is how many differences are kept: receivers that lag behind by a few events, or have some of them merged, need others.
const memos = 4

// memo is a difference, or that there is none. It is found while others wait for it, and never
// changes then.
type memo struct {
	algorithm provider.DiffAlgorithm
	old, next string
	found     chan struct{} // closed
	text      string
	ok        bool
}

// Order is the algorithms the adapter allows, in its order of preference; at least one. It must not be changed.
func (d *Delta) Order() []provider.DiffAlgorithm { return d.order }

// Difference returns what find returns: the difference between two values by an algorithm, and whether there is one. Most receivers of
// an event have the same difference to send, so find, which must always return the same for the same values, is only asked if the last
// few were others. Who asks for one that is being found waits for it.
func (d *Delta) Difference(a provider.DiffAlgorithm, old, next string, find func(old, next string) (string, bool)) (text string, ok bool) {
	known := d.memo(a, old, next)
	if known == nil {
		m, own := d.newMemo(a, old, next)
		if own {
			defer close(m.found)
			m.text, m.ok = find(old, next)
			return m.text, m.ok
		}
		known = m
	}
	<-known.found
	return known.text, known.ok
}

// Known is Difference if that has been found already.
func (d *Delta) Known(a provider.DiffAlgorithm, old, next string) (text string, ok, known bool) {
	if m := d.memo(a, old, next); m != nil {
		select {
		case <-m.found:
			return m.text, m.ok, true
		default:
		}
	}
	return "", false, false
}

func (d *Delta) memo(a provider.DiffAlgorithm, old, next string) *memo {
	for i := range d.memos {
		// The values of one event are the same memory for all receivers, which makes them quick to compare.
		if m := d.memos[i].Load(); m != nil && m.algorithm == a && m.next == next && m.old == old {
			return m
		}
	}
	return nil
}

// newMemo takes the place of an old memo, unless another receiver has done so for the same
// difference.
func (d *Delta) newMemo(a provider.DiffAlgorithm, old, next string) (m *memo, own bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m = d.memo(a, old, next); m != nil {
		return m, false
	}
	m = &memo{algorithm: a, old: old, next: next, found: make(chan struct{})}
	d.memos[d.next%memos].Store(m)
	d.next++
	return m, true
}

// DeclareFieldDiffOrder takes what the adapter allows for fields. What comes first settles it for a field as long as the item is
// subscribed: a declaration, or an update with the field.
func (it *item) DeclareFieldDiffOrder(list []provider.FieldDiff) {
	if it.isLate() {
		return
	}
	it.src.stats.diffs.Add(1)
	it.mu.Lock()
	defer it.unlock()
	changed := false
	for _, f := range list {
		col := it.column(f.Field)
		switch {
		case col < 0:
			it.bad(&it.src.stats.tooManyFields, "too many different fields, some are dropped")
			continue
		case it.fields[col].delta != nil:
			it.src.stats.lateDiffs.Add(1) // said again, usually
			continue
		case it.fields[col].settled:
			it.bad(&it.src.stats.lateDiffs, "difference algorithms declared after the first update of the field are ignored")
			continue
		}
		it.fields[col].settled = true
		if order := known(f.Algorithms); len(order) > 0 {
			it.fields[col].delta = &Delta{order: order}
			changed = true
		}
	}
	it.adopt()
	if !changed {
		return
	}
	for _, s := range it.schemas {
		c := *s.cols.c // receivers may have the old ones still in use
		c.deltas = it.deltas(s.mode, c.index)
		s.cols = Columns{&c}
	}
}

// known returns the algorithms that exist, each once.
func known(list []provider.DiffAlgorithm) (order []provider.DiffAlgorithm) {
	for _, a := range list {
		seen := a != provider.JSONPatch && a != provider.DiffMatchPatch
		for _, b := range order {
			seen = seen || a == b
		}
		if !seen {
			order = append(order, a)
		}
	}
	return order
}

// deltas returns what is declared for the fields in some columns; nil if nothing. Key and command are never sent as differences.
func (it *item) deltas(m provider.Mode, index []int32) []*Delta {
	var list []*Delta
	for i, col := range index {
		if col < 0 || it.fields[col].delta == nil || m == provider.Command && (int(col) == it.index[KeyField] || int(col) == it.index[CommandField]) {
			continue
		}
		if list == nil {
			list = make([]*Delta, len(index))
		}
		list[i] = it.fields[col].delta
	}
	return list
}
