package tlcp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// row reads a row of values for tests: # is null, $ is the empty text.
func row(values ...string) []Value {
	r := make([]Value, len(values))
	for i, v := range values {
		switch v {
		case "#":
			r[i].Null = true
		case "$":
		default:
			r[i].S = v
		}
	}
	return r
}

// The worked example of the protocol's description, and the cases around the length of runs.
func TestAppendUpdate(t *testing.T) {
	rows := [][]Value{
		row("20:00:33", "3.04", "0.0", "2.41", "3.67", "3.03", "3.04", "#", "#", "$"),
		row("20:00:54", "3.07", "0.98", "2.41", "3.67", "3.06", "3.07", "#", "#", "Suspended"),
		row("20:04:40", "3.07", "0.98", "2.41", "3.67", "3.02", "3.03", "#", "#", "Suspended"),
		row("20:06:10", "3.05", "0.32", "2.41", "3.67", "3.02", "3.03", "#", "#", "Suspended"),
	}
	want := []string{
		"U,3,1,20:00:33|3.04|0.0|2.41|3.67|3.03|3.04|#|#|$\r\n",
		"U,3,1,20:00:54|3.07|0.98|||3.06|3.07|||Suspended\r\n",
		"U,3,1,20:04:40|^4|3.02|3.03|||\r\n",
		"U,3,1,20:06:10|3.05|0.32|^7\r\n",
	}
	var prev []Value
	for i, next := range rows {
		if got := string(AppendUpdate(nil, 3, 1, prev, next)); got != want[i] {
			t.Errorf("row %d: got %q, want %q", i, got, want[i])
		}
		prev = next
	}

	for _, tt := range []struct {
		prev, next []Value
		want       string
	}{
		{nil, row("a"), "a"},
		{row("a"), row("a"), ""},
		{row("a"), row("#"), "#"},
		{row("#"), row("$"), "$"},
		{row("$"), row("#"), "#"},
		{row("a", "b"), row("a", "b"), "|"},
		{row("a", "b", "c"), row("a", "b", "c"), "||"},
		{row("a", "b", "c", "d"), row("a", "b", "c", "d"), "^4"},
		{row("a", "b", "c", "d", "e"), row("x", "b", "c", "d", "e"), "x|^4"},
		{row("a", "b", "c", "d", "e"), row("a", "b", "c", "d", "x"), "^4|x"},
		{row("a", "b"), row("a"), "a"}, // another length: a first line
		{row("k1", "ADD", "x"), row("k2", "ADD", "x"), "k2||"},
	} {
		if got := string(AppendUpdate(nil, 1, 2, tt.prev, tt.next)); got != "U,1,2,"+tt.want+"\r\n" {
			t.Errorf("%v after %v: got %q, want %q", tt.next, tt.prev, got, tt.want)
		}
	}
}

// TestAppendUpdateDiffs: differences stand in for values that have changed, never in a first line, and come back as they were.
func TestAppendUpdateDiffs(t *testing.T) {
	patch := Element{JSONPatch, Value{S: `[{"op":"replace","path":"/t","value":"p|q"}]`}}
	diff := Element{TLCPDiff, Value{S: "Bdb|bg%"}}
	for _, tt := range []struct {
		prev, next []Value
		diffs      []Element
		want       string
	}{
		{row("a", "b", "c"), row("x", "y", "z"), []Element{patch, {}, diff}, `^P[{"op":"replace","path":"/t","value":"p%7Cq"}]|y|^TBdb%7Cbg%25`},
		{row("a", "b", "c"), row("a", "y", "c"), []Element{patch, diff, diff}, "|^TBdb%7Cbg%25|"},
		{row("a", "b", "c"), row("x", "y", "z"), []Element{{Kind: Set, Value: Value{S: "no"}}, diff}, "x|^TBdb%7Cbg%25|z"},
		{row("a", "b"), row("x", "y"), nil, "x|y"},
		{row("a"), row("#"), []Element{{}}, "#"},
		{nil, row("x", "y"), []Element{patch, diff}, "x|y"},
		{row("a"), row("x"), []Element{{JSONPatch, Value{S: "#"}}}, "^P#"},
	} {
		got := string(AppendUpdateDiffs(nil, 1, 2, tt.prev, tt.next, tt.diffs))
		if got != "U,1,2,"+tt.want+"\r\n" {
			t.Errorf("%v after %v: got %q, want %q", tt.next, tt.prev, got, tt.want)
		}
		line, err := ParseLine([]byte(strings.TrimSuffix(got, EOL)))
		if err != nil {
			t.Fatal(err)
		}
		elements, err := AppendElements(nil, line.Values, len(tt.next))
		if err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		for i, e := range elements {
			if e.Kind >= JSONPatch && e != tt.diffs[i] {
				t.Errorf("%q: field %d is read as %v, want %v", got, i+1, e, tt.diffs[i])
			}
		}
	}
}

