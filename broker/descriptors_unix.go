//go:build unix

package broker

import (
	"net"
	"syscall"
)

// descriptorLimit returns how many file descriptors the process may have; 0 if that is not known.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	const much = 1 << 30                     // also stands for infinity
	return int(min(uint64(limit.Cur), much)) //nolint:unconvert // it is signed on some systems
}

// descriptor returns the number of a connection's descriptor; -1 if it has none. The system gives
// the lowest number that is free, so that as many or more are in use.
func descriptor(nc net.Conn) int {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return -1
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1
	}
	n := -1
	if raw.Control(func(fd uintptr) { n = int(fd) }) != nil {
		return -1
	}
	return n
}
