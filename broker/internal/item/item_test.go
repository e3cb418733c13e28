package item

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// feed is a Data Adapter in memory. It complains when the kernel breaks the alternation of its calls, or calls for one item
// at the same time.
type feed struct {
	t *testing.T
	// onSubscribe, if set, is what the source sends while it is being subscribed.
	onSubscribe func(item string, s provider.Sink)
	delay       time.Duration

	mu    sync.Mutex
	sinks map[string]provider.Sink
	busy  map[string]bool
	calls []string
}

func newFeed(t *testing.T) *feed {
	return &feed{t: t, sinks: make(map[string]provider.Sink), busy: make(map[string]bool)}
}

func (f *feed) enter(item, call string, subscribed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy[item] {
		f.t.Errorf("%s(%q) during another call for the item", call, item)
	}
	if (f.sinks[item] != nil) != subscribed {
		f.t.Errorf("%s(%q) out of turn", call, item)
	}
	f.busy[item] = true
	f.calls = append(f.calls, call+" "+item)
}

func (f *feed) Share(item, owner string) {}

func (f *feed) Subscribe(item, owner string, s provider.Sink) {
	f.enter(item, "sub", false)
	if f.delay > 0 {
		pass(f.delay)
	}
	f.mu.Lock()
	f.sinks[item] = s
	f.busy[item] = false
	f.mu.Unlock()
	if f.onSubscribe != nil {
		f.onSubscribe(item, s)
	}
}

func (f *feed) Unsubscribe(item string) {
	f.enter(item, "unsub", true)
	if f.delay > 0 {
		pass(f.delay)
	}
	f.mu.Lock()
	delete(f.sinks, item)
	f.busy[item] = false
	f.mu.Unlock()
}

func (f *feed) sink(item string) provider.Sink {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sinks[item]
}

func (f *feed) log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// reader writes down what it receives: "S a|b" for an update of the snapshot, "L a|b" for a live one, EOS, CS.
type reader struct {
	o     Options // as attached
	mu    sync.Mutex
	lines []string
}

func (r *reader) Receive(cols Columns, events []*Event, snapshot bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		r.lines = append(r.lines, render(cols, e, snapshot))
	}
}

// Snapshot writes down the rows as a client would see them.
func (r *reader) Snapshot(cols Columns, s *Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range s.Events {
		line := strings.Split(render(cols, e, true)[2:], "|")
		if at := slices.Index(r.o.Schema, CommandField); at >= 0 && r.o.Mode == provider.Command {
			line[at] = Add.String()
		}
		r.lines = append(r.lines, "S "+strings.Join(line, "|"))
	}
}

func (r *reader) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lines
	r.lines = nil
	return l
}

func render(cols Columns, e *Event, snapshot bool) string {
	switch e.Kind {
	case EndOfSnapshot:
		return "EOS"
	case ClearSnapshot:
		return "CS"
	}
	vals := make([]string, cols.Len())
	for i := range vals {
		vals[i] = show(cols.Value(e, i))
	}
	kind := "L "
	if snapshot {
		kind = "S "
	}
	return kind + strings.Join(vals, "|")
}

func show(v provider.Text) string {
	if v.Null {
		return "#"
	}
	return v.S
}

