package item

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// item is one item from its subscription with the adapter to the unsubscription. It is the adapter's sink.
type item struct {
	src   *Source
	name  string
	owner string      // who wanted it first
	dead  atomic.Bool // no longer wanted: events are dropped

	mu      sync.Mutex
	index   map[string]int // field name → column
	fields  []field        // by column
	added   []string       // columns made since the last adopt
	schemas []*schema      // in use
	held    int64          // what the engines keep, about, in bytes
	charged int64          // as much of it as the source's budget knows
	retired bool           // the budget has it back
	// engines holds one engine for each mode in use. While there are only RAW subscribers it holds every engine the item may
	// need, so that the first one of another mode finds its snapshot; then the others are dropped.
	engines [provider.Command + 1]engine
	decided provider.Mode // the one of MERGE, DISTINCT and COMMAND in use; 0 if none yet
	one     [1]*Event     // for delivering a single event
	notes   []note        // to be logged once the lock is released
}

// field is what is known of a field besides its values.
type field struct {
	settled bool   // delta is final
	delta   *Delta // nil: the field is always sent whole
}

// note is a fault of the adapter worth a line in the log.
type note struct {
	msg   string
	times int64
}

// engine is the state of an item in one mode. Its methods are called with the item's lock held.
type engine interface {
	update(u provider.Update)
	endOfSnapshot()
	clear()
	lost(cleared bool)
	attach(s *subscriber, o Options)
	list() *subscribers
}

// subscriber is one receiver attached to an engine.
type subscriber struct {
	it      *item
	mode    provider.Mode
	recv    Receiver
	schema  *schema
	at      int  // position in the engine's list, -1 if not in it
	waiting bool // for a snapshot that the source has not completed
	length  int  // DISTINCT: snapshot events wanted
}

func newItem(s *Source, name, owner string) *item {
	return &item{src: s, name: name, owner: owner, index: make(map[string]int)}
}

// compatible says whether the item can be used in mode m beside the mode it is in.
func (it *item) compatible(m provider.Mode) bool {
	it.mu.Lock()
	defer it.mu.Unlock()
	return m == provider.Raw || it.decided == 0 || it.decided == m
}

func (it *item) attach(s *subscriber, o Options) error {
	it.mu.Lock()
	defer it.mu.Unlock()
	if o.Mode < provider.Raw || o.Mode > provider.Command {
		return ErrMode
	}
	if it.engines[provider.Raw] == nil {
		it.engines[provider.Raw] = &raw{base: base{it: it}}
	}
	switch {
	case o.Mode == provider.Raw:
		if it.decided == 0 {
			for _, m := range []provider.Mode{provider.Merge, provider.Distinct, provider.Command} {
				if o.Allowed.Has(m) {
					it.start(m)
				}
			}
		}
	case it.decided == 0:
		it.start(o.Mode)
		it.decided = o.Mode
		for _, m := range []provider.Mode{provider.Merge, provider.Distinct, provider.Command} {
			if m != o.Mode {
				it.engines[m] = nil
			}
		}
	case it.decided != o.Mode:
		return ErrMode
	}
	s.schema = it.share(o.Mode, o.Schema)
	e := it.engines[o.Mode]
	e.list().add(s)
	e.attach(s, o)
	return nil
}

func (it *item) start(m provider.Mode) {
	if it.engines[m] != nil {
		return
	}
	b := base{it: it}
	switch m {
	case provider.Merge:
		it.engines[m] = &merge{base: b}
	case provider.Distinct:
		it.engines[m] = &distinct{base: b}
	case provider.Command:
		it.engines[m] = newCommand(b)
	}
}

func (it *item) detach(s *subscriber) {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.engines[s.mode].list().remove(s)
	it.unshare(s.schema)
}

// Update takes an event from the adapter. It implements provider.Sink, as the two methods that follow and DeclareFieldDiffOrder.
func (it *item) Update(u provider.Update) {
	if it.isLate() {
		return
	}
	it.src.stats.events.Add(1)
	it.mu.Lock()
	defer it.unlock()
	for _, e := range it.engines {
		if e != nil {
			e.update(u)
		}
	}
}

// EndOfSnapshot says that no snapshot events follow.
func (it *item) EndOfSnapshot() {
	if it.isLate() {
		return
	}
	it.mu.Lock()
	defer it.unlock()
	for _, e := range it.engines {
		if e != nil {
			e.endOfSnapshot()
		}
	}
}

