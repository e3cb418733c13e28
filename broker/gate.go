package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
)

// gate is the listener for clients: it decides which connections are served, and counts them, in
// all and for each client address. Whoever is refused is closed at once, so that nobody waits in
// the backlog behind others.
//
// Lock order: mu alone; no connection is closed under it.
type gate struct {
	net.Listener
	gateConfig
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	open    int     // connections that count for the limit
	spare   []*conn // those beyond it, the oldest first
	addrs   map[netip.Prefix]*address
	sweepAt int // size of addrs at which those that say nothing are dropped
}

// gateConfig is what a gate decides by. For each bound, zero or less is none.
type gateConfig struct {
	connections int
	spares      int // connections beyond the limit, for monitoring pages only
	perAddress  int // connections of one remote address
	loopback    int // of one loopback address
	perSecond   int // new connections of one address, after perAddress at once
	descriptors int // file descriptors of the process; a connection that gets a higher one is refused

	trusted      []netip.Prefix // proxies, which are not bounded by address
	writeTimeout time.Duration  // of a write for which its owner has set no deadline
	memory       *budget.Budget // for requests; never nil
	share        int64          // of it for one address
	n            *counters
	log          *sample.Log
	audit        *auditor // nil without
}

// address is what one client address has. A nil address is not bounded.
type address struct {
	key    netip.Prefix
	limit  int
	open   int
	tokens float64 // connections it may open at once
	last   time.Time
	memory *budget.Budget
}

// Refusals of the gate, as they are logged.
const (
	tooManyOfAddress = "its address has too many connections (Limits.AddressConnections)"
	tooFast          = "its address opens connections too fast (Limits.AddressRate)"
	tooMany          = "too many connections (Limits.Connections)"
	tooManyFiles     = "too few file descriptors left (raise the limit of the process: ulimit -n)"
)

// limits are the names of what has refused a connection or a request, for the audit log.
var limits = map[string]string{
	tooManyOfAddress: "AddressConnections", tooFast: "AddressRate", tooMany: "Connections", tooManyFiles: "descriptors", noMemory: "RequestMemory",
}

func newGate(l net.Listener, cfg gateConfig) *gate {
	return &gate{
		Listener: l, gateConfig: cfg, closed: make(chan struct{}),
		addrs: make(map[netip.Prefix]*address), sweepAt: minSweep,
	}
}

const minSweep = 1024

// Accept returns the next connection that may be served. Failures of the system to give one, as
// for want of descriptors, are waited out.
func (g *gate) Accept() (net.Conn, error) {
	const shortest, longest = 5 * time.Millisecond, time.Second
	wait := shortest
	for {
		nc, err := g.Listener.Accept()
		if err != nil {
			if !passing(err) {
				return nil, err
			}
			g.n.acceptFailures.Add(1)
			g.log.Warn("accept", "broker: cannot accept clients; trying again", "error", err)
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-g.closed:
				timer.Stop()
				return nil, net.ErrClosed
			}
			wait = min(2*wait, longest)
			continue
		}
		wait = shortest
		c, evicted, why := g.admit(nc)
		if evicted != nil {
			_ = evicted.Close()
		}
		if why == "" {
			return c, nil
		}
		g.log.Warn(why, "broker: client's connection refused", "peer", nc.RemoteAddr().String(), "reason", why)
		g.audit.put(AuditEvent{Event: AuditClientRefused, Address: nc.RemoteAddr().String(), By: limits[why], Text: why})
		_ = nc.Close()
	}
}

// passing reports whether an error of Accept concerns one connection, or a resource that will be
// there again.
func passing(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && (errno.Temporary() || errno == syscall.ECONNABORTED || errno == syscall.ECONNRESET ||
		errno == syscall.ENOBUFS || errno == syscall.ENOMEM)
}

// Close ends Accept. The connections are the server's.
func (g *gate) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Listener.Close()
}

// admit makes a connection of nc, or tells why it is refused. Evicted, if not nil, is a connection
// to be closed in favour of this one.
func (g *gate) admit(nc net.Conn) (c, evicted *conn, why string) {
	if g.descriptors > 0 && descriptor(nc) >= g.descriptors {
		g.n.refusedFiles.Add(1)
		return nil, nil, tooManyFiles
	}
	peer := addrOf(nc.RemoteAddr())
	g.mu.Lock()
	defer g.mu.Unlock()
	a, why := g.enter(peer, true)
	if why != "" {
		return nil, nil, why
	}
	c = &conn{Conn: nc, gate: g, addr: a, head: true}
	switch {
	case g.connections <= 0 || g.open < g.connections:
		g.open++
		g.n.open.Add(1)
		return c, nil, ""
	case g.spares <= 0:
		g.leave(a)
		g.n.refusedLimit.Add(1)
		return nil, nil, tooMany
	}
	c.spare = true
	if len(g.spare) >= g.spares {
		evicted = g.evict()
		g.n.refusedLimit.Add(1)
	}
	g.spare = append(g.spare, c)
	c.cut = time.AfterFunc(spareTime, func() { _ = c.Close() })
	return c, evicted, ""
}