// up makes an update from "name=value" words; "name=#" is null, a word "S" makes it a snapshot event.
func up(words string) provider.Update {
	var u provider.Update
	for w := range strings.FieldsSeq(words) {
		name, v, ok := strings.Cut(w, "=")
		switch {
		case !ok:
			u.Snapshot = true
		case v == "#":
			u.Fields = append(u.Fields, provider.Field{Name: name, Value: provider.Null})
		default:
			u.Fields = append(u.Fields, provider.Field{Name: name, Value: provider.T(v)})
		}
	}
	return u
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

func mustAttach(t *testing.T, s *Source, name string, o Options, r Receiver) *Subscription {
	t.Helper()
	if r, ok := r.(*reader); ok {
		r.o = o
	}
	a, err := s.Attach(name, o, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func expect(t *testing.T, who string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s got %q\nwant %q", who, got, want)
	}
}

// TestModes plays a script against early and late subscribers: each step is an event of the source, or an attach.
func TestModes(t *testing.T) {
	ab := []string{"a", "b"}
	kc := []string{"key", "command", "a"}
	sub := func(m provider.Mode, schema []string, snapshot bool, length int) Options {
		return Options{Mode: m, Schema: schema, Snapshot: snapshot, Length: length, History: 3}
	}
	M, D, C, R := provider.Merge, provider.Distinct, provider.Command, provider.Raw
	tests := []struct {
		name   string
		subs   map[string]Options // by the word in the script that attaches them
		script []string
		want   map[string][]string
	}{
		{"merge snapshot and updates", map[string]Options{"s": sub(M, ab, true, 0), "n": sub(M, ab, false, 0), "late": sub(M, ab, true, 0)},
			[]string{"@s", "@n", "S a=1 b=2", "a=3", "@late", "b=#"},
			map[string][]string{"s": {"S 1|2", "L 3|2", "L 3|#"}, "n": {"L 3|2", "L 3|#"}, "late": {"S 3|2", "L 3|#"}}},
		{"merge without a snapshot: the first event is it", map[string]Options{"s": sub(M, ab, true, 0), "n": sub(M, ab, false, 0)},
			[]string{"@s", "@n", "a=1", "b=1"},
			map[string][]string{"s": {"S 1|#", "L 1|1"}, "n": {"L 1|#", "L 1|1"}}},
		{"merge empty snapshot", map[string]Options{"s": sub(M, ab, true, 0), "n": sub(M, ab, false, 0), "late": sub(M, ab, true, 0)},
			[]string{"@s", "@n", "EOS", "@late", "EOS", "a=1"},
			map[string][]string{"s": {"S #|#", "L 1|#"}, "n": {"L 1|#"}, "late": {"S #|#", "L 1|#"}}},
		{"merge snapshot event after the snapshot is live", map[string]Options{"s": sub(M, ab, true, 0), "n": sub(M, ab, false, 0)},
			[]string{"@s", "@n", "S a=1", "S b=1"},
			map[string][]string{"s": {"S 1|#", "L 1|1"}, "n": {"L 1|1"}}},
		{"merge clear", map[string]Options{"s": sub(M, ab, true, 0), "n": sub(M, ab, false, 0), "late": sub(M, ab, true, 0)},
			[]string{"@s", "@n", "S a=1 b=1", "CS", "@late", "b=2"},
			map[string][]string{"s": {"S 1|1", "L #|#", "L #|2"}, "n": {"L #|#", "L #|2"}, "late": {"S #|#", "L #|2"}}},
		{"merge clear before the snapshot", map[string]Options{"s": sub(M, ab, true, 0)},
			[]string{"@s", "CS", "S a=1"}, map[string][]string{"s": {"S #|#", "L 1|#"}}},
		{"distinct", map[string]Options{"s": sub(D, ab, true, 0), "two": sub(D, ab, true, 2), "n": sub(D, ab, false, 0), "late": sub(D, ab, true, 0)},
			[]string{"@s", "@two", "@n", "S a=1", "S a=2", "S a=3", "S a=4 b=4", "EOS", "a=5", "EOS", "@late", "b=6"},
			map[string][]string{
				"s":    {"S 2|#", "S 3|#", "S 4|4", "EOS", "L 5|#", "L #|6"},
				"two":  {"S 3|#", "S 4|4", "EOS", "L 5|#", "L #|6"},
				"n":    {"L 5|#", "L #|6"},
				"late": {"S 3|#", "S 4|4", "S 5|#", "EOS", "L #|6"}}},
		{"distinct without end of snapshot", map[string]Options{"s": sub(D, ab, true, 0), "mid": sub(D, ab, true, 1)},
			[]string{"@s", "S a=1", "@mid", "S a=2", "a=3", "S a=4"},
			map[string][]string{"s": {"S 1|#", "S 2|#", "EOS", "L 3|#", "L 4|#"}, "mid": {"S 2|#", "EOS", "L 3|#", "L 4|#"}}},
		{"distinct that keeps nothing", map[string]Options{"s": {Mode: D, Schema: ab, Snapshot: true}},
			[]string{"@s", "S a=1", "a=2"}, map[string][]string{"s": {"EOS", "L 2|#"}}},
		{"distinct clear", map[string]Options{"s": sub(D, ab, true, 0), "n": sub(D, ab, false, 0), "late": sub(D, ab, true, 0)},
			[]string{"@s", "@n", "S a=1", "CS", "a=2", "CS", "a=3", "@late"},
			map[string][]string{"s": {"EOS", "CS", "L 2|#", "CS", "L 3|#"}, "n": {"CS", "L 2|#", "CS", "L 3|#"}, "late": {"S 3|#", "EOS"}}},
		{"command", map[string]Options{"s": sub(C, kc, true, 0), "n": sub(C, kc, false, 0), "late": sub(C, kc, true, 0)},
			[]string{"@s", "@n", "S key=x command=ADD a=1", "S key=y command=UPDATE a=2", "EOS", "key=x command=UPDATE a=3",
				"key=z command=UPDATE", "key=y command=DELETE a=9", "key=y command=DELETE", "@late", "key=x command=ADD a=4", "key=x a=5"},
			map[string][]string{
				"s": {"S x|ADD|1", "S y|ADD|2", "EOS", "L x|UPDATE|3", "L z|ADD|#", "L y|DELETE|#", "L x|UPDATE|4", "L x|UPDATE|5"},
				"n": {"L x|UPDATE|3", "L z|ADD|#", "L y|DELETE|#", "L x|UPDATE|4", "L x|UPDATE|5"},
				"late": {
					"S x|ADD|3", "S z|ADD|#", "EOS", "L x|UPDATE|4", "L x|UPDATE|5"}}},
		{"command faults", map[string]Options{"s": sub(C, kc, true, 0)},
			[]string{"@s", "S a=1", "S key=# command=ADD", "S key=k command=PUT", "EOS", "key=k command=ADD a=1", "command=DELETE"},
			map[string][]string{"s": {"EOS", "L k|ADD|1"}}},
		{"command clear", map[string]Options{"s": sub(C, kc, true, 0), "late": sub(C, kc, true, 0)},
			[]string{"@s", "S key=x command=ADD", "CS", "key=x command=UPDATE", "CS", "@late"},
			map[string][]string{"s": {"EOS", "CS", "L x|ADD|#", "CS"}, "late": {"EOS"}}},
		{"command deleted in the snapshot", map[string]Options{"s": sub(C, kc, true, 0)},
			[]string{"@s", "S key=x command=ADD", "S key=y command=ADD", "S key=x command=DELETE", "EOS"},
			map[string][]string{"s": {"S y|ADD|#", "EOS"}}},
		{"raw", map[string]Options{"s": sub(R, ab, true, 0), "n": sub(R, ab, false, 0)},
			[]string{"@s", "@n", "S a=1", "EOS", "a=2", "CS", "b=3", "S b=4"},
			map[string][]string{"s": {"L 2|#", "L #|3", "L #|4"}, "n": {"L 2|#", "L #|3", "L #|4"}}},
		{"raw first, then merge finds its snapshot", map[string]Options{"r": sub(R, ab, false, 0), "m": sub(M, ab, true, 0)},
			[]string{"@r", "S a=1 b=1", "a=2", "@m", "a=3"},
			map[string][]string{"r": {"L 2|#", "L 3|#"}, "m": {"S 2|1", "L 3|1"}}},
		{"raw first, then command", map[string]Options{"r": sub(R, kc, false, 0), "c": sub(C, kc, true, 0)},
			[]string{"@r", "key=x command=ADD a=1", "@c", "key=x command=DELETE"},
			map[string][]string{"r": {"L x|ADD|1", "L x|DELETE|#"}, "c": {"S x|ADD|1", "EOS", "L x|DELETE|#"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFeed(t)
			src := NewSource(Config{Data: f, Linger: -1})
			defer src.Close()
			readers := map[string]*reader{}
			for _, step := range tt.script {
				if name, ok := strings.CutPrefix(step, "@"); ok {
					readers[name] = &reader{}
					mustAttach(t, src, "i", tt.subs[name], readers[name])
					continue
				}
				play(f.sink("i"), step)
			}
			for name, r := range readers {
				expect(t, name, r.take(), tt.want[name]...)
			}
		})
	}
}

func play(s provider.Sink, step string) {
	switch step {
	case "EOS":
		s.EndOfSnapshot()
	case "CS":
		s.ClearSnapshot()
	default:
		s.Update(up(step))
	}
}

func TestTouched(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: -1})
	defer src.Close()
	var got []bool
	r := receiverFunc(func(cols Columns, events []*Event, _ bool) {
		for _, e := range events {
			got = append(got, cols.Touched(e))
		}
	})
	mustAttach(t, src, "i", Options{Mode: provider.Merge, Schema: []string{"a", "b"}}, r)
	s := f.sink("i")
	for _, u := range []string{"a=1", "c=1", "b=#", "c=2 d=3"} {
		s.Update(up(u))
	}
	s.ClearSnapshot()
	if want := []bool{true, false, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("touched %v, want %v", got, want)
	}
}

type receiverFunc func(Columns, []*Event, bool)

func (f receiverFunc) Receive(c Columns, e []*Event, s bool) { f(c, e, s) }
func (f receiverFunc) Snapshot(c Columns, s *Snapshot)       { f(c, s.Events, true) }

// TestManyFields: an item with more columns than mask bits, and one with more than allowed.
func TestManyFields(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: -1, MaxFields: 100})
	defer src.Close()
	r := &reader{}
	mustAttach(t, src, "i", Options{Mode: provider.Command, Schema: []string{"f70", "f200", "key"}, Snapshot: true}, r)
	s := f.sink("i")
	s.EndOfSnapshot()
	for i := range 110 {
		s.Update(up(fmt.Sprintf("key=k command=UPDATE f%d=v%d", i, i)))
	}
	lines := r.take()
	if got := lines[len(lines)-1]; got != "L v70|#|k" {
		t.Errorf("last event %q", got)
	}
	if got := src.Stats().TooManyFields; got == 0 {
		t.Error("dropped fields were not counted")
	}
}

