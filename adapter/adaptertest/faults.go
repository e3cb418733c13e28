package adaptertest

import (
	"errors"
	"fmt"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// Cut ends the connection: with nil in good order, so that the adapter reads what was sent and then the end of the stream; else at
// once, and reads and writes of the adapter fail with err, what is under way being lost.
func (c *Conn) Cut(err error) {
	c.mu.Lock()
	why := errors.New("the proxy has cut the connection")
	if err != nil {
		why = fmt.Errorf("the proxy has cut the connection: %w", err)
	}
	if c.over == nil {
		c.over = why
	}
	c.changed()
	c.mu.Unlock()
	if err != nil {
		c.socket.reset(err)
	}
	c.finish()
}

// Close tells the adapter why and ends the connection, as a proxy does that wants to be rid of it. Wire: CLOSE.
func (c *Conn) Close(reason string) {
	c.mu.Lock()
	c.send(ari.AppendClose(nil, reason))
	c.mu.Unlock()
	c.Cut(nil)
}

// finish closes the proxy's end and waits for the reader.
func (c *Conn) finish() {
	c.Resume()
	_ = c.socket.Close()
	<-c.done
}

// Stall makes the proxy stop reading: what the adapter sends fills the buffer of the connection ([Proxy.Buffer]), and then the adapter's writes
// wait. Requests can still be sent. The keepalive time-out is suspended.
func (c *Conn) Stall() { c.stall(true) }

// Resume ends [Conn.Stall].
func (c *Conn) Resume() { c.stall(false) }

func (c *Conn) stall(on bool) {
	c.mu.Lock()
	if c.stalled != on {
		c.stalled = on
		if on {
			c.log.note("the proxy stops reading")
		} else {
			c.log.note("the proxy reads again")
		}
		if c.silence != nil && c.over == nil {
			c.silence.Stop()
			if !on {
				c.silence.Reset(c.timeout)
			}
		}
	}
	c.mu.Unlock()
	c.socket.in.update(func() { c.socket.in.stalled = on })
}

// Corrupt lets change have a copy of the bytes of each line sent to the adapter, its end included, and sends what it returns instead; nil ends it.
// The checker goes by the line as it was meant. change must not call methods of c.
func (c *Conn) Corrupt(change func([]byte) []byte) {
	c.socket.out.update(func() { c.socket.out.change = change })
}

// Delay makes bytes take that long from now on, in both directions.
func (c *Conn) Delay(d time.Duration) {
	c.socket.out.update(func() { c.socket.out.delay = d })
	c.socket.in.update(func() { c.socket.in.delay = d })
}

// watchSilence begins to hold the adapter to the keepalive time-out.
func (c *Conn) watchSilence() {
	timeout := c.timeout
	if timeout <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		return
	}
	c.silence = time.AfterFunc(timeout, func() {
		c.mu.Lock()
		if c.over != nil || c.stalled {
			c.mu.Unlock()
			return
		}
		c.over = errSilence
		c.report.errorf("the adapter was silent for %v; it has to send keepalives%s", timeout, &c.log)
		c.send(ari.AppendClose(nil, errSilence.Error()))
		c.changed()
		c.mu.Unlock()
		_ = c.socket.Close()
	})
}
