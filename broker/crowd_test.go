package broker

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/session"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// pausingConn is the connection of an adapter that stops reading while it is paused, as a process
// does that is stopped.
type pausingConn struct {
	net.Conn
	mu     *sync.Mutex
	resume *sync.Cond
	paused *bool
}

func (c pausingConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	for *c.paused {
		c.resume.Wait()
	}
	c.mu.Unlock()
	return c.Conn.Read(p)
}

// comesTo returns when something is so.
func comesTo(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !so(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it does not come to this: %s", what)
		}
	}
}

// sendMany has the client of a WebSocket send messages of 48 KB, as fast as they are read.
func sendMany(c *socketClient, messages int) {
	text := strings.Repeat("x", 48<<10)
	go func() { // ends when they are sent, or with the socket
		for n := range messages {
			line := (&tlcp.Message{ReqID: "1", Text: text, Prog: n + 1, NoAck: true}).Append(nil)
			if c.conn.WriteText(append([]byte("msg\r\n"), line...)) != nil {
				return
			}
		}
	}()
}

func (c *socketClient) outcomes(n int) {
	c.t.Helper()
	for n > 0 {
		switch line := c.next(); {
		case strings.HasPrefix(line, "MSGDONE,"):
			n--
		case line == "PROBE":
		default:
			c.t.Fatalf("got %q while %d outcomes were missing", line, n)
		}
	}
}

// 1,000 messages of 48 KB while the Metadata Adapter does not read cut it off for everybody. Their
// sender waits instead, the adapter stays, and another client's message is answered when the
// adapter goes on.
func TestMessagesToAStoppedAdapter(t *testing.T) {
	set := xmlSet(t, robustMeta, robustData)
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}, Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	var mu sync.Mutex
	resume, paused := sync.NewCond(&mu), false
	pause := func(on bool) {
		mu.Lock()
		defer mu.Unlock()
		paused = on
		resume.Broadcast()
	}
	defer pause(false)
	for _, at := range r.Adapters() {
		if at.DataAdapter != "" {
			run(t, &adapter.DataServer{Provider: quotes{}, Addr: at.Addr.String()})
			continue
		}
		run(t, &adapter.MetadataServer{
			Provider: &concierge{}, Addr: at.Addr.String(), Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				return pausingConn{conn, &mu, resume, &paused}, err
			},
		})
	}
	<-r.Ready()
	d := &demo{Running: r}
	attacker, victim := dial(t, d), dial(t, d)
	attacker.open("")
	victim.open("")
	pause(true)
	sendMany(attacker, 1000)
	comesTo(t, "1 MiB waits", func() bool { return d.Stats().PendingBytes > 950<<10 })
	victim.send("msg", "LS_reqId=1&LS_message=hi&LS_msg_prog=1")
	victim.expect("REQOK,1")
	if st := d.Stats(); st.PendingBytes > 1<<20+8<<10 || st.Messages > 30 {
		t.Errorf("%d messages with %d bytes were taken", st.Messages, st.PendingBytes)
	}
	pause(false)
	victim.outcomes(1)
	attacker.outcomes(1000)
	for _, a := range d.Stats().Adapters {
		if a.Connections != 1 || !a.Connected {
			t.Errorf("adapter %q has had %d connections", a.DataAdapter, a.Connections)
		}
	}
}

// An adapter in the process is protected likewise.
func TestMessagesToABusyAdapterInProcess(t *testing.T) {
	hold := make(chan struct{})
	var mu sync.Mutex
	has, most := 0, 0
	meta := &concierge{message: func(_ context.Context, m adapter.UserMessage) (string, error) {
		if m.Message == "hi" {
			return "", nil
		}
		mu.Lock()
		has++
		most = max(most, has)
		mu.Unlock()
		<-hold
		mu.Lock()
		has--
		mu.Unlock()
		return "", nil
	}}
	d := startInProcess(t, adapter.Set{Metadata: meta})
	attacker, victim := dial(t, d), dial(t, d)
	attacker.open("")
	victim.open("")
	sendMany(attacker, 300)
	comesTo(t, "1 MiB waits", func() bool { return d.Stats().PendingBytes > 950<<10 })
	victim.send("msg", "LS_reqId=1&LS_message=hi&LS_msg_prog=1")
	victim.expect("REQOK,1", "MSGDONE,*,1,")
	close(hold)
	attacker.outcomes(300)
	if most > 8 {
		t.Errorf("the adapter had %d messages of one client at a time", most)
	}
}

