package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	// Items are the names of the items; or Group is what the Metadata Adapter makes items of. Likewise Fields and Schema.
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
	update   Update
}

// itemState is what the client knows of an item.
type itemState struct {
	row    []tlcp.Value            // values of the last update; nil before the first
	rows   map[string][]tlcp.Value // COMMAND: by key
	before []tlcp.Value            // scratch space for the values before an update
	live   bool                    // the snapshot is complete
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
	delete(c.subs, sub.id)
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
		c.outcome(line.Sequence, line.Prog, outcome{response: line.Text})
		return nil
	case tlcp.TagMSGFAIL:
		c.failed(line)
		return nil
	}
	c.mu.Lock()
	s := c.subs[line.SubID]
	if s != nil && line.Tag == tlcp.TagUNSUB {
		delete(c.subs, line.SubID)
	}
	c.mu.Unlock()
	if s == nil {
		return nil // given up by its caller
	}
	switch line.Tag {
	case tlcp.TagSUBOK, tlcp.TagSUBCMD:
		s.items, s.width = make([]itemState, line.Items), line.Fields
		s.keyAt, s.command = line.KeyPos-1, line.CommandPos-1
		return nil
	case tlcp.TagUNSUB:
		if s.spec.OnUnsubscribed != nil {
			s.spec.OnUnsubscribed()
		}
		return nil
	case tlcp.TagCONF:
		return nil
	}
	if line.Item < 1 || line.Item > len(s.items) {
		return fmt.Errorf("%w: %v of item %d of a subscription with %d", ErrProtocol, line.Tag, line.Item, len(s.items))
	}
	return s.event(line, &s.items[line.Item-1])
}

// event handles what happens to an item.
func (s *Subscribed) event(line tlcp.Line, item *itemState) error {
	switch line.Tag {
	case tlcp.TagU:
		s.c.updates.Add(1)
		return s.updated(line, item)
	case tlcp.TagEOS:
		item.live = true
		if s.spec.OnEndOfSnapshot != nil {
			s.spec.OnEndOfSnapshot(s.name(line.Item), line.Item)
		}
	case tlcp.TagCS:
		clear(item.rows)
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
