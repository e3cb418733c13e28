package proxy

import (
	"fmt"
	"net"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/vanish"
)

const (
	// vanishedTime is how long the other host of a TCP connection may be gone before that is
	// noticed: what is sent stays unacknowledged, or, where nothing is sent, so do the system's
	// probes.
	vanishedTime  = 15 * time.Second
	probeInterval = 5 * time.Second
)

var probes = net.KeepAliveConfig{
	Enable: true, Idle: probeInterval, Interval: probeInterval, Count: int(vanishedTime/probeInterval) - 1,
}

// watchSocket has the system find out that the peer of a TCP connection has vanished. Connections
// of other kinds have no such thing.
func watchSocket(nc net.Conn) error {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	return t.SetKeepAliveConfig(probes)
}

// watchHost ends a connection whose peer's host has vanished, until done is closed. A peer that is
// well, and only does not read, is not concerned: it may have been stopped for a while.
func (c *conn) watchHost(done <-chan struct{}) {
	t, ok := c.raw.(*net.TCPConn)
	if ok && vanish.Watch(t, vanishedTime, done) {
		c.fail(fmt.Errorf("%w: its host has acknowledged nothing for %v", ErrLost, vanishedTime), "")
	}
}