// spareTime is how long a connection beyond the limit has for its one request.
const spareTime = 2 * time.Second

// evict takes out the oldest of the spare connections, of the address that has most of them.
// mu is held.
func (g *gate) evict() *conn {
	var found *conn
	most := 0
	for _, c := range g.spare {
		n := 0
		for _, other := range g.spare {
			if addrOf(other.RemoteAddr()) == addrOf(c.RemoteAddr()) {
				n++
			}
		}
		if n > most {
			most, found = n, c
		}
	}
	g.dropSpare(found)
	return found
}

func (g *gate) dropSpare(c *conn) {
	for i, other := range g.spare {
		if other == c {
			g.spare = append(g.spare[:i], g.spare[i+1:]...)
			return
		}
	}
}

// enter counts a connection for its address, or a request that a trusted proxy has passed on,
// which is not counted as a new connection. mu is held.
func (g *gate) enter(peer netip.Addr, connecting bool) (a *address, why string) {
	limit := g.limitOf(peer)
	if limit <= 0 {
		return nil, ""
	}
	key := prefixOf(peer)
	now := time.Now()
	if a = g.addrs[key]; a == nil {
		if len(g.addrs) >= g.sweepAt {
			g.sweep(now)
		}
		a = &address{key: key, limit: limit, tokens: float64(limit), last: now, memory: g.memory.Part(g.share)}
		g.addrs[key] = a
	}
	if a.open >= limit {
		if connecting {
			g.n.refusedAddress.Add(1)
		}
		return nil, tooManyOfAddress
	}
	if connecting && g.perSecond > 0 {
		if g.refill(a, now); a.tokens < 1 {
			g.n.refusedRate.Add(1)
			return nil, tooFast
		}
		a.tokens--
	}
	a.open++
	return a, ""
}

// limitOf returns how many connections an address may have; zero or less: any number.
func (g *gate) limitOf(peer netip.Addr) int {
	switch {
	case !peer.IsValid() || contains(g.trusted, peer):
		return 0
	case peer.IsLoopback():
		return g.loopback
	}
	return g.perAddress
}

func (g *gate) refill(a *address, now time.Time) {
	if g.perSecond <= 0 {
		return
	}
	a.tokens = min(float64(a.limit), a.tokens+now.Sub(a.last).Seconds()*float64(g.perSecond))
	a.last = now
}

// leave takes back what enter has counted. mu is held.
func (g *gate) leave(a *address) {
	if a == nil {
		return
	}
	a.open--
	g.forget(a, time.Now())
}

// forget drops an address of which there is nothing to remember.
func (g *gate) forget(a *address, now time.Time) {
	if a.open > 0 {
		return
	}
	if g.refill(a, now); g.perSecond <= 0 || a.tokens >= float64(a.limit) {
		delete(g.addrs, a.key)
	}
}

// sweep keeps addrs from growing with addresses that have gone before their tokens were filled up.
func (g *gate) sweep(now time.Time) {
	for _, a := range g.addrs {
		g.forget(a, now)
	}
	g.sweepAt = max(minSweep, 2*len(g.addrs))
}

// forwarded counts a request of a client behind a trusted proxy, until done is called.
func (g *gate) forwarded(client netip.Addr) (memory *budget.Budget, done func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, why := g.enter(client, false)
	if why != "" {
		g.n.requestAddress.Add(1)
		return nil, nil, false
	}
	done = func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.leave(a)
	}
	return g.memoryOf(a), done, true
}

func (g *gate) memoryOf(a *address) *budget.Budget {
	if a == nil {
		return g.memory
	}
	return a.memory
}

// closedConn gives the place of a connection back.
func (g *gate) closedConn(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.spare {
		g.dropSpare(c)
	} else {
		g.open--
		g.n.open.Add(-1)
	}
	g.leave(c.addr)
}

// addrOf returns the address of a peer; the zero Addr if it has none.
func addrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	if t, ok := a.(*net.TCPAddr); ok {
		return plain(t.AddrPort().Addr())
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return plain(ap.Addr())
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// prefixOf is what counts as one address: of IPv6 it is a /64, of which one host has all.
func prefixOf(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // cannot fail
	return p
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

type connKey struct{}

// withConn puts the connection into the context of its requests; it is the ConnContext of a server.
func withConn(ctx context.Context, nc net.Conn) context.Context {
	if c := gateConn(nc); c != nil {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// connState is the ConnState of a server.
func connState(nc net.Conn, state http.ConnState) {
	if c := gateConn(nc); c != nil && state == http.StateIdle {
		c.idle()
	}
}

func gateConn(nc net.Conn) *conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}

// connOf returns the connection that a request came on; nil in tests that have none.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}
