package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// setXML describes a set with the built-in Metadata Adapter and one remote Data Adapter, FEED.
func setXML(id string, port int) string {
	return fmt.Sprintf(`<adapters_conf id="%s">
  <metadata_provider>
    <adapter_class>com.lightstreamer.adapters.metadata.LiteralBasedProvider</adapter_class>
  </metadata_provider>
  <data_provider name="FEED">
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <param name="request_reply_port">%d</param><param name="connection_recovery_timeout_millis">1000</param>
  </data_provider>
</adapters_conf>
`, id, port)
}

// startServe starts the broker for a folder, with --json, and waits until it listens.
func startServe(t *testing.T, dir string, args ...string) (*process, jsonEvent) {
	t.Helper()
	p := startProcess(t, append([]string{"serve", "--json", "--adapters", dir, "--http", "127.0.0.1:0"}, args...)...)
	listening, _ := p.awaitEvent("the start", 0, isJSON("listening", nil))
	return p, listening
}

// stop ends the process as Ctrl-C does.
func (p *process) stop() {
	p.t.Helper()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	if status := p.status(); status != 0 {
		p.t.Errorf("exit status %d", status)
	}
}

// open tells whether somebody listens on a port. It does not connect: to a proxy that would be an adapter which fails.
func open(port int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		listener.Close()
	}
	return err != nil
}

func TestServeFollowsFiles(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one", "adapters.xml"), filepath.Join(dir, "two", "adapters.xml")
	first, second, third := freePort(t), freePort(t), freePort(t)
	writeFile(t, one, setXML("ONE", first))
	p, listening := startServe(t, dir)
	if len(listening.Sets) != 1 || listening.Sets[0].ID != "ONE" || listening.Sets[0].File != one || len(listening.Sets[0].Adapters) != 2 ||
		!listening.Sets[0].Adapters[0].BuiltIn || listening.Sets[0].Adapters[1].Address != fmt.Sprintf("127.0.0.1:%d", first) {
		t.Errorf("it listens as %+v", listening)
	}
	at := 1

	var done jsonEvent
	writeFile(t, one, setXML("ONE", second))
	done, at = p.awaitEvent("another port", at, isReload(nil, []string{"ONE"}, nil, nil))
	if len(done.Sets) != 1 || done.Sets[0].Adapters[1].Address != fmt.Sprintf("127.0.0.1:%d", second) {
		t.Errorf("the reload tells of %+v", done.Sets)
	}
	if open(first) || !open(second) {
		t.Error("the former port is open, or the new one is not")
	}

	writeFile(t, two, setXML("TWO", third))
	_, at = p.awaitEvent("another set", at, isReload([]string{"TWO"}, nil, nil, nil))
	if !open(third) {
		t.Error("the port of the new set is not open")
	}

	// A broken file tells all that is wrong with it, and the set stays.
	writeFile(t, two, `<adapters_conf id="TWO">
  <metadata_provider>
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
  </metadata_provider>
  <data_provider name="FEED">
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <param name="request_reply_port">many</param>
    <param name="request_repy_port">1</param>
  </data_provider>
</adapters_conf>`)
	before := at
	_, at = p.awaitEvent("the broken file", at, isReload(nil, nil, nil, []string{"TWO"}))
	for line, severity := range map[int]string{2: "error", 7: "error", 8: "warning"} {
		if e, end := p.awaitEvent(fmt.Sprintf("the problem of line %d", line), before, isJSON("problem", func(e jsonEvent) bool { return e.Line == line && e.Severity == severity })); e.File != two || e.Column < 1 || e.Message == "" || end > at {
			t.Errorf("line %d: %+v", line, e)
		}
	}
	if !open(third) || !open(second) {
		t.Error("a broken file has ended a set")
	}

	writeFile(t, two, "<!-- mended -->"+setXML("TWO", third))
	_, at = p.awaitEvent("the mended file", at, isReload(nil, nil, nil, nil))

	if err := os.RemoveAll(filepath.Dir(two)); err != nil {
		t.Fatal(err)
	}
	_, at = p.awaitEvent("one set less", at, isReload(nil, nil, []string{"TWO"}, nil))
	if open(third) || !open(second) {
		t.Error("the port of the set that is gone is open, or the other one is not")
	}
	p.stop()
	if _, end := p.awaitEvent("the end", at, isJSON("stopped", func(e jsonEvent) bool { return e.Error == "" && !e.Cut })); end != len(p.events(p.stdout.String())) {
		t.Error("stopped is not the last event")
	}
	if text := p.stderr.String(); text != "" {
		t.Errorf("standard error:\n%s", text)
	}
}

