package broker

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// Sessions that are refused, on both transports.
func TestSessionsRefused(t *testing.T) {
	d := startDemo(t, Config{})
	tests := []struct{ name, request, body, want string }{
		{"adapter set", "create_session", "LS_adapter_set=NONE", "CONERR,2,Requested Adapter Set not available"},
		{"no adapter set", "create_session", "LS_cid=x", "CONERR,2,Requested Adapter Set not available"},
		{"user", "create_session", "LS_adapter_set=DEMO&LS_user=mallory&LS_password=hunter2", "CONERR,1,User/password check failed"},
		{"credits", "create_session", "LS_adapter_set=DEMO&LS_user=poor", "CONERR,-5,credits%2C refused"},
		{"bad value", "create_session", "LS_adapter_set=DEMO&LS_polling=maybe", "CONERR,65,parameter LS_polling: want true or false"},
		{"bad escape", "create_session", "LS_adapter_set=DEMO&LS_password=100%", "CONERR,65,parameter LS_password: percent sign without two hex digits"},
		{"combined, incomplete", "create_session", "LS_adapter_set=DEMO\r\nLS_op=add&LS_subId=1", "CONERR,64,parameter LS_group: missing"},
		{"combined, refused", "create_session", "LS_adapter_set=DEMO\r\nLS_op=add&LS_subId=1&LS_mode=RAW&LS_group=badgroup&LS_schema=a", "CONERR,64,Bad Item Group name"},
		{"unknown session", "bind_session", "LS_session=S123", "CONERR,20,Specified session not found"},
		{"no session", "bind_session", "LS_content_length=5", "CONERR,67,parameter LS_session: missing"},
		{"two binds", "bind_session", "LS_session=S1\r\nLS_session=S2", "CONERR,67,*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := post(t, d, tt.request, "", tt.body); !matches(strings.TrimSuffix(got, "\r\n"), tt.want) {
				t.Errorf("HTTP: got %q, want %q", got, tt.want)
			}
			c := dial(t, d)
			c.send("wsok")
			c.expect("WSOK")
			c.send(tt.request, tt.body)
			c.expect(tt.want)
			c.send("wsok") // the socket is still good
			c.expect("WSOK")
		})
	}
}

// Requests that are refused, on both transports.
func TestRequestsRefused(t *testing.T) {
	d := startDemo(t, Config{})
	const add = "LS_op=add&LS_subId=9&LS_group=merge1&LS_mode="
	tests := []struct{ name, request, body, want string }{
		{"data adapter", "control", "LS_reqId=1&" + add + "MERGE&LS_schema=a&LS_data_adapter=NONE", "REQERR,1,17,Data Adapter not found"},
		{"no key", "control", "LS_reqId=2&" + add + "COMMAND&LS_schema=command%20qty", "REQERR,2,15,*"},
		{"no command", "control", "LS_reqId=3&" + add + "COMMAND&LS_schema=key%20qty", "REQERR,3,16,*"},
		{"group", "control", "LS_reqId=4&LS_op=add&LS_subId=9&LS_group=badgroup&LS_mode=MERGE&LS_schema=a", "REQERR,4,21,Bad Item Group name"},
		{"no operation", "control", "LS_reqId=5", "REQERR,5,68,parameter LS_op: missing"},
		{"unknown operation", "control", "LS_reqId=6&LS_op=fly", "REQERR,6,68,parameter LS_op: unknown operation"},
		{"no request id", "control", "LS_op=delete&LS_subId=1", "ERROR,67,parameter LS_reqId: missing"},
		{"nothing", "control", "", "ERROR,67,parameter LS_reqId: missing"},
		{"no such subscription", "control", "LS_reqId=7&LS_op=delete&LS_subId=77", "REQERR,7,19,Specified subscription not found"},
		{"push notifications", "control", "LS_reqId=8&LS_op=register&PN_type=Google", "REQERR,8,40,*"},
		{"other session", "control", "LS_reqId=9&LS_op=destroy&LS_session=S1", "REQERR,9,20,Session not found"},
		{"message without number", "msg", "LS_reqId=10&LS_message=x", "REQERR,10,68,parameter LS_msg_prog: missing"},
		{"message of another session", "msg", "LS_reqId=11&LS_message=x&LS_outcome=false&LS_session=S1", "REQERR,11,20,Session not found"},
		{"message with a bad escape", "msg", "LS_reqId=12&LS_message=100%&LS_outcome=false", "REQERR,12,68,parameter LS_message: percent sign without two hex digits"},
		{"heartbeat with a bad escape", "heartbeat", "LS_session=%", "ERROR,65,*"},
	}
	socket := dial(t, d)
	session := socket.open("")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := post(t, d, tt.request, "&LS_session="+session, tt.body); !matches(strings.TrimSuffix(got, "\r\n"), tt.want) {
				t.Errorf("HTTP: got %q, want %q", got, tt.want)
			}
			socket.send(tt.request, tt.body)
			socket.expect(tt.want)
		})
	}
	socket.send("fly", "LS_reqId=1")
	socket.expect("ERROR,67,*")
	// An answer that is not wanted does not come, one that is does.
	socket.send("control", "LS_reqId=20&"+add+"MERGE&LS_schema=a&LS_ack=false")
	socket.expect("SUBOK,9,1,1", "CONF,9,unlimited,filtered")
	socket.send("control", "LS_reqId=21&LS_op=reconf&LS_subId=9&LS_requested_max_frequency=3")
	for got := socket.next(); got != "REQOK,21"; got = socket.next() {
		if got != "CONF,9,3.0,filtered" {
			t.Fatalf("got %q", got)
		}
	}
}

