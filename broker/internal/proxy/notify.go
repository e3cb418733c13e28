package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// notifier is the second connection with a remote of ARI 1.9.0 and before: it brings the notifications, and is never written
// to. Its goroutine is the link's, and is waited for by the conn it is paired with. The first of each port that come are a
// pair; there is nothing on the wire by which they could be told apart.
type notifier struct {
	link    *link
	nc, raw net.Conn // as those of conn; nc is set when the handshake is over
	log     *slog.Logger
	done    chan struct{} // closed when the goroutine has ended

	// Of its goroutine.
	lines int  // read, keepalives not counted
	over  bool // end was called

	// Guarded by link.mu.
	secured  bool  // the handshake is over: it can be paired
	admitted bool  // its credentials were good, or are not checked
	conn     *conn // the other connection of the pair; nil before
}

// acceptNotifiers is the goroutine that accepts connections on the port for notifications.
func (l *link) acceptNotifiers() {
	l.acceptOn(l.notifyLn, l.cfg.NotifyListener != nil, func(nc net.Conn) string {
		n := &notifier{
			link: l, nc: nc, raw: nc, done: make(chan struct{}), admitted: !l.cfg.Auth,
			log: l.log.With("peer", nc.RemoteAddr().String(), "port", "notify"),
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case l.second != nil:
			return "there is a connection for notifications already"
		case l.paused:
			return "waiting after a failed attempt"
		}
		l.second = n
		l.all.Go(n.run)
		return ""
	})
}

// run is the notifier's goroutine.
func (n *notifier) run() {
	defer close(n.done)
	stop := context.AfterFunc(n.link.ctx, func() { _ = n.raw.Close() })
	defer stop()
	limit := n.link.openingTime()
	alone := time.AfterFunc(limit, func() {
		if n.mate() == nil {
			n.log.Warn("connection for notifications dropped: no other connection came with it")
			_ = n.raw.Close()
		}
	})
	defer alone.Stop()
	defer n.raw.Close()
	nc, err := n.link.secure(n.raw)
	if err != nil {
		n.end(fmt.Errorf("no TLS with the peer: %w", err), "")
		return
	}
	n.nc = nc
	n.link.pair(func() { n.secured = true })
	reason, err := n.link.readLines(n.nc, n.line, n.ending, n.watched)
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

func (n *notifier) watched() bool {
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
	if l.second == n {
		l.second = nil
	}
	c := n.conn
	l.mu.Unlock()
	switch {
	case l.ctx.Err() != nil:
		err, reason = ErrClosed, shuttingDown
	case c == nil:
		n.log.Warn("connection for notifications lost", "error", err)
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
	n.log.Info("credentials received", "user", bounded(user))
	if !ok {
		n.end(fmt.Errorf("%w: user %q or its password refused", ErrInit, bounded(user)), "wrong user or password")
		_ = n.raw.Close()
		return
	}
	n.link.pair(func() { n.admitted = true })
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

// pair notes a change, joins the two connections if both are there, and has init asked for when nothing is missing any more.
func (l *link) pair(change func()) {
	l.mu.Lock()
	change()
	if c, n := l.waiting, l.second; c != nil && n != nil && n.secured {
		c.mate, n.conn, l.waiting = n, c, nil
		if !l.cfg.Robust {
			_ = l.notifyLn.Close() // it takes one remote in its life
		}
	}
	c := l.opening
	invite := c != nil && c.admitted && (!l.cfg.twoConnections() || c.mate != nil && c.mate.admitted)
	if invite {
		l.opening = nil
	}
	l.mu.Unlock()
	if invite {
		c.sendInit()
	}
}
