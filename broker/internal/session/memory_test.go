package session

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// liveHeap returns by how many bytes the live heap has grown after f.
func liveHeap(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	synctest.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// names are n different names of the form x1 x2..., as many as fit into size bytes.
func names(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%d ", prefix, i)
	}
	return strings.TrimSpace(b.String())
}

// greedy are requests within the size of a request that once took hundreds of megabytes each.
func greedy(id int, what string) string {
	switch what {
	case "fields":
		return add(id, "MERGE", strings.TrimSpace(strings.Repeat("i ", 12_000)), strings.TrimSpace(strings.Repeat("f ", 12_000)), "LS_snapshot=true")
	case "snapshots":
		return add(id, "COMMAND", strings.TrimSpace(strings.Repeat("table ", 5000)), "key command", "LS_snapshot=true")
	}
	return add(id, "MERGE", names(fmt.Sprint("n", id, "-"), 24_000), "f", "LS_snapshot=true")
}

// TestGreedySubscriptions: a request is refused if what it asks for is too much for a session,
// before it is made; the session, what else it has, and the others do not suffer.
func TestGreedySubscriptions(t *testing.T) {
	for _, tt := range []struct {
		name, what string
		times      int
		cfg        Config
		code       string
	}{
		{"fields", "fields", 1, Config{}, "21,Group of 12000 items: a session may have 10000"},
		{"fields of more items", "fields", 1, Config{MaxItems: 1 << 20}, "23,Schema of 12000 fields: at most 1000 are allowed"},
		{"fields, without limits of number", "fields", 1, Config{MaxItems: 1 << 20, MaxFields: 1 << 20}, "68,12000 items with 12000 fields would take"},
		{"snapshots", "snapshots", 1, Config{}, "68,The rows of"},
		{"names", "names", 30, Config{}, "21,Group of 24000 items"},
		{"names, without limits of number", "names", 30, Config{MaxItems: 1 << 20}, "68,24000 items with 1 fields would take"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, tt.cfg, func(t *testing.T, w *world) {
				victim, c := w.create(ws, "LS_keepalive_millis=30000"), w.create(ws, "LS_keepalive_millis=30000")
				w.ok(victim.id(), add(1, "COMMAND", "table", "key command a", "LS_snapshot=true"))
				w.ok(c.id(), add(1000, "MERGE", "mine", "a", ""))
				for i := range 1000 {
					w.send("table", fmt.Sprintf("key=k%d command=ADD a=%d", i, i))
				}
				victim.take()
				c.take()
				refused := 0
				grown := liveHeap(func() {
					for i := range tt.times {
						got := w.control(c.id(), greedy(i+1, tt.what))
						if strings.HasPrefix(got, "REQERR,1,"+tt.code) {
							refused++
						} else if got != "REQOK,1" {
							t.Errorf("request %d: %.200s", i+1, got)
						}
					}
				})
				if refused < max(tt.times-1, 1) {
					t.Errorf("%d of %d requests were refused", refused, tt.times)
				}
				if limit := int64(24 << 20); grown > limit {
					t.Errorf("the heap has grown by %d bytes, want at most %d", grown, limit)
				}
				w.send("mine", "a=1")
				w.send("table", "key=k5 command=UPDATE a=new")
				expect(t, onlyOf(victim.take(), 1), "U,1,1,k5|UPDATE|new")
				expect(t, onlyOf(c.take(), 1000), "U,1000,1,1")
			})
		})
	}
}

// onlyOf returns the updates of a subscription.
func onlyOf(lines []string, id int) []string {
	return slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, fmt.Sprintf("U,%d,", id)) })
}

// TestHonestSubscriptions: what a large honest client has is well within the limits.
func TestHonestSubscriptions(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "LS_keepalive_millis=30000")
		w.ok(c.id(), add(1, "MERGE", names("i", 1000), names("f", 50), "LS_snapshot=true"))
		w.ok(c.id(), add(2, "COMMAND", "t", "key command a b c", "LS_snapshot=true"))
		for i := range 10_000 {
			w.send("t", fmt.Sprintf("key=some-longer-key-%d command=ADD a=%d b=x c=y", i, i))
		}
		w.ok(c.id(), add(3, "COMMAND", "t t t t t", "key command a b c", "LS_snapshot=true"))
		for i := range 200 {
			w.ok(c.id(), add(10+i, "MERGE", names(fmt.Sprint("s", i, "-"), 10), names("f", 10), "LS_snapshot=true"))
		}
		if rows := len(onlyOf(c.take(), 3)); rows != 50_000 {
			t.Errorf("%d rows of the snapshots", rows)
		}
	})
}

