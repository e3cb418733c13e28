package session

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/item"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// What things cost, about, in bytes.
const (
	// sessionCost is a session with its connection: structures, goroutine, buffers, and the events
	// that may wait for it uncounted.
	sessionCost = 32 << 10
	// subscriptionCost is a subscription besides its items and the texts it was made of.
	subscriptionCost = 1 << 10
	// itemCost is a subscription's part of an item: a queue, its place among the item's receivers,
	// what the Metadata Adapter said of it.
	itemCost = 512
	// cellCost is one field of one item of a subscription.
	cellCost = 12
	// lineCost is a line that waits, besides its text.
	lineCost = 48
)

// freeQueue is what may wait in a session without being counted for the broker: most of it is sent
// at once.
const freeQueue = 8 << 10

// looseStep is by how much what a session holds besides its subscriptions may differ from what the
// broker's budget knows of it.
const looseStep = 16 << 10

// Shares of the broker's memory. Beyond short, sessions that hold more than their share get no
// more, their queues are cut to the share, and no item lingers. Beyond scarce there are no new
// sessions. When all is used, those that hold most lose subscriptions until relieved.
const (
	short    = 0.75
	scarce   = 0.9
	relieved = 0.85
)

// minShare is what every session may have whatever the number of sessions: its share if there are
// many.
const minShare = 64 << 10

// counts are the figures of a session that the manager's Stats read without its lock. Those of
// bytes are brought up to date when they have changed by more than looseStep, and when nothing is
// left to do for the session.
type counts struct {
	queueBytes, historyBytes, loose atomic.Int64
	sent, filtered, lost            atomic.Int64
}

// share is what a session may hold while memory is short: its part of the broker's memory, were
// half of it spread over all sessions.
func (m *Manager) share() int64 {
	limit := m.mem.Limit()
	if limit == 0 {
		return math.MaxInt64
	}
	return max(limit/2/max(m.live.Load(), 1), minShare)
}

// liveLimit is how many bytes of live updates may wait in a session.
func (m *Manager) liveLimit() int {
	limit := m.cfg.MaxQueueBytes
	if m.mem.Over(short) {
		limit = int(min(int64(limit), m.share()))
	}
	return limit
}

// keyLimit is how many bytes the keys of a session's COMMAND items may cost when more of them come.
func (s *Session) keyLimit() int {
	limit := s.m.cfg.SessionMemory
	if s.m.mem.Over(short) {
		limit = int(min(int64(limit), s.m.share()))
	}
	return limit
}

// historyLimit is how much of the lines written is kept for a recovery.
func (m *Manager) historyLimit() int {
	limit := m.cfg.HistoryBytes
	if m.mem.Over(short) {
		limit = int(min(int64(limit), m.share()/4))
	}
	return limit
}

// holds is about what the session keeps in memory. The lock need not be held.
func (s *Session) holding() int64 {
	return s.mem.Used() + s.counts.loose.Load() + s.counts.queueBytes.Load()
}

// received ends everything that adds to the queues. The lock is held.
func (s *Session) received() {
	s.settle()
	if s.m.mem.Full() {
		s.m.relieve(1)
	}
}

// settle tells the budget and the manager what has changed, if it is much, and ends a subscription
// if the session's keys are too many. The lock is held.
func (s *Session) settle() {
	if d := s.queueBytes - s.shown; d > looseStep || d < -looseStep {
		s.show()
	}
	if d := s.loose - s.charged; d > looseStep || d < -looseStep {
		s.charge(s.loose)
	}
	if s.keyBytes > s.m.cfg.SessionMemory {
		s.shed("the keys of its COMMAND items take more than a session may hold")
	}
}

// show brings the figures up to date. The lock is held.
func (s *Session) show() {
	s.shown = s.queueBytes
	s.counts.queueBytes.Store(int64(s.queueBytes))
}

// charge makes n bytes of what the session holds loosely known to the budget. The lock is held.
func (s *Session) charge(n int) {
	s.m.mem.Add(int64(n - s.charged))
	s.charged = n
	s.counts.loose.Store(int64(n))
}

// cost is what a subscription costs as long as it lasts, whatever happens to its items.
func (sub *subscription) cost() int64 {
	n := int64(subscriptionCost + 2*(len(sub.add.Group)+len(sub.add.Schema)))
	if sub.add.Selector != nil {
		n += int64(len(*sub.add.Selector))
	}
	for _, name := range sub.items {
		n += int64(len(name))
	}
	for _, name := range sub.schema {
		n += int64(16 + len(name))
	}
	return n + int64(len(sub.items))*(itemCost+cellCost*int64(len(sub.schema)))
}