func TestControlWithoutSession(t *testing.T) {
	d := startDemo(t, Config{})
	if got := post(t, d, "control", "", "LS_reqId=1&LS_op=destroy"); got != "REQERR,1,20,Session not found\r\n" {
		t.Errorf("HTTP: got %q", got)
	}
	c := dial(t, d)
	c.send("control", "LS_reqId=1&LS_op=destroy")
	c.expect("REQERR,1,20,Session not found")
	// A heartbeat for an unknown session is no error, nor answered on a WebSocket.
	if got := post(t, d, "heartbeat", "&LS_session=S1", "\r\n"); got != "REQOK\r\n" {
		t.Errorf("heartbeat: got %q", got)
	}
	c.send("heartbeat", "", "")
	c.send("wsok")
	c.expect("WSOK")
}

func TestVersions(t *testing.T) {
	d := startDemo(t, Config{})
	for _, tt := range []struct{ name, query, want string }{
		{"create_session", "", "CONERR,67,LS_protocol missing or malformed\r\n"},
		{"create_session", "?LS_protocol=TLCP-9.0.0", "CONERR,60,*"},
		{"create_session", "?LS_protocol=%", "CONERR,65,*"},
		{"control", "", "ERROR,67,LS_protocol missing or malformed\r\n"},
		{"bind_session", "?LS_protocol=TLCP-2.0.0", "CONERR,60,*"},
		{"create_session", "?LS_protocol=TLCP-2.1.0", "CONOK,*"},
		{"create_session", "?LS_protocol=TLCP-2.4.0", "CONOK,*"},
	} {
		req := httptest.NewRequest(http.MethodPost, "http://localhost/lightstreamer/"+tt.name+".txt"+tt.query,
			strings.NewReader("LS_adapter_set=DEMO&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0"))
		w := httptest.NewRecorder()
		d.front.ServeHTTP(w, req)
		if got := w.Body.String(); w.Code != http.StatusOK || !matches(got, tt.want) {
			t.Errorf("%s%s: status %d, %q; want %q", tt.name, tt.query, w.Code, got, tt.want)
		}
	}
	for _, subprotocol := range []string{"", "chat", "TLCP-2.0.0.lightstreamer.com", "TLCP-3.0.0.lightstreamer.com"} {
		_, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Subprotocol: subprotocol})
		if err == nil || !strings.Contains(err.Error(), "status 400") {
			t.Errorf("subprotocol %q: %v, want status 400", subprotocol, err)
		}
	}
	// A version before 2.5 has two arguments in MSGDONE.
	conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Subprotocol: "TLCP-2.3.0.lightstreamer.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.WriteText([]byte("create_session\r\nLS_adapter_set=DEMO&LS_send_sync=false"))
	conn.WriteText([]byte("msg\r\nLS_reqId=1&LS_message=x&LS_msg_prog=1&LS_ack=false"))
	for {
		m, err := conn.ReadText()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(m), "MSGDONE") {
			if string(m) != "MSGDONE,*,1\r\n" {
				t.Errorf("got %q", m)
			}
			break
		}
	}
}

