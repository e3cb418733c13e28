//go:build interop

package page

import (
	"context"
	"encoding/csv"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/lightstreamer-go/lightstreamer/broker"
	"github.com/lightstreamer-go/lightstreamer/interop"
	"github.com/lightstreamer-go/lightstreamer/interop/internal/chrome"
	"github.com/lightstreamer-go/lightstreamer/interop/internal/part"
)

const (
	patience = time.Minute
	// goesOn is how long the page may show old values after the adapter was killed. The one that starts it anew waits for a while first.
	goesOn  = 5 * time.Second
	restart = 500 * time.Millisecond
)

var table = &interop.Table{
	Title: "A program that a person would write, end to end",
	Intro: "Quotes of a file (`interop/page`) through our SDK, in a process of its own, and our broker with a robust proxy, to a page with the unmodified\n" +
		"client in Chromium. The adapter's process is killed with SIGKILL, twice, and started anew half a second later.",
	Peers: []interop.Peer{{ID: "web", Title: "Web `lightstreamer-client-web`", Version: "9.2.3"}},
}

func TestMain(m *testing.M) { os.Exit(part.Finish(m.Run(), table)) }

// try is one row of the table. Those after a failure are not tried.
func try(t *testing.T, capability string, f func(t *testing.T) (note string)) {
	t.Helper()
	cell := interop.Cell{Verdict: interop.Pass}
	begin := time.Now()
	note, ran := "", false
	passed := t.Run(capability, func(t *testing.T) {
		ran = true
		note = f(t)
	})
	if !ran {
		return // -run has left it out
	}
	if !passed {
		cell = interop.Cell{Verdict: interop.Fail, Note: "see the log of the run"}
	}
	table.Set(capability, "web", cell)
	fmt.Printf("%-7s %-66s %5.1fs  %v%s\n", "page", capability, time.Since(begin).Seconds(), cell.Verdict, note)
	if cell.Verdict == interop.Fail {
		t.FailNow()
	}
}