// TestLargeSnapshots: a session gets what it was allowed to ask for, however large: 1000 items of
// 40 KB, in each mode that has snapshots, and the memory for it is there once, whether its
// connection is quick or hangs.
func TestLargeSnapshots(t *testing.T) {
	const items, size = 1000, 40_000
	value := func(i, version int) string { return fmt.Sprintf("%d-%d-", i, version) + strings.Repeat("x", size) }
	for _, tt := range []struct {
		mode   provider.Mode
		groups string
		n      int // items
	}{{provider.Merge, names("i", items), items}, {provider.Distinct, "i0", 1}, {provider.Command, "i0", 1}} {
		t.Run(tt.mode.String(), func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				w.meta.itemData = func(string) provider.ItemData {
					return provider.ItemData{Modes: provider.AllModes, DistinctSnapshotLength: items}
				}
				schema := "key command v"
				first := w.create(ws, "LS_keepalive_millis=30000")
				w.ok(first.id(), add(1, tt.mode.String(), tt.groups, schema, "LS_snapshot=true"))
				first.mu.Lock()
				first.limit, first.mute = 2, true // and no more is kept of it
				first.mu.Unlock()
				put := func(i, version int) {
					u := provider.Update{Fields: []provider.Field{{Name: "key", Value: provider.T(fmt.Sprint("k", i))},
						{Name: "command", Value: provider.T("UPDATE")}, {Name: "v", Value: provider.T(value(i, version))}}}
					w.feed.sinks[fmt.Sprint("i", i%tt.n)].Update(u)
				}
				for i := range items {
					put(i, 0)
				}
				synctest.Wait()
				slow := w.create(ws, "LS_keepalive_millis=30000")
				release := slow.stall()
				grown := liveHeap(func() {
					w.ok(slow.id(), add(2, tt.mode.String(), tt.groups, schema, "LS_snapshot=true"))
				})
				if grown > 16<<20 {
					t.Errorf("the heap has grown by %d bytes for a client that does not read", grown)
				}
				w.ok(slow.id(), add(1, "MERGE", "other", "a", ""))
				w.send("other", "a=1")
				if tt.mode != provider.Distinct {
					for i := range items {
						put(i, 1)
					}
				}
				release()
				synctest.Wait()
				got := make(map[string]int)
				for _, l := range onlyOf(slow.take(), 2) {
					if at := strings.IndexByte(l, '-'); at > 0 {
						got[l[strings.LastIndexByte(l[:at], '|')+1:strings.IndexByte(l, 'x')]]++
					}
				}
				for i := range items {
					version := 1
					if tt.mode == provider.Distinct {
						version = 0
					}
					if got[fmt.Sprintf("%d-%d-", i, version)] != 1 {
						t.Fatalf("value %d did not arrive once: %d values", i, len(got))
					}
				}
				if st := w.m.Stats(); st.Sessions != 2 || st.Shed != 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// TestStalledReaders: sessions that do not read while everything changes hold no more than the
// limits say, and the others everything.
func TestStalledReaders(t *testing.T) {
	mem := budget.New(32 << 20)
	inWorld(t, Config{Memory: mem, MaxQueueBytes: 1 << 20, SessionMemory: 2 << 20}, func(t *testing.T, w *world) {
		good := w.create(ws, "LS_keepalive_millis=30000")
		w.ok(good.id(), add(1, "MERGE", "good", "a", ""))
		good.take()
		var stalled []*conn
		var releases []func()
		var peak int64
		grown := liveHeap(func() {
			for i := range 40 {
				c := w.create(ws, "LS_keepalive_millis=30000")
				stalled = append(stalled, c)
				releases = append(releases, c.stall())
				w.control(c.id(), add(1, "MERGE", names("m", 50), "a b", "LS_snapshot=true"))
				w.control(c.id(), add(2, "COMMAND", "t", "key command a", "LS_snapshot=true"))
				w.control(c.id(), add(3, "RAW", names("m", 50), "a b", ""))
				w.control(c.id(), add(4, "DISTINCT", "d", "a", "LS_snapshot=true"))
				for j := range 200 {
					for _, item := range []string{"t", "d", fmt.Sprint("m", j%50)} {
						if w.feed.sinks[item] != nil {
							w.send(item, fmt.Sprintf("key=k%d command=UPDATE a=%d-%d-%s", j%100, i, j, strings.Repeat("x", 5000)))
						}
					}
				}
				synctest.Wait()
				peak = max(peak, mem.Used())
			}
		})
		t.Logf("heap %d, accounted %d, at most %d; %+v", grown, mem.Used(), peak, w.m.Stats())
		if grown > 48<<20 {
			t.Errorf("the heap has grown by %d bytes with a budget of 32 MiB", grown)
		}
		w.send("good", "a=still")
		expect(t, good.take(), "U,1,1,still")
		for _, release := range releases {
			release()
		}
		for _, c := range stalled {
			if n := len(c.take()); n == 0 {
				t.Error("a session got nothing")
			}
		}
		if n := w.m.Stats().Sessions; n != len(stalled)+1 {
			t.Errorf("%d sessions are left", n)
		}
	})
}
