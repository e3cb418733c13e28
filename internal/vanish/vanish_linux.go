//go:build linux && !386 && !s390x

package vanish

import (
	"net"
	"syscall"
	"time"
	"unsafe"
)

// acknowledged tells what the system knows of the other host's acknowledgements.
func acknowledged(tcp *net.TCPConn) (a acks, ok bool) {
	var info syscall.TCPInfo
	err := control(tcp, func(fd uintptr) error {
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // package syscall has the type, but no call that fills it
		if errno != 0 {
			return errno
		}
		return nil
	})
	return acks{
		missing: info.Unacked > 0 && info.Retransmits > 0,
		silence: time.Duration(info.Last_ack_recv) * time.Millisecond,
	}, err == nil
}

// Unacknowledged returns how many of the bytes written the other host has not acknowledged, after
// the end of the connection too; 0 if the system does not tell.
func Unacknowledged(tcp *net.TCPConn) int64 {
	var n int32
	err := control(tcp, func(fd uintptr) error {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n))) //nolint:gosec // package syscall has no other way
		if errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil {
		return 0
	}
	return int64(n)
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
