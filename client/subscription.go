package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Mode is a subscription mode.
type Mode uint8

// The modes.
const (
	Raw Mode = iota + 1
	Merge
	Distinct
	Command
)

// String returns the mode's name in Lightstreamer's words, "MERGE" for instance.
func (m Mode) String() string { return tlcp.Mode(m).String() }

// A Subscription says what is wanted of which items. Its callbacks run on the client's goroutine, one at a time, and must not wait for the
// server; any of them can be nil.
type Subscription struct {
	_ struct{}

	Mode Mode
	// Items are the names of the items; or Group is what the Metadata Adapter makes items of.
	// Likewise Fields and Schema, which may be of 50,000 fields.
	Items  []string
	Group  string
	Fields []string
	Schema string
	// DataAdapter is the name of the Data Adapter. Default "DEFAULT".
	DataAdapter string
	// Selector is for the Metadata Adapter; empty: none.
	Selector string
	// Snapshot asks for the state of the items first; not in RAW mode. SnapshotLength limits it in DISTINCT mode; 0: no limit.
	Snapshot       bool
	SnapshotLength int
	// MaxFrequency limits the updates of each item, per second; 0: no limit. Unfiltered asks that none be merged or dropped without
	// OnLost telling of it.
	MaxFrequency float64
	Unfiltered   bool
	// BufferSize is how many updates may wait in the server for each item; 0: the default of the mode; negative: no limit.
	BufferSize int

	// OnUpdate gets each update, which is valid during the call.
	OnUpdate func(*Update)
	// OnEndOfSnapshot tells that the snapshot of an item is complete, in DISTINCT and COMMAND mode. item is empty with Group; pos counts
	// from 1. Wire: EOS.
	OnEndOfSnapshot func(item string, pos int)
	// OnClearSnapshot tells that the item is empty now. Wire: CS.
	OnClearSnapshot func(item string, pos int)
	// OnLost tells that the server had to drop updates of an item. Wire: OV.
	OnLost func(item string, pos int, updates int64)
	// OnUnsubscribed tells that the subscription has ended, at whosever wish. It is not called at the end of the session. Wire: UNSUB.
	OnUnsubscribed func()
}

// Subscribed is a subscription that the server has accepted.
type Subscribed struct {
	c      *Client
	id     int
	spec   Subscription
	fields map[string]int // positions of the fields that are known by name

	// Of the client's goroutine.
	items    []itemState
	width    int // number of fields; 0 before SUBOK
	keyAt    int // COMMAND: positions of the two special fields
	command  int
	elements []tlcp.Element
	before   []tlcp.Value // scratch space for the values before an update
	update   Update

	// Guarded by the client's lock.
	held int64 // bytes of its values
	gone bool  // no values are kept any more
}

// itemState is what the client knows of an item.
type itemState struct {
	row      []tlcp.Value            // values of the last update; nil before the first
	rows     map[string][]tlcp.Value // COMMAND: by key
	places   int                     // the most rows there have been: a map keeps its size
	rowBytes int64                   // memory for rows
	live     bool                    // the snapshot is complete
}

// Memory for values, roughly.
const (
	itemBytes    = int64(unsafe.Sizeof(itemState{}))
	valueBytes   = int64(unsafe.Sizeof(tlcp.Value{}))
	scratchBytes = int64(unsafe.Sizeof(tlcp.Element{})) + valueBytes // for each field of a subscription
	keyBytes     = 96                                                // for each place of a map of rows
)

// maxFields bounds the fields of a subscription with a Schema: a short line can say of all of them
// that they are unchanged.
const maxFields = 50_000

// charge accounts for memory, which the values of the subscription take or, if n is negative, give
// back. It is called before the memory is taken, or at most one update later.
func (s *Subscribed) charge(n int64) error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.gone {
		return nil
	}
	s.held += n
	c.held += n
	if c.held > c.cfg.MaxValues {
		return fmt.Errorf("%w: the values of all subscriptions take %d bytes, Config.MaxValues allows %d", ErrLimit, c.held, c.cfg.MaxValues)
	}
	return nil
}

// forget takes a subscription out. The lock is held.
func (c *Client) forget(s *Subscribed) {
	if c.subs[s.id] == s {
		delete(c.subs, s.id)
	}
	c.held -= s.held
	s.held, s.gone = 0, true
}

