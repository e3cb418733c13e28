//go:build linux

package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// adaptersXML is the Adapter Set as an operator would have it who wants it to survive everything:
// robust proxies, with a watch over silence, and recovery by snapshots.
const adaptersXML = `<?xml version="1.0"?>
<adapters_conf id="%[1]s">
  <metadata_provider>
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <param name="interface">127.0.0.1</param>
    <param name="request_reply_port">%[2]d</param>
    <param name="keepalive_timeout_millis">%[4]d</param>
    <param name="first_connection_timeout_millis">0</param>
    <param name="notify_user_on_disconnection">force_retry</param>
  </metadata_provider>
  <data_provider>
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <param name="interface">127.0.0.1</param>
    <param name="request_reply_port">%[3]d</param>
    <param name="keepalive_timeout_millis">%[4]d</param>
    <param name="first_connection_timeout_millis">0</param>
    <param name="events_recovery">enforce_snapshot</param>
  </data_provider>
</adapters_conf>
`

// brokerConfig is what a row wants of the broker besides.
type brokerConfig struct {
	flags    []string // of lsgo serve
	optional []string // flags, in the form --name=value, for a command that has them
	env      []string
	before   []string // a command that runs another one
	stderr   string   // a file instead of what the harness keeps
	other    string   // an Adapter Set besides, id OTHER, with a verb for its port
	// keepalive is the longest silence of the adapter. 0: 3 s.
	keepalive time.Duration
}

// broker is lsgo serve at work.
type broker struct {
	*child
	url string

	mu        sync.Mutex
	listening chan struct{}
	heard     bool
}

// startBroker starts lsgo serve, and returns when it listens.
func (s *stage) startBroker(ctx context.Context) error {
	s.brokers++
	b := &broker{url: fmt.Sprint("http://127.0.0.1:", s.httpPort), listening: make(chan struct{})}
	args := append([]string{}, s.cfg.before...)
	args = append(args, s.o.lsgo, "serve", "--adapters", s.adaptersDir(), "--http", fmt.Sprint("127.0.0.1:", s.httpPort), "--json")
	args = append(args, s.cfg.flags...)
	for _, setting := range s.cfg.optional {
		if s.o.knows(setting) {
			args = append(args, setting)
			s.note("with %s", setting)
		}
	}
	var err error
	b.child, err = s.o.children.start(spec{
		name: "broker", args: args, env: s.cfg.env, null: s.cfg.stderr, stderr: s.log, line: b.line,
	})
	if err != nil {
		return err
	}
	s.broker = b
	select {
	case <-b.listening:
		return nil
	case <-b.exited:
		return fmt.Errorf("the broker does not start: %w", b.death())
	case <-ctx.Done():
		return fmt.Errorf("the broker does not listen: %w", context.Cause(ctx))
	}
}

func (s *stage) adaptersDir() string { return filepath.Join(s.dir, "adapters") }

// writeAdapters writes the configuration, which all brokers of the stage have.
func (s *stage) writeAdapters() error {
	keepalive := cmp.Or(s.cfg.keepalive, 3*time.Second)
	sets := map[string]string{
		setID: fmt.Sprintf(adaptersXML, setID, s.metadataPort, s.dataPort, keepalive.Milliseconds()),
	}
	if s.cfg.other != "" {
		sets["OTHER"] = fmt.Sprintf(s.cfg.other, s.otherPort)
	}
	for id, text := range sets {
		dir := filepath.Join(s.adaptersDir(), id)
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "adapters.xml"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// line takes an event of lsgo serve --json.
func (b *broker) line(line []byte) {
	var e struct{ Event string }
	if json.Unmarshal(line, &e) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Event == "listening" && !b.heard {
		b.heard = true
		close(b.listening)
	}
}

var updatesLost = regexp.MustCompile("updates.*lost|lost.*updates")

// metrics are the numbers of /metrics, those with labels by the name and the labels.
type metrics map[string]float64

// metrics asks the broker, directly.
func (b *broker) metrics(ctx context.Context) (m metrics, err error) {
	err = b.get(ctx, "/metrics", func(status int, body io.Reader) error {
		if status != http.StatusOK {
			return fmt.Errorf("/metrics: status %d", status)
		}
		m, err = parseMetrics(body)
		return err
	})
	return m, err
}

// awaitAdapters waits until the broker says that both adapters of the clients are there.
func (b *broker) awaitAdapters(ctx context.Context) error {
	for {
		m, err := b.metrics(ctx)
		if m.ofAdapters("_adapter_connected") == 2 || err != nil {
			return err
		}
		if err := wait(ctx, askEvery); err != nil {
			return err
		}
	}
}

// get asks for a page of the monitoring.
func (b *broker) get(ctx context.Context, page string, then func(status int, body io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+page, nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := (&http.Client{Transport: &http.Transport{DialContext: from(2, 1)}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return then(resp.StatusCode, resp.Body)
}

func parseMetrics(from io.Reader) (metrics, error) {
	m := make(metrics)
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseFloat(value, 64); ok && err == nil && !strings.HasPrefix(name, "#") {
			m[name] = n
		}
	}
	return m, lines.Err()
}

// adapterConnections is how many connections the adapters of the clients have made so far.
func (m metrics) adapterConnections() int { return m.ofAdapters("_adapter_connections_total") }

// ofAdapters sums up a number of each of the clients' adapters.
func (m metrics) ofAdapters(suffix string) (n int) {
	for name, value := range m {
		family, labels, _ := strings.Cut(name, "{")
		if strings.HasSuffix(family, suffix) && strings.Contains(labels, `set="`+setID+`"`) {
			n += int(value)
		}
	}
	return n
}

// lostFromAdapters is how many updates of adapters the broker itself tells to be lost, or perhaps
// lost: the counters that have an adapter's label, and "updates" and "lost" in their name. Updates
// dropped for want of room (updates_lost_total) are another matter: each client is told of its own.
func (m metrics) lostFromAdapters() (n float64) {
	for name, value := range m {
		family, labels, ok := strings.Cut(name, "{")
		if ok && strings.Contains(labels, `set="`+setID+`"`) && updatesLost.MatchString(family) && strings.HasSuffix(family, "_total") {
			n += value
		}
	}
	return n
}