func TestModeConflict(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: time.Hour})
	defer src.Close()
	m := mustAttach(t, src, "i", Options{Mode: provider.Merge, Schema: []string{"a"}}, &reader{})
	if _, err := src.Attach("i", Options{Mode: provider.Command, Schema: []string{"key", "command"}}, &reader{}); !errors.Is(err, ErrMode) {
		t.Fatalf("COMMAND beside MERGE: %v, want ErrMode", err)
	}
	raw := mustAttach(t, src, "i", Options{Mode: provider.Raw, Schema: []string{"a"}}, &reader{})
	raw.Detach()
	m.Detach()
	m.Detach()
	// Nobody is left, only the linger time runs: the other mode gets a subscription of its own.
	mustAttach(t, src, "i", Options{Mode: provider.Command, Schema: []string{"key", "command"}}, &reader{}).Detach()
	expect(t, "feed", f.log(), "sub i", "unsub i", "sub i")
}

// TestHistoryGrowsOnly: the item keeps as many events as the subscriber that wanted most.
func TestHistoryGrowsOnly(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: -1, MaxHistory: 5})
	defer src.Close()
	o := Options{Mode: provider.Distinct, Schema: []string{"a"}, Snapshot: true, History: 3}
	mustAttach(t, src, "i", o, &reader{})
	o.History = 1
	mustAttach(t, src, "i", o, &reader{})
	for i := range 9 {
		f.sink("i").Update(up(fmt.Sprint("a=", i)))
	}
	late := &reader{}
	o.History = 100
	mustAttach(t, src, "i", o, late)
	expect(t, "late", late.take(), "S 6", "S 7", "S 8", "EOS")
	for i := range 9 {
		f.sink("i").Update(up(fmt.Sprint("a=", i)))
	}
	later := &reader{}
	mustAttach(t, src, "i", o, later)
	expect(t, "later", later.take(), "S 4", "S 5", "S 6", "S 7", "S 8", "EOS")
}

