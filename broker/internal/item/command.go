package item

import (
	"strings"
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// command is an item as a table of rows by key, kept in the order in which the keys came.
type command struct {
	base
	key, cmd    int // columns
	rows        map[string]*row
	first, last *row
	snap        *Snapshot // of the table as it is; nil: not made yet
}

// row is one key of the table, with its last event.
type row struct {
	key        string
	now        *Event
	prev, next *row
}

// rowCost is about what a row costs besides its key and its event.
const rowCost = 128

func (r *row) cost() int { return rowCost + len(r.key) + r.now.Cost() }

func newCommand(b base) *command {
	return &command{base: b, key: b.it.column(KeyField), cmd: b.it.column(CommandField), rows: make(map[string]*row)}
}

func (c *command) update(u provider.Update) {
	key, op, ok := c.read(u)
	if !ok {
		return
	}
	snapshot := u.Snapshot && !c.complete
	if !snapshot {
		c.finish()
	}
	e := c.apply(key, op, u.Fields)
	if e != nil && !snapshot {
		c.live(e)
	}
}

// read finds the key and the command of an event. A missing command is read as "this is the row now".
func (c *command) read(u provider.Update) (key string, op Op, ok bool) {
	key, op = "", Modify
	for i := range u.Fields {
		f := &u.Fields[i]
		switch f.Name {
		case KeyField:
			key, ok = f.Value.S, !f.Value.Null
		case CommandField:
			switch {
			case f.Value.Null:
			case f.Value.S == "ADD":
				op = Add
			case f.Value.S == "UPDATE":
				op = Modify
			case f.Value.S == "DELETE":
				op = Delete
			default:
				op = 0
			}
		}
	}
	if !ok {
		c.complain(&c.it.src.stats.keyless, "COMMAND event without a key is dropped")
		return "", 0, false
	}
	if op == 0 {
		c.complain(&c.it.src.stats.badCommand, "COMMAND event is dropped: its command is none of ADD, UPDATE, DELETE")
		return "", 0, false
	}
	return key, op, true
}

// complain counts a fault of the source, unless it is not yet known that the item is used in COMMAND mode at all.
func (c *command) complain(n *atomic.Int64, msg string) {
	if c.it.decided == provider.Command {
		c.it.bad(n, msg)
	}
}

// apply changes the table and returns the event as it follows from the keys that were there; nil if nothing follows.
func (c *command) apply(key string, op Op, fields []provider.Field) *Event {
	r := c.rows[key]
	if op != Delete || r != nil {
		c.snap = nil
	}
	if op == Delete {
		if r == nil {
			c.it.src.stats.unknownKey.Add(1)
			return nil
		}
		c.it.keeps(-r.cost())
		c.unlink(r)
		delete(c.rows, key)
		values := nullRow(max(c.key, c.cmd) + 1)
		c.mark(values, key, Delete)
		return &Event{Kind: Update, Op: Delete, Key: key, Row: values, Mask: allColumns, Size: len(key)}
	}
	op = Modify
	var before []provider.Text
	if r == nil {
		op = Add
		r = &row{key: strings.Clone(key)} // not the whole line of the adapter
		c.rows[r.key] = r
		c.link(r)
	} else {
		before = r.now.Row
		c.it.keeps(-r.cost())
	}
	values, mask := c.it.set(grown(before, len(c.it.index)), fields)
	c.mark(values, r.key, op)
	for _, col := range [2]int{c.key, c.cmd} {
		if col < maskBits-1 { // not the shared bit
			mask &^= bit(col)
		}
	}
	if op == Add {
		mask = allColumns
	}
	r.now = &Event{Kind: Update, Op: op, Key: r.key, Row: values, Mask: mask, Size: rowSize(values)}
	c.it.keeps(r.cost())
	return r.now
}

func (c *command) mark(values []provider.Text, key string, op Op) {
	values[c.key] = provider.T(key)
	values[c.cmd] = provider.T(op.String())
}

func (c *command) link(r *row) {
	r.prev = c.last
	if c.last != nil {
		c.last.next = r
	} else {
		c.first = r
	}
	c.last = r
}

func (c *command) unlink(r *row) {
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		c.first = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	} else {
		c.last = r.prev
	}
}

// finish ends the snapshot phase: whoever waits for the snapshot gets it.
func (c *command) finish() {
	if c.complete {
		return
	}
	c.complete = true
	for _, s := range c.subs {
		if s.waiting {
			s.waiting = false
			c.snapshot(s)
		}
	}
}

// snapshot gives the table to a subscriber: the same to all until it changes.
func (c *command) snapshot(s *subscriber) {
	if c.snap == nil && len(c.rows) > 0 {
		events := make([]*Event, 0, len(c.rows))
		for r := c.first; r != nil; r = r.next {
			events = append(events, r.now)
		}
		c.snap = newSnapshot(events)
	}
	if c.snap != nil {
		s.recv.Snapshot(s.schema.cols, c.snap)
	}
	c.send(s, eosEvent, true)
}

func (c *command) endOfSnapshot() { c.finish() }

func (c *command) clear() {
	for r := c.first; r != nil; r = r.next {
		c.it.keeps(-r.cost())
	}
	c.rows = make(map[string]*row)
	c.first, c.last, c.snap = nil, nil, nil
	c.finish()
	c.live(csEvent)
}

func (c *command) attach(s *subscriber, o Options) {
	switch {
	case !o.Snapshot:
	case c.complete:
		c.snapshot(s)
	default:
		s.waiting = true
	}
}
