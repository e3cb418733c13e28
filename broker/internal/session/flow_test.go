package session

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// stall makes a connection hang in its next write, and returns what lets it go on.
func (c *conn) stall() (release func()) {
	synctest.Wait()
	gate := make(chan struct{})
	c.mu.Lock()
	c.gate = gate
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		c.gate = nil
		c.mu.Unlock()
		close(gate)
		synctest.Wait()
	}
}

// TestSlowConnection: what the rules of each mode make of events that come while the connection takes none.
func TestSlowConnection(t *testing.T) {
	seq := func(format string, from, to int) (out []string) {
		for i := from; i <= to; i++ {
			out = append(out, fmt.Sprintf(format, i))
		}
		return out
	}
	snap := "LS_snapshot=true"
	unfiltered := "LS_requested_max_frequency=unfiltered"
	key := func(steps ...string) (out []string) {
		for _, s := range steps {
			f := strings.Fields(s)
			out = append(out, fmt.Sprintf("key=%s command=%s v=%s", f[1], f[0], f[2]))
		}
		return out
	}
	table := key("ADD a 1", "ADD b 1")
	tests := []struct {
		name, add string
		cfg       Config
		before    []string // sent and read before the connection hangs
		steps     []string
		want      []string
		lost      int64
	}{
		{"merge", add(1, "MERGE", "i", "a b", ""), Config{}, nil, []string{"a=1 b=1", "a=2", "b=3", "a=4"}, []string{"U,1,1,4|3"}, 0},
		{"merge with a buffer", add(1, "MERGE", "i", "a", "LS_requested_buffer_size=3"), Config{}, nil, seq("a=%d", 1, 9), []string{"U,1,1,1", "U,1,1,2", "U,1,1,9"}, 0},
		{"merge with the user's buffer", add(1, "MERGE", "i", "a", "LS_requested_buffer_size=unlimited"), Config{}, []string{"user buffer 2"}, seq("a=%d", 1, 9), []string{"U,1,1,1", "U,1,1,9"}, 0},
		{"merge snapshot stays the first", add(1, "MERGE", "i", "a", snap), Config{}, nil, []string{"S a=1", "a=2", "a=3"}, []string{"U,1,1,1", "U,1,1,3"}, 0},
		{"merge unfiltered", add(1, "MERGE", "i", "a", unfiltered), Config{MaxUnfiltered: 3}, nil, seq("a=%d", 1, 5), []string{"OV,1,1,2", "U,1,1,3", "U,1,1,4", "U,1,1,5"}, 2},
		{"merge does not send what is not in the schema", add(1, "MERGE", "i", "a", ""), Config{}, nil, []string{"z=1", "a=1", "z=2"}, []string{"U,1,1,1"}, 0},
		{"distinct", add(1, "DISTINCT", "i", "a", snap), Config{MaxBuffer: 3}, []string{"EOS"}, seq("a=%d", 1, 5), []string{"U,1,1,3", "U,1,1,4", "U,1,1,5"}, 0},
		{"distinct with a buffer", add(1, "DISTINCT", "i", "a", "LS_requested_buffer_size=2"), Config{}, nil, seq("a=%d", 1, 5), []string{"U,1,1,4", "U,1,1,5"}, 0},
		{"distinct keeps its snapshot", add(1, "DISTINCT", "i", "a", snap+"&LS_requested_buffer_size=1"), Config{}, nil,
			append(seq("S a=%d", 1, 3), "EOS", "a=4", "a=5"), []string{"U,1,1,1", "U,1,1,2", "U,1,1,3", "EOS,1,1", "U,1,1,5"}, 0},
		{"distinct cleared", add(1, "DISTINCT", "i", "a", snap), Config{}, nil, []string{"S a=1", "EOS", "a=2", "CS", "CS", "a=3"}, []string{"EOS,1,1", "CS,1,1", "U,1,1,3"}, 0},
		{"distinct unfiltered", add(1, "DISTINCT", "i", "a", unfiltered), Config{MaxUnfiltered: 2}, nil, []string{"a=1", "CS", "a=2", "a=3", "a=4"}, []string{"OV,1,1,1", "CS,1,1", "OV,1,1,1", "U,1,1,3", "U,1,1,4"}, 2},
		{"raw", add(1, "RAW", "i", "a", ""), Config{MaxUnfiltered: 2}, nil, seq("a=%d", 1, 6), []string{"OV,1,1,4", "U,1,1,5", "U,1,1,6"}, 4},
		{"raw bounded in bytes", add(1, "RAW", "i", "a", ""), Config{MaxQueueBytes: 200}, nil, seq("a=%d", 1, 6), []string{"OV,1,1,3", "U,1,1,4", "U,1,1,5", "U,1,1,6"}, 3},
		{"command UPDATE on UPDATE", add(1, "COMMAND", "i", "key command v", snap), Config{}, table, key("UPDATE a 2", "UPDATE b 2", "UPDATE a 3"), []string{"U,1,1,a|UPDATE|3", "U,1,1,b||2"}, 0},
		{"command UPDATE on ADD", add(1, "COMMAND", "i", "key command v", snap), Config{}, table, key("ADD c 1", "UPDATE c 2"), []string{"U,1,1,c||2"}, 0},
		{"command DELETE on UPDATE", add(1, "COMMAND", "i", "key command v", snap), Config{}, table, key("UPDATE a 2", "DELETE a 0"), []string{"U,1,1,a|DELETE|#"}, 0},
		{"command DELETE on ADD", add(1, "COMMAND", "i", "key command v", snap), Config{}, table, key("ADD c 1", "UPDATE b 2", "DELETE c 0"), []string{"U,1,1,|UPDATE|2"}, 0},
		{"command ADD on DELETE", add(1, "COMMAND", "i", "key command v", snap), Config{}, table, key("DELETE a 0", "ADD a 5", "UPDATE a 6"), []string{"U,1,1,a|DELETE|#", "U,1,1,|ADD|6"}, 0},
		{"command DELETE on ADD on DELETE", add(1, "COMMAND", "i", "key command v", snap), Config{}, table, key("DELETE a 0", "ADD a 5", "DELETE a 0"), []string{"U,1,1,a|DELETE|#"}, 0},
		{"command cleared", add(1, "COMMAND", "i", "key command v", snap), Config{}, table, append(key("UPDATE a 2", "ADD c 1"), "CS", "key=a command=ADD v=7"), []string{"CS,1,1", "U,1,1,a||7"}, 0},
		{"command added and deleted behind a clear", add(1, "COMMAND", "i", "key command v", snap), Config{}, table, append([]string{"CS"}, key("ADD a 7", "DELETE a 0")...), []string{"CS,1,1"}, 0},
		{"command unfiltered", add(1, "COMMAND", "i", "key command v", snap+"&"+unfiltered), Config{MaxUnfiltered: 2}, table, key("UPDATE a 2", "DELETE a 0", "ADD a 5", "UPDATE a 6"), []string{"OV,1,1,2", "U,1,1,a|UPDATE|5", "U,1,1,||6"}, 2},
		{"command bounded in bytes", add(1, "COMMAND", "i", "key command v", snap), Config{MaxQueueBytes: 150}, table, key("ADD c 1", "ADD d 1", "ADD e 1", "DELETE c 0", "UPDATE d 1"),
			[]string{"OV,1,1,1", "U,1,1,d||", "U,1,1,e||"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, tt.cfg, func(t *testing.T, w *world) {
				w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{WantsTables: true}, nil }
				w.meta.tables = func(provider.Table) (provider.TablesGrant, error) { return provider.TablesGrant{FinalStats: true}, nil }
				if len(tt.before) > 0 && tt.before[0] == "user buffer 2" {
					w.meta.userData = func(string) provider.UserItemData {
						return provider.UserItemData{Modes: provider.AllModes, BufferSize: 2}
					}
					tt.before = nil
				}
				c := w.create(ws, "LS_keepalive_millis=30000")
				w.ok(c.id(), add(9, "RAW", "other", "x", ""))
				w.ok(c.id(), tt.add)
				w.send("i", tt.before...)
				c.take()
				release := c.stall()
				w.send("other", "x=hang")
				synctest.Wait()
				w.send("i", tt.steps...)
				release()
				lines := c.take()
				expect(t, lines[1:], tt.want...)
				w.ok(c.id(), "LS_op=delete&LS_subId=1")
				st := w.meta.closed[0].Stats[0]
				if st.Lost != tt.lost {
					t.Errorf("statistics %+v, want %d lost", st, tt.lost)
				}
				synctest.Wait()
				w.ok(c.id(), "LS_op=delete&LS_subId=9")
				c.take()
				if s := c.b.s; s.queueBytes != 0 || s.liveBytes != 0 || s.loose != 0 || s.keyBytes != 0 || len(s.parking) != 0 {
					t.Errorf("left in the session: %d bytes, %d live, %d besides, %d of keys, %d held back", s.queueBytes, s.liveBytes, s.loose, s.keyBytes, len(s.parking))
				}
			})
		})
	}
}

