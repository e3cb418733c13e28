package adapter

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A Subscription is the server's interest in one item: the handle through which a [DataProvider] feeds it. It lives from the call of
// Subscribe until the server unsubscribes, Subscribe returns an error, or the connection ends; Context tells. A later subscription to the same
// item is another Subscription, so an event can't reach the wrong one.
//
// All methods are safe for concurrent use and can be called from any goroutine, in Subscribe too. Events leave in the order
// of the calls. A call may wait while the bytes waiting to be written exceed the server's MaxPending; the wait ends with the
// subscription. Arguments are encoded before the call returns: they can be reused at once.
//
// After the end every method that sends drops its event, counts it in [Stats] and returns an error that is [ErrSubscriptionEnded]: a feed
// that stops late does no harm.
//
// The first events may be a snapshot: the present state of the item, sent with Snapshot (and in COMMAND mode Add), closed by
// EndOfSnapshot or by the first Update.
type Subscription struct {
	item string // where it can be, a part of head
	head string // item and id as they stand in each line; empty where to writes no lines
	to   sink

	// Guarded by to's lock, so that their changes are in line with what is written.
	life    *lifetime // made on demand: most feeds of many items never ask
	cause   error     // once ended
	phase   snapshotPhase
	ended   bool
	holding bool // live events wait, merged, for room in the writer

	accepted bool // by the provider; guarded by the handler's lock
}

type lifetime struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// A sink is where the events of subscriptions go: the writer of a connection, or a feed that several connections share.
type sink interface {
	// The lock guards the state of the sink's subscriptions.
	sync.Locker
	// base is what the contexts of subscriptions derive from.
	base() context.Context
	// event takes one update; body holds its encoded fields and is the caller's again when event returns.
	event(s *Subscription, kind eventKind, body []byte) error
	// notice takes one of the other notifications.
	notice(s *Subscription, n notice) error
	// ended is called, with the lock held, when s has ended: nobody must wait on its behalf any more.
	ended(s *Subscription)
}

// A notice is a notification that is not an update: EOS, CLS, or DFD with its order.
type notice struct {
	method ari.Method
	order  []ari.FieldDiff
	forced bool // does not wait for room: a reply depends on it
}

type snapshotPhase uint8

const (
	undeclared   snapshotPhase = iota // Subscribe is running and has not said whether there is a snapshot
	snapshotOpen                      // snapshot events are welcome
	snapshotOver
)

func newSubscription(item, id string, out *writer) *Subscription {
	head := string(ari.AppendItemHead(nil, ari.Latest, item, id))
	// A million subscriptions keep one string each instead of two.
	if plain, ok := strings.CutPrefix(head, "|S|"); ok && strings.HasPrefix(plain, item) {
		item = plain[:len(item)]
	}
	return &Subscription{item: item, head: head, to: out}
}

// Item returns the name of the item.
func (s *Subscription) Item() string { return s.item }

// Context returns a context that ends with the subscription. Its cause ([context.Cause]) is [ErrUnsubscribed], [ErrDisconnected],
// [ErrStopped], or what Subscribe returned. It carries the values of the context given to Run.
func (s *Subscription) Context() context.Context {
	s.to.Lock()
	defer s.to.Unlock()
	if s.life != nil {
		return s.life.ctx
	}
	base := s.to.base()
	if s.ended {
		base = context.WithoutCancel(base) // its own cause may have come later
	}
	ctx, cancel := context.WithCancelCause(base)
	s.life = &lifetime{ctx, cancel}
	if s.ended {
		cancel(s.cause)
	}
	return ctx
}

// Update sends a live event. Fields left out are unchanged in MERGE and COMMAND mode, null in the others. It ends the snapshot,
// if that is still open. Wire: UD3.
func (s *Subscription) Update(fields Fields) error { return s.sendFields(live, "", "", fields) }

// Snapshot sends an event of the snapshot: in MERGE mode the one that gives the state of the item, in DISTINCT mode one for each event of
// its history. In COMMAND mode use Add. After the end of the snapshot it returns [ErrSnapshotEnded]. Wire: UD3.
func (s *Subscription) Snapshot(fields Fields) error { return s.sendFields(snapshot, "", "", fields) }

