package interop

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Verdict is what came out of trying one capability with one peer. The zero value says that it was not tried.
type Verdict uint8

// The verdicts.
const (
	Untried    Verdict = iota
	Pass               // as documented
	Difference         // otherwise, on purpose; the note says why
	Absent             // the peer has no such thing; the note says what
	Fail               // the note says how; the run fails
)

// String returns the word that stands in the report.
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "pass"
	case Difference:
		return "intended difference"
	case Absent:
		return "not in this peer"
	case Fail:
		return "FAIL"
	}
	return "not tried"
}

// Cell is the result for one capability of one peer.
type Cell struct {
	Verdict Verdict
	Note    string // the reason, in one line; needed for everything but Pass
}

// Peer is a column of a table.
type Peer struct {
	ID      string // "python"
	Title   string // "Python `lightstreamer-adapter`"
	Version string // "1.3.1"
}

// Table is one part of the report: peers × capabilities. The methods may be called from any goroutine.
type Table struct {
	Title string
	Intro string // what was done, a paragraph
	Peers []Peer // in the order of the columns

	mu    sync.Mutex
	rows  []string
	order map[string]int
	cells map[[2]string]Cell
}

// Set notes a result. A capability gets its row when it is first named; of several results of a cell the worst counts.
func (t *Table) Set(capability, peer string, c Cell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cells == nil {
		t.cells, t.order = make(map[[2]string]Cell), make(map[string]int)
	}
	if _, known := t.order[capability]; !known {
		t.order[capability] = len(t.rows)
		t.rows = append(t.rows, capability)
	}
	key := [2]string{capability, peer}
	if c.Verdict > t.cells[key].Verdict {
		t.cells[key] = c
	}
}

// Counts returns how many cells have each verdict.
func (t *Table) Counts() map[Verdict]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := make(map[Verdict]int)
	for _, row := range t.rows {
		for _, p := range t.Peers {
			counts[t.cells[[2]string{row, p.ID}].Verdict]++
		}
	}
	return counts
}

// Complete says whether every cell of every capability holds a result that is no failure.
func (t *Table) Complete() bool {
	counts := t.Counts()
	return counts[Fail] == 0 && counts[Untried] == 0 && counts[Pass] > 0
}

// WriteMarkdown writes the table, with the notes below it.
func (t *Table) WriteMarkdown(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n| |", t.Title, t.Intro)
	for _, p := range t.Peers {
		fmt.Fprintf(&b, " %s %s |", p.Title, p.Version)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(t.Peers)) + "\n")
	var notes []string
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s |", escape(row))
		for _, p := range t.Peers {
			c := t.cells[[2]string{row, p.ID}]
			b.WriteString(" " + c.Verdict.String())
			if c.Note != "" {
				at := slices.Index(notes, c.Note)
				if at < 0 {
					at = len(notes)
					notes = append(notes, c.Note)
				}
				fmt.Fprintf(&b, " (%d)", at+1)
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	if len(notes) > 0 {
		b.WriteString("\n")
	}
	for i, n := range notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// Report is the whole lab.
type Report struct {
	Date   string // of the run
	Setup  string // what it ran on, one line
	Tables []*Table
}

// WriteMarkdown writes the report as a page of the documentation.
func (r *Report) WriteMarkdown(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "# Interoperability\n\nWritten by `make interop` on %s: %s. Peers are installed from their registries in the versions named.\n", r.Date, r.Setup); err != nil {
		return err
	}
	for _, t := range r.Tables {
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
		if err := t.WriteMarkdown(w); err != nil {
			return err
		}
	}
	return nil
}

// Summary is one line for each table and verdict that occurred.
func (r *Report) Summary() string {
	var b strings.Builder
	for _, t := range r.Tables {
		counts := t.Counts()
		verdicts := make([]Verdict, 0, len(counts))
		for v := range counts {
			verdicts = append(verdicts, v)
		}
		slices.Sort(verdicts)
		b.WriteString(t.Title + ":")
		for _, v := range verdicts {
			fmt.Fprintf(&b, " %d %s;", counts[v], v)
		}
		b.WriteString("\n")
	}
	return b.String()
}
