//go:build linux

// Command chaos plays faults and attacks on a broker, an adapter and clients, all of them processes
// of their own, and counts what was lost, doubled and wrong, and what of it nobody told:
//
//	make chaos                      every row (about 15 minutes)
//	make chaos ONLY=broker-kill     one row, or all that begin like that
//	make chaos-short                what CI runs, less than a minute; counts decide, not times
//	make chaos SOAK=10m             mixed churn, and whether memory, goroutines and descriptors stay
//
// The processes are lsgo serve with an Adapter Set behind robust proxies, an adapter written with
// the SDK, Go clients (package client), official clients for Node.js, and attackers. Between them
// are wires, which the program can cut. Everything is on the loopback network, and ends with it.
//
// The adapter numbers the updates of one item in each mode. A number counts when the SDK has
// accepted the update; from then on its loss has to be told by somebody: to the client by the count
// of lost updates, a clear snapshot or the end of its session; to the adapter by its SDK; or to the
// operator by the broker's metrics. In RAW and DISTINCT no number may be missing untold, in MERGE
// and COMMAND the state at the end has to be the adapter's.
//
// The exit status is 1 if a row has failed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// options are what a person may choose, and what all rows share.
type options struct {
	only           string
	short, json    bool
	list           bool
	soak           time.Duration
	many, nodes    int
	clients        int
	shortClients   int
	rate           float64
	seed           uint64
	jobs           int
	latencyDecides bool

	patience, arrival time.Duration
	root              string // of the repository
	self, lsgo        string // programs
	help              string // of lsgo serve
	children          *children
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// parts are the processes that the program starts of itself.
var parts = map[string]func(context.Context, []string) error{"adapter": runFeed, "clients": runClients, "attack": runAttack}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && parts[args[0]] != nil {
		return parts[args[0]](ctx, args[1:])
	}
	o := options{children: new(children)}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.StringVar(&o.only, "only", "", "play the rows that begin like this; several, separated by commas")
	flags.BoolVar(&o.short, "short", false, "play what CI plays: fewer rows, clients and seconds; times decide nothing")
	flags.BoolVar(&o.json, "json", false, "print one JSON object for each row")
	flags.BoolVar(&o.list, "list", false, "print the names of the rows")
	flags.DurationVar(&o.soak, "soak", 0, "instead of rows: mixed churn for so long")
	flags.IntVar(&o.many, "clients", 200, "Go clients where it is about many; in the other rows a quarter of them")
	flags.IntVar(&o.nodes, "node", 2, "official clients for Node.js")
	flags.Float64Var(&o.rate, "rate", 20, "updates per second of each item")
	flags.Uint64Var(&o.seed, "seed", 1, "of the places of cuts and the lengths of pauses")
	flags.StringVar(&o.lsgo, "lsgo", "", "the command that serves; empty: it is built from the repository")
	flags.IntVar(&o.jobs, "jobs", 0, "rows at the same time; 0: one, or four with -short")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if err := o.complete(); err != nil {
		return err
	}
	rows := o.rows()
	if o.list {
		for _, r := range rows {
			fmt.Printf("%-22s %s\n", r.name, r.title)
		}
		return nil
	}
	if len(rows) == 0 {
		return fmt.Errorf("no row begins with %q: see -list", o.only)
	}
	dir, err := os.MkdirTemp("", "chaos-bin-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer o.children.killAll()
	if err := o.build(ctx, dir); err != nil {
		return err
	}
	if o.soak > 0 {
		return soak(ctx, &o)
	}
	return o.play(ctx, rows)
}

// complete fills in what follows from the flags.
func (o *options) complete() (err error) {
	if o.many < 4 || o.nodes < 0 || o.rate <= 0 || o.rate > 1000 || o.soak < 0 || o.jobs < 0 {
		return errors.New("want at least 4 clients, a rate above 0 and up to 1000, and nothing negative")
	}
	o.clients, o.shortClients = o.many/4, o.many
	o.patience, o.arrival, o.latencyDecides = time.Minute, 15*time.Second, true
	if o.short {
		o.clients, o.patience, o.arrival, o.latencyDecides = min(o.clients, 10), 30*time.Second, 8*time.Second, false
	}
	if o.jobs == 0 {
		if o.jobs = 1; o.short {
			o.jobs = 4
		}
	}
	if o.self, err = os.Executable(); err != nil {
		return err
	}
	o.root, err = repository()
	return err
}

// repository is the folder of the repository, looked for from the working folder upwards.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "cmd", "lsgo", "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not in the repository: run \"make chaos\" there", dir)
		}
	}
}

