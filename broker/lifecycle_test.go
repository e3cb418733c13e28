package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Run(ctx, Config{Listener: l}) }()
	resp, err := http.Post("http://"+l.Addr().String()+"/lightstreamer/heartbeat.txt?LS_protocol=TLCP-2.5.0", "text/plain", strings.NewReader("\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("after a clean end: %v", err)
	}
	if err := Run(t.Context(), Config{Limits: Limits{Request: 1}}); err == nil {
		t.Error("a wrong configuration was taken")
	}
	if err := Run(ctx, Config{Addr: "127.0.0.1:0"}); err != nil {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// A broker whose listener fails says so.
func TestListenerFails(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Start(t.Context(), Config{Listener: l})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	<-r.Done()
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "accepting clients") {
		t.Errorf("got %v", err)
	}
	r.Close()
}

func TestListenerIsClosed(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Config{Listener: l, AdaptersDir: t.TempDir()}); err == nil {
		t.Fatal("it started")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener of a broker that did not start: %v", err)
	}
}

// Clients are told when the broker stops, those that do not listen notwithstanding.
func TestShutdown(t *testing.T) {
	d := startDemo(t, Config{})
	socket := connect(t, d, "WS-STREAMING")
	stream := connect(t, d, "HTTP-STREAMING")
	poll := connect(t, d, "HTTP-POLLING")
	subscribe(poll, tlcp.Add{SubID: 1, Mode: tlcp.ModeRaw, Group: "raw1", Schema: "a"})
	subscribe(stream, tlcp.Add{SubID: 1, Mode: tlcp.ModeRaw, Group: "raw1", Schema: "a"})
	poll.until(tlcp.TagCONF)
	stream.until(tlcp.TagCONF)
	idle := dial(t, d) // a socket without a session
	dialMute(t, d, wsconn.Options{})
	if err := d.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for _, c := range []*client{socket, stream} {
		expectLines(t, c.transport, c.until(tlcp.TagEND), "END,48,Server is closing")
	}
	for line := range poll.lines { // it may have been between two polls
		if line.Tag != tlcp.TagEND || line.Code != tlcp.CodeMaxDuration {
			t.Errorf("a poll got %+v", line)
		}
	}
	idle.expect("closed")
	d.Close() // again, which is nothing
	if err := d.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other := startDemo(t, Config{})
	if err := other.Shutdown(ctx); err == nil {
		<-other.Done() // it was faster
	}
}

// dialMute opens a session with a subscription, and reads nothing from then on.
func dialMute(t *testing.T, d *demo, opts wsconn.Options) *wsconn.Conn {
	t.Helper()
	conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Options: opts, Subprotocol: tlcp.Latest.Subprotocol()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.CloseNow)
	for _, m := range []string{
		"create_session\r\nLS_adapter_set=DEMO&LS_send_sync=false",
		"control\r\nLS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_group=flood&LS_schema=a",
	} {
		if err := conn.WriteText([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	for {
		m, err := conn.ReadText()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(m), "CONF,1") {
			return conn
		}
	}
}

// A client that does not read holds up neither the adapter nor another client.
func TestSlowClient(t *testing.T) {
	d := startDemo(t, Config{})
	dialMute(t, d, wsconn.Options{})
	good := connect(t, d, "WS-STREAMING")
	subscribe(good, tlcp.Add{SubID: 1, Mode: tlcp.ModeRaw, Group: "flood", Schema: "a"})
	good.until(tlcp.TagCONF)
	// Far more than the kernel takes for the other one. Each is awaited here, so that none is dropped for being too many.
	value := strings.Repeat("x", 30<<10)
	for i := range 600 {
		d.data.update(t, "flood", "a", fmt.Sprint(i, value))
		if got := good.until(tlcp.TagU); len(got) != 1 || !strings.HasPrefix(got[0], fmt.Sprintf("U,1,1,%dx", i)) {
			t.Fatalf("update %d: got %d lines, %.20q", i, len(got), got)
		}
	}
}

// A client that does not read the answers to its requests is not read any more.
func TestAnswersAreBounded(t *testing.T) {
	d := startDemo(t, Config{})
	c := dialMute(t, d, wsconn.Options{WriteTimeout: 300 * time.Millisecond})
	batch := []byte("control" + strings.Repeat("\r\nLS_reqId=1&LS_op=fly", 2000))
	refused := false
	for range 2000 { // 90 MB, whose answers are twice as much
		if refused = c.WriteText(batch) != nil; refused {
			break
		}
		for _, waiting := range answersWaiting(d) {
			if waiting > maxAnswers+200<<10 { // as many as there may be, and those of the last batch
				t.Fatalf("%d bytes of answers wait", waiting)
			}
		}
	}
	if !refused {
		t.Error("the broker goes on taking requests")
	}
}

// answersWaiting is how much each socket has to answer.
func answersWaiting(d *demo) []int {
	d.front.sockets.mu.Lock()
	defer d.front.sockets.mu.Unlock()
	var all []int
	for s := range d.front.sockets.open {
		s.answer.mu.Lock()
		all = append(all, len(s.answer.lines))
		s.answer.mu.Unlock()
	}
	return all
}

func TestIdleSocket(t *testing.T) {
	d := startDemo(t, Config{IdleTimeout: 30 * time.Millisecond})
	dial(t, d).expect("closed")
	// One with a session stays; on a slow machine it may take some attempts to have one in time.
	var busy *socketClient
	for line := "closed"; !strings.HasPrefix(line, "CONOK"); {
		busy = dial(t, d)
		_ = busy.conn.WriteText([]byte("create_session\r\nLS_adapter_set=DEMO&LS_send_sync=false&LS_keepalive_millis=1000"))
		line = busy.next()
	}
	busy.expect("SERVNAME,*", "CLIENTIP,*", "CONS,unlimited", "PROBE")
	busy.send("control", "LS_reqId=1&LS_op=force_rebind")
	busy.expect("REQOK,1", "LOOP,0", "closed")
}

// Beyond the limit connections are refused at once: nobody waits for a place that may never come.
func TestMaxConnections(t *testing.T) {
	for _, monitoring := range []bool{true, false} {
		d := startDemo(t, Config{Limits: Limits{Connections: 2}, NoMonitoring: !monitoring})
		first, second := dial(t, d), dial(t, d)
		third := func() (*wsconn.Conn, error) {
			return wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Subprotocol: tlcp.Latest.Subprotocol()})
		}
		if _, err := third(); err == nil || monitoring != strings.Contains(err.Error(), "status 503") {
			t.Errorf("a third connection, with monitoring %v: %v", monitoring, err)
		}
		if st := d.Stats().Front; st.Open != 2 || st.RefusedByLimit != 1 {
			t.Errorf("stats %+v", st)
		}
		second.send("wsok")
		second.expect("WSOK")
		first.conn.CloseNow()
		for deadline := time.Now().Add(patience); ; { // until the broker has noticed
			conn, err := third()
			if err == nil {
				conn.CloseNow()
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after one has left: %v", err)
			}
		}
	}
}

