package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/item"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Manager has all sessions. Its methods may be called from any goroutine.
type Manager struct {
	cfg     Config
	log     *slog.Logger
	sampled *sample.Log     // what clients can cause at will
	ctx     context.Context // ends at Close
	cancel  context.CancelFunc
	stats   counters
	mem     *budget.Budget
	waiting *budget.Budget // the part of mem that messages and requests have that wait, in all sessions
	live    atomic.Int64   // sessions there are

	relieving   atomic.Bool
	patch, diff func(old, next string) (string, bool)

	// wg counts what Close waits for: requests that make or bind sessions, bindings, workers, messages. It is raised with mu held
	// and closed unset, or while something else holds it up.
	wg sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	sessions map[string]*Session
	creating int
	// addresses has those that have sessions, or have created some a moment ago, users those that
	// have sessions. others stands for the addresses that have found no room.
	addresses map[netip.Addr]*account
	users     map[string]int
	others    account
	swept     time.Time // addresses that were of no more use have been looked for
	names     *budget.Budget
	sets      map[*provider.Set]*adapterSet
	starting  map[string]*Session // the Metadata Adapter is being asked, or has just answered
	// farewells tell what ended sessions ended of, should their clients bind them; oldest first.
	farewells []farewell
}

// adapterSet is an Adapter Set in use, with the items of its Data Adapters.
type adapterSet struct {
	*provider.Set
	sources   map[string]*item.Source
	creations gate // to the Metadata Adapter
	asks      gate // to the Metadata Adapter, for subscriptions
	courier   courier
	sessions  sync.WaitGroup // those of the set, until they have given everything back; raised with the manager's lock held
	released  bool           // no further session; guarded by the manager's lock
}

// farewell is what a session has ended of.
type farewell struct {
	id    string
	cause cause
	until time.Time
}

const (
	maxFarewells = 1000
	maxFarewell  = 1000 // bytes of text
	farewellTime = time.Minute
)

type counters struct {
	created, refused, bindings, lines, messages atomic.Int64
	subscriptions, shed                         atomic.Int64
	sent, filtered, lost                        atomic.Int64 // of sessions that have ended
}

// Stats counts what a Manager has and has done.
type Stats struct {
	Sessions      int   // there are
	Bindings      int   // connections bound
	Subscriptions int   // there are
	Items         int   // in use, or lingering
	QueueBytes    int   // waiting in queues
	HistoryBytes  int   // kept for recovery
	WaitingBytes  int64 // of messages, requests, and lines besides updates that wait
	Created       int64 // sessions since the start
	Refused       int64 // creations refused since the start
	Lines         int64 // data notifications written since the start
	Messages      int64 // messages accepted since the start
	Sent          int64 // updates written since the start
	Filtered      int64 // updates merged into others or dropped, as their subscriptions allow
	Lost          int64 // updates dropped, and their clients told so
	Shed          int64 // subscriptions ended for want of memory
	Memory        int64 // what is accounted for
	MemoryLimit   int64 // of it; 0: none
}

// NewManager returns a manager without sessions. Close it.
func NewManager(cfg Config) *Manager {
	cfg = cfg.withDefaults()
	m := &Manager{
		cfg: cfg, log: cfg.Logger, mem: cfg.Memory, waiting: cfg.Memory.Part(cfg.MaxWaiting), names: cfg.Memory.Part(maxNames),
		patch: jsonPatch, diff: textDiff, sessions: make(map[string]*Session), starting: make(map[string]*Session),
		sets: make(map[*provider.Set]*adapterSet), addresses: make(map[netip.Addr]*account), users: make(map[string]int),
	}
	m.sampled = sample.New(m.log, sampleTime, sampleBurst)
	m.ctx, m.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // ended by Close: no request outlives it, and no caller owns it
	return m
}

// enter announces a request that may make or bind a session; false once the manager is closed. The caller then owes wg a Done.
func (m *Manager) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.wg.Add(1)
	return true
}

// set returns the Adapter Set in use under an id; nil if there is none.
func (m *Manager) set(id string) *adapterSet {
	m.mu.Lock()
	defer m.mu.Unlock()
	// With the lock held, so that Release finds every set that was looked up before it went out of service.
	ps := m.cfg.Sets(id)
	if ps == nil {
		return nil
	}
	as := m.sets[ps]
	if as == nil {
		as = &adapterSet{Set: ps, sources: make(map[string]*item.Source, len(ps.Data))}
		as.creations.init(m.cfg.MaxCreations, maxQueue)
		as.asks.init(maxAsks, 0)
		as.courier.init(&m.wg)
		for name, data := range ps.Data {
			as.sources[name] = item.NewSource(item.Config{Name: name, Data: data, Linger: m.cfg.Linger, MaxHistory: m.cfg.MaxBuffer, Budget: m.mem, Logger: m.log})
		}
		m.sets[ps] = as
	}
	return as
}

// find returns a live session by its id, or def if the id is empty; nil if there is none.
func (m *Manager) find(id string, def *Session) *Session {
	s := def
	if id != "" {
		m.mu.Lock()
		s = m.sessions[id]
		m.mu.Unlock()
	}
	if s == nil || s.ctx.Err() != nil {
		return nil
	}
	return s
}

