package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// pairTime is how long two connections that do not both send RAC have to wait before they are taken
// for a pair: others that do may still come.
const pairTime = time.Second

// notifier is the second connection with a remote of ARI 1.9.0 and before: it brings the notifications, and is never written
// to. Its goroutine is waited for by the conn it is paired with.
//
// Nothing on the wire says which two connections are a pair. They come from the same address, and
// if both have sent RAC, with the same user: then they are paired at once. Remotes of ARI 1.8.0
// send none; the one that came at the time that is nearest is taken for theirs, a second later. So
// a stray connection is no remote's, unless it comes from the same address at the same time and
// says the same.
type notifier struct {
	peer
	link *link
	nc   net.Conn // as that of conn; set when the handshake is over
	log  *slog.Logger
	done chan struct{} // closed when the goroutine has ended

	// Of its goroutine.
	lines int  // read, keepalives not counted
	over  bool // end was called

	// Guarded by link.mu.
	admitted bool  // its credentials were good, or are not checked
	conn     *conn // the other connection of the pair; nil before
	why      error // for which it was cut
}

// acceptNotifiers is the goroutine that accepts connections on the port for notifications.
func (l *link) acceptNotifiers() {
	l.acceptOn(l.notifyLn, func(nc net.Conn) {
		n := &notifier{
			link: l, nc: nc, done: make(chan struct{}), admitted: !l.cfg.Auth,
			log: l.log.With("peer", nc.RemoteAddr().String(), "port", "notify"),
		}
		n.peer = newPeer(l.ctx, nc, n.cutOff)
		l.mu.Lock()
		if old := l.remote; old != nil && !old.ending.Load() {
			l.mu.Unlock()
			l.turnedDown(nc, errTaken)
			n.cutOff(errTaken)
			return
		}
		displaced, ok := l.notifyLobby.enter(&n.peer)
		if ok {
			l.serving.Go(n.run)
		}
		l.mu.Unlock()
		l.admit(&n.peer, displaced, ok)
	})
}

// cutOff ends a connection without a mate.
func (n *notifier) cutOff(why error) {
	n.link.mu.Lock()
	n.why = why
	n.link.mu.Unlock()
	n.cancel()
	_ = n.raw.Close()
}

// run is the notifier's goroutine.
func (n *notifier) run() {
	l := n.link
	defer close(n.done)
	defer n.raw.Close()
	defer n.cancel()
	stop := context.AfterFunc(l.ctx, func() { _ = n.raw.Close() })
	defer stop()
	alone := time.AfterFunc(openingTime, func() {
		if n.mate() == nil {
			n.cutOff(errors.New("no other connection came with it"))
		}
	})
	defer alone.Stop()
	again := time.AfterFunc(pairTime, l.matchAgain)
	defer again.Stop()
	nc, err := net.Conn(nil), l.foreign(&n.peer)
	if err == nil {
		nc, err = l.secure(&n.peer)
	}
	if err != nil {
		n.end(err, "")
		return
	}
	n.nc = nc
	l.pair(func() { l.mateless = append(l.mateless, n) })
	reason, err := l.readLines(n.nc, n.line, n.ending, n.inited)
	if err != nil {
		n.end(err, reason)
	}
	drain(n.nc)
}

// mate returns the connection it is paired with, nil if there is none.
func (n *notifier) mate() *conn {
	n.link.mu.Lock()
	defer n.link.mu.Unlock()
	return n.conn
}

func (n *notifier) ending() bool {
	c := n.mate()
	return c != nil && c.ending.Load()
}

func (n *notifier) inited() bool {
	c := n.mate()
	return c != nil && c.inited.Load()
}

// end notes that the connection is over: that of the pair is, too.
func (n *notifier) end(err error, reason string) {
	if n.over {
		return
	}
	n.over = true
	l := n.link
	l.mu.Lock()
	l.notifyLobby.leave(&n.peer)
	if i := slices.Index(l.mateless, n); i >= 0 {
		l.mateless = slices.Delete(l.mateless, i, i+1)
	}
	c := n.conn
	if n.why != nil {
		err = n.why
	}
	l.mu.Unlock()
	switch {
	case l.ctx.Err() != nil:
		err, reason = ErrClosed, shuttingDown
	case c == nil:
		l.stats.refused.Add(1)
		l.stats.probes.Add(1)
		l.refusals.Warn("notify", "connection for notifications dropped", "peer", n.raw.RemoteAddr().String(), "reason", err)
	default:
		err = fmt.Errorf("on the connection for notifications: %w", err)
		if reason == "" {
			reason = "the connection for notifications was lost"
		}
	}
	if c != nil {
		c.fail(err, reason)
	}
}