func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t)
		src := NewSource(Config{Data: f})
		o := Options{Mode: provider.Merge, Schema: []string{"a"}, Snapshot: true}
		a := mustAttach(t, src, "i", o, &reader{})
		f.sink("i").Update(up("S a=1"))
		a.Detach()
		pass(DefaultLinger - time.Millisecond)
		f.sink("i").Update(up("a=2"))
		r := &reader{}
		b := mustAttach(t, src, "i", o, r)
		expect(t, "second", r.take(), "S 2")
		expect(t, "feed", f.log(), "sub i")
		b.Detach()
		pass(DefaultLinger)
		synctest.Wait()
		expect(t, "feed", f.log(), "sub i", "unsub i")
		if n := src.Stats().Items; n != 0 {
			t.Errorf("%d items left", n)
		}
		mustAttach(t, src, "i", o, r).Detach()
		src.Close()
		expect(t, "feed", f.log(), "sub i", "unsub i", "sub i", "unsub i")
		if _, err := src.Attach("i", o, r); !errors.Is(err, ErrClosed) {
			t.Errorf("attach after close: %v", err)
		}
	})
}

// TestEventsDuringSubscribe: a source may send before Subscribe has returned.
func TestEventsDuringSubscribe(t *testing.T) {
	f := newFeed(t)
	f.onSubscribe = func(_ string, s provider.Sink) {
		s.Update(up("S a=1"))
		s.EndOfSnapshot()
	}
	src := NewSource(Config{Data: f, Linger: -1})
	defer src.Close()
	r := &reader{}
	mustAttach(t, src, "i", Options{Mode: provider.Distinct, Schema: []string{"a"}, Snapshot: true, History: 1}, r)
	expect(t, "reader", r.take(), "S 1", "EOS")
}