// tap is a Data Adapter whose events the test sends.
type tap struct{ subs chan *adapter.Subscription }

func (f tap) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	f.subs <- sub
	return nil
}

// runFeed runs an adapter until stop is called.
func runFeed(t *testing.T, port int) (f tap, stop func()) {
	t.Helper()
	f = tap{make(chan *adapter.Subscription, 10)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- adapter.Run(ctx, &adapter.DataServer{Provider: f, Addr: fmt.Sprintf("127.0.0.1:%d", port)})
	}()
	return f, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// The official client stays where it is while other sets come, change, break and go.
func TestServeKeepsSessionsOfOtherSets(t *testing.T) {
	dir := t.TempDir()
	port, other := freePort(t), freePort(t)
	writeFile(t, filepath.Join(dir, "stays", "adapters.xml"), setXML("STAYS", port))
	p, listening := startServe(t, dir)
	f, stop := runFeed(t, port)
	_, at := p.awaitEvent("the adapter", 0, isAdapter("STAYS", "FEED", "connected"))
	c := startNodeClient(t)
	c.do("connect", "url", listening.URL, "set", "STAYS", "transport", "WS-STREAMING")
	c.await("the session", 0, isStatus("CONNECTED:WS-STREAMING"))
	c.do("subscribe", "sub", "count", "mode", "RAW", "items", []string{"things"}, "fields", []string{"count"}, "adapter", "FEED")
	c.await("the subscription", 0, isEvent("subscribed", "count"))
	sub := <-f.subs
	count := func(n string) {
		t.Helper()
		if err := sub.Update(adapter.Fields{"count": n}); err != nil {
			t.Fatal(err)
		}
		c.await("update "+n, 0, isUpdate("count", func(e nodeEvent) bool { return e.value("count") == n }))
	}
	count("1")
	from := c.position()
	file := filepath.Join(dir, "other", "adapters.xml")
	for _, step := range []struct {
		text string
		want func(jsonEvent) bool
	}{
		{setXML("OTHER", other), isReload([]string{"OTHER"}, nil, nil, nil)},
		{strings.Replace(setXML("OTHER", other), "</data", `<param name="timeout">3000</param></data`, 1), isReload(nil, []string{"OTHER"}, nil, nil)},
		{"<adapters_conf", isReload(nil, nil, nil, []string{"OTHER"})},
		{"", isReload(nil, nil, []string{"OTHER"}, nil)},
	} {
		if step.text == "" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		} else {
			writeFile(t, file, step.text)
		}
		_, at = p.awaitEvent("the reload", at, step.want)
	}
	count("2")
	for _, e := range c.since(from) {
		if e.Event != "update" {
			t.Errorf("the client has noticed: %v", e)
		}
	}
	stop()
	p.awaitEvent("the adapter's end", at, isAdapter("STAYS", "FEED", "lost"))
	p.stop()
}

// Each client is told to come again (END 48), and the process ends in time with status 0.
func TestServeStops(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "adapters.xml"), setXML("MINE", freePort(t)))
			p, listening := startServe(t, dir)
			response, err := http.Post(listening.URL+"/lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0", "text/plain", strings.NewReader("LS_adapter_set=MINE&LS_cid=test"))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			lines := bufio.NewReader(response.Body)
			if line, err := lines.ReadString('\n'); !strings.HasPrefix(line, "CONOK,") {
				t.Fatalf("no session: %q %v", line, err)
			}
			begin := time.Now()
			if status := startProcess(t, "version").status(); status != 0 {
				t.Fatalf("lsgo version: exit status %d", status)
			}
			limit := 2*time.Second + 10*time.Since(begin) // a process takes its time on a machine under load

			begin = time.Now()
			if err := p.command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if status := p.status(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			if took := time.Since(begin); took > limit {
				t.Errorf("took %v to end", took)
			}
			if rest, _ := io.ReadAll(lines); !strings.Contains(string(rest), "\nEND,48,") {
				t.Errorf("the client was not told to come again:\n%s", rest)
			}
		})
	}
}