// ClearSnapshot empties the item.
func (it *item) ClearSnapshot() {
	if it.isLate() {
		return
	}
	it.mu.Lock()
	defer it.unlock()
	for _, e := range it.engines {
		if e != nil {
			e.clear()
		}
	}
}

// Lost implements provider.Sink: receivers whose mode has no state that sets things right are told.
func (it *item) Lost(cleared bool) {
	if it.isLate() {
		return
	}
	it.mu.Lock()
	defer it.unlock()
	for _, e := range it.engines {
		if e != nil {
			e.lost(cleared)
		}
	}
}

func (it *item) isLate() bool {
	if it.dead.Load() {
		it.src.stats.late.Add(1)
		return true
	}
	return false
}

// bad counts a fault of the adapter and has it logged, ever more seldom if it goes on.
func (it *item) bad(c *atomic.Int64, msg string) {
	if n := c.Add(1); n&(n-1) == 0 {
		it.notes = append(it.notes, note{msg, n})
	}
}

// unlock releases the lock and logs what was noted under it.
func (it *item) unlock() {
	notes := it.notes
	it.notes = nil
	it.mu.Unlock()
	for _, n := range notes {
		it.src.log.Warn("item: "+n.msg, "item", it.name, "times", n.times)
	}
}

// column returns the column of a field that the adapter has named, or that the mode requires; -1 if
// the item has too many. What only clients name never gets one: see share.
func (it *item) column(name string) int {
	if col, ok := it.index[name]; ok {
		return col
	}
	col := len(it.index)
	if col >= it.src.cfg.MaxFields && name != KeyField && name != CommandField {
		return -1
	}
	name = strings.Clone(name) // not the whole line of the adapter that it stands in
	it.index[name] = col
	it.fields = append(it.fields, field{})
	it.added = append(it.added, name)
	return col
}

// set writes the fields of an update into row, which must be private, and returns it with the mask of what it touched.
func (it *item) set(row []provider.Text, fields []provider.Field) ([]provider.Text, uint64) {
	var mask uint64
	for i := range fields {
		col := it.column(fields[i].Name)
		if col < 0 {
			it.bad(&it.src.stats.tooManyFields, "too many different fields, some are dropped")
			continue
		}
		for col >= len(row) {
			row = append(row, provider.Null)
		}
		row[col] = fields[i].Value
		mask |= bit(col)
		it.fields[col].settled = true
	}
	it.adopt()
	return row, mask
}

// fresh makes the event of an update that does not depend on earlier ones.
func (it *item) fresh(u provider.Update) *Event {
	row, mask := it.set(nullRow(len(it.index)), u.Fields)
	return &Event{Kind: Update, Row: row, Mask: mask, Size: rowSize(row)}
}

// base is what all engines share.
type base struct {
	it   *item
	subs subscribers
	// complete says that the snapshot phase of the source is over.
	complete bool
}

func (b *base) list() *subscribers { return &b.subs }

// lost is for the modes in which the next updates set things right.
func (b *base) lost(bool) {}

// send gives one event to one subscriber.
func (b *base) send(s *subscriber, e *Event, snapshot bool) {
	one := &b.it.one
	one[0] = e
	s.recv.Receive(s.schema.cols, one[:], snapshot)
	one[0] = nil
}

// live gives an event to every subscriber.
func (b *base) live(e *Event) {
	for _, s := range b.subs {
		b.send(s, e, false)
	}
}

// subscribers is the list of an engine; a subscriber knows its place in it.
type subscribers []*subscriber

func (l *subscribers) add(s *subscriber) {
	s.at = len(*l)
	*l = append(*l, s)
}

func (l *subscribers) remove(s *subscriber) {
	last := len(*l) - 1
	if s.at < 0 {
		return
	}
	(*l)[s.at] = (*l)[last]
	(*l)[s.at].at = s.at
	(*l)[last] = nil
	*l = (*l)[:last]
	s.at = -1
}

var (
	eosEvent  = &Event{Kind: EndOfSnapshot}
	csEvent   = &Event{Kind: ClearSnapshot, Mask: allColumns}
	lostEvent = &Event{Kind: Lost, Mask: allColumns}
)
