package session

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// place is a session's share of what is limited by address and user, from before its creation until
// it is forgotten. It is guarded by the manager's lock.
type place struct {
	addr    netip.Addr // the zero Addr: not known
	account *account   // nil: not known
	user    string
	hasUser bool
	names   int64 // bytes of names
}

// account is what an address has.
type account struct {
	sessions int     // those being created included
	tokens   float64 // how many may be created at once
	at       time.Time
}

const (
	// maxNames bounds the bytes of the names of users in all sessions.
	maxNames = 32 << 20
	// spareAddresses are how many addresses are remembered beyond those that have sessions.
	spareAddresses = 10_000
	// sweepTime is the least time between two searches for addresses that can be forgotten.
	sweepTime = time.Second
	// burstFactor is how many seconds' worth of sessions an address may create at once: after a
	// restart all clients behind one address come back together.
	burstFactor = 10
)

// addressOf is what counts as one address: clients have a whole /64 of IPv6. The zero Addr: not
// known.
func addressOf(ip string) netip.Addr {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Addr{}
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() && !addr.IsLoopback() {
		p, _ := addr.Prefix(64) // fails for other lengths only
		addr = p.Addr()
	}
	return addr
}

// admit reserves a place for a session, and raises wg.
func (m *Manager) admit(ip string) (*place, *refusal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := len(m.sessions) + m.creating
	switch {
	case m.closed:
		return nil, refused(ByServer, refusedClosing)
	case all >= m.cfg.MaxSessions:
		return nil, overLimit("Sessions", "Too many sessions, try again later")
	case m.mem.Over(scarce):
		m.relieve(scarce)
		return nil, overLimit("Memory", "The server is short of memory, try again later")
	}
	p := &place{addr: addressOf(ip)}
	if p.addr.IsValid() {
		if p.account = m.account(p.addr); p.account == nil {
			p.account = &m.others
		}
		if no := m.admitAddress(p.addr, p.account, all); no != nil {
			return nil, no
		}
		p.account.sessions++
	}
	m.mem.Add(sessionCost) // there is that much: beyond scarce
	m.creating++
	m.wg.Add(1)
	return p, nil
}

// admitAddress refuses a session from an address that has its share. mu is held.
func (m *Manager) admitAddress(addr netip.Addr, a *account, all int) *refusal {
	most, rate := m.cfg.MaxAddressSessions, m.cfg.SessionRate
	if addr.IsLoopback() {
		// Proxies on the same machine, which are not always configured as such, come from there.
		if most = m.cfg.LoopbackSessions; most <= 0 {
			rate = 0
		}
	}
	if n := m.cfg.MaxSessions; n >= 100 && all >= n-n/5 && a.sessions >= n/10 {
		return overLimit("Sessions", "Too many sessions, try again later")
	}
	if most > 0 && a.sessions >= most {
		return overLimit("AddressSessions", "Too many sessions from this address, try again later")
	}
	if rate > 0 && !a.take(float64(rate), time.Now()) {
		return overLimit("SessionRate", "Too many new sessions from this address, try again later")
	}
	return nil
}

// take takes one of the tokens, of which there is one more in each 1/rate of a second.
func (a *account) take(rate float64, now time.Time) bool {
	a.refill(rate, now)
	if a.tokens < 1 {
		return false
	}
	a.tokens--
	return true
}

func (a *account) refill(rate float64, now time.Time) (full bool) {
	most := burstFactor * rate
	if a.at.IsZero() {
		a.tokens = most
	}
	a.tokens = min(a.tokens+now.Sub(a.at).Seconds()*rate, most)
	a.at = now
	return a.tokens == most
}

// rested reports whether an address may create as many sessions as one that was never seen.
func (m *Manager) rested(a *account, now time.Time) bool {
	return m.cfg.SessionRate <= 0 || a.refill(float64(m.cfg.SessionRate), now)
}

// account returns that of an address, nil if there are too many. mu is held.
func (m *Manager) account(addr netip.Addr) *account {
	if a := m.addresses[addr]; a != nil {
		return a
	}
	if len(m.addresses) >= m.cfg.MaxSessions+spareAddresses {
		now := time.Now()
		if now.Sub(m.swept) < sweepTime {
			return nil
		}
		m.swept = now
		for addr, a := range m.addresses {
			if a.sessions == 0 && m.rested(a, now) {
				delete(m.addresses, addr)
			}
		}
		if len(m.addresses) >= m.cfg.MaxSessions+spareAddresses {
			return nil
		}
	}
	a := new(account)
	m.addresses[addr] = a
	return a
}

