package session

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// declare makes a declaration from "name=JM" words; "name=" declares none.
func (w *world) declare(item, words string) {
	w.t.Helper()
	var list []provider.FieldDiff
	for word := range strings.FieldsSeq(words) {
		name, letters, _ := strings.Cut(word, "=")
		d := provider.FieldDiff{Field: name}
		for _, a := range []byte(letters) {
			d.Algorithms = append(d.Algorithms, provider.DiffAlgorithm(a))
		}
		list = append(list, d)
	}
	w.feed.sinks[item].DeclareFieldDiffOrder(list)
}

// put sends an update of one field of an item, with any text, and waits until what can be written has been.
func (w *world) put(item, field, value string) {
	w.t.Helper()
	u := provider.Update{Fields: []provider.Field{{Name: field, Value: provider.T(value)}}}
	if value == "#" {
		u.Fields[0].Value = provider.Text{S: prose("a", "b"), Null: true} // what a null holds is no value
	}
	w.feed.sinks[item].Update(u)
	synctest.Wait()
}

// The values of these tests: a text and documents, with two letters that change.
func prose(a, b string) string {
	return a + " quick brown fox jumps over the lazy dog, and sleeps " + b
}

func doc(a, b string) string {
	return `{"first":"` + a + `","list":["one","two","three"],"number":12345678901234567890,"last":"` + b + `"}`
}

