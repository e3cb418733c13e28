package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

type serveCommand struct {
	Adapters string      `required:"" placeholder:"DIR" help:"Folder with an adapters.xml, or with a folder for each Adapter Set. $$env.NAME in a file is replaced by the environment variable."`
	HTTP     httpAddress `name:"http" default:"127.0.0.1:8080" placeholder:"ADDR" help:"Where clients connect."`
}

func (c *serveCommand) Run(ctx context.Context, to *console) error {
	sets, err := loadSets(c.Adapters, to)
	if err != nil {
		return err
	}
	// The broker is to end with Close, not with ctx: Close tells when.
	running, err := broker.Start(context.WithoutCancel(ctx), broker.Config{Addr: string(c.HTTP), Sets: sets, Logger: to.log})
	if err != nil {
		return explain(err, map[portNumber]string{c.HTTP.port(): "--http"})
	}
	c.report(newStyle(to.out), running, sets)
	select {
	case <-running.Done():
		return fmt.Errorf("the broker has ended by itself: %w", running.Err())
	case <-ctx.Done():
	}
	return stopOrderly(to, running.Close)
}

// report tells the person what listens where.
func (c *serveCommand) report(s *style, running *broker.Running, sets []*adaptersxml.Set) {
	s.title("Lightstreamer for Go", "broker")
	s.line("%s %s/  %s", s.accent("→"), s.link(running.URL()), s.faint("for clients"))
	for _, set := range sets {
		s.gap()
		s.line("Adapter Set %s  %s", s.strong(set.ID), s.faint(set.File))
		if set.Metadata.Literal != nil {
			s.line("  %-18s %s", "Metadata Adapter", "built in")
		}
		for _, at := range running.Adapters() {
			if at.Set != set.ID {
				continue
			}
			name := at.DataAdapter
			if name == "" {
				name = "Metadata Adapter"
			}
			where := "dials " + at.RemoteAddr
			if at.Addr != nil {
				where = at.Addr.String()
			}
			s.line("  %-18s %s", name, where)
		}
	}
	s.gap()
	s.farewell()
}

// loadSets reads the adapters.xml files of dir. It tells the person of every mistake and every warning,
// not only of the first.
func loadSets(dir string, to *console) ([]*adaptersxml.Set, error) {
	files, err := findSets(dir)
	if err != nil {
		return nil, err
	}
	var sets []*adaptersxml.Set
	mistakes := 0
	tell := func(problems []*adaptersxml.Problem) {
		for _, problem := range problems {
			fmt.Fprintln(to.err, problem)
		}
	}
	for _, file := range files {
		set, err := adaptersxml.ReadFile(file, adaptersxml.WithEnv(os.LookupEnv))
		switch problems := adaptersxml.Problems(err); {
		case len(problems) > 0:
			tell(problems)
			mistakes += len(problems)
		case err != nil:
			return nil, err
		default:
			tell(set.Warnings)
			sets = append(sets, set)
		}
	}
	if mistakes == 0 {
		problems := adaptersxml.Problems(adaptersxml.CheckSets(sets...))
		tell(problems)
		mistakes = len(problems)
	}
	switch mistakes {
	case 0:
		return sets, nil
	case 1:
		return nil, errors.New("nothing was started; correct the mistake above")
	default:
		return nil, fmt.Errorf("nothing was started; correct the %d mistakes above", mistakes)
	}
}

// findSets lists the files as Lightstreamer Server lays them out: one in the folder of each set. dir may be such a folder.
func findSets(dir string) ([]string, error) {
	var files []string
	for _, pattern := range []string{"adapters.xml", "*/adapters.xml"} {
		// Rooted in the folder, so that its own name is not taken for a pattern.
		found, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			files = append(files, filepath.Join(dir, filepath.FromSlash(name)))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no adapters.xml in the folder %s, nor in a folder right below it", dir)
	}
	return files, nil
}
