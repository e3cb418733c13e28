//go:build interop

package clients

import (
	"bytes"
	"net"
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
	down   bytes.Buffer  // bytes for clients, since the last reset
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
		f.work.Go(func() { f.copy(server, client, func(p []byte) []byte { return p }) })
		f.work.Go(func() { f.copy(client, server, f.toClient) })
	}
}

// copy forwards one direction. Its end is that of both: half a connection is not needed here.
func (f *forwarder) copy(to, from net.Conn, filter func([]byte) []byte) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p := filter(buf[:n])
			if _, werr := to.Write(p); werr != nil {
				err = werr
			}
			if len(p) < n { // cut
				f.mu.Lock()
				f.closeAll()
				close(f.cut)
				f.cut = nil
				f.mu.Unlock()
				return
			}
		}
		if err != nil {
			f.mu.Lock()
			f.close(to)
			f.close(from)
			f.mu.Unlock()
			return
		}
	}
}

// toClient notes what goes to clients, and takes a half of it away when it is time for a cut. Only what is long enough to be a line with an update is
// worth that.
func (f *forwarder) toClient(p []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down.Write(p)
	// An answer over HTTP of which nothing came, its head not either, is asked for again by browsers without a word to the client.
	if f.cut != nil && bytes.Contains(p, []byte("U,")) && !bytes.HasPrefix(p, []byte("HTTP/")) {
		return p[:len(p)/2]
	}
	return p
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
