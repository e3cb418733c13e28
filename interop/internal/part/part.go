// Package part ends a part of the lab: what came out is told, and kept for the report.
package part

import (
	"fmt"
	"os"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/interop"
)

// Finish prints the counts of a table and returns the exit status for the tests: that of the tests, or 1 if a cell is a failure. If the
// environment variable INTEROP_PART names a file, the table is written there in Markdown, unless something failed; that a cell is empty then is a
// failure, too.
func Finish(status int, table *interop.Table) int {
	fmt.Printf("\n%s\n", (&interop.Report{Tables: []*interop.Table{table}}).Summary())
	if table.Counts()[interop.Fail] > 0 {
		status = 1
	}
	path := os.Getenv("INTEROP_PART")
	if path == "" || status != 0 {
		return status
	}
	if !table.Complete() {
		fmt.Fprintf(os.Stderr, "%s: not every cell is filled: no report is written\n", table.Title)
		return 1
	}
	var text strings.Builder
	err := table.WriteMarkdown(&text)
	if err == nil {
		err = os.WriteFile(path, []byte(text.String()), 0o600) //nolint:gosec // whoever runs the lab says where
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
