package adapter

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A SharedFeed lets several servers be fed by one provider: give the same SharedFeed as Provider to a [DataServer] for each server
// of a cluster. Each item is opened once, by the first server that wants it, and its events go to all that want it; a server that comes later
// gets the present state as its snapshot; the item is closed when the last one has left.
//
// Events leave for all the servers in the same order. With [Wait], a server that does not read makes the feed of the items it shares wait, up to
// the others; with [Conflate] it does not.
//
// The Initialize of a provider that is an [Initializer] is called for each connection of each server.
type SharedFeed struct {
	_ struct{}

	// Provider is the Data Adapter.
	Provider DataProvider
	// Mode tells in which mode an item is used, since that decides what its present state is: MERGE, the newest value of each field; COMMAND, the rows
	// by key; DISTINCT, the last events; RAW, nothing. nil, or another answer: COMMAND if its events have a command, else MERGE.
	Mode func(item string) Mode
	// History is how many events of an item in DISTINCT mode are kept. 0: 10.
	History int
	// Logger gets what the provider's Unsubscribe returns. nil: nothing is logged.
	Logger *slog.Logger

	mu    sync.Mutex
	feeds map[string]*feed
}

// feed is one item as the provider sees it: a sink that passes events on to the subscriptions of the servers.
type feed struct {
	shared *SharedFeed
	item   string
	ctx    context.Context // of the first subscription, without its end
	sub    *Subscription   // the provider's handle
	opened chan struct{}   // closed when Subscribe has returned, with err
	err    error
	gone   chan struct{} // closed when the item may be opened anew

	// turn is held (by sending to it) while an event is passed on or a server joins: all see the same order. It is not a mutex, because
	// passing on may wait.
	turn chan struct{}

	mu     sync.Mutex
	joined []*Subscription // replaced, never changed
	dead   bool            // the last has left
	state  replay
}

// Initialize passes the initialisation on.
func (f *SharedFeed) Initialize(ctx context.Context, in Init) error {
	if p, ok := f.Provider.(Initializer); ok {
		return p.Initialize(ctx, in)
	}
	return nil
}

// Subscribe opens the item, or joins those who have.
func (f *SharedFeed) Subscribe(ctx context.Context, sub *Subscription) error {
	if f.Provider == nil {
		return errors.New("adapter: SharedFeed: Provider is missing")
	}
	for {
		d, first := f.feedOf(ctx, sub)
		if first {
			return d.open(sub)
		}
		select {
		case <-d.opened:
		case <-sub.Context().Done():
			return context.Cause(sub.Context())
		}
		if d.err != nil {
			return d.err
		}
		if d.join(sub) {
			return nil
		}
		// The last one has left meanwhile. Calls for one item never overlap: wait for the end of that one.
		select {
		case <-d.gone:
		case <-sub.Context().Done():
			return context.Cause(sub.Context())
		}
	}
}

// feedOf returns the feed of an item; first means that the caller has made it, and has to open it.
func (f *SharedFeed) feedOf(ctx context.Context, sub *Subscription) (d *feed, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d = f.feeds[sub.item]; d != nil {
		return d, false
	}
	d = &feed{
		shared: f, item: sub.item, opened: make(chan struct{}), gone: make(chan struct{}), turn: make(chan struct{}, 1),
		state: replay{history: 10},
	}
	if f.History > 0 {
		d.state.history = f.History
	}
	if f.Mode != nil {
		d.state.mode = f.Mode(sub.item)
	}
	d.ctx = context.WithoutCancel(ctx)
	d.sub = &Subscription{item: sub.item, to: d}
	if f.feeds == nil {
		f.feeds = make(map[string]*feed)
	}
	f.feeds[sub.item] = d
	return d, true
}

// open calls the provider on behalf of the first subscription, which has joined before: it sees every event as it comes.
func (d *feed) open(sub *Subscription) error {
	d.join(sub)
	d.err = errors.New("panic in Subscribe") // unless it returns
	defer func() { d.settle(sub) }()
	d.err = d.shared.Provider.Subscribe(d.sub.Context(), d.sub)
	return d.err
}

// settle follows the provider's Subscribe, however it has ended, and lets those go on who wait for that.
func (d *feed) settle(first *Subscription) {
	if d.err != nil {
		d.sub.end(d.err)
		d.mu.Lock()
		d.dead = true
		d.mu.Unlock()
		d.forget()
	} else {
		d.sub.declareNoSnapshot()
		d.mu.Lock()
		follows := d.sub.phase == snapshotOpen
		d.mu.Unlock()
		if follows {
			first.openSnapshot()
		}
	}
	close(d.opened)
}

func (d *feed) forget() {
	d.shared.mu.Lock()
	delete(d.shared.feeds, d.item)
	d.shared.mu.Unlock()
	close(d.gone)
}