func TestPage(t *testing.T) {
	quotes := known(t)
	adapters := freePorts(t)
	running, err := broker.Start(context.WithoutCancel(t.Context()), broker.Config{Addr: "127.0.0.1:0", AdaptersDir: filepath.Dir(adapters), Handler: files(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Close)
	s := supervise(t, build(t), adapters, "quotes.csv")
	select {
	case <-running.Ready():
	case <-time.After(patience):
		t.Fatal("the adapter does not connect")
	}
	p := open(t, running.URL())

	try(t, "the page shows the quotes", func(t *testing.T) string {
		for symbol := range quotes {
			p.await(t, "a quote of "+symbol, func(shown []row) bool { return count(shown, symbol) >= 10 })
		}
		return ""
	})
	session := p.status(t)
	try(t, "kill -9 of the adapter: the page goes on within 5 s", func(t *testing.T) string {
		worst := time.Duration(0)
		for range 2 {
			killed := s.kill(t)
			seen := len(p.shown(t))
			for symbol := range quotes {
				p.await(t, "a new quote of "+symbol, func(shown []row) bool { return count(shown[seen:], symbol) >= 1 })
			}
			took := time.Since(killed)
			worst = max(worst, took)
			if took > goesOn {
				t.Errorf("the page went on after %v", took)
			}
			for symbol := range quotes { // for a while, so that there is something to be wrong
				p.await(t, "more quotes of "+symbol, func(shown []row) bool { return count(shown[seen:], symbol) >= 10 })
			}
		}
		return fmt.Sprintf(", after %.1f s", worst.Seconds())
	})
	try(t, "the session has lasted", func(t *testing.T) string {
		if now := p.status(t); now != session || !strings.HasSuffix(now, "CONNECTED:WS-STREAMING") {
			t.Errorf("the page was %q and is %q", session, now)
		}
		if stats := running.Stats(); stats.Created != 1 || stats.Sessions != 1 {
			t.Errorf("there were %d sessions", stats.Created)
		}
		return ""
	})
	try(t, "no wrong value was shown", func(t *testing.T) string {
		shown := p.shown(t)
		last := make(map[string]int)
		for _, r := range shown {
			number, ok := quotes[r.symbol()][r]
			if !ok {
				t.Fatalf("the page has shown %q, which is not in the file", r)
			}
			// From the end of the file it goes on at its beginning: what is behind by less than a half of it is old.
			if before, seen := last[r.symbol()]; seen && number <= before && before-number < 150 {
				t.Errorf("the page has shown %d of %s after %d", number, r.symbol(), before)
			}
			last[r.symbol()] = number
		}
		p.checkConsole(t)
		return fmt.Sprintf(", of %d", len(shown))
	})
}

// row is what the page shows in a row, joined with blanks: symbol, number, last, bid, ask, volume.
type row string

func (r row) symbol() string {
	symbol, _, _ := strings.Cut(string(r), " ")
	return symbol
}

func count(shown []row, symbol string) (n int) {
	for _, r := range shown {
		if r.symbol() == symbol {
			n++
		}
	}
	return n
}

// known returns the numbers of all rows of the file, by symbol.
func known(t *testing.T) map[string]map[row]int {
	t.Helper()
	f, err := os.Open("quotes.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]map[row]int)
	for _, l := range lines[1:] {
		if all[l[1]] == nil {
			all[l[1]] = make(map[row]int)
		}
		number, err := strconv.Atoi(l[0])
		if err != nil {
			t.Fatal(err)
		}
		all[l[1]][row(strings.Join([]string{l[1], l[0], l[2], l[3], l[4], l[5]}, " "))] = number
	}
	return all
}

// freePorts writes the adapters.xml of the folder anew, with ports that are free, and returns its path.
func freePorts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("adapters", "adapters.xml"))
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for _, port := range []string{"7801", "7803"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // both are held until both are known
		changed = strings.Replace(changed, ">"+port+"<", fmt.Sprintf(">%d<", l.Addr().(*net.TCPAddr).Port), 1)
	}
	path := filepath.Join(t.TempDir(), "adapters.xml")
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func files(t *testing.T) http.Handler {
	t.Helper()
	client := filepath.Join("..", "..", "node_modules", "lightstreamer-client-web")
	if _, err := os.Stat(client); err != nil {
		t.Fatal("the npm package lightstreamer-client-web is missing: run \"make interop\", which installs it")
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir("web")))
	mux.Handle("GET /client/", http.StripPrefix("/client/", http.FileServer(http.Dir(client))))
	return mux
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "quotes")
	if out, err := exec.Command("go", "build", "-o", binary, "./quotes").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// supervisor runs a program, and starts it anew when it ends, as the init system of a server does.
type supervisor struct {
	mu      sync.Mutex
	command *exec.Cmd
	stopped bool
	started chan struct{} // closed and replaced when the program was started
}

func supervise(t *testing.T, program string, args ...string) *supervisor {
	t.Helper()
	s := &supervisor{started: make(chan struct{})}
	ended := make(chan struct{})
	first := s.started
	go func() { // ends with the test
		defer close(ended)
		for s.start(t, program, args) {
			_ = s.command.Wait() // it is killed
			time.Sleep(restart)  //nolint:forbidigo // this is what supervisors do
		}
	}()
	t.Cleanup(func() {
		s.mu.Lock()
		s.stopped = true
		_ = s.command.Process.Kill() // if it has not ended
		s.mu.Unlock()
		<-ended
	})
	<-first
	return s
}

func (s *supervisor) start(t *testing.T, program string, args []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.command = exec.Command(program, args...)
	s.command.Stderr = t.Output()
	if err := s.command.Start(); err != nil {
		t.Errorf("%v", err)
		return false
	}
	close(s.started)
	s.started = make(chan struct{})
	return true
}

// kill ends the program with SIGKILL and returns when that was.
func (s *supervisor) kill(t *testing.T) time.Time {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

// tab is the page in Chromium.
type tab struct {
	ctx context.Context

	mu       sync.Mutex
	troubles []string
}

// open opens the page, and keeps what it shows: whenever the table changes, the row that has.
func open(t *testing.T, url string) *tab {
	watched := make(chan struct{})
	t.Cleanup(func() { <-watched }) // after the browser has ended
	p := &tab{ctx: chrome.Open(t)}
	messages := chromedp.Console(p.ctx)
	go func() { // ends with the browser
		defer close(watched)
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type != "log" && m.Type != "info" && m.Type != "debug" {
				p.mu.Lock()
				p.troubles = append(p.troubles, m.String())
				p.mu.Unlock()
			}
		}
	}()
	if err := chromedp.Do(p.ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	evaluate[bool](t, p, `(() => {
		window.shown = [];
		new MutationObserver((changes) => {
			const rows = new Set(changes.map((change) => (change.target.closest ? change.target : change.target.parentElement).closest('tr')));
			for (const row of rows) window.shown.push([...row.cells].map((cell) => cell.textContent).join(' '));
		}).observe(document.querySelector('tbody'), { childList: true, characterData: true, subtree: true });
		return true;
	})()`)
	return p
}

func evaluate[T any](t *testing.T, p *tab, expression string) T {
	t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// shown returns all that the page has shown so far.
func (p *tab) shown(t *testing.T) []row {
	t.Helper()
	return evaluate[[]row](t, p, "window.shown")
}

// status is what the page says of its connection.
func (p *tab) status(t *testing.T) string {
	t.Helper()
	return evaluate[string](t, p, "document.querySelector('#status').textContent")
}

// await waits until what the page has shown satisfies want.
func (p *tab) await(t *testing.T, what string, want func([]row) bool) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !want(p.shown(t)) {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("waiting for %s: not within %v; the page says %q", what, patience, evaluate[string](t, p, "document.body.innerText"))
		}
	}
}

// checkConsole fails the test if the page or the browser has complained.
func (p *tab) checkConsole(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, trouble := range p.troubles {
		t.Errorf("on the console: %s", trouble)
	}
}
