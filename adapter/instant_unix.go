//go:build unix

package adapter

import (
	"net"
	"syscall"
)

// instant writes to a socket what the system takes without waiting.
type instant struct {
	raw  syscall.RawConn
	buf  []byte
	n    int
	once func(fd uintptr) bool
}

// newInstant returns nil if conn is not a plain socket: another type may do more in Write than write.
func newInstant(conn net.Conn) *instant {
	var raw syscall.RawConn
	var err error
	switch c := conn.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	i := &instant{raw: raw}
	i.once = func(fd uintptr) bool {
		for {
			n, err := syscall.Write(int(fd), i.buf)
			if err == syscall.EINTR {
				continue
			}
			i.n = max(n, 0)
			return true // whatever it says, there is no second attempt
		}
	}
	return i
}

// write returns how many bytes were taken. What the matter is if none were, the next proper write will find out. Calls must not overlap with others, nor with
// writes to the connection.
func (i *instant) write(buf []byte) int {
	i.buf, i.n = buf, 0
	_ = i.raw.Write(i.once)
	i.buf = nil
	return i.n
}
