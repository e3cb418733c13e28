//go:build interop

package clients

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

// event is what a peer tells, see README.md.
type event struct {
	Client   string             `json:"client,omitempty"`
	Event    string             `json:"event"`
	Status   string             `json:"status,omitempty"`
	Session  string             `json:"session,omitempty"`
	Sub      string             `json:"sub,omitempty"`
	Item     string             `json:"item,omitempty"`
	Pos      int                `json:"pos,omitempty"`
	Key      string             `json:"key,omitempty"`
	Snapshot bool               `json:"snapshot,omitempty"`
	Values   map[string]*string `json:"values,omitempty"`
	Changed  []string           `json:"changed,omitempty"`
	Patch    *string            `json:"patch,omitempty"`
	Lost     int                `json:"lost,omitempty"`
	Message  string             `json:"message,omitempty"`
	Outcome  string             `json:"outcome,omitempty"`
	Code     int                `json:"code,omitempty"`
	Text     string             `json:"text,omitempty"`
}

// value returns a field of an update, "" if it is null.
func (e event) value(field string) string {
	if v := e.Values[field]; v != nil {
		return *v
	}
	return ""
}

func (e event) String() string {
	text, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// peer is a program with one client library, at work.
type peer struct {
	id   string
	send func(command []byte) error

	mu      sync.Mutex
	clients int
	events  map[string][]event // by the name of the client; "" for those of the program
	ended   bool
	more    chan struct{} // closed and replaced when there is more to see
}

func newPeer(send func([]byte) error) *peer {
	return &peer{send: send, events: make(map[string][]event), more: make(chan struct{})}
}

// tell notes an event, given as a line of the program's output.
func (p *peer) tell(line string) {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		e = event{Event: "crash", Text: "not an event: " + line}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events[e.Client] = append(p.events[e.Client], e)
	p.changed()
}

// end notes that the program is gone.
func (p *peer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.changed()
}

func (p *peer) changed() {
	close(p.more)
	p.more = make(chan struct{})
}

// checkVersion waits for the program to be ready and holds the library's version to that of the report.
func (p *peer) checkVersion(t *testing.T) {
	t.Helper()
	c := &client{t: t, peer: p}
	ready := c.await("the program", func(e event) bool { return e.Event == "ready" })
	for _, column := range table.Peers {
		if column.ID == p.id && !strings.HasPrefix(ready.Text, column.Version+" ") {
			t.Fatalf("the library is %q, the report says %s", ready.Text, column.Version)
		}
	}
}

// startProgram runs a peer that is a process, until the test ends.
func startProgram(t *testing.T, name string, args ...string) *peer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // ended by the cleanup, after those of the clients
	command := exec.CommandContext(ctx, name, args...)
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
	p := newPeer(func(line []byte) error {
		_, err := stdin.Write(append(line, '\n'))
		return err
	})
	done := make(chan struct{})
	go func() { // ends with the process
		defer close(done)
		p.read(stdout)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = command.Wait() // killed on purpose
	})
	return p
}

func (p *peer) read(stdout io.Reader) {
	defer p.end()
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.tell(lines.Text())
	}
}

// installed returns what "make interop" hands over.
func installed(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: run \"make interop\", which installs the peers", variable)
	}
	return path
}

func startNode(t *testing.T) *peer {
	npmPackage(t, "lightstreamer-client-node")
	return startProgram(t, "node", filepath.Join("node", "main.mjs"))
}

func startPython(t *testing.T) *peer {
	return startProgram(t, installed(t, "INTEROP_CLIENT_PYTHON"), filepath.Join("python", "peer.py"))
}

func startJava(t *testing.T) *peer {
	at := installed(t, "INTEROP_CLIENT_JAVA")
	classes := filepath.Join(at, "classes") + string(os.PathListSeparator) + filepath.Join(at, "lib", "*")
	return startProgram(t, "java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", classes, "Peer")
}

