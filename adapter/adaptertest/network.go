package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// DefaultBuffer is how many bytes each direction of a connection holds.
const DefaultBuffer = 64 << 10

// How many connections wait for Accept; more are refused.
const backlog = 128

// A Network connects the goroutines of one process as TCP over a loopback would, in memory: bytes in order, buffers of a limited size, end of
// stream after buffered data, deadlines. Nothing in it is a socket and nothing waits with a lock held, so inside a testing/synctest bubble
// whoever waits is durably blocked and virtual time goes on. Make it, and use it, inside of the bubble.
//
// The methods are safe for concurrent use.
type Network struct {
	// Buffer is how many bytes each direction of a connection holds before a write waits for the reader. 0: DefaultBuffer;
	// negative: no limit. It is read for each new connection and must not be changed while connections are made.
	Buffer int

	mu        sync.Mutex
	listeners map[string]*Listener
	lastPort  int
}

// NewNetwork returns a network on which nobody listens.
func NewNetwork() *Network {
	return &Network{listeners: make(map[string]*Listener), lastPort: 40000}
}

// memoryAddr is "host:port" of a Network.
type memoryAddr string

func (memoryAddr) Network() string  { return "tcp" }
func (a memoryAddr) String() string { return string(a) }

// Listen returns a listener at addr, "host:port"; host is any name, and port 0 chooses a free one. It fails if somebody listens there.
func (n *Network) Listen(addr string) (*Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("adaptertest: listen: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == "0" {
		addr = net.JoinHostPort(host, n.nextPort())
	}
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: memoryAddr(addr), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &Listener{network: n, addr: memoryAddr(addr)}
	l.cond.L = &l.mu
	n.listeners[addr] = l
	return l, nil
}

// nextPort returns a port that was never given out. mu is held.
func (n *Network) nextPort() string {
	n.lastPort++
	return strconv.Itoa(n.lastPort)
}

// Dial connects to the listener at addr. It returns at once, before the connection is accepted, as TCP does. With nobody
// listening, or too many connections waiting for Accept, the error is syscall.ECONNREFUSED. network has to be one of the TCP names. The
// signature is that of [adapter.DataServer.Dial].
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, fmt.Errorf("adaptertest: dial %s: network %q is not TCP", addr, network)
	}
	if err := ctx.Err(); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: memoryAddr(addr), Err: err}
	}
	n.mu.Lock()
	l := n.listeners[addr]
	from := memoryAddr(net.JoinHostPort("dialer", n.nextPort()))
	n.mu.Unlock()
	ours, theirs := newSockets(from, memoryAddr(addr), n.buffer())
	if l == nil || !l.offer(theirs) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: memoryAddr(addr), Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	return ours, nil
}

func (n *Network) buffer() int {
	if n.Buffer == 0 {
		return DefaultBuffer
	}
	return max(n.Buffer, 0)
}

// A Listener takes the connections dialled to one address of a [Network]. It is a net.Listener with a deadline, as *net.TCPListener is, and so fits
// the Listener field of a server.
type Listener struct {
	network *Network
	addr    memoryAddr

	mu      sync.Mutex
	cond    sync.Cond
	waiting []*socket
	refuse  bool
	closed  bool
	timer   *time.Timer
	passed  bool // the deadline
}

var _ net.Listener = (*Listener)(nil)

// Addr returns the address.
func (l *Listener) Addr() net.Addr { return l.addr }

// Accept waits for a connection, the deadline (os.ErrDeadlineExceeded) or Close (net.ErrClosed).
func (l *Listener) Accept() (net.Conn, error) {
	s, err := l.accept()
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: err}
	}
	return s, nil
}

func (l *Listener) accept() (*socket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.closed:
			return nil, net.ErrClosed
		case l.passed:
			return nil, os.ErrDeadlineExceeded
		case len(l.waiting) > 0:
			s := l.waiting[0]
			l.waiting = l.waiting[1:]
			return s, nil
		}
		l.cond.Wait()
	}
}

// SetDeadline sets when Accept gives up; zero: never. It can be called while Accept waits.
func (l *Listener) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.passed = false
	if t.IsZero() {
		return nil
	}
	if wait := time.Until(t); wait > 0 {
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			l.mu.Lock()
			if l.timer == timer { // not replaced meanwhile
				l.passed = true
				l.cond.Broadcast()
			}
			l.mu.Unlock()
		})
		l.timer = timer
		return nil
	}
	l.passed = true
	l.cond.Broadcast()
	return nil
}

// Close frees the address and breaks the connections that nobody has accepted. It can be called again.
func (l *Listener) Close() error {
	l.network.mu.Lock()
	if l.network.listeners[string(l.addr)] == l {
		delete(l.network.listeners, string(l.addr))
	}
	l.network.mu.Unlock()
	l.mu.Lock()
	l.closed = true
	l.turnAway()
	l.mu.Unlock()
	return nil
}

var errTurnedAway = errors.New("connection reset: it was not accepted")

// turnAway breaks what waits. mu is held.
func (l *Listener) turnAway() {
	for _, s := range l.waiting {
		s.reset(errTurnedAway)
	}
	l.waiting = nil
	l.cond.Broadcast()
}

// offer reports false if the connection is refused.
func (l *Listener) offer(s *socket) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.refuse || len(l.waiting) >= backlog {
		return false
	}
	l.waiting = append(l.waiting, s)
	l.cond.Broadcast()
	return true
}

// setRefuse makes the listener behave as if there were none, or ends that.
func (l *Listener) setRefuse(refuse bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse = refuse; refuse {
		l.turnAway()
	}
}
