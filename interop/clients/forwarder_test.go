//go:build interop

package clients

import (
	"bytes"
	"net"
	"regexp"
	"strings"
	"sync"
)

// forwarder stands between clients and a broker, on TCP: it can cut what goes through it, and see it.
type forwarder struct {
	url      string
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	target string // host:port of the broker
	closed bool
	conns  map[net.Conn]bool
	cut    chan struct{} // not nil: cut in the midst of the next bytes for a client, and close it
	lose   *loss
	down   bytes.Buffer // bytes for clients, since the last reset
}

// forward starts a forwarder to the broker at url, which works until the capability has been tried.
func forward(l *lab, url string) *forwarder {
	l.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.Fatal(err)
	}
	f := &forwarder{url: "http://" + listener.Addr().String(), listener: listener, conns: make(map[net.Conn]bool)}
	f.retarget(url)
	f.work.Go(f.accept)
	l.Cleanup(func() {
		listener.Close()
		f.mu.Lock()
		f.closed = true
		f.closeAll()
		f.mu.Unlock()
		f.work.Wait()
	})
	return f
}

// retarget makes new connections go to another broker.
func (f *forwarder) retarget(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target = strings.TrimPrefix(url, "http://")
}

func (f *forwarder) accept() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return // closed
		}
		f.mu.Lock()
		target := f.target
		f.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			client.Close()
			continue
		}
		f.mu.Lock()
		f.conns[client], f.conns[server] = true, true
		if f.closed {
			f.closeAll()
		}
		f.mu.Unlock()
		f.work.Go(func() { f.copy(server, client, func(p []byte) ([]byte, func()) { return p, nil }) })
		f.work.Go(func() { f.copy(client, server, (&downstream{f: f}).filter) })
	}
}

// copy forwards one direction, as a filter lets it: the filter returns what is to be forwarded and, if the connection is to be cut then, what to do
// about it, with mu held. The end of one direction is that of both: half a connection is not needed here.
func (f *forwarder) copy(to, from net.Conn, filter func([]byte) (rest []byte, cut func())) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		var cut func()
		if n > 0 {
			var rest []byte
			rest, cut = filter(buf[:n])
			if _, werr := to.Write(rest); werr != nil {
				err = werr
			}
		}
		if cut == nil && err == nil {
			continue
		}
		f.mu.Lock()
		if cut != nil {
			cut()
		}
		f.close(to)
		f.close(from)
		f.mu.Unlock()
		return
	}
}

// downstream is the way of one connection to the client.
type downstream struct {
	f    *forwarder
	loss *loss
	lost []byte // so far
}

// loss is an answer to be lost. Nil: none is.
type loss struct {
	with *regexp.Regexp // what has to be in it
	done chan struct{}  // to be closed when it is lost
}

// filter notes what goes to clients, and takes away what is to be lost: all of an answer to a bind, or a half of some bytes. Only what is long enough
// to be a line with an update is worth a cut.
func (d *downstream) filter(p []byte) (rest []byte, cut func()) {
	f := d.f
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down.Write(p)
	head := bytes.HasPrefix(p, []byte("HTTP/"))
	if f.lose != nil && head && bytes.Contains(p, []byte("\nCONOK,")) {
		d.loss, f.lose = f.lose, nil
	}
	if d.loss != nil {
		d.lost = append(d.lost, p...)
		switch {
		case d.loss.with.Match(d.lost):
			return nil, func() { close(d.loss.done) }
		case bytes.Contains(d.lost, []byte("\nLOOP,")): // it is complete, and not worth it: the next one, then
			f.lose, d.loss = d.loss, nil
			rest, d.lost = d.lost, nil
			return rest, nil
		}
		return nil, nil
	}
	// An answer of which nothing came, its head not either, is asked for again by some clients' network layers, without a word to the client.
	if done := f.cut; done != nil && bytes.Contains(p, []byte("U,")) && !head {
		f.cut = nil
		return p[:len(p)/2], func() {
			f.closeAll()
			close(done)
		}
	}
	return p, nil
}

// close ends a connection. mu is held.
func (f *forwarder) close(c net.Conn) {
	if f.conns[c] {
		delete(f.conns, c)
		_ = c.Close() // nothing can be done about it
	}
}

func (f *forwarder) closeAll() {
	for c := range f.conns {
		f.close(c)
	}
}

// cutMidway cuts all connections in the midst of the next update for a client. It returns when that has happened.
func (f *forwarder) cutMidway(l *lab) {
	l.Helper()
	done := make(chan struct{})
	f.mu.Lock()
	f.cut = done
	f.mu.Unlock()
	l.awaitClosed("an update to cut", done)
}

// loseAnswer has the next answer to a bind over HTTP vanish, its head and all: it is taken away until some text is in it, and the connection is cut.
// It returns when that has happened.
func (f *forwarder) loseAnswer(l *lab, with *regexp.Regexp) {
	l.Helper()
	done := make(chan struct{})
	f.mu.Lock()
	f.lose = &loss{with, done}
	f.mu.Unlock()
	l.awaitClosed("an answer to lose", done)
}

// cutNow cuts all connections: what is on its way in either direction may be lost.
func (f *forwarder) cutNow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // it is closed next
		}
	}
	f.closeAll()
}

// seen returns what went to clients since the last call.
func (f *forwarder) seen() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := bytes.Clone(f.down.Bytes())
	f.down.Reset()
	return p
}
