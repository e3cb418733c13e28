package adaptertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// market is a Data Adapter that does everything right, in each mode.
type market struct{}

func (market) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	send, ok := map[string]func(n int) error{
		"raw":      func(n int) error { return sub.Update(adapter.Fields{"n": n}) },
		"merge":    func(n int) error { return sub.Update(adapter.Fields{"n": n}) },
		"distinct": func(n int) error { return sub.Update(adapter.Fields{"n": n}) },
		"command":  func(n int) error { return sub.Modify(fmt.Sprint("row", n%3), adapter.Fields{"n": n}) },
	}[sub.Item()]
	if !ok {
		return &adapter.SubscribeError{Message: "no such item"}
	}
	switch sub.Item() {
	case "merge":
		_ = sub.Snapshot(adapter.Fields{"n": -1})
	case "distinct":
		for n := range 3 {
			_ = sub.Snapshot(adapter.Fields{"n": n})
		}
		_ = sub.EndOfSnapshot()
	case "command":
		for n := range 3 {
			_ = sub.Add(fmt.Sprint("row", n), nil)
		}
		_ = sub.EndOfSnapshot()
	}
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				_ = send(n)
			case <-sub.Context().Done():
				return
			}
		}
	}()
	return nil
}

var marketItems = []ItemSpec{
	{Name: "raw", Mode: adapter.Raw, Live: true},
	{Name: "merge", Mode: adapter.Merge, Snapshot: true, Live: true},
	{Name: "distinct", Mode: adapter.Distinct, Snapshot: true, Live: true},
	{Name: "command", Mode: adapter.Command, Snapshot: true, Live: true},
}

func TestConformanceOfAGoodProvider(t *testing.T) {
	for _, virtual := range []bool{false, true} {
		t.Run(fmt.Sprintf("virtual %v", virtual), func(t *testing.T) {
			Conformance(t, market{}, Options{Items: marketItems, Unknown: "nothing", Virtual: virtual})
		})
	}
}

// Providers of other shapes: unthrottled, without a context, with Unsubscribe, one callback at a time.
func TestConformanceOfOtherGoodProviders(t *testing.T) {
	item := []ItemSpec{{Name: "i", Live: true}}
	t.Run("unthrottled", func(t *testing.T) {
		Conformance(t, subscribe(func(sub *adapter.Subscription) error {
			go func() {
				row := sub.Row(numbers)
				for row.Update("x") == nil {
				}
			}()
			return nil
		}), Options{Items: item})
	})
	t.Run("in Subscribe", func(t *testing.T) {
		Conformance(t, subscribe(func(sub *adapter.Subscription) error { return sub.Update(adapter.Fields{"f": 1}) }),
			Options{Items: item, Virtual: true, Server: func(s *adapter.DataServer) { s.MaxCallbacks = 1 }})
	})
	t.Run("by a table", func(t *testing.T) {
		Conformance(t, &table{}, Options{Items: []ItemSpec{{Name: "i", Mode: adapter.Merge, Snapshot: true}, {Name: "j"}}, Virtual: true})
	})
}

// table keeps subscriptions by name, as adapters ported from other languages do.
type table struct {
	mu   sync.Mutex
	subs map[string]*adapter.Subscription
}

func (p *table) SnapshotAvailable(_ context.Context, item string) (bool, error) {
	return item == "i", nil
}

func (p *table) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subs == nil {
		p.subs = make(map[string]*adapter.Subscription)
	}
	p.subs[sub.Item()] = sub
	if sub.Item() == "i" {
		return sub.Snapshot(adapter.Fields{"f": "1"})
	}
	return nil
}

func (p *table) Unsubscribe(_ context.Context, sub *adapter.Subscription) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.subs, sub.Item())
	return nil
}