// A thousand clients that vanish in the midst of whatever leave nothing behind: no goroutine, session, item or buffer.
func TestAbruptDisconnects(t *testing.T) {
	d := startDemo(t, Config{RecoveryTimeout: 50 * time.Millisecond, RebindTimeout: 50 * time.Millisecond})
	before := runtime.NumGoroutine()
	const rounds, clients = 5, 200
	for range rounds {
		var conns []net.Conn
		for i := range clients {
			conns = append(conns, vanishing(t, d, i))
		}
		if n := runtime.NumGoroutine(); n < before+clients {
			t.Errorf("%d goroutines with %d clients: the test does not see them", n-before, clients)
		}
		d.data.update(t, "merge1", "a", "2")
		for _, conn := range conns {
			conn.(*net.TCPConn).SetLinger(0) // a reset, as from a machine that is gone
			conn.Close()
		}
	}
	if n := d.Stats().Created; n < rounds*clients/2 {
		t.Errorf("only %d sessions were created", n)
	}
	awaitGoroutines(t, before)
	deadline := time.Now().Add(patience)
	for st := d.Stats(); st.Sessions+st.Connections+st.Subscriptions+st.Items+st.QueueBytes+st.HistoryBytes != 0; st = d.Stats() {
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %+v", st)
		}
		runtime.Gosched()
	}
	d.data.mu.Lock()
	defer d.data.mu.Unlock()
	if len(d.data.sinks) != 0 {
		t.Errorf("the adapter still has %d items", len(d.data.sinks))
	}
	d.front.sockets.mu.Lock()
	defer d.front.sockets.mu.Unlock()
	if n := len(d.front.sockets.open); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
}

// vanishing connects a client that gets as far as its kind does.
func vanishing(t *testing.T, d *demo, kind int) net.Conn {
	t.Helper()
	conn := connectTo(t, d)
	switch kind % 5 {
	case 0: // in the middle of a request
		fmt.Fprint(conn, "POST /lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nLS_adap")
	case 1: // an HTTP stream
		body := "LS_adapter_set=DEMO&LS_send_sync=false"
		fmt.Fprintf(conn, "POST /lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		await(t, conn, "CONS,unlimited\r\n")
	case 2: // a WebSocket
		upgrade(t, conn)
	case 3: // between two polls
		upgrade(t, conn)
		sendFrame(conn, "create_session\r\nLS_adapter_set=DEMO&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
		await(t, conn, "LOOP,0\r\n")
	default: // a WebSocket session with a subscription
		upgrade(t, conn)
		sendFrame(conn, "create_session\r\nLS_adapter_set=DEMO&LS_send_sync=false")
		sendFrame(conn, "control\r\nLS_reqId=1&LS_op=add&LS_subId=1&LS_mode=MERGE&LS_group=merge1&LS_schema=a&LS_snapshot=true")
		await(t, conn, "U,1,1,")
	}
	return conn
}

// await reads until a text has come.
func await(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	var got []byte
	for buf := make([]byte, 4096); !strings.Contains(string(got), text); {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got = append(got, buf[:n]...)
	}
}

func upgrade(t *testing.T, conn net.Conn) {
	t.Helper()
	fmt.Fprintf(conn, "GET /lightstreamer HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: nyhhQ4CdPEMnho9xUR9BkQ==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", tlcp.Latest.Subprotocol())
	await(t, conn, "\r\n\r\n")
}

// sendFrame sends a text message, masked with zeros.
func sendFrame(conn net.Conn, text string) {
	head := []byte{0x81, 0xFE, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0}
	if len(text) < 126 {
		head = []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}
	}
	conn.Write(append(head, text...))
}

// What the Metadata Adapter may ask for reaches the client.
func TestForcedTermination(t *testing.T) {
	d := startDemo(t, Config{})
	c := connect(t, d, "HTTP-STREAMING")
	subscribe(c, tlcp.Add{SubID: 1, Mode: tlcp.ModeRaw, Group: "raw1", Schema: "a"})
	c.until(tlcp.TagCONF)
	cause := &provider.Cause{Code: -3, Message: provider.T("custom, cause")}
	if err := d.sessions.ControlOf("DEMO").ForceSessionTermination(c.session, cause); err != nil {
		t.Fatal(err)
	}
	expectLines(t, "termination", c.until(tlcp.TagEND), "END,-3,custom, cause")
}
