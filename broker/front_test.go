package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// unfinished are requests of which the rest does not come, or comes a byte at a time: whatever the
// path and method, and however the body is announced.
var unfinished = map[string]string{
	"no protocol path": "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
	"handler":          "POST /page HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
	"handler that reads": "POST /upload HTTP/1.1\r\nHost: localhost\r\n" +
		"Content-Length: 100000\r\n\r\n",
	"monitoring": "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
	"PUT":        "PUT /lightstreamer/control.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
	"OPTIONS":    "OPTIONS /lightstreamer/control.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
	"GET": "GET /lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0&LS_adapter_set=DEMO HTTP/1.1\r\n" +
		"Host: localhost\r\nContent-Length: 100000\r\n\r\n",
	"refused upgrade": "GET /lightstreamer HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Content-Length: 100000\r\n\r\n",
	"refused before the body": "POST /lightstreamer/control.txt?LS_protocol=TLCP-9.9.9 HTTP/1.1\r\nHost: localhost\r\n" +
		"Content-Length: 100000\r\n\r\n",
	"refused origin": "POST /lightstreamer/control.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\n" +
		"Origin: http://evil.example\r\nContent-Length: 100000\r\n\r\n",
	"refused host": "POST /lightstreamer/control.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100000\r\n\r\n",
	"chunked": "POST /lightstreamer/control.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\n" +
		"Transfer-Encoding: chunked\r\n\r\nfffff\r\n",
	"chunked elsewhere": "DELETE /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
	"chunk header":      "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;",
	"expect": "POST /lightstreamer/control.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\n" +
		"Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n",
	"second of a connection": "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" +
		"PUT /lightstreamer/control.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
	"pipelined": strings.Repeat("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 20) + "GET /nowhere HTTP/1.1\r\nHost: ",
	"header":    "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
	"nothing":   "",
	"upgrade": "GET /lightstreamer HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: nyhhQ4CdPEMnho9xUR9BkQ==\r\nSec-WebSocket-Protocol: TLCP-2.5.0.lightstreamer.com\r\n\r\n",
}

// pages is an application's handler: /page answers without reading, /upload reads.
var pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/upload" {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestTimeout)
			return
		}
	}
	io.WriteString(w, "page")
})

// No request is without a time limit for the whole of it: connections that hold one back are gone
// in time, whichever way, and others are served again.
func TestUnfinishedRequests(t *testing.T) {
	const each = 10
	// As many connections as there may be, so that nobody else is served until these are gone.
	d := startDemo(t, Config{
		ReadTimeout: 100 * time.Millisecond, IdleTimeout: 100 * time.Millisecond, Handler: pages,
		Limits: Limits{Connections: each * len(unfinished)},
	})
	var conns []net.Conn
	for name, beginning := range unfinished {
		for i := range each {
			conn := connectTo(t, d)
			if _, err := io.WriteString(conn, beginning); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if i%2 == 1 {
				trickle(t, conn)
			}
			conns = append(conns, conn)
		}
	}
	var wg sync.WaitGroup
	for _, conn := range conns {
		wg.Go(func() {
			if answer, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("open after %v; answered %.100q", patience, answer)
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(patience); ; { // on a slow machine some requests are too slow themselves
		resp, err := http.Get(d.URL() + "/page")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody is served: %v, %v", resp, err)
		}
	}
	if st := d.Stats().Front; st.RequestTimeouts < each*2 {
		t.Errorf("%d requests timed out", st.RequestTimeouts)
	}
}

// trickle sends a byte now and then for as long as the other end takes them.
func trickle(t *testing.T, conn net.Conn) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if _, err := conn.Write([]byte("1")); err != nil {
				return
			}
			<-tick.C
		}
	})
	t.Cleanup(func() { cancel(); conn.Close(); wg.Wait() })
}

// Streams whose request has arrived last longer than a request may take, over all ways there are,
// and so do an application's.
func TestStreamsOutliveReadTimeout(t *testing.T) {
	release := make(chan struct{})
	events := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		select {
		case <-release:
			io.WriteString(w, "event")
		case <-r.Context().Done():
			t.Errorf("%s %s: %v", r.Method, r.Proto, context.Cause(r.Context()))
		}
	})
	const readTimeout = 300 * time.Millisecond
	d := startDemo(t, Config{ReadTimeout: readTimeout, WriteTimeout: readTimeout, IdleTimeout: readTimeout, Handler: events})
	clock := time.After(3 * readTimeout)
	var clients []*client
	for _, transport := range transports {
		clients = append(clients, connect(t, d, transport))
	}
	h2 := new(http.Protocols)
	h2.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: h2}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	for _, rt := range []http.RoundTripper{transport, http.DefaultTransport} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			wg.Go(func() {
				req, err := http.NewRequestWithContext(t.Context(), method, d.URL()+"/events", strings.NewReader(map[string]string{http.MethodPost: "x"}[method]))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if got, err := io.ReadAll(resp.Body); string(got) != "event" {
					t.Errorf("%s %s: %q, %v", method, resp.Proto, got, err)
				}
			})
		}
	}
	<-clock
	close(release)
	wg.Wait()
	for _, c := range clients {
		subscribe(c, tlcp.Add{SubID: 1, Mode: tlcp.ModeMerge, Group: "merge1", Schema: "a"})
		c.until(tlcp.TagSUBOK)
	}
}

