package item

import (
	"slices"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// distinct is an item as a list of events, of which the last ones are kept.
type distinct struct {
	base
	keep    int
	history []*Event  // oldest first, at most keep
	all     *Snapshot // of history as it is; nil: not made yet
	last    *Snapshot // of the last events of it; the one made last
}

func (d *distinct) update(u provider.Update) {
	e := d.it.fresh(u)
	if u.Snapshot && !d.complete {
		d.remember(e)
		return
	}
	d.finish()
	d.remember(e)
	d.live(e)
}

// finish ends the snapshot phase: whoever waits for the snapshot gets it.
func (d *distinct) finish() {
	if d.complete {
		return
	}
	d.complete = true
	for _, s := range d.subs {
		if s.waiting {
			s.waiting = false
			d.snapshot(s)
		}
	}
}

func (d *distinct) snapshot(s *subscriber) {
	if n := min(s.length, len(d.history)); n > 0 {
		s.recv.Snapshot(s.schema.cols, d.lasts(n))
	}
	d.send(s, eosEvent, true)
}

// lasts returns the snapshot of n events, the same for all who want as many until another event
// comes.
func (d *distinct) lasts(n int) *Snapshot {
	if d.all == nil {
		d.all = newSnapshot(slices.Clone(d.history))
	}
	if n == len(d.all.Events) {
		return d.all
	}
	if d.last == nil || len(d.last.Events) != n {
		d.last = newSnapshot(d.all.Events[len(d.all.Events)-n:])
	}
	return d.last
}

func (d *distinct) remember(e *Event) {
	if d.keep == 0 {
		return
	}
	d.all, d.last = nil, nil
	// The slice moves along its array, and append copies what is left when the end is reached: constant time on average.
	if len(d.history) >= d.keep {
		d.it.keeps(-d.history[0].Cost())
		d.history[0] = nil
		d.history = d.history[1:]
	}
	d.history = append(d.history, e)
	d.it.keeps(e.Cost())
}

func (d *distinct) endOfSnapshot() { d.finish() }

func (d *distinct) clear() {
	for _, e := range d.history {
		d.it.keeps(-e.Cost())
	}
	d.history, d.all, d.last = nil, nil, nil
	d.finish()
	d.live(csEvent)
}

// lost tells of missing events, unless a ClearSnapshot is about to. Who waits for the snapshot has
// missed none.
func (d *distinct) lost(cleared bool) {
	if cleared {
		return
	}
	for _, s := range d.subs {
		if !s.waiting {
			d.send(s, lostEvent, false)
		}
	}
}

func (d *distinct) attach(s *subscriber, o Options) {
	history := min(max(o.History, 0), d.it.src.cfg.MaxHistory)
	d.keep = max(d.keep, history)
	if !o.Snapshot {
		return
	}
	s.length = history
	if o.Length > 0 {
		s.length = min(history, o.Length)
	}
	if d.complete || s.length == 0 {
		d.snapshot(s)
		return
	}
	s.waiting = true
}