func TestDeltas(t *testing.T) {
	old := tlcp.Version{Major: 2, Minor: 3}
	whole := func(v string) string { return "U,1,1," + v }
	textB := func(b string) string { return "U,1,1,^TCcb" + b }
	pB := func(b string) string { return fmt.Sprintf(`U,1,1,^P[{"op":"replace","path":"/last","value":"%s"}]`, b) }
	short := func(n int, fill, last string) string { // of n characters
		return `["` + strings.Repeat(fill, n-len(`["",]`)-len(last)) + `",` + last + `]`
	}
	for _, tt := range []struct {
		name, create, declare string
		version               *tlcp.Version
		cfg                   Config
		values, want          []string
	}{
		{name: "nothing declared", values: []string{prose("a", "b"), prose("a", "c")}, want: []string{whole(prose("a", "b")), whole(prose("a", "c"))}},
		{name: "none allowed", declare: "a=", values: []string{prose("a", "b"), prose("a", "c")}, want: []string{whole(prose("a", "b")), whole(prose("a", "c"))}},
		{name: "another field", declare: "z=JM", values: []string{prose("a", "b"), prose("a", "c")}, want: []string{whole(prose("a", "b")), whole(prose("a", "c"))}},
		{name: "text", declare: "a=M", values: []string{prose("a", "b"), prose("a", "c"), prose("a", "c"), prose("a", "d")},
			want: []string{whole(prose("a", "b")), textB("c"), "U,1,1,", textB("d")}},
		{name: "document", declare: "a=J", values: []string{doc("a", "b"), doc("a", "c"), doc("a", "d")}, want: []string{whole(doc("a", "b")), pB("c"), pB("d")}},
		{name: "patch first", declare: "a=JM", values: []string{doc("a", "b"), doc("a", "c")}, want: []string{whole(doc("a", "b")), pB("c")}},
		{name: "text first", declare: "a=MJ", values: []string{doc("a", "b"), doc("a", "c")}, want: []string{whole(doc("a", "b")), "U,1,1,^TDcbcbc"}},
		{name: "patch does not apply", declare: "a=JM", values: []string{prose("a", "b"), prose("a", "c")}, want: []string{whole(prose("a", "b")), textB("c")}},
		{name: "patch only, no document", declare: "a=J", values: []string{prose("a", "b"), prose("a", "c")}, want: []string{whole(prose("a", "b")), whole(prose("a", "c"))}},
		{name: "nothing in common", declare: "a=JM", values: []string{prose("a", "b"), "0123456789"}, want: []string{whole(prose("a", "b")), whole("0123456789")}},
		{name: "null and empty", declare: "a=M", values: []string{prose("a", "b"), "#", prose("a", "c"), "", prose("a", "d"), prose("a", "e")},
			want: []string{whole(prose("a", "b")), whole("#"), whole(prose("a", "c")), whole("$"), whole(prose("a", "d")), textB("e")}},
		{name: "null and document", declare: "a=J", values: []string{doc("a", "b"), doc("a", "c"), "#", doc("a", "d"), doc("a", "e")},
			want: []string{whole(doc("a", "b")), pB("c"), whole("#"), whole(doc("a", "d")), pB("e")}},
		{name: "no text after a document", declare: "a=JM", values: []string{doc("a", "b"), doc("a", "c"), doc("a", "c") + ",", doc("a", "c") + ";", doc("a", "d"), doc("a", "e")},
			want: []string{whole(doc("a", "b")), pB("c"), whole(doc("a", "c") + ","), "U,1,1,^TDfb;", `U,1,1,^TDcdd"}`, pB("e")}},
		{name: "client wants none", create: "LS_supported_diffs=", declare: "a=JM", values: []string{doc("a", "b"), doc("a", "c")},
			want: []string{whole(doc("a", "b")), whole(doc("a", "c"))}},
		{name: "client wants others", create: "LS_supported_diffs=X,p", declare: "a=JM", values: []string{doc("a", "b"), doc("a", "c")},
			want: []string{whole(doc("a", "b")), whole(doc("a", "c"))}},
		{name: "client wants patches", create: "LS_supported_diffs=P", declare: "a=MJ", values: []string{doc("a", "b"), doc("a", "c")},
			want: []string{whole(doc("a", "b")), pB("c")}},
		{name: "client wants texts", create: "LS_supported_diffs=T", declare: "a=JM", values: []string{prose("a", "b"), prose("a", "c")},
			want: []string{whole(prose("a", "b")), textB("c")}},
		{name: "client wants texts only", create: "LS_supported_diffs=T", declare: "a=JM", values: []string{doc("a", "b"), doc("a", "c")},
			want: []string{whole(doc("a", "b")), "U,1,1,^TDcbcbc"}},
		{name: "a document stays one", declare: "a=JM", values: []string{doc("a", "b"), doc("a", "c"), doc("a", "c"), doc("a", "c") + ","},
			want: []string{whole(doc("a", "b")), pB("c"), "U,1,1,", whole(doc("a", "c") + ",")}},
		{name: "client wants both", create: "LS_supported_diffs=T,P", declare: "a=JM", values: []string{doc("a", "b"), doc("a", "c")},
			want: []string{whole(doc("a", "b")), pB("c")}},
		{name: "old client", version: &old, declare: "a=JM", values: []string{doc("a", "b"), doc("a", "c")}, want: []string{whole(doc("a", "b")), whole(doc("a", "c"))}},
		{name: "50 characters", declare: "a=J", values: []string{short(49, "x", "1"), short(50, "x", "11"), short(50, "x", "12"), short(49, "x", "1")},
			want: []string{whole(short(49, "x", "1")), whole(short(50, "x", "11")), `U,1,1,^P[{"op":"replace","path":"/1","value":12}]`, whole(short(49, "x", "1"))}},
		{name: "50 characters, not bytes", declare: "a=J", values: []string{short(49, "é", "1"), short(49, "é", "2"), short(50, "é", "3"), short(50, "é", "4")},
			want: []string{whole(short(49, "é", "1")), whole(short(49, "é", "2")), whole(short(50, "é", "3")), `U,1,1,^P[{"op":"replace","path":"/1","value":4}]`}},
		{name: "no limit", cfg: Config{MinPatchLength: -1}, declare: "a=J", values: []string{short(49, "x", "1"), short(49, "x", "2")},
			want: []string{whole(short(49, "x", "1")), `U,1,1,^P[{"op":"replace","path":"/1","value":2}]`}},
		{name: "other limit", cfg: Config{MinPatchLength: 111}, declare: "a=J", values: []string{doc("a", "b"), doc("a", "c")},
			want: []string{whole(doc("a", "b")), whole(doc("a", "c"))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, tt.cfg, func(t *testing.T, w *world) {
				client := ws
				if tt.version != nil {
					client.Version = *tt.version
				}
				c := w.create(client, tt.create)
				w.ok(c.id(), add(1, "MERGE", "i", "a", ""))
				c.take()
				w.declare("i", tt.declare)
				r := newReplica(t)
				r.apply([]string{"SUBOK,1,1,1"})
				for i, v := range tt.values {
					w.put("i", "a", v)
					lines := data(c.take())
					r.apply(lines)
					if want := tt.want[i]; len(lines) != 1 || lines[0] != want {
						t.Errorf("%q:\ngot  %q\nwant %q", v, lines, want)
					}
				}
			})
		})
	}
}

