package adapter

import (
	"net"
	"syscall"
	"time"
)

// halfOpenTimeout is how long written data may stay unacknowledged, or unsent because the other end does not read. Without it the system tries for a
// quarter of an hour before it gives up a connection whose other end has vanished, since keepalive probes are not sent while data is on its way.
const halfOpenTimeout = 2 * time.Minute

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall does not name.
const tcpUserTimeout = 18

// defaultDialer returns what dials if the author gives no Dial.
func defaultDialer() *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(halfOpenTimeout.Milliseconds()))
		}); e != nil {
			return e
		}
		return err
	}}
}
