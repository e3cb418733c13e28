package broker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// connectTo opens a connection for bytes of all kinds.
func connectTo(t *testing.T, d *demo) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// drip writes a byte now and then for as long as the other end takes them, and returns what came back until the end.
func drip(t *testing.T, conn net.Conn, beginning string) string {
	t.Helper()
	if _, err := io.WriteString(conn, beginning); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	dripping := make(chan struct{})
	go func() {
		defer close(dripping)
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if _, err := conn.Write([]byte("x")); err != nil {
				return
			}
			<-tick.C
		}
	}()
	defer func() { cancel(); <-dripping }()
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the broker lets itself be held up; it has answered %q", answer)
	}
	return string(answer)
}

// Clients that send their requests a byte at a time do not keep their connections, nor anybody else from being served.
func TestSlowRequests(t *testing.T) {
	d := startDemo(t, Config{ReadTimeout: 50 * time.Millisecond, IdleTimeout: 50 * time.Millisecond}) // on a slow machine some get no answer at all
	const control = "POST /lightstreamer/control.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40000\r\n\r\n"
	t.Run("header", func(t *testing.T) {
		drip(t, connectTo(t, d), "POST /lightstreamer/control.txt HTTP/1.1\r\nX-Slow: ")
	})
	t.Run("body", func(t *testing.T) {
		if got := drip(t, connectTo(t, d), control+"LS_reqId="); got != "" && !strings.Contains(got, "ERROR,67,the body of the request did not arrive") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("second request", func(t *testing.T) {
		first := "POST /lightstreamer/heartbeat.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n\r\n"
		if got := drip(t, connectTo(t, d), first+control); got != "" && !strings.Contains(got, "REQOK") {
			t.Errorf("the first request was answered %q", got)
		}
	})
	t.Run("WebSocket handshake", func(t *testing.T) {
		drip(t, connectTo(t, d), "GET /lightstreamer HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ")
	})
	t.Run("WebSocket message", func(t *testing.T) {
		conn := connectTo(t, startDemo(t, Config{IdleTimeout: 50 * time.Millisecond}))
		upgrade(t, conn)
		drip(t, conn, "\x81\xFE\x40\x00\x00\x00\x00\x00")
	})
	t.Run("HTTP/2 body", func(t *testing.T) {
		h2 := new(http.Protocols)
		h2.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: h2}
		defer transport.CloseIdleConnections()
		body, write := io.Pipe()
		defer write.Close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL()+"/lightstreamer/control.txt?LS_protocol=TLCP-2.5.0", body)
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(write, "LS_reqId=1") // and nothing more; ends with the pipe
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return // reset
		}
		defer resp.Body.Close()
		if got, _ := io.ReadAll(resp.Body); !strings.HasPrefix(string(got), "ERROR,67") {
			t.Errorf("got %q", got)
		}
	})
	for {
		resp, err := http.Post(d.URL()+"/lightstreamer/heartbeat.txt?LS_protocol=TLCP-2.5.0", "text/plain", strings.NewReader("\r\n"))
		if err == nil { // it was fast enough
			resp.Body.Close()
			break
		}
	}
}