// TestDeltaDeclaredLate: what comes first settles it, for the session as well.
func TestDeltaDeclaredLate(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "MERGE", "i", "a b", "LS_snapshot=true"))
		c.take()
		w.put("i", "a", prose("a", "b"))
		w.declare("i", "a=M b=M")
		w.put("i", "b", prose("a", "b"))
		w.put("i", "b", prose("a", "c"))
		w.put("i", "a", prose("a", "c"))
		expect(t, data(c.take()), "U,1,1,"+prose("a", "b")+"|#", "U,1,1,|"+prose("a", "b"), "U,1,1,|^TCcbc", "U,1,1,"+prose("a", "c")+"|")

		// The item is subscribed all the time: a later subscription finds the same, and begins with whole values.
		w.ok(c.id(), add(2, "MERGE", "i", "b a", "LS_snapshot=true"))
		w.put("i", "b", prose("a", "d"))
		expect(t, data(c.take()), "SUBOK,2,1,2", "CONF,2,unlimited,filtered", "U,2,1,"+prose("a", "c")+"|"+prose("a", "c"), "U,1,1,|^TCcbd", "U,2,1,^TCcbd|")
	})
}

// TestDeltaConflated: a difference is one to what was sent last, not to the event before.
func TestDeltaConflated(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "MERGE", "i", "a", "LS_requested_max_frequency=1"))
		c.take()
		w.declare("i", "a=M")
		w.put("i", "a", prose("a", "b"))
		for _, b := range []string{"c", "and then wakes", "d"} {
			w.put("i", "a", prose("a", b))
		}
		expect(t, data(c.take()), "U,1,1,"+prose("a", "b"))
		pass(time.Second)
		expect(t, data(c.take()), "U,1,1,^TCcbd")
		for _, b := range []string{"c", "d"} {
			w.put("i", "a", prose("a", b))
		}
		pass(time.Second)
		expect(t, data(c.take()), "U,1,1,")
	})
}

// TestDeltaCommand: in COMMAND mode a difference is one to the row sent last, whatever its key; key and command are never sent as one.
func TestDeltaCommand(t *testing.T) {
	for _, frequency := range []string{"", "LS_requested_max_frequency=unfiltered"} {
		inWorld(t, Config{MinPatchLength: -1}, func(t *testing.T, w *world) {
			c := w.create(ws, "")
			w.ok(c.id(), add(1, "COMMAND", "i", "key command a", frequency))
			c.take()
			w.declare("i", "key=MJ command=MJ a=J")
			row := func(key, command, a string) {
				w.feed.sinks["i"].Update(provider.Update{Fields: []provider.Field{
					{Name: "key", Value: provider.T(key)}, {Name: "command", Value: provider.T(command)}, {Name: "a", Value: provider.T(a)},
				}})
				synctest.Wait()
			}
			long := strings.Repeat("k", 60)
			row(long+"1", "ADD", doc("a", "b"))
			row(long+"2", "ADD", doc("a", "c"))
			row(long+"2", "UPDATE", doc("a", "d"))
			row(long+"1", "UPDATE", doc("a", "d"))
			row(long+"1", "DELETE", "")
			row(long+"2", "UPDATE", doc("a", "e"))
			p := func(b string) string { return fmt.Sprintf(`^P[{"op":"replace","path":"/last","value":"%s"}]`, b) }
			expect(t, data(c.take()), "U,1,1,"+long+"1|ADD|"+doc("a", "b"), "U,1,1,"+long+"2||"+p("c"), "U,1,1,|UPDATE|"+p("d"), "U,1,1,"+long+"1||",
				"U,1,1,|DELETE|#", "U,1,1,"+long+"2|UPDATE|"+doc("a", "e"))
		})
	}
}

