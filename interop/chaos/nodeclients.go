//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/interop/internal/ledger"
)

// nodeClients are official clients for Node.js in a process, the peer of package interop/clients.
// They connect again by themselves; what of theirs is needed besides is done by tend.
type nodeClients struct {
	child   *child
	url     string
	victims []*victim
	latency ledger.Latency

	mu     sync.Mutex
	byName map[string]*nodeClient
	wrong  string // what must not be: a crash
}

// nodeClient is one of them.
type nodeClient struct {
	*victim
	name    string
	session string
	again   map[ledger.Mode]bool // refused subscriptions, to be made again
	ended   bool                 // for good, by the server's word: to be connected again
	status  []string             // the last ones, and when
}

// nodeEvent is what the peer tells, see interop/clients/README.md.
type nodeEvent struct {
	Client   string             `json:"client"`
	Event    string             `json:"event"`
	Status   string             `json:"status"`
	Session  string             `json:"session"`
	Sub      ledger.Mode        `json:"sub"`
	Snapshot bool               `json:"snapshot"`
	Values   map[string]*string `json:"values"`
	Lost     int64              `json:"lost"`
	Code     int                `json:"code"`
	Text     string             `json:"text"`
}

// startNode starts the clients, and has them connect and subscribe.
func (s *stage) startNode(count int) error {
	node, err := exec.LookPath("node")
	if err != nil {
		return errors.New("node.js is missing: install version 20 or later (the command is \"node\"), or leave its clients out with --node 0")
	}
	if _, err = os.Stat(filepath.Join(s.o.root, "node_modules", "lightstreamer-client-node")); errors.Is(err, fs.ErrNotExist) {
		return errors.New("the npm package lightstreamer-client-node is missing: run \"npm ci\" in the repository's folder, or leave its clients out with --node 0")
	}
	n := &nodeClients{url: "http://" + s.clientWire.addr(s.httpPort), byName: make(map[string]*nodeClient)}
	for i := range count {
		c := &nodeClient{victim: newVictim(&n.latency), name: fmt.Sprint("c", i), again: make(map[ledger.Mode]bool)}
		n.byName[c.name] = c
		n.victims = append(n.victims, c.victim)
	}
	program := filepath.Join(s.o.root, "interop", "clients", "node", "main.mjs")
	if n.child, err = s.o.children.start(spec{name: "node.js clients", args: []string{node, program}, line: n.line}); err != nil {
		return err
	}
	s.node = n
	for name := range n.byName {
		n.send(name, "create", "url", n.url, "set", setID)
		n.connect(name)
		for _, mode := range ledger.Modes {
			n.subscribe(name, mode)
		}
	}
	return nil
}

func (n *nodeClients) connect(name string) {
	n.send(name, "connect", "transport", "WS-STREAMING", "options", map[string]any{
		"RetryDelay": 500, "FirstRetryMaxDelay": 100, "KeepaliveInterval": 1000, "StalledTimeout": 1000, "ReconnectTimeout": 1000,
	})
}

func (n *nodeClients) subscribe(name string, mode ledger.Mode) {
	columns, details := fields, []any{"snapshot", "yes", "frequency", "unfiltered"}
	switch mode {
	case ledger.Command:
		columns = append([]string{"key", "command"}, fields...)
	case ledger.Raw:
		details = nil
	case ledger.Merge:
		details = details[:2]
	}
	n.send(name, "subscribe", append(details, "sub", mode, "mode", mode, "items", []string{itemOf[mode]}, "fields", columns)...)
}

// send sends a command: its name, then pairs of detail and value. A peer that has ended is noticed
// where answers are read.
func (n *nodeClients) send(name, do string, details ...any) {
	command := map[string]any{"do": do, "client": name}
	for pair := range slices.Chunk(details, 2) {
		command[pair[0].(string)] = pair[1]
	}
	line, err := json.Marshal(command)
	if err != nil {
		n.fail("a command of ours: " + err.Error())
		return
	}
	_, _ = n.child.in.Write(append(line, '\n'))
}

func (n *nodeClients) fail(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wrong == "" {
		n.wrong = what
	}
}

// line takes an event.
func (n *nodeClients) line(line []byte) {
	var e nodeEvent
	if err := json.Unmarshal(line, &e); err != nil || e.Event == "crash" {
		n.fail(string(line))
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.byName[e.Client]
	if c == nil {
		return // of the program
	}
	switch l := c.ledgers[e.Sub]; e.Event {
	case "status":
		c.status = append(c.status, time.Now().Format("05.000 ")+e.Status)
		c.status = c.status[max(0, len(c.status)-keptStatus):]
		if strings.HasPrefix(e.Status, "CONNECTED:") && e.Session != "" && e.Session != c.session {
			if c.session != "" {
				c.finished(true, "another session")
			}
			c.session = e.Session
			c.begun()
		}
	case "serverError":
		c.ended = true
		c.finished(false, fmt.Sprintf("session: %d %s", e.Code, e.Text))
	case "subscriptionError":
		c.again[e.Sub] = true
		c.finished(false, fmt.Sprintf("subscription: %d %s", e.Code, e.Text))
	case "clearSnapshot":
		l.Cleared()
	case "lost":
		l.Lost(e.Lost)
	case "update":
		c.update(e.Sub, func(field string) string {
			if v := e.Values[field]; v != nil {
				return *v
			}
			return ""
		}, e.Snapshot)
	}
}

// tend does what an application would: it connects again after an error, and makes subscriptions
// again that were refused.
func (n *nodeClients) tend() {
	type wish struct {
		name string
		mode ledger.Mode
	}
	var connect []string
	var subscribe []wish
	n.mu.Lock()
	for name, c := range n.byName {
		if c.ended {
			c.ended = false
			connect = append(connect, name)
		}
		for mode := range c.again {
			delete(c.again, mode)
			subscribe = append(subscribe, wish{name, mode})
		}
	}
	n.mu.Unlock()
	for _, name := range connect {
		n.connect(name)
	}
	for _, w := range subscribe {
		n.send(w.name, "unsubscribe", "sub", w.mode)
		n.subscribe(w.name, w.mode)
	}
}

// keptStatus is how many changes of a client's status are kept, to be shown if it is stuck.
const keptStatus = 12

// stuck tells of the clients that have got nothing since a time.
func (n *nodeClients) stuck(since int64) (list []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.byName {
		if !c.each(func(_ ledger.Mode, l *ledger.Ledger) bool { return l.Fresh(since) }) {
			list = append(list, fmt.Sprintf("Node.js client %s is stuck: %s", c.name, strings.Join(c.status, ", ")))
		}
	}
	return list
}

// order answers orders as the process of the Go clients does.
func (n *nodeClients) order(_ context.Context, o order) (clientsAnswer, error) {
	n.tend()
	n.mu.Lock()
	wrong := n.wrong
	n.mu.Unlock()
	if wrong != "" {
		return clientsAnswer{}, fmt.Errorf("the Node.js client: %s", wrong)
	}
	if !n.child.alive() {
		return clientsAnswer{}, fmt.Errorf("the Node.js client has ended: %w", n.child.death())
	}
	a, _ := answerFor(n.victims, &n.latency, o)
	return a, nil
}
