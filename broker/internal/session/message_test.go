package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// desk is a Metadata Adapter's reception of messages: it notes their order, and answers by their text.
type desk struct {
	mu    sync.Mutex
	texts []string
	hold  map[string]chan struct{}
}

func (d *desk) receive(ctx context.Context, text string) (string, error) {
	d.mu.Lock()
	d.texts = append(d.texts, text)
	hold := d.hold[text]
	d.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	switch {
	case strings.HasPrefix(text, "deny"):
		return "", &provider.Error{Kind: provider.Credits, Code: -7, ClientMessage: provider.T("not, allowed")}
	case text == "notification":
		return "", &provider.Error{Kind: provider.Notification, Message: "secret"}
	case text == "away":
		return "", &provider.Error{Kind: provider.Unavailable}
	case text == "broken":
		return "", errors.New("secret")
	case text == "answer":
		return "done, with 100%", nil
	}
	return "", nil
}

func (d *desk) take() []string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.texts
	d.texts = nil
	return t
}

func withDesk(t *testing.T, cfg Config, f func(t *testing.T, w *world, d *desk, c *conn)) {
	t.Helper()
	inWorld(t, cfg, func(t *testing.T, w *world) {
		d := &desk{hold: map[string]chan struct{}{}}
		w.meta.message = d.receive
		c := w.create(ws, "LS_keepalive_millis=30000")
		c.take()
		f(t, w, d, c)
	})
}

func TestMessageOutcomes(t *testing.T) {
	tests := []struct {
		params, answer string
		want           []string
	}{
		{"LS_message=hi&LS_sequence=s&LS_msg_prog=1", "REQOK,1", []string{"MSGDONE,s,1,"}},
		{"LS_message=hi&LS_sequence=s&LS_msg_prog=1&LS_outcome=false", "REQOK,1", nil},
		{"LS_message=hi&LS_msg_prog=1", "REQOK,1", []string{"MSGDONE,*,1,"}},
		{"LS_message=hi&LS_outcome=false&LS_ack=false", "", nil},
		{"LS_message=answer&LS_msg_prog=3", "REQOK,1", []string{"MSGDONE,*,3,done%2C with 100%25"}},
		{"LS_message=deny&LS_sequence=s&LS_msg_prog=1", "REQOK,1", []string{"MSGFAIL,s,1,-7,not%2C allowed"}},
		{"LS_message=deny&LS_outcome=false", "REQOK,1", nil},
		{"LS_message=notification&LS_msg_prog=1", "REQOK,1", []string{"MSGFAIL,*,1,35,Unexpected exception in the Metadata Adapter"}},
		{"LS_message=broken&LS_msg_prog=1", "REQOK,1", []string{"MSGFAIL,*,1,35,Unexpected exception in the Metadata Adapter"}},
		{"LS_message=away&LS_msg_prog=1", "REQOK,1", []string{"MSGFAIL,*,1,34,Unexpected error in message processing"}},
	}
	for _, tt := range tests {
		t.Run(tt.params, func(t *testing.T) {
			withDesk(t, Config{}, func(t *testing.T, w *world, d *desk, c *conn) {
				if got := w.msg(c.id(), tt.params); got != tt.answer {
					t.Errorf("answer %q", got)
				}
				expect(t, c.take(), tt.want...)
				if got := d.take(); len(got) != 1 {
					t.Errorf("the adapter got %q", got)
				}
			})
		})
	}
}

