//go:build interop

package interop

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/interop/internal/chrome"
)

// patience bounds every wait; it only decides how long a failure takes. A run-time system may take its time to start on a busy machine.
const patience = time.Minute

// adapterSDKs are the peers of the adapters' half of the lab.
var adapterSDKs = []Peer{
	{"python", "Python `lightstreamer-adapter`", "1.3.1"},
	{"node", "Node.js `lightstreamer-adapter`", "1.5.3"},
	{"java", "Java `ls-adapter-remote`", "1.7.0"},
}

// ownTests is what was looked for in the packages themselves; it holds for the versions that are named.
const ownTests = "Tests of their own come with two of the packages of this lab: the source distribution of the Python `lightstreamer-adapter` 1.3.1 (`tests`) and\n" +
	"the npm package `lightstreamer-adapter` 1.5.3 (`test`). They hold the SDK that they come with, called in its own language (with Node.js: on streams in\n" +
	"memory), to lines of ARI 1.8.3 and to attributes of its objects. Our SDK, like Java's, speaks 1.9, where texts are encoded in another way. So they are not run;\n" +
	"the script here plays requests of the same kinds. No tests come with `lightstreamer-client-lib` 2.2.3 (source distribution),\n" +
	"`lightstreamer-client-node` 9.2.2 and `lightstreamer-client-web` 9.2.3, nor with `ls-adapter-remote` 1.7.0, `ls-log-adapter-java` 1.0.2 and\n" +
	"`ls-javase-client` 5.2.1, of which there are jars and sources, but no artifacts with tests."

var (
	adaptersTable = &Table{
		Title: "The broker with the official Adapter SDKs",
		Intro: "A Data Adapter and a Metadata Adapter written with each SDK (`interop/peers`) behind robust proxies of our broker, which reads an\n" +
			"`adapters.xml`; what clients see was read off the client protocol.",
		Peers: adapterSDKs,
	}
	transcriptsTable = &Table{
		Title: "Our SDK and the official Adapter SDKs, the same script",
		Intro: "A scripted proxy plays the same requests to the adapter written with each official SDK and to the same adapter written with ours.\n" +
			"A pass means that all lines of the row are equal byte for byte, or equal when decoded where the protocol versions differ.\n\n" + ownTests,
		Peers: adapterSDKs,
	}
	report = &Report{Tables: []*Table{adaptersTable, transcriptsTable}}
)

// TestMain runs the lab, and writes the report where INTEROP_REPORT says, when all of it has run.
func TestMain(m *testing.M) {
	begin := time.Now()
	code := m.Run()
	report.Date = begin.UTC().Format(time.DateOnly)
	report.Setup = fmt.Sprintf("%s, %s/%s, %d processors", versions(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	fmt.Printf("\n%s", report.Summary())
	whole := os.Getenv("INTEROP_REPORT")
	for _, t := range report.Tables {
		counts := t.Counts()
		if counts[Fail] > 0 {
			code = 1
		}
		if whole != "" && !t.Complete() {
			fmt.Printf("%s: not every cell is filled: no report is written\n", t.Title)
			code, whole = 1, ""
		}
	}
	if whole != "" && code == 0 {
		if err := writeReport(whole); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

func writeReport(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := report.WriteMarkdown(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// versions names the run-time systems.
func versions() string {
	list := []string{strings.Replace(runtime.Version(), "go", "Go ", 1)}
	for _, cmd := range [][]string{{os.Getenv("INTEROP_PYTHON"), "--version"}, {"node", "--version"}, {"java", "--version"}, {chrome.Path(), "--version"}} {
		if cmd[0] == "" {
			continue
		}
		out, err := command(context.Background(), cmd[0], cmd[1:]...).Output()
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		line, _, _ = strings.Cut(line, " built on ") // Chromium
		if err == nil {
			list = append(list, strings.Replace(line, "v", "Node.js ", map[bool]int{true: 1}[cmd[0] == "node"]))
		}
	}
	return strings.Join(list, ", ")
}

// scope is one peer in one table: it runs capabilities, and notes what came out.
type scope struct {
	table  *Table
	peer   string
	server *server // if the capabilities share one
}

// outcome lets a capability say that it is a difference, or absent. A t.Fatal makes it a failure.
type outcome struct {
	cell Cell
}

func (o *outcome) difference(format string, args ...any) {
	o.cell = Cell{Difference, fmt.Sprintf(format, args...)}
}

func (o *outcome) absent(format string, args ...any) {
	o.cell = Cell{Absent, fmt.Sprintf(format, args...)}
}

// try runs one capability as a subtest, with progress on the standard output.
func (s scope) try(t *testing.T, capability string, f func(t *testing.T, o *outcome)) {
	t.Helper()
	begin := time.Now()
	o := &outcome{}
	t.Run(capability, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				o.cell = Cell{Fail, "see the log of the run"}
			}
		}()
		o.cell = Cell{Verdict: Pass}
		if s.server != nil {
			s.server.now, s.server.peer.t = t, t
		}
		f(t, o)
	})
	if o.cell.Verdict == Untried {
		return // left out with -run
	}
	s.table.Set(capability, s.peer, o.cell)
	note := ""
	if o.cell.Note != "" {
		note = ": " + o.cell.Note
	}
	fmt.Printf("%-7s %-44s %5.1fs  %v%s\n", s.peer, capability, time.Since(begin).Seconds(), o.cell.Verdict, note)
}