// Over HTTP a request waits for room for a while and is refused under its id, and the session goes
// on.
func TestMessagesRefusedOverHTTP(t *testing.T) {
	hold := make(chan struct{})
	meta := &concierge{message: func(context.Context, adapter.UserMessage) (string, error) { <-hold; return "", nil }}
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Adapters: map[string]adapter.Set{"DEMO": {Metadata: meta}}, Limits: Limits{PendingMessages: 2}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	d := &demo{Running: r}
	c := connect(t, d, "HTTP-STREAMING")
	start := time.Now()
	got := post(t, d, "msg", "&LS_session="+c.session, "LS_reqId=1&LS_message=a&LS_msg_prog=1\r\nLS_reqId=2&LS_message=b&LS_msg_prog=2\r\n"+
		"LS_reqId=3&LS_message=c&LS_msg_prog=3\r\nLS_reqId=4&LS_message=d&LS_msg_prog=4")
	if want := "REQOK,1\r\nREQOK,2\r\nREQERR,3,68,Too many messages waiting in the session\r\nREQERR,4,68,Too many messages waiting in the session\r\n"; got != want {
		t.Errorf("got %q", got)
	}
	if took := time.Since(start); took < session.RequestWait {
		t.Errorf("refused after %v", took)
	}
	close(hold)
	for range 2 {
		c.until(tlcp.TagMSGDONE)
	}
	c.request("msg", func(id string) []byte { return (&tlcp.Message{ReqID: id, Text: "e", Prog: 5}).Append(nil) })
	expectLines(t, "afterwards", c.until(tlcp.TagMSGDONE), "MSGDONE,,5,")
}

// A session that is created with whatever number goes on, on a WebSocket, too.
func TestExtremeNumbersOnAWebSocket(t *testing.T) {
	d := startDemo(t, Config{})
	for _, params := range []string{
		"LS_requested_max_bandwidth=1e-38", "LS_requested_max_bandwidth=1e300", "LS_keepalive_millis=1e19", "LS_keepalive_millis=-1",
		"LS_inactivity_millis=99999999999999999999", "LS_content_length=1e400", "LS_ttl_millis=9223372036854775808",
	} {
		c := dial(t, d)
		c.send("create_session", "LS_adapter_set=DEMO&LS_send_sync=false&"+params)
		c.expect("CONOK,*", "SERVNAME,*", "CLIENTIP,*", "CONS,*")
		for i, p := range []string{
			"control\r\nLS_op=constrain&LS_requested_max_bandwidth=1e-400", "control\r\nLS_op=constrain&LS_requested_max_bandwidth=NaN",
			"control\r\nLS_op=delete&LS_subId=1e30", "control\r\nLS_op=reconf&LS_subId=99999999999",
			"control\r\nLS_op=add&LS_subId=1&LS_mode=MERGE&LS_group=g&LS_schema=s&LS_requested_max_frequency=-1",
			"control\r\nLS_op=add&LS_subId=1&LS_mode=MERGE&LS_group=g&LS_schema=s&LS_requested_buffer_size=1e400",
			"msg\r\nLS_message=x&LS_msg_prog=2147483648", "msg\r\nLS_message=x&LS_msg_prog=1&LS_sequence=s&LS_max_wait=-1e5", "control\r\nLS_op=constrain&LS_requested_max_bandwidth=unlimited",
		} {
			c.send(strings.Replace(p, "\r\n", fmt.Sprintf("\r\nLS_reqId=%d&", i), 1))
		}
		for i := 0; i < 9; {
			line := strings.Split(c.next(), ",")
			switch line[0] {
			case "REQOK":
				i++
			case "REQERR":
				if i++; line[2] != "68" {
					t.Errorf("%s: %q", params, line)
				}
			case "END", "ERROR", "closed":
				t.Fatalf("%s: %q", params, line)
			}
		}
	}
}