// admitUser counts a session for a user whom the Metadata Adapter has accepted.
func (m *Manager) admitUser(p *place, user provider.Text) *refusal {
	n := int64(len(user.S))
	if !m.names.Take(n) {
		return overLimit("Sessions", "Too many sessions, try again later")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p.names = n
	if user.Null || m.cfg.MaxUserSessions <= 0 {
		return nil
	}
	if m.users[user.S] >= m.cfg.MaxUserSessions {
		return overLimit("UserSessions", "Too many sessions of this user, try again later")
	}
	m.users[user.S]++
	p.user, p.hasUser = user.S, true
	return nil
}

// release gives the place of a session back that did not come to be.
func (m *Manager) release(p *place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.giveBack(p)
}

// giveBack is release with mu held.
func (m *Manager) giveBack(p *place) {
	m.creating--
	m.mem.Add(-sessionCost)
	m.giveBackPlace(p)
}

// giveBackPlace gives back what a session counts for. mu is held.
func (m *Manager) giveBackPlace(p *place) {
	m.names.Add(-p.names)
	if p.hasUser {
		if m.users[p.user]--; m.users[p.user] == 0 {
			delete(m.users, p.user)
		}
	}
	if a := p.account; a != nil {
		if a.sessions--; a.sessions == 0 && a != &m.others && m.rested(a, time.Now()) {
			delete(m.addresses, p.addr)
		}
	}
}

// gate lets few at a time ask an adapter. Those who wait get their turns by address, so that one
// with many waiting does not hold up the others.
type gate struct {
	mu      sync.Mutex
	most    int // at a time
	room    int // who may wait; 0: no limit
	busy    int
	waiting int
	lanes   map[netip.Addr]*lane // of addresses that are busy, or wait
	turns   []*lane              // those with somebody waiting, the next one first
}

// lane is those of one address.
type lane struct {
	busy    int
	waiting []chan bool // each gets whether it may go
}

const (
	maxQueue = 2000 // creations that wait; of one address half of them
	maxAsks  = 128  // subscriptions that an adapter is asked about at a time
	// maxQueueTime is how long a client waits that asks without end, queueDefault how long one that
	// does not say: clients give up after 4 s.
	maxQueueTime = time.Minute
	queueDefault = 3 * time.Second
)

// queueTime is how long a creation may wait for its turn, if its client waits that long for the
// answer.
func queueTime(ttl time.Duration) time.Duration {
	switch {
	case ttl < 0:
		return maxQueueTime
	case ttl == 0:
		return queueDefault
	}
	return min(ttl, maxQueueTime)
}

func (g *gate) init(most, room int) { g.most, g.room, g.lanes = most, room, make(map[netip.Addr]*lane) }

func (g *gate) full() bool { return g.room > 0 && g.waiting >= g.room }

// perLane is how many of one address may ask at a time.
func (g *gate) perLane() int { return max(g.most/2, 1) }

// enter returns when it is one's turn; then leave is due. Nobody waits for longer than wait, if
// that is positive.
func (g *gate) enter(ctx context.Context, addr netip.Addr, wait time.Duration) *refusal {
	turn, l, no := g.queue(addr)
	if turn == nil {
		return no
	}
	var late <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case admitted := <-turn:
		if !admitted {
			no = queueFull()
		}
		return no
	case <-late:
		no = queueFull()
	case <-ctx.Done():
		no = refused(ByExpiry, refusedClosing)
	}
	g.mu.Lock()
	i := slices.Index(l.waiting, turn)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		g.waiting--
		g.forget(addr, l)
	}
	g.mu.Unlock()
	if i < 0 && <-turn { // it has come after all
		g.leave(addr)
	}
	return no
}

func queueFull() *refusal {
	return overLimit("PendingCreations", "Too many clients are coming, try again later")
}

// queue takes a turn at once, or gets in line for one.
func (g *gate) queue(addr netip.Addr) (chan bool, *lane, *refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lanes[addr]
	if l == nil {
		l = new(lane)
		g.lanes[addr] = l
	}
	switch {
	case len(l.waiting) == 0 && g.busy < g.most && l.busy < g.perLane():
		g.busy++
		l.busy++
		return nil, l, nil
	case g.room > 0 && len(l.waiting) >= g.room/2, g.full() && !g.evict(len(l.waiting)+1):
		g.forget(addr, l)
		return nil, l, queueFull()
	}
	turn := make(chan bool, 1)
	if l.waiting = append(l.waiting, turn); len(l.waiting) == 1 {
		g.turns = append(g.turns, l)
	}
	g.waiting++
	return turn, l, nil
}

// evict sends the last one of the longest line away, if that is longer than n. mu is held.
func (g *gate) evict(n int) bool {
	var longest *lane
	for _, l := range g.turns {
		if longest == nil || len(l.waiting) > len(longest.waiting) {
			longest = l
		}
	}
	if longest == nil || len(longest.waiting) <= n {
		return false
	}
	last := len(longest.waiting) - 1
	longest.waiting[last] <- false
	longest.waiting[last] = nil
	longest.waiting = longest.waiting[:last]
	g.waiting--
	return true
}

// leave gives the turn to the next one.
func (g *gate) leave(addr netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lanes[addr]
	g.busy--
	l.busy--
	// Lanes that are busy as far as they may be keep their place; there are two of them at most.
	for i := 0; i < len(g.turns) && g.busy < g.most; {
		next := g.turns[i]
		if len(next.waiting) > 0 && next.busy >= g.perLane() {
			i++
			continue
		}
		g.turns = slices.Delete(g.turns, i, i+1)
		if len(next.waiting) == 0 {
			continue
		}
		next.waiting[0] <- true
		next.waiting = slices.Delete(next.waiting, 0, 1)
		g.waiting--
		g.busy++
		next.busy++
		if len(next.waiting) > 0 {
			g.turns = append(g.turns, next)
		}
	}
	g.forget(addr, l)
}

// forget drops a lane that nobody uses, and its turn if nobody waits. mu is held.
func (g *gate) forget(addr netip.Addr, l *lane) {
	if len(l.waiting) > 0 {
		return
	}
	if i := slices.Index(g.turns, l); i >= 0 {
		g.turns = slices.Delete(g.turns, i, i+1)
	}
	if l.busy == 0 {
		delete(g.lanes, addr)
	}
}

// cut cuts a text to a number of bytes, at the beginning of a character, and keeps nothing of the
// rest.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}
