package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
)

// accept is the acceptor's goroutine: it turns down whom it must, and hands the others to run, which takes one at a time.
func (l *link) accept() {
	l.acceptOn(l.ln, l.cfg.Listener != nil, func(nc net.Conn) string {
		if why := l.takePlace(); why != "" {
			return why
		}
		select {
		case l.conns <- nc:
			return ""
		case <-l.ctx.Done():
			return ErrClosed.Error()
		}
	})
}

// acceptOn accepts connections until the listener is closed. take gets each that may connect; when it tells why not, the
// connection is closed. given says that the listener is not of our making.
func (l *link) acceptOn(ln net.Listener, given bool, take func(nc net.Conn) (refusal string)) {
	wait := 10 * time.Millisecond
	failures := sample.New(l.log, time.Minute, 1)
	for {
		nc, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || l.ctx.Err() != nil {
				return
			}
			failures.Warn("accept", "cannot accept connections; trying again", "addr", ln.Addr().String(), "error", err)
			l.sleep(wait)
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 10 * time.Millisecond
		if t, ok := nc.(*net.TCPConn); ok && given {
			_ = t.SetKeepAlive(true) // a given listener may have been made without; failing is not worth the connection
		}
		why := l.foreign(nc)
		if why == "" {
			why = take(nc)
		}
		if why != "" {
			l.stats.refused.Add(1)
			l.log.Warn("connection refused", "peer", nc.RemoteAddr().String(), "reason", why)
			_ = nc.Close()
		}
	}
}

// foreign tells why a peer may not connect at all; empty if it may.
func (l *link) foreign(nc net.Conn) string {
	if l.cfg.Whitelist != nil {
		if err := l.whitelisted(nc.RemoteAddr()); err != nil {
			return err.Error()
		}
	}
	return ""
}

// takePlace takes the place of the remote, or tells why it is not to be had.
func (l *link) takePlace() string {
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
