package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// binaryDir is where binary builds; it lasts as long as the tests.
var binaryDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lsgo-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaryDir = dir
	for _, setting := range os.Environ() { // a person's own settings are not those of the tests
		if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, "LSGO_") {
			_ = os.Unsetenv(name)
		}
	}
	status := m.Run()
	_ = os.RemoveAll(dir) // a folder for temporary files, which gets cleaned anyway
	os.Exit(status)
}

// binary builds the command once for all tests that want it.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaryDir, "lsgo")
	if output, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
})

// process is the built command at work.
type process struct {
	t       *testing.T
	command *exec.Cmd
	stdout  *growing
	stderr  *growing
	exited  chan struct{}
}

// growing collects output and tells of more.
type growing struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (g *growing) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.more)
	g.more = make(chan struct{})
	return g.text.Write(b)
}

func (g *growing) state() (string, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String(), g.more
}

func (g *growing) String() string {
	text, _ := g.state()
	return text
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{
		t:       t,
		command: exec.Command(path, args...),
		stdout:  &growing{more: make(chan struct{})},
		stderr:  &growing{more: make(chan struct{})},
		exited:  make(chan struct{}),
	}
	p.command.Stdout, p.command.Stderr = p.stdout, p.stderr
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.command.Wait() // the tests look at the state
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // if it has not ended
		<-p.exited
		if t.Failed() {
			t.Logf("standard output:\n%s\nstandard error:\n%s", p.stdout, p.stderr)
		}
	})
	return p
}

// await waits for a text on the standard output and returns its submatches.
func (p *process) await(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		text, more := p.stdout.state()
		if match := re.FindStringSubmatch(text); match != nil {
			return match
		}
		select {
		case <-more:
		case <-p.exited:
			p.t.Fatalf("ended (%v) before it wrote %s", p.command.ProcessState, pattern)
		case <-deadline.C:
			p.t.Fatalf("did not write %s within %v", pattern, patience)
		}
	}
}

// status waits for the end and returns the exit status.
func (p *process) status() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.command.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("has not ended within %v", patience)
		return -1
	}
}

var freePorts = []string{"--http", "127.0.0.1:0", "--metadata-port", "0", "--data-port", "0"}

func TestDemoEndsOnSignal(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			p := startProcess(t, append([]string{"demo"}, freePorts...)...)
			address := p.await(`→ (http://127\.0\.0\.1:\d+/)`)[1]
			p.await(`Press Ctrl-C to stop`)
			response, err := http.Get(address)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("the page has status %d", response.StatusCode)
			}
			// With a session and subscriptions: they must not hold up the end.
			c := startNodeClient(t)
			c.do("connect", "url", address, "set", "DEMO")
			subscribeToQuotes(c)

			// How long a process takes to start and end here, so that a machine under load does not fail the test.
			begin := time.Now()
			if status := startProcess(t, "version").status(); status != 0 {
				t.Fatalf("lsgo version: exit status %d", status)
			}
			limit := 2*time.Second + 10*time.Since(begin)

			begin = time.Now()
			if err := p.command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if status := p.status(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			took := time.Since(begin)
			t.Logf("ended after %v", took)
			if took > limit {
				t.Errorf("took %v to end, more than %v", took, limit)
			}
			p.await("Stopped")
			if text := p.stderr.String(); text != "" {
				t.Errorf("standard error is not empty:\n%s", text)
			}
		})
	}
}

func TestSecondSignal(t *testing.T) {
	signals := make(chan os.Signal, 2)
	stopped, exited := make(chan struct{}), make(chan int, 1)
	go obey(signals, func() { close(stopped) }, func(status int) { exited <- status })
	signals <- os.Interrupt
	<-stopped
	select {
	case status := <-exited:
		t.Fatalf("the first signal exits with %d", status)
	default:
	}
	signals <- os.Interrupt
	if status := <-exited; status != 130 {
		t.Errorf("the second signal exits with %d, want 130", status)
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for flag, value := range map[string]string{
		"--http": "127.0.0.1:" + port, "--metadata-port": port, "--data-port": port, "--chat-port": port, "--portfolio-port": port,
	} {
		t.Run(flag, func(t *testing.T) {
			args := append([]string{"demo"}, freePorts...)
			p := startProcess(t, append(args, flag, value)...)
			if status := p.status(); status != 1 {
				t.Errorf("exit status %d, want 1", status)
			}
			text := p.stderr.String()
			for _, want := range []string{port, "in use", flag} {
				if !strings.Contains(text, want) {
					t.Errorf("standard error does not say %q:\n%s", want, text)
				}
			}
			if strings.Count(text, "\n") > 3 {
				t.Errorf("standard error is too long:\n%s", text)
			}
		})
	}
}

func TestServeExplainsMistakes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine", "adapters.xml")
	writeFile(t, file, `<adapters_conf id="MINE">
  <metadata_provider>
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <param name="request_reply_port">99999</param>
  </metadata_provider>
  <data_provider>
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
  </data_provider>
</adapters_conf>`)
	p := startProcess(t, "serve", "--adapters", dir, "--http", "127.0.0.1:0")
	if status := p.status(); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	text := p.stderr.String()
	for _, line := range []int{4, 6} { // both mistakes at once
		if !regexp.MustCompile(fmt.Sprintf(`(?m)%s:%d:\d+: .*request_reply_port`, regexp.QuoteMeta(file), line)).MatchString(text) {
			t.Errorf("standard error does not tell of line %d:\n%s", line, text)
		}
	}
}