// What is no HTTP, or too much of it, is answered with an error or nothing, and leaves the broker as it was.
func TestMalformedHTTP(t *testing.T) {
	d := startDemo(t, Config{Limits: Limits{Header: 8 << 10}})
	const head = "POST /lightstreamer/heartbeat.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\n"
	for _, tt := range []struct{ name, request, want string }{
		{"nothing", "", ""},
		{"noise", "\x00\xff\xfe\r\n\r\n", "HTTP/1.1 400*"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 100) + "\r\n\r\n", "HTTP/1.1 400*"},
		{"no version", "GET /lightstreamer\r\n\r\n", "HTTP/1.1 400*"},
		{"future version", "GET / HTTP/7.3\r\n\r\n", "HTTP/1.1 505*"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400*"},
		{"header without a colon", head + "oops\r\n\r\n", "HTTP/1.1 400*"},
		{"line break in a name", head + "A\nB: c\r\n\r\n", "HTTP/1.1 400*"},
		{"large header", head + "X-Large: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "HTTP/1.1 431*"},
		{"large query", "GET /lightstreamer/control.txt?" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 431*"},
		{"negative length", head + "Content-Length: -1\r\n\r\n", "HTTP/1.1 400*"},
		{"two lengths", head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n\r\n", "HTTP/1.1 400*"},
		{"bad chunk", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "*ERROR,67,*"},
		{"unknown coding", head + "Transfer-Encoding: slow\r\n\r\n", "HTTP/1.1 501*"},
		{"bad path", "POST /lightstreamer/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 400*"},
		{"dots", "POST /lightstreamer/../control.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404*"},
		{"another method", "DELETE /lightstreamer/control.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 405*"},
		{"HTTP/2 preface, then noise", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\xff", 200), "*"},
		{"too many parameters", "POST /lightstreamer/control.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 800\r\n\r\n" + strings.Repeat("a=b&", 200), "*ERROR,6*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := connectTo(t, d)
			io.WriteString(conn, tt.request)
			conn.(*net.TCPConn).CloseWrite()
			answer, _ := io.ReadAll(conn) // a reset, when the broker does not read all
			if got := string(answer); !matches(got, tt.want) && (tt.want[0] != '*' || !strings.Contains(got, strings.Trim(tt.want, "*"))) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := post(t, d, "heartbeat", "", "\r\n"); got != "REQOK\r\n" {
		t.Errorf("others are answered %q", got)
	}
}

// What is no WebSocket message of the protocol closes the socket, or is answered.
func TestMalformedFrames(t *testing.T) {
	d := startDemo(t, Config{IdleTimeout: 500 * time.Millisecond}) // for those of which the rest does not come
	for name, frames := range map[string]string{
		"binary":             "\x82\x80\x00\x00\x00\x00",
		"not masked":         "\x81\x04wsok",
		"reserved bit":       "\xC1\x84\x00\x00\x00\x00wsok",
		"unknown opcode":     "\x83\x80\x00\x00\x00\x00",
		"long control frame": "\x89\xFE\x00\x80\x00\x00\x00\x00" + strings.Repeat("x", 128),
		"huge":               "\x81\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\x00\x00",
		"negative length":    "\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\x00\x00",
		"over the limit":     "\x81\xFF\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00" + strings.Repeat("x", 1<<20),
		"lone continuation":  "\x80\x80\x00\x00\x00\x00",
		"closed at once":     "\x88\x80\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			conn := connectTo(t, d)
			upgrade(t, conn)
			go io.WriteString(conn, frames) // ends with the connection
			if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the socket stays open")
			}
		})
	}
	if got := post(t, d, "heartbeat", "", "\r\n"); got != "REQOK\r\n" {
		t.Errorf("others are answered %q", got)
	}
}

// muteStream opens an HTTP stream with a subscription to an item, and reads nothing of it from then on.
func muteStream(t *testing.T, d *demo, item string) {
	t.Helper()
	conn := connectTo(t, d)
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	body := "LS_adapter_set=DEMO&LS_send_sync=false"
	fmt.Fprintf(conn, "POST /lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	var session string
	for scan := bufio.NewScanner(conn); session == "" && scan.Scan(); {
		if conok, ok := strings.CutPrefix(scan.Text(), "CONOK,"); ok {
			session, _, _ = strings.Cut(conok, ",")
		}
	}
	if got := post(t, d, "control", "&LS_session="+session, "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_schema=a&LS_group="+item); got != "REQOK,1\r\n" {
		t.Fatalf("got %q", got)
	}
}

// Clients that do not read, over HTTP, hold up neither the adapter nor another client, and what they cost is bounded. In the end their
// connections are cut.
func TestMuteStreams(t *testing.T) {
	d := startDemo(t, Config{
		WriteTimeout: 2 * time.Second, RecoveryTimeout: 10 * time.Millisecond,
		Limits: Limits{QueueBytes: 1 << 20, HistoryBytes: 64 << 10},
	})
	const mute = 3
	for range mute {
		muteStream(t, d, "flood")
	}
	good := connect(t, d, "HTTP-STREAMING")
	subscribe(good, tlcp.Add{SubID: 1, Mode: tlcp.ModeRaw, Group: "flood", Schema: "a"})
	good.until(tlcp.TagCONF)
	value := strings.Repeat("x", 30<<10)
	for i := range 600 {
		d.data.update(t, "flood", "a", fmt.Sprint(i, value))
		if got := good.until(tlcp.TagU); len(got) != 1 || !strings.HasPrefix(got[0], fmt.Sprintf("U,1,1,%dx", i)) {
			t.Fatalf("update %d: got %d lines, %.20q", i, len(got), got)
		}
		if st := d.Stats(); st.QueueBytes > (mute+1)*(1<<20+100<<10) || st.HistoryBytes > (mute+1)*(64<<10+100<<10) {
			t.Fatalf("%d bytes wait, %d are kept", st.QueueBytes, st.HistoryBytes)
		}
	}
	for d.Stats().Sessions > 1 { // those of the mute clients expire after their connections are cut
		d.data.update(t, "flood", "a", "x")
		good.until(tlcp.TagU)
	}
}
