package broker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

// attacker makes requests of a valid shape, more or less, with extreme headers, sizes and methods.
type attacker struct{ *rand.Rand }

func (a attacker) oneOf(list ...string) string { return list[a.IntN(len(list))] }

func (a attacker) size() int {
	sizes := []int{0, 1, 2, 499, 50_000, 50_001, 200_000, 200_001, 1 << 20}
	return sizes[a.IntN(len(sizes))]
}

// request returns the header of a request and what follows it.
func (a attacker) request() (head string, body []byte) {
	var b strings.Builder
	path := a.oneOf("/", "/healthz", "/metrics", "/lightstreamer", "/lightstreamer/", "/lightstreamer/control.txt", "/lightstreamer/msg.txt",
		"/lightstreamer/create_session.txt", "/lightstreamer/bind_session.txt", "/lightstreamer/heartbeat.txt", "/lightstreamer/%00.txt", "*")
	query := a.oneOf("", "?LS_protocol=TLCP-2.5.0", "?LS_protocol=TLCP-2.5.0&LS_session=S1", "?LS_protocol=TLCP-0.0.0", "?%", "?"+strings.Repeat("a=b&", a.IntN(200)))
	fmt.Fprintf(&b, "%s %s%s HTTP/1.%d\r\n", a.oneOf("GET", "POST", "PUT", "OPTIONS", "HEAD", "DELETE", "CONNECT", "PRI", "x"), path, query, a.IntN(2))
	fmt.Fprintf(&b, "Host: %s\r\n", a.oneOf("localhost", "localhost", "localhost", "127.0.0.1:80", "evil.example", "", "[::1]", strings.Repeat("x", 5000)))
	n := a.size()
	switch a.IntN(6) {
	case 0:
		b.WriteString("Transfer-Encoding: chunked\r\n")
		body = fmt.Appendf(nil, "%x\r\n", n)
	case 1:
		fmt.Fprintf(&b, "Content-Length: %s\r\n", a.oneOf("-1", "9223372036854775807", "99999999999999999999", "0x10", "1, 2"))
	default:
		fmt.Fprintf(&b, "Content-Length: %d\r\n", n)
	}
	for range a.IntN(4) {
		b.WriteString(a.oneOf(
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: nyhhQ4CdPEMnho9xUR9BkQ==\r\n"+
				"Sec-WebSocket-Protocol: TLCP-2.5.0.lightstreamer.com\r\n",
			"Expect: 100-continue\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n", "Origin: http://evil.example\r\n", "Origin: null\r\n",
			"X-Forwarded-For: "+strings.Repeat("1.1.1.1,", a.IntN(1000))+"\r\n", strings.Repeat("a:\r\n", a.IntN(3000)),
			"X: "+strings.Repeat("x", a.IntN(70_000))+"\r\n", "Sec-Fetch-Site: cross-site\r\n", "Cookie: "+strings.Repeat("\x80", a.IntN(100))+"\r\n",
		))
	}
	b.WriteString("\r\n")
	line := a.oneOf("LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=MERGE&LS_group=merge1&LS_schema=a", "LS_adapter_set=DEMO", "x", "%", "\r\n", "LS_session=S1",
		"\x81\xFE\x40\x00\x00\x00\x00\x00", "\x89\x80\x00\x00\x00\x00", "\x01\x80\x00\x00\x00\x00")
	return b.String(), append(body, bytes.Repeat([]byte(line), n/len(line)+1)[:n]...)
}

// attack makes one connection and sends something on it, all of it, in part, or in small parts.
func (a attacker) attack(addr string, stop <-chan struct{}) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	var text []byte
	for range 1 + a.IntN(3) {
		head, body := a.request()
		text = append(append(text, head...), body...)
	}
	text = text[:len(text)-a.IntN(len(text))]
	trickling := a.IntN(4) == 0
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { // ends with the connection, at the latest
		for len(text) > 0 {
			n := len(text)
			if trickling {
				n = min(n, 7)
				<-time.After(10 * time.Millisecond)
			}
			if _, err := conn.Write(text[:n]); err != nil {
				return
			}
			text = text[n:]
		}
	})
	switch a.IntN(4) {
	case 0: // leaves
	case 1: // does not read
		select {
		case <-stop:
		case <-time.After(100 * time.Millisecond):
		}
	default:
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("a connection stays open")
		}
	}
	conn.Close()
	return nil
}

// Hostile clients, over HTTP/1.1 and WebSocket, take nothing from one that behaves, and leave
// nothing behind.
func TestHostileClients(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	d := startDemo(t, Config{
		ReadTimeout: 200 * time.Millisecond, WriteTimeout: 200 * time.Millisecond, IdleTimeout: 200 * time.Millisecond,
		RebindTimeout: 100 * time.Millisecond, RecoveryTimeout: 100 * time.Millisecond,
	})
	victim := connect(t, d, "WS-STREAMING")
	subscribe(victim, tlcp.Add{SubID: 1, Mode: tlcp.ModeRaw, Group: "raw1", Schema: "a"})
	victim.until(tlcp.TagCONF)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	const attackers, each = 20, 15
	for i := range attackers {
		wg.Go(func() {
			a := attacker{rand.New(rand.NewPCG(seed, uint64(i)))}
			for range each {
				if err := a.attack(d.Addr().String(), stop); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for i, under := 0, true; under; i++ {
		d.data.update(t, "raw1", "a", fmt.Sprint(i))
		if got := victim.until(tlcp.TagU); got[len(got)-1] != fmt.Sprintf("U,1,1,%d", i) {
			t.Fatalf("the victim got %q", got)
		}
		select {
		case <-done:
			under = false
		default:
		}
	}
	close(stop)
	for deadline := time.Now().Add(patience); ; {
		st, used := d.Stats(), d.front.gate.memory.Used()
		if st.Sessions == 1 && st.Front.Open == 1 && used < 20<<10 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %+v, %d bytes", st, used)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// Any request at all is answered or refused, in memory, and gives back what it was charged.
func FuzzRequest(f *testing.F) {
	for seed := range uint64(30) {
		head, body := attacker{rand.New(rand.NewPCG(seed, 0))}.request()
		f.Add([]byte(head + string(body[:min(len(body), 300)])))
	}
	for _, text := range unfinished {
		f.Add([]byte(text))
	}
	f.Add([]byte("POST /lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 54\r\n\r\n" +
		"LS_adapter_set=DEMO&LS_polling=true&LS_polling_millis=0"))
	d := startDemo(f, Config{Limits: Limits{Sessions: 10, RequestMemory: 1 << 20}, RebindTimeout: time.Millisecond, Keepalive: time.Millisecond})
	f.Fuzz(func(t *testing.T, text []byte) {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // a stream ends with its client
		defer cancel()
		w := httptest.NewRecorder()
		d.front.ServeHTTP(w, req.WithContext(ctx))
		if w.Code != http.StatusSwitchingProtocols && (w.Code < 200 || w.Code > 599) {
			t.Errorf("status %d", w.Code)
		}
		if w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Error("a page that is not configured may send cookies")
		}
		if used := d.front.gate.memory.Used(); used != 0 {
			t.Errorf("%d bytes are not given back", used)
		}
	})
}