func TestMessageRefused(t *testing.T) {
	withDesk(t, Config{MaxMessages: 2, MaxSequences: 1}, func(t *testing.T, w *world, d *desk, c *conn) {
		if got := w.msg("Sunknown", "LS_message=x&LS_outcome=false&LS_ack=false"); got != "REQERR,1,20,Session not found" {
			t.Error(got)
		}
		got := w.m.Message(t.Context(), ws, c.b.s, tlcp.Message{ReqID: "1", Sequence: tlcp.UnorderedMessages, Prog: 1}, nil)
		if string(got) != "REQERR,1,68,Reserved sequence name\r\n" {
			t.Errorf("%q", got)
		}
		hold := make(chan struct{})
		d.hold["slow"] = hold
		w.msg(c.id(), "LS_message=slow&LS_msg_prog=1")
		w.msg(c.id(), "LS_message=slow&LS_sequence=s&LS_msg_prog=1")
		if got := w.msg(c.id(), "LS_message=x&LS_msg_prog=2"); got != "REQERR,1,68,Too many messages waiting in the session" {
			t.Error(got)
		}
		if got := w.msg(c.id(), "LS_message=x&LS_sequence=s2&LS_msg_prog=1"); got != "REQERR,1,68,Too many message sequences in the session" {
			t.Error(got)
		}
		close(hold)
		c.take()
		if got := w.msg(c.id(), "LS_message=x&LS_msg_prog=2"); got != "REQOK,1" {
			t.Errorf("after the crowd has gone: %s", got)
		}
	})
}

// TestVersionWithoutResponse: clients before 2.5 do not know the third argument of MSGDONE.
func TestVersionWithoutResponse(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		old := ws
		old.Version = tlcp.Version{Major: 2, Minor: 4}
		c := w.create(old, "")
		c.take()
		w.msg(c.id(), "LS_message=x&LS_msg_prog=1")
		expect(t, c.take(), "MSGDONE,*,1")
	})
}

// TestSequence: messages of a sequence are processed one at a time in the order of their numbers, whatever the order of arrival;
// other sequences and unordered messages do not wait.
func TestSequence(t *testing.T) {
	withDesk(t, Config{}, func(t *testing.T, w *world, d *desk, c *conn) {
		hold := make(chan struct{})
		d.hold["s1"] = hold
		for _, n := range []int{3, 1, 2} {
			w.msg(c.id(), fmt.Sprintf("LS_message=s%d&LS_sequence=s&LS_msg_prog=%d", n, n))
		}
		w.msg(c.id(), "LS_message=o1&LS_sequence=other&LS_msg_prog=1")
		synctest.Wait()
		w.msg(c.id(), "LS_message=u&LS_msg_prog=1")
		expect(t, c.take(), "MSGDONE,other,1,", "MSGDONE,*,1,")
		close(hold)
		expect(t, c.take(), "MSGDONE,s,1,", "MSGDONE,s,2,", "MSGDONE,s,3,")
		expect(t, slices.DeleteFunc(d.take(), func(s string) bool { return s[0] != 's' }), "s1", "s2", "s3")
	})
}

// TestRepeatedMessages: clients repeat messages whose acknowledgement they missed; each is processed once.
func TestRepeatedMessages(t *testing.T) {
	withDesk(t, Config{}, func(t *testing.T, w *world, d *desk, c *conn) {
		for range 2 {
			for _, p := range []string{
				"LS_message=m1&LS_sequence=s&LS_msg_prog=1", "LS_message=m3&LS_sequence=s&LS_msg_prog=3", "LS_message=u&LS_msg_prog=1",
			} {
				if got := w.msg(c.id(), p); got != "REQOK,1" {
					t.Errorf("%s: %s", p, got)
				}
				synctest.Wait()
			}
		}
		expect(t, d.take(), "m1", "u")
		expect(t, c.take(), "MSGDONE,s,1,", "MSGDONE,*,1,")
		w.msg(c.id(), "LS_message=m2&LS_sequence=s&LS_msg_prog=2")
		expect(t, d.take(), "m2", "m3")
		if n := c.b.s.messages.accepted; n != 0 {
			t.Errorf("%d messages are still pending", n)
		}
	})
}

