// Package page writes what was measured into a page for people, between two lines of it.
package page

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The lines.
const (
	Begin = "<!-- measured: begin -->\n"
	End   = "<!-- measured: end -->\n"
)

// Check tells whether a page has the lines: better before than after the minutes that measuring takes.
func Check(file string) error {
	_, _, err := around(file)
	return err
}

// Update replaces what is between the lines. The page is changed as a whole or, after an error, not at all.
func Update(file, text string) error {
	file = filepath.Clean(file)
	before, after, err := around(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	part := file + ".part"
	page := bytes.Join([][]byte{before, []byte(Begin), []byte("\n" + text + "\n"), []byte(End), after}, nil)
	if err = os.WriteFile(part, page, info.Mode().Perm()); err == nil {
		err = os.Rename(part, file)
	}
	if err != nil {
		_ = os.Remove(part) // it may be there in part
	}
	return err
}

func around(file string) (before, after []byte, err error) {
	page, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, nil, err
	}
	before, rest, ok := bytes.Cut(page, []byte(Begin))
	_, after, ended := bytes.Cut(rest, []byte(End))
	if !ok || !ended {
		return nil, nil, fmt.Errorf("%s has no lines %q and %q to write between", file, strings.TrimSpace(Begin), strings.TrimSpace(End))
	}
	return before, after, nil
}
