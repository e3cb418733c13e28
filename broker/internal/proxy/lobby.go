package proxy

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"
)

const (
	// openingTime is what a peer has to come through TLS and to identify itself: to send
	// credentials where they are checked, or else RAC or a keepalive; or the init reply. It does
	// not depend on Config.Timeout, which may be hours, and which a remote that has identified
	// itself gets for the init reply.
	openingTime = 10 * time.Second
	// lateTime is what a peer has to send RAC, and to learn why it is turned down, while there is a
	// remote.
	lateTime = 2 * time.Second
	// maxOpening is how many peers may be opening at each port, and maxOpeningPerAddr how many of
	// them may come from one address.
	maxOpening        = 16
	maxOpeningPerAddr = 8
	// maxOpeningLine bounds the lines of a peer that has not answered init.
	maxOpeningLine = 64 << 10
	// maxParting is how many of those that were not initialised may be told why at a time. It takes
	// them flushTime to get to know; beyond, connections are cut.
	maxParting = 64
)

// Reasons for which a peer is turned down.
var (
	errCrowded = errors.New("too many connections are being opened")
	errTaken   = errors.New("there is a remote adapter already")
)

// peer is the other end of a connection in the opening phase, at either port.
type peer struct {
	raw  net.Conn // what was accepted, below TLS
	addr string   // its host
	came time.Time
	cut  func(why error) // ends the connection; not called with link.mu held

	ctx    context.Context // ends with the connection; of what comes before the first line
	cancel context.CancelFunc

	conn *conn // whose it is; nil at the port for notifications

	// Guarded by link.mu.
	known bool   // it has identified itself
	rac   bool   // it has sent RAC
	user  string // that of RAC
}

func newPeer(ctx context.Context, raw net.Conn, cut func(why error)) peer {
	addr := raw.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		addr = host
	}
	p := peer{raw: raw, addr: addr, came: time.Now(), cut: cut}
	p.ctx, p.cancel = context.WithCancel(ctx)
	return p
}

// lobby is the peers of a port that are opening, in the order in which they came. It is guarded by
// link.mu.
type lobby struct{ peers []*peer }

// enter takes p in. Where too many are there already, one of them goes, of p's own address if that
// has its share; it is returned, to be cut. If none may go, p may not come, and ok is false.
func (b *lobby) enter(p *peer) (displaced *peer, ok bool) {
	count := make(map[string]int)
	for _, other := range b.peers {
		count[other.addr]++
	}
	full := count[p.addr] >= maxOpeningPerAddr
	if full || len(b.peers) >= maxOpening {
		displaced = b.leastWelcome(count, p, full)
		if displaced == nil {
			return nil, false
		}
		b.leave(displaced)
	}
	b.peers = append(b.peers, p)
	return displaced, true
}

// leastWelcome returns who may be displaced by p, of its own address only if own is set: the oldest
// one that has not identified itself, of the address that has most; without such, the oldest one
// that takes longer over init than others may over everything.
func (b *lobby) leastWelcome(count map[string]int, p *peer, own bool) *peer {
	var silent, slow *peer
	for _, other := range b.peers {
		switch {
		case own && other.addr != p.addr:
		case !other.known:
			if silent == nil || count[other.addr] > count[silent.addr] {
				silent = other
			}
		case slow == nil && p.came.Sub(other.came) > openingTime:
			slow = other
		}
	}
	if silent != nil {
		return silent
	}
	return slow
}

func (b *lobby) leave(p *peer) {
	if i := slices.Index(b.peers, p); i >= 0 {
		b.peers = slices.Delete(b.peers, i, i+1)
	}
}
