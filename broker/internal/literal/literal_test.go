package literal

import (
	"errors"
	"regexp"
	"slices"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

func TestNames(t *testing.T) {
	m := New(Config{})
	for in, want := range map[string][]string{
		"item1":             {"item1"},
		"item1 item2":       {"item1", "item2"},
		"  item1   item2  ": {"item1", "item2"},
		"":                  {""},
		" ":                 {},
		"a\tb":              {"a\tb"},
	} {
		items, err := m.Items(t.Context(), provider.Null, in, "S")
		fields, err2 := m.Schema(t.Context(), provider.Null, "g", in, "S")
		if err != nil || err2 != nil || !slices.Equal(items, want) || !slices.Equal(fields, want) {
			t.Errorf("%q: items %q, fields %q, %v, %v", in, items, fields, err, err2)
		}
	}
}

func TestUsers(t *testing.T) {
	open, closed := New(Config{}), New(Config{AllowedUsers: []string{"alice", " bob"}, MaxBandwidth: 40})
	for _, tt := range []struct {
		name    provider.Text
		allowed bool
	}{
		{provider.T("alice"), true}, {provider.T(" bob"), true}, {provider.T("bob"), false}, {provider.T(""), false}, {provider.Null, false},
	} {
		if _, err := open.NotifyUser(t.Context(), provider.User{Name: tt.name}); err != nil {
			t.Errorf("without a list, %+v: %v", tt.name, err)
		}
		grant, err := closed.NotifyUser(t.Context(), provider.User{Name: tt.name})
		if tt.allowed && (err != nil || grant.MaxBandwidth != 40) {
			t.Errorf("%+v: %+v, %v", tt.name, grant, err)
		}
		if pe, ok := errors.AsType[*provider.Error](err); !tt.allowed && (!ok || pe.Kind != provider.Access) {
			t.Errorf("%+v: %v, want an access error", tt.name, err)
		}
	}
}

func TestLimits(t *testing.T) {
	m := New(Config{MaxFrequency: 2.5, BufferSize: 7, PrefilterFrequency: 3, DistinctSnapshotLength: 10})
	data, err := m.ItemData(t.Context(), []string{"a", "b"})
	if want := (provider.ItemData{DistinctSnapshotLength: 10, MinSourceFrequency: 3, Modes: provider.AllModes}); err != nil || len(data) != 2 || data[1] != want {
		t.Errorf("%+v, %v", data, err)
	}
	user, err := m.UserItemData(t.Context(), provider.Null, []string{"a", "b"})
	if want := (provider.UserItemData{BufferSize: 7, MaxFrequency: 2.5, Modes: provider.AllModes}); err != nil || len(user) != 2 || user[1] != want {
		t.Errorf("%+v, %v", user, err)
	}
}

func TestFamilies(t *testing.T) {
	var (
		merge    = provider.Modes(0).With(provider.Merge)
		distinct = provider.Modes(0).With(provider.Distinct)
		raw      = provider.Modes(0).With(provider.Raw)
	)
	m := New(Config{Families: []Family{
		{Pattern: regexp.MustCompile("item[0-9]+"), Modes: merge},
		{Pattern: regexp.MustCompile("item.*"), Modes: distinct},
		{Pattern: regexp.MustCompile("x"), Modes: raw, DataAdapter: "A"},
		{Pattern: regexp.MustCompile("x|xy"), Modes: merge, DataAdapter: "B"},
	}})
	names := []string{"item1", "item", "myitem1", "x", "xy"}
	data, err := m.ItemData(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []provider.Modes{merge, distinct, 0, raw | merge, merge} {
		if data[i].Modes != want {
			t.Errorf("%s: modes %b, want %b", names[i], data[i].Modes, want)
		}
	}
	if grant, err := m.NotifyUser(t.Context(), provider.User{}); err != nil || !grant.WantsTables {
		t.Errorf("the tables are not asked for: %+v, %v", grant, err)
	}
	for _, tt := range []struct {
		item, adapter string
		mode          provider.Mode
		ok            bool
	}{
		{"x", "A", provider.Raw, true}, {"x", "B", provider.Raw, false}, {"x", "B", provider.Merge, true}, {"x", "C", provider.Merge, false},
		{"item1", "C", provider.Merge, true},
	} {
		_, err := m.NotifyNewTables(t.Context(), provider.Null, "S", []provider.Table{{Mode: tt.mode, DataAdapter: tt.adapter, Items: []string{tt.item}}})
		if (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestMessagesAreRefused(t *testing.T) {
	m := New(Config{})
	if _, err := m.NotifyMessage(t.Context(), provider.Null, "S", "hello"); err == nil {
		t.Error("a message was taken")
	}
	if _, err := m.NotifyNewSession(t.Context(), provider.Null, "S", nil); err != nil {
		t.Error(err)
	}
	if _, err := m.NotifyNewTables(t.Context(), provider.Null, "S", []provider.Table{{Mode: provider.Raw, Items: []string{"a"}}}); err != nil {
		t.Error(err)
	}
}