func TestServeWithoutFiles(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{dir, filepath.Join(dir, "missing")} {
		p := startProcess(t, "serve", "--adapters", folder)
		if status := p.status(); status != 1 {
			t.Errorf("%s: exit status %d, want 1", folder, status)
		}
		if text := p.stderr.String(); !strings.Contains(text, folder) || !strings.Contains(text, "adapters.xml") {
			t.Errorf("%s: standard error is\n%s", folder, text)
		}
	}
}

// TestServe connects a Remote Adapter of another process to the broker, and the official client to both.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	metadataPort, dataPort := freePort(t), freePort(t)
	writeFile(t, filepath.Join(dir, "adapters.xml"), fmt.Sprintf(`<adapters_conf id="COUNT">
  <metadata_provider>
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <param name="interface">127.0.0.1</param>
    <param name="request_reply_port">%d</param>
  </metadata_provider>
  <data_provider name="COUNTER">
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <param name="interface">127.0.0.1</param>
    <param name="request_reply_port">%d</param>
  </data_provider>
</adapters_conf>`, metadataPort, dataPort))
	p := startProcess(t, "serve", "--adapters", dir, "--http", "127.0.0.1:0")
	address := p.await(`→ (http://127\.0\.0\.1:\d+/)`)[1]
	p.await(fmt.Sprintf(`COUNTER +127\.0\.0\.1:%d`, dataPort))
	p.await(`Press Ctrl-C to stop`)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	feed := adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		return sub.Snapshot(adapter.Fields{"count": 1, "of": sub.Item()})
	})
	go func() {
		ended <- adapter.Run(ctx,
			&adapter.MetadataServer{Provider: &adapter.LiteralMetadata{}, Addr: fmt.Sprintf("127.0.0.1:%d", metadataPort)},
			&adapter.DataServer{Provider: feed, Addr: fmt.Sprintf("127.0.0.1:%d", dataPort)})
	}()
	c := startNodeClient(t)
	c.do("connect", "url", address, "set", "COUNT")
	c.do("subscribe", "sub", "count", "mode", "MERGE", "items", []string{"things"}, "fields", []string{"count", "of"}, "adapter", "COUNTER", "snapshot", "yes")
	update, _ := c.await("the adapter's update", 0, isUpdate("count", nil))
	if update.value("count") != "1" || update.value("of") != "things" {
		t.Errorf("the update is %v", update)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if status := p.status(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
		out    string // part of the standard output
		err    string // part of the standard error
	}{
		{args: []string{"version"}, status: 0, out: "lsgo "},
		{args: []string{"--help"}, status: 0, out: "demo"},
		{args: nil, status: 0, out: "serve"},
		{args: []string{"demo", "--help"}, status: 0, out: "--metadata-port"},
		{args: []string{"serve"}, status: 2, err: "--adapters"},
		{args: []string{"serve", "--help"}, status: 0, out: "$LSGO_MAX_SESSIONS"},
		{args: []string{"serve", "--adapters", "x", "--max-sessions", "0"}, status: 2, err: "--max-sessions: 0 is too small"},
		{args: []string{"serve", "--adapters", "x", "--linger=-1s"}, status: 2, err: "--linger: -1s is too small"},
		{args: []string{"serve", "--adapters", "x", "--allowed-origins", "http://a/"}, status: 2, err: "http://a/"},
		{args: []string{"serve", "--adapters", "x", "--tls-key", "k.pem"}, status: 2, err: "--tls-certificate"},
		{args: []string{"serve", "--adapters", "x", "--config", "no/such.toml"}, status: 2, err: "no/such.toml"},
		{args: []string{"serve", "--adapters", "../../examples/hello/adapters", "--tls-certificate", "c.pem", "--tls-key", "k.pem"}, status: 1, err: "c.pem"},
		{args: []string{"check"}, status: 2, err: "dir"},
		{args: []string{"check", "no/such"}, status: 1, err: "no/such"},
		{args: []string{"check", "../../examples/hello"}, status: 0, out: "1 file: no mistakes, no warnings"},
		{args: []string{"dmeo"}, status: 2, err: "dmeo"},
		{args: []string{"demo", "--data-port", "many"}, status: 2, err: "many"},
		{args: []string{"demo", "--data-port", "70000"}, status: 2, err: "70000"},
		{args: []string{"demo", "--log", "loud"}, status: 2, err: "loud"},
		{args: []string{"demo", "--http", "nowhere"}, status: 2, err: "nowhere"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			var out, err bytes.Buffer
			if status := run(t.Context(), test.args, &out, &err); status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			if !strings.Contains(out.String(), test.out) || !strings.Contains(err.String(), test.err) {
				t.Errorf("output is %q and %q, want %q and %q in them", out.String(), err.String(), test.out, test.err)
			}
		})
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unsetenv unsets a variable that t.Setenv has set before, and will restore.
func unsetenv(t *testing.T, name string) {
	t.Helper()
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}
