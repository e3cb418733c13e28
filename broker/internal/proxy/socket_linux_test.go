package proxy

import (
	"maps"
	"net"
	"syscall"
	"testing"
)

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall does not name.
const tcpUserTimeout = 18

// TestSocketsAreWatched: probes find out within 15 s that the other host has vanished; the system's
// own limit on unacknowledged data is left alone, since it cuts off remotes that are well and were
// merely stopped for as long.
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
	got := make(map[int]int)
	if err = raw.Control(func(fd uintptr) {
		for _, option := range []int{syscall.TCP_KEEPIDLE, syscall.TCP_KEEPINTVL, syscall.TCP_KEEPCNT, tcpUserTimeout} {
			got[option], _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if want := map[int]int{syscall.TCP_KEEPIDLE: 5, syscall.TCP_KEEPINTVL: 5, syscall.TCP_KEEPCNT: 2, tcpUserTimeout: 0}; !maps.Equal(got, want) {
		t.Errorf("options %v, want %v", got, want)
	}
}