func TestMissingMessages(t *testing.T) {
	withDesk(t, Config{}, func(t *testing.T, w *world, d *desk, c *conn) {
		send := func(n int, more string) string {
			return w.msg(c.id(), fmt.Sprintf("LS_message=m%d&LS_sequence=s&LS_msg_prog=%d%s", n, n, more))
		}
		send(2, "&LS_max_wait=1000")
		pass(999 * time.Millisecond)
		expect(t, c.take())
		pass(time.Millisecond)
		expect(t, c.take(), "MSGFAIL,s,1,38,Message skipped by timeout", "MSGDONE,s,2,")

		// Several in a row are one line; a message there in between is processed in its place, though its own wait goes on.
		send(8, "&LS_max_wait=500")
		send(6, "")
		pass(500 * time.Millisecond)
		expect(t, c.take(), "MSGFAIL,s,5,39,3", "MSGDONE,s,6,", "MSGFAIL,s,7,38,Message skipped by timeout", "MSGDONE,s,8,")
		expect(t, d.take(), "m2", "m6", "m8")

		// What was skipped comes after all.
		if got := send(4, ""); got != "REQERR,1,32,Message number too low: already received or skipped" {
			t.Error(got)
		}
		if got := send(6, ""); got != "REQOK,1" {
			t.Error(got)
		}
		expect(t, d.take())

		// The server's own limit of the wait, and no wait at all.
		send(10, "&LS_max_wait=3600000")
		start := time.Now()
		pass(30 * time.Second)
		expect(t, data(c.take()), "MSGFAIL,s,9,38,Message skipped by timeout", "MSGDONE,s,10,")
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("waited %v", d)
		}
		send(12, "&LS_max_wait=0")
		expect(t, data(c.take()), "MSGFAIL,s,11,38,Message skipped by timeout", "MSGDONE,s,12,")

		// The missing one comes in time.
		send(14, "&LS_max_wait=1000")
		pass(900 * time.Millisecond)
		send(13, "")
		pass(time.Second)
		expect(t, data(c.take()), "MSGDONE,s,13,", "MSGDONE,s,14,")
	})
}

// TestMessagesWhileUnbound: they are processed, and their outcomes wait for the bind.
func TestMessagesWhileUnbound(t *testing.T) {
	withDesk(t, Config{}, func(t *testing.T, w *world, _ *desk, c *conn) {
		c.cut()
		w.msg(c.id(), "LS_message=m&LS_msg_prog=1")
		synctest.Wait()
		_, lines, ok := w.recovery(c.id(), 0)
		expect(t, lines, "MSGDONE,*,1,")
		if !ok {
			t.Error("no LOOP")
		}
	})
}

// TestSessionEndsDuringMessages: the adapter's call is cancelled, and what waits is forgotten.
func TestSessionEndsDuringMessages(t *testing.T) {
	withDesk(t, Config{}, func(t *testing.T, w *world, d *desk, c *conn) {
		d.hold["slow"] = make(chan struct{})
		w.msg(c.id(), "LS_message=slow&LS_sequence=s&LS_msg_prog=1")
		w.msg(c.id(), "LS_message=next&LS_sequence=s&LS_msg_prog=2")
		w.msg(c.id(), "LS_message=early&LS_sequence=e&LS_msg_prog=2")
		synctest.Wait()
		w.ok(c.id(), "LS_op=destroy")
		pass(time.Minute)
		expect(t, d.take(), "slow")
	})
}

// TestRecent: of unordered messages the last numbers are known, however many there were.
func TestRecent(t *testing.T) {
	var r recent
	const all = 3*maxRecent + 7
	for n := range int32(all) {
		if !r.add(n) {
			t.Fatalf("%d is known before it came", n)
		}
	}
	for n := int32(all - maxRecent); n < all; n++ {
		if r.add(n) {
			t.Fatalf("%d is not known any more", n)
		}
	}
	if len(r.ring) != maxRecent || !r.add(0) {
		t.Errorf("%d are known, want %d without the first", len(r.ring), maxRecent)
	}
}