// pay takes the memory for a subscription before anything of it is made, or returns the limit that
// forbids it.
func (sub *subscription) pay() *denial {
	s := sub.s
	cfg := &s.m.cfg
	s.mu.Lock()
	defer s.mu.Unlock()
	items, fields, cost := len(sub.items), len(sub.schema), sub.cost()
	over := func(limit string, code int, format string, args ...any) *denial {
		return &denial{code, fmt.Sprintf(format, args...), limit}
	}
	switch {
	case items > cfg.MaxItems:
		return over("Items", tlcp.CodeBadGroup, "Group of %d items: a session may have %d", items, cfg.MaxItems)
	case fields > cfg.MaxFields:
		return over("Fields", tlcp.CodeBadSchema, "Schema of %d fields: at most %d are allowed", fields, cfg.MaxFields)
	case s.items+items > cfg.MaxItems:
		return over("Items", tlcp.CodeInternal, "Too many items in the session: it has %d, and may have %d; unsubscribe from some", s.items, cfg.MaxItems)
	case s.mem.Used()+cost+int64(s.items+items)*item.Cost > int64(cfg.SessionMemory): // as if nobody else had the items
		return over("SessionMemory", tlcp.CodeInternal, "%d items with %d fields would take %d bytes, with what the session has more than the %d that it may hold; "+
			"ask for fewer, or unsubscribe from some", items, fields, cost+int64(items)*item.Cost, cfg.SessionMemory)
	case s.m.mem.Over(short) && s.holding()+cost > s.m.share(), !s.mem.Take(cost):
		s.m.relieve(scarce)
		return over("Memory", tlcp.CodeInternal, "The server is short of memory; try again later, or ask for less")
	}
	s.items += items
	sub.paid = cost
	return nil
}

// refund gives back what pay has taken.
func (sub *subscription) refund() {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.paid > 0 {
		s.mem.Add(-sub.paid)
		s.items -= len(sub.items)
		sub.paid = 0
	}
}

// tooMuch refuses a subscription whose snapshot is more than the session can keep track of, or ends
// it if it has begun. The lock is held.
func (sub *subscription) tooMuch() {
	sub.refused = true
	if sub.s.subs[sub.id] == sub {
		sub.s.endSubscription(sub, "the rows of its COMMAND items are more than a session may hold")
	}
}

// weight is about what would be free without the subscription. The lock is held.
func (sub *subscription) weight() int64 {
	n := sub.paid
	for _, q := range sub.queues {
		n += int64(q.keyBytes)
		if q.stale {
			n += int64(q.last.Cost())
		}
		for at := q.head; at != nil; at = at.next {
			n += int64(at.size())
		}
	}
	return n
}

// shed ends the subscription of the session that holds most. It returns false if there is none. The
// lock is held.
func (s *Session) shed(why string) bool {
	var most *subscription
	weight := int64(-1)
	for _, sub := range s.subs {
		if w := sub.weight(); w > weight {
			most, weight = sub, w
		}
	}
	if most == nil || s.ended {
		return false
	}
	s.endSubscription(most, why)
	return true
}

// endSubscription ends a subscription at once; its items are given back by the worker. The client
// is told as if it had unsubscribed. The lock is held.
func (s *Session) endSubscription(sub *subscription, why string) {
	s.drop(sub)
	sub.close()
	s.tell(tlcp.AppendUNSUB(nil, sub.id))
	s.start(job{run: sub.leave})
	if n := s.m.stats.shed.Add(1); n&(n-1) == 0 { // ever more seldom if it goes on
		s.m.log.Warn("session: subscription ended by the broker", "session", s.label(), "subscription", sub.id, "cause", why,
			"memory", s.m.mem.Used(), "limit", s.m.mem.Limit(), "times", n)
	}
}

// enlist makes a subscription one of the session's. The lock is held.
func (s *Session) enlist(sub *subscription) {
	s.subs[sub.id] = sub
	s.counted.Add(1)
	s.m.stats.subscriptions.Add(1)
}

// drop undoes enlist. The lock is held.
func (s *Session) drop(sub *subscription) {
	delete(s.subs, sub.id)
	s.counted.Add(-1)
	s.m.stats.subscriptions.Add(-1)
}

// relieve has the sessions that hold most lose subscriptions if more than a share of the memory is
// used, until it is not scarce any more. It does not block, and locks may be held. Close must not
// be past the sessions: the caller holds the lock of one that is not over, or holds wg up.
func (m *Manager) relieve(beyond float64) {
	if !m.mem.Over(beyond) || !m.relieving.CompareAndSwap(false, true) {
		return
	}
	m.wg.Go(func() { // ends by itself: it ends as many subscriptions as there are, at most
		defer m.relieving.Store(false)
		for m.mem.Over(relieved) && m.relieveOnce() {
		}
	})
}

// relieveOnce ends a subscription of the session that holds most and has one; false if there is
// none that holds more than its share.
func (m *Manager) relieveOnce() bool {
	var most *Session
	held := m.share()
	m.mu.Lock()
	for _, s := range m.sessions {
		if n := s.holding(); n > held && s.ctx.Err() == nil && s.counted.Load() > 0 {
			most, held = s, n
		}
	}
	m.mu.Unlock()
	if most == nil {
		return false
	}
	most.mu.Lock()
	defer most.mu.Unlock()
	done := most.shed("the broker is short of memory, and the session holds most of it")
	most.show()
	most.charge(most.loose)
	return done
}
