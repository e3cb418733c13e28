//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// wire is what lies between two ends: connections to its addresses are passed on to ports of the
// loopback interface, and what goes through can be delayed, cut into pieces, held, thrown away and
// cut off. It is made of processes' sockets: what a peer writes is acknowledged by this machine,
// even when the wire holds it.
type wire struct {
	work sync.WaitGroup

	mu        sync.Mutex
	listeners map[int]net.Listener // by the port they lead to
	conns     map[*wired]bool
	closed    bool
	random    *rand.Rand
	how       fault
	left      int           // bytes of the server until a cut; negative: none is to come
	cut       chan struct{} // closed by that cut
	resets    int64
}

// fault is what happens to the bytes.
type fault struct {
	delay   time.Duration // each way
	pieces  int           // largest write; 0: as they come
	hold    chan struct{} // nothing goes through until it is closed
	swallow bool          // everything is taken, and lost
}

// wired is a connection on its way.
type wired struct {
	client, server *net.TCPConn
	ended          chan struct{}
	// Guarded by the wire's lock.
	lossy bool    // bytes of it are lost: it must not go on
	shut  [2]bool // a direction, up and down, has ended; what still comes is thrown away
	once  sync.Once
}

func newWire(seed uint64) *wire {
	return &wire{
		listeners: make(map[int]net.Listener), conns: make(map[*wired]bool), left: -1,
		random: rand.New(rand.NewPCG(seed, 0)),
	}
}

// to begins to pass connections on to a port.
func (w *wire) to(port int) error {
	l, err := listen(0)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.listeners[port] = l
	w.mu.Unlock()
	w.work.Go(func() { w.accept(l, port) })
	return nil
}

// listen listens on a port of the loopback interface; 0: a free one.
func listen(port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", fmt.Sprint("127.0.0.1:", port))
}

// addr is the address that leads to a port.
func (w *wire) addr(port int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.listeners[port].Addr().String()
}

// close ends everything.
func (w *wire) close() {
	w.mu.Lock()
	w.closed = true
	for _, l := range w.listeners {
		_ = l.Close()
	}
	if w.how.hold != nil {
		close(w.how.hold)
		w.how.hold = nil
	}
	w.mu.Unlock()
	w.reset()
	w.work.Wait()
}

func (w *wire) accept(l net.Listener, port int) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		client := conn.(*net.TCPConn)
		// The address of the client is that of the connection onwards, too.
		dialer := net.Dialer{Timeout: 10 * time.Second}
		if at, ok := client.RemoteAddr().(*net.TCPAddr); ok {
			dialer.LocalAddr = &net.TCPAddr{IP: at.IP}
		}
		w.work.Go(func() {
			server, err := dialer.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
			if err != nil {
				_ = client.SetLinger(0)
				_ = client.Close()
				return
			}
			w.forward(client, server.(*net.TCPConn))
		})
	}
}

func (w *wire) forward(client, server *net.TCPConn) {
	c := &wired{client: client, server: server, ended: make(chan struct{})}
	for _, conn := range []*net.TCPConn{client, server} { // a wire is no store
		_ = conn.SetReadBuffer(socketBuffer)
		_ = conn.SetWriteBuffer(socketBuffer)
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		c.end(true)
		return
	}
	w.conns[c] = true
	w.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { w.pass(c, server, client, false) })
	both.Go(func() { w.pass(c, client, server, true) })
	both.Wait()
	c.end(false)
	w.mu.Lock()
	delete(w.conns, c)
	w.mu.Unlock()
}

// end closes both sides, by a reset if hard.
func (c *wired) end(hard bool) {
	c.once.Do(func() {
		close(c.ended)
		for _, conn := range []*net.TCPConn{c.client, c.server} {
			if hard {
				_ = conn.SetLinger(0)
			}
			_ = conn.Close()
		}
	})
}

// What may be on its way in one direction, besides what the system keeps.
const (
	socketBuffer = 128 << 10
	queueParcels = 64
)

