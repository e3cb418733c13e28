package item

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// The defaults of Config.
const (
	DefaultLinger     = 5 * time.Second
	DefaultMaxHistory = 1000
	DefaultMaxFields  = 1000
	DefaultMaxLinger  = 10_000
)

// Config is what a Source needs. Only Data is required.
type Config struct {
	// Name is the Data Adapter's name, for logs and errors.
	Name string
	Data provider.Data
	// Linger is how long an item stays subscribed after its last subscriber has left. Zero means DefaultLinger; negative, not
	// at all.
	Linger time.Duration
	// MaxLinger bounds the items that stay subscribed without a subscriber: beyond it they are
	// unsubscribed at once, so that clients who run through names can't have the adapter work for
	// all of them. Zero means DefaultMaxLinger.
	MaxLinger int
	// Budget pays for the items and for what they keep. An item that it cannot pay for is refused;
	// the adapter's events never are. While most of it is used, no item lingers. Nil has no limit.
	Budget *budget.Budget
	// MaxHistory bounds the events kept of a DISTINCT item, whatever length is asked for. Zero means DefaultMaxHistory.
	MaxHistory int
	// MaxFields bounds the different field names that the adapter sends for an item; fields beyond
	// are dropped and counted. Zero means DefaultMaxFields.
	MaxFields int
	// Logger gets what the source did wrong. Nil discards it.
	Logger *slog.Logger
}

// Errors of Attach.
var (
	// ErrMode is returned when the item is in use in another of the modes MERGE, DISTINCT and COMMAND, which exclude each other.
	ErrMode = errors.New("item: in use in a conflicting mode")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("item: source closed")
	// ErrMemory is returned when Config.Budget cannot pay for the item.
	ErrMemory = errors.New("item: no memory left for another item")
)

// Receiver gets the events of an item from the moment of Attach (before it has returned, too) until
// Detach has returned.
//
// Receive is called from one goroutine at a time, in the order of the events, with the item's lock
// held: it must not block, nor call back into this package. It must not keep the slice; the events
// it may keep. cols is as long at every call, and a later one is good for the events of earlier
// calls, too: it knows more of what the adapter has declared, and of the fields it sends. snapshot
// says that the events are the item's snapshot, or a part of it.
//
// Snapshot is called instead, by the same rules, for the events of the snapshot of a DISTINCT or
// COMMAND item, if there are any: all of them at once. It may keep them.
type Receiver interface {
	Receive(cols Columns, events []*Event, snapshot bool)
	Snapshot(cols Columns, s *Snapshot)
}

// Options say what a subscriber wants of an item.
type Options struct {
	Mode provider.Mode
	// Allowed are the modes the metadata side may allow for the item, whoever asks. While an item has only RAW subscribers it
	// keeps snapshots for all of them. Zero means all modes.
	Allowed provider.Modes
	// Schema lists the fields.
	Schema []string
	// Snapshot asks for the snapshot first, in MERGE, DISTINCT and COMMAND mode.
	Snapshot bool
	// Length limits the snapshot in DISTINCT mode; zero or less means no limit but History.
	Length int
	// History is how many events of a DISTINCT item are kept, for this and later subscribers.
	History int
	// Owner is on whose behalf: where requests to the Data Adapter have to wait, owners take turns.
	Owner string
}

// Source is the items of one Data Adapter. Its methods may be called from any goroutine.
type Source struct {
	cfg Config
	log *slog.Logger

	stats counters

	mu     sync.Mutex
	slots  map[string]*slot
	idle   int // slots that linger
	closed bool
	busy   sync.WaitGroup // linger timers and calls of the adapter in flight
}

// counters are what went wrong, see Stats.
type counters struct {
	events, keyless, badCommand, unknownKey, tooManyFields, late, diffs, lateDiffs atomic.Int64
}

// Stats counts what a Source has seen since it was made.
type Stats struct {
	Items         int   // items subscribed, or lingering
	Events        int64 // updates from the adapter
	Keyless       int64 // COMMAND events dropped because they had no key
	BadCommand    int64 // COMMAND events dropped because the command was none of ADD, UPDATE, DELETE
	UnknownKey    int64 // COMMAND DELETE events dropped because the key was not there
	TooManyFields int64 // fields dropped because the item had too many names
	FieldDiffs    int64 // declarations of difference algorithms
	LateDiffs     int64 // fields of such declarations that were settled before
	Late          int64 // events dropped because the item was no longer subscribed
}

// slot is the name of an item and what goes on about it. item is what is wanted, subscribed what the adapter was asked for;
// the goroutine that has set changing makes them agree, so that the adapter sees Subscribe and Unsubscribe alternate.
type slot struct {
	name       string
	item       *item // nil: not wanted
	subscribed *item // nil: the adapter has no subscription
	changing   bool
	refs       int
	linger     *time.Timer
	lingers    int // counts the timers, so that one that fires too late is known
}

