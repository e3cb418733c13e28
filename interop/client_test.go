//go:build interop

package interop

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// client is a client of the protocol on a WebSocket, as plain as can be.
type client struct {
	t       *testing.T
	conn    *wsconn.Conn
	session string
	over    bool // END has come
	lines   chan tlcp.Line
	reqs    int
	subs    map[int]*subscription
	seen    []string // for the message of a failure
}

// subscription is what a client knows of one.
type subscription struct {
	id     int
	fields int
	rows   map[int][]tlcp.Value
}

// openSession creates a session for a user. Refused, it returns the CONERR and a nil client.
func openSession(t *testing.T, url, set, user string) (*client, tlcp.Line) {
	t.Helper()
	return openSessionOver(t, nil, url, set, user)
}

// openSessionOver is openSession with TLS, unless config is nil.
func openSessionOver(t *testing.T, config *tls.Config, url, set, user string) (*client, tlcp.Line) {
	t.Helper()
	conn, err := wsconn.Dial(t.Context(), url+"/lightstreamer", wsconn.DialOptions{Subprotocol: tlcp.Latest.Subprotocol(), TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, conn: conn, lines: make(chan tlcp.Line, 100_000), subs: make(map[int]*subscription)}
	var reading sync.WaitGroup
	reading.Go(c.read)
	t.Cleanup(func() {
		c.leave()
		conn.CloseNow()
		reading.Wait()
	})
	password := "secret of " + user
	create := tlcp.CreateSession{AdapterSet: set, User: &user, Password: &password, CID: "lab", ConnParams: tlcp.ConnParams{NoSync: true}}
	c.send("wsok", nil)
	c.send("create_session", create.Append(nil))
	for {
		switch line := c.next(); line.Tag {
		case tlcp.TagWSOK:
		case tlcp.TagCONOK:
			c.session = line.Session
			return c, line
		case tlcp.TagCONERR:
			return nil, line
		default:
			t.Fatalf("got %s, want CONOK or CONERR", show(line))
		}
	}
}

// connect is openSession for a user who is let in.
func connect(t *testing.T, url, set, user string) *client {
	t.Helper()
	c, line := openSession(t, url, set, user)
	if c == nil {
		t.Fatalf("user %s is refused: %s", user, show(line))
	}
	return c
}

func (c *client) read() {
	defer close(c.lines)
	for {
		m, err := c.conn.ReadText()
		if err != nil {
			return
		}
		for raw := range tlcp.Lines(m) {
			line, err := tlcp.ParseLine(append([]byte(nil), raw...))
			if err != nil {
				line.Text = fmt.Sprintf("unreadable line %q: %v", raw, err)
			}
			c.lines <- line
		}
	}
}

func (c *client) send(name string, line []byte) {
	c.t.Helper()
	text := name
	if line != nil {
		text += "\r\n" + string(line)
	}
	if err := c.conn.WriteText([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next line that is no head, probe or acknowledgement.
func (c *client) next() tlcp.Line {
	c.t.Helper()
	line, ok := c.within(patience)
	if !ok {
		c.t.Fatalf("no line came; before: %q", c.seen)
	}
	return line
}

func (c *client) within(d time.Duration) (tlcp.Line, bool) {
	c.t.Helper()
	over := time.After(d)
	for {
		select {
		case line, open := <-c.lines:
			if !open {
				return tlcp.Line{Text: "closed"}, true
			}
			switch line.Tag {
			case tlcp.TagSERVNAME, tlcp.TagCLIENTIP, tlcp.TagCONS, tlcp.TagPROBE, tlcp.TagSYNC, tlcp.TagNOOP, tlcp.TagREQOK, tlcp.TagPROG:
				continue
			case tlcp.TagCONF:
				if line.Frequency.Limit > 0 {
					break
				}
				continue
			}
			if len(c.seen) < 200 {
				c.seen = append(c.seen, show(line))
			}
			return line, true
		case <-over:
			return tlcp.Line{}, false
		}
	}
}

func show(l tlcp.Line) string {
	switch l.Tag {
	case tlcp.TagU:
		return fmt.Sprintf("U,%d,%d,%.200s", l.SubID, l.Item, l.Values)
	case tlcp.TagSUBOK, tlcp.TagSUBCMD:
		return fmt.Sprintf("%v,%d,%d,%d", l.Tag, l.SubID, l.Items, l.Fields)
	case tlcp.TagEOS, tlcp.TagCS, tlcp.TagOV, tlcp.TagUNSUB:
		return fmt.Sprintf("%v,%d,%d", l.Tag, l.SubID, l.Item)
	case tlcp.TagCONERR, tlcp.TagEND, tlcp.TagREQERR, tlcp.TagMSGFAIL, tlcp.TagERROR:
		return fmt.Sprintf("%v,%d,%s", l.Tag, l.Code, l.Text)
	}
	return l.Tag.String() + " " + l.Text
}

// wish describes a subscription to make.
type wish struct {
	mode       tlcp.Mode
	group      string
	schema     string
	adapter    string
	selector   string
	filtered   bool // otherwise unfiltered, so that nothing is conflated
	noSnapshot bool
}

// ask sends the request for a subscription and returns the answer: SUBOK, SUBCMD or REQERR.
func (c *client) ask(w wish) (*subscription, tlcp.Line) {
	c.t.Helper()
	c.reqs++
	add := tlcp.Add{SubID: c.reqs, Mode: w.mode, Group: w.group, Schema: w.schema, DataAdapter: w.adapter, Snapshot: tlcp.Snapshot{Requested: !w.noSnapshot}}
	if w.adapter == "" {
		add.DataAdapter = "LAB"
	}
	if w.selector != "" {
		add.Selector = &w.selector
	}
	add.MaxFrequency.Unfiltered = !w.filtered
	ctl := tlcp.Control{ReqID: fmt.Sprint(c.reqs), Op: tlcp.OpAdd, Add: &add}
	c.send("control", ctl.Append(nil))
	for {
		line := c.next()
		switch line.Tag {
		case tlcp.TagREQERR:
			return nil, line
		case tlcp.TagSUBOK, tlcp.TagSUBCMD:
			if line.SubID != add.SubID {
				continue
			}
			s := &subscription{id: add.SubID, fields: line.Fields, rows: make(map[int][]tlcp.Value)}
			c.subs[s.id] = s
			return s, line
		case tlcp.TagU:
			c.row(line)
		case 0, tlcp.TagEND, tlcp.TagERROR:
			c.t.Fatalf("subscribing to %s: got %s", w.group, show(line))
		}
	}
}

// subscribe is ask for a subscription that is accepted.
func (c *client) subscribe(w wish) *subscription {
	c.t.Helper()
	s, line := c.ask(w)
	if s == nil {
		c.t.Fatalf("subscription to %s refused: %s", w.group, show(line))
	}
	return s
}

func (c *client) unsubscribe(s *subscription) {
	c.t.Helper()
	c.reqs++
	ctl := tlcp.Control{ReqID: fmt.Sprint(c.reqs), Op: tlcp.OpDelete, Delete: &tlcp.Delete{SubID: s.id}}
	c.send("control", ctl.Append(nil))
	for {
		line := c.next()
		if line.Tag == tlcp.TagUNSUB && line.SubID == s.id {
			return
		}
		if line.Tag == 0 || line.Tag == tlcp.TagREQERR {
			c.t.Fatalf("unsubscribing: got %s", show(line))
		}
	}
}

// message sends a message and returns MSGDONE or MSGFAIL.
func (c *client) message(text string) tlcp.Line {
	c.t.Helper()
	c.sendMessage(text)
	for {
		line := c.next()
		switch line.Tag {
		case tlcp.TagMSGDONE, tlcp.TagMSGFAIL:
			return line
		case 0, tlcp.TagEND, tlcp.TagREQERR:
			c.t.Fatalf("message %q: got %s", text, show(line))
		}
	}
}

func (c *client) sendMessage(text string) {
	c.t.Helper()
	c.reqs++
	m := tlcp.Message{ReqID: fmt.Sprint(c.reqs), Text: text, Prog: c.reqs}
	c.send("msg", m.Append(nil))
}

// destroy ends the session and waits for its end.
func (c *client) destroy() {
	c.t.Helper()
	c.reqs++
	ctl := tlcp.Control{ReqID: fmt.Sprint(c.reqs), Op: tlcp.OpDestroy, Destroy: &tlcp.Destroy{}}
	c.send("control", ctl.Append(nil))
	c.end()
}

// leave destroys the session if it is still there, so that its items are free for the next test.
func (c *client) leave() {
	ctl := tlcp.Control{ReqID: "leave", Op: tlcp.OpDestroy, Destroy: &tlcp.Destroy{}}
	if c.session == "" || c.over || c.conn.WriteText(append([]byte("control\r\n"), ctl.Append(nil)...)) != nil {
		return
	}
	over := time.After(patience)
	for {
		select {
		case line, open := <-c.lines:
			if !open || line.Tag == tlcp.TagEND {
				return
			}
		case <-over:
			c.t.Error("the session does not end")
			return
		}
	}
}

// end waits for the END of the session.
func (c *client) end() tlcp.Line {
	c.t.Helper()
	for {
		line := c.next()
		if line.Tag == tlcp.TagEND {
			c.over = true
			return line
		}
		if line.Tag == 0 {
			c.t.Fatalf("the connection ended without END; before: %q", c.seen)
		}
	}
}

// row applies an update and returns the values of the row, NULL for null.
func (c *client) row(l tlcp.Line) []string {
	c.t.Helper()
	s := c.subs[l.SubID]
	if s == nil {
		c.t.Fatalf("update of an unknown subscription: %s", show(l))
	}
	elements, err := tlcp.AppendElements(nil, l.Values, s.fields)
	if err == nil {
		s.rows[l.Item], err = tlcp.Merge(s.rows[l.Item], elements)
	}
	if err != nil {
		c.t.Fatalf("%s: %v", show(l), err)
	}
	row := make([]string, len(s.rows[l.Item]))
	for i, v := range s.rows[l.Item] {
		row[i] = v.S
		if v.Null {
			row[i] = "NULL"
		}
	}
	return row
}

// events returns the next n events of the subscriptions: "U a|b", "EOS", "CS", "UNSUB".
func (c *client) events(n int) []string {
	c.t.Helper()
	var got []string
	for len(got) < n {
		switch line := c.next(); line.Tag {
		case tlcp.TagU:
			got = append(got, "U "+strings.Join(c.row(line), "|"))
		case tlcp.TagEOS, tlcp.TagCS, tlcp.TagUNSUB, tlcp.TagOV, tlcp.TagCONF:
			got = append(got, line.Tag.String())
		default:
			c.t.Fatalf("after %q: got %s", got, show(line))
		}
	}
	return got
}

func (c *client) expect(want ...string) {
	c.t.Helper()
	got := c.events(len(want))
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		c.t.Fatalf("got  %q\nwant %q", got, want)
	}
}

// until reads events up to the given one; what may come before it is left open.
func (c *client) until(want string) {
	c.t.Helper()
	var got []string
	for {
		e := c.events(1)[0]
		if e == want {
			return
		}
		if got = append(got, e); len(got) > 10 {
			c.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// quiet checks that nothing comes for a while.
func (c *client) quiet(d time.Duration) {
	c.t.Helper()
	if line, came := c.within(d); came {
		c.t.Fatalf("got %s, want nothing", show(line))
	}
}

// consLine returns the CONS line of a new session.
func consLine(t *testing.T, url, user string) string {
	t.Helper()
	conn, err := wsconn.Dial(t.Context(), url+"/lightstreamer", wsconn.DialOptions{Subprotocol: tlcp.Latest.Subprotocol()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	over := time.AfterFunc(patience, conn.CloseNow)
	defer over.Stop()
	create := tlcp.CreateSession{AdapterSet: "LAB", User: &user, CID: "lab"}
	if err := conn.WriteText(append([]byte("create_session\r\n"), create.Append(nil)...)); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := conn.ReadText()
		if err != nil {
			t.Fatal(err)
		}
		for raw := range tlcp.Lines(m) {
			if strings.HasPrefix(string(raw), "CONS,") {
				return string(raw)
			}
		}
	}
}