// line handles one line.
func (n *notifier) line(line []byte) {
	if len(line) == 0 || ari.IsKeepalive(line) {
		return
	}
	n.lines++
	l, err := ari.ParseLine(line)
	if err == nil && l.Method == ari.RAC && n.lines == 1 {
		// It may come after the init reply: nothing orders the two connections.
		n.credentials(l)
		return
	}
	c := n.mate()
	if c != nil && c.inited.Load() {
		c.notification(l, err)
		return
	}
	switch {
	case err != nil:
		n.refuse("malformed line before the init reply")
	case l.Method == ari.FAL && c != nil:
		c.failure(l, ari.Latest)
	default:
		n.refuse("line before the init reply")
	}
}

// refuse ends the connection for a protocol error before the init reply.
func (n *notifier) refuse(what string) {
	n.end(fmt.Errorf("%w: protocol error: %s", ErrInit, what), "protocol error: "+what)
	_ = n.raw.Close() // without a mate, nobody else does
}

func (n *notifier) credentials(line ari.Line) {
	params, err := ari.ParseParams(line.Body)
	if err != nil {
		n.refuse("malformed RAC")
		return
	}
	user, ok := n.link.admits(params)
	if !ok {
		n.end(fmt.Errorf("%w: user %q or its password refused", ErrInit, bounded(user)), "wrong user or password")
		_ = n.raw.Close()
		return
	}
	odd := false
	n.link.pair(func() {
		n.admitted, n.known, n.rac, n.user = true, true, true, user
		odd = n.conn != nil && n.conn.rac && n.conn.user != user
	})
	if odd {
		n.refuse("the two connections have different users")
	}
}

// notification handles a line of the other connection, after init.
func (c *conn) notification(l ari.Line, err error) {
	switch {
	case err != nil:
		c.noise("malformed line ignored", err)
	case l.Method == ari.RAC:
		c.protocolError("RAC is not the first line")
	case l.Method == ari.FAL:
		c.failure(l, c.version)
	case l.Method == ari.UD3, l.Method == ari.EOS, l.Method == ari.CLS, l.Method == ari.DFD && c.version.AtLeast(ari.V190):
		c.link.side.event(c, l)
	default:
		c.unexpected(l)
	}
}

// pair notes a change, joins connections that belong together, and has init asked for where nothing
// is missing any more.
func (l *link) pair(change func()) {
	l.mu.Lock()
	change()
	l.match()
	var invited []*conn
	for _, c := range l.waiting {
		if c.admitted && (!l.cfg.twoConnections() || c.mate != nil && c.mate.admitted) {
			invited = append(invited, c)
		}
	}
	l.waiting = slices.DeleteFunc(l.waiting, func(c *conn) bool { return slices.Contains(invited, c) })
	l.mu.Unlock()
	for _, c := range invited {
		c.sendInit()
	}
}

// matchAgain joins what has waited for better company.
func (l *link) matchAgain() { l.pair(func() {}) }

// match joins connections that belong together. mu is held.
func (l *link) match() {
	for _, c := range l.waiting {
		if c.mate != nil {
			continue
		}
		if n := l.mateOf(c); n != nil {
			c.mate, n.conn = n, c
			l.notifyLobby.leave(&n.peer)
			l.mateless = slices.DeleteFunc(l.mateless, func(other *notifier) bool { return other == n })
		}
	}
}

// mateOf returns the connection for notifications that belongs to c; nil if there is none, or it is
// too early to tell. mu is held.
func (l *link) mateOf(c *conn) *notifier {
	now := time.Now()
	var best *notifier
	for _, n := range l.mateless {
		switch {
		case n.addr != c.addr, c.rac && n.rac && c.user != n.user:
		case c.rac && n.rac:
			return n
		case l.cfg.Auth, now.Sub(c.came) < pairTime, now.Sub(n.came) < pairTime:
		case best == nil || distance(c, n) < distance(c, best):
			best = n
		}
	}
	return best
}

func distance(c *conn, n *notifier) time.Duration { return c.came.Sub(n.came).Abs() }