// Add sends, for an item in COMMAND mode, a new row: the fields "key" and "command" are filled in and must not be in fields.
// It is part of the snapshot while that is open (see SnapshotFollows), else live. Wire: UD3 with command ADD.
func (s *Subscription) Add(key string, fields Fields) error {
	return s.sendFields(snapshotIfOpen, "ADD", key, fields)
}

// Modify sends, for an item in COMMAND mode, changed fields of a row, as a live event; see Add. Wire: UD3 with command UPDATE.
func (s *Subscription) Modify(key string, fields Fields) error {
	return s.sendFields(live, "UPDATE", key, fields)
}

// Delete sends, for an item in COMMAND mode, the end of a row, as a live event. Wire: UD3 with command DELETE.
func (s *Subscription) Delete(key string) error { return s.sendFields(live, "DELETE", key, nil) }

// UpdateStrings is Update for values that are all text. It is faster, as nothing has to be boxed, and does not allocate. The map is read only during the
// call; so it can be used again for the next event.
func (s *Subscription) UpdateStrings(fields map[string]string) error {
	return s.sendStrings(live, "", "", fields)
}

// SnapshotStrings is Snapshot for values that are all text; see UpdateStrings.
func (s *Subscription) SnapshotStrings(fields map[string]string) error {
	return s.sendStrings(snapshot, "", "", fields)
}

// AddStrings is Add for values that are all text; see UpdateStrings.
func (s *Subscription) AddStrings(key string, fields map[string]string) error {
	return s.sendStrings(snapshotIfOpen, "ADD", key, fields)
}

// ModifyStrings is Modify for values that are all text; see UpdateStrings.
func (s *Subscription) ModifyStrings(key string, fields map[string]string) error {
	return s.sendStrings(live, "UPDATE", key, fields)
}

// SnapshotFollows declares, in Subscribe, that the item has a snapshot which will be sent later. Without it, and without a snapshot event sent
// in Subscribe, the item is taken to have no snapshot. End the snapshot with EndOfSnapshot, or clients of the DISTINCT and COMMAND modes
// wait for it. After the snapshot's end it returns [ErrSnapshotEnded].
func (s *Subscription) SnapshotFollows() error {
	s.to.Lock()
	defer s.to.Unlock()
	if err := s.admit(snapshot); err != nil {
		return err
	}
	s.phase = snapshotOpen
	return nil
}

// EndOfSnapshot tells that the snapshot is complete, or that there is none. When the snapshot has ended already it does nothing. Wire: EOS.
func (s *Subscription) EndOfSnapshot() error { return s.to.notice(s, notice{method: ari.EOS}) }

// ClearSnapshot tells that the state of the item is empty now: in MERGE mode all fields become null, in COMMAND mode all rows are gone, in DISTINCT
// mode the history is. It ends the snapshot, if that is still open. Wire: CLS.
func (s *Subscription) ClearSnapshot() error { return s.to.notice(s, notice{method: ari.CLS}) }

// A DiffAlgorithm is a way in which the server may send the difference between two values of a field, instead of the value.
type DiffAlgorithm byte

// The algorithms.
const (
	JSONPatch      DiffAlgorithm = 'J'
	DiffMatchPatch DiffAlgorithm = 'M' // sent to clients as TLCP-diff
)

// FieldDiffOrder lists, for each field, the algorithms that the server may use for it, in order of preference. An empty list forbids
// all; a field that is not listed leaves the choice to the server.
type FieldDiffOrder map[string][]DiffAlgorithm

// DeclareFieldDiffOrder declares how differences of fields may be sent. It should come before the first event with those fields;
// later declarations for a field are ignored by the server. An unknown algorithm is an error and nothing is sent. Wire: DFD.
func (s *Subscription) DeclareFieldDiffOrder(order FieldDiffOrder) error {
	list := make([]ari.FieldDiff, 0, len(order))
	for name, algorithms := range order {
		f := ari.FieldDiff{Field: name}
		for _, a := range algorithms {
			if a != JSONPatch && a != DiffMatchPatch {
				return s.fail("declare field diff order", fmt.Errorf("field %q: unknown algorithm %q", name, rune(a)))
			}
			f.Algorithms = append(f.Algorithms, ari.DiffAlgorithm(a))
		}
		list = append(list, f)
	}
	return s.to.notice(s, notice{method: ari.DFD, order: list})
}