// TestAlternation attaches and detaches from many goroutines while the adapter is slow: the feed checks the order.
func TestAlternation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t)
		f.delay = 3 * time.Millisecond
		src := NewSource(Config{Data: f, Linger: -1})
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 30 {
					name := fmt.Sprint("i", (g+i)%2)
					r := &reader{}
					a, err := src.Attach(name, Options{Mode: provider.Merge, Schema: []string{"a"}, Snapshot: true}, r)
					if err != nil {
						t.Error(err)
						return
					}
					pass(time.Duration(g*i%7) * time.Millisecond)
					if s := f.sink(name); s != nil {
						s.Update(up("a=1"))
					}
					a.Detach()
					r.take()
					if s := f.sink(name); s != nil {
						s.Update(up("a=2"))
					}
					if l := r.take(); len(l) > 0 {
						t.Errorf("received %q after Detach", l)
					}
				}
			})
		}
		wg.Wait()
		src.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.sinks) != 0 {
			t.Errorf("still subscribed: %v", f.sinks)
		}
		if n := src.Stats().Items; n != 0 {
			t.Errorf("%d items left", n)
		}
	})
}

// TestNewLifeWhileUnsubscribing: who comes while the adapter is unsubscribing gets a subscription of its own, and no event of
// the old one.
func TestNewLifeWhileUnsubscribing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t)
		f.delay = time.Second
		src := NewSource(Config{Data: f, Linger: -1})
		o := Options{Mode: provider.Merge, Schema: []string{"a"}, Snapshot: true}
		a := mustAttach(t, src, "i", o, &reader{})
		old := f.sink("i")
		old.Update(up("a=old"))
		go a.Detach()
		synctest.Wait()
		r := &reader{}
		b := mustAttach(t, src, "i", o, r) // returns at once: the goroutine above will subscribe
		old.Update(up("a=old2"))
		pass(3 * time.Second)
		f.sink("i").Update(up("a=new"))
		expect(t, "reader", r.take(), "S new")
		expect(t, "feed", f.log(), "sub i", "unsub i", "sub i")
		if src.Stats().Late != 1 {
			t.Errorf("late events: %d, want 1", src.Stats().Late)
		}
		b.Detach()
		src.Close()
	})
}

func TestUpdateAllocs(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: -1})
	defer src.Close()
	mustAttach(t, src, "i", Options{Mode: provider.Merge, Schema: []string{"a", "b"}}, receiverFunc(func(Columns, []*Event, bool) {}))
	s, u := f.sink("i"), up("a=1 b=2")
	// One for the row, one for the event, however many subscribers there are.
	if n := testing.AllocsPerRun(100, func() { s.Update(u) }); n > 2 {
		t.Errorf("%v allocations for an update, want 2", n)
	}
}
