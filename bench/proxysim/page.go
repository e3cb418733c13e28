//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

const (
	pageBegin = "<!-- measured: begin -->\n"
	pageEnd   = "<!-- measured: end -->\n"
)

// updatePage replaces what is between the two markers in a page.
func updatePage(file, text string) error {
	file = filepath.Clean(file)
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(old, []byte(pageBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(pageEnd))
	if !ok || !ok2 {
		return fmt.Errorf("%s has no lines %q and %q to write between", file, pageBegin[:len(pageBegin)-1], pageEnd[:len(pageEnd)-1])
	}
	page := bytes.Join([][]byte{before, []byte(pageBegin), []byte("\n" + text + "\n"), []byte(pageEnd), after}, nil)
	// In two steps, so that a full disk leaves the page as it was.
	part := file + ".part"
	if err := os.WriteFile(part, page, 0o644); err != nil { //nolint:gosec // as public as the page
		return err
	}
	return os.Rename(part, file)
}
