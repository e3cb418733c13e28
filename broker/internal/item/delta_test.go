package item

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// declare makes a declaration from "name=JM" words; "name=" declares none.
func declare(s provider.Sink, words string) {
	var list []provider.FieldDiff
	for w := range strings.FieldsSeq(words) {
		name, letters, _ := strings.Cut(w, "=")
		d := provider.FieldDiff{Field: name}
		for _, a := range []byte(letters) {
			d.Algorithms = append(d.Algorithms, provider.DiffAlgorithm(a))
		}
		list = append(list, d)
	}
	s.DeclareFieldDiffOrder(list)
}

// orders keeps what was declared by the last call.
type orders struct{ last string }

func (o *orders) Receive(cols Columns, _ []*Event, _ bool) {
	o.last = "none"
	if !cols.Deltas() {
		return
	}
	var all []string
	for i := range cols.Len() {
		letters := "-"
		if d := cols.Delta(i); d != nil {
			letters = ""
			for _, a := range d.Order() {
				letters += string(rune(a))
			}
		}
		all = append(all, letters)
	}
	o.last = strings.Join(all, " ")
}

func (o *orders) Snapshot(cols Columns, s *Snapshot) { o.Receive(cols, s.Events, true) }

func TestDeclareFieldDiffOrder(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mode   provider.Mode
		schema string
		steps  []string // declarations begin with !
		want   string
		late   int64
	}{
		{"nothing", provider.Merge, "a b", []string{"a=1"}, "none", 0},
		{"declared", provider.Merge, "a b c", []string{"!a=J b=MJ", "a=1"}, "J MJ -", 0},
		{"cumulative", provider.Merge, "a b", []string{"!a=J", "!b=M", "a=1"}, "J M", 0},
		{"before the first update of the field", provider.Merge, "a b", []string{"a=1", "!b=M", "a=2"}, "- M", 0},
		{"after the first update of the field", provider.Merge, "a b", []string{"a=1", "!a=J", "a=2"}, "none", 1},
		{"after the first declaration", provider.Merge, "a", []string{"!a=J", "!a=M", "a=1"}, "J", 1},
		{"after none was declared", provider.Merge, "a", []string{"!a=", "!a=M", "a=1"}, "none", 1},
		{"other fields", provider.Merge, "a", []string{"!z=J", "a=1"}, "none", 0},
		{"a field twice in the schema", provider.Merge, "a b a", []string{"!a=J", "a=1"}, "J - J", 0},
		{"unknown and repeated algorithms", provider.Raw, "a b", []string{"!a=XJJXMJ b=X", "a=1"}, "JM -", 0},
		{"snapshot events", provider.Distinct, "a", []string{"S a=1", "!a=J", "EOS", "a=2"}, "none", 1},
		{"key and command", provider.Command, "key command a", []string{"!key=J command=M a=M", "key=k command=ADD a=1"}, "- - M", 0},
		{"key and command elsewhere", provider.Merge, "key command a", []string{"!key=J command=M a=M", "a=1"}, "J M M", 0},
		{"too many fields", provider.Merge, "a", []string{"!x=J y=J z=J w=J v=J", "!a=J", "a=1"}, "none", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFeed(t)
			src := NewSource(Config{Data: f, Linger: -1, MaxFields: 4})
			defer src.Close()
			o := Options{Mode: tt.mode, Schema: strings.Fields(tt.schema), Snapshot: true, History: 5}
			var first, second orders
			mustAttach(t, src, "i", o, &first)
			declarations := int64(0)
			for _, step := range tt.steps {
				if words, ok := strings.CutPrefix(step, "!"); ok {
					declare(f.sink("i"), words)
					declarations++
					continue
				}
				play(f.sink("i"), step)
			}
			if first.last != tt.want {
				t.Errorf("declared: %s, want %s", first.last, tt.want)
			}
			mustAttach(t, src, "i", o, &second)
			f.sink("i").Update(up("key=k a=9"))
			if second.last != tt.want {
				t.Errorf("a late subscriber has %s, want %s", second.last, tt.want)
			}
			if st := src.Stats(); st.LateDiffs != tt.late || st.FieldDiffs != declarations {
				t.Errorf("stats %+v, want %d declarations, %d late", st, declarations, tt.late)
			}
		})
	}
}

// TestDeclareBeside: columns that a receiver has in use do not change under it.
func TestDeclareBeside(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: -1})
	defer src.Close()
	var all []Columns
	mustAttach(t, src, "i", Options{Mode: provider.Merge, Schema: []string{"a", "b"}}, receiverFunc(func(c Columns, _ []*Event, _ bool) { all = append(all, c) }))
	f.sink("i").Update(up("a=1"))
	declare(f.sink("i"), "b=J")
	f.sink("i").Update(up("a=1"))
	if all[0].Deltas() || !all[1].Deltas() || all[1].Delta(0) != nil || all[1].Delta(1) == nil {
		t.Errorf("columns %+v", all)
	}
}

// TestDeclareAnew: what was declared lasts as long as the item is subscribed.
func TestDeclareAnew(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: -1})
	defer src.Close()
	o := Options{Mode: provider.Merge, Schema: []string{"a"}}
	var r orders
	a := mustAttach(t, src, "i", o, &r)
	old := f.sink("i")
	declare(old, "a=J")
	a.Detach()
	mustAttach(t, src, "i", o, &r)
	declare(old, "a=J")
	f.sink("i").Update(up("a=1"))
	if r.last != "none" || src.Stats().Late != 1 {
		t.Errorf("declared: %s, stats %+v", r.last, src.Stats())
	}
}

func TestDifference(t *testing.T) {
	d := &Delta{order: []provider.DiffAlgorithm{provider.JSONPatch}}
	var found atomic.Int64
	find := func(old, next string) (string, bool) {
		found.Add(1)
		return old + ">" + next, old != next
	}
	ask := func(a provider.DiffAlgorithm, old, next string, asks int64) {
		t.Helper()
		before := found.Load()
		if text, ok := d.Difference(a, old, next, find); text != old+">"+next || ok != (old != next) {
			t.Errorf("%s to %s: %q, %v", old, next, text, ok)
		}
		if n := found.Load() - before; n != asks {
			t.Errorf("%s to %s: asked %d times, want %d", old, next, n, asks)
		}
	}
	ask('J', "a", "b", 1)
	ask('J', "a", "b", 0)
	ask('M', "a", "b", 1)
	ask('J', "a", "a", 1)
	ask('J', "a", "a", 0) // that there is none is known, too
	ask('J', "b", "a", 1)
	for i := range 10 {
		ask('J', "a", fmt.Sprint(i), 1)
	}
	ask('J', "a", "9", 0)
	ask('J', "a", "b", 1)

	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 1000 {
				old, next := fmt.Sprint(i%7), fmt.Sprint(g+i%5)
				if text, _ := d.Difference('M', old, next, find); text != old+">"+next {
					t.Errorf("%s to %s: %q", old, next, text)
				}
			}
		})
	}
	all.Wait()
}
