//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// auditLines returns the events in a file.
func auditLines(t *testing.T, file string) (events []broker.AuditEvent) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e broker.AuditEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}

// awaitAudit waits until an event is in a file.
func awaitAudit(t *testing.T, file, event string) {
	t.Helper()
	late := time.After(patience)
	for {
		for _, e := range auditLines(t, file) {
			if e.Event == event {
				return
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-late:
			t.Fatalf("no %s in %s", event, file)
		}
	}
}

// The audit log goes to a file of the person's own, which may be renamed away at any time.
func TestServeAudit(t *testing.T) {
	dir := t.TempDir()
	port := freePort(t)
	writeFile(t, filepath.Join(dir, "adapters.xml"), strings.Replace(setXML("MINE", port), "</data_provider>",
		`<param name="remote_address_whitelist">192.0.2.1</param></data_provider>`, 1))
	file, first, second := filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "first"), filepath.Join(dir, "second")
	p, listening := startServe(t, dir, "--audit", file)
	awaitAudit(t, file, broker.AuditStarted)
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	refused := func() { // a peer that is not in the whitelist
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	if err := os.Rename(file, first); err != nil {
		t.Fatal(err)
	}
	refused()
	awaitAudit(t, file, broker.AuditAdapterRefused) // in a new file: the name leads to none

	if err := os.Rename(file, second); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	refused()
	awaitAudit(t, file, broker.AuditAdapterRefused)
	p.stop()
	awaitAudit(t, file, broker.AuditStopped)
	if events := auditLines(t, first); len(events) != 1 || events[0].Address != strings.TrimPrefix(listening.URL, "http://") {
		t.Errorf("the first file has %+v", events)
	}
	if events := auditLines(t, second); len(events) != 1 || events[0].Set != "MINE" || events[0].DataAdapter != "FEED" || !strings.Contains(events[0].Text, "whitelist") {
		t.Errorf("the second file has %+v", events)
	}
}

func TestServeAuditRefusesOtherFiles(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "adapters.xml"), setXML("MINE", freePort(t)))
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{pipe, dir, filepath.Join(dir, "none", "audit")} {
		var out, err bytes.Buffer
		if status := run(t.Context(), []string{"serve", "--adapters", dir, "--http", "127.0.0.1:0", "--audit", file}, &out, &err); status != exitFailed || !strings.Contains(err.String(), file) {
			t.Errorf("%s: status %d, %s", file, status, &err)
		}
	}
}

// A disk that is full is told of once, and lines begin anew when there is room.
func TestAuditOnAFullDisk(t *testing.T) {
	var problems []*adaptersxml.Problem
	full := &failing{errs: []error{syscall.ENOSPC, syscall.ENOSPC, nil, syscall.ENOSPC}}
	a, err := openAudit("-", full, func(p *adaptersxml.Problem) { problems = append(problems, p) })
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		a.event(broker.AuditEvent{Event: broker.AuditStarted})
	}
	if len(problems) != 2 || !strings.Contains(problems[0].Message, "no space left") {
		t.Errorf("problems: %v", problems)
	}
}