// Row returns a sender of events with the fields of schema. It costs nothing: make one for each event or keep it, as you like.
func (s *Subscription) Row(schema *Schema) Row { return Row{s, schema} }

// A Row sends events of a [Subscription] with the fields of a [Schema], without building a map and without allocating. Values
// are matched with the fields by position; there may be fewer values than fields (the rest is left out), not more.
// What is said of the methods of Subscription with the same names holds here.
type Row struct {
	sub    *Subscription
	schema *Schema
}

// Update sends a live event.
func (r Row) Update(values ...string) error { return r.send(live, "", "", values) }

// Snapshot sends an event of the snapshot.
func (r Row) Snapshot(values ...string) error { return r.send(snapshot, "", "", values) }

// Add sends a new row of an item in COMMAND mode; the schema must not hold the fields "key" and "command".
func (r Row) Add(key string, values ...string) error {
	return r.send(snapshotIfOpen, "ADD", key, values)
}

// Modify sends a changed row of an item in COMMAND mode; the schema must not hold the fields "key" and "command".
func (r Row) Modify(key string, values ...string) error {
	return r.send(live, "UPDATE", key, values)
}

// UpdateBytes is Update with values given as bytes; a nil value is null, an empty one is the empty text.
func (r Row) UpdateBytes(values ...[]byte) error { return r.sendBytes(live, values) }

// SnapshotBytes is Snapshot with values given as bytes; a nil value is null, an empty one is the empty text.
func (r Row) SnapshotBytes(values ...[]byte) error { return r.sendBytes(snapshot, values) }

// ------------------------------------------------------------------------------------------------------------------ state

type eventKind uint8

const (
	live eventKind = iota
	snapshot
	snapshotIfOpen
)

// admit tells whether an event may be sent now. The lock is held.
func (s *Subscription) admit(kind eventKind) error {
	switch {
	case s.ended:
		return s.fail("event dropped", ErrSubscriptionEnded)
	case kind == snapshot && s.phase == snapshotOver:
		return s.fail("snapshot event dropped", ErrSnapshotEnded)
	}
	return nil
}

// enter moves the snapshot on by an event that has been admitted, and tells whether the event is part of it. The lock is held.
func (s *Subscription) enter(kind eventKind) (isSnapshot bool) {
	isSnapshot = kind == snapshot || kind == snapshotIfOpen && s.phase != snapshotOver
	if isSnapshot {
		s.phase = snapshotOpen
	} else {
		s.phase = snapshotOver
	}
	return isSnapshot
}

// end makes every later event a dropped one.
func (s *Subscription) end(cause error) {
	s.to.Lock()
	defer s.to.Unlock()
	if s.ended {
		return
	}
	s.ended, s.cause = true, cause
	if s.life != nil {
		s.life.cancel(cause)
	}
	s.to.ended(s)
}

// declareNoSnapshot declares the end of a snapshot that nothing has announced.
func (s *Subscription) declareNoSnapshot() {
	s.to.Lock()
	open := s.phase != undeclared
	s.to.Unlock()
	if !open {
		_ = s.to.notice(s, notice{method: ari.EOS, forced: true}) // if s has ended meanwhile, nobody needs it
	}
}

// openSnapshot is what SnapshotAvailable's true means.
func (s *Subscription) openSnapshot() {
	s.to.Lock()
	if s.phase == undeclared {
		s.phase = snapshotOpen
	}
	s.to.Unlock()
}

// checkFilledIn refuses fields that a COMMAND verb fills in by itself.
func checkFilledIn[V any](s *Subscription, command string, fields map[string]V) error {
	if command == "" {
		return nil
	}
	for _, name := range [...]string{"key", "command"} {
		if _, ok := fields[name]; ok {
			return s.fail(command, fmt.Errorf("field %q is filled in by the call; leave it out", name))
		}
	}
	return nil
}

func (r Row) tooMany(values int) error {
	return r.sub.fail("update", fmt.Errorf("%d values for the %d fields of the schema", values, len(r.schema.heads)))
}

func (s *Subscription) fail(what string, err error) error {
	return fmt.Errorf("adapter: item %q: %s: %w", s.item, what, err)
}