// What is too long is refused under its id, with a code that does not cost the client its session, as far as it is read at all.
func TestOversizedRequests(t *testing.T) {
	d := startDemo(t, Config{Limits: Limits{Request: 1000}})
	c := dial(t, d)
	session := c.open("")
	message := func(n int) string {
		return fmt.Sprintf("LS_reqId=7&LS_message=%s&LS_msg_prog=1", strings.Repeat("x", n))
	}
	const refusal = "REQERR,7,68,request larger than the limit of 1000 bytes"
	for _, size := range []int{1001, 3000, 10_000, 2 << 20} {
		if got := post(t, d, "msg", "&LS_session="+session, message(size)); got != refusal+"\r\n" {
			t.Errorf("HTTP, %d bytes: got %q", size, got)
		}
		if got := post(t, d, "create_session", "", "LS_adapter_set=DEMO&LS_cid="+strings.Repeat("x", size)); !strings.HasPrefix(got, "CONERR,67,request larger") {
			t.Errorf("HTTP, creation of %d bytes: got %q", size, got)
		}
	}
	// A client that writes all of its request before it reads sees the answer, too.
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	body := message(4 << 20)
	if _, err := fmt.Fprintf(conn, "POST /lightstreamer/msg.txt?LS_protocol=TLCP-2.5.0&LS_session=%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s",
		session, len(body), body); err != nil {
		t.Fatal(err)
	}
	await(t, conn, refusal)
	c.send("msg", message(3000))
	c.expect(refusal)
	c.send("msg", message(500))
	for range 2 { // REQOK and MSGDONE, in any order
		if got := c.next(); got != "REQOK,7" && !strings.HasPrefix(got, "MSGDONE,*,1,got xxx") {
			t.Errorf("got %q", got)
		}
	}
	c.send("msg", message(10_000))
	c.expect("closed")
}

func TestBusySocket(t *testing.T) {
	d := startDemo(t, Config{})
	other := dial(t, d).open("")
	c := dial(t, d)
	own := c.open("")
	c.send("create_session", "LS_adapter_set=DEMO")
	c.expect("CONERR,69,*")
	c.send("bind_session", "LS_session="+other)
	c.expect("CONERR,69,*")
	// Its own session can be bound anew; the flow starts again with a head.
	c.send("bind_session", "LS_session="+own+"&LS_send_sync=false")
	c.expect("CONOK,"+own+",50000,5000,*", "SERVNAME,*", "CLIENTIP,127.0.0.1", "CONS,unlimited")
	// After LOOP another one can be.
	c.send("control", "LS_reqId=1&LS_op=force_rebind")
	c.expect("REQOK,1", "LOOP,0")
	c.send("bind_session", "LS_session="+other+"&LS_send_sync=false")
	c.expect("CONOK," + other + ",50000,5000,*")
}