// TestSlowConnectionAlone: while one connection hangs, others get everything, and the adapter is not held up.
func TestSlowConnectionAlone(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		slow, fast := w.create(ws, ""), w.create(ws, "")
		for _, c := range []*conn{slow, fast} {
			w.ok(c.id(), add(1, "RAW", "i", "a", ""))
			c.take()
		}
		release := slow.stall()
		for i := range 100 {
			w.send("i", fmt.Sprint("a=", i))
		}
		if got := fast.take(); len(got) != 100 {
			t.Errorf("%d lines", len(got))
		}
		release()
		if got := slow.take(); len(got) != 100 {
			t.Errorf("%d lines after the hang", len(got))
		}
	})
}

func TestBatches(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		c.take()
		release := c.stall()
		for i := range 5000 {
			w.send("i", fmt.Sprintf("a=%d-%s", i, strings.Repeat("x", i%40)))
		}
		release()
		lines := c.take()
		for i, l := range lines {
			if want := fmt.Sprintf("U,1,1,%d-%s", i, strings.Repeat("x", i%40)); l != want {
				t.Fatalf("line %d: %q", i, l)
			}
		}
		if len(lines) != 5000 {
			t.Errorf("%d lines", len(lines))
		}
		if n := slices.Max(c.sizes); n > batch {
			t.Errorf("a write of %d bytes", n)
		}
		if n := len(c.sizes); n > 20 {
			t.Errorf("%d writes for %d bytes", n, c.text.Len())
		}
	})
}