// Each broken provider is found by the subtests that should, and by no other.
func TestConformanceNoticesBrokenProviders(t *testing.T) {
	everywhere := []string{"items", "again", "storm", "late updates", "reconnect", "slow peer", "stop"}
	for _, tt := range []struct {
		name     string
		spec     ItemSpec
		unknown  string
		provider func(end <-chan struct{}) adapter.DataProvider
		want     string
		in       []string
	}{
		{
			name: "ignores its context", spec: ItemSpec{Name: "i"},
			provider: func(end <-chan struct{}) adapter.DataProvider {
				return subscribe(func(*adapter.Subscription) error { go func() { <-end }(); return nil })
			},
			want: "goroutines of the adapter are still there", in: everywhere,
		},
		{
			name: "goes on sending", spec: ItemSpec{Name: "i"},
			provider: func(end <-chan struct{}) adapter.DataProvider {
				return subscribe(func(sub *adapter.Subscription) error {
					go func() {
						tick := time.NewTicker(10 * time.Second)
						defer tick.Stop()
						for {
							select {
							case <-tick.C:
								_ = sub.Update(nil)
							case <-end:
								return
							}
						}
					}()
					return nil
				})
			},
			want: "the provider goes on sending for items that nobody wants any more", in: []string{"late updates"},
		},
		{
			name: "no end of snapshot", spec: ItemSpec{Name: "i", Mode: adapter.Distinct, Snapshot: true},
			provider: func(<-chan struct{}) adapter.DataProvider {
				return subscribe(func(sub *adapter.Subscription) error { return sub.Snapshot(nil) })
			},
			want: "of which 1 events came, but not its end: EndOfSnapshot is missing", in: everywhere,
		},
		{
			name: "no snapshot", spec: ItemSpec{Name: "i", Mode: adapter.Merge, Snapshot: true},
			provider: func(<-chan struct{}) adapter.DataProvider {
				return subscribe(func(sub *adapter.Subscription) error { return sub.EndOfSnapshot() })
			},
			want: "has a snapshot, but none came before its end", in: everywhere,
		},
		{
			name: "snapshot where there is none", spec: ItemSpec{Name: "i", Live: true},
			provider: func(<-chan struct{}) adapter.DataProvider {
				return subscribe(func(sub *adapter.Subscription) error { _ = sub.Snapshot(nil); return sub.Update(nil) })
			},
			want: "has no snapshot, but a snapshot event came", in: everywhere,
		},
		{
			name: "two snapshots in MERGE", spec: ItemSpec{Name: "i", Mode: adapter.Merge, Snapshot: true},
			provider: func(<-chan struct{}) adapter.DataProvider {
				return subscribe(func(sub *adapter.Subscription) error { _ = sub.Snapshot(nil); return sub.Snapshot(nil) })
			},
			want: "a second snapshot event: in MERGE mode", in: everywhere,
		},
		{
			name: "rows without keys", spec: ItemSpec{Name: "i", Mode: adapter.Command},
			provider: func(<-chan struct{}) adapter.DataProvider {
				return subscribe(func(sub *adapter.Subscription) error { return sub.Update(adapter.Fields{"f": 1}) })
			},
			want: `needs the field "key"`, in: everywhere,
		},
		{
			name: "silent", spec: ItemSpec{Name: "i", Live: true},
			provider: func(<-chan struct{}) adapter.DataProvider {
				return subscribe(func(*adapter.Subscription) error { return nil })
			},
			want: "has live events, but none came", in: everywhere,
		},
		{
			name: "refuses", spec: ItemSpec{Name: "i"},
			provider: func(<-chan struct{}) adapter.DataProvider {
				return subscribe(func(*adapter.Subscription) error { panic("boom") })
			},
			want: "panic in Subscribe: boom", in: everywhere,
		},
		{
			name: "refuses the second time", spec: ItemSpec{Name: "i"},
			provider: func(<-chan struct{}) adapter.DataProvider { return &once{} },
			want:     "already subscribed", in: []string{"again", "storm", "slow peer", "reconnect"},
		},
		{
			name: "accepts everything", spec: ItemSpec{Name: "i"}, unknown: "nothing",
			provider: func(<-chan struct{}) adapter.DataProvider {
				return subscribe(func(*adapter.Subscription) error { return nil })
			},
			want: `item "nothing" does not exist and was accepted`, in: []string{"items"},
		},
		{
			name: "hangs in Subscribe", spec: ItemSpec{Name: "i"},
			provider: func(end <-chan struct{}) adapter.DataProvider {
				return subscribe(func(*adapter.Subscription) error { <-end; return nil })
			},
			want: "", in: everywhere,
		},
		{
			name: "no items", provider: func(<-chan struct{}) adapter.DataProvider { return market{} },
			want: "Options.Items is empty", in: everywhere,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(map[string][]string)
			o := Options{Items: []ItemSpec{tt.spec}, Unknown: tt.unknown, Virtual: true}
			if tt.spec.Name == "" {
				o.Items = nil
			}
			bubbles := bubbleSubs{t, got}
			conformanceWith(bubbles, tt.provider, o)
			for name, failures := range got {
				if !slices.Contains(tt.in, name) && tt.want != "goroutines of the adapter are still there" && !onlyLeaks(failures) {
					t.Errorf("subtest %q failed as well:\n%s", name, strings.Join(failures, "\n---\n"))
				}
			}
			for _, name := range tt.in {
				if !slices.ContainsFunc(got[name], func(s string) bool { return strings.Contains(s, tt.want) }) {
					t.Errorf("subtest %q did not report %q but %q", name, tt.want, got[name])
				}
			}
		})
	}
}