// headOnly is the client of an HTTP request that goes away once it has got something.
type headOnly struct {
	*httptest.ResponseRecorder
	gone context.CancelFunc
}

func (h headOnly) Write(p []byte) (int, error) {
	defer h.gone()
	return h.ResponseRecorder.Write(p)
}

// FuzzHTTPRequests sends requests of any path, query, header and body; the answers are lines of the
// protocol, or errors of HTTP, and the broker goes on serving.
func FuzzHTTPRequests(f *testing.F) {
	const version = "LS_protocol=TLCP-2.5.0"
	for _, s := range []struct{ method, target, origin, forwarded, body string }{
		{"POST", "/lightstreamer/create_session.txt?" + version, "", "", "LS_adapter_set=DEMO&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0"},
		{"POST", "/lightstreamer/create_session.txt?" + version, "https://x", "1.2.3.4, 5.6.7.8", "LS_adapter_set=DEMO&LS_requested_max_bandwidth=1e-38&LS_keepalive_millis=1e30\r\nLS_op=add&LS_subId=1&LS_mode=RAW&LS_group=g&LS_schema=s"},
		{"GET", "/lightstreamer/control.txt?" + version + "&LS_reqId=1&LS_op=destroy", "", "", ""},
		{"POST", "/lightstreamer/control.txt?" + version + "&LS_session=SESSION", "", "", "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=MERGE&LS_group=merge1&LS_schema=a&LS_requested_max_frequency=1e-38"},
		{"POST", "/lightstreamer/msg.txt?" + version + "&LS_session=SESSION", "", "", "LS_reqId=1&LS_message=x&LS_sequence=s&LS_msg_prog=1&LS_max_wait=0\r\n%"},
		{"POST", "/lightstreamer/bind_session.txt?" + version, "", "", "LS_session=SESSION&LS_recovery_from=99999999999999999999&LS_polling=true&LS_polling_millis=0"},
		{"POST", "/lightstreamer/heartbeat.txt?" + version, "null", "", "\r\n"},
		{"OPTIONS", "/lightstreamer/msg.txt", "https://x", "::1", ""},
		{"PUT", "/lightstreamer/wsok.txt?%zz", "", "", "x"},
		{"GET", "/lightstreamer?" + version, "", "", ""},
		{"GET", "/metrics", "", "", ""},
	} {
		f.Add(s.method, s.target, s.origin, s.forwarded, s.body)
	}
	d := startDemo(f, Config{RecoveryTimeout: time.Millisecond, RebindTimeout: time.Millisecond, Limits: Limits{PendingMessages: 10}})
	f.Fuzz(func(t *testing.T, method, target, origin, forwarded, body string) {
		live := post(t, d, "create_session", "", "LS_adapter_set=DEMO&LS_polling=true&LS_polling_millis=1000&LS_idle_millis=0")
		id := strings.Split(live, ",")[1]
		ctx, gone := context.WithTimeout(t.Context(), patience)
		defer gone()
		req, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1", strings.NewReader(strings.ReplaceAll(body, "SESSION", id)))
		if err != nil {
			return // such a method does not get here
		}
		if req.URL, err = req.URL.Parse(strings.ReplaceAll(target, "SESSION", id)); err != nil {
			return
		}
		req.Host, req.RemoteAddr = d.Addr().String(), "192.0.2.1:5000"
		req.Header.Set("Origin", origin)
		req.Header.Set("X-Forwarded-For", forwarded)
		w := headOnly{httptest.NewRecorder(), gone}
		d.front.ServeHTTP(w, req)
		got := w.Body.Bytes()
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/enriched") {
			return
		}
		for raw := range tlcp.Lines(got) {
			if line, err := tlcp.ParseLine(raw); err != nil || line.Tag == 0 {
				t.Fatalf("line %q: %v", raw, err)
			}
		}
		if len(got) > 0 && !bytes.HasSuffix(got, []byte("\r\n")) {
			t.Fatalf("not whole lines: %q", got)
		}
		if slices.Contains([]string{"POST", "GET"}, method) && w.Code != http.StatusOK && w.Code < 400 {
			t.Errorf("status %d", w.Code)
		}
	})
}
