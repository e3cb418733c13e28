package examples

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// Each program is built and run as a process, against the broker with the program's own adapters.xml, and used by a client.

func TestHello(t *testing.T) {
	running := serve(t, "hello/adapters", nil)
	p := run(t, "hello", usual(running))
	c := connect(t, running.URL(), "HELLO", "", "")
	c.mustSubscribe("1", "MERGE", "greetings", "message count", "DEFAULT")
	u := c.update("1")
	if len(u) == 0 {
		u = c.update("1") // there is no snapshot: the server may say so by nulls
	}
	if u["message"] != "hello, world" || u["count"] != "1" {
		t.Errorf("the first update is %v", u)
	}
	if outcome := c.say(1, "hi there"); !strings.HasPrefix(outcome, "MSGDONE,*,1") {
		t.Errorf("the message's outcome is %s", outcome)
	}
	p.await(`text="hi there"`)
	p.stop()

	// Another process takes over: the client goes on, and the count begins anew.
	p = run(t, "hello", usual(running))
	for u = c.update("1"); u["count"] != "1"; u = c.update("1") {
	}
	p.stop()
}

func TestFromPython(t *testing.T) {
	running := serve(t, "frompython/adapters", nil)
	at := ports(running)
	p := run(t, "frompython", []string{`host + ":8003"`, `"` + at[""] + `"`, `host + ":8001"`, `"` + at["DEFAULT"] + `"`, "const host = \"localhost\"", ""})
	c := connect(t, running.URL(), "PROXY_PYTHON", "ann", "")
	c.mustSubscribe("1", "MERGE", "item1", "field1", "DEFAULT")
	c.until("SUBOK,1,1,1")
	if outcome := c.say(1, "hi"); !strings.HasPrefix(outcome, "MSGDONE") {
		t.Errorf("the message's outcome is %s", outcome)
	}
	p.await(`Message hi arrived for user ann in the session ` + c.session)
	p.stop()
}

func TestStocklist(t *testing.T) {
	running := serve(t, "stocklist/adapters", nil)
	p := run(t, "stocklist", usual(running))
	c := connect(t, running.URL(), "STOCKLIST", "", "")
	c.mustSubscribe("1", "MERGE", "item1 item3", "stock_name last_price time", "DEFAULT")
	for range 2 { // the snapshots
		c.update("1")
	}
	last := c.subs["1"].values["1"]["last_price"]
	if first, err := strconv.ParseFloat(last, 64); err != nil || first < 3 || first > 3.1 {
		t.Errorf("item1 costs %q", last)
	}
	if name := c.subs["1"].values["2"]["stock_name"]; name != "Bagies Consulting" {
		t.Errorf("item3 is %q", name)
	}
	for range 4 { // live: at least one is of another price
		c.update("1")
	}
	// The subscription is refused by the Data Adapter; what the clients see of that is the server's business.
	c.subscribe("2", "MERGE", "item99", "stock_name", "DEFAULT")
	p.await(`subscription refused.*item99.*no such stock`)
	p.stop()
}

func TestChat(t *testing.T) {
	running := serve(t, "chat/adapters", nil)
	p := run(t, "chat", usual(running))
	ann := connect(t, running.URL(), "CHAT", "ann", "")
	if outcome := ann.say(1, "is anybody there?"); !strings.HasPrefix(outcome, "MSGDONE") {
		t.Errorf("the message's outcome is %s", outcome)
	}
	// The room was empty then: the message is in the snapshot.
	ann.mustSubscribe("1", "DISTINCT", "room", "user text time", "DEFAULT")
	if u := ann.update("1"); u["user"] != "ann" || u["text"] != "is anybody there?" {
		t.Errorf("the snapshot is %v", u)
	}
	ann.until("EOS,1,1")
	ben := connect(t, running.URL(), "CHAT", "ben", "")
	ben.mustSubscribe("1", "DISTINCT", "room", "user text", "DEFAULT")
	ben.until("EOS,1,1")
	if outcome := ben.say(1, " yes "); !strings.HasPrefix(outcome, "MSGDONE") {
		t.Errorf("the message's outcome is %s", outcome)
	}
	if u := ann.update("1"); u["user"] != "ben" || u["text"] != "yes" {
		t.Errorf("the message is %v", u)
	}
	if outcome := ben.say(2, "  "); outcome != "MSGFAIL,*,2,-2,Say something." {
		t.Errorf("the empty message's outcome is %s", outcome)
	}
	if outcome := connect(t, running.URL(), "CHAT", "", "").say(1, "boo"); !strings.HasPrefix(outcome, "MSGFAIL,*,1,-1,") {
		t.Errorf("the anonymous message's outcome is %s", outcome)
	}
	if answer := ann.subscribe("2", "MERGE", "room", "text", "DEFAULT"); !strings.HasPrefix(answer, "REQERR") {
		t.Errorf("MERGE is answered %s", answer)
	}
	p.stop()
}

