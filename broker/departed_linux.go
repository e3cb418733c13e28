package broker

import (
	"encoding/binary"
	"net"
	"syscall"
)

// tcpEstablished is the state of a TCP connection that neither end has closed.
const tcpEstablished = 1

// departed reports whether the other end of a TCP connection has closed it, or its half of it, even
// if there is something left to read. When it can't be told, it is false.
func departed(nc net.Conn) bool {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	state := byte(tcpEstablished)
	_ = raw.Control(func(fd uintptr) { // a closed descriptor tells nothing
		// Of TCP_INFO the first four bytes, and of these the first is the state.
		info, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
		if err == nil {
			var b [4]byte
			binary.NativeEndian.PutUint32(b[:], uint32(info))
			state = b[0]
		}
	})
	return state != tcpEstablished
}