// TestDeltaRecovery: what was sent as a difference is sent so again, and what the client holds is known after it, whatever way the
// session was bound again.
func TestDeltaRecovery(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		id := c.id()
		w.ok(id, add(1, "MERGE", "i", "a b", ""))
		w.declare("i", "a=JM b=M")
		r := newReplica(t)
		w.put("i", "a", doc("a", "b"))
		w.put("i", "b", prose("a", "b"))
		r.apply(data(c.take()))
		seen := c.count
		c.mu.Lock()
		c.limit, c.mute = c.count, true // from here on nothing arrives
		c.mu.Unlock()
		w.put("i", "a", doc("a", "c"))
		w.put("i", "b", prose("a", "c"))
		w.put("i", "a", doc("a", "d"))
		expect(t, data(c.take()))
		c.cut()

		pd, pc := `^P[{"op":"replace","path":"/last","value":"d"}]`, `^P[{"op":"replace","path":"/last","value":"c"}]`
		_, lines, looped := w.recovery(id, seen)
		expect(t, lines, "U,1,1,"+pc+"|", "U,1,1,|^TCcbc", "U,1,1,"+pd+"|")
		if !looped {
			t.Error("no LOOP after the recovery")
		}
		r.apply(lines)

		// A document is held: no text difference before a whole value.
		c = w.bind(ws, "LS_session="+id)
		w.put("i", "a", doc("a", "d")+",")
		w.put("i", "a", doc("a", "d")+";")
		w.put("i", "b", prose("a", "d"))
		lines = data(c.take())
		expect(t, lines, "U,1,1,"+doc("a", "d")+",|", "U,1,1,^TDfb;|", "U,1,1,|^TCcbd")
		r.apply(lines)
		w.ok(id, "LS_op=force_rebind")
		<-c.end
		c = w.bind(overHTTP, "LS_session="+id+"&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
		<-c.end
		w.put("i", "a", doc("a", "e"))
		c = w.bind(overHTTP, "LS_session="+id)
		w.put("i", "a", doc("a", "f"))
		lines = data(c.take())
		expect(t, lines, `U,1,1,^TDcde"}|`, `U,1,1,^P[{"op":"replace","path":"/last","value":"f"}]|`)
		r.apply(lines)
		if last := r.subs[1].items[0].last; !sameJSON(last[0].S, doc("a", "f")) || last[1].S != prose("a", "d") {
			t.Errorf("the client has %v", last)
		}
	})
}

// sameJSON says whether two texts are the same JSON document, or the same text.
func sameJSON(a, b string) bool {
	x, errX := document(a)
	y, errY := document(b)
	return a == b || errX == nil && errY == nil && jsonText(x) == jsonText(y)
}