// Clients that do not read what is no stream lose their connections, over HTTP/1.1 and HTTP/2.
func TestSlowReaders(t *testing.T) {
	cut := make(chan string, 10)
	big := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(chunk); err != nil {
				cut <- r.Proto
				return
			}
		}
	})
	d := startDemo(t, Config{WriteTimeout: 100 * time.Millisecond, Handler: big})
	t.Run("pipelined pages", func(t *testing.T) {
		conn := connectTo(t, d)
		conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		page := strings.Repeat("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 100)
		for {
			if _, err := io.WriteString(conn, page); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the connection stays")
				}
				return
			}
		}
	})
	t.Run("one large response", func(t *testing.T) {
		conn := connectTo(t, d)
		conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		awaitCut(t, cut, "HTTP/1.1")
	})
	t.Run("HTTP/2 without a window", func(t *testing.T) {
		h2 := new(http.Protocols)
		h2.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: h2}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		awaitCut(t, cut, "HTTP/2.0") // nothing is read meanwhile
	})
}

// awaitCut waits until a handler's write has failed.
func awaitCut(t *testing.T, cut <-chan string, proto string) {
	t.Helper()
	select {
	case got := <-cut:
		if got != proto {
			t.Errorf("a write over %s failed", got)
		}
	case <-time.After(patience):
		t.Error("the handler writes without an end")
	}
}

// A handshake that does not come to an end is bounded like a request.
func TestSlowHandshakes(t *testing.T) {
	helper := httptest.NewUnstartedServer(nil)
	helper.StartTLS() // for its certificate
	defer helper.Close()
	d := startDemo(t, Config{ReadTimeout: 100 * time.Millisecond, TLSConfig: &tls.Config{Certificates: helper.TLS.Certificates}})
	var wg sync.WaitGroup
	for _, beginning := range []string{"", "\x16", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		for _, slow := range []bool{false, true} {
			conn := connectTo(t, d)
			io.WriteString(conn, beginning)
			if slow {
				trickle(t, conn)
			}
			wg.Go(func() {
				if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("after %q the connection stays", beginning)
				}
			})
		}
	}
	wg.Wait()
}

// Requests share a budget of memory, of which one address has a part; what finds no room is refused
// and costs nobody else anything.
func TestRequestMemory(t *testing.T) {
	d := startDemo(t, Config{Limits: Limits{RequestMemory: 1 << 20, LoopbackConnections: 1000}})
	g := d.front.gate
	const request = "POST /lightstreamer/control.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40000\r\n\r\n"
	var conns []net.Conn
	for range 30 { // their bodies are of a megabyte in all
		conn := connectTo(t, d)
		io.WriteString(conn, request+strings.Repeat("x", 39_000))
		conns = append(conns, conn)
	}
	for d.Stats().Front.RequestsByMemory == 0 {
		if g.memory.Used() > 1<<20 {
			t.Fatalf("%d bytes are taken", g.memory.Used())
		}
		<-time.After(time.Millisecond)
	}
	if used := g.memory.Used(); used > 1<<18 {
		t.Errorf("%d bytes for one address", used)
	}
	for _, conn := range conns {
		conn.Close()
	}
	for deadline := time.Now().Add(patience); g.memory.Used() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are not given back", g.memory.Used())
		}
		<-time.After(time.Millisecond)
	}
	t.Run("header", func(t *testing.T) {
		conn := connectTo(t, d)
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n"+strings.Repeat("a:\r\n", 6000))
		if answer, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(answer), " 200 ") {
			t.Errorf("got %q, %v", answer, err)
		}
	})
	t.Run("WebSocket messages", func(t *testing.T) {
		before := d.Stats().Front.RequestsByMemory
		var socks []net.Conn
		for range 10 {
			conn := connectTo(t, d)
			upgrade(t, conn)
			io.WriteString(conn, "\x81\xFF\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00"+strings.Repeat("x", 100_000)) // of 128 KiB
			socks = append(socks, conn)
		}
		for d.Stats().Front.RequestsByMemory == before {
			<-time.After(time.Millisecond)
		}
		for _, conn := range socks {
			conn.Close()
		}
		for deadline := time.Now().Add(patience); g.memory.Used() > 0; {
			if time.Now().After(deadline) {
				t.Fatalf("%d bytes are not given back", g.memory.Used())
			}
			<-time.After(time.Millisecond)
		}
	})
	if got := post(t, d, "heartbeat", "", "\r\n"); got != "REQOK\r\n" {
		t.Errorf("others are answered %q", got)
	}
}