// forget takes an ended session out of the table, and remembers the cause for a while, in case its client was not told.
func (m *Manager) forget(s *Session, c cause) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[s.id] == s {
		delete(m.sessions, s.id)
		m.giveBackPlace(s.place)
		m.live.Add(-1)
		m.stats.sent.Add(s.counts.sent.Load())
		m.stats.filtered.Add(s.counts.filtered.Load())
		m.stats.lost.Add(s.counts.lost.Load())
	}
	if c.expired {
		return
	}
	c.text = c.text[:min(len(c.text), maxFarewell)] // it may be a client's own
	if len(m.farewells) >= maxFarewells {
		m.farewells = append(m.farewells[:0], m.farewells[1:]...)
	}
	c.text = cut(c.text, maxFarewell)
	m.farewells = append(m.farewells, farewell{s.id, c, time.Now().Add(farewellTime)})
}

// farewell returns what a session has ended of.
func (m *Manager) farewell(id string) (cause, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.farewells {
		if f.id == id && time.Now().Before(f.until) {
			return f.cause, true
		}
	}
	return cause{}, false
}

// Heartbeat notes that the client of a session is alive; an unknown session is no error.
func (m *Manager) Heartbeat(session string, def *Session) {
	if s := m.find(session, def); s != nil {
		s.touch()
	}
}

// Close ends every session with the configured code, refuses new ones, unsubscribes all items, and returns when no goroutine is left:
// those that run bindings included, which end as soon as their transports let them. If ctx ends first Close returns its error, and
// what is left ends by itself.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	all := make([]*Session, 0, len(m.sessions))
	for _, s := range m.sessions {
		all = append(all, s)
	}
	m.mu.Unlock()
	m.cancel()
	for _, s := range all {
		s.terminate(m.closing())
	}
	done := make(chan struct{})
	go func() { // ends with the work it waits for
		defer close(done)
		m.wg.Wait()
		m.mu.Lock()
		sets := m.sets
		m.sets = nil
		m.mu.Unlock()
		for _, as := range sets {
			for _, src := range as.sources {
				src.Close()
			}
		}
		m.sampled.Close()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("session: closing: connections or adapters are still busy: %w", ctx.Err())
	}
}

// closing is how sessions end when the manager is closed.
func (m *Manager) closing() cause {
	return cause{code: m.cfg.CloseCode, text: "Server is closing", by: ByServer}
}

// Stats counts. It reads a few figures of each session, and takes no session's lock.
func (m *Manager) Stats() Stats {
	c := &m.stats
	m.mu.Lock()
	defer m.mu.Unlock()
	st := Stats{
		Sessions: len(m.sessions), Bindings: int(c.bindings.Load()), Subscriptions: int(c.subscriptions.Load()),
		Created: c.created.Load(), Refused: c.refused.Load(), Lines: c.lines.Load(), Messages: c.messages.Load(),
		Sent: c.sent.Load(), Filtered: c.filtered.Load(), Lost: c.lost.Load(), Shed: c.shed.Load(),
		WaitingBytes: m.waiting.Used(), Memory: m.mem.Used(), MemoryLimit: m.mem.Limit(),
	}
	for _, as := range m.sets {
		for _, src := range as.sources {
			st.Items += src.Stats().Items
		}
	}
	for _, s := range m.sessions {
		st.QueueBytes += int(s.counts.queueBytes.Load())
		st.HistoryBytes += int(s.counts.historyBytes.Load())
		st.Sent += s.counts.sent.Load()
		st.Filtered += s.counts.filtered.Load()
		st.Lost += s.counts.lost.Load()
	}
	return st
}

// ControlOf returns what the Metadata Adapter of an Adapter Set may ask for: its requests reach only sessions of that set. They do not
// block.
func (m *Manager) ControlOf(set string) provider.Control { return control{m, set} }

type control struct {
	m   *Manager
	set string
}

func (c control) find(session string) *Session {
	s := c.m.find(session, nil)
	if s == nil || s.set.ID != c.set {
		return nil
	}
	return s
}

// ForceSessionTermination implements provider.Control. The session may be one that the adapter has accepted just now: it ends as soon as it has begun.
func (c control) ForceSessionTermination(session string, why *provider.Cause) error {
	end := cause{code: tlcp.CodeClosedByServer, text: tlcp.SessionText(tlcp.CodeClosedByServer), by: ByAdapter}
	if why != nil {
		end = cause{code: min(why.Code, 0), text: why.Message.S, by: ByAdapter}
	}
	c.m.mu.Lock()
	if s := c.m.starting[session]; s != nil && s.set.ID == c.set {
		s.doomed = &end
	}
	c.m.mu.Unlock()
	if s := c.find(session); s != nil {
		s.terminate(end)
	}
	return nil
}

// ForceUnsubscription implements provider.Control. It takes its turn behind the session's requests before it: the subscription may be one that the adapter
// has accepted just now.
func (c control) ForceUnsubscription(session string, winIndex int) (bool, error) {
	s := c.find(session)
	if s == nil {
		return false, fmt.Errorf("session: forced unsubscription: no session of Adapter Set %q has this id", c.set)
	}
	type result struct {
		done bool
		err  error
	}
	results := make(chan result, 1)
	taken := s.do(0, func() {
		s.mu.Lock()
		sub := s.subs[winIndex]
		s.mu.Unlock()
		switch {
		case sub == nil:
			results <- result{err: fmt.Errorf("session: forced unsubscription: the session has no subscription %d", winIndex)}
		case !sub.grant.Unsubscribable:
			results <- result{}
		default:
			s.remove(sub)
			results <- result{done: true}
		}
	})
	if !taken {
		return false, errors.New("session: forced unsubscription: the session has ended, or too many of its requests wait")
	}
	select {
	case r := <-results:
		return r.done, r.err
	case <-s.ctx.Done():
		return true, nil // the subscription ends with the session
	}
}
