package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// reporter tells what a running broker does: to a person, or to a script. Its methods may be called from any goroutine.
type reporter interface {
	// listening tells that the broker has started.
	listening(s served)
	// adapter tells that an adapter has come or gone.
	adapter(a adapterEvent)
	// reloaded tells what a change of files has done.
	reloaded(r reload, s served)
	// problem tells of a mistake or a warning.
	problem(p *adaptersxml.Problem)
	// stopped is the last word. Err is why the broker has ended by itself; nil if it was told to. Cut means that not everything ended in
	// time.
	stopped(took time.Duration, cut bool, err error)
}

// served is what listens where.
type served struct {
	url        string
	monitoring bool
	sets       []*adaptersxml.Set
	adapters   []broker.AdapterAddr
}

// adapterEvent is the coming or going of an adapter.
type adapterEvent struct {
	set, name string // name is empty for the Metadata Adapter
	connected bool
	at        time.Time
	lasted    time.Duration // if it has gone
}

// reload is what a change of files has done.
type reload struct {
	broker.Changes
	kept        []string // sets whose files have mistakes: they stay as they were
	leftOut     []string // files with mistakes that have no set in service
	certificate bool     // the certificate was read again; nothing of the rest
}

func adapterName(name string) string {
	if name == "" {
		return "Metadata Adapter"
	}
	return name
}

// person tells it in lines to read, in colour on a terminal.
type person struct {
	mu       sync.Mutex
	out, err *style
}

func newPerson(out, err io.Writer) *person { return &person{out: newStyle(out), err: newStyle(err)} }

const clock = "15:04:05"

func (p *person) listening(s served) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.title("Lightstreamer for Go", "broker")
	p.out.line("%s %s/  %s", p.out.accent("→"), p.out.link(s.url), p.out.faint("for clients"))
	if s.monitoring {
		p.out.line("  %s", p.out.faint("/healthz /readyz /metrics for machines"))
	}
	for _, set := range s.sets {
		p.out.gap()
		p.set(s, set, "")
	}
	p.out.gap()
	p.out.farewell()
}

// set tells where the adapters of one set are waited for.
func (p *person) set(s served, set *adaptersxml.Set, indent string) {
	p.out.line("%sAdapter Set %s  %s", indent, p.out.strong(set.ID), p.out.faint(set.File))
	width := len("Metadata Adapter")
	for _, at := range s.adapters {
		if at.Set == set.ID {
			width = max(width, len(at.DataAdapter))
		}
	}
	if set.Metadata.Literal != nil {
		p.out.line("%s  %-*s  %s", indent, width, adapterName(""), "built in")
	}
	for _, at := range s.adapters {
		if at.Set != set.ID {
			continue
		}
		where := "dials " + at.RemoteAddr
		if at.Addr != nil {
			where = at.Addr.String()
		}
		if at.NotifyAddr != nil {
			where += ", notifications " + at.NotifyAddr.String()
		}
		p.out.line("%s  %-*s  %s", indent, width, adapterName(at.DataAdapter), where)
	}
}

func (p *person) adapter(a adapterEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state, more := p.out.good("connected"), ""
	if !a.connected {
		state, more = p.out.warn("lost     "), p.out.faint("  after "+a.lasted.Round(time.Second).String())
	}
	p.out.line("%s  %s  %s  %s%s", p.out.faint(a.at.Format(clock)), state, p.out.strong(a.set), adapterName(a.name), more)
}

func (p *person) reloaded(r reload, s served) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.out.faint(time.Now().Format(clock))
	if r.certificate {
		p.out.line("%s  %s  the certificate; new connections get it", now, p.out.accent("reloaded "))
		return
	}
	var parts []string
	for _, part := range []struct {
		ids  []string
		what string
	}{{r.Added, "added"}, {r.Replaced, "replaced"}, {r.Removed, "removed"}, {r.kept, "kept as it was until its file is mended"}, {r.leftOut, "left out until it is mended"}} {
		for _, id := range part.ids {
			parts = append(parts, p.out.strong(id)+" "+part.what)
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing is different"}
	}
	p.out.line("%s  %s  %s", now, p.out.accent("reloaded "), strings.Join(parts, ", "))
	changed := make(map[string]bool)
	for _, ids := range [][]string{r.Added, r.Replaced} {
		for _, id := range ids {
			changed[id] = true
		}
	}
	for _, set := range s.sets {
		if changed[set.ID] {
			p.set(s, set, "          ")
		}
	}
}

func (p *person) problem(pr *adaptersxml.Problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	writeProblem(p.err, pr)
}

// writeProblem writes a problem the way compilers do, so that editors and terminals can jump to it.
func writeProblem(s *style, p *adaptersxml.Problem) {
	place := ""
	switch {
	case p.Line > 0:
		place = fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	case p.File != "":
		place = p.File + ": "
	}
	message := p.Message
	if p.Severity == adaptersxml.SeverityWarning {
		message = s.warn("warning:") + " " + message
	}
	paint := s.bad
	if p.Severity == adaptersxml.SeverityWarning {
		paint = s.strong
	}
	_, _ = fmt.Fprintf(s.out, "%s%s\n", paint(place), message) // see style.line
}

func (p *person) stopped(took time.Duration, cut bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		return // it is told as the error of the command
	}
	sayStopped(p.out, took, cut)
}