// check finds what the server would refuse anyway, or misunderstand.
func (s *Subscription) check() error {
	list := func(what string, names []string, whole string) error {
		switch {
		case (len(names) == 0) == (whole == ""):
			return fmt.Errorf("client: subscription: want either %s", what)
		case slices.ContainsFunc(names, func(n string) bool { return n == "" || strings.Contains(n, " ") }):
			return fmt.Errorf("client: subscription: %s: a name in a list is not empty and has no space", what)
		}
		return nil
	}
	if s.Mode < Raw || s.Mode > Command {
		return errors.New("client: subscription: Mode is missing")
	}
	if s.MaxFrequency < 0 || s.Unfiltered && s.MaxFrequency > 0 {
		return errors.New("client: subscription: MaxFrequency is negative, or set although Unfiltered")
	}
	return errors.Join(list("Items or Group", s.Items, s.Group), list("Fields or Schema", s.Fields, s.Schema))
}

func (s *Subscription) add(id int) *tlcp.Add {
	a := &tlcp.Add{
		SubID: id, Mode: tlcp.Mode(s.Mode), Group: s.Group, Schema: s.Schema, DataAdapter: s.DataAdapter, BufferSize: s.BufferSize,
		MaxFrequency: tlcp.Frequency{Unfiltered: s.Unfiltered, Limit: s.MaxFrequency},
	}
	if len(s.Items) > 0 {
		a.Group = strings.Join(s.Items, " ")
	}
	if len(s.Fields) > 0 {
		a.Schema = strings.Join(s.Fields, " ")
	}
	if a.DataAdapter == "" {
		a.DataAdapter = tlcp.DefaultDataAdapter
	}
	if s.Selector != "" {
		a.Selector = &s.Selector
	}
	if s.Snapshot && s.Mode != Raw {
		a.Snapshot = tlcp.Snapshot{Requested: true}
		if s.Mode == Distinct {
			a.Snapshot.Length = s.SnapshotLength
		}
	}
	return a
}

// Subscribe subscribes to items and returns when the server has accepted, or refused with a [*RequestError]. Updates may come before it
// returns. If ctx ends first, what comes of the subscription is undone in the background. It must not be called from a callback.
func (c *Client) Subscribe(ctx context.Context, s Subscription) (*Subscribed, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	s.Items, s.Fields = slices.Clone(s.Items), slices.Clone(s.Fields)
	sub := &Subscribed{c: c, spec: s, fields: make(map[string]int, len(s.Fields))}
	for i, name := range s.Fields {
		sub.fields[name] = i
	}
	r, err := c.submit(tlcp.NameControl, func(id string) []byte {
		c.lastSub++
		sub.id = c.lastSub
		return (&tlcp.Control{ReqID: id, Op: tlcp.OpAdd, Add: s.add(sub.id)}).Append(nil)
	}, func() { c.subs[sub.id] = sub })
	if err == nil {
		if err = r.await(ctx); err == nil {
			return sub, nil
		}
		if ctx.Err() != nil {
			_, _ = sub.unsubscribe() // the server does it behind the subscription
		}
	}
	c.mu.Lock()
	c.forget(sub)
	c.mu.Unlock()
	return nil, fmt.Errorf("client: subscription: %w", err)
}

// Unsubscribe ends the subscription and returns when the server has done so. Updates may come until then. If it has ended before, nothing
// happens. It must not be called from a callback.
func (s *Subscribed) Unsubscribe(ctx context.Context) error {
	r, err := s.unsubscribe()
	if err == nil {
		err = r.await(ctx)
	}
	if err != nil {
		return fmt.Errorf("client: unsubscription: %w", err)
	}
	return nil
}

func (s *Subscribed) unsubscribe() (*request, error) {
	return s.c.submit(tlcp.NameControl, func(id string) []byte {
		return (&tlcp.Control{ReqID: id, Op: tlcp.OpDelete, Delete: &tlcp.Delete{SubID: s.id, Cause: "api"}}).Append(nil)
	}, func() {}, tlcp.CodeSubscriptionUnknown)
}

