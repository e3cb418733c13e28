package proxy

import "net"

// PeerKind is what has become of a peer.
type PeerKind uint8

// The kinds.
const (
	PeerRefused   PeerKind = iota // it was turned down, or did not come to a good init reply
	PeerConnected                 // it is the remote adapter
	PeerLost                      // it was the remote adapter
)

// PeerEvent is the coming or going of a peer at the adapter's address.
type PeerEvent struct {
	Kind   PeerKind
	Addr   string // of the peer
	User   string // of its credentials, bounded; empty if it has sent none
	Reason string // why it was refused or is lost
}

// tellPeer passes an event on. The end of the proxy itself is none.
func (l *link) tellPeer(kind PeerKind, nc net.Conn, user, reason string) {
	if l.cfg.Peers == nil || l.ctx.Err() != nil {
		return
	}
	l.cfg.Peers(PeerEvent{kind, nc.RemoteAddr().String(), user, reason})
}
