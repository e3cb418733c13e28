//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// call is one line of a peer: a call of its adapter.
type call struct {
	Call string `json:"call"`
	args map[string]any
}

func (c call) str(name string) string {
	s, _ := c.args[name].(string)
	return s
}

// table returns the first table of the call.
func (c call) table() map[string]any {
	list, _ := c.args["tables"].([]any)
	if len(list) == 0 {
		return nil
	}
	m, _ := list[0].(map[string]any)
	return m
}

// settings is the argument of a peer.
type settings struct {
	Metadata  []any   `json:"metadata,omitempty"`
	Data      []any   `json:"data,omitempty"`
	Notify    int     `json:"notify,omitempty"`
	User      *string `json:"user,omitempty"`
	Password  *string `json:"password,omitempty"`
	CA        string  `json:"ca,omitempty"`
	Keepalive *int    `json:"keepalive,omitempty"`
}

func address(a net.Addr) []any {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return nil
	}
	// The name, so that certificates can be checked.
	return []any{"localhost", tcp.Port}
}

// process is a peer at work.
type process struct {
	t    *testing.T
	peer string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when calls grew
	calls   []call
	seen    int
	stderr  bytes.Buffer
}

// command is exec.CommandContext; the lab starts what its configuration names.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

// installed returns a path that "make interop" hands over, and fails the test if it does not.
func installed(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: run \"make interop\", which installs the peers", variable)
	}
	return path
}

// startPeer runs a peer until the test ends.
func startPeer(t *testing.T, peer string, s settings) *process {
	t.Helper()
	arg, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var cmd *exec.Cmd
	ctx := context.WithoutCancel(t.Context()) // ended by the cleanup, after what else is to be cleaned up
	switch peer {
	case "python":
		cmd = command(ctx, installed(t, "INTEROP_PYTHON"), "peers/python/peer.py", string(arg))
	case "node":
		cmd = command(ctx, "node", "peers/node/peer.js", string(arg))
		cmd.Env = append(os.Environ(), "PEER_MODULES="+installed(t, "INTEROP_NODE"))
	case "java":
		at := installed(t, "INTEROP_JAVA")
		cmd = command(ctx, "java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx64m", "-cp", filepath.Join(at, "classes")+string(os.PathListSeparator)+filepath.Join(at, "lib", "*"), "Peer", string(arg))
	default:
		t.Fatalf("no peer %s", peer)
	}
	p := &process{t: t, peer: peer, cmd: cmd, done: make(chan struct{}), changed: make(chan struct{})}
	cmd.Stderr = &syncWriter{mu: &p.mu, b: &p.stderr}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(out) // ends with the process
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
			t.Logf("the peer (%v), its last calls: %v\nits errors:\n%s", cmd.ProcessState, p.calls[max(0, len(p.calls)-10):], tail(p.stderr.String()))
		}
	})
	return p
}

func tail(s string) string {
	const most = 6000
	if len(s) > most {
		return "..." + s[len(s)-most:]
	}
	return s
}

type syncWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w *syncWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (p *process) read(out io.Reader) {
	defer close(p.done)
	in := bufio.NewScanner(out)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		c := call{}
		if json.Unmarshal(in.Bytes(), &c) != nil || json.Unmarshal(in.Bytes(), &c.args) != nil {
			continue
		}
		p.mu.Lock()
		p.calls = append(p.calls, c)
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
	_ = p.cmd.Wait() // how it has ended is not asked here
	p.mu.Lock()
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
}

// kill ends the process the hard way (kill -9), and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// staysAfterClose is what the report says of a peer that does not end with CLOSE.
const staysAfterClose = "This SDK only logs a CLOSE of the proxy and stays without a connection; a supervisor has to end it."

// closed waits for the process to end by itself, as the proxy has sent CLOSE. The Python SDK takes that quietly: there it is
// killed.
func (p *process) closed(o *outcome) {
	p.t.Helper()
	if p.peer == "python" {
		o.cell.Note = staysAfterClose
		p.kill()
		return
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("the peer does not end")
	}
}

// await returns the next call of that name for which match, if not nil, is true. Calls before it are passed over.
func (p *process) await(name string, match func(call) bool) call {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		for p.seen < len(p.calls) {
			c := p.calls[p.seen]
			p.seen++
			if c.Call == name && (match == nil || match(c)) {
				p.mu.Unlock()
				return c
			}
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-p.done:
			p.t.Fatalf("the peer has ended without the call %s", name)
		case <-deadline:
			p.t.Fatalf("no call %s", name)
		}
	}
}

// rewind lets await look at all calls again: those of data and metadata have no order between them.
func (p *process) rewind() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = 0
}

// expectArgs compares arguments of a call; those not named are not looked at.
func expectArgs(t *testing.T, c call, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if got := c.args[name]; !reflect.DeepEqual(got, value) {
			t.Errorf("%s: %s is %v (%T), want %v", c.Call, name, got, got, value)
		}
	}
}

// forSession matches calls about a session.
func forSession(id string) func(call) bool {
	return func(c call) bool { return c.str("session") == id }
}

func forItem(item string) func(call) bool {
	return func(c call) bool { return c.str("item") == item }
}

func (c call) String() string {
	text := fmt.Sprint(c.args)
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return strings.TrimPrefix(text, "map")
}
