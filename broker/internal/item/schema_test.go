package item

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// TestInventedFields: names that only clients ask for take no columns from those that the adapter
// sends, whoever came first.
func TestInventedFields(t *testing.T) {
	for name, attackers := range map[string]func(i int) []string{
		"one with many":  func(int) []string { return invented(0, 1000) },
		"many with many": func(i int) []string { return invented(i, 1000) },
		"with real ones": func(i int) []string { return append(invented(i, 500), "f7", "f7", "f99") },
	} {
		for _, mode := range []provider.Mode{provider.Raw, provider.Merge, provider.Distinct, provider.Command} {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				f := newFeed(t)
				src := NewSource(Config{Data: f, Linger: -1})
				defer src.Close()
				for i := range 20 {
					mustAttach(t, src, "i", Options{Mode: mode, Schema: attackers(i), Snapshot: true, History: 5}, &reader{})
				}
				victim, touched := &reader{}, 0
				o := Options{Mode: mode, Schema: []string{"f0", "f50", "f99", "key"}, Snapshot: true, History: 5}
				mustAttach(t, src, "i", o, victim)
				mustAttach(t, src, "i", Options{Mode: mode, Schema: []string{"f60"}}, receiverFunc(func(c Columns, events []*Event, _ bool) {
					for _, e := range events {
						if c.Touched(e) {
							touched++
						}
					}
				}))
				s := f.sink("i")
				s.EndOfSnapshot()
				for i := range 100 { // one new field with each update
					s.Update(up(fmt.Sprintf("key=k command=UPDATE f%d=v%d", i, i)))
				}
				late := &reader{}
				mustAttach(t, src, "i", o, late)
				s.Update(up("key=k command=UPDATE f0=w f50=w f99=w"))
				for who, r := range map[string]*reader{"victim": victim, "late": late} {
					if lines := r.take(); len(lines) == 0 || lines[len(lines)-1] != "L w|w|w|k" {
						t.Errorf("%s: %q", who, lines)
					}
				}
				if n := src.Stats().TooManyFields; n != 0 {
					t.Errorf("%d fields of the adapter were dropped", n)
				}
				// f60 has a bit of its own but for key and command: no other event looks like one
				// of it.
				if touched > 45 { // those of the columns from the 64th on
					t.Errorf("%d events seem to be about one field", touched)
				}
			})
		}
	}
}

func invented(i, n int) (names []string) {
	for j := range n {
		names = append(names, fmt.Sprintf("x%d-%d", i, j))
	}
	return names
}

// TestColumnsArrive: a receiver sees a field from the event on with which the adapter first sends
// it, also if it has asked twice.
func TestColumnsArrive(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: -1})
	defer src.Close()
	a, b := &reader{}, &reader{}
	mustAttach(t, src, "i", Options{Mode: provider.Merge, Schema: []string{"b", "a", "b", "z"}}, a)
	mustAttach(t, src, "i", Options{Mode: provider.Merge, Schema: []string{"c"}}, b)
	s := f.sink("i")
	s.Update(up("a=1"))
	s.Update(up("b=2 c=3"))
	declare(s, "z=J")
	s.Update(up("z=4"))
	expect(t, "a", a.take(), "L #|1|#|#", "L 2|1|2|#", "L 2|1|2|4")
	expect(t, "b", b.take(), "L #", "L 3", "L 3")
}

// TestSharing: what many receivers have of an item is there once: columns of one list, snapshots.
func TestSharing(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: -1})
	defer src.Close()
	mustAttach(t, src, "i", Options{Mode: provider.Command, Schema: []string{"key", "command"}}, &reader{})
	for i := range 1000 {
		f.sink("i").Update(up(fmt.Sprintf("S key=k%d command=ADD a=%s", i, strings.Repeat("x", 100))))
	}
	f.sink("i").EndOfSnapshot()
	names := append([]string{"key", "command", "a"}, invented(0, 12_000)...)
	var snapshots []*Snapshot
	heap := liveHeap(func() {
		for range 5000 {
			mustAttach(t, src, "i", Options{Mode: provider.Command, Schema: names, Snapshot: true}, &keeper{keep: &snapshots})
		}
	})
	if heap > 8<<20 {
		t.Errorf("%d bytes for 5000 receivers of 1000 rows and 12000 fields", heap)
	}
	if len(snapshots) != 5000 || len(slices.Compact(snapshots)) != 1 {
		t.Errorf("%d snapshots, not the same one 5000 times", len(snapshots))
	}
	runtime.KeepAlive(src)
}

type keeper struct{ keep *[]*Snapshot }

func (k *keeper) Receive(Columns, []*Event, bool) {}
func (k *keeper) Snapshot(_ Columns, s *Snapshot) { *k.keep = append(*k.keep, s) }

