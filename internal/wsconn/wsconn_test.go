package wsconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const subprotocol = "TLCP-2.5.0.lightstreamer.com"

// pair returns both ends of a connection over a real loopback socket.
func pair(t *testing.T, server, client Options) (s, c *Conn) {
	t.Helper()
	accepted := make(chan *Conn, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := Accept(w, r, subprotocol, server)
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- conn
	}))
	t.Cleanup(srv.Close)
	c, err := Dial(t.Context(), srv.URL, DialOptions{Options: client, Subprotocol: subprotocol})
	if err != nil {
		t.Fatal(err)
	}
	s = <-accepted
	t.Cleanup(s.CloseNow)
	t.Cleanup(c.CloseNow)
	return s, c
}

func TestTextBothWays(t *testing.T) {
	s, c := pair(t, Options{}, Options{})
	if s.Subprotocol() != subprotocol || c.Subprotocol() != subprotocol {
		t.Errorf("subprotocols %q and %q", s.Subprotocol(), c.Subprotocol())
	}
	for _, size := range []int{0, 1, 125, 126, 5000, 60000, 10} {
		want := bytes.Repeat([]byte("x"), size)
		for _, ends := range [][2]*Conn{{s, c}, {c, s}} {
			sent := make(chan error, 1)
			go func() { sent <- ends[0].WriteText(want) }()
			got, err := ends[1].ReadText()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWritesTakeTurns(t *testing.T) {
	s, c := pair(t, Options{}, Options{})
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := s.WriteText(fmt.Appendf(nil, "%d,%d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next [writers]int
	for range writers * each {
		m, err := c.ReadText()
		if err != nil {
			t.Fatal(err)
		}
		var w, i int
		if _, err := fmt.Sscanf(string(m), "%d,%d", &w, &i); err != nil || i != next[w] {
			t.Fatalf("got %q, want number %d", m, next[w])
		}
		next[w]++
	}
	wg.Wait()
}

func TestReadLimit(t *testing.T) {
	s, c := pair(t, Options{ReadLimit: 100}, Options{})
	closed := make(chan error, 1)
	go func() {
		c.WriteText(bytes.Repeat([]byte("x"), 100))
		c.WriteText(bytes.Repeat([]byte("x"), 101))
		_, err := c.ReadText()
		closed <- err
	}()
	if m, err := s.ReadText(); err != nil || len(m) != 100 {
		t.Fatalf("a message at the limit: %d bytes, %v", len(m), err)
	}
	if _, err := s.ReadText(); !errors.Is(err, ErrTooBig) {
		t.Errorf("a message over the limit: %v", err)
	}
	if ce, ok := errors.AsType[*CloseError](<-closed); !ok || ce.Code != CodeTooBig {
		t.Errorf("the sender was told %+v", ce)
	}
}

func TestCloseCodeReachesThePeer(t *testing.T) {
	s, c := pair(t, Options{}, Options{})
	read := make(chan error, 1)
	go func() {
		_, err := c.ReadText()
		read <- err
	}()
	if err := s.Close(CodeGoingAway, "server stops"); err != nil {
		t.Error(err)
	}
	if ce, ok := errors.AsType[*CloseError](<-read); !ok || ce.Code != CodeGoingAway || ce.Reason != "server stops" {
		t.Errorf("got %+v", ce)
	}
	if err := s.WriteText([]byte("late")); err == nil {
		t.Error("a write after closing succeeded")
	}
	s.CloseNow()
}

// A peer that neither reads nor closes must not hold up Close: it is faster than the library alone, which waits for five seconds.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	s, _ := pair(t, Options{CloseTimeout: 20 * time.Millisecond}, Options{})
	patient, _ := pair(t, Options{CloseTimeout: time.Hour}, Options{})
	first := make(chan string, 2)
	var wg sync.WaitGroup
	closing := func(name string, c *Conn) {
		read := make(chan error, 1)
		go func() {
			_, err := c.ReadText()
			read <- err
		}()
		_ = c.Close(CodeNormal, "") // that the peer did not answer is no news here
		first <- name
		if err := <-read; err == nil {
			t.Errorf("%s: the reader did not end", name)
		}
	}
	wg.Go(func() { closing("library", patient) })
	wg.Go(func() { closing("bounded", s) })
	if name := <-first; name != "bounded" {
		t.Errorf("%s was the first to close", name)
	}
	patient.CloseNow()
	wg.Wait()
}

// A peer that stops reading must not hold up a writer.
func TestWriteTimeout(t *testing.T) {
	s, _ := pair(t, Options{WriteTimeout: 50 * time.Millisecond}, Options{})
	message := make([]byte, 1<<20)
	for i := range message {
		message[i] = 'x'
	}
	for range 1000 { // far more than the kernels' buffers hold
		if err := s.WriteText(message); err != nil {
			if !errors.Is(err, ErrWriteTimeout) {
				t.Errorf("got %v, want ErrWriteTimeout", err)
			}
			if _, err := s.ReadText(); err == nil {
				t.Error("the connection is still readable")
			}
			return
		}
	}
	t.Error("a gigabyte was taken by a peer that does not read")
}

func TestBinaryIsRefused(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := Accept(w, r, "", Options{})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		if _, err := conn.ReadText(); !errors.Is(err, ErrNotText) {
			t.Errorf("got %v, want ErrNotText", err)
		}
	}))
	defer srv.Close()
	raw := handshake(t, srv.Listener.Addr().String(), "")
	raw.Write([]byte{0x82, 0x81, 0, 0, 0, 0, 'x'}) // one masked binary frame
	reply := make([]byte, 4)
	if _, err := readFull(raw, reply); err != nil || reply[0] != 0x88 || int(reply[2])<<8|int(reply[3]) != CodeUnsupported {
		t.Errorf("reply % x, %v; want a close frame with code %d", reply, err, CodeUnsupported)
	}
	raw.Write([]byte{0x88, 0x80, 0, 0, 0, 0})
}

// Fragments are put together, and pings between them are answered.
func TestFragmentsAndPings(t *testing.T) {
	got := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := Accept(w, r, subprotocol, Options{})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		m, err := conn.ReadText()
		got <- fmt.Sprintf("%s %v", m, err)
	}))
	defer srv.Close()
	raw := handshake(t, srv.Listener.Addr().String(), "permessage-deflate; client_max_window_bits")
	raw.Write([]byte{0x01, 0x82, 0, 0, 0, 0, 'w', 's'})
	raw.Write([]byte{0x89, 0x81, 0, 0, 0, 0, 'p'})
	pong := make([]byte, 3)
	if _, err := readFull(raw, pong); err != nil || string(pong) != "\x8a\x01p" {
		t.Errorf("reply to the ping % x, %v", pong, err)
	}
	raw.Write([]byte{0x80, 0x82, 0, 0, 0, 0, 'o', 'k'})
	if m := <-got; m != "wsok <nil>" {
		t.Errorf("got %q", m)
	}
}