// TestFlood: a session that does not read has bounded memory, whatever its subscriptions.
func TestFlood(t *testing.T) {
	inWorld(t, Config{MaxQueueBytes: 50_000}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		for i := range 20 {
			w.ok(c.id(), add(i+1, "RAW", fmt.Sprint("i", i), "a", ""))
		}
		c.take()
		c.cut()
		for range 200 {
			for i := range 20 {
				w.send(fmt.Sprint("i", i), "a="+strings.Repeat("x", 500))
			}
		}
		if st := w.m.Stats(); st.QueueBytes > 50_000+20*(1000+nodeCost)+looseStep {
			t.Errorf("%d bytes wait", st.QueueBytes)
		}
		_, lines, _ := w.recovery(c.id(), 40)
		r := newReplica(t)
		for i := range 20 {
			r.apply([]string{fmt.Sprintf("SUBOK,%d,1,1", i+1)})
		}
		r.apply(lines)
		for id, s := range r.subs {
			it := &s.items[0]
			got := int64(0)
			for _, e := range it.events {
				if !strings.HasPrefix(e, "OV") {
					got++
				}
			}
			if got+it.lost != 200 || got == 0 {
				t.Errorf("subscription %d: %d updates and %d lost, want 200 in all", id, got, it.lost)
			}
		}
	})
}