// A WebSocket is bounded in the time of a message, in pings and pongs, and in what may be sent on
// it without a session.
func TestHostileSockets(t *testing.T) {
	d := startDemo(t, Config{ReadTimeout: 100 * time.Millisecond, IdleTimeout: 20 * time.Second})
	const create = "create_session\r\nLS_adapter_set=DEMO&LS_send_sync=false"
	for name, send := range map[string]func(conn net.Conn){
		"message that trickles": func(conn net.Conn) {
			io.WriteString(conn, "\x81\xFE\x40\x00\x00\x00\x00\x00")
			trickle(t, conn)
		},
		"fragments of a byte": func(conn net.Conn) {
			io.WriteString(conn, "\x01\x81\x00\x00\x00\x00x")
			for ping := 0; ; ping++ {
				if _, err := io.WriteString(conn, "\x00\x81\x00\x00\x00\x00x"); err != nil {
					return
				}
			}
		},
		"fragments of nothing": func(conn net.Conn) {
			io.WriteString(conn, "\x01\x80\x00\x00\x00\x00")
			for {
				if _, err := io.WriteString(conn, strings.Repeat("\x00\x80\x00\x00\x00\x00", 100)); err != nil {
					return
				}
			}
		},
		"pings": func(conn net.Conn) {
			for {
				if _, err := io.WriteString(conn, strings.Repeat("\x89\x80\x00\x00\x00\x00", 100)); err != nil {
					return
				}
			}
		},
		"pongs": func(conn net.Conn) {
			for {
				if _, err := io.WriteString(conn, strings.Repeat("\x8A\x81\x00\x00\x00\x00x", 100)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn := connectTo(t, d)
			upgrade(t, conn)
			sendFrame(conn, create)
			await(t, conn, "CONS,unlimited\r\n")
			var wg sync.WaitGroup
			wg.Go(func() { send(conn) })
			if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the socket stays")
			}
			wg.Wait()
		})
	}
	// A cut is counted a moment after the client has seen it.
	for deadline := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
		st := d.Stats().Front
		if st.Sockets >= 2 && st.RequestTimeouts >= 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("stats %+v", st)
			break
		}
	}
	t.Run("never a session", func(t *testing.T) {
		conn := connectTo(t, startDemo(t, Config{IdleTimeout: 200 * time.Millisecond}))
		upgrade(t, conn)
		var wg sync.WaitGroup
		wg.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := conn.Write([]byte("\x81\x84\x00\x00\x00\x00wsok")); err != nil {
					return
				}
				<-tick.C
			}
		})
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the socket stays")
		}
		conn.Close()
		wg.Wait()
	})
}

// A connection has so many streams at most; a client that needs more takes another connection,
// which counts.
func TestManyStreams(t *testing.T) {
	const requests = maxStreams + 50
	entered, release := make(chan string, requests), make(chan struct{})
	d := startDemo(t, Config{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		entered <- r.RemoteAddr
		<-release
	})})
	h2 := new(http.Protocols)
	h2.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: h2}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL()+"/", nil)
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
		})
	}
	streams := make(map[string]int)
	for range requests {
		streams[<-entered]++
	}
	for conn, n := range streams {
		if n > maxStreams {
			t.Errorf("%d streams on the connection from %s", n, conn)
		}
	}
	if len(streams) < 2 {
		t.Errorf("streams %v", streams)
	}
	close(release)
	wg.Wait()
}

// Answers that a client does not read are bounded, whatever length the adapter gives them.
func TestUnreadAnswers(t *testing.T) {
	d := startDemo(t, Config{WriteTimeout: time.Minute})
	conn := connectTo(t, d)
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	upgrade(t, conn)
	sendFrame(conn, "create_session\r\nLS_adapter_set=DEMO&LS_send_sync=false")
	var sock *socket
	for sock == nil {
		d.front.sockets.mu.Lock()
		for s := range d.front.sockets.open {
			sock = s
		}
		d.front.sockets.mu.Unlock()
	}
	text := []byte(fmt.Sprintf("REQERR,1,-7,%s\r\n", strings.Repeat("x", 100<<10)))
	for i := 0; d.Stats().Front.Sockets == 0; i++ {
		if sock.answer.add(text); i > 1000 {
			t.Fatal("answers wait without a bound")
		}
	}
	sock.answer.mu.Lock()
	defer sock.answer.mu.Unlock()
	if len(sock.answer.lines) > 0 {
		t.Errorf("%d bytes are kept", len(sock.answer.lines))
	}
}
