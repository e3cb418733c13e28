//go:build interop

package clients

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/interop/testset"
)

var recovering = slices.Concat(
	forEach(transports, "recovery after a cut, every value once:", recovery),
	forEach([]string{"HTTP-STREAMING", "HTTP-POLLING"}, "an answer lost with its head, no value missed in silence:", loseAnswers),
	[]capability{
		{"recovery: messages with outcome across a cut", recoverMessages},
		{"new session, subscriptions again: the broker has no such session", newSession},
	},
)

// impatient makes clients notice a silent connection early: the one for Python does not see that a WebSocket was closed. When it polls, it notices when
// the idle time and 4 s are over, which by default (19 s) is longer than our broker keeps a session.
var impatient = map[string]int{"KeepaliveInterval": 1000, "StalledTimeout": 500, "ReconnectTimeout": 500, "IdleTimeout": 1000}

// recovery cuts the connections in the midst of a line, twice. The session goes on, and an unfiltered subscription misses and repeats nothing.
func recovery(l *lab, transport string) {
	f := forward(l, remote.URL)
	c := l.client(f.url)
	c.do("connect", "transport", transport, "options", impatient)
	session := c.await("the connection", isStatus("CONNECTED:"+transport)).Session
	c.count("frequency", "unfiltered")
	last := c.number(c.await("the snapshot", isUpdate("count")), "count")
	follow := func(updates int) {
		l.Helper()
		for range updates {
			e := c.await("an update", isUpdate("count"))
			if value := c.number(e, "count"); value != last+1 || e.Snapshot {
				l.Fatalf("%v after %d", e, last)
			} else {
				last = value
			}
		}
	}
	follow(5)
	for range 2 {
		f.cutMidway(l)
		follow(15)
	}
	for _, e := range c.since(0) {
		if e.Event == "status" && strings.HasPrefix(e.Status, "CONNECTED:") && e.Session != session {
			l.Errorf("another session: %v", e)
		}
		if e.Event == "lost" || e.Event == "unsubscribed" {
			l.Errorf("%v", e)
		}
	}
}

// countLine is an update of the counter over HTTP.
var countLine = regexp.MustCompile(`\nU,\d+,1,\d+\r\n`)

// loseAnswers takes whole answers to binds away, with what they carried. The network layers of some clients ask for them again by themselves, as an
// ordinary bind. The session goes on with every value once, or there is a new one, whose snapshot goes on from there.
func loseAnswers(l *lab, transport string) {
	f := forward(l, remote.URL)
	c := l.client(f.url)
	options := maps.Clone(impatient)
	options["ContentLength"] = 1000 // so that a stream is often bound again
	c.do("connect", "transport", transport, "options", options)
	c.await("the connection", isStatus("CONNECTED:"+transport))
	c.count("frequency", "unfiltered")
	c.subscribe(testset.Overflow, "MERGE", testset.OverflowItem, []string{"value"}, "frequency", "5") // it fills the streams
	last, sessions := c.number(c.await("the snapshot", isUpdate("count")), "count"), 1
	follow := func(from, updates int) { // up to so many updates after an event
		l.Helper()
		for updates > 0 {
			again := false
			e := c.await("an update", func(e event) bool {
				again = again || isEvent("subscribed", "count")(e)
				return isUpdate("count")(e)
			})
			value := c.number(e, "count")
			if e.Snapshot != again || again && value < last || !again && value != last+1 {
				l.Fatalf("%v after %d", e, last)
			}
			if last = value; again {
				sessions++
			}
			if c.next > from {
				updates--
			}
		}
	}
	follow(0, 5)
	for range 3 {
		f.loseAnswer(l, countLine)
		follow(c.mark(), 15)
	}
	for _, e := range c.since(0) {
		if e.Event == "lost" {
			l.Errorf("%v", e)
		}
	}
	l.Logf("%d sessions", sessions)
}

// recoverMessages sends while there is no connection: each message has one outcome.
func recoverMessages(l *lab) {
	f := forward(l, remote.URL)
	c := l.client(f.url)
	c.do("connect", "transport", "WS-STREAMING", "options", impatient)
	c.await("the connection", isStatus("CONNECTED:WS-STREAMING"))
	want := []string{"before", "after 1", "after 2", "after 3"}
	c.do("send", "message", want[0], "sequence", "SEQ")
	c.outcome(want[0])
	f.cutNow()
	for _, message := range want[1:] {
		c.do("send", "message", message, "sequence", "SEQ")
	}
	c.outcome(want[len(want)-1])
	var got []string
	for _, e := range c.since(0) {
		if e.Event == "message" {
			got = append(got, e.Message)
			if e.Outcome != "processed" {
				l.Errorf("%v", e)
			}
		}
	}
	if !slices.Equal(got, want) {
		l.Errorf("outcomes of %q, want %q", got, want)
	}
}

// newSession moves the client to a broker that does not know its session, as after a restart.
func newSession(l *lab) {
	f := forward(l, remote.URL)
	c := l.client(f.url)
	c.do("connect", "transport", "WS-STREAMING", "options", impatient)
	session := c.await("the connection", isStatus("CONNECTED:WS-STREAMING")).Session
	c.count()
	c.await("an update", isUpdate("count", func(e event) bool { return !e.Snapshot }))
	f.retarget(inProcess.URL)
	f.cutNow()
	status := c.await("the new connection", func(e event) bool {
		return e.Event == "status" && e.Status == "CONNECTED:WS-STREAMING" && e.Session != session
	})
	if status.Session == "" {
		l.Errorf("%v", status)
	}
	c.await("the subscription", isEvent("subscribed", "count"))
	if e := c.await("an update", isUpdate("count")); !e.Snapshot {
		l.Errorf("no snapshot in the new session: %v", e)
	}
	c.await("an update", isUpdate("count", func(e event) bool { return !e.Snapshot }))
}
