package client_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/client"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// scripted is a server in memory that says what a test has it say.
type scripted struct {
	socket func(c *wsconn.Conn, n int)        // serves the n-th WebSocket, from 0
	poll   func(w http.ResponseWriter, n int) // answers the n-th recovery
	conns  chan net.Conn                      // to be accepted
	closed chan struct{}

	mu             sync.Mutex
	sockets, polls int
	running        sync.WaitGroup // WebSockets
}

// serveScript runs the server until the test ends.
func serveScript(t testing.TB, s *scripted) *scripted {
	t.Helper()
	s.conns, s.closed = make(chan net.Conn), make(chan struct{})
	server := &http.Server{Handler: s}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(s) })
	t.Cleanup(func() {
		server.Close()
		wg.Wait()
		s.running.Wait()
	})
	return s
}

// config is that of a client of this server.
func (s *scripted) config() client.Config {
	return client.Config{Addr: "http://server", DialContext: s.dial}
}

func (s *scripted) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case s.conns <- theirs:
		return ours, nil
	case <-s.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *scripted) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *scripted) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

func (s *scripted) Addr() net.Addr { return &net.TCPAddr{} }

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	n := &s.polls
	upgrade := r.Header.Get("Upgrade") != ""
	if upgrade {
		n = &s.sockets
	}
	number := *n
	*n++
	s.running.Add(1)
	defer s.running.Done()
	s.mu.Unlock()
	if !upgrade {
		if s.poll == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		s.poll(w, number)
		return
	}
	c, err := wsconn.Accept(w, r, "TLCP-2.5.0.lightstreamer.com", wsconn.Options{})
	if err != nil {
		return
	}
	defer c.CloseNow()
	s.socket(c, number)
}

// answer serves a WebSocket by answering each request, of which it gets the text, with messages of
// lines. It ends with the connection.
func answer(c *wsconn.Conn, reply func(request string) []string) {
	for {
		m, err := c.ReadText()
		if err != nil {
			return
		}
		for _, text := range reply(string(m)) {
			if c.WriteText([]byte(text)) != nil {
				return
			}
		}
	}
}

// lines makes one message of lines.
func lines(list ...string) string { return strings.Join(list, "\r\n") + "\r\n" }

const conok = "CONOK,S1234567890abcdef,50000,5000,*"

// afterSubscription is a server that accepts a session and a subscription, the one with the given
// line, and then sends messages.
func afterSubscription(accept string, messages ...string) func(*wsconn.Conn, int) {
	return func(c *wsconn.Conn, _ int) {
		answer(c, func(request string) []string {
			switch {
			case strings.HasPrefix(request, "create_session"):
				return []string{lines(conok)}
			case strings.Contains(request, "LS_op=add"):
				return append([]string{lines("REQOK,1", accept)}, messages...)
			}
			return nil
		})
	}
}
