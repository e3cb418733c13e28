package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// accept is the acceptor's goroutine: each connection gets one of its own, which ends with it.
func (l *link) accept() {
	l.acceptOn(l.ln, func(nc net.Conn) {
		c := newConn(l, nc)
		l.mu.Lock()
		displaced, ok := l.lobby.enter(&c.peer)
		if ok {
			l.serving.Go(func() {
				inited, err := l.serve(c)
				l.ended(c, inited, err)
			})
		}
		l.mu.Unlock()
		l.admit(&c.peer, displaced, ok)
	})
}

// admit does what has followed from entering a lobby: somebody may have to go.
func (l *link) admit(p, displaced *peer, ok bool) {
	if !ok {
		l.turnedDown(p.raw, errCrowded)
		p.cancel()
		_ = p.raw.Close()
	}
	if displaced != nil {
		displaced.cut(errCrowded)
	}
}

// acceptOn accepts connections until the listener is closed.
func (l *link) acceptOn(ln net.Listener, take func(nc net.Conn)) {
	wait := 10 * time.Millisecond
	for {
		nc, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || l.ctx.Err() != nil {
				return
			}
			l.refusals.Error("accept", "cannot accept connections", "addr", ln.Addr().String(), "error", err)
			l.sleep(wait)
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 10 * time.Millisecond
		if err = watchSocket(nc); err != nil {
			l.log.Debug("cannot have the system watch a connection", "error", err)
		}
		take(nc)
	}
}

// turnedDown notes a peer for which there was never a place.
func (l *link) turnedDown(nc net.Conn, why error) {
	l.stats.refused.Add(1)
	l.refusals.Warn("refused", "connection refused", "peer", nc.RemoteAddr().String(), "reason", why)
	l.tellPeer(PeerRefused, nc, "", why.Error())
}

// foreign tells why a peer may not connect at all.
func (l *link) foreign(p *peer) error {
	if l.cfg.Whitelist == nil || l.ln == nil {
		return nil
	}
	return l.whitelisted(p.ctx, p.raw.RemoteAddr())
}

// whitelisted looks the peer up in the whitelist. Names are resolved at each connection: they may change.
func (l *link) whitelisted(ctx context.Context, peer net.Addr) error {
	ap, err := netip.ParseAddrPort(peer.String())
	if err != nil {
		return fmt.Errorf("its address %q cannot be compared with the whitelist", peer)
	}
	addr := ap.Addr().Unmap().WithZone("")
	for _, host := range l.cfg.Whitelist {
		if known, perr := netip.ParseAddr(host); perr == nil {
			if known.Unmap().WithZone("") == addr {
				return nil
			}
			continue
		}
		found, rerr := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if rerr != nil {
			l.refusals.Warn("whitelist", "a name of the whitelist cannot be resolved", "host", host, "error", rerr)
		}
		for _, f := range found {
			if f.Unmap().WithZone("") == addr {
				return nil
			}
		}
	}
	return errors.New("it is not in the whitelist")
}
