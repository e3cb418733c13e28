package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait of the tests. It only decides how long a failing test takes.
const patience = 60 * time.Second

// repository returns the repository's folder, and fails the test if the npm packages are not installed in it.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lightstreamer-client-web", "lightstreamer-client-node"} {
		if _, err := os.Stat(filepath.Join(dir, "node_modules", name, "package.json")); err != nil {
			t.Fatalf("the npm package %s is missing: run \"npm ci\" in the repository's folder", name)
		}
	}
	return dir
}

// nodeEvent is what testdata/e2e/client.mjs writes. Event names those of the client's listeners.
type nodeEvent struct {
	Event    string
	Status   string
	Session  string
	Sub      string
	Item     string
	Snapshot bool
	Values   map[string]*string
	Changed  []string
	Message  string
	Outcome  string
	Code     int
	Text     string
}

// value returns a field of an update, "" if it is null.
func (e nodeEvent) value(field string) string {
	if v := e.Values[field]; v != nil {
		return *v
	}
	return ""
}

func (e nodeEvent) String() string {
	text, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// nodeClient is the official Node.js client in a process of its own.
type nodeClient struct {
	t     *testing.T
	stdin io.WriteCloser

	mu     sync.Mutex
	events []nodeEvent
	ended  bool
	more   chan struct{} // closed when events or ended change
}

func startNodeClient(t *testing.T) *nodeClient {
	t.Helper()
	repository(t)
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("Node.js is missing: install version 20 or later (the command is \"node\")")
	}
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, node, filepath.Join("testdata", "e2e", "client.mjs"))
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c := &nodeClient{t: t, stdin: stdin, more: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read(stdout)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = command.Wait() // killed on purpose
	})
	return c
}

func (c *nodeClient) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event nodeEvent
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			event = nodeEvent{Event: "noise", Text: lines.Text()}
		}
		c.mu.Lock()
		c.events = append(c.events, event)
		close(c.more)
		c.more = make(chan struct{})
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	close(c.more)
	c.more = make(chan struct{})
}

// do sends a command to the client: its name, then pairs of detail and value.
func (c *nodeClient) do(name string, details ...any) {
	c.t.Helper()
	command := map[string]any{"do": name}
	for i := 0; i < len(details); i += 2 {
		command[details[i].(string)] = details[i+1]
	}
	line, err := json.Marshal(command)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.stdin.Write(append(line, '\n')); err != nil {
		c.t.Fatalf("the client has ended: %v\n%s", err, c.tail())
	}
}

// await returns the first event, at or after the given position, that satisfies want, and the position behind it. It fails
// the test when there is none in time, and at once when the client crashed or lost its session for good.
func (c *nodeClient) await(what string, from int, want func(nodeEvent) bool) (nodeEvent, int) {
	c.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for i := from; ; {
		c.mu.Lock()
		events, more, ended := c.events, c.more, c.ended
		c.mu.Unlock()
		for ; i < len(events); i++ {
			switch event := events[i]; {
			case want(event):
				return event, i + 1
			case event.Event == "crash" || event.Event == "noise" || event.Event == "serverError":
				c.t.Fatalf("waiting for %s: %v", what, event)
			}
		}
		if ended {
			c.t.Fatalf("waiting for %s: the client has ended\n%s", what, c.tail())
		}
		select {
		case <-more:
		case <-deadline.C:
			c.t.Fatalf("waiting for %s: nothing within %v\n%s", what, patience, c.tail())
		}
	}
}

// position is that of the next event.
func (c *nodeClient) position() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.events)
}

// since returns the events from a position on.
func (c *nodeClient) since(from int) []nodeEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events[from:len(c.events):len(c.events)]
}

// tail shows the last events, for messages.
func (c *nodeClient) tail() string {
	events := c.since(max(0, c.position()-12))
	var text strings.Builder
	for _, event := range events {
		fmt.Fprintln(&text, event)
	}
	return text.String()
}

// Conditions for await.

func isStatus(status string) func(nodeEvent) bool {
	return func(e nodeEvent) bool { return e.Event == "status" && e.Status == status }
}

func isEvent(event, sub string) func(nodeEvent) bool {
	return func(e nodeEvent) bool { return e.Event == event && e.Sub == sub }
}

func isUpdate(sub string, more func(nodeEvent) bool) func(nodeEvent) bool {
	return func(e nodeEvent) bool { return e.Event == "update" && e.Sub == sub && (more == nil || more(e)) }
}

func isOutcome(message string) func(nodeEvent) bool {
	return func(e nodeEvent) bool { return e.Event == "message" && e.Message == message }
}