func TestPortfolio(t *testing.T) {
	running := serve(t, "portfolio/adapters", nil)
	p := run(t, "portfolio", usual(running))
	c := connect(t, running.URL(), "PORTFOLIO", "", "")
	c.mustSubscribe("1", "COMMAND", "portfolio", "key command qty", "DEFAULT")
	rows := make(map[string]string)
	for _, want := range []struct{ key, qty string }{{"item1", "100"}, {"item2", "50"}} {
		if u := c.update("1"); u["command"] != "ADD" || u["key"] != want.key || u["qty"] != want.qty {
			t.Errorf("the snapshot has %v, want %v", u, want)
		}
		rows[want.key] = want.qty
	}
	c.until("EOS,1,1")
	for range 10 {
		u := c.update("1")
		_, known := rows[u["key"]]
		if known == (u["command"] == "ADD") {
			t.Errorf("%v, and the rows are %v", u, rows)
		}
		if rows[u["key"]] = u["qty"]; u["command"] == "DELETE" {
			delete(rows, u["key"])
		}
	}
	p.stop()
}

func TestAuth(t *testing.T) {
	running := serve(t, "auth/adapters", nil)
	p := run(t, "auth", usual(running))
	for _, test := range []struct{ user, password, answer string }{
		{"ann", "wrong", "CONERR,1,"},
		{"nobody", "", "CONERR,1,"},
		{"", "", "CONERR,1,"},
		{"cleo", "c", "CONERR,-10,Your account is suspended: please pay the bill."},
	} {
		if _, answer := enter(t, running.URL(), "AUTH", test.user, test.password); !strings.HasPrefix(answer, test.answer) {
			t.Errorf("%s is answered %s, want %s", test.user, answer, test.answer)
		}
	}
	ben := connect(t, running.URL(), "AUTH", "ben", "b")
	if answer := ben.subscribe("1", "MERGE", "premium", "time", "DEFAULT"); !strings.HasPrefix(answer, "REQERR") {
		t.Errorf("ben's premium is answered %s", answer)
	}
	ben.mustSubscribe("2", "MERGE", "free", "time", "DEFAULT")
	if conf := ben.until("CONF,2,"); conf != "CONF,2,1.0,filtered" && conf != "CONF,2,1,filtered" {
		t.Errorf("ben's frequency is %s, want 1 per second", conf)
	}
	ann := connect(t, running.URL(), "AUTH", "ann", "a")
	ann.mustSubscribe("1", "MERGE", "premium", "time", "DEFAULT")
	ann.update("1")
	ann.update("1")
	// A second session of the same user closes the first.
	again := connect(t, running.URL(), "AUTH", "ann", "a")
	ann.until("END,")
	again.mustSubscribe("1", "MERGE", "premium", "time", "DEFAULT")
	again.update("1")
	p.stop()
}

func TestInverted(t *testing.T) {
	p := run(t, "inverted", []string{`"localhost:8003"`, `"localhost:0"`, `"localhost:8001"`, `"localhost:0"`})
	at := p.await(`waiting for the proxies metadata=(\S+) data=(\S+)`)
	running := serve(t, "inverted/adapters", func(set *adaptersxml.Set) {
		for i, proxy := range proxies(set) {
			port, err := strconv.Atoi(portOf(t, at[i+1]))
			if err != nil {
				t.Fatal(err)
			}
			proxy.RequestReplyPort = port
		}
	})
	c := connect(t, running.URL(), "INVERTED", "", "")
	c.mustSubscribe("1", "MERGE", "greetings", "message", "DEFAULT")
	if u := c.update("1"); u["message"] != "hello from an adapter that was called" {
		t.Errorf("the update is %v", u)
	}
	p.stop()
}

