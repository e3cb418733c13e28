//go:build linux

// Command proxysim plays Lightstreamer's Proxy Adapter towards a Remote Adapter program, as a black box, and measures it:
//
//	proxysim compare -peers peers.json     all peers side by side, a report in Markdown
//	proxysim run -peers peers.json         one run of each scenario, everything that it measured
//
// The script ../compare builds and installs the peers, and runs it. The README of this module has the contract for adapter programs. Linux only.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

func init() {
	// Children die with the thread that started them (Pdeathsig), so that must be the main one, always.
	runtime.LockOSThread()
	debug.SetGCPercent(400)
}

type options struct {
	peers, only, names string // file; lists separated by commas
	rounds             int
	quick              bool
	base               string
	json, page         string
	command            string
	budget             time.Duration
	warm, window       time.Duration
	out                io.Writer // of the report
}

func main() {
	ok, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxysim:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(args []string) (ok bool, err error) {
	if len(args) == 0 || args[0] != "compare" && args[0] != "run" {
		return false, errors.New("usage: proxysim compare|run -peers peers.json [flags]")
	}
	o := options{out: os.Stdout}
	fs := flag.NewFlagSet("proxysim "+args[0], flag.ExitOnError)
	fs.StringVar(&o.peers, "peers", "", "JSON file that lists the adapter programs")
	fs.StringVar(&o.only, "only", "", "comma separated names of the peers to run (all)")
	fs.StringVar(&o.names, "scenarios", "", "comma separated scenarios to run (all)")
	fs.DurationVar(&o.warm, "warm", 0, "warm-up of the update scenarios, instead of the default")
	fs.DurationVar(&o.window, "window", 0, "measured window, instead of the default")
	fs.BoolVar(&o.quick, "quick", false, "one short round")
	if args[0] == "compare" {
		fs.IntVar(&o.rounds, "rounds", 5, "rounds; the table shows medians over them")
		fs.StringVar(&o.base, "base", "java", "the peer that ratios refer to")
		fs.StringVar(&o.json, "json", "", "also write every single measure to this file")
		fs.StringVar(&o.page, "page", "", "also write the report into this page, between its markers")
		fs.StringVar(&o.command, "command", "proxysim "+strings.Join(args, " "), "what the report says it was made with")
		fs.DurationVar(&o.budget, "budget", 0, "start no further round when it would not fit in this time")
	}
	if err = fs.Parse(args[1:]); err != nil {
		return false, err
	}
	if fs.NArg() > 0 {
		return false, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	peers, err := loadPeers(o.peers, o.only)
	if err != nil {
		return false, err
	}
	sel, err := choose(o.scenarios(), o.names, "scenario", func(s scenario) string { return s.name })
	if err != nil {
		return false, err
	}
	if args[0] == "compare" {
		return compare(&o, peers, sel)
	}
	return runOnce(peers, sel), nil
}

// runOnce makes one run for each peer and scenario, and prints everything it measured.
func runOnce(peers []*peer, sel []scenario) (ok bool) {
	ok = true
	for _, s := range sel {
		for _, p := range peers {
			if !p.does(&s) {
				continue
			}
			r, err := s.run(p)
			fmt.Printf("== %s %s\n", s.name, p.Name)
			if err != nil {
				fmt.Println("  FAILED:", err)
				ok = false
				continue
			}
			for _, k := range slices.Sorted(maps.Keys(r.metrics)) {
				fmt.Printf("  %-18s %s\n", k, human(r.metrics[k]))
			}
			for _, e := range r.errs {
				fmt.Println("  WRONG:", e)
				ok = false
			}
		}
	}
	return ok
}
