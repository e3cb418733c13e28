package interop

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	table := &Table{Title: "Peers", Intro: "What was done.", Peers: []Peer{{"a", "A", "1"}, {"b", "B", "2"}}}
	table.Set("one | two", "a", Cell{Verdict: Pass})
	table.Set("one | two", "b", Cell{Verdict: Difference, Note: "because"})
	table.Set("three", "b", Cell{Verdict: Absent, Note: "because"})
	if table.Complete() {
		t.Error("complete with a cell that was not tried")
	}
	table.Set("three", "a", Cell{Verdict: Pass})
	if !table.Complete() {
		t.Error("not complete with every cell tried")
	}
	var b strings.Builder
	report := &Report{Date: "today", Setup: "here", Tables: []*Table{table}}
	if err := report.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	want := `# Interoperability

Written by ` + "`make interop`" + ` on today: here. Peers are installed from their registries in the versions named.

## Peers

What was done.

| | A 1 | B 2 |
|---|---|---|
| one \| two | pass | intended difference (1) |
| three | pass | not in this peer (1) |

1. because
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	table.Set("three", "a", Cell{Verdict: Fail, Note: "broken"})
	table.Set("three", "a", Cell{Verdict: Pass}) // the worst counts
	if table.Complete() || !strings.Contains(report.Summary(), "1 FAIL") {
		t.Errorf("a failure does not show: %s", report.Summary())
	}
	if (&Table{Peers: table.Peers}).Complete() {
		t.Error("an empty table is complete")
	}
}