// data handles a data notification. An error ends the session.
func (c *Client) data(line tlcp.Line) error {
	switch line.Tag {
	case tlcp.TagMSGDONE:
		return c.delivered(line)
	case tlcp.TagMSGFAIL:
		return c.failed(line)
	}
	c.mu.Lock()
	s, asked := c.subs[line.SubID], line.SubID <= c.lastSub
	if s != nil && line.Tag == tlcp.TagUNSUB {
		c.forget(s)
	}
	c.mu.Unlock()
	if !asked {
		return fmt.Errorf("no subscription %d was asked for", line.SubID)
	}
	if s == nil {
		return nil // given up by its caller
	}
	switch line.Tag {
	case tlcp.TagSUBOK, tlcp.TagSUBCMD:
		return s.accepted(line)
	case tlcp.TagUNSUB:
		s.items, s.elements, s.before, s.update = nil, nil, nil, Update{} // the application may keep s
		if s.spec.OnUnsubscribed != nil {
			s.spec.OnUnsubscribed()
		}
		return nil
	}
	if s.width == 0 {
		return fmt.Errorf("subscription %d has not begun", line.SubID)
	}
	if line.Tag == tlcp.TagCONF {
		return nil
	}
	if line.Item > len(s.items) {
		return fmt.Errorf("subscription %d has %d items", line.SubID, len(s.items))
	}
	return s.event(line, &s.items[line.Item-1])
}

// accepted handles SUBOK and SUBCMD. Nothing is allocated before the numbers are known to be those
// that were asked for.
func (s *Subscribed) accepted(line tlcp.Line) error {
	switch {
	case (line.Tag == tlcp.TagSUBCMD) != (s.spec.Mode == Command):
		return fmt.Errorf("subscription %d is one in %v mode", s.id, s.spec.Mode)
	case len(s.spec.Items) > 0 && line.Items != len(s.spec.Items):
		return fmt.Errorf("subscription %d is one of %d items", s.id, len(s.spec.Items))
	case len(s.spec.Fields) > 0 && line.Fields != len(s.spec.Fields):
		return fmt.Errorf("subscription %d is one of %d fields", s.id, len(s.spec.Fields))
	case s.spec.Mode == Command && line.KeyPos == line.CommandPos:
		return errors.New("key and command cannot be the same field")
	case s.spec.Mode == Command && len(s.spec.Fields) > 0 && (s.spec.Fields[line.KeyPos-1] != "key" || s.spec.Fields[line.CommandPos-1] != "command"):
		return errors.New("key and command are at other positions of the list")
	case s.width > 0 && (line.Items != len(s.items) || line.Fields != s.width):
		return fmt.Errorf("subscription %d has begun with %d items and %d fields", s.id, len(s.items), s.width)
	case s.width > 0:
		return nil // said twice
	case line.Fields > maxFields && len(s.spec.Fields) == 0:
		return fmt.Errorf("%w: a schema of %d fields, at most %d", ErrLimit, line.Fields, maxFields)
	}
	if err := s.charge(int64(line.Items)*itemBytes + int64(line.Fields)*scratchBytes); err != nil {
		return err
	}
	s.items, s.width = make([]itemState, line.Items), line.Fields
	s.keyAt, s.command = line.KeyPos-1, line.CommandPos-1
	return nil
}

// event handles what happens to an item.
func (s *Subscribed) event(line tlcp.Line, item *itemState) error {
	switch line.Tag {
	case tlcp.TagU:
		return s.updated(line, item)
	case tlcp.TagEOS, tlcp.TagCS:
		if s.spec.Mode == Raw || s.spec.Mode == Merge {
			return fmt.Errorf("subscription %d is one in %v mode", s.id, s.spec.Mode)
		}
	}
	switch line.Tag {
	case tlcp.TagEOS:
		item.live = true
		if s.spec.OnEndOfSnapshot != nil {
			s.spec.OnEndOfSnapshot(s.name(line.Item), line.Item)
		}
	case tlcp.TagCS:
		_ = s.charge(-item.rowBytes) // giving back cannot fail
		item.rows, item.places, item.rowBytes = nil, 0, 0
		if s.spec.OnClearSnapshot != nil {
			s.spec.OnClearSnapshot(s.name(line.Item), line.Item)
		}
	case tlcp.TagOV:
		if s.spec.OnLost != nil {
			s.spec.OnLost(s.name(line.Item), line.Item, line.Count)
		}
	}
	return nil
}

// name returns the name of an item, if it is known.
func (s *Subscribed) name(pos int) string {
	if pos > len(s.spec.Items) {
		return ""
	}
	return s.spec.Items[pos-1]
}