func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestServeMonitoring(t *testing.T) {
	dir := t.TempDir()
	port := freePort(t)
	writeFile(t, filepath.Join(dir, "adapters.xml"), setXML("MINE", port))
	p, listening := startServe(t, dir)
	if status, text := get(t, http.DefaultClient, listening.URL+"/healthz"); status != 200 {
		t.Errorf("/healthz: %d %s", status, text)
	}
	if status, text := get(t, http.DefaultClient, listening.URL+"/readyz"); status != 503 || !strings.Contains(text, "MINE") {
		t.Errorf("/readyz without the adapter: %d %s", status, text)
	}
	_, stop := runFeed(t, port)
	p.awaitEvent("the adapter", 0, isAdapter("MINE", "FEED", "connected"))
	if status, text := get(t, http.DefaultClient, listening.URL+"/readyz"); status != 200 {
		t.Errorf("/readyz with the adapter: %d %s", status, text)
	}
	if _, text := get(t, http.DefaultClient, listening.URL+"/metrics"); !strings.Contains(text, "lightstreamer_broker_sessions 0\n") {
		t.Errorf("/metrics:\n%s", text)
	}
	stop()
	p.stop()

	p, listening = startServe(t, dir, "--no-monitoring")
	if listening.Monitoring {
		t.Error("it says that it can be monitored")
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if status, _ := get(t, http.DefaultClient, listening.URL+path); status != 404 {
			t.Errorf("%s: %d with --no-monitoring", path, status)
		}
	}
	p.stop()
}

// What a person reads: the same news, in lines without colour where there is no terminal.
func TestServeForPersons(t *testing.T) {
	dir := t.TempDir()
	port := freePort(t)
	file := filepath.Join(dir, "adapters.xml")
	writeFile(t, file, setXML("MINE", port))
	p := startProcess(t, "serve", "--adapters", dir, "--http", "127.0.0.1:0", "--log", "error")
	p.await(`→ http://127\.0\.0\.1:\d+/  for clients\n +/healthz /readyz /metrics for machines\n`)
	p.await(`Adapter Set MINE  ` + file + `\n +Metadata Adapter +built in\n +FEED +127\.0\.0\.1:` + fmt.Sprint(port) + `\n`)
	_, stop := runFeed(t, port)
	p.await(`(?m)^  \d\d:\d\d:\d\d  connected  MINE  FEED$`)
	stop()
	p.await(`(?m)^  \d\d:\d\d:\d\d  lost       MINE  FEED  after \d+s$`)
	writeFile(t, file, setXML("YOURS", port))
	p.await(`(?m)^  \d\d:\d\d:\d\d  reloaded   YOURS added, MINE removed\n +Adapter Set YOURS  ` + file + `$`)
	writeFile(t, file, "<adapters_conf id='YOURS'></adapters_conf>")
	p.await(`(?m)^  \d\d:\d\d:\d\d  reloaded   YOURS kept as it was until its file is mended$`)
	p.stop()
	p.await(`Stopped after \d`)
	if text := p.stderr.String(); !strings.HasPrefix(text, file+":1:") {
		t.Errorf("standard error:\n%s", text)
	}
	if strings.Contains(p.stdout.String()+p.stderr.String(), "\x1b") {
		t.Error("colour, and no terminal")
	}
}

// With --json, too, what keeps it from starting is told, and the status is 1.
func TestServeJSONTellsWhyItDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "adapters.xml"), setXML("MINE", 70000))
	p := startProcess(t, "serve", "--json", "--adapters", dir, "--http", "127.0.0.1:0")
	if status := p.status(); status != 1 {
		t.Errorf("exit status %d", status)
	}
	_, at := p.awaitEvent("the mistake", 0, isJSON("problem", func(e jsonEvent) bool { return e.Line == 8 && e.Severity == "error" }))
	p.awaitEvent("the end", at, isJSON("stopped", func(e jsonEvent) bool { return e.Error != "" }))
}
