package item

import "github.com/lightstreamer-go/lightstreamer/broker/internal/provider"

// merge is an item as a row. Its first event completes the snapshot, whether the source has called it one or not: what comes
// first is the state of the row.
type merge struct {
	base
	row []provider.Text
}

func (m *merge) update(u provider.Update) {
	row, mask := m.it.set(grown(m.row, len(m.it.index)), u.Fields)
	m.row = row
	snapshot := u.Snapshot && !m.complete
	m.complete = true
	m.deliver(&Event{Kind: Update, Row: row, Mask: mask, Size: rowSize(row)}, snapshot)
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
	m.row = nil
	m.deliver(m.state(), false)
}

func (m *merge) state() *Event {
	return &Event{Kind: Update, Row: m.row, Mask: allColumns, Size: rowSize(m.row)}
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