// TestFloodOfSnapshots: they do not count for the limits of the queues, nor do they end the
// session, however many wait.
func TestFloodOfSnapshots(t *testing.T) {
	inWorld(t, Config{MaxQueueBytes: 10_000}, func(t *testing.T, w *world) {
		other := w.create(ws, "")
		w.ok(other.id(), add(1, "COMMAND", "i", "key command", ""))
		for i := range 500 {
			w.send("i", fmt.Sprintf("key=k%d command=ADD", i))
		}
		c := w.create(ws, "")
		c.take()
		c.cut()
		w.ok(c.id(), add(1, "COMMAND", "i i i i i i i i i i i i i i i i", "key command", "LS_snapshot=true"))
		w.ok(c.id(), add(2, "COMMAND", "i", "key command", "LS_snapshot=true"))
		w.ok(c.id(), add(3, "COMMAND", strings.Repeat("i ", 30), "key command", "LS_snapshot=true"))
		synctest.Wait()
		c = w.bind(ws, "LS_session="+c.id())
		rows := 0
		for _, l := range c.take() {
			if strings.HasPrefix(l, "U,") {
				rows++
			}
		}
		if rows != 47*500 {
			t.Errorf("%d rows arrived, want %d", rows, 47*500)
		}
	})
}

func TestFrequency(t *testing.T) {
	for _, mode := range []string{"MERGE", "DISTINCT"} {
		for _, f := range []float64{0.5, 2, 2.5, 7} {
			t.Run(fmt.Sprint(mode, f), func(t *testing.T) {
				inWorld(t, Config{}, func(t *testing.T, w *world) {
					c := w.create(ws, "LS_keepalive_millis=30000")
					c.take()
					w.ok(c.id(), add(1, mode, "i", "a", fmt.Sprint("LS_requested_max_frequency=", f)))
					conf := strconv.FormatFloat(f, 'f', -1, 64)
					if !strings.Contains(conf, ".") {
						conf += ".0"
					}
					expect(t, c.take(), "SUBOK,1,1,1", "CONF,1,"+conf+",filtered")
					const seconds = 60
					for i := range seconds * 100 {
						w.send("i", fmt.Sprint("a=", i))
						pass(10 * time.Millisecond)
					}
					lines := data(c.take())
					if n, want := len(lines), int(f*seconds); n < want || n > want+1 {
						t.Errorf("%d updates in a minute at %v per second", n, f)
					}
					pass(time.Hour)
					lines = append(lines, data(c.take())...)
					if last := lines[len(lines)-1]; last != "U,1,1,5999" {
						t.Errorf("the last state does not follow: %q", last)
					}
				})
			})
		}
	}
}

// TestFrequencyPerKey: in COMMAND mode the limit is for the UPDATEs of each key; ADD and DELETE pass at once.
func TestFrequencyPerKey(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "LS_keepalive_millis=30000")
		w.ok(c.id(), add(1, "COMMAND", "i", "key command v", "LS_snapshot=true&LS_requested_max_frequency=1"))
		w.send("i", "EOS")
		c.take()
		step := func(s string, want ...string) {
			t.Helper()
			w.send("i", s)
			expect(t, c.take(), want...)
		}
		step("key=a command=ADD v=1", "U,1,1,a|ADD|1")
		step("key=b command=ADD v=1", "U,1,1,b||")
		step("key=a command=UPDATE v=2", "U,1,1,a|UPDATE|2")
		step("key=a command=UPDATE v=3")
		step("key=b command=UPDATE v=2", "U,1,1,b||")
		step("key=a command=UPDATE v=4")
		pass(999 * time.Millisecond)
		expect(t, c.take())
		pass(time.Millisecond)
		expect(t, c.take(), "U,1,1,a||4")
		step("key=a command=UPDATE v=5")
		step("key=a command=DELETE", "U,1,1,|DELETE|#") // overtakes the UPDATE, which is pointless now
		step("key=a command=ADD v=6", "U,1,1,|ADD|6")
		step("key=b command=UPDATE v=7", "U,1,1,b|UPDATE|7")
		step("key=b command=UPDATE v=8")
		step("CS", "CS,1,1")
		pass(time.Minute)
		expect(t, data(c.take()))
		step("key=b command=ADD v=8", "U,1,1,|ADD|8")
	})
}

