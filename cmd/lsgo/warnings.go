package main

import (
	"context"
	"log/slog"
	"regexp"
	"strconv"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// warnings passes problems with adapters.xml on to the person or script. The broker logs the warnings of sets as well, and adds those of
// what has no effect in it: the latter are passed on in the same form, the former not again.
type warnings struct {
	slog.Handler // of the log

	tell reporter

	mu   sync.Mutex
	told map[string]bool
}

func newWarnings(tell reporter, log slog.Handler) *warnings {
	return &warnings{Handler: log, tell: tell, told: make(map[string]bool)}
}

func (w *warnings) problem(p *adaptersxml.Problem) {
	w.mu.Lock()
	w.told[p.Error()] = true
	w.mu.Unlock()
	w.tell.problem(p)
}

var loggedProblem = regexp.MustCompile(`(?s)^(.*):(\d+):(\d+): warning: (.*)$`)

// Handle takes the records of problems out of the log.
func (w *warnings) Handle(ctx context.Context, r slog.Record) error {
	var text string
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "problem" {
			text = a.Value.String()
		}
		return true
	})
	parts := loggedProblem.FindStringSubmatch(text)
	if parts == nil {
		return w.Handler.Handle(ctx, r)
	}
	w.mu.Lock()
	told := w.told[text]
	delete(w.told, text) // once: after a change of the file it is news again
	w.mu.Unlock()
	if told {
		return nil
	}
	p := &adaptersxml.Problem{File: parts[1], Severity: adaptersxml.SeverityWarning, Message: parts[4]}
	var err error
	if p.Line, err = strconv.Atoi(parts[2]); err != nil {
		return w.Handler.Handle(ctx, r)
	}
	if p.Column, err = strconv.Atoi(parts[3]); err != nil {
		return w.Handler.Handle(ctx, r)
	}
	w.tell.problem(p)
	return nil
}
