package broker

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a client's connection. It gives its place back when it is closed, bounds each write, and
// charges what the peer sends before there is a handler that could.
type conn struct {
	net.Conn
	gate  *gate
	addr  *address    // nil: not bounded by address
	spare bool        // beyond the limit: only for one monitoring page
	cut   *time.Timer // of a spare connection
	once  sync.Once

	// watched is set while a write need not be bounded here: its owner has set a deadline, or
	// bounds the writes of an upgraded connection in its own way.
	watched  atomic.Bool
	upgraded atomic.Bool
	// waking is set while the server interrupts its own read: that is no time-out of the peer.
	waking atomic.Bool

	mu      sync.Mutex
	head    bool // the header of a request is awaited or arriving
	got     int  // bytes of it
	charged int64
	served  bool // there was a request
}

// headFactor is about how many times more memory a header takes than it has bytes, when it is made
// of the shortest possible lines.
const headFactor = 16

// errBusy ends a connection whose header finds no room.
var errBusy = errors.New("broker: no memory left for requests")

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.charge(n) {
		c.gate.n.requestMemory.Add(1)
		return 0, errBusy
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && !c.waking.Load() && c.arriving() {
		c.gate.n.requestTimeouts.Add(1)
	}
	return n, err
}

// charge takes memory for n bytes that have come, if they are of a header.
func (c *conn) charge(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.head {
		return true
	}
	c.got += n
	more := int64(n) * headFactor
	if !c.gate.memoryOf(c.addr).Take(more) {
		return false
	}
	c.charged += more
	return true
}

// arriving reports whether the peer owes the rest of a request, or the first one.
func (c *conn) arriving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.head || c.got > 0 || !c.served
}

// handled says that a header has arrived: from then on the handler charges the request.
func (c *conn) handled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head, c.served = false, true
	c.free()
}

// idle says that the next request is awaited.
func (c *conn) idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head, c.got = true, 0
	c.free()
}

// free gives back what is charged. mu is held.
func (c *conn) free() {
	if c.charged > 0 {
		c.gate.memoryOf(c.addr).Add(-c.charged)
		c.charged = 0
	}
}

// upgrade says that somebody else bounds the writes from now on.
func (c *conn) upgrade() { c.upgraded.Store(true) }

// writeChunk is how many bytes have to be taken within the write timeout.
const writeChunk = 64 << 10

// Write bounds the time of a write for which nobody else does: the peer has to take some of it
// within the timeout, so that a large one goes on as long as it is read.
func (c *conn) Write(p []byte) (n int, err error) {
	if c.upgraded.Load() || c.watched.Load() {
		n, err = c.Conn.Write(p)
	} else {
		for first := true; err == nil && (first || n < len(p)); first = false {
			err = c.Conn.SetWriteDeadline(time.Now().Add(c.gate.writeTimeout))
			if err == nil {
				var m int
				m, err = c.Conn.Write(p[n:min(len(p), n+writeChunk)])
				n += m
			}
		}
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		c.gate.n.writeTimeouts.Add(1)
	}
	return n, err
}

func (c *conn) SetDeadline(t time.Time) error {
	c.waking.Store(past(t))
	c.watched.Store(!t.IsZero())
	return c.Conn.SetDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.waking.Store(past(t))
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.watched.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// past reports whether a deadline is one of those that only wake a reader up.
func past(t time.Time) bool { return !t.IsZero() && t.Before(time.Now().Add(-time.Second)) }

// CloseWrite lets the server end a response before it closes, so that it is not lost in a reset.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		if c.cut != nil {
			c.cut.Stop()
		}
		c.handled()
		c.gate.closedConn(c)
	})
	return err
}
