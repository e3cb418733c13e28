package item

import (
	"slices"
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// Kind tells what an Event is.
type Kind uint8

// The kinds of event a receiver gets. In MERGE mode there are only updates, in RAW mode updates and
// Lost.
const (
	Update        Kind = iota + 1
	EndOfSnapshot      // EOS: the snapshot of the item is complete
	ClearSnapshot      // CS: the list or table of the item is now empty
	Lost               // OV: updates may be missing in this place (RAW and DISTINCT)
)

// Op is the command of an event in COMMAND mode, as it follows from the keys the item had: an ADD always introduces a key, an
// UPDATE and a DELETE always are about a key that was there.
type Op uint8

// The commands. The zero Op is that of the other modes.
const (
	Add Op = iota + 1
	Modify
	Delete
)

// String returns the value of the command field: ADD, UPDATE, DELETE.
func (o Op) String() string {
	switch o {
	case Add:
		return "ADD"
	case Modify:
		return "UPDATE"
	case Delete:
		return "DELETE"
	}
	return ""
}

// The fields that COMMAND mode requires.
const (
	KeyField     = "key"
	CommandField = "command"
)

// Event is one event of an item in one mode. It is shared by all receivers and never changes.
type Event struct {
	Kind Kind
	Op   Op // COMMAND only; see [Snapshot] for that of its rows
	pins atomic.Int32
	Key  string // COMMAND only
	// Row holds the state after an update, complete, by column; a column beyond its length is null. In MERGE mode it is the
	// row, in COMMAND mode the row of the key, in DISTINCT and RAW the fields the source gave. See [Columns].
	Row []provider.Text
	// Mask says which columns the source's event was about. See [Columns.Touched].
	Mask uint64
	// Size is about how many bytes of text the row holds, for queues bounded in bytes.
	Size int
}

const maskBits = 64

// allColumns is the mask of an event that concerns every column.
const allColumns = ^uint64(0)

// bit returns the mask bit of a column. All columns from the 64th on share the last bit, so the test may say "touched" once too
// often, never too seldom.
func bit(col int) uint64 {
	if col >= maskBits {
		col = maskBits - 1
	}
	return 1 << col
}

// Columns says where the fields of a schema are in the rows of one item, in the order of the schema, and what is declared for them. It
// is small and never changes; the zero value is for no item and has no methods to be called.
type Columns struct{ c *columns }

type columns struct {
	index   []int32 // by field of the schema; negative: the item has no such column
	missing []int32 // the fields without a column, sorted by name
	mask    uint64
	deltas  []*Delta // nil, or as long as index
}

// Len is the number of fields of the schema.
func (c Columns) Len() int { return len(c.c.index) }

// Touched says whether the source's event was about any field of the schema. It may say so wrongly of an item with more
// than 64 fields.
func (c Columns) Touched(e *Event) bool { return e.Mask&c.c.mask != 0 }

// Deltas says whether there is a Delta for any field.
func (c Columns) Deltas() bool { return c.c.deltas != nil }

// Delta returns what is declared for field i (from 0) of the schema; nil if its values are always to be sent whole. It must not be
// called unless Deltas says so.
func (c Columns) Delta(i int) *Delta { return c.c.deltas[i] }

// Value returns the value of field i (from 0) of the schema after e.
func (c Columns) Value(e *Event, i int) provider.Text {
	if col := int(c.c.index[i]); col >= 0 && col < len(e.Row) {
		return e.Row[col]
	}
	return provider.Null
}

// AppendValues appends the values of all fields of the schema after e.
func AppendValues[T ~struct {
	S    string
	Null bool
}](dst []T, c Columns, e *Event) []T {
	index, row := c.c.index, e.Row
	base := len(dst)
	dst = slices.Grow(dst, len(index))[:base+len(index)]
	for i, out := 0, dst[base:]; i < len(index) && i < len(out); i++ {
		if col := int(index[i]); uint(col) < uint(len(row)) {
			out[i] = T(row[col])
		} else {
			out[i] = T{Null: true}
		}
	}
	return dst
}

// What events cost besides their text.
const (
	eventCost = 64
	cellCost  = 24
)

// Cost is about how many bytes of memory the event takes.
func (e *Event) Cost() int { return eventCost + cellCost*len(e.Row) + e.Size }

// Pin says that somebody keeps the event when the item may have done with it. Its bytes count for b
// as long as anybody does, once. Every Pin needs an Unpin with the same budget.
func (e *Event) Pin(b *budget.Budget) { pin(&e.pins, b, e.Cost()) }

// Unpin takes back one Pin.
func (e *Event) Unpin(b *budget.Budget) { unpin(&e.pins, b, e.Cost()) }

func pin(n *atomic.Int32, b *budget.Budget, cost int) {
	if n.Add(1) == 1 {
		b.Add(int64(cost))
	}
}

func unpin(n *atomic.Int32, b *budget.Budget, cost int) {
	if n.Add(-1) == 0 {
		b.Add(-int64(cost))
	}
}

// Snapshot is the events of which the snapshot of a DISTINCT or COMMAND item consists, oldest
// first. It is shared by all receivers and never changes. In COMMAND mode they are the last ones of
// each key, to be read as ADD whatever their Op and their command column say.
type Snapshot struct {
	Events []*Event
	Size   int // of all events
	cost   int
	pins   atomic.Int32
}

func newSnapshot(events []*Event) *Snapshot {
	s := &Snapshot{Events: events, cost: eventCost}
	for _, e := range events {
		s.Size += e.Size
		s.cost += 8 + e.Cost()
	}
	return s
}

// Pin and Unpin are as those of [Event].
func (s *Snapshot) Pin(b *budget.Budget) { pin(&s.pins, b, s.cost) }

// Unpin takes back one Pin.
func (s *Snapshot) Unpin(b *budget.Budget) { unpin(&s.pins, b, s.cost) }

func rowSize(row []provider.Text) int {
	n := 0
	for i := range row {
		n += len(row[i].S)
	}
	return n
}

func nullRow(n int) []provider.Text {
	row := make([]provider.Text, n)
	for i := range row {
		row[i].Null = true
	}
	return row
}

// grown returns a copy of row with n columns, the new ones null.
func grown(row []provider.Text, n int) []provider.Text {
	out := make([]provider.Text, max(n, len(row)))
	for i := copy(out, row); i < len(out); i++ {
		out[i].Null = true
	}
	return out
}
