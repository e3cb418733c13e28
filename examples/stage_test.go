package examples

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// patience is how long a test waits for what has to come; it only runs out when something is wrong.
const patience = time.Minute

// serve starts a broker with the Adapter Set of an example, on free ports.
func serve(t *testing.T, dir string, change func(*adaptersxml.Set)) *broker.Running {
	t.Helper()
	set, err := adaptersxml.ReadFile(filepath.Join(dir, "adapters.xml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range set.Warnings {
		t.Errorf("%v", w)
	}
	for _, p := range proxies(set) {
		p.RequestReplyPort = 0
	}
	if change != nil {
		change(set)
	}
	running, err := broker.Start(t.Context(), broker.Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}, Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Close)
	return running
}

func proxies(set *adaptersxml.Set) []*adaptersxml.Proxy {
	all := []*adaptersxml.Proxy{set.Metadata.Proxy}
	for i := range set.Data {
		all = append(all, set.Data[i].Proxy)
	}
	return all
}

// ports tells where the proxies wait: the Metadata Adapter's under "", the others by their names.
func ports(running *broker.Running) map[string]string {
	at := make(map[string]string)
	for _, a := range running.Adapters() {
		at[a.DataAdapter] = a.Addr.String()
	}
	return at
}

// usual are the replacements for a program with the usual two ports.
func usual(running *broker.Running) []string {
	at := ports(running)
	return []string{`"localhost:8003"`, `"` + at[""] + `"`, `"localhost:8001"`, `"` + at["DEFAULT"] + `"`}
}

// program is an example at work.
type program struct {
	t       *testing.T
	command *exec.Cmd
	exited  chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
	more   chan struct{} // closed when there is more output
}

// run builds the program in a folder and starts it. Pairs of texts are replaced in its main.go, so that it uses the ports of the test instead of
// fixed ones, which others may use.
func run(t *testing.T, dir string, replace []string, args ...string) *program {
	t.Helper()
	binary := build(t, dir, replace)
	p := &program{t: t, command: exec.Command(binary, args...), exited: make(chan struct{}), more: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = p, p
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		defer close(p.exited)
		_ = p.command.Wait()
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s wrote:\n%s", dir, &p.output)
		}
	})
	return p
}

func build(t *testing.T, dir string, replace []string) string {
	t.Helper()
	source, err := filepath.Abs(filepath.Join(dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			t.Fatalf("%s has no %s", source, replace[i])
		}
	}
	temp := t.TempDir()
	changed := filepath.Join(temp, "main.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, changed, strings.NewReplacer(replace...).Replace(string(text)))
	write(t, filepath.Join(temp, "overlay.json"), string(overlay))
	binary := filepath.Join(temp, "program")
	if out, err := exec.Command("go", "build", "-overlay", filepath.Join(temp, "overlay.json"), "-o", binary, "./"+dir).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Write takes output of the process.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.more)
	p.more = make(chan struct{})
	return p.output.Write(b)
}

// await waits for a text in the output and returns its submatches.
func (p *program) await(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		match, more := re.FindStringSubmatch(p.output.String()), p.more
		p.mu.Unlock()
		if match != nil {
			return match
		}
		select {
		case <-more:
		case <-p.exited:
			p.t.Fatalf("ended (%v) before it wrote %s", p.command.ProcessState, pattern)
		case <-deadline:
			p.t.Fatalf("did not write %s", pattern)
		}
	}
}

// stop ends the program as Ctrl-C does.
func (p *program) stop() {
	p.t.Helper()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatal("does not end")
	}
	if status := p.command.ProcessState.ExitCode(); status != 0 {
		p.t.Errorf("exit status %d", status)
	}
}

// wait waits for the program to end by itself, and returns its status.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.command.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatal("does not end")
		return -1
	}
}

// portOf returns the port of an address.
func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

var _ io.Writer = (*program)(nil)
