package proxy

import (
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// event implements side: a notification goes to the item whose current subscription it names.
func (d *Data) event(c *conn, l ari.Line) {
	var (
		item, id string
		err      error
		call     func(r route)
	)
	switch l.Method {
	case ari.UD3:
		var u ari.Update
		if u, err = ari.ParseUpdate(l.Body, c.version); err == nil {
			item, id = u.Item, u.SubID
			call = func(r route) { d.update(r, u) }
		}
	case ari.EOS:
		item, id, err = ari.ParseItemEvent(l.Body, c.version)
		call = d.endOfSnapshot
	case ari.CLS:
		item, id, err = ari.ParseItemEvent(l.Body, c.version)
		call = func(r route) { r.deliver(provider.Sink.ClearSnapshot) }
	case ari.DFD:
		var order []ari.FieldDiff
		item, id, order, err = ari.ParseDiffOrder(l.Body, c.version)
		call = func(r route) { r.deliver(func(s provider.Sink) { s.DeclareFieldDiffOrder(fieldDiffs(order)) }) }
	}
	if err != nil {
		c.noise("malformed notification ignored", err)
		return
	}
	d.mu.Lock()
	r, ok := d.routes[id]
	d.mu.Unlock()
	if !ok {
		d.stats.ignored.Add(1)
		return
	}
	if item != r.item {
		c.noise("notification with the id of one item and the name of another; the id counts", nil, "item", bounded(item), "item_of_id", bounded(r.item))
	}
	d.stats.notifications.Add(1)
	call(r)
}

// update delivers an update. The snapshot of an item that was in use before this remote came is dropped or becomes live, by
// the kind of recovery.
func (d *Data) update(r route, u ari.Update) {
	r.deliver(func(s provider.Sink) {
		snapshot := u.Snapshot
		if snapshot && r.recovered {
			switch d.recovery {
			case LeaveHole:
				if r.told {
					return
				}
			case EnforceSnapshot:
				snapshot = false
			case UseSnapshot:
			}
		}
		fields := make([]provider.Field, len(u.Fields))
		for i, f := range u.Fields {
			fields[i] = provider.Field{Name: f.Name, Value: provider.Text(f.Value)}
		}
		s.Update(provider.Update{Snapshot: snapshot, Fields: fields})
	})
}

func (d *Data) endOfSnapshot(r route) {
	r.deliver(func(s provider.Sink) {
		if r.recovered && r.told && d.recovery != UseSnapshot {
			return
		}
		r.told = true
		s.EndOfSnapshot()
	})
}

// fieldDiffs leaves out the fields for which nothing is declared.
func fieldDiffs(order []ari.FieldDiff) []provider.FieldDiff {
	list := make([]provider.FieldDiff, 0, len(order))
	for _, f := range order {
		if f.None {
			continue
		}
		diff := provider.FieldDiff{Field: f.Field}
		for _, a := range f.Algorithms {
			diff.Algorithms = append(diff.Algorithms, provider.DiffAlgorithm(a))
		}
		list = append(list, diff)
	}
	return list
}
