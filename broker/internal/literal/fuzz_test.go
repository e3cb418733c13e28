package literal

import (
	"regexp"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// Whatever the pattern of a family and the name of an item, the family has exactly the items whose
// whole name matches, and a group or schema splits into names that a list can hold.
func FuzzFamilies(f *testing.F) {
	f.Add("item[0-9]+", "item1 item other", "A")
	f.Add("x|xy", "xy", "")
	f.Add("(a*)*b", strings.Repeat("a", 1000), "")
	f.Add(`(?m)^a$|\b`, "a\nb", "")
	f.Add("(?U)a+", "aaa", "B")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, pattern, group, dataAdapter string) {
		const states = 1000 // a real file is held to such sizes when it is read
		if len(pattern) > states || strings.Contains(pattern, "{") || len(group) > 50_000 {
			return
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return
		}
		whole, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
		if err != nil {
			return
		}
		merge := provider.Modes(0).With(provider.Merge)
		m := New(Config{Families: []Family{{Pattern: re, Modes: merge, DataAdapter: dataAdapter}}})
		items, err := m.Items(t.Context(), provider.Null, group, "S")
		if err != nil {
			t.Fatal(err)
		}
		data, err := m.ItemData(t.Context(), items)
		if err != nil || len(data) != len(items) {
			t.Fatalf("%d answers for %d items, %v", len(data), len(items), err)
		}
		for i, item := range items {
			if strings.Contains(item, " ") || item == "" && len(items) > 1 {
				t.Fatalf("%q holds the item %q", group, item)
			}
			if want := whole.MatchString(item); data[i].Modes.Has(provider.Merge) != want {
				t.Fatalf("pattern %q, item %q: in the family %v, want %v", pattern, item, !want, want)
			}
			_, err := m.NotifyNewTables(t.Context(), provider.Null, "S", []provider.Table{{Mode: provider.Merge, DataAdapter: dataAdapter, Items: items[i : i+1]}})
			if refused := err != nil; dataAdapter != "" && refused == data[i].Modes.Has(provider.Merge) {
				t.Fatalf("pattern %q, item %q: %v", pattern, item, err)
			}
		}
	})
}