// npmPackage returns the folder of a package of the repository's package.json.
func npmPackage(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "node_modules", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "package.json")); err != nil {
		t.Fatalf("the npm package %s is missing: run \"make interop\", which installs it", name)
	}
	return dir
}

// client is one instance of the library in a peer. Its methods fail the test when what they wait for does not come.
type client struct {
	t    testing.TB
	peer *peer
	name string
	next int // the position of the event to look at
}

// client makes an instance for the Adapter Set TEST, not connected yet. It is disconnected when the capability has been tried.
func (l *lab) client(url string) *client { return l.clientOf(url, "TEST") }

func (l *lab) clientOf(url, set string) *client {
	l.Helper()
	p := l.peer
	p.mu.Lock()
	p.clients++
	c := &client{t: l, peer: p, name: fmt.Sprint("c", p.clients)}
	p.mu.Unlock()
	c.do("create", "url", url, "set", set)
	l.Cleanup(func() {
		if l.Failed() {
			l.Logf("the last events of %s:\n%s", c.name, c.tail())
		}
		c.do("disconnect")
	})
	return c
}

// do sends a command: its name, then pairs of detail and value.
func (c *client) do(name string, details ...any) {
	c.t.Helper()
	command := map[string]any{"do": name, "client": c.name}
	for i := 0; i < len(details); i += 2 {
		command[details[i].(string)] = details[i+1]
	}
	line, err := json.Marshal(command)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.peer.send(line); err != nil {
		c.t.Fatalf("the peer has ended: %v\n%s", err, c.tail())
	}
}

// await returns the first event that satisfies want, of those not passed over by an await before. It fails the test when there is none in
// time, and at once when the client crashed, or got an error that was not waited for and ended its session.
func (c *client) await(what string, want func(event) bool) event {
	c.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		c.peer.mu.Lock()
		events, own, more, ended := c.peer.events[c.name], c.peer.events[""], c.peer.more, c.peer.ended
		c.peer.mu.Unlock()
		for c.next < len(events) {
			e := events[c.next]
			c.next++
			if want(e) {
				return e
			}
			if e.Event == "crash" || e.Event == "serverError" {
				c.t.Fatalf("waiting for %s: %v", what, e)
			}
		}
		if c.name != "" && len(own) > 1 {
			c.t.Fatalf("waiting for %s: the peer tells %v", what, own[1])
		}
		if ended {
			c.t.Fatalf("waiting for %s: the peer has ended", what)
		}
		select {
		case <-more:
		case <-deadline.C:
			c.t.Fatalf("waiting for %s: nothing within %v", what, patience)
		}
	}
}

// mark is the position of the next event to come; c.next = mark looks at those since.
func (c *client) mark() int {
	c.peer.mu.Lock()
	defer c.peer.mu.Unlock()
	return len(c.peer.events[c.name])
}

// since returns the events from a position on.
func (c *client) since(from int) []event {
	c.peer.mu.Lock()
	defer c.peer.mu.Unlock()
	events := c.peer.events[c.name]
	return events[from:len(events):len(events)]
}

func (c *client) tail() string {
	events := c.since(max(0, c.mark()-25))
	var text strings.Builder
	for _, e := range events {
		fmt.Fprintln(&text, e)
	}
	return text.String()
}

// Conditions for await.

func isStatus(status string) func(event) bool {
	return func(e event) bool { return e.Event == "status" && e.Status == status }
}

func isEvent(name, sub string) func(event) bool {
	return func(e event) bool { return e.Event == name && e.Sub == sub }
}

func isText(name, text string) func(event) bool {
	return func(e event) bool { return e.Event == name && e.Text == text }
}

func isOutcome(message string) func(event) bool {
	return func(e event) bool { return e.Event == "message" && e.Message == message }
}

func isUpdate(sub string, more ...func(event) bool) func(event) bool {
	return func(e event) bool {
		if e.Event != "update" || e.Sub != sub {
			return false
		}
		for _, m := range more {
			if !m(e) {
				return false
			}
		}
		return true
	}
}
