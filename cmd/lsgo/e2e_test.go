package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/demo"
	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/feed"
)

var transports = []string{"WS-STREAMING", "HTTP-STREAMING", "WS-POLLING", "HTTP-POLLING"}

// startDemo runs the demo in the process of the test, on free ports.
func startDemo(t *testing.T, cfg demo.Config) *demo.Running {
	t.Helper()
	running, err := demo.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Close)
	return running
}

// TestOfficialClient has the official Node.js client do everything that the demo offers, over each transport.
func TestOfficialClient(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			d := startDemo(t, demo.Config{})
			c := startNodeClient(t)
			c.do("connect", "url", d.URL, "set", demo.SetID, "transport", transport, "user", "Ann")
			status, _ := c.await("the connection", 0, isStatus("CONNECTED:"+transport))
			if status.Session == "" {
				t.Error("connected without a session id")
			}
			subscribeToQuotes(c)
			subscribeToChat(c)
			subscribeToPortfolio(c)
			subscribeToRaw(c)
			chatMessage(c, "hello over "+transport+" \u2713 a|b, 100%")
			orders(c)
			refusals(c)
			unsubscribe(c)

			end := c.position()
			c.do("disconnect")
			c.await("the end of the session", end, isStatus("DISCONNECTED"))
			for _, event := range c.since(0) {
				if event.Event == "status" && strings.HasPrefix(event.Status, "CONNECTED:") &&
					event.Status != "CONNECTED:"+transport && event.Status != "CONNECTED:STREAM-SENSING" {
					t.Errorf("the session was on another transport: %v", event)
				}
				if event.Event == "lost" {
					t.Errorf("updates lost: %v", event)
				}
			}
		})
	}
}

// subscribeToQuotes: MERGE, with a whole snapshot of each item, then only what changes.
func subscribeToQuotes(c *nodeClient) {
	c.t.Helper()
	items := []string{"item1", "item24", "item30"}
	from := c.position()
	c.do("subscribe", "sub", "quotes", "mode", "MERGE", "items", items, "fields", feed.QuoteFields, "adapter", "QUOTE_ADAPTER", "snapshot", "yes")
	c.await("the subscription to quotes", from, isEvent("subscribed", "quotes"))
	for _, item := range items {
		of := func(e nodeEvent) bool { return e.Item == item }
		first, next := c.await("the snapshot of "+item, from, isUpdate("quotes", of))
		if !first.Snapshot {
			c.t.Errorf("the first update of %s is not its snapshot: %v", item, first)
		}
		for _, field := range feed.QuoteFields {
			if first.value(field) == "" {
				c.t.Errorf("the snapshot of %s has no %s: %v", item, field, first)
			}
		}
		if item == "item30" {
			continue // too slow to wait for
		}
		update, _ := c.await("an update of "+item, next, isUpdate("quotes", of))
		if update.Snapshot || len(update.Changed) == 0 {
			c.t.Errorf("no real-time update: %v", update)
		}
		if slices.Contains(update.Changed, "stock_name") || update.value("stock_name") != first.value("stock_name") {
			c.t.Errorf("an update changed the name: %v", update)
		}
	}
}

// subscribeToChat: DISTINCT, the messages of before as the snapshot.
func subscribeToChat(c *nodeClient) {
	c.t.Helper()
	from := c.position()
	c.do("subscribe", "sub", "chat", "mode", "DISTINCT", "items", []string{"chat_room"}, "fields", feed.ChatFields, "adapter", "CHAT_ROOM", "snapshot", "yes")
	c.await("the subscription to the chat", from, isEvent("subscribed", "chat"))
	welcome, next := c.await("the snapshot of the chat", from, isUpdate("chat", nil))
	if !welcome.Snapshot || !strings.Contains(welcome.value("message"), "Welcome") {
		c.t.Errorf("no welcome in the snapshot: %v", welcome)
	}
	for _, field := range feed.ChatFields {
		if welcome.Values[field] == nil {
			c.t.Errorf("%s is null: %v", field, welcome)
		}
	}
	c.await("the end of the chat's snapshot", next, isEvent("endOfSnapshot", "chat"))
}