// parcel is what was read at once, and when it is due at the other end.
type parcel struct {
	bytes []byte
	due   time.Time
}

// pass forwards one direction. What was read and is not due yet waits in a bounded queue.
func (w *wire) pass(c *wired, to, from *net.TCPConn, down bool) {
	queue := make(chan parcel, queueParcels)
	w.work.Go(func() {
		for p := range queue {
			if !w.deliver(c, to, p, down) {
				break
			}
		}
		_ = to.CloseWrite() // the other direction may go on
		for range queue {   // nobody gets it
			continue
		}
	})
	defer close(queue)
	for {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		if n > 0 {
			w.mu.Lock()
			due := time.Now().Add(w.how.delay)
			w.mu.Unlock()
			select {
			case queue <- parcel{buf[:n], due}:
			case <-c.ended:
				return
			}
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) {
			c.end(true)
		}
		return
	}
}

// deliver writes a parcel when it is due, and as the fault wants it. It reports whether the
// direction goes on.
func (w *wire) deliver(c *wired, to *net.TCPConn, p parcel, down bool) bool {
	if wait := time.Until(p.due); wait > 0 {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.ended:
			timer.Stop()
			return false
		}
	}
	for len(p.bytes) > 0 {
		w.mu.Lock()
		hold, swallow := w.how.hold, w.how.swallow
		n := len(p.bytes)
		if w.how.pieces > 0 {
			n = min(n, 1+w.random.IntN(w.how.pieces))
		}
		shut := c.shut[direction(down)]
		if swallow {
			c.lossy = true
		}
		var cut chan struct{}
		if down && w.left >= 0 && !swallow && !shut && hold == nil {
			if w.left -= n; w.left < 0 {
				n += w.left
				cut, w.cut, w.left = w.cut, nil, -1
			}
		}
		w.mu.Unlock()
		switch {
		case hold != nil:
			select {
			case <-hold:
			case <-c.ended:
				return false
			}
			continue
		case swallow || shut:
			return true
		}
		if _, err := to.Write(p.bytes[:n]); err != nil {
			c.end(true)
			return false
		}
		p.bytes = p.bytes[n:]
		if cut != nil {
			w.reset()
			close(cut)
			return false
		}
	}
	return true
}

// set makes a fault hold from now on. A hold before is lifted; connections that have lost bytes are
// reset.
func (w *wire) set(how fault) {
	w.mu.Lock()
	before := w.how
	w.how = how
	var lossy []*wired
	for c := range w.conns {
		if c.lossy && !how.swallow {
			lossy = append(lossy, c)
		}
	}
	w.resets += int64(len(lossy))
	w.mu.Unlock()
	if before.hold != nil {
		close(before.hold)
	}
	for _, c := range lossy {
		c.end(true)
	}
}

// reset cuts every connection: what is on its way in either direction is lost.
func (w *wire) reset() {
	w.mu.Lock()
	var all []*wired
	for c := range w.conns {
		all = append(all, c)
	}
	w.resets += int64(len(all))
	w.mu.Unlock()
	for _, c := range all {
		c.end(true)
	}
}

// cutAfter cuts every connection when so many bytes have come from the servers, so that lines are
// cut in two. It returns when that has happened.
func (w *wire) cutAfter(ctx context.Context, bytes int) error {
	cut := make(chan struct{})
	w.mu.Lock()
	w.left, w.cut = bytes, cut
	w.mu.Unlock()
	select {
	case <-cut:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no bytes to cut: %w", context.Cause(ctx))
	}
}

// halfClose ends one direction of every connection: the end of the clients' bytes for the server,
// or that of the server's for the clients. The other direction goes on.
func (w *wire) halfClose(towardsServer bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		c.shut[direction(!towardsServer)] = true
		if towardsServer {
			_ = c.server.CloseWrite()
		} else {
			_ = c.client.CloseWrite()
		}
	}
}

func direction(down bool) int {
	if down {
		return 1
	}
	return 0
}

// intN is a number below n, the same in each run.
func (w *wire) intN(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.IntN(n)
}