// join adds a subscription, after it has been given the present state. It reports false if the feed is dead.
func (d *feed) join(sub *Subscription) bool {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	d.mu.Lock()
	if d.dead {
		d.mu.Unlock()
		return false
	}
	phase, order, events := d.sub.phase, d.state.order, d.state.events()
	d.joined = append(slices.Clip(d.joined), sub)
	d.mu.Unlock()

	if phase != undeclared {
		sub.openSnapshot()
	}
	// Errors say that sub has ended meanwhile, or that its own writer has: leave will see to it.
	if len(order) > 0 {
		_ = sub.to.notice(sub, notice{method: ari.DFD, order: order})
	}
	for _, body := range events {
		_ = sub.to.event(sub, snapshot, body)
	}
	if phase == snapshotOver {
		_ = sub.EndOfSnapshot()
	}
	context.AfterFunc(sub.Context(), func() { d.leave(sub) })
	return true
}

// leave removes a subscription that has ended; the last one closes the item.
func (d *feed) leave(sub *Subscription) {
	d.mu.Lock()
	d.joined = slices.DeleteFunc(slices.Clone(d.joined), func(s *Subscription) bool { return s == sub })
	last := len(d.joined) == 0 && !d.dead
	if last {
		d.dead = true
	}
	d.mu.Unlock()
	if !last {
		return
	}
	d.sub.end(ErrUnsubscribed)
	<-d.opened // Subscribe has returned: it sees the end of its handle
	if d.err != nil {
		return
	}
	if u, ok := d.shared.Provider.(Unsubscriber); ok {
		log := d.shared.Logger
		if log == nil {
			log = slog.New(slog.DiscardHandler)
		}
		if err := protect(log, "Unsubscribe", func() error { return u.Unsubscribe(d.ctx, d.sub) }); err != nil {
			log.Warn("unsubscription failed", "item", d.item, "err", err)
		}
	}
	d.forget()
}

// ---------------------------------------------------------------------------------------------------------------- a sink

// Lock guards the state of the provider's handle.
func (d *feed) Lock() { d.mu.Lock() }

// Unlock ends it.
func (d *feed) Unlock() { d.mu.Unlock() }

func (d *feed) base() context.Context { return d.ctx }

func (d *feed) event(s *Subscription, kind eventKind, body []byte) error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	d.mu.Lock()
	if err := s.admit(kind); err != nil {
		d.mu.Unlock()
		return err
	}
	if s.enter(kind) {
		kind = snapshot
	} else {
		kind = live
	}
	d.state.add(body)
	joined := d.joined
	d.mu.Unlock()
	for _, sub := range joined {
		_ = sub.to.event(sub, kind, body) // one that has ended has counted it
	}
	return nil
}

func (d *feed) notice(s *Subscription, n notice) error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	d.mu.Lock()
	if err := s.admit(live); err != nil {
		d.mu.Unlock()
		return err
	}
	switch n.method {
	case ari.EOS:
		s.phase = snapshotOver
	case ari.CLS:
		s.phase = snapshotOver
		d.state.clear()
	case ari.DFD:
		d.state.order = append(d.state.order, n.order...)
	}
	joined := d.joined
	d.mu.Unlock()
	for _, sub := range joined {
		_ = sub.to.notice(sub, n)
	}
	return nil
}

func (d *feed) ended(*Subscription) {}

// ---------------------------------------------------------------------------------------------------------- present state

// replay is the present state of an item, as the events that make it up.
type replay struct {
	mode    Mode // 0: by the events
	history int
	order   []ari.FieldDiff
	fields  []byte            // MERGE: all fields; nil before the first event
	keys    []string          // COMMAND: in order of their addition
	rows    map[string][]byte // COMMAND: fields by encoded key
	last    [][]byte          // DISTINCT
}

func (r *replay) clear() { r.fields, r.keys, r.rows, r.last = nil, nil, nil, nil }

func (r *replay) add(body []byte) {
	command := fieldValue(body, "|command|")
	mode := r.mode
	if mode == 0 && command != nil {
		mode = Command
	}
	switch mode {
	case Raw:
	case Distinct:
		if r.last = append(r.last, bytes.Clone(body)); len(r.last) > r.history {
			r.last = slices.Delete(r.last, 0, 1)
		}
	case Command:
		r.addRow(string(fieldValue(body, "|key|")), string(command), body)
	default:
		if r.fields == nil {
			r.fields = []byte{}
		}
		r.fields = mergeFields(r.fields, body)
	}
}

func (r *replay) addRow(key, command string, body []byte) {
	if command == "DELETE" {
		delete(r.rows, key)
		r.keys = slices.DeleteFunc(r.keys, func(k string) bool { return k == key })
		return
	}
	if r.rows == nil {
		r.rows = make(map[string][]byte)
	}
	row, known := r.rows[key]
	if !known {
		r.keys = append(r.keys, key)
	}
	r.rows[key] = mergeFields(row, withoutField(body, "|command|"))
}

func (r *replay) events() [][]byte {
	var events [][]byte
	if r.fields != nil {
		events = append(events, bytes.Clone(r.fields)) // later events change it in place
	}
	for _, key := range r.keys {
		// For whoever comes later, every row is a new one.
		events = append(events, ari.AppendField(bytes.Clone(r.rows[key]), wire, "command", "ADD"))
	}
	return append(events, r.last...)
}
