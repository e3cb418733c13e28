package proxy

import (
	"net"
	"time"
)

const (
	// vanishedTime is how long the other end of a TCP connection may be gone before that is noticed by
	// the system: what is sent stays unacknowledged, or, where nothing is sent, so do probes.
	vanishedTime  = 15 * time.Second
	probeInterval = 5 * time.Second
)

var probes = net.KeepAliveConfig{
	Enable: true, Idle: probeInterval, Interval: probeInterval, Count: int(vanishedTime/probeInterval) - 1,
}

// watchSocket has the system find out that the peer of a TCP connection has vanished. Connections of
// other kinds have no such thing.
func watchSocket(nc net.Conn) error {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	if err := t.SetKeepAliveConfig(probes); err != nil {
		return err
	}
	return boundSilence(t)
}
