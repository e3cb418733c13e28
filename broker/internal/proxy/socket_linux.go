package proxy

import (
	"net"
	"syscall"
)

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall does not name.
const tcpUserTimeout = 18

// boundSilence has the system give up a connection whose peer has not acknowledged anything, or has not
// taken anything, for vanishedTime. Without it that takes a quarter of an hour, since keepalive probes
// are not sent while data is on its way.
func boundSilence(nc *net.TCPConn) error {
	raw, err := nc.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err = raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(vanishedTime.Milliseconds()))
	}); err != nil {
		return err
	}
	return set
}
