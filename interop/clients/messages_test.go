//go:build interop

package clients

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/interop/testset"
)

var messages = slices.Concat(
	forEach(transports, "message denied with code and text:", messageDenied),
	[]capability{
		{"messages of a sequence, in order", messageSequence},
		{"messages without order", messageUnordered},
		{"message with any characters, long message", messageText},
		{"message answered with a text (in-process)", messageAnswered},
	},
)

func (c *client) outcome(message string) event {
	c.t.Helper()
	return c.await("the outcome of "+message, isOutcome(message))
}

func messageDenied(l *lab, transport string) {
	c := l.connected(remote.URL, transport)
	for _, sequence := range []any{nil, "SEQ"} {
		c.do("send", "message", testset.RefusedMessage, "sequence", sequence)
		if e := c.outcome(testset.RefusedMessage); e.Outcome != "denied" || e.Code != -123 || e.Text != "test error" {
			l.Errorf("%v", e)
		}
	}
}

func messageSequence(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	const count = 20
	for n := range count {
		c.do("send", "message", fmt.Sprint("message ", n), "sequence", "ORDERED")
	}
	for n := range count {
		e := c.await("an outcome", func(e event) bool { return e.Event == "message" })
		if e.Message != fmt.Sprint("message ", n) || e.Outcome != "processed" {
			l.Errorf("outcome %d is %v", n, e)
		}
	}
}

func messageUnordered(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	for _, sequence := range []any{nil, "UNORDERED_MESSAGES"} {
		message := fmt.Sprint("in ", sequence)
		c.do("send", "message", message, "sequence", sequence)
		if e := c.outcome(message); e.Outcome != "processed" {
			l.Errorf("%v", e)
		}
	}
}

func messageText(l *lab) {
	for _, transport := range streaming {
		c := l.connected(remote.URL, transport)
		for _, message := range []string{"hello +&=%\r\n|,\x00🌐", strings.Repeat("🌐 long ", 1500)} {
			c.do("send", "message", message)
			if e := c.outcome(message); e.Outcome != "processed" {
				l.Errorf("%v", e)
			}
		}
	}
}

func messageAnswered(l *lab) {
	c := l.connected(inProcess.URL, "WS-STREAMING")
	c.do("send", "message", testset.AnsweredMessage)
	if e := c.outcome(testset.AnsweredMessage); e.Outcome != "processed" || e.Text != "result:ok" {
		l.Errorf("%v", e)
	}
	c.do("send", "message", testset.RefusedMessage)
	if e := c.outcome(testset.RefusedMessage); e.Outcome != "denied" || e.Code != -123 || e.Text != "test error" {
		l.Errorf("%v", e)
	}
	c.do("send", "message", "anything else")
	if e := c.outcome("anything else"); e.Outcome != "processed" || e.Text != "" {
		l.Errorf("%v", e)
	}
}