// subscribeToPortfolio: COMMAND, the positions as the snapshot.
func subscribeToPortfolio(c *nodeClient) {
	c.t.Helper()
	from := c.position()
	c.do("subscribe", "sub", "portfolio", "mode", "COMMAND", "items", []string{"portfolio1"}, "fields", []string{"key", "command", "qty"}, "adapter", "PORTFOLIO_ADAPTER", "snapshot", "yes")
	c.await("the subscription to the portfolio", from, isEvent("subscribed", "portfolio"))
	_, end := c.await("the end of the portfolio's snapshot", from, isEvent("endOfSnapshot", "portfolio"))
	var rows []string
	for _, e := range c.since(from)[:end-from] {
		if e.Event == "update" && e.Sub == "portfolio" {
			rows = append(rows, fmt.Sprint(e.value("command"), " ", e.value("key"), " ", e.value("qty"), " ", e.Snapshot))
		}
	}
	if want := []string{"ADD item3 1200 true", "ADD item8 300 true", "ADD item24 150 true"}; !slices.Equal(rows, want) {
		c.t.Errorf("the snapshot of the portfolio is %q, want %q", rows, want)
	}
}

// subscribeToRaw: RAW, on an item that another subscription has in MERGE: events as they come, and no snapshot.
func subscribeToRaw(c *nodeClient) {
	c.t.Helper()
	from := c.position()
	c.do("subscribe", "sub", "raw", "mode", "RAW", "items", []string{"item24"}, "fields", []string{"time", "last_price", "bid"}, "adapter", "QUOTE_ADAPTER")
	c.await("the subscription in RAW mode", from, isEvent("subscribed", "raw"))
	for range 3 {
		var update nodeEvent
		update, from = c.await("an update in RAW mode", from, isUpdate("raw", nil))
		if update.Snapshot {
			c.t.Errorf("a snapshot in RAW mode: %v", update)
		}
	}
}

func chatMessage(c *nodeClient, text string) {
	c.t.Helper()
	from := c.position()
	c.do("send", "message", "CHAT|"+text, "sequence", "CHAT")
	if e, _ := c.await("the outcome of the chat message", from, isOutcome("CHAT|"+text)); e.Outcome != "processed" {
		c.t.Errorf("the chat message was not accepted: %v", e)
	}
	e, _ := c.await("the message in the room", from, isUpdate("chat", func(e nodeEvent) bool { return e.value("message") == text }))
	if e.Snapshot || e.value("IP") != "127.0.0.1" || e.value("nick") != "Ann" {
		c.t.Errorf("the message in the room is %v, want a live one of Ann at 127.0.0.1", e)
	}
	if !regexp.MustCompile(`^\d{13}$`).MatchString(e.value("raw_timestamp")) || !regexp.MustCompile(`^\d\d:\d\d:\d\d$`).MatchString(e.value("timestamp")) {
		c.t.Errorf("times of the message are wrong: %v", e)
	}
}

func orders(c *nodeClient) {
	c.t.Helper()
	for _, order := range []struct{ message, key, command, quantity string }{
		{"BUY|portfolio1|item3|100", "item3", "UPDATE", "1300"},
		{"BUY|portfolio1|item5|70", "item5", "ADD", "70"},
		{"SELL|portfolio1|item5|20", "item5", "UPDATE", "50"},
		{"SELL|portfolio1|item5|999", "item5", "DELETE", ""},
	} {
		from := c.position()
		c.do("send", "message", order.message, "sequence", "ORDERS")
		if e, _ := c.await("the outcome of "+order.message, from, isOutcome(order.message)); e.Outcome != "processed" {
			c.t.Errorf("%s was not accepted: %v", order.message, e)
		}
		e, _ := c.await("the effect of "+order.message, from, isUpdate("portfolio", nil))
		if e.value("key") != order.key || e.value("command") != order.command || e.value("qty") != order.quantity {
			c.t.Errorf("%s gave %v", order.message, e)
		}
	}
}

