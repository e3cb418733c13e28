package broker

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// patience is how long a test waits for what has to come; it only runs out when something is wrong.
const patience = 20 * time.Second

// post sends a request of the protocol and returns the whole answer.
func post(t testing.TB, d *demo, name, query, body string) string {
	t.Helper()
	resp := postResponse(t, d, name, query, body)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: status %d", name, resp.StatusCode)
	}
	return string(b)
}

func postResponse(t testing.TB, d *demo, name, query, body string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL()+"/lightstreamer/"+name+".txt?LS_protocol=TLCP-2.5.0"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return resp
}

// socketClient speaks the protocol on a WebSocket by hand.
type socketClient struct {
	t     testing.TB
	conn  *wsconn.Conn
	lines chan string
}

func dial(t testing.TB, d *demo) *socketClient {
	t.Helper()
	conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Subprotocol: tlcp.Latest.Subprotocol()})
	if err != nil {
		t.Fatal(err)
	}
	c := &socketClient{t: t, conn: conn, lines: make(chan string, 10_000)}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(c.lines)
		for {
			m, err := conn.ReadText()
			if err != nil {
				return
			}
			for line := range tlcp.Lines(m) {
				c.lines <- string(line)
			}
		}
	})
	t.Cleanup(func() { conn.CloseNow(); wg.Wait() })
	return c
}

func (c *socketClient) send(lines ...string) {
	c.t.Helper()
	if err := c.conn.WriteText([]byte(strings.Join(lines, "\r\n"))); err != nil {
		c.t.Error(err)
	}
}

// next returns the next line, or "closed".
func (c *socketClient) next() string {
	c.t.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok {
			return "closed"
		}
		return line
	case <-time.After(patience):
		c.t.Fatal("no line came")
		return ""
	}
}

// expect checks the next lines. A pattern that ends with * matches the beginning.
func (c *socketClient) expect(patterns ...string) {
	c.t.Helper()
	for _, p := range patterns {
		if got := c.next(); !matches(got, p) {
			c.t.Fatalf("got line %q, want %q", got, p)
		}
	}
}

func matches(line, pattern string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(line, prefix)
	}
	return line == pattern
}

// open has a session created, and returns its id.
func (c *socketClient) open(params string) string {
	c.t.Helper()
	c.send("wsok")
	c.expect("WSOK")
	c.send("create_session", "LS_adapter_set=DEMO&LS_cid=test&LS_send_sync=false"+params)
	conok := c.next()
	parts := strings.Split(conok, ",")
	if parts[0] != "CONOK" || len(parts) != 5 {
		c.t.Fatalf("got %q, want CONOK", conok)
	}
	c.expect("SERVNAME,Lightstreamer HTTP Server", "CLIENTIP,127.0.0.1", "CONS,unlimited")
	return parts[1]
}

// client is a small client of the protocol over one of the four transports: it binds its session again after each LOOP.
type client struct {
	t         testing.TB
	d         *demo
	transport string
	session   string
	socket    *socketClient
	lines     chan tlcp.Line // notifications and answers; heads, PROBE and LOOP are taken out
	count     int64          // data notifications received; of the goroutine that reads them
	cancel    context.CancelFunc
	wg        sync.WaitGroup

	mu  sync.Mutex
	req int
}

var transports = []string{"WS-STREAMING", "WS-POLLING", "HTTP-STREAMING", "HTTP-POLLING"}

func connect(t testing.TB, d *demo, transport string) *client {
	t.Helper()
	c := &client{t: t, d: d, transport: transport, lines: make(chan tlcp.Line, 10_000)}
	ctx, cancel := context.WithCancel(t.Context())
	c.cancel = cancel
	t.Cleanup(c.close)
	if strings.HasPrefix(transport, "WS") {
		c.socket = dial(t, d)
		mode := ""
		if transport == "WS-POLLING" {
			mode = "&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0"
		}
		c.session = c.socket.open(mode)
		c.wg.Go(c.pumpSocket)
		return c
	}
	answer := post(t, d, "create_session", "", "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0&LS_adapter_set=DEMO&LS_cid=test")
	lines := strings.Split(answer, "\r\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[0], "CONOK,") || lines[4] != "LOOP,0" {
		t.Fatalf("creation answered %q", answer)
	}
	c.session = strings.Split(lines[0], ",")[1]
	c.wg.Go(func() { c.pumpHTTP(ctx) })
	return c
}

