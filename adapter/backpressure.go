package adapter

import (
	"bytes"
	"errors"
	"slices"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// FullPolicy says what becomes of live updates while the bytes waiting to be written exceed MaxPending.
type FullPolicy uint8

const (
	// Wait makes the sending methods wait for room.
	Wait FullPolicy = iota
	// Conflate merges the updates of an item that wait: the newest value of each field is sent when there is room. It is right for items in MERGE
	// mode. Events of the COMMAND verbs and of the snapshot are never merged: they wait. So does everything once the merged events of all items
	// exceed MaxPending again.
	Conflate
)

// full tells whether updates have to wait. mu is held.
func (w *writer) full() bool { return len(w.pending) >= w.max && !w.closed }

// event appends an update, having waited for room if there is none. The state of the subscription is looked at under the lock that orders
// the lines, so that nothing can follow the one that ends it.
func (w *writer) event(s *Subscription, kind eventKind, body []byte) error {
	canHold := w.conflate && kind == live && mergeable(body)
	w.mu.Lock()
	stalled, err := w.admit(s, kind, canHold)
	if err == nil {
		if canHold && (s.holding || w.full()) {
			w.hold(s, body)
		} else {
			w.update(s, s.enter(kind), body)
		}
	}
	w.unlockAndSend()
	w.goneOn(stalled)
	return err
}

// open tells whether an event of s can be appended at once. mu is held.
func (w *writer) open(s *Subscription, kind eventKind) bool {
	return !s.ended && !w.full() && !s.holding && (kind != snapshot || s.phase != snapshotOver)
}

// notice appends another notification, having waited for room if there is none.
func (w *writer) notice(s *Subscription, n notice) error {
	w.mu.Lock()
	stalled, err := false, s.admit(live)
	if n.forced {
		w.releaseOne(s)
	} else {
		stalled, err = w.admit(s, live, false)
	}
	if err == nil {
		w.appendNotice(s, n)
	}
	w.unlockAndSend()
	w.goneOn(stalled)
	return err
}

func (w *writer) appendNotice(s *Subscription, n notice) {
	switch n.method {
	case ari.EOS:
		if s.phase != snapshotOver {
			s.phase = snapshotOver
			w.finish(ari.AppendEndOfSnapshot(w.pending, w.now(), s.head))
		}
	case ari.CLS:
		s.phase = snapshotOver
		w.finish(ari.AppendClearSnapshot(w.pending, w.now(), s.head))
	case ari.DFD:
		w.finish(ari.AppendDiffOrder(w.pending, w.now(), s.head, wire, n.order))
	}
}

func (w *writer) update(s *Subscription, isSnapshot bool, body []byte) {
	w.finish(append(w.updateHead(s, isSnapshot), body...))
	w.updates++
}

// updateHead returns pending with an update begun, up to its fields. mu is held.
func (w *writer) updateHead(s *Subscription, isSnapshot bool) []byte {
	w.now()
	return ari.AppendUpdateItem(append(w.pending, w.clock.stamp...), s.head, isSnapshot)
}

// now is the time for a line that joins what is pending. mu is held.
func (w *writer) now() int64 {
	w.clock.look(len(w.pending) == 0)
	return w.clock.millis
}

// admit waits until an event of s can be appended (or held, if canHold), or s has ended. mu is held before and after, but not throughout.
// It reports whether it has had to wait.
func (w *writer) admit(s *Subscription, kind eventKind, canHold bool) (stalled bool, err error) {
	for {
		if err := s.admit(kind); err != nil {
			w.stats.dropped.Add(1)
			return stalled, err
		}
		if !w.mustWait(s, canHold) {
			return stalled, nil
		}
		if stalled {
			w.waitRoom()
			continue
		}
		stalled = true
		w.stats.waits.Add(1)
		if w.events.Waiting != nil {
			w.mu.Unlock()
			w.events.Waiting(WaitInfo{Item: s.item, Began: true})
			w.mu.Lock()
		}
	}
}

func (w *writer) mustWait(s *Subscription, canHold bool) bool {
	if canHold {
		return (s.holding || w.full()) && w.heldBytes >= w.max
	}
	return s.holding || w.full() // what s has held back must leave first
}

func (w *writer) goneOn(stalled bool) {
	if stalled && w.events.Waiting != nil {
		w.events.Waiting(WaitInfo{Began: false})
	}
}

// ended takes what is held of a subscription that has ended: nobody wants it if that is all that
// has, it leaves with what is pending if the server is stopped, and is lost with the connection.
func (w *writer) ended(s *Subscription) {
	if fields, ok := w.takeHeld(s); ok { // its place in heldOrder is passed over
		switch {
		case w.over == nil:
		case errors.Is(w.over, ErrStopped):
			w.update(s, false, fields)
		default:
			w.unsent++
		}
	}
	w.room.Broadcast()
}

// ------------------------------------------------------------------------------------------------------------- conflation

// mergeable tells whether an event can be merged with others by field: not those with a key, which are about rows.
func mergeable(body []byte) bool {
	return !bytes.Contains(body, []byte("|S|command|S|"))
}

// hold merges an event into what is held of the item. mu is held.
func (w *writer) hold(s *Subscription, body []byte) {
	if s.holding {
		w.stats.conflated.Add(1)
	} else {
		s.holding = true
		w.heldOrder = append(w.heldOrder, s)
	}
	older := w.held[s]
	merged := mergeFields(older, body)
	w.held[s] = merged
	w.heldBytes += len(merged) - len(older)
	s.phase = snapshotOver
}

// takeHeld returns what is held of s, which then holds nothing any more; nil, false if it held nothing. mu is held.
func (w *writer) takeHeld(s *Subscription) ([]byte, bool) {
	if !s.holding {
		return nil, false
	}
	fields := w.held[s]
	delete(w.held, s)
	w.heldBytes -= len(fields)
	s.holding = false
	return fields, true
}

// release appends held events, the eldest first, until pending is full again. mu is held.
func (w *writer) release() {
	done := 0
	for _, s := range w.heldOrder {
		if w.full() {
			break
		}
		done++
		w.releaseOne(s)
	}
	if done > 0 {
		w.heldOrder = slices.Delete(w.heldOrder, 0, done)
	}
}

func (w *writer) releaseOne(s *Subscription) {
	if fields, ok := w.takeHeld(s); ok {
		w.update(s, false, fields)
	}
}

// mergeFields returns the fields of older that newer does not have, followed by those of newer. Both are encoded: "|S|name|S|value" each, in which
// bars occur only between tokens. The result may use older's memory.
func mergeFields(older, newer []byte) []byte {
	kept := older[:0]
	for rest := older; len(rest) > 0; {
		field := rest[:fieldLen(rest)]
		rest = rest[len(field):]
		if fieldValue(newer, fieldName(field)) == nil {
			kept = append(kept, field...)
		}
	}
	return append(kept, newer...)
}

// fieldLen returns the length of the first field of encoded fields.
func fieldLen(fields []byte) int {
	n := 0
	for range 4 {
		end := bytes.IndexByte(fields[n+1:], '|')
		if end < 0 {
			return len(fields)
		}
		n += 1 + end
	}
	return n
}

// fieldName returns the encoded name of the first field, with the bars around it.
func fieldName(field []byte) []byte {
	end := bytes.IndexByte(field[3:], '|')
	return field[2 : 3+end+1]
}

// fieldValue returns the encoded value of a field, given its encoded name with the bars around it; nil if there is no such field.
func fieldValue[S string | []byte](fields []byte, name S) []byte {
	for len(fields) > 0 {
		field := fields[:fieldLen(fields)]
		if rest, ok := bytes.CutPrefix(field[2:], []byte(name)); ok {
			return rest[len("S|"):]
		}
		fields = fields[len(field):]
	}
	return nil
}

// withoutField returns encoded fields without one of them, in new memory.
func withoutField(fields []byte, name string) []byte {
	var kept []byte
	for len(fields) > 0 {
		field := fields[:fieldLen(fields)]
		if !bytes.HasPrefix(field[2:], []byte(name)) {
			kept = append(kept, field...)
		}
		fields = fields[len(field):]
	}
	return kept
}
