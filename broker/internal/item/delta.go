package item

import (
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// Delta is what the adapter has declared for a field: that a change of its value may be sent as a difference. One Delta is shared by all
// receivers of the item and lasts as long as the item is subscribed. Its methods may be called from any goroutine.
type Delta struct {
	order []provider.DiffAlgorithm
	memos [memos]atomic.Pointer[memo]
	next  atomic.Uint32
}

// memos is how many differences are kept: receivers that lag behind by a few events, or have some of them merged, need others.
const memos = 4

// memo is a difference that was found, or that there is none. It never changes.
type memo struct {
	algorithm provider.DiffAlgorithm
	old, next string
	text      string
	ok        bool
}

// Order is the algorithms the adapter allows, in its order of preference; at least one. It must not be changed.
func (d *Delta) Order() []provider.DiffAlgorithm { return d.order }

// Difference returns what find returns: the difference between two values by an algorithm, and whether there is one. Most receivers of
// an event have the same difference to send, so find, which must always return the same for the same values, is only asked if the last
// few were others.
func (d *Delta) Difference(a provider.DiffAlgorithm, old, next string, find func(old, next string) (string, bool)) (text string, ok bool) {
	for i := range d.memos {
		// The values of one event are the same memory for all receivers, which makes them quick to compare.
		if m := d.memos[i].Load(); m != nil && m.algorithm == a && m.next == next && m.old == old {
			return m.text, m.ok
		}
	}
	m := &memo{algorithm: a, old: old, next: next}
	m.text, m.ok = find(old, next)
	d.memos[d.next.Add(1)%memos].Store(m)
	return m.text, m.ok
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
	if !changed {
		return
	}
	for _, e := range it.engines {
		if e == nil {
			continue
		}
		for _, s := range *e.list() {
			c := *s.cols.c // the receiver may have the old ones still in use
			c.deltas = it.deltas(s.mode, c.index)
			s.cols = Columns{&c}
		}
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
func (it *item) deltas(m provider.Mode, index []int) []*Delta {
	var list []*Delta
	for i, col := range index {
		if col < 0 || it.fields[col].delta == nil || m == provider.Command && (col == it.index[KeyField] || col == it.index[CommandField]) {
			continue
		}
		if list == nil {
			list = make([]*Delta, len(index))
		}
		list[i] = it.fields[col].delta
	}
	return list
}