// The special characters of the protocol's description and of its recorded dialogue.
func TestAppendValue(t *testing.T) {
	for _, tt := range []struct {
		v    Value
		want string
	}{
		{Value{S: "a|b"}, "a%7Cb"},
		{Value{S: "100%"}, "100%25"},
		{Value{S: "#tag"}, "%23tag"},
		{Value{S: "#"}, "%23"},
		{Value{S: "$5"}, "%245"},
		{Value{S: "^x"}, "%5Ex"},
		{Value{S: "line1\r\nline2"}, "line1%0D%0Aline2"},
		{Value{S: "x,y"}, "x,y"},
		{Value{S: ""}, "$"},
		{Value{Null: true}, "#"},
		{Value{S: "mid#$^"}, "mid#$^"},
		{Value{S: "è☃😀"}, "è☃😀"},
		{Value{S: "tab\there"}, "tab\there"},
		{Value{S: "a\x00b"}, "a\x00b"},
		{Value{S: "%|"}, "%25%7C"},
		{Value{S: "a\xffb\xc3"}, "a\uFFFDb\uFFFD"},
		{Value{S: "\uFFFD"}, "\uFFFD"},
	} {
		if got := string(AppendValue(nil, tt.v)); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.v, got, tt.want)
		}
	}
}

func TestElements(t *testing.T) {
	set := func(s string) Element { return Element{Set, Value{S: s}} }
	null, empty, same := Element{Set, Value{Null: true}}, Element{Kind: Set}, Element{}
	for _, tt := range []struct {
		in   string
		want []Element
	}{
		{"a%7Cb|100%25|%23tag|%245|%5Ex|line1%0D%0Aline2",
			[]Element{set("a|b"), set("100%"), set("#tag"), set("$5"), set("^x"), set("line1\r\nline2")}},
		{"x,y|$|#|mid#$^|è☃😀|tab\there", []Element{set("x,y"), empty, null, set("mid#$^"), set("è☃😀"), set("tab\there")}},
		{"", []Element{same}},
		{"|", []Element{same, same}},
		{"^2|z", []Element{same, same, set("z")}},
		{"k9|DELETE|#", []Element{set("k9"), set("DELETE"), null}},
		{`^P[{"op":"replace","path":"/t","value":"p%7Cq"}]|^Tbdzapcd`,
			[]Element{{JSONPatch, Value{S: `[{"op":"replace","path":"/t","value":"p|q"}]`}}, {TLCPDiff, Value{S: "bdzapcd"}}}},
		{"##|$$", []Element{set("##"), set("$$")}},
		{"%c3%A8", []Element{set("è")}},
	} {
		got, err := AppendElements(nil, []byte(tt.in), len(tt.want))
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %v, %v; want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestElementFaults(t *testing.T) {
	for _, tt := range []struct {
		in     string
		fields int
	}{
		{"a", 2}, {"a|b|c", 2}, {"^3", 2}, {"a|^2", 2}, {"^1", 2}, {"^0|a", 1}, {"^999999999999999999999", 2}, {"^", 1}, {"^x", 1}, {"%", 1}, {"%4", 1},
		{"%zz", 1}, {"^P%", 1}, {"", 0}, {"^2147483647", 3}, {"^2x", 2},
	} {
		dst := []Element{{Kind: Set}}
		got, err := AppendElements(dst, []byte(tt.in), tt.fields)
		if err == nil {
			t.Errorf("%q for %d fields: got %v, want an error", tt.in, tt.fields, got)
		}
		if len(got) != 1 {
			t.Errorf("%q: dst now has %d elements", tt.in, len(got))
		}
	}
}

func TestMerge(t *testing.T) {
	elements := func(s string, n int) []Element {
		e, err := AppendElements(nil, []byte(s), n)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	r, err := Merge(nil, elements("foobar|#|$", 3))
	if err != nil || !slices.Equal(r, row("foobar", "#", "$")) {
		t.Fatalf("%v, %v", r, err)
	}
	r, err = Merge(r, elements("^Tbdzapcd||x", 3))
	if err != nil || !slices.Equal(r, row("fzapbar", "#", "x")) {
		t.Fatalf("%v, %v", r, err)
	}
	before := slices.Clone(r)
	for _, bad := range []string{"y|^Td|", "y|^P[]|", "^Tz||"} {
		if got, err := Merge(r, elements(bad, 3)); err == nil || !slices.Equal(got, before) {
			t.Errorf("%q: %v, %v; want an error and the row as it was", bad, got, err)
		}
	}
	if _, err := Merge(nil, elements("a|", 2)); err == nil {
		t.Error("a first update with an unchanged field was taken")
	}
	if _, err := Merge(r, elements("a|b", 2)); err == nil {
		t.Error("an update of another length was taken")
	}
}

// The length of a value is known before memory is taken for it, and a value that would be too long
// changes nothing.
func TestMergeWithin(t *testing.T) {
	elements := func(s string) []Element {
		e, err := AppendElements(nil, []byte(s), 2)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	const limit = 1 << 20
	r, err := MergeWithin(nil, elements(strings.Repeat("x", limit)+"|y"), limit)
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(r)
	longer := elements("z|z")
	longer[1] = Element{Kind: Set, Value: Value{S: strings.Repeat("x", limit+1)}}
	grown := elements("^TCHRDwbz|z") // all of the 1 MB and a byte more
	for _, tt := range [][]Element{longer, grown} {
		if _, err := MergeWithin(r, tt, limit); !errors.Is(err, ErrValueTooLong) || !slices.Equal(r, before) {
			t.Errorf("%v, or the row has changed", err)
		}
	}
	grown = elements("^TCHRDwbz|z")
	if allocs := testing.AllocsPerRun(10, func() {
		if _, err := MergeWithin(r, slices.Clone(grown), limit); err == nil {
			t.Error("taken")
		}
	}); allocs > 16 { // of a few bytes each; the race detector has its own
		t.Errorf("%v allocations for a refusal", allocs)
	}
	same := make([]Element, 2)
	if allocs := testing.AllocsPerRun(10, func() { _, err = MergeWithin(r, same, limit) }); allocs > 0 || err != nil {
		t.Errorf("%v allocations for an update without a change, %v", allocs, err)
	}
}

// The table of the protocol's description.
func TestApplyDiff(t *testing.T) {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	for _, tt := range []struct{ old, diff, want string }{
		{"foobar", "d", "foo"},
		{"foobar", "bdzap", "fzap"},
		{"foobar", "bdzapcd", "fzapbar"},
		{"foobar", "adzapad", "zapfoo"},
		{alphabet, "Bdb|bg", "abcdefghijklmnopqrstuvwxyz012|456789"},
		{"foobar", "", ""},
		{"foobar", "g", "foobar"},
		{"è☃x", "bb☃ab", "è☃☃"},
		{strings.Repeat("x", 700), "BAy", strings.Repeat("x", 700)},
	} {
		if got, err := ApplyDiff(tt.old, tt.diff); err != nil || got != tt.want {
			t.Errorf("%q on %.20q: got %q, %v; want %q", tt.diff, tt.old, got, err, tt.want)
		}
	}
	for _, bad := range []string{"z", "dd", "dezap", "B", "!", "dazz", "ZZZZZZZZZZZZZZZZz"} {
		if got, err := ApplyDiff("foo", bad); err == nil {
			t.Errorf("%q: got %q, want an error", bad, got)
		}
	}
}

func TestUpdateDoesNotAllocate(t *testing.T) {
	prev := row("20:00:33", "3.04", "0.0", "2.41", "3.67", "3.03", "è☃😀", "#", "#", "$")
	next := row("20:00:54", "3.07", "#x", "2.41", "3.67", "a|b", "è☃😀x", "#", "#", "Suspended")
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf = AppendUpdate(buf[:0], 3, 1, prev, next) }); n != 0 {
		t.Errorf("AppendUpdate with differences: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { buf = AppendUpdate(buf[:0], 3, 1, nil, next) }); n != 0 {
		t.Errorf("AppendUpdate with all values: %v allocations", n)
	}
	line := []byte("U,3,1,20:06:10|3.05|0.32|^7")
	if n := testing.AllocsPerRun(100, func() {
		if l, err := ParseLine(line); err != nil || l.Tag != TagU {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("ParseLine of an update: %v allocations", n)
	}
}

func BenchmarkAppendUpdate(b *testing.B) {
	prev := row("20:00:33", "3.04", "0.0", "2.41", "3.67", "3.03", "3.04", "#", "#", "$")
	next := row("20:00:54", "3.07", "0.98", "2.41", "3.67", "3.06", "3.07", "#", "#", "Suspended")
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendUpdate(buf[:0], 3, 1, prev, next)
	}
}

func ExampleAppendUpdate() {
	prev := []Value{{S: "item1"}, {S: "3.04"}, {Null: true}}
	next := []Value{{S: "item1"}, {S: "3.07"}, {S: ""}}
	fmt.Printf("%q\n", AppendUpdate(nil, 1, 1, nil, prev))
	fmt.Printf("%q\n", AppendUpdate(nil, 1, 1, prev, next))
	// Output:
	// "U,1,1,item1|3.04|#\r\n"
	// "U,1,1,|3.07|$\r\n"
}
