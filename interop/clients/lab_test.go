//go:build interop

package clients

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/interop"
	"github.com/lightstreamer-go/lightstreamer/interop/internal/part"
	"github.com/lightstreamer-go/lightstreamer/interop/testset"
)

// patience bounds every wait; it only decides how long a failure takes.
const patience = time.Minute

// table is this part's in the report.
var table = &interop.Table{
	Title: "Our broker and our SDK with the official clients",
	Intro: "Unmodified clients (`interop/clients`) with the Adapter Set `TEST` (`interop/testset`), written with our SDK and connected to our broker over TCP,\n" +
		"or plugged into it where a row says in-process. The web client runs in Chromium.",
	Peers: []interop.Peer{
		{ID: "node", Title: "Node.js `lightstreamer-client-node`", Version: "9.2.2"},
		{ID: "web", Title: "Web `lightstreamer-client-web`", Version: "9.2.3"},
		{ID: "python", Title: "Python `lightstreamer-client-lib`", Version: "2.2.3"},
		{ID: "java", Title: "Java `ls-javase-client`", Version: "5.2.1"},
	},
}

// The brokers of all tests: with the adapters connected over TCP, and with the adapters in its process.
var remote, inProcess *testset.Running

// TestMain runs the lab, and writes its part of the report where INTEROP_PART says if every cell is filled without a failure.
func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	if remote, err = testset.Start(ctx, testset.Config{More: map[string]adapter.Set{doorID: {Metadata: door{}}}, Handler: webFiles(), Logger: log}); err != nil {
		return 1, err
	}
	defer remote.Close()
	if inProcess, err = testset.Start(ctx, testset.Config{InProcess: true, Logger: log}); err != nil {
		return 1, err
	}
	defer inProcess.Close()
	return part.Finish(m.Run(), table), nil
}

// doorID is an Adapter Set whose Metadata Adapter refuses users.
const doorID = "DOOR"

type door struct{ adapter.DefaultMetadata }

func (door) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	switch u.Name {
	case "credits":
		return adapter.UserGrant{}, &adapter.CreditsError{Code: -7, Message: "no credit", UserMessage: "no credit left: 0 €"}
	case "Ann":
		if u.Password == "secret" {
			return adapter.UserGrant{}, nil
		}
	}
	return adapter.UserGrant{}, &adapter.AccessError{Message: "unknown user or wrong password"}
}

// lab is one capability being tried with one client library.
type lab struct {
	*testing.T
	peer *peer
}

// capability is a row of the table.
type capability struct {
	name string
	try  func(l *lab)
}

// The peers are tests of their own and run at the same time: most of it is waiting.
func TestNode(t *testing.T)   { tryAll(t, "node", startNode) }
func TestWeb(t *testing.T)    { tryAll(t, "web", startWeb) }
func TestPython(t *testing.T) { tryAll(t, "python", startPython) }
func TestJava(t *testing.T)   { tryAll(t, "java", startJava) }

func tryAll(t *testing.T, id string, start func(*testing.T) *peer) {
	t.Parallel()
	p := start(t)
	p.id = id
	p.checkVersion(t)
	for _, group := range [][]capability{connecting, subscribing, deltas, limits, messages, recovering, refusals} {
		for _, c := range group {
			l := &lab{peer: p}
			begin := time.Now()
			passed := t.Run(c.name, func(t *testing.T) {
				l.T = t
				c.try(l)
			})
			if l.T == nil {
				continue // -run has left it out
			}
			cell := interop.Cell{Verdict: interop.Pass}
			if !passed {
				cell = interop.Cell{Verdict: interop.Fail, Note: "see the log of the run"}
			}
			table.Set(c.name, id, cell)
			fmt.Printf("%-7s %-66s %5.1fs  %v\n", id, c.name, time.Since(begin).Seconds(), cell.Verdict)
		}
	}
}