// onlyLeaks tells whether failures are about goroutines left, which every subtest sees.
func onlyLeaks(failures []string) bool {
	return !slices.ContainsFunc(failures, func(s string) bool { return !strings.Contains(s, "goroutines of the adapter are still there") })
}

// once forgets to give up an item.
type once struct{ items sync.Map }

func (o *once) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	if _, loaded := o.items.LoadOrStore(sub.Item(), true); loaded {
		return &adapter.SubscribeError{Message: "already subscribed"}
	}
	return nil
}

// bubbleSubs records each subtest in a bubble of its own.
type bubbleSubs struct {
	t        *testing.T
	failures map[string][]string
}

// conformanceWith runs each subtest with a provider of its own, whose goroutines end with the subtest.
func conformanceWith(run bubbleSubs, provider func(end <-chan struct{}) adapter.DataProvider, o Options) {
	for name, test := range map[string]func(*suite){
		"items": (*suite).items, "again": (*suite).again, "storm": (*suite).storm, "late updates": (*suite).lateUpdates,
		"reconnect": (*suite).reconnect, "slow peer": (*suite).slowPeer, "stop": (*suite).stop,
	} {
		synctest.Test(run.t, func(t *testing.T) {
			end := make(chan struct{})
			run.failures[name] = record(t, func(tb testing.TB) { test(newSuite(tb, provider(end), o)) })
			if len(run.failures[name]) == 0 {
				delete(run.failures, name)
			}
			close(end)
		})
	}
}

func TestMetadataConformanceOfGoodProviders(t *testing.T) {
	for _, p := range []adapter.MetadataProvider{adapter.DefaultMetadata{}, &adapter.LiteralMetadata{}, &club{}} {
		t.Run(fmt.Sprintf("%T", p), func(t *testing.T) { MetadataConformance(t, p) })
	}
}

// fragile is a Metadata Adapter that does not expect strange texts, and leaves goroutines.
type fragile struct {
	adapter.DefaultMetadata
	end <-chan struct{}
}

func (f fragile) Items(_ context.Context, r adapter.ItemsRequest) ([]string, error) {
	return []string{r.Group[:1]}, nil
}

func (f fragile) NotifySessionClose(context.Context, string) error {
	if f.end != nil {
		go func() { <-f.end }()
	}
	return nil
}

func TestMetadataConformanceNoticesBrokenProviders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := recordSubs{t, make(map[string][]string)}
		metadataConformance(&got, fragile{})
		if len(got.failures) != 1 || len(got.failures["hostile texts"]) != 1 {
			t.Fatalf("got %q, want one failure, of hostile texts", got.failures)
		}
		text := got.failures["hostile texts"][0]
		if !strings.Contains(text, "panic in GIS: runtime error: slice bounds out of range") || !strings.Contains(text, "fragile.Items") {
			t.Errorf("the failure does not show the panic and where it was:\n%s", text)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		got := recordSubs{t, make(map[string][]string)}
		metadataConformance(&got, fragile{end: end})
		if len(got.failures) != 5 {
			t.Errorf("goroutines were left in 5 subtests, reported: %q", got.failures)
		}
		close(end)
	})
}