// TestRandomDeltas sends documents and texts that change at random, over a connection that hangs, breaks and changes; in the end the
// client has what the source has.
func TestRandomDeltas(t *testing.T) {
	for seed := range uint64(60) {
		inWorld(t, Config{MaxUnfiltered: 20, MinPatchLength: -1}, func(t *testing.T, w *world) {
			randomDeltas(t, w, rand.New(rand.NewPCG(seed, 4)))
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomDeltas(t *testing.T, w *world, rng *rand.Rand) {
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	c := w.create(ws, pick("", "", "LS_supported_diffs=P&", "LS_supported_diffs=T&")+"LS_keepalive_millis=30000")
	id := c.id()
	frequency := pick("", "LS_requested_max_frequency=5", "LS_requested_max_frequency=unfiltered")
	w.ok(id, add(1, "MERGE", "m", "a b c", frequency))
	w.ok(id, add(2, "COMMAND", "k", "key command a", frequency))
	orders := []string{"J", "M", "JM", "MJ", ""}
	w.declare("m", "a="+pick(orders...)+" b="+pick(orders...))
	w.declare("k", "key=J a="+pick(orders...))
	r, seen := newReplica(t), 0
	read := func() {
		lines := data(c.take())
		seen += len(lines)
		r.apply(lines)
	}
	value := func() string {
		switch n := rng.IntN(10); {
		case n == 0:
			return "#"
		case n == 1:
			return ""
		case n < 4:
			return prose(pick("a", "b", "long|%"), pick("c", "d"))
		}
		return doc(pick("a", "b"), pick("c", "d", "e"))
	}
	want := map[string]string{}
	for range 100 {
		switch rng.IntN(12) {
		case 0:
			pass(time.Duration(rng.IntN(300)) * time.Millisecond)
		case 1:
			read()
		case 2:
			c.cut()
			read()
			_, lines, _ := w.recovery(id, seen)
			seen += len(lines)
			r.apply(lines)
			c = w.bind(ws, "LS_session="+id+"&LS_keepalive_millis=30000")
		case 3:
			release := c.stall()
			for range 5 {
				want["a"] = value()
				w.put("m", "a", want["a"])
			}
			release()
		case 4, 5, 6:
			key, v := pick("x", "y"), value()
			u := update("command=UPDATE key=" + key)
			u.Fields = append(u.Fields, provider.Field{Name: "a", Value: provider.Text{S: v, Null: v == "#"}})
			w.feed.sinks["k"].Update(u)
			want[key] = v
		default:
			field := pick("a", "b", "c")
			want[field] = value()
			w.put("m", field, want[field])
		}
	}
	pass(10 * time.Second)
	read()
	for i, field := range []string{"a", "b", "c"} {
		if last := r.subs[1].items[0].last; want[field] != "" && (last == nil || !last[i].Null && !sameJSON(last[i].S, want[field]) || last[i].Null && want[field] != "#") {
			t.Errorf("field %s is %v, want %q", field, last, want[field])
		}
	}
	for _, key := range []string{"x", "y"} {
		if row := r.subs[2].items[0].rows[key]; want[key] != "" && (row == nil || !sameJSON(row[2], want[key])) {
			t.Errorf("row %s is %q, want %q", key, row, want[key])
		}
	}
}

// TestDeltaAllocs: nothing is allocated for fields that are not declared, nor for a difference that another session has found.
func TestDeltaAllocs(t *testing.T) {
	for _, tt := range []struct{ name, declare string }{
		{"none declared", ""}, {"other field declared", "z=JM"}, {"not changed", "b=JM"}, {"known", "a=JM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, Config{HistoryBytes: 1}, func(t *testing.T, w *world) {
				c := w.create(ws, "")
				w.ok(c.id(), add(1, "MERGE", "i", "a b c d", ""))
				c.take()
				c.cut()
				s := c.b.s
				q := s.subs[1].queues[0]
				w.declare("i", tt.declare)
				w.feed.sinks["i"].Update(provider.Update{Fields: []provider.Field{{Name: "b", Value: provider.T(prose("a", "b"))}}})
				events := make([]provider.Update, 2)
				for i := range events {
					events[i].Fields = []provider.Field{{Name: "a", Value: provider.T(doc("a", fmt.Sprint(i)))}}
				}
				buf := make([]byte, 0, 4096)
				deliver := func(i int) {
					w.feed.sinks["i"].Update(events[i%2]) // 2: the row and the event, shared by all sessions
					s.mu.Lock()
					buf, _, _ = s.take(buf[:0], batch, true, q.turn)
					s.mu.Unlock()
				}
				for i := range 3 {
					deliver(i)
				}
				if has := strings.Contains(string(buf), "^P"); has != (tt.name == "known") {
					t.Fatalf("line %q", buf)
				}
				i := 2
				n := testing.AllocsPerRun(1000, func() {
					i++
					deliver(i)
				})
				if n > 2 {
					t.Errorf("%v allocations for an update, want the 2 of the item", n)
				}
			})
		})
	}
}