// refusals: what the Metadata Adapter or the broker refuses arrives with its code, and the session lives on.
func refusals(c *nodeClient) {
	c.t.Helper()
	for message, want := range map[string]nodeEvent{
		"BUY|portfolio1|item99|1":  {Code: -103, Text: `There is no stock "item99".`},
		"SELL|portfolio1|item30|1": {Code: -105, Text: "The portfolio does not hold item30."},
		"CHAT|":                    {Code: -106, Text: "The message is empty."},
	} {
		from := c.position()
		c.do("send", "message", message)
		e, _ := c.await("the refusal of "+message, from, isOutcome(message))
		if e.Outcome != "denied" || e.Code != want.Code || e.Text != want.Text {
			c.t.Errorf("%q gave %v, want it denied with %d %q", message, e, want.Code, want.Text)
		}
	}
	for _, bad := range []struct {
		sub, mode, item, adapter string
		code                     int
	}{
		{"unknown item", "MERGE", "item31", "QUOTE_ADAPTER", 21},
		{"unknown adapter", "MERGE", "item1", "NO_SUCH_ADAPTER", 17},
		{"wrong mode", "DISTINCT", "item2", "QUOTE_ADAPTER", 24},
	} {
		from := c.position()
		c.do("subscribe", "sub", bad.sub, "mode", bad.mode, "items", []string{bad.item}, "fields", []string{"last_price"}, "adapter", bad.adapter, "snapshot", "yes")
		if e, _ := c.await("the refusal of "+bad.sub, from, isEvent("subscriptionError", bad.sub)); e.Code != bad.code {
			c.t.Errorf("subscription with %s gave code %d (%s), want %d", bad.sub, e.Code, e.Text, bad.code)
		}
	}
}

// unsubscribe ends one of two subscriptions to the same item: the other goes on.
func unsubscribe(c *nodeClient) {
	c.t.Helper()
	from := c.position()
	c.do("unsubscribe", "sub", "quotes")
	_, from = c.await("the end of the subscription", from, isEvent("unsubscribed", "quotes"))
	next := from
	for range 5 {
		_, next = c.await("an update in RAW mode", next, isUpdate("raw", nil))
	}
	for _, e := range c.since(from) {
		if e.Sub == "quotes" {
			c.t.Errorf("after the end of the subscription: %v", e)
		}
	}
}

// TestTwoLevels has the client subscribe to the portfolio and, by the keys that come, to their quotes.
func TestTwoLevels(t *testing.T) {
	for _, transport := range []string{"WS-STREAMING", "HTTP-POLLING"} {
		t.Run(transport, func(t *testing.T) {
			d := startDemo(t, demo.Config{})
			c := startNodeClient(t)
			c.do("connect", "url", d.URL, "set", demo.SetID, "transport", transport)
			c.do("subscribe", "sub", "portfolio", "mode", "COMMAND", "items", []string{"portfolio1"}, "fields", []string{"key", "command", "qty"},
				"adapter", "PORTFOLIO_ADAPTER", "snapshot", "yes", "secondFields", []string{"stock_name", "last_price"}, "secondAdapter", "QUOTE_ADAPTER")
			priced := func(key string) func(nodeEvent) bool {
				return isUpdate("portfolio", func(e nodeEvent) bool {
					return e.value("key") == key && e.value("stock_name") != "" && e.value("last_price") != ""
				})
			}
			for _, key := range []string{"item3", "item8", "item24"} {
				c.await("the price of "+key, 0, priced(key))
			}
			moved, _ := c.await("a change of a price", c.position(), isUpdate("portfolio", func(e nodeEvent) bool {
				return e.value("key") == "item24" && slices.Contains(e.Changed, "last_price") && !e.Snapshot
			}))
			if moved.value("qty") != "150" {
				t.Errorf("the two levels are not joined: %v", moved)
			}
			from := c.position()
			c.do("send", "message", "BUY|portfolio1|item7|10")
			c.await("the price of what was bought", from, priced("item7"))
			c.do("send", "message", "SELL|portfolio1|item7|10")
			c.await("the end of the row", from, isUpdate("portfolio", func(e nodeEvent) bool {
				return e.value("key") == "item7" && e.value("command") == "DELETE"
			}))
		})
	}
}

