package item

import "github.com/lightstreamer-go/lightstreamer/broker/internal/provider"

// merge is an item as a row. Its first event completes the snapshot, whether the source has called it one or not: what comes
// first is the state of the row.
type merge struct {
	base
	now *Event // the last one; nil: the row is empty
}

func (m *merge) update(u provider.Update) {
	row, mask := m.it.set(grown(m.row(), len(m.it.index)), u.Fields)
	snapshot := u.Snapshot && !m.complete
	m.complete = true
	e := &Event{Kind: Update, Row: row, Mask: mask, Size: rowSize(row)}
	m.keep(e)
	m.deliver(e, snapshot)
}

func (m *merge) row() []provider.Text {
	if m.now == nil {
		return nil
	}
	return m.now.Row
}

// keep makes an event the item's state.
func (m *merge) keep(e *Event) {
	if m.now != nil {
		m.it.keeps(-m.now.Cost())
	}
	if m.now = e; e != nil {
		m.it.keeps(e.Cost())
	}
}

// deliver gives the event to all; those who asked for no snapshot do not get it if it is one.
func (m *merge) deliver(e *Event, snapshot bool) {
	for _, s := range m.subs {
		switch {
		case s.waiting:
			s.waiting = false
			m.send(s, e, true)
		case !snapshot:
			m.send(s, e, false)
		}
	}
}

// endOfSnapshot without a snapshot declares an empty state.
func (m *merge) endOfSnapshot() {
	if m.complete {
		return
	}
	m.complete = true
	m.deliver(m.state(), true)
}

func (m *merge) clear() {
	m.complete = true
	m.keep(nil)
	m.deliver(m.state(), false)
}

// state is the last event, or one that says that the row is empty. As a snapshot it concerns every
// column, whatever its mask says.
func (m *merge) state() *Event {
	if m.now != nil {
		return m.now
	}
	return &Event{Kind: Update, Mask: allColumns}
}

func (m *merge) attach(s *subscriber, o Options) {
	switch {
	case !o.Snapshot:
	case m.complete:
		m.send(s, m.state(), true)
	default:
		s.waiting = true
	}
}
