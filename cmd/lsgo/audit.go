package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

// auditFile is the file of --audit, or the standard output. Its methods are for one goroutine, the
// broker's own for the audit log, but for reopen. The file is never closed: the broker does not
// wait for the last event for ever.
type auditFile struct {
	name string
	out  io.Writer // instead of a file
	tell func(*adaptersxml.Problem)

	file   *os.File
	again  atomic.Bool // it is to be opened again
	failed bool        // it was told that it can't be written
}

// openAudit opens the file for the first time.
func openAudit(name string, out io.Writer, tell func(*adaptersxml.Problem)) (*auditFile, error) {
	a := &auditFile{name: name, tell: tell}
	if name == "-" {
		a.out = out
		return a, nil
	}
	return a, a.open()
}

func (a *auditFile) open() error {
	file, err := files.Append(a.name)
	if err != nil {
		return fmt.Errorf("--audit: %w", err)
	}
	if a.file != nil {
		_ = a.file.Close() // each write has told what was wrong with it
	}
	a.file = file
	return nil
}

// reopen has the next event open the file again, as whoever has renamed it expects. Any goroutine
// may call it.
func (a *auditFile) reopen() { a.again.Store(true) }

// moved reports whether the name leads to another file than the open one, or to none.
func (a *auditFile) moved() bool {
	named, err := os.Stat(a.name)
	if err != nil {
		return true
	}
	open, err := a.file.Stat()
	return err != nil || !os.SameFile(named, open)
}

// event writes one event. What can't be written is told once, until it can be.
func (a *auditFile) event(e broker.AuditEvent) {
	err := a.write(e)
	if err != nil && !a.failed {
		a.tell(&adaptersxml.Problem{Message: fmt.Sprintf("the audit log can't be written, and events are lost: %v", err)})
	}
	a.failed = err != nil
}

func (a *auditFile) write(e broker.AuditEvent) error {
	to := a.out
	if to == nil {
		if a.again.Swap(false) || a.moved() {
			if err := a.open(); err != nil {
				return err
			}
		}
		to = a.file
		if a.failed { // a part of a line may have been written
			if _, err := io.WriteString(to, "\n"); err != nil {
				return err
			}
		}
	}
	encoder := json.NewEncoder(to) // writes each object in one piece
	encoder.SetEscapeHTML(false)
	return encoder.Encode(e)
}