// TestTwoClients shows that the same item is served to many and that what one posts reaches the other.
func TestTwoClients(t *testing.T) {
	d := startDemo(t, demo.Config{})
	ann, bob := startNodeClient(t), startNodeClient(t)
	for _, c := range []*nodeClient{ann, bob} {
		c.do("connect", "url", d.URL, "set", demo.SetID, "user", map[*nodeClient]string{ann: "Ann", bob: "Bob"}[c])
		subscribeToChat(c)
		subscribeToQuotes(c)
	}
	from := bob.position()
	chatMessage(ann, "hello Bob")
	heard, _ := bob.await("Ann's message", from, isUpdate("chat", func(e nodeEvent) bool { return e.value("message") == "hello Bob" }))
	if heard.value("nick") != "Ann" {
		t.Errorf("Bob hears %v", heard)
	}
	late := startNodeClient(t)
	late.do("connect", "url", d.URL, "set", demo.SetID)
	subscribeToChat(late)
	e, _ := late.await("Ann's message in the snapshot", 0, isUpdate("chat", func(e nodeEvent) bool { return e.value("message") == "hello Bob" }))
	if !e.Snapshot {
		t.Errorf("who comes later gets Ann's message as a live one: %v", e)
	}
}

// TestContract pins what the ecosystem's example clients rely on.
func TestContract(t *testing.T) {
	var line cli
	parser, err := kong.New(&line)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"demo"}); err != nil {
		t.Fatal(err)
	}
	if c := line.Demo; c.HTTP != "127.0.0.1:8080" || c.MetadataPort != 8003 || c.DataPort != 8001 {
		t.Errorf("defaults are %s, %d and %d", c.HTTP, c.MetadataPort, c.DataPort)
	}

	d := startDemo(t, demo.Config{})
	for _, port := range d.Ports {
		if host, _, err := net.SplitHostPort(port.Addr); err != nil || host != "127.0.0.1" {
			t.Errorf("%s listens on %s", port.Adapter, port.Addr)
		}
	}
	var items []string
	for n := range 30 {
		items = append(items, fmt.Sprint("item", n+1))
	}
	fields := strings.Fields("stock_name last_price time pct_change bid_quantity bid ask ask_quantity min max ref_price open_price item_status")
	c := startNodeClient(t)
	c.do("connect", "url", d.URL, "set", "DEMO")
	c.do("subscribe", "sub", "stocks", "mode", "MERGE", "items", items, "fields", fields, "adapter", "QUOTE_ADAPTER", "snapshot", "yes")
	names := make(map[string]bool)
	for _, item := range items {
		e, _ := c.await("the snapshot of "+item, 0, isUpdate("stocks", func(e nodeEvent) bool { return e.Item == item }))
		names[e.value("stock_name")] = true
		for _, field := range fields {
			if e.value(field) == "" {
				t.Errorf("%s has no %s: %v", item, field, e)
			}
		}
	}
	if len(names) != 30 {
		t.Errorf("%d different names, want 30", len(names))
	}
}

// TestLockFile keeps the names of registries out of the lock file, and the versions exact.
func TestLockFile(t *testing.T) {
	text, err := os.ReadFile("../../package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct {
			Version, Resolved, Integrity  string
			Dependencies, DevDependencies map[string]string
		}
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if p.Resolved != "" {
			t.Errorf("%s names where it was downloaded from: install with npm's omit-lockfile-registry-resolved", name)
		}
		if name != "" && !strings.HasPrefix(p.Integrity, "sha512-") {
			t.Errorf("%s has no check sum", name)
		}
	}
	if got := lock.Packages[""].Dependencies["lightstreamer-client-web"]; got != "9.2.3" {
		t.Errorf("lightstreamer-client-web is wanted in version %q", got)
	}
	if got := lock.Packages[""].DevDependencies["lightstreamer-client-node"]; got != "9.2.2" {
		t.Errorf("lightstreamer-client-node is wanted in version %q", got)
	}
}