func TestReconf(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.meta.userData = func(item string) provider.UserItemData {
			d := provider.UserItemData{Modes: provider.AllModes}
			if item != "free" {
				d.MaxFrequency = 4
			}
			return d
		}
		c := w.create(ws, "LS_keepalive_millis=30000")
		w.ok(c.id(), add(1, "MERGE", "i j", "a", "LS_requested_max_frequency=0.1"))
		w.ok(c.id(), add(2, "MERGE", "i free", "a", ""))
		w.ok(c.id(), add(3, "RAW", "i", "a", "LS_requested_max_frequency=1"))
		w.ok(c.id(), add(4, "MERGE", "free", "a", "LS_requested_max_frequency=unfiltered"))
		w.ok(c.id(), add(5, "COMMAND", "k", "key command v", "LS_snapshot=true&LS_requested_max_frequency=0.1"))
		w.send("k", "EOS", "key=x command=ADD v=1")
		synctest.Wait()
		w.send("k", "key=x command=UPDATE v=2")
		confs := slices.DeleteFunc(c.take(), func(s string) bool { return !strings.HasPrefix(s, "CONF") })
		expect(t, confs, "CONF,1,0.1,filtered", "CONF,2,unlimited,filtered", "CONF,3,unlimited,filtered", "CONF,4,unlimited,unfiltered", "CONF,5,0.1,filtered")
		w.ok(c.id(), "LS_op=delete&LS_subId=2")
		w.ok(c.id(), "LS_op=delete&LS_subId=3")
		c.take()

		w.send("k", "key=x command=UPDATE v=3", "key=x command=UPDATE v=4")
		w.send("i", "a=1")
		expect(t, c.take(), "U,1,1,1")
		w.send("i", "a=2")
		pass(time.Second)
		expect(t, c.take())
		// What was held back by the old limit goes by the new one; CONF comes first.
		w.ok(c.id(), "LS_op=reconf&LS_subId=1&LS_requested_max_frequency=unlimited")
		w.ok(c.id(), "LS_op=reconf&LS_subId=5&LS_requested_max_frequency=unlimited")
		pass(time.Second)
		lines := c.take()
		slices.Sort(lines)
		expect(t, lines, "CONF,1,4.0,filtered", "CONF,5,4.0,filtered", "U,1,1,2", "U,5,1,||4")
		w.ok(c.id(), "LS_op=reconf&LS_subId=1") // no frequency: no change
		expect(t, c.take(), "CONF,1,4.0,filtered")
		if got := w.control(c.id(), "LS_op=reconf&LS_subId=4&LS_requested_max_frequency=1"); got != "REQERR,1,13,Frequency change not allowed on an unfiltered subscription" {
			t.Error(got)
		}
		if got := w.control(c.id(), "LS_op=reconf&LS_subId=77&LS_requested_max_frequency=1"); got != "REQERR,1,19,Specified subscription not found" {
			t.Error(got)
		}
	})
}

