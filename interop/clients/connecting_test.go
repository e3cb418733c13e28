//go:build interop

package clients

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/interop/testset"
)

var transports = []string{"WS-STREAMING", "HTTP-STREAMING", "WS-POLLING", "HTTP-POLLING"}

// forEach makes a capability of each transport.
func forEach(transports []string, name string, try func(l *lab, transport string)) []capability {
	var all []capability
	for _, transport := range transports {
		all = append(all, capability{name + " " + transport, func(l *lab) { try(l, transport) }})
	}
	return all
}

var connecting = slices.Concat(
	forEach(transports, "connect, subscribe, send, disconnect:", connectOver),
	[]capability{
		{"connect: the client chooses the transport", chooseTransport},
		{"user and password", userAndPassword},
		{"disconnect and connect again", connectAgain},
	},
)

// connected makes a client that is connected over a transport.
func (l *lab) connected(url, transport string) *client {
	l.Helper()
	c := l.client(url)
	c.do("connect", "transport", transport)
	c.await("the connection", isStatus("CONNECTED:"+transport))
	return c
}

// awaitClosed waits for a channel to be closed.
func (l *lab) awaitClosed(what string, done <-chan struct{}) {
	l.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		l.Fatalf("waiting for %s: nothing within %v", what, patience)
	}
}

// count subscribes to the counter.
func (c *client) count(details ...any) {
	c.do("subscribe", slices.Concat([]any{"sub", "count", "mode", "MERGE", "items", []string{testset.CountItem}, "fields", []string{testset.CountField},
		"adapter", testset.Count, "snapshot", "yes"}, details)...)
}

// number is the number in a field of an update.
func (c *client) number(e event, field string) int {
	c.t.Helper()
	n, err := strconv.Atoi(e.value(field))
	if err != nil {
		c.t.Fatalf("%s is no number: %v", field, e)
	}
	return n
}

func connectOver(l *lab, transport string) {
	c := l.connected(remote.URL, transport)
	c.count()
	c.await("the subscription", isEvent("subscribed", "count"))
	first := c.await("the snapshot", isUpdate("count"))
	if !first.Snapshot {
		l.Errorf("the first update is not the snapshot: %v", first)
	}
	for last, n := c.number(first, "count"), 0; n < 5; n++ {
		update := c.await("an update", isUpdate("count"))
		if value := c.number(update, "count"); value <= last || update.Snapshot {
			l.Errorf("%v after %d", update, last)
		} else {
			last = value
		}
	}
	c.do("send", "message", "hello over "+transport)
	if e := c.await("the outcome", isOutcome("hello over "+transport)); e.Outcome != "processed" {
		l.Errorf("the message: %v", e)
	}
	c.do("unsubscribe", "sub", "count")
	c.await("the end of the subscription", isEvent("unsubscribed", "count"))
	c.do("disconnect")
	c.await("the end of the session", isStatus("DISCONNECTED"))
	for _, e := range c.since(0) {
		if e.Event == "status" && strings.HasPrefix(e.Status, "CONNECTED:") && e.Status != "CONNECTED:"+transport && e.Status != "CONNECTED:STREAM-SENSING" {
			l.Errorf("the session was on another transport: %v", e)
		}
	}
}

func chooseTransport(l *lab) {
	c := l.client(remote.URL)
	c.do("connect")
	status := c.await("the connection", isStatus("CONNECTED:WS-STREAMING"))
	if status.Session == "" {
		l.Errorf("no session id: %v", status)
	}
}

func userAndPassword(l *lab) {
	c := l.clientOf(remote.URL, doorID)
	c.do("connect", "user", "Ann", "password", "secret")
	c.await("the connection", isStatus("CONNECTED:WS-STREAMING"))
}

// connectAgain shows that subscriptions outlive the session.
func connectAgain(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	c.count()
	before := c.await("the snapshot", isUpdate("count"))
	c.do("disconnect")
	c.await("the end of the session", isStatus("DISCONNECTED"))
	c.do("connect")
	c.await("the connection", isStatus("CONNECTED:WS-STREAMING"))
	after := c.await("an update in the new session", isUpdate("count"))
	if !after.Snapshot || c.number(after, "count") < c.number(before, "count") {
		l.Errorf("%v after %v", after, before)
	}
}