// clientsHere is the number of Go clients of a row that says nothing of it.
func (o *options) clientsHere() int { return o.clients }

// lasting is how long something lasts, in a full run and in a short one.
func (o *options) lasting(full, short time.Duration) time.Duration {
	if o.short {
		return short
	}
	return full
}

// knows reports whether the broker has a flag, given as it would be set.
func (o *options) knows(setting string) bool {
	name, _, _ := strings.Cut(setting, "=")
	return strings.Contains(o.help, name+"=")
}

// build builds the command whose broker is put to the test, if none is given, and asks it for its
// flags.
func (o *options) build(ctx context.Context, dir string) error {
	if o.lsgo == "" {
		o.lsgo = filepath.Join(dir, "lsgo")
		cmd := exec.CommandContext(ctx, "go", "build", "-o", o.lsgo, ".") //nolint:gosec // the repository's own
		cmd.Dir = filepath.Join(o.root, "cmd", "lsgo")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	help, err := exec.CommandContext(ctx, o.lsgo, "serve", "--help").Output() //nolint:gosec // just built
	if err != nil {
		return fmt.Errorf("lsgo serve --help: %w", err)
	}
	o.help = string(help)
	return nil
}

// rows are those that are wanted.
func (o *options) rows() (wanted []row) {
	for _, r := range append(faultRows(o), blastRows(o)...) {
		named := false
		for name := range strings.SplitSeq(o.only, ",") {
			named = named || name != "" && strings.HasPrefix(r.name, name)
		}
		if named || o.only == "" && (r.short || !o.short) {
			wanted = append(wanted, r)
		}
	}
	return wanted
}

// play plays rows, and prints what they have shown.
func (o *options) play(ctx context.Context, rows []row) error {
	results := make([]*result, len(rows))
	places := make(chan struct{}, o.jobs)
	var playing sync.WaitGroup
	progress := &locked{to: os.Stderr}
	for i := range rows {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		playing.Go(func() {
			defer func() { <-places }()
			if !o.short {
				fmt.Fprintf(progress, "%2d/%d %-22s %s ...\n", i+1, len(rows), rows[i].name, rows[i].title)
			}
			r := rows[i].run(ctx, o)
			results[i] = r
			fmt.Fprintf(progress, "%2d/%d %-22s %s in %s %s\n", i+1, len(rows), r.Row, r.Verdict, round(r.Took), strings.Join(firstLines(r.Wrong), "; "))
		})
	}
	playing.Wait()
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err := o.print(results); err != nil {
		return err
	}
	var failed []string
	for _, r := range results {
		if r.Verdict == "FAILED" {
			failed = append(failed, r.Row)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d rows failed: %s", len(failed), len(rows), strings.Join(failed, ", "))
	}
	return nil
}

func firstLines(list []string) (out []string) {
	for _, text := range list {
		line, _, _ := strings.Cut(text, "\n")
		out = append(out, line)
	}
	return out
}

func (o *options) print(results []*result) error {
	if !o.json {
		return printResults(os.Stdout, results)
	}
	encoder := json.NewEncoder(os.Stdout)
	for _, r := range results {
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// locked is a writer for several goroutines.
type locked struct {
	mu sync.Mutex
	to io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(bytes.ToValidUTF8(b, []byte("?")))
}
