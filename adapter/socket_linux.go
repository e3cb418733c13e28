package adapter

import (
	"net"
	"syscall"
)

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall does not name.
const tcpUserTimeout = 18

// prepare makes the system give up a connection in whose way a proxy stands that does not read.
func prepare(tcp *net.TCPConn) error {
	return control(tcp, func(fd uintptr) error {
		return syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unreadTimeout.Milliseconds()))
	})
}

func control(tcp *net.TCPConn, f func(fd uintptr) error) error {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = f(fd) }); e != nil {
		return e
	}
	return err
}
