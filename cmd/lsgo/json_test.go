package main

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// jsonEvent is any object that the command writes with --json.
type jsonEvent struct {
	Event string
	Time  time.Time

	URL        string
	Monitoring bool
	Sets       []jsonSet

	Set, Kind, Name, State string

	What                           string
	Added, Replaced, Removed, Kept []string

	Severity, File, Message string
	Line, Column            int

	Files, Mistakes, Warnings int

	Seconds float64
	Cut     bool
	Error   string
}

func isJSON(event string, more func(jsonEvent) bool) func(jsonEvent) bool {
	return func(e jsonEvent) bool { return e.Event == event && (more == nil || more(e)) }
}

// isReload wants a reload that has done exactly this.
func isReload(added, replaced, removed, kept []string) func(jsonEvent) bool {
	return isJSON("reload", func(e jsonEvent) bool {
		return e.What == "adapters" && slices.Equal(e.Added, added) && slices.Equal(e.Replaced, replaced) && slices.Equal(e.Removed, removed) && slices.Equal(e.Kept, kept)
	})
}

func isAdapter(set, name, state string) func(jsonEvent) bool {
	return isJSON("adapter", func(e jsonEvent) bool { return e.Set == set && e.Name == name && e.State == state })
}

// events returns what the process has written, each line of which must be an object with a name and a time.
func (p *process) events(text string) []jsonEvent {
	p.t.Helper()
	var all []jsonEvent
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") {
			break // the rest is on its way
		}
		var e jsonEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Event == "" || e.Time.IsZero() {
			p.t.Fatalf("no event (%v): %s", err, line)
		}
		all = append(all, e)
	}
	return all
}

// awaitEvent returns the first event, at or after a position, that satisfies want, and the position behind it.
func (p *process) awaitEvent(what string, from int, want func(jsonEvent) bool) (jsonEvent, int) {
	p.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		text, more := p.stdout.state()
		all := p.events(text)
		for i := from; i < len(all); i++ {
			if want(all[i]) {
				return all[i], i + 1
			}
		}
		select {
		case <-more:
		case <-p.exited:
			// What it wrote last may have come since.
			if again, _ := p.stdout.state(); again != text {
				continue
			}
			p.t.Fatalf("waiting for %s: ended (%v)", what, p.command.ProcessState)
		case <-deadline.C:
			p.t.Fatalf("waiting for %s: nothing within %v", what, patience)
		}
	}
}
