package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// accept is the acceptor's goroutine: it turns down whom it must, and hands the others to run, which takes one at a time.
func (l *link) accept() {
	wait := 10 * time.Millisecond
	for {
		nc, err := l.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || l.ctx.Err() != nil {
				return
			}
			l.log.Error("cannot accept connections", "addr", l.ln.Addr().String(), "error", err)
			l.sleep(wait)
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 10 * time.Millisecond
		if t, ok := nc.(*net.TCPConn); ok && l.cfg.Listener != nil {
			_ = t.SetKeepAlive(true) // a given listener may have been made without; failing is not worth the connection
		}
		if why := l.refusal(nc); why != "" {
			l.stats.refused.Add(1)
			l.log.Warn("connection refused", "peer", nc.RemoteAddr().String(), "reason", why)
			_ = nc.Close()
			continue
		}
		select {
		case l.conns <- nc:
		case <-l.ctx.Done():
			_ = nc.Close()
			return
		}
	}
}

// refusal tells why a peer is turned down; when it is not, the place of the remote is taken.
func (l *link) refusal(nc net.Conn) string {
	if l.cfg.Whitelist != nil {
		if err := l.whitelisted(nc.RemoteAddr()); err != nil {
			return err.Error()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.taken:
		return "there is a remote adapter already"
	case l.paused:
		return "waiting after a failed attempt"
	}
	l.taken = true
	return ""
}

// whitelisted looks the peer up in the whitelist. Names are resolved at each connection: they may change.
func (l *link) whitelisted(peer net.Addr) error {
	ap, err := netip.ParseAddrPort(peer.String())
	if err != nil {
		return fmt.Errorf("its address %q cannot be compared with the whitelist", peer)
	}
	addr := ap.Addr().Unmap().WithZone("")
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTime)
	defer cancel()
	for _, host := range l.cfg.Whitelist {
		if known, perr := netip.ParseAddr(host); perr == nil {
			if known.Unmap().WithZone("") == addr {
				return nil
			}
			continue
		}
		found, rerr := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if rerr != nil {
			l.log.Warn("a name of the whitelist cannot be resolved", "host", host, "error", rerr)
		}
		for _, f := range found {
			if f.Unmap().WithZone("") == addr {
				return nil
			}
		}
	}
	return errors.New("it is not in the whitelist")
}
