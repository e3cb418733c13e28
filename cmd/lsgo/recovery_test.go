package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// counting is an Adapter Set whose items count, until it is told to stop. Its messages are kept.
type counting struct {
	adapter.DefaultMetadata
	stop    chan struct{}
	stopped sync.WaitGroup

	mu       sync.Mutex
	last     map[string]int // by mode, when stopped: the last number
	messages []string
}

const countingKeys = 5

// commandOf is what the nth update of an item in COMMAND mode does, and to which key: each one is added, updated twice, and deleted.
func commandOf(n int) (key, command string) {
	return "key" + strconv.Itoa(n%countingKeys), [...]string{"ADD", "UPDATE", "UPDATE", "DELETE"}[n/countingKeys%4]
}

func (c *counting) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	c.stopped.Go(func() { // ends with stop, or with the subscription
		ticker := time.NewTicker(5 * time.Millisecond) // 10,000 may wait before some are dropped: 50 s
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-ticker.C:
			case <-sub.Context().Done():
				return
			case <-c.stop:
				c.mu.Lock()
				defer c.mu.Unlock()
				c.last[strings.ToUpper(sub.Item())] = n - 1
				return
			}
			_ = sendNumber(sub, n) // what does not arrive is noticed
		}
	})
	return nil
}

func sendNumber(sub *adapter.Subscription, n int) error {
	values := adapter.Fields{"n": n, "even": n / 2}
	if sub.Item() != "command" {
		return sub.Update(values)
	}
	switch key, command := commandOf(n); command {
	case "ADD":
		return sub.Add(key, values)
	case "UPDATE":
		return sub.Modify(key, values)
	default:
		return sub.Delete(key)
	}
}

func (c *counting) NotifyUserMessage(_ context.Context, m adapter.UserMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = append(c.messages, m.Message)
	return nil
}

// cuts is how often the connections are cut.
const cuts = 8

// TestOfficialClientRecovers cuts the connections of the official client again and again, anywhere in what it is being sent. It stays in its session,
// and gets everything once: every update but those merged in MERGE, in order, and the outcome of every message.
func TestOfficialClientRecovers(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			set := &counting{stop: make(chan struct{}), last: make(map[string]int)}
			running := broker.StartTest(t, adapter.Set{Metadata: set, Data: map[string]adapter.DataProvider{"DEFAULT": adapter.DataProviderFunc(set.Subscribe)}})
			f := startForwarder(t, strings.TrimPrefix(running.URL(), "http://"))
			c := startNodeClient(t)
			// Responses of HTTP streaming end now and then by themselves, too.
			c.do("connect", "url", f.url(), "transport", transport, "heartbeat", 500, "slowing", true, "contentLength", 20_000)
			first, _ := c.await("the connection", 0, isStatus("CONNECTED:"+transport))
			subscribeToCounters(c)
			messages := cutOften(c, f)
			close(set.stop)
			set.stopped.Wait()
			for _, mode := range []string{"RAW", "DISTINCT", "COMMAND"} {
				everyUpdate(c, mode, set.last[mode])
			}
			risingUpdates(c, "MERGE", set.last["MERGE"])
			for _, m := range messages {
				if e, _ := c.await("the outcome of "+m, 0, isOutcome(m)); e.Outcome != "processed" {
					t.Errorf("%v", e)
				}
			}
			set.mu.Lock()
			defer set.mu.Unlock()
			if !slices.Equal(set.messages, messages) {
				t.Errorf("the adapter got the messages %q, want %q", set.messages, messages)
			}
			sameSession(c, first.Session)
		})
	}
}

func subscribeToCounters(c *nodeClient) {
	c.t.Helper()
	for _, mode := range []string{"RAW", "MERGE", "DISTINCT", "COMMAND"} {
		fields, frequency := []string{"n", "even"}, ""
		switch mode {
		case "COMMAND":
			fields, frequency = append(fields, "key", "command"), "unfiltered"
		case "DISTINCT":
			frequency = "unfiltered"
		}
		c.do("subscribe", "sub", mode, "mode", mode, "items", []string{strings.ToLower(mode)}, "fields", fields, "frequency", frequency)
		c.await("the subscription in "+mode, 0, isEvent("subscribed", mode))
	}
}

// cutOften cuts the connections, each time while a message is on its way, and returns the messages.
func cutOften(c *nodeClient, f *forwarder) (messages []string) {
	c.t.Helper()
	seen := 0
	for i := range cuts {
		m := fmt.Sprint("message ", i)
		messages = append(messages, m)
		c.do("send", "message", m, "sequence", "SEQUENCE")
		f.cutAfter(rand.IntN(3000), i%2 == 1)
		goal := seen + 50
		c.await("the flow after a cut", 0, isUpdate("RAW", func(e nodeEvent) bool { return numberOf(e) >= goal }))
		all := c.since(0)
		for _, e := range all {
			if e.Event == "update" && e.Sub == "RAW" {
				seen = numberOf(e)
			}
		}
	}
	return messages
}

func numberOf(e nodeEvent) int {
	n, err := strconv.Atoi(e.value("n"))
	if err != nil {
		return -1
	}
	return n
}

// everyUpdate waits for the last update of a subscription, and checks that each one has come once, in order.
func everyUpdate(c *nodeClient, sub string, last int) {
	c.t.Helper()
	n := 0
	c.await("all updates in "+sub, 0, isUpdate(sub, func(e nodeEvent) bool {
		want := []string{strconv.Itoa(n), strconv.Itoa(n / 2), "", ""}
		if sub == "COMMAND" {
			if want[2], want[3] = commandOf(n); want[3] == "DELETE" {
				want[0], want[1] = "", ""
			}
		}
		if got := []string{e.value("n"), e.value("even"), e.value("key"), e.value("command")}; !slices.Equal(got, want) {
			c.t.Fatalf("update %d in %s is %q, want %q", n, sub, got, want)
		}
		n++
		return n > last
	}))
}

// risingUpdates waits for the last update of a subscription, and checks that none has come twice.
func risingUpdates(c *nodeClient, sub string, last int) {
	c.t.Helper()
	n := -1
	c.await("the last update in "+sub, 0, isUpdate(sub, func(e nodeEvent) bool {
		if e.Snapshot && e.Values["n"] == nil {
			return false // an item begins empty
		}
		if numberOf(e) <= n || e.value("even") != strconv.Itoa(numberOf(e)/2) {
			c.t.Fatalf("after update %d in %s comes %v", n, sub, e)
		}
		n = numberOf(e)
		return n == last
	}))
}

// sameSession checks that the client has lost its connection, and never its session.
func sameSession(c *nodeClient, session string) {
	c.t.Helper()
	recoveries := 0
	for _, e := range c.since(0) {
		switch {
		case e.Event == "lost":
			c.t.Errorf("updates lost: %v", e)
		case e.Event == "status" && e.Status == "DISCONNECTED:TRYING-RECOVERY":
			recoveries++
		case e.Event == "status" && strings.HasPrefix(e.Status, "CONNECTED:") && e.Session != session && e.Session != "":
			c.t.Errorf("another session: %v", e)
		}
	}
	if recoveries < cuts/2 { // one of a response that had just ended is not noticed
		c.t.Errorf("%d recoveries after %d cuts", recoveries, cuts)
	}
}