func TestCluster(t *testing.T) {
	first, second := serve(t, "cluster/node1", nil), serve(t, "cluster/node2", nil)
	at, also := ports(first), ports(second)
	p := run(t, "cluster", []string{
		`"localhost:8003"`, `"` + at[""] + `"`, `"localhost:8001"`, `"` + at["DEFAULT"] + `"`,
		`"localhost:8013"`, `"` + also[""] + `"`, `"localhost:8011"`, `"` + also["DEFAULT"] + `"`,
	})
	a := connect(t, first.URL(), "CLUSTER", "", "")
	a.mustSubscribe("1", "MERGE", "counter", "count opened", "DEFAULT")
	if u := a.update("1"); u["opened"] != "1" {
		t.Errorf("the snapshot is %v", u)
	}
	a.update("1") // it counts
	b := connect(t, second.URL(), "CLUSTER", "", "")
	b.mustSubscribe("1", "MERGE", "counter", "count opened", "DEFAULT")
	if u := b.update("1"); u["opened"] != "1" || u["count"] == "" || u["count"] == "0" {
		t.Errorf("the second server's snapshot is %v, want the present state of the feed of the first", u)
	}
	p.stop()
}

func TestFromFile(t *testing.T) {
	running := serve(t, "fromfile/adapters", nil)
	at := ports(running)
	text, err := os.ReadFile("fromfile/adapters/adapters.xml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "adapters.xml")
	write(t, file, strings.NewReplacer(">8003<", ">"+portOf(t, at[""])+"<", ">8001<", ">"+portOf(t, at["QUOTES"])+"<", ">8002<", ">"+portOf(t, at["NEWS"])+"<").Replace(string(text)))
	p := run(t, "fromfile", nil, file)
	c := connect(t, running.URL(), "FROMFILE", "", "")
	c.mustSubscribe("1", "MERGE", "ACME", "price currency", "QUOTES")
	if u := c.update("1"); u["price"] != "12.34" || u["currency"] != "EUR" {
		t.Errorf("the quote is %v", u)
	}
	c.mustSubscribe("2", "MERGE", "ACME", "headline", "NEWS")
	if u := c.update("2"); u["headline"] != "nothing new about ACME" {
		t.Errorf("the news are %v", u)
	}
	p.stop()

	// Mistakes are told with their place.
	write(t, file, strings.Replace(string(text), ">8003<", ">99999<", 1))
	p = run(t, "fromfile", nil, file)
	if status := p.wait(); status != 1 {
		t.Errorf("exit status %d", status)
	}
	p.await(`adapters\.xml:6:\d+: .*request_reply_port`)
}

func TestProbes(t *testing.T) {
	running := serve(t, "probes/adapters", nil)
	p := run(t, "probes", append(usual(running), `"localhost:8081"`, `"localhost:0"`))
	probes := "http://" + p.await(`answering probes addr=(\S+)`)[1]
	ask := func(path string) (int, string) {
		response, err := http.Get(probes + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	// Once a client has got data, the program is ready.
	c := connect(t, running.URL(), "PROBES", "", "")
	c.mustSubscribe("1", "MERGE", "status", "status", "DEFAULT")
	c.update("1")
	if status, body := ask("/readyz"); status != http.StatusOK {
		t.Errorf("ready? %d %s", status, body)
	}
	running.Close()
	p.await(`not connected; will try again(?s:.*)not connected; will try again`) // both servers
	if status, body := ask("/readyz"); status != http.StatusServiceUnavailable || !strings.HasPrefix(body, "not ready") {
		t.Errorf("ready without a server? %d %s", status, body)
	}
	if status, _ := ask("/healthz"); status != http.StatusOK {
		t.Errorf("live? %d", status)
	}
	p.stop()
}
