//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lightstreamer-go/lightstreamer/interop/internal/ledger"
)

// printResults writes what all rows have shown: a table of counts, then what is wrong.
func printResults(to io.Writer, results []*result) error {
	t := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "row\tclient\tmode\treceived\tlost\ttold by overflow\tclear\tsession\tuntold\tdoubled\twrong order\twrong at the end\t")
	for _, r := range results {
		for _, kind := range []string{"Go", "Node"} {
			for _, mode := range ledger.Modes {
				if c := r.Counts[kind][mode]; c != nil {
					fmt.Fprintf(t, "%s\t%d %s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", r.Row, c.Clients, kind, mode,
						c.Received, c.Lost, c.ByOverflow, c.ByClear, c.BySession, c.Untold, c.Doubled, c.Reordered, c.Wrong+c.Torn)
				}
			}
		}
	}
	fmt.Fprintln(t, "\t")
	fmt.Fprintln(t, "row\tverdict\tunreported\treported by the SDK\tby metrics\tsessions\tended\tadapter again\trecovery\tp99 before\tduring\t")
	for _, r := range results {
		before, during := "", ""
		if r.Before != nil && r.During != nil {
			before, during = round(r.Before.P99), fmt.Sprintf("%s (%.1f×)", round(r.During.P99), ratio(*r.Before, *r.During))
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.0f\t%d\t%d\t%d\t%s\t%s\t%s\t\n", r.Row, r.Verdict, r.Unreported, r.ByAdapter, r.ByMetrics,
			r.Sessions, r.Ended, r.AdapterAgain, round(r.Recovery), before, during)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		for _, text := range slices.Concat(prefixed("FAILED: ", r.Wrong), r.Notes, prefixed("sessions: ", sortedWhy(r.Why))) {
			fmt.Fprintf(to, "%s: %s\n", r.Row, strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    "))
		}
	}
	return nil
}

func prefixed(prefix string, list []string) (out []string) {
	for _, text := range list {
		out = append(out, prefix+text)
	}
	return out
}

func round(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

func ratio(before, during ledger.Summary) float64 {
	if before.P99 == 0 {
		return 0
	}
	return float64(during.P99) / float64(before.P99)
}