// NewSource returns a source of items of cfg.Data. Close it.
func NewSource(cfg Config) *Source {
	if cfg.Linger == 0 {
		cfg.Linger = DefaultLinger
	}
	if cfg.MaxHistory <= 0 {
		cfg.MaxHistory = DefaultMaxHistory
	}
	if cfg.MaxLinger <= 0 {
		cfg.MaxLinger = DefaultMaxLinger
	}
	if cfg.MaxFields <= 0 {
		cfg.MaxFields = DefaultMaxFields
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Source{cfg: cfg, log: log.With("data_adapter", cfg.Name), slots: make(map[string]*slot)}
}

// Subscription is one subscriber's hold on an item.
type Subscription struct {
	src  *Source
	slot *slot
	sub  *subscriber
	once sync.Once
}

// Attach makes r a subscriber of the named item, and subscribes the item with the Data Adapter if nobody had it. It does not
// wait for events; it may call the adapter, whose Subscribe only submits.
func (s *Source) Attach(name string, o Options, r Receiver) (*Subscription, error) {
	if o.Allowed == 0 {
		o.Allowed = provider.AllModes
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, fmt.Errorf("item %q: %w", name, ErrClosed)
	}
	sl := s.slots[name]
	if sl == nil {
		if !s.cfg.Budget.Take(slotCost(name)) {
			s.mu.Unlock()
			return nil, fmt.Errorf("item %.100q: %w", name, ErrMemory)
		}
		sl = &slot{name: name}
		s.slots[name] = sl
	}
	s.unlinger(sl)
	shared := true
	if sl.item == nil || sl.refs == 0 && !sl.item.compatible(o.Mode) {
		shared = false
		sl.drop()
		sl.item = newItem(s, name, o.Owner)
	}
	sl.refs++
	it := sl.item
	s.mu.Unlock()

	sub := &subscriber{mode: o.Mode, recv: r}
	a := &Subscription{src: s, slot: sl, sub: sub}
	sub.it = it
	if err := it.attach(sub, o); err != nil {
		s.release(sl)
		return nil, fmt.Errorf("item %q: %w", name, err)
	}
	s.settle(sl)
	if shared && it.owner != o.Owner {
		s.cfg.Data.Share(name, o.Owner)
	}
	return a, nil
}

// Detach ends the subscription: when it has returned, its receiver is not called again. If it was the item's last one, the
// item is unsubscribed after the linger time; without one, by this call or by the one that is about it already. Detaching
// twice is once.
func (a *Subscription) Detach() {
	a.once.Do(func() {
		a.sub.it.detach(a.sub)
		a.src.release(a.slot)
	})
}

// release gives up one reference to a slot.
func (s *Source) release(sl *slot) {
	s.mu.Lock()
	sl.refs--
	if sl.refs > 0 || sl.item == nil {
		s.mu.Unlock()
		return
	}
	if s.cfg.Linger > 0 && !s.closed && s.idle < s.cfg.MaxLinger && !crowded(s.cfg.Budget) {
		s.busy.Add(1)
		s.idle++
		sl.lingers++
		n := sl.lingers
		sl.linger = time.AfterFunc(s.cfg.Linger, func() { s.lingered(sl, n) })
		s.mu.Unlock()
		return
	}
	sl.drop()
	s.mu.Unlock()
	s.settle(sl)
}

// lingered runs in the goroutine of the slot's nth linger timer.
func (s *Source) lingered(sl *slot, n int) {
	defer s.busy.Done()
	s.mu.Lock()
	if sl.linger == nil || sl.lingers != n || sl.refs > 0 {
		s.mu.Unlock()
		return
	}
	sl.linger = nil
	s.idle--
	sl.drop()
	s.mu.Unlock()
	s.settle(sl)
}

// unlinger stops the linger timer of a slot, if it runs. s.mu is held.
func (s *Source) unlinger(sl *slot) {
	if sl.linger == nil {
		return
	}
	if sl.linger.Stop() {
		s.busy.Done()
	}
	sl.linger = nil
	s.idle--
}

func (sl *slot) drop() {
	if sl.item != nil {
		sl.item.retire()
		sl.item = nil
	}
}

// settle calls the adapter until it has what is wanted. One goroutine does so for a slot at a time; whoever comes meanwhile
// leaves its wish to it.
func (s *Source) settle(sl *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sl.changing {
		return
	}
	sl.changing = true
	s.busy.Add(1)
	defer s.busy.Done()
	for sl.item != sl.subscribed {
		if had := sl.subscribed; had != nil {
			had.retire()
			sl.subscribed = nil
			s.mu.Unlock()
			s.cfg.Data.Unsubscribe(sl.name)
			s.mu.Lock()
			continue
		}
		sl.subscribed = sl.item
		sink := sl.item
		s.mu.Unlock()
		s.cfg.Data.Subscribe(sl.name, sink.owner, sink)
		s.mu.Lock()
	}
	sl.changing = false
	if sl.item == nil && sl.refs == 0 && s.slots[sl.name] == sl {
		delete(s.slots, sl.name)
		s.cfg.Budget.Add(-slotCost(sl.name))
	}
}

// Close unsubscribes every item and returns when the adapter has been told and no goroutine of the source is left.
// Subscribers still attached get nothing more.
func (s *Source) Close() {
	s.mu.Lock()
	s.closed = true
	all := make([]*slot, 0, len(s.slots))
	for _, sl := range s.slots {
		all = append(all, sl)
		s.unlinger(sl)
		sl.drop()
	}
	s.mu.Unlock()
	for _, sl := range all {
		s.settle(sl)
	}
	s.busy.Wait()
}

// Stats returns the counters.
func (s *Source) Stats() Stats {
	s.mu.Lock()
	n := len(s.slots)
	s.mu.Unlock()
	c := &s.stats
	return Stats{
		Items: n, Events: c.events.Load(), Keyless: c.keyless.Load(), BadCommand: c.badCommand.Load(),
		UnknownKey: c.unknownKey.Load(), TooManyFields: c.tooManyFields.Load(), FieldDiffs: c.diffs.Load(), LateDiffs: c.lateDiffs.Load(), Late: c.late.Load(),
	}
}
