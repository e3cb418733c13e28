package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// forwarder passes connections on to a server, and cuts them in the midst of what the server sends.
type forwarder struct {
	listener net.Listener
	to       string
	wg       sync.WaitGroup

	mu     sync.Mutex
	left   int // bytes that the server's side may still send before the cut; negative: there is none to come
	hard   bool
	cut    chan struct{} // closed by the cut
	open   map[*net.TCPConn]struct{}
	closed bool
}

func startForwarder(t *testing.T, to string) *forwarder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{listener: listener, to: to, left: -1, open: make(map[*net.TCPConn]struct{})}
	f.wg.Go(f.accept)
	t.Cleanup(func() {
		listener.Close()
		f.mu.Lock()
		f.closed = true
		f.cutAll()
		f.mu.Unlock()
		f.wg.Wait()
	})
	return f
}

func (f *forwarder) url() string { return "http://" + f.listener.Addr().String() }

func (f *forwarder) accept() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", f.to)
		if err != nil {
			client.Close()
			continue
		}
		f.forward(client.(*net.TCPConn), server.(*net.TCPConn))
	}
}

// forward serves one connection until either side ends it, or it is cut.
func (f *forwarder) forward(client, server *net.TCPConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[client], f.open[server] = struct{}{}, struct{}{}
	if f.closed {
		f.cutAll()
	}
	end := func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range []*net.TCPConn{client, server} {
			delete(f.open, c)
			c.Close()
		}
	}
	f.wg.Go(func() {
		defer end()
		_, _ = io.Copy(server, client) // ends with the connection, whoever ends it
	})
	f.wg.Go(func() {
		defer end()
		_, _ = io.Copy(f.counted(client), server)
	})
}

// cutAfter cuts all connections when the server has sent so many bytes more, so that a line or a frame is cut in two. A hard cut is a reset, by which
// the client may lose what it has not read yet; the other one ends the connections in order. It returns when the cut is done.
func (f *forwarder) cutAfter(bytes int, hard bool) {
	f.mu.Lock()
	cut := make(chan struct{})
	f.left, f.hard, f.cut = bytes, hard, cut
	f.mu.Unlock()
	<-cut
}

// cutAll is called with the lock held.
func (f *forwarder) cutAll() {
	for c := range f.open {
		if f.hard {
			_ = c.SetLinger(0)
		}
		c.Close()
	}
}

// counted writes to a client as much as comes before the cut.
func (f *forwarder) counted(client io.Writer) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.left < 0 || len(p) < f.left {
			if f.left > 0 {
				f.left -= len(p)
			}
			return client.Write(p)
		}
		n, err := client.Write(p[:f.left])
		if err == nil {
			err = io.ErrClosedPipe
		}
		f.left = -1
		f.cutAll()
		close(f.cut)
		return n, err
	})
}

type writerFunc func(p []byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }
