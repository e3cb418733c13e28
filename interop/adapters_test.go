//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

func TestPythonAdapter(t *testing.T) { adapters(t, "python") }
func TestNodeAdapter(t *testing.T)   { adapters(t, "node") }
func TestJavaAdapter(t *testing.T)   { adapters(t, "java") }

// spoken is the protocol version each SDK speaks.
var spoken = map[string]string{"python": "1.8.3", "node": "1.8.3", "java": "1.9.1"}

// adapters is the half of the lab in which adapters are theirs.
func adapters(t *testing.T, peer string) {
	sc := scope{table: adaptersTable, peer: peer}
	s := startServer(t, peer, plan{})
	sc.server = s
	sc.try(t, "init: version agreed, parameters seen", func(t *testing.T, o *outcome) { initialised(t, s) })
	sc.try(t, "subscribe, snapshot, updates (MERGE)", func(t *testing.T, o *outcome) { merge(t, s) })
	sc.try(t, "null, empty and special values", func(t *testing.T, o *outcome) { specialValues(t, s) })
	sc.try(t, "values given as bytes", func(t *testing.T, o *outcome) { byteValues(t, s, o) })
	sc.try(t, "RAW, DISTINCT and COMMAND", func(t *testing.T, o *outcome) { otherModes(t, s) })
	sc.try(t, "no snapshot, clear snapshot", func(t *testing.T, o *outcome) { snapshots(t, s) })
	sc.try(t, "field differences declared", func(t *testing.T, o *outcome) { differences(t, s, o) })
	sc.try(t, "unsubscribe, subscribe again", func(t *testing.T, o *outcome) { resubscribe(t, s) })
	sc.try(t, "subscription errors, generic and own", func(t *testing.T, o *outcome) { subscriptionErrors(t, s) })
	sc.try(t, "NotifyUser, NotifyNewSession, session close", func(t *testing.T, o *outcome) { sessions(t, s) })
	sc.try(t, "users and sessions refused, with codes", func(t *testing.T, o *outcome) { refusedUsers(t, s, o) })
	sc.try(t, "conflicting session", func(t *testing.T, o *outcome) { conflict(t, s) })
	sc.try(t, "bandwidth limit of a user", func(t *testing.T, o *outcome) { bandwidth(t, s) })
	sc.try(t, "time-to-live of a session", func(t *testing.T, o *outcome) { timeToLive(t, s, o) })
	sc.try(t, "Items and Schema, with their errors", func(t *testing.T, o *outcome) { names(t, s) })
	sc.try(t, "modes, frequency, buffer, snapshot length", func(t *testing.T, o *outcome) { itemData(t, s, o) })
	sc.try(t, "NotifyNewTables, NotifyTablesClose", func(t *testing.T, o *outcome) { tables(t, s) })
	sc.try(t, "tables refused, with codes", func(t *testing.T, o *outcome) { refusedTables(t, s) })
	sc.try(t, "messages: outcome, errors with codes", func(t *testing.T, o *outcome) { messages(t, s) })
	sc.try(t, "session and table ended by the adapter", func(t *testing.T, o *outcome) { forced(t, s, o) })
	sc.try(t, "failure of the adapter: detached, taken back", func(t *testing.T, o *outcome) { failures(t, s, o) })
	sc.try(t, "kill -9 and restart under the robust proxy", func(t *testing.T, o *outcome) { killed(t, s) })
	sc.try(t, "init refused by the adapter", func(t *testing.T, o *outcome) { refusedInit(t, peer, o) })
	sc.try(t, "keepalives obey the hint", func(t *testing.T, o *outcome) { keepalives(t, peer) })
	sc.try(t, "silent remote closed after the time-out", func(t *testing.T, o *outcome) { silence(t, peer, o) })
	sc.try(t, "credentials accepted", func(t *testing.T, o *outcome) { credentials(t, peer) })
	sc.try(t, "credentials refused", func(t *testing.T, o *outcome) { wrongCredentials(t, peer, o) })
	sc.try(t, "TLS", func(t *testing.T, o *outcome) { encrypted(t, peer) })
	sc.try(t, "client certificate: NotifyUser with its principal", func(t *testing.T, o *outcome) { principals(t, peer) })
	sc.try(t, "data on two connections (notify_port)", func(t *testing.T, o *outcome) { twoConnections(t, s, o) })
}

func initialised(t *testing.T, s *server) {
	for _, name := range []string{"initMetadata", "initData"} {
		s.peer.rewind()
		c := s.peer.await(name, nil)
		params, _ := c.args["params"].(map[string]any)
		want := map[string]any{"adapters_conf.id": "LAB", "remote:colour": "a+b |%25"}
		if name == "initData" {
			want["data_provider.name"] = "LAB"
		}
		for k, v := range want {
			if params[k] != v {
				t.Errorf("%s: parameter %s is %q, want %q", name, k, params[k], v)
			}
		}
		for _, k := range []string{"server.instance_id", "proxy.instance_id"} {
			if text, _ := params[k].(string); text == "" {
				t.Errorf("%s: parameter %s is missing", name, k)
			}
		}
		for _, k := range []string{"ARI.version", "keepalive_hint.millis"} {
			if _, shown := params[k]; shown {
				t.Errorf("%s: parameter %s is shown to the adapter", name, k)
			}
		}
	}
	s.log.await(t, "version="+spoken[s.name], 2)
}

func twoConnections(t *testing.T, s *server, o *outcome) {
	if s.args.Notify == 0 {
		o.absent("This SDK has one connection for each adapter.")
		return
	}
	s.log.await(t, "port=notify", 1) // credentials on it, without which nothing can be notified
	merge(t, s)
}

func merge(t *testing.T, s *server) {
	c := connect(t, s.url, "LAB", "ann")
	c.subscribe(wish{mode: tlcp.ModeMerge, group: "merge", schema: "name value"})
	c.expect("U merge|1", "U merge|2")
	d := connect(t, s.url, "LAB", "bob")
	d.subscribe(wish{mode: tlcp.ModeMerge, group: "merge", schema: "value name"})
	d.expect("U 2|merge") // from the snapshot the broker keeps
}

var specials = []struct{ name, value string }{
	{"crlf", "x\r\ny"}, {"dollar", "$"}, {"empty", ""}, {"hash", "#"}, {"long", strings.Repeat("0123456789", 1000)}, {"null", "NULL"},
	{"percent", "100%25"}, {"pipe", "a|b"}, {"plus", "a+b c"}, {"sep", "x\u0085y\u2028z"}, {"space", " "}, {"tab", "x\ty"}, {"uni", "café \U0001F600"},
}

func specialValues(t *testing.T, s *server) {
	c := connect(t, s.url, "LAB", "ann")
	var fields []string
	for _, v := range specials {
		fields = append(fields, v.name)
	}
	c.subscribe(wish{mode: tlcp.ModeMerge, group: "values", schema: strings.Join(fields, " ")})
	row := c.row(c.next())
	for i, v := range specials {
		if row[i] != v.value {
			t.Errorf("%s: got %.50q, want %.50q", v.name, row[i], v.value)
		}
	}
	row = c.row(c.next())
	for i, v := range specials {
		want := v.value
		switch v.name {
		case "empty":
			want = "NULL"
		case "null":
			want = ""
		}
		if row[i] != want {
			t.Errorf("%s, updated: got %.50q, want %.50q", v.name, row[i], want)
		}
	}
}

func byteValues(t *testing.T, s *server, o *outcome) {
	if s.name != "python" {
		o.absent("Values are texts in this SDK.")
		return
	}
	c := connect(t, s.url, "LAB", "ann")
	c.subscribe(wish{mode: tlcp.ModeMerge, group: "bytes", schema: "value"})
	c.expect("U café \x01") // ISO-8859-1
}

func otherModes(t *testing.T, s *server) {
	c := connect(t, s.url, "LAB", "ann")
	sub := c.subscribe(wish{mode: tlcp.ModeRaw, group: "liveraw", schema: "value", noSnapshot: true})
	c.expect("U 1")
	c.unsubscribe(sub)
	sub = c.subscribe(wish{mode: tlcp.ModeDistinct, group: "distinct", schema: "value"})
	// The snapshot length is 2.
	c.expect("U 2", "U 3", "EOS", "U 4")
	c.unsubscribe(sub)
	c.subscribe(wish{mode: tlcp.ModeCommand, group: "command", schema: "key command value"})
	c.expect("U k1|ADD|1", "U k2|ADD|1", "EOS", "U k1|UPDATE|2", "U k2|DELETE|NULL")
}

func snapshots(t *testing.T, s *server) {
	c := connect(t, s.url, "LAB", "ann")
	c.subscribe(wish{mode: tlcp.ModeCommand, group: "live", schema: "key command value"})
	if got := c.events(1)[0]; got != "EOS" {
		t.Errorf("an item without snapshot: got %q, want EOS", got)
	}
	c = connect(t, s.url, "LAB", "ann")
	c.subscribe(wish{mode: tlcp.ModeMerge, group: "clear", schema: "value"})
	c.expect("U 1", "U NULL", "U 2") // in MERGE mode clients see nulls
}

func differences(t *testing.T, s *server, o *outcome) {
	if s.name != "java" {
		o.absent("Declared from ARI 1.9.0 on; this SDK speaks 1.8.3.")
		return
	}
	c := connect(t, s.url, "LAB", "ann")
	sub := c.subscribe(wish{mode: tlcp.ModeMerge, group: "json", schema: "value"})
	c.row(c.next())
	line := c.next()
	elements, err := tlcp.AppendElements(nil, line.Values, sub.fields)
	if err != nil || len(elements) != 1 {
		t.Fatalf("%s: %v", show(line), err)
	}
	if elements[0].Kind != tlcp.JSONPatch || elements[0].Value.S != `[{"op":"replace","path":"/a","value":2}]` {
		t.Errorf("got %+v, want a JSON Patch that replaces /a", elements[0])
	}
}

func resubscribe(t *testing.T, s *server) {
	c := connect(t, s.url, "LAB", "ann")
	for range 3 {
		sub := c.subscribe(wish{mode: tlcp.ModeMerge, group: "tick", schema: "value"})
		s.peer.await("subscribe", forItem("tick"))
		got := c.events(3)
		if got[0] != "U 0" || got[1] != "U 1" || got[2] != "U 2" {
			t.Errorf("got %q, want a count from 0", got)
		}
		c.unsubscribe(sub)
		s.peer.await("unsubscribe", forItem("tick"))
	}
	sub := c.subscribe(wish{mode: tlcp.ModeMerge, group: "unsuberror", schema: "value"})
	s.peer.await("subscribe", forItem("unsuberror"))
	c.unsubscribe(sub)
	s.log.await(t, "cannot leave", 1)
}

func subscriptionErrors(t *testing.T, s *server) {
	c := connect(t, s.url, "LAB", "ann")
	for _, item := range []string{"suberror", "subgeneric"} {
		sub := c.subscribe(wish{mode: tlcp.ModeMerge, group: item, schema: "value"})
		s.peer.await("subscribe", forItem(item))
		s.log.await(t, map[string]string{"suberror": "no such item", "subgeneric": "boom"}[item], 1)
		c.unsubscribe(sub)
	}
	// The adapter goes on.
	c.subscribe(wish{mode: tlcp.ModeMerge, group: "liveagain", schema: "value"})
	c.until("U 1") // an empty snapshot may come before
}

func sessions(t *testing.T, s *server) {
	s.peer.rewind()
	c := connect(t, s.url, "LAB", "ann smith+|%")
	user := s.peer.await("notifyUser", func(c call) bool { return c.str("user") == "ann smith+|%" })
	expectArgs(t, user, map[string]any{"password": "secret of ann smith+|%"})
	headers, _ := user.args["headers"].(map[string]any)
	if headers["REQUEST_ID"] == nil || headers["host"] == nil {
		t.Errorf("headers %v, want REQUEST_ID and host among them", headers)
	}
	session := s.peer.await("newSession", forSession(c.session))
	expectArgs(t, session, map[string]any{"user": "ann smith+|%"})
	info, _ := session.args["context"].(map[string]any)
	if info["REMOTE_IP"] != "127.0.0.1" || info["REQUEST_ID"] != headers["REQUEST_ID"] {
		t.Errorf("context %v; want REMOTE_IP 127.0.0.1 and the REQUEST_ID %v of NotifyUser", info, headers["REQUEST_ID"])
	}
	c.destroy()
	s.peer.await("sessionClose", forSession(c.session))
}

func refusedUsers(t *testing.T, s *server, o *outcome) {
	for user, want := range map[string]string{
		"refused": "CONERR,1", "credits": "CONERR,-12,pay + try|again", "broken": "CONERR,66", "nosession": "CONERR,-20,not now",
		"inconsistent": "CONERR,66", "resource": "CONERR,6",
	} {
		if user == "resource" && s.name != "java" {
			want = "CONERR,1" // the SDK has no such error
		}
		c, line := openSession(t, s.url, "LAB", user)
		if c != nil || !strings.HasPrefix(show(line), want) {
			t.Errorf("user %s: got %s, want %s", user, show(line), want)
		}
	}
}

func conflict(t *testing.T, s *server) {
	first := connect(t, s.url, "LAB", "conflict")
	second := connect(t, s.url, "LAB", "conflict")
	if end := first.end(); end.Code != 35 {
		t.Errorf("the earlier session ends with %s, want code 35", show(end))
	}
	s.peer.await("newSession", forSession(second.session))
	s.peer.rewind() // the earlier one may be told first
	s.peer.await("sessionClose", forSession(first.session))
}

func bandwidth(t *testing.T, s *server) {
	conn, _ := openSession(t, s.url, "LAB", "slow")
	// CONS follows CONOK; the client passes it over, so that it is asked here by hand.
	for user, want := range map[string]string{"slow": "CONS,12.5", "fast": "CONS,unlimited"} {
		if got := consLine(t, s.url, user); got != want {
			t.Errorf("user %s: got %s, want %s", user, got, want)
		}
	}
	conn.destroy()
}

func timeToLive(t *testing.T, s *server, o *outcome) {
	if s.name != "java" {
		o.absent("Sessions have a time-to-live from ARI 1.9.0 on; this SDK speaks 1.8.3.")
		return
	}
	begin := time.Now()
	end := connect(t, s.url, "LAB", "brief").end()
	if end.Code != 48 || time.Since(begin) < time.Second {
		t.Errorf("got %s after %v, want code 48 after a second", show(end), time.Since(begin))
	}
}

func names(t *testing.T, s *server) {
	c := connect(t, s.url, "LAB", "ann")
	for _, tt := range []struct{ group, schema, want string }{
		{"badgroup", "value", "REQERR,21"}, {"brokengroup", "value", "REQERR,66"}, {"merge", "badschema", "REQERR,23"},
		{"merge", "badgroupschema", "REQERR,22"}, {"nogroup", "value", "REQERR,21"}, {"live1 live2 live+3|%", "a b c", "SUBOK,6,3,3"},
	} {
		_, line := c.ask(wish{mode: tlcp.ModeMerge, group: tt.group, schema: tt.schema})
		if !strings.HasPrefix(show(line), tt.want) {
			t.Errorf("group %s, schema %s: got %s, want %s", tt.group, tt.schema, show(line), tt.want)
		}
	}
	asked := s.peer.await("schema", func(c call) bool { return c.str("schema") == "a b c" })
	expectArgs(t, asked, map[string]any{"user": "ann", "session": c.session, "group": "live1 live2 live+3|%"})
	s.peer.rewind()
	s.peer.await("items", func(got call) bool {
		return got.str("group") == "live1 live2 live+3|%" && got.str("session") == c.session && got.str("user") == "ann"
	})
	s.peer.await("subscribe", forItem("live+3|%"))
}

func itemData(t *testing.T, s *server, o *outcome) {
	c := connect(t, s.url, "LAB", "guest")
	refused := func(w wish) {
		t.Helper()
		if _, line := c.ask(w); line.Tag != tlcp.TagREQERR || line.Code != 24 {
			t.Errorf("%v of %s: got %s, want code 24", w.mode, w.group, show(line))
		}
	}
	refused(wish{mode: tlcp.ModeDistinct, group: "mergeonly", schema: "value"})
	refused(wish{mode: tlcp.ModeMerge, group: "secret", schema: "value"})
	c.subscribe(wish{mode: tlcp.ModeMerge, group: "mergeonly", schema: "value"})
	if _, line := c.ask(wish{mode: tlcp.ModeMerge, group: "limited", schema: "value"}); line.Tag != tlcp.TagREQERR || line.Code != 26 {
		t.Errorf("an item with a frequency limit, unfiltered: got %s, want code 26", show(line))
	}
	c.subscribe(wish{mode: tlcp.ModeMerge, group: "limited", schema: "value", filtered: true})
	if got := c.next(); got.Tag != tlcp.TagCONF || got.Frequency.Limit != 2 {
		t.Errorf("got %s, want CONF with 2 updates/s", show(got))
	}
	d := connect(t, s.url, "LAB", "ann")
	d.subscribe(wish{mode: tlcp.ModeMerge, group: "secret", schema: "value"})
	// With a snapshot length of 2 a later client gets the last 2 of the 4 events.
	d.subscribe(wish{mode: tlcp.ModeDistinct, group: "distinct", schema: "value"})
	d.until("U 4")
	e := connect(t, s.url, "LAB", "bob")
	e.subscribe(wish{mode: tlcp.ModeDistinct, group: "distinct", schema: "value"})
	e.expect("U 3", "U 4", "EOS")
	if s.name == "node" {
		o.cell.Note = "This SDK cannot say that an item has no mode: it was tried with a mode that was not asked for."
	}
}

func tables(t *testing.T, s *server) {
	c := connect(t, s.url, "LAB", "ann")
	sub := c.subscribe(wish{mode: tlcp.ModeRaw, group: "live5 live6", schema: "name value", selector: "odd | selector+"})
	opened := s.peer.await("newTables", forSession(c.session))
	expectArgs(t, opened, map[string]any{"user": "ann"})
	want := map[string]any{"win": float64(sub.id), "mode": "RAW", "group": "live5 live6", "schema": "name value", "min": 1.0, "max": 2.0, "selector": "odd | selector+"}
	if s.name == "java" {
		want["dataAdapter"] = "LAB"
		want["items"] = []any{"live5", "live6"}
	}
	check := func(got call) {
		t.Helper()
		table := got.table()
		for k, v := range want {
			if fmt.Sprint(table[k]) != fmt.Sprint(v) {
				t.Errorf("%s: %s is %v, want %v", got.Call, k, table[k], v)
			}
		}
	}
	check(opened)
	c.expect("U NULL|1", "U NULL|1")
	c.unsubscribe(sub)
	closed := s.peer.await("tablesClose", forSession(c.session))
	check(closed)
	if s.name == "java" {
		// Statistics of both items were asked for: an update each, none lost or filtered out.
		if got := fmt.Sprint(closed.table()["stats"]); got != "[[1 0 0] [1 0 0]]" {
			t.Errorf("statistics %s", got)
		}
	}
	// Who wants no tables gets none.
	q := connect(t, s.url, "LAB", "quiet")
	q.subscribe(wish{mode: tlcp.ModeMerge, group: "live7", schema: "value"})
	q.destroy()
	s.peer.await("sessionClose", forSession(q.session))
	s.peer.mu.Lock()
	defer s.peer.mu.Unlock()
	for _, got := range s.peer.calls {
		if got.str("session") == q.session && (got.Call == "newTables" || got.Call == "tablesClose") {
			t.Errorf("user quiet: %s %v", got.Call, got)
		}
	}
}

func refusedTables(t *testing.T, s *server) {
	c := connect(t, s.url, "LAB", "ann")
	for selector, want := range map[string]string{"credits": "REQERR,-40,no table", "inconsistent": "REQERR,66", "broken": "REQERR,66"} {
		_, line := c.ask(wish{mode: tlcp.ModeMerge, group: "live8", schema: "value", selector: selector})
		if !strings.HasPrefix(show(line), want) {
			t.Errorf("selector %s: got %s, want %s", selector, show(line), want)
		}
	}
}

func messages(t *testing.T, s *server) {
	c := connect(t, s.url, "LAB", "ann")
	text := "hello + |%\r\ncafé"
	if line := c.message(text); line.Tag != tlcp.TagMSGDONE || line.Text != "" {
		t.Errorf("got %s, want MSGDONE with no text", show(line))
	}
	expectArgs(t, s.peer.await("message", forSession(c.session)), map[string]any{"user": "ann", "message": text})
	for message, want := range map[string]string{"credits": "MSGFAIL,-123,test error", "inconsistent": "MSGFAIL,35", "broken": "MSGFAIL,35"} {
		if line := c.message(message); !strings.HasPrefix(show(line), want) {
			t.Errorf("message %s: got %s, want %s", message, show(line), want)
		}
	}
}

func forced(t *testing.T, s *server, o *outcome) {
	if s.name != "java" {
		o.absent("Adapters control sessions from ARI 1.9.0 on; this SDK speaks 1.8.3.")
		return
	}
	c := connect(t, s.url, "LAB", "ann")
	c.subscribe(wish{mode: tlcp.ModeMerge, group: "live9", schema: "value"})
	c.until("U 1")
	c.sendMessage("unsubscribe")
	for {
		line := c.next()
		if line.Tag == tlcp.TagUNSUB {
			break
		}
		if line.Tag == 0 {
			t.Fatal("no UNSUB")
		}
	}
	expectArgs(t, s.peer.await("unsubscribed", nil), map[string]any{"done": true, "error": nil})
	c.sendMessage("terminate")
	if end := c.end(); end.Code != -7 || end.Text != "bye | now" {
		t.Errorf("terminated with a cause: got %s", show(end))
	}
	d := connect(t, s.url, "LAB", "ann")
	d.sendMessage("end")
	if end := d.end(); end.Code != 32 {
		t.Errorf("terminated without a cause: got %s, want code 32", show(end))
	}
}