func (c *client) close() {
	c.cancel()
	if c.socket != nil {
		c.socket.conn.CloseNow()
	}
	c.wg.Wait()
}

func (c *client) bindLine() string {
	b := tlcp.BindSession{Session: c.session}
	if strings.HasSuffix(c.transport, "POLLING") {
		b.Polling, b.Idle = true, 19*time.Second
	}
	return string(b.Append(nil))
}

func (c *client) pumpSocket() {
	for line := range c.socket.lines {
		if c.take([]byte(line)) == tlcp.TagLOOP {
			if c.socket.conn.WriteText([]byte("bind_session\r\n"+c.bindLine())) != nil {
				break
			}
		}
	}
	for range c.socket.lines {
		continue
	}
	close(c.lines)
}

// pumpHTTP binds the session again and again until its end.
func (c *client) pumpHTTP(ctx context.Context) {
	defer close(c.lines)
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.d.URL()+"/lightstreamer/bind_session.txt?LS_protocol=TLCP-2.5.0", strings.NewReader(c.bindLine()))
		if err != nil {
			c.t.Error(err)
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return
		}
		last, head := tlcp.Tag(0), true
		for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
			last = c.take(scan.Bytes())
			if head && (last.Data() || last == tlcp.TagLOOP) {
				c.t.Errorf("%v before PROG in the answer to a bind", last)
			}
			head = head && last != tlcp.TagPROG && last != tlcp.TagEND && last != tlcp.TagCONERR
		}
		resp.Body.Close()
		if last != tlcp.TagLOOP {
			return
		}
	}
}

// take hands a line on.
func (c *client) take(raw []byte) tlcp.Tag {
	line, err := tlcp.ParseLine(raw)
	if err != nil || line.Tag == 0 {
		c.t.Errorf("line %q: %v", raw, err)
	}
	if line.Tag.Data() {
		c.count++
	}
	switch line.Tag {
	case tlcp.TagPROG:
		if c.socket != nil || line.Count != c.count {
			c.t.Errorf("%s: PROG,%d after %d notifications", c.transport, line.Count, c.count)
		}
	case tlcp.TagCONOK, tlcp.TagSERVNAME, tlcp.TagCLIENTIP, tlcp.TagCONS, tlcp.TagPROBE, tlcp.TagSYNC, tlcp.TagLOOP:
	default:
		line.Values = bytes.Clone(line.Values)
		c.lines <- line
	}
	return line.Tag
}

// request sends a control request and waits for its answer if it is on HTTP; on a WebSocket the answer is among the lines.
func (c *client) request(name string, build func(reqID string) []byte) {
	c.t.Helper()
	c.mu.Lock()
	c.req++
	line := string(build(fmt.Sprint(c.req)))
	id := c.req
	c.mu.Unlock()
	if c.socket != nil {
		c.socket.send(name, line)
		return
	}
	if got := post(c.t, c.d, name, "&LS_session="+c.session, line); got != fmt.Sprintf("REQOK,%d\r\n", id) {
		c.t.Errorf("%s answered %q", line, got)
	}
}

func (c *client) control(ctl tlcp.Control) {
	c.t.Helper()
	c.request("control", func(id string) []byte { ctl.ReqID = id; return ctl.Append(nil) })
}

// until collects lines up to the first one of a tag, which is the last of the result. Answers are left out.
func (c *client) until(tag tlcp.Tag) []string {
	c.t.Helper()
	var got []string
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("the flow ended after %q, without %v", got, tag)
			}
			if line.Tag == tlcp.TagREQOK {
				continue
			}
			text := line.Tag.String()
			switch line.Tag {
			case tlcp.TagU:
				text = fmt.Sprintf("U,%d,%d,%s", line.SubID, line.Item, line.Values)
			case tlcp.TagREQERR, tlcp.TagERROR, tlcp.TagEND:
				text += fmt.Sprintf(",%d,%s", line.Code, line.Text)
			case tlcp.TagMSGDONE:
				text += fmt.Sprintf(",%s,%d,%s", line.Sequence, line.Prog, line.Text)
			case tlcp.TagMSGFAIL:
				text += fmt.Sprintf(",%s,%d,%d,%s", line.Sequence, line.Prog, line.Code, line.Text)
			}
			got = append(got, text)
			if line.Tag == tag {
				return got
			}
		case <-deadline:
			c.t.Fatalf("only %q came, no %v", got, tag)
		}
	}
}
