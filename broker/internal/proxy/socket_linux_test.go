package proxy

import (
	"net"
	"syscall"
	"testing"
)

// TestSocketsAreWatched: the system gives up a connection whose other end has vanished after seconds, not a quarter of an hour.
func TestSocketsAreWatched(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ours, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	if err = watchSocket(ours); err != nil {
		t.Fatal(err)
	}
	raw, err := ours.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var timeout, idle int
	if err = raw.Control(func(fd uintptr) {
		timeout, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
		idle, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE)
	}); err != nil {
		t.Fatal(err)
	}
	if timeout != 15_000 || idle != 5 {
		t.Errorf("TCP_USER_TIMEOUT is %d ms, keepalive probes begin after %d s", timeout, idle)
	}
}