// liveHeap returns by how many bytes the live heap has grown after f.
func liveHeap(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// TestSchemasEnd: nothing is left of the lists of fields of receivers that have gone.
func TestSchemasEnd(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: -1})
	defer src.Close()
	var all []*Subscription
	for i := range 100 {
		for _, n := range []int{i % 40, i % 7} {
			all = append(all, mustAttach(t, src, "i", Options{Mode: provider.Merge, Schema: invented(n, 3)}, &reader{}))
		}
	}
	it := all[0].sub.it
	for i, a := range all {
		a.Detach()
		users := 0
		for at, s := range it.schemas {
			if users += s.users; s.at != at || s.users < 1 {
				t.Fatalf("schema %d: %+v", at, s)
			}
		}
		if users != len(all)-1-i {
			t.Fatalf("%d users with %d receivers left", users, len(all)-1-i)
		}
	}
	if len(it.schemas) != 0 {
		t.Errorf("%d schemas left", len(it.schemas))
	}
}

// TestBudget: items are paid for, and what they keep is counted and given back.
func TestBudget(t *testing.T) {
	for _, mode := range []provider.Mode{provider.Merge, provider.Distinct, provider.Command} {
		b := budget.New(0)
		f := newFeed(t)
		src := NewSource(Config{Data: f, Linger: -1, Budget: b})
		o := Options{Mode: mode, Schema: []string{"key", "command"}, Snapshot: true, History: 50}
		a := mustAttach(t, src, "i", o, &reader{})
		for i := range 1000 {
			f.sink("i").Update(up(fmt.Sprintf("key=k%d command=ADD a=%s", i%100, strings.Repeat("x", 1000))))
		}
		events := map[provider.Mode]int64{provider.Merge: 1, provider.Distinct: 50, provider.Command: 100}[mode]
		if n := b.Used(); n < 1000*events || n > 1500*events+Cost+2*keptStep {
			t.Errorf("%v: %d bytes are accounted for %d events of 1000", mode, n, events)
		}
		if mode == provider.Command {
			for i := range 100 {
				f.sink("i").Update(up(fmt.Sprintf("key=k%d command=DELETE", i)))
			}
		} else {
			f.sink("i").ClearSnapshot()
		}
		if n := b.Used(); n > Cost+2*keptStep {
			t.Errorf("%v: %d bytes are accounted for nothing", mode, n)
		}
		f.sink("i").Update(up("key=k command=ADD a=" + strings.Repeat("x", 100_000)))
		sink := f.sink("i")
		a.Detach()
		sink.Update(up("key=k command=ADD a=" + strings.Repeat("x", 100_000))) // too late
		src.Close()
		if n := b.Used(); n != 0 {
			t.Errorf("%v: %d bytes are left over", mode, n)
		}
	}
}

// TestBudgetRefuses: an item that cannot be paid for is refused, and the adapter does not hear of
// it.
func TestBudgetRefuses(t *testing.T) {
	b := budget.New(10 * slotCost("i00"))
	f := newFeed(t)
	src := NewSource(Config{Data: f, Budget: b, Linger: 1 << 40})
	defer src.Close()
	taken := 0
	var last *Subscription
	for i := range 20 {
		a, err := src.Attach(fmt.Sprintf("i%02d", i), Options{Mode: provider.Merge, Schema: []string{"a"}}, &reader{})
		if err == nil {
			taken, last = taken+1, a
		} else if !strings.Contains(err.Error(), "no memory left") {
			t.Error(err)
		}
	}
	if n := len(f.log()); taken != 10 || n != 10 {
		t.Errorf("%d items, %d subscribed, want 10", taken, n)
	}
	mustAttach(t, src, "i03", Options{Mode: provider.Merge, Schema: []string{"a"}}, &reader{}) // costs nothing
	last.Detach()                                                                              // does not linger with so little left
	if n := src.Stats().Items; n != 9 {
		t.Errorf("%d items", n)
	}
}

// TestRunningThroughNames: a client that takes and leaves ever new items leaves few behind.
func TestRunningThroughNames(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, MaxLinger: 100})
	defer src.Close()
	for i := range 1000 {
		mustAttach(t, src, fmt.Sprint("i", i), Options{Mode: provider.Merge, Schema: []string{"a"}}, &reader{}).Detach()
	}
	if n := src.Stats().Items; n != 100 {
		t.Errorf("%d items linger", n)
	}
	mustAttach(t, src, "i50", Options{Mode: provider.Merge, Schema: []string{"a"}}, &reader{})
	if src.idle != 99 {
		t.Errorf("%d items idle after one was taken up again", src.idle)
	}
}
