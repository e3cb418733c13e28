package client

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// An Update is one event of an item, with the values of all fields after it. It is valid during the callback.
type Update struct {
	Item     string // its name; empty if the subscription has a Group instead of Items
	Pos      int    // of the item in the group, from 1
	Snapshot bool   // it is part of the snapshot

	sub    *Subscribed
	values []tlcp.Value
	before []tlcp.Value // nil: every field counts as changed
}

// Len is the number of fields.
func (u *Update) Len() int { return len(u.values) }

// At returns the value of a field by its position, from 0; ok is false if it is null.
func (u *Update) At(i int) (value string, ok bool) { return u.values[i].S, !u.values[i].Null }

// ChangedAt tells whether the value of a field, by its position from 0, differs from that of the item's update before; in COMMAND mode, from
// that of the row before.
func (u *Update) ChangedAt(i int) bool { return u.before == nil || u.before[i] != u.values[i] }

// Value returns the value of a field; ok is false if it is null, or if the subscription has no field of that name.
func (u *Update) Value(field string) (value string, ok bool) {
	i, ok := u.sub.fields[field]
	if !ok || i >= len(u.values) {
		return "", false
	}
	return u.At(i)
}

// Changed is ChangedAt by the name of the field; false if the subscription has none of that name.
func (u *Update) Changed(field string) bool {
	i, ok := u.sub.fields[field]
	return ok && i < len(u.values) && u.ChangedAt(i)
}

// Fields returns the values of the fields that are not null, by name. It is empty if the subscription has a Schema instead of Fields.
func (u *Update) Fields() map[string]string {
	m := make(map[string]string, len(u.sub.fields))
	for name := range u.sub.fields {
		if v, ok := u.Value(name); ok {
			m[name] = v
		}
	}
	return m
}

// Key is the key of the row concerned, in COMMAND mode; else empty.
func (u *Update) Key() string { return u.special(u.sub.keyAt) }

// Command is what happens to the row, ADD, UPDATE or DELETE, in COMMAND mode; else empty.
func (u *Update) Command() string { return u.special(u.sub.command) }

func (u *Update) special(i int) string {
	if u.sub.spec.Mode != Command || i < 0 || i >= len(u.values) {
		return ""
	}
	return u.values[i].S
}

// updated applies a U line to the item and calls the callback.
func (s *Subscribed) updated(line tlcp.Line, item *itemState) error {
	var err error
	if s.elements, err = tlcp.AppendElements(s.elements[:0], line.Values, s.width); err != nil {
		return err
	}
	var before []tlcp.Value
	if item.row != nil {
		s.before = append(s.before[:0], item.row...)
		before = s.before
	}
	if item.row, err = tlcp.MergeWithin(item.row, s.elements, s.c.maxValue()); err != nil {
		if errors.Is(err, tlcp.ErrValueTooLong) {
			return fmt.Errorf("%w: %w (Config.MaxValue)", ErrLimit, err)
		}
		return err
	}
	if err := s.charge(sizeOf(item.row) - sizeOf(before)); err != nil {
		return err
	}
	u := &s.update
	*u = Update{Item: s.name(line.Item), Pos: line.Item, sub: s, values: item.row, before: before}
	switch s.spec.Mode {
	case Merge:
		u.Snapshot = s.spec.Snapshot && !item.live
		item.live = true
	case Distinct, Command:
		u.Snapshot = s.spec.Snapshot && !item.live
	}
	if s.spec.Mode == Command {
		if err := s.row(u, item); err != nil {
			return err
		}
	}
	s.c.updates.Add(1)
	if s.spec.OnUpdate != nil {
		s.spec.OnUpdate(u)
	}
	return nil
}

// row keeps the rows of an item in COMMAND mode, since changes are told by row.
func (s *Subscribed) row(u *Update, item *itemState) error {
	key := u.Key()
	if u.values[s.keyAt].Null {
		return errors.New("the key is null")
	}
	old, had := item.rows[key]
	u.before = old
	more := int64(0)
	if had {
		more -= int64(len(key)) + sizeOf(old)
	}
	switch u.Command() {
	case "DELETE":
		delete(item.rows, key)
		if len(item.rows) == 0 {
			more -= int64(item.places) * keyBytes
			item.rows, item.places = nil, 0
		}
	case "ADD", "UPDATE":
		more += int64(len(key)) + sizeOf(u.values)
		if item.rows == nil {
			item.rows = make(map[string][]tlcp.Value)
		}
		item.rows[key] = slices.Clone(u.values)
		if len(item.rows) > item.places {
			item.places++
			more += keyBytes
		}
	default:
		return fmt.Errorf("the command is %q", u.Command()[:min(len(u.Command()), shownLine)])
	}
	item.rowBytes += more
	return s.charge(more)
}

// sizeOf returns the memory that a row of values takes. Texts that it shares with another row are
// counted with both.
func sizeOf(row []tlcp.Value) int64 {
	n := int64(len(row)) * valueBytes
	for i := range row {
		n += int64(len(row[i].S))
	}
	return n
}