// TestBandwidth: the flow keeps to the limit, shared by the items, whose updates are merged meanwhile.
func TestBandwidth(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{MaxBandwidth: 8}, nil }
		c := w.create(ws, "LS_keepalive_millis=30000&LS_requested_max_bandwidth=40.5")
		if head := c.take(); head[3] != "CONS,8.0" {
			t.Errorf("head %q", head)
		}
		w.ok(c.id(), "LS_op=constrain&LS_requested_max_bandwidth=unlimited")
		expect(t, c.take(), "CONS,8.0")
		items := "i0 i1 i2 i3 i4 i5 i6 i7 i8 i9"
		w.ok(c.id(), add(1, "MERGE", items, "a", ""))
		for i := range 600 { // 10 items, 10 updates per second each, about 14 bytes: 1400 bytes/s wanted, 1000 allowed
			for j := range 10 {
				w.send(fmt.Sprint("i", j), fmt.Sprintf("a=%05d", i))
			}
			pass(100 * time.Millisecond)
		}
		lines := c.take()
		size, per := 0, map[int]int{}
		for _, l := range lines {
			size += len(l) + 2
			if p, _ := tlcp.ParseLine([]byte(l)); p.Tag == tlcp.TagU {
				per[p.Item]++
			}
		}
		if size < 58_000 || size > 60_500 {
			t.Errorf("%d bytes in a minute, want 60000", size)
		}
		for j := 1; j <= 10; j++ {
			if n := per[j]; n < 380 || n > 460 {
				t.Errorf("item %d got %d updates: no fair share of %v", j, n, per)
			}
		}
		w.ok(c.id(), "LS_op=constrain&LS_requested_max_bandwidth=0.8")
		for j := range 10 {
			w.send(fmt.Sprint("i", j), "a=00600")
		}
		pass(time.Second)
		lines = c.take()
		if lines[0] != "CONS,0.8" || len(lines) > 10 {
			t.Errorf("%q", lines)
		}
		pass(time.Minute) // everything has been sent by now, the last states included
		lines = append(lines, c.take()...)
		for j := 1; j <= 10; j++ {
			if !slices.ContainsFunc(lines, func(s string) bool {
				return strings.HasSuffix(s, ",00600") && strings.HasPrefix(s, fmt.Sprintf("U,1,%d,", j))
			}) {
				t.Errorf("the last state of item %d does not come", j)
			}
		}
	})
}

// TestBandwidthOfBusyItems: an item that changes seldom does not wait for those that change all the time, nor is any of its changes merged away.
func TestBandwidthOfBusyItems(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{MaxBandwidth: 4}, nil }
		c := w.create(ws, "LS_keepalive_millis=30000")
		w.ok(c.id(), add(1, "MERGE", "busy1 busy2 busy3", "a", ""))
		w.ok(c.id(), add(2, "MERGE", "quiet", "a", ""))
		c.take()
		for i := range 1000 {
			for j := 1; j <= 3; j++ {
				w.send(fmt.Sprint("busy", j), fmt.Sprintf("a=%05d%s", i, strings.Repeat("x", 40)))
			}
			if i%100 == 0 {
				w.send("quiet", fmt.Sprint("a=", i/100))
			}
			pass(10 * time.Millisecond)
			if i%100 == 60 { // a round of four lines takes 0.4 s at 500 bytes/s
				if lines := c.take(); !slices.Contains(lines, fmt.Sprint("U,2,1,", i/100)) {
					t.Errorf("change %d of the quiet item is not among %q", i/100, lines)
				}
			}
		}
	})
}

// TestBandwidthOfPolls: a poll waits for its share.
func TestBandwidthOfPolls(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(overHTTP, "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0&LS_requested_max_bandwidth=0.8")
		<-c.end
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		for i := range 20 {
			w.send("i", fmt.Sprintf("a=%090d", i))
		}
		start, n := time.Now(), 0
		for n < 22 {
			p := w.bind(overHTTP, "LS_session="+c.id()+"&LS_polling=true&LS_polling_millis=0&LS_idle_millis=10000")
			<-p.end
			n += len(data(p.take()))
		}
		if d := time.Since(start); d < 17*time.Second || d > 22*time.Second {
			t.Errorf("20 updates of 100 bytes took %v at 100 bytes/s", d)
		}
	})
}