// The messages of a socket are processed in order, and may be sent before any answer has come.
func TestEarlyRequests(t *testing.T) {
	d := startDemo(t, Config{})
	c := dial(t, d)
	c.send("wsok")
	c.send("create_session", "LS_adapter_set=DEMO&LS_send_sync=false")
	c.send("control",
		"LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=MERGE&LS_group=merge1&LS_schema=a&LS_snapshot=true&LS_ack=false",
		"LS_reqId=2&LS_op=add&LS_subId=2&LS_mode=MERGE&LS_group=merge2&LS_schema=a&LS_snapshot=true&LS_ack=false",
		"LS_reqId=3&LS_op=delete&LS_subId=1&LS_ack=false", "")
	c.expect("WSOK", "CONOK,*", "SERVNAME,*", "CLIENTIP,*", "CONS,unlimited")
	seen := make(map[string]bool)
	for !seen["UNSUB,1"] || !seen["U,2,1,1"] {
		line := c.next()
		if strings.HasPrefix(line, "REQ") || line == "closed" {
			t.Fatalf("got %q", line)
		}
		seen[line] = true
	}
}

// A session that is bound elsewhere leaves its socket, which is closed without LOOP or END.
func TestAbandonedSocket(t *testing.T) {
	d := startDemo(t, Config{})
	c := dial(t, d)
	session := c.open("")
	answer := post(t, d, "bind_session", "", "LS_session="+session+"&LS_recovery_from=0&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
	want := []string{"CONOK," + session + ",50000,0,*", "SERVNAME,*", "CLIENTIP,*", "CONS,unlimited", "PROG,0", "LOOP,0", ""}
	for i, line := range strings.Split(answer, "\r\n") {
		if i >= len(want) || !matches(line, want[i]) {
			t.Fatalf("the recovery answered %q", answer)
		}
	}
	c.expect("closed")
}

// Each line of a batch has its answer line.
func TestBatches(t *testing.T) {
	d := startDemo(t, Config{})
	session := dial(t, d).open("")
	got := post(t, d, "control", "&LS_session="+session,
		"LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=MERGE&LS_group=merge1&LS_schema=a&LS_ack=false\r\n"+
			"LS_reqId=2&LS_op=add&LS_subId=2&LS_mode=FUNNY&LS_group=merge1&LS_schema=a&\r\n"+
			"LS_op=add\r\n"+
			"LS_reqId=4&LS_op=delete&LS_subId=1\r\n")
	want := "REQOK,1\r\nREQERR,2,68,parameter LS_mode: want MERGE%2C DISTINCT%2C COMMAND or RAW\r\nERROR,67,parameter LS_reqId: missing\r\nREQOK,4\r\n"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	got = post(t, d, "msg", "&LS_session="+session, "LS_reqId=5&LS_message=a&LS_sequence=q&LS_msg_prog=1\r\nLS_reqId=6&LS_message=b&LS_sequence=q&LS_msg_prog=2")
	if got != "REQOK,5\r\nREQOK,6\r\n" {
		t.Errorf("got %q", got)
	}
}

// Whatever arrives as the first message, the broker answers or closes, and goes on serving.
func FuzzSocketMessages(f *testing.F) {
	for _, s := range []string{
		"wsok", "heartbeat\r\n\r\n", "create_session\r\nLS_adapter_set=DEMO&LS_polling=true&LS_polling_millis=0",
		"control\r\nLS_reqId=1&LS_op=force_rebind&LS_close_socket=true", "control\r\n\r\n\r\n", "bind_session\r\nLS_session=S1", "msg\r\n&&&",
		"create_session\r\nLS_adapter_set=DEMO&LS_keepalive_millis=1&LS_content_length=1", "control\r\nLS_reqId=1&LS_op=destroy&LS_close_socket=true",
	} {
		f.Add([]byte(s), []byte("control\r\nLS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_group=g&LS_schema=s"))
	}
	d := startDemo(f, Config{})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Subprotocol: tlcp.Latest.Subprotocol()})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		for _, m := range [][]byte{first, second, []byte("wsok")} {
			if conn.WriteText([]byte(strings.ToValidUTF8(string(m), "?"))) != nil {
				return // closed
			}
		}
		for {
			m, err := conn.ReadText()
			if err != nil {
				return // closed
			}
			for raw := range tlcp.Lines(m) {
				line, err := tlcp.ParseLine(raw)
				if err != nil || line.Tag == 0 {
					t.Fatalf("line %q: %v", raw, err)
				}
				if line.Tag == tlcp.TagWSOK {
					return
				}
			}
		}
	})
}
