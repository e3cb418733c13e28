package session

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// TestLongDifference: while the difference of long values is being found, for which no lock is
// held, the session's requests are served; it is found once for all who need it.
func TestLongDifference(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		var found atomic.Int64
		gate := make(chan struct{})
		w.m.diff = func(old, next string) (string, bool) {
			found.Add(1)
			<-gate
			return textDiff(old, next)
		}
		var conns []*conn
		for range 5 {
			c := w.create(ws, "LS_keepalive_millis=30000")
			w.ok(c.id(), add(1, "MERGE", "i", "a", ""))
			conns = append(conns, c)
		}
		w.declare("i", "a=M")
		long := strings.Repeat("0123456789", 2000)
		w.send("i", "a="+long)
		for _, c := range conns {
			c.take()
		}
		w.send("i", "a="+long+"!")
		synctest.Wait()
		for _, c := range conns {
			w.ok(c.id(), add(2, "RAW", "j", "a", "")) // would block with the session's lock held
			w.ok(c.id(), "LS_op=constrain&LS_requested_max_bandwidth=unlimited")
			if w.msg(c.id(), "LS_message=x&LS_msg_prog=1") != "REQOK,1" {
				t.Error("no message is taken")
			}
		}
		close(gate)
		for _, c := range conns {
			lines := strings.Join(c.take(), "\n")
			if strings.Count(lines, "U,1,1,^T") != 1 || strings.Count(lines, "U,1,1") != 1 {
				t.Errorf("got %.300q", lines)
			}
		}
		if n := found.Load(); n != 1 {
			t.Errorf("the difference was found %d times", n)
		}
	})
}

// TestValuesFasterThanDifferences: values that change while they are compared are sent whole in the
// end, and other items are not held up for ever.
func TestValuesFasterThanDifferences(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		long := strings.Repeat("0123456789", 2000)
		n := 0
		w.m.diff = func(old, next string) (string, bool) {
			n++
			w.send("i", fmt.Sprintf("a=%d%s", n, long))
			return textDiff(old, next)
		}
		c := w.create(ws, "LS_keepalive_millis=30000")
		w.ok(c.id(), add(1, "MERGE", "i", "a", ""))
		w.ok(c.id(), add(2, "MERGE", "j", "a", ""))
		w.declare("i", "a=M")
		w.send("i", "a="+long)
		c.take()
		release := c.stall()
		w.send("i", "a=first"+long)
		w.send("j", "a=1")
		release()
		lines := c.take()
		if n != maxTries {
			t.Errorf("%d differences were looked for, want %d", n, maxTries)
		}
		if len(lines) != 2 || !strings.HasPrefix(lines[0], fmt.Sprintf("U,1,1,%d0123", n)) || lines[1] != "U,2,1,1" {
			t.Errorf("%.200q", lines)
		}
	})
}

// TestStatsWithoutLocks: counting neither waits for a session nor takes longer with more queues.
func TestStatsWithoutLocks(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		var last *conn
		for range 10 {
			last = w.create(ws, "LS_keepalive_millis=30000")
			w.ok(last.id(), add(1, "MERGE", names("i", 300), "a", ""))
		}
		w.send("i7", "a=1")
		synctest.Wait()
		s := last.b.s
		s.mu.Lock() // as somebody who is at work with it
		st := w.m.Stats()
		allocs := testing.AllocsPerRun(10, func() { w.m.Stats() })
		s.mu.Unlock()
		if st.Sessions != 10 || st.Subscriptions != 10 || st.Items != 300 || st.Sent != 10 {
			t.Errorf("%+v", st)
		}
		if allocs > 0 {
			t.Errorf("%v allocations", allocs)
		}
	})
}

// TestCommandSnapshotChanges: what comes for rows of a snapshot that waits as one is sent in their
// places.
func TestCommandSnapshotChanges(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []string
		want  []string
	}{
		{"UPDATE", []string{"key=b command=UPDATE v=2"}, []string{"U,1,1,a|ADD|1", "U,1,1,b||2", "U,1,1,c||1", "EOS,1,1"}},
		{"UPDATE twice", []string{"key=b command=UPDATE v=2", "key=b command=UPDATE v=3"}, []string{"U,1,1,a|ADD|1", "U,1,1,b||3", "U,1,1,c||1", "EOS,1,1"}},
		{"DELETE", []string{"key=b command=DELETE"}, []string{"U,1,1,a|ADD|1", "U,1,1,c||", "EOS,1,1"}},
		{"UPDATE and DELETE", []string{"key=b command=UPDATE v=2", "key=b command=DELETE"}, []string{"U,1,1,a|ADD|1", "U,1,1,c||", "EOS,1,1"}},
		{"DELETE and ADD", []string{"key=b command=DELETE", "key=b command=ADD v=5", "key=b command=UPDATE v=6"},
			[]string{"U,1,1,a|ADD|1", "U,1,1,c||", "EOS,1,1", "U,1,1,b||6"}},
		{"DELETE, ADD and DELETE", []string{"key=a command=DELETE", "key=a command=ADD v=5", "key=a command=DELETE"},
			[]string{"U,1,1,b|ADD|1", "U,1,1,c||", "EOS,1,1"}},
		{"all deleted", []string{"key=a command=DELETE", "key=b command=DELETE", "key=c command=DELETE"}, []string{"EOS,1,1"}},
		{"new key", []string{"key=d command=ADD v=4"}, []string{"U,1,1,a|ADD|1", "U,1,1,b||", "U,1,1,c||", "EOS,1,1", "U,1,1,d||4"}},
		{"cleared", []string{"key=b command=UPDATE v=2", "CS", "key=b command=ADD v=7"}, []string{"EOS,1,1", "CS,1,1", "U,1,1,b|ADD|7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{}, nil }
				other := w.create(ws, "LS_keepalive_millis=30000")
				w.ok(other.id(), add(1, "COMMAND", "i", "key command v", ""))
				w.send("i", "key=a command=ADD v=1", "key=b command=ADD v=1", "key=c command=ADD v=1")
				c := w.create(ws, "LS_keepalive_millis=30000")
				c.take()
				c.cut()
				w.ok(c.id(), add(1, "COMMAND", "i", "key command v", "LS_snapshot=true"))
				w.send("i", tt.steps...)
				c = w.bind(ws, "LS_session="+c.id())
				expect(t, data(c.take()), append([]string{"SUBCMD,1,1,3,1,2", "CONF,1,unlimited,filtered"}, tt.want...)...)
				if s := c.b.s; s.queueBytes != 0 {
					t.Errorf("%d bytes are left", s.queueBytes)
				}
			})
		})
	}
}
