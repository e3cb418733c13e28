package proxy

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"
)

const (
	// openingTime is what a peer has to come through TLS and to identify itself: to send credentials
	// where they are checked, or else RAC or a keepalive; or the init reply. It does not depend on
	// Config.Timeout, which may be hours, and which a remote that has identified itself gets for the
	// init reply.
	openingTime = 10 * time.Second
	// lateTime is what a peer has to send RAC, and to learn why it is turned down, while there is a
	// remote.
	lateTime = 2 * time.Second
	// maxOpening is how many peers may be opening at each port, and maxOpeningPerAddr how many of them
	// may come from one address.
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

// enter takes p in. Where too many are there already, the one that has been silent for the longest time
// goes, of p's own address if that has its share, else of the address that has most; it is returned, to
// be cut. If none may go, p may not come, and ok is false.
func (b *lobby) enter(p *peer) (displaced *peer, ok bool) {
	count := make(map[string]int)
	for _, other := range b.peers {
		count[other.addr]++
	}
	if count[p.addr] < maxOpeningPerAddr && len(b.peers) < maxOpening {
		b.peers = append(b.peers, p)
		return nil, true
	}
	from := p.addr
	if count[from] < maxOpeningPerAddr {
		for addr, n := range count {
			if n > count[from] {
				from = addr
			}
		}
	}
	if displaced = b.oldest(from, p.came); displaced == nil {
		return nil, false
	}
	b.leave(displaced)
	b.peers = append(b.peers, p)
	return displaced, true
}

// oldest returns the oldest peer of an address that may be displaced: one that has not identified
// itself, else one that has and takes longer over init than others may over everything.
func (b *lobby) oldest(addr string, now time.Time) *peer {
	var slow *peer
	for _, p := range b.peers {
		switch {
		case p.addr != addr:
		case !p.known:
			return p
		case slow == nil && now.Sub(p.came) > openingTime:
			slow = p
		}
	}
	return slow
}

func (b *lobby) leave(p *peer) {
	if i := slices.Index(b.peers, p); i >= 0 {
		b.peers = slices.Delete(b.peers, i, i+1)
	}
}