// handshake opens a connection by hand and fails the test unless the answer echoes the subprotocol and no extension.
func handshake(t *testing.T, addr, extensions string) net.Conn {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(raw, "GET /lightstreamer HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: nyhhQ4CdPEMnho9xUR9BkQ==\r\nSec-WebSocket-Protocol: %s\r\n", subprotocol)
	if extensions != "" {
		fmt.Fprintf(raw, "Sec-WebSocket-Extensions: %s\r\n", extensions)
	}
	raw.Write([]byte("\r\n"))
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
		if _, err := raw.Read(b); err != nil {
			t.Fatalf("%v after %q", err, head)
		}
		head = append(head, b[0])
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) || bytes.Contains(head, []byte("Extensions")) {
		t.Fatalf("answer %q", head)
	}
	if extensions != "" && !bytes.Contains(head, []byte("Sec-Websocket-Protocol: "+subprotocol)) {
		t.Fatalf("answer %q", head)
	}
	return raw
}

func readFull(c net.Conn, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := c.Read(b[n:])
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

func TestDialFailures(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	if _, err := Dial(t.Context(), plain.URL, DialOptions{}); err == nil || !strings.Contains(err.Error(), "status 404") {
		t.Errorf("got %v", err)
	}
	mute := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := Accept(w, r, "", Options{}); err == nil {
			defer conn.CloseNow()
			conn.ReadText()
		}
	}))
	defer mute.Close()
	if _, err := Dial(t.Context(), mute.URL, DialOptions{Subprotocol: subprotocol}); err == nil || !strings.Contains(err.Error(), "subprotocol") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, mute.URL, DialOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAcceptRefusesOtherRequests(t *testing.T) {
	w := httptest.NewRecorder()
	if _, err := Accept(w, httptest.NewRequest(http.MethodGet, "/lightstreamer", nil), "", Options{}); err == nil || w.Code != http.StatusUpgradeRequired {
		t.Errorf("status %d, %v", w.Code, err)
	}
}

func TestTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := Accept(w, r, subprotocol, Options{})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		for {
			m, err := conn.ReadText()
			if err != nil {
				return
			}
			conn.WriteText(m)
		}
	}))
	defer srv.Close()
	c, err := Dial(t.Context(), strings.Replace(srv.URL, "https", "wss", 1),
		DialOptions{Subprotocol: subprotocol, TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.WriteText([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	if m, err := c.ReadText(); err != nil || string(m) != "secret" {
		t.Errorf("got %q, %v", m, err)
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	s, c := pair(t, Options{}, Options{})
	message := []byte("U,1,1,20:06:10|3.05|0.32|^7\r\n")
	// Nothing is read meanwhile: the reader's allocations would count.
	if n := testing.AllocsPerRun(200, func() {
		if err := s.WriteText(message); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per write", n)
	}
	if m, err := c.ReadText(); err != nil || !bytes.Equal(m, message) {
		t.Errorf("got %q, %v", m, err)
	}
}

// A message has its time, whoever keeps its end back and however small its frames are.
func TestReadTimeout(t *testing.T) {
	s, c := pair(t, Options{ReadTimeout: 50 * time.Millisecond}, Options{})
	go c.WriteText([]byte("whole"))
	if m, err := s.ReadText(); err != nil || string(m) != "whole" {
		t.Fatalf("got %q, %v", m, err)
	}
	go func() { // ends with the connection
		c.raw.Write([]byte("\x01\x80\x00\x00\x00\x00"))
		for {
			if _, err := c.raw.Write([]byte("\x00\x80\x00\x00\x00\x00")); err != nil {
				return
			}
		}
	}()
	if _, err := s.ReadText(); !errors.Is(err, ErrReadTimeout) {
		t.Errorf("got %v", err)
	}
}

// Between messages there is no time limit: a session may be quiet.
func TestReadTimeoutIsOfMessages(t *testing.T) {
	const allowed = 20 * time.Millisecond
	s, c := pair(t, Options{ReadTimeout: allowed}, Options{})
	quiet := time.AfterFunc(5*allowed, func() { c.WriteText([]byte("late")) })
	defer quiet.Stop()
	if m, err := s.ReadText(); err != nil || string(m) != "late" {
		t.Errorf("got %q, %v", m, err)
	}
}

// Pings and pongs without an end are not answered without an end.
func TestControlFlood(t *testing.T) {
	for name, frame := range map[string]string{"pings": "\x89\x80\x00\x00\x00\x00", "pongs": "\x8A\x80\x00\x00\x00\x00"} {
		s, c := pair(t, Options{}, Options{})
		go func() { // ends with the connection
			for range controlBurst {
				c.raw.Write([]byte(frame))
			}
			c.WriteText([]byte("still"))
			for {
				if _, err := c.raw.Write([]byte(frame)); err != nil {
					return
				}
			}
		}()
		go func() { // takes the pongs
			for {
				if _, err := c.ReadText(); err != nil {
					return
				}
			}
		}()
		if m, err := s.ReadText(); err != nil || string(m) != "still" {
			t.Fatalf("%s as may be: %q, %v", name, m, err)
		}
		if _, err := s.ReadText(); !errors.Is(err, ErrFlood) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// shared is memory that several connections share.
type shared struct{ left atomic.Int64 }

func (b *shared) Take(n int64) bool {
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	return true
}

func (b *shared) Add(n int64) { b.left.Add(-n) }

// Large messages share memory, which is given back when they have been processed, or the connection
// is over.
func TestBuffers(t *testing.T) {
	var memory shared
	const total = 300 << 10
	memory.left.Store(total)
	opts := Options{ReadLimit: 1 << 20, Buffers: &memory}
	s, c := pair(t, opts, Options{})
	other, oc := pair(t, opts, Options{})
	go c.WriteText(make([]byte, 200<<10))
	if m, err := s.ReadText(); err != nil || len(m) != 200<<10 || memory.left.Load() > 100<<10 {
		t.Fatalf("%d bytes, %v; %d left", len(m), err, memory.left.Load())
	}
	told := make(chan error, 1)
	go func() {
		oc.WriteText(make([]byte, 200<<10))
		_, err := oc.ReadText()
		told <- err
	}()
	if _, err := other.ReadText(); !errors.Is(err, ErrNoRoom) {
		t.Errorf("without room: %v", err)
	}
	if ce, ok := errors.AsType[*CloseError](<-told); !ok || ce.Code != CodeTryAgain {
		t.Errorf("told %v", ce)
	}
	go c.WriteText([]byte("small"))
	if m, err := s.ReadText(); err != nil || string(m) != "small" {
		t.Fatalf("got %q, %v", m, err)
	}
	if got := memory.left.Load(); got != total {
		t.Errorf("%d of %d given back", got, total)
	}
	go c.WriteText(make([]byte, 100<<10))
	if _, err := s.ReadText(); err != nil {
		t.Fatal(err)
	}
	s.CloseNow()
	s.CloseNow()
	if got := memory.left.Load(); got != total {
		t.Errorf("%d of %d given back at the end", got, total)
	}
}
