package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// Everything a person is told, with and without colour, is the same text.
func TestColourChangesNoText(t *testing.T) {
	say := func(color bool) string {
		var out bytes.Buffer
		p := newPerson(&out, &out)
		p.out.color, p.err.color = color, color
		set := &adaptersxml.Set{ID: "MINE", File: "mine.xml"}
		s := served{url: "http://x", monitoring: true, sets: []*adaptersxml.Set{set}, adapters: []broker.AdapterAddr{
			{Set: "MINE", RemoteAddr: "there:1"}, {Set: "MINE", DataAdapter: "A_DATA_ADAPTER_OF_A_LONG_NAME", RemoteAddr: "there:2"}, {Set: "OTHER"},
		}}
		p.listening(s)
		at := time.Date(2026, 1, 1, 12, 30, 1, 0, time.UTC)
		p.adapter(adapterEvent{set: "MINE", connected: true, at: at})
		p.adapter(adapterEvent{set: "MINE", name: "D", at: at, lasted: time.Minute})
		p.reloaded(reload{Changes: broker.Changes{Added: []string{"MINE"}}, kept: []string{"OLD"}, leftOut: []string{"f.xml"}}, s)
		p.reloaded(reload{}, s)
		p.reloaded(reload{certificate: true}, s)
		p.problem(&adaptersxml.Problem{File: "mine.xml", Line: 3, Column: 4, Message: "wrong"})
		p.problem(&adaptersxml.Problem{File: "mine.xml", Severity: adaptersxml.SeverityWarning, Message: "odd"})
		p.problem(&adaptersxml.Problem{Message: "strange"})
		p.stopped(time.Second, true, nil)
		return regexp.MustCompile(`\d\d:\d\d:\d\d`).ReplaceAllString(out.String(), "hh:mm:ss")
	}
	plain, painted := say(false), say(true)
	if strings.Contains(plain, "\x1b") || !strings.Contains(painted, "\x1b[1;33m") {
		t.Errorf("colours:\n%q\n%q", plain, painted)
	}
	if stripped := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(painted, ""); stripped != plain {
		t.Errorf("in colour:\n%s\nwithout:\n%s", stripped, plain)
	}
	for _, want := range []string{
		"\n  → http://x/  for clients\n", "\n    Metadata Adapter               dials there:1\n    A_DATA_ADAPTER_OF_A_LONG_NAME  dials there:2\n",
		"\n  hh:mm:ss  connected  MINE  Metadata Adapter\n  hh:mm:ss  lost       MINE  D  after 1m0s\n",
		"\n  hh:mm:ss  reloaded   MINE added, OLD kept as it was until its file is mended, f.xml left out until it is mended\n            Adapter Set MINE  mine.xml\n",
		"\n  hh:mm:ss  reloaded   nothing is different\n", "\n  hh:mm:ss  reloaded   the certificate;",
		"\nmine.xml:3:4: wrong\nmine.xml: warning: odd\nstrange\n", "were cut.\n",
	} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q in\n%s", want, plain)
		}
	}
}

func TestTerminalLog(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log := slog.New(newTerminalLog(newStyle(&out), level))
	log.Debug("hidden")
	log.With("adapter", "A").WithGroup("g").Warn("lost", "error", "an end", "msg", "kept")
	log.Error("gone")
	level.Set(slog.LevelDebug)
	log.Debug("shown")
	want := "  hh:mm:ss  warning    lost  adapter=A g.error=\"an end\" g.msg=kept\n  hh:mm:ss  error      gone  \n  hh:mm:ss  debug      shown  \n"
	if got := regexp.MustCompile(`\d\d:\d\d:\d\d`).ReplaceAllString(out.String(), "hh:mm:ss"); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// What the broker logs about adapters.xml is told like any other problem, and not twice.
func TestWarningsOfTheBroker(t *testing.T) {
	var out, logged bytes.Buffer
	w := newWarnings(newPerson(&out, &out), slog.NewTextHandler(&logged, nil))
	own := &adaptersxml.Problem{File: "C:/a.xml", Line: 1, Column: 2, Severity: adaptersxml.SeverityWarning, Message: "own"}
	w.problem(own)
	log := slog.New(w)
	log.Warn("broker: adapters.xml", "problem", own.Error())
	log.Warn("broker: adapters.xml", "problem", "C:/a.xml:3:4: warning: no effect: here")
	log.Warn("something else", "problem", "free text")
	if want := "C:/a.xml:1:2: warning: own\nC:/a.xml:3:4: warning: no effect: here\n"; out.String() != want {
		t.Errorf("told:\n%s\nwant:\n%s", &out, want)
	}
	if strings.Count(logged.String(), "\n") != 1 || !strings.Contains(logged.String(), "free text") {
		t.Errorf("logged:\n%s", &logged)
	}

	// For real, through the command.
	dir := t.TempDir()
	writeFile(t, dir+"/adapters.xml", strings.Replace(strings.Replace(setXML("MINE", freePort(t)), "</data", `<param name="first_connection_timeout_millis">5</param></data`, 1), "<classloader>log-enabled</classloader>", "", 1))
	p, _ := startServe(t, dir)
	p.stop()
	var told []string
	for _, e := range p.events(p.stdout.String()) {
		if e.Event == "problem" {
			told = append(told, fmt.Sprint(e.Line, " ", e.Severity))
		}
	}
	if got := strings.Join(told, ", "); got != "5 warning, 9 warning" {
		t.Errorf("told of %q", got)
	}
	if text := p.stderr.String(); text != "" {
		t.Errorf("standard error:\n%s", text)
	}
}
