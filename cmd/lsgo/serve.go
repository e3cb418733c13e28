package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

type serveCommand struct {
	settings

	Config      string `placeholder:"FILE" help:"TOML file with settings under the names of the flags. Flags come first, then the environment, then the file."`
	PrintConfig bool   `env:"-" help:"Print the effective configuration, with where each value comes from, as a file for --config; then end."`
}

// reloadWithin bounds how long a reload waits for sessions whose adapter holds a message.
const reloadWithin = 5 * time.Second

func (c *serveCommand) Run(ctx context.Context, k *kong.Context, to *console) error {
	conf := configure(k, c.Config)
	if err := c.check(); err != nil {
		conf.mistakes = append(conf.mistakes, err.Error())
	}
	if len(conf.mistakes) > 0 {
		for _, mistake := range conf.mistakes {
			fmt.Fprintln(to.err, mistake)
		}
		return usageError{errors.New("nothing was started; correct the configuration")}
	}
	if c.PrintConfig {
		text, err := conf.print()
		if err == nil {
			_, err = to.out.Write(text)
		}
		return err
	}
	if c.Adapters == "" {
		return usageError{errors.New("--adapters DIR is missing: the folder of the Adapter Sets (or LSGO_ADAPTERS, or adapters in the --config file)")}
	}
	if err := to.level.UnmarshalText([]byte(conf.value("log"))); err != nil {
		return usageError{err}
	}
	to.serve(c.JSON)
	var tell reporter = newPerson(to.out, to.err)
	if c.JSON {
		tell = newScript(to.out)
	}
	s := &serving{settings: &c.settings, tell: tell, to: to}
	err := s.run(ctx)
	if err != nil && c.JSON {
		tell.stopped(0, false, err)
	}
	return err
}

// serving is a broker that is being served.
type serving struct {
	*settings
	tell reporter
	to   *console

	folder  folder
	running *broker.Running
}

func (s *serving) run(ctx context.Context) error {
	heard := newWarnings(s.tell, s.to.log.Handler())
	s.folder = folder{dir: s.Adapters, tell: heard.problem}
	sets, err := s.folder.start()
	if err != nil {
		return err
	}
	cfg := s.config()
	cfg.Sets = sets
	cfg.Logger = slog.New(heard)
	cfg.TLSFiles = s.tlsFiles(s.tlsReloaded)
	if s.Audit != "" {
		audit, openErr := openAudit(s.Audit, s.to.out, s.tell.problem)
		if openErr != nil {
			return openErr
		}
		cfg.Audit = audit.event
		following, endFollowing := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { audit.follow(following) })
		defer wg.Wait()
		defer endFollowing()
	}
	// The broker is to end with Close, not with ctx: Close tells when.
	if s.running, err = broker.Start(context.WithoutCancel(ctx), cfg); err != nil {
		return explain(err, map[portNumber]string{s.HTTP.port(): "--http"})
	}
	s.tell.listening(s.served())
	for _, p := range slices.Concat(exposed(s.settings), exposedPorts(sets, s.running.Adapters(), nil)) {
		s.tell.problem(p)
	}

	watching, endWatching := context.WithCancel(ctx)
	defer endWatching()
	var wg sync.WaitGroup
	wg.Go(func() { s.watchFiles(watching) })
	wg.Go(func() { s.watchAdapters(watching) })
	select {
	case <-s.running.Done():
		endWatching()
		wg.Wait()
		return fmt.Errorf("the broker has ended by itself: %w", s.running.Err())
	case <-ctx.Done():
	}
	took, cut := within(stopWithin, func() {
		s.running.Close()
		wg.Wait()
	})
	s.tell.stopped(took, cut, nil)
	return nil
}

// served is what listens where at the moment.
func (s *serving) served() served {
	return served{url: s.running.URL(), monitoring: s.Monitoring, sets: inOrder(s.folder.running), adapters: s.running.Adapters()}
}

// watchFiles is the goroutine that has the broker follow the files.
func (s *serving) watchFiles(ctx context.Context) {
	every(ctx, lookEvery, func() {
		bounded, cancel := context.WithTimeout(ctx, reloadWithin)
		defer cancel()
		done, news := s.folder.step(bounded, s.running)
		if ctx.Err() != nil {
			return // what is told now is of the stop
		}
		if news {
			now := s.served()
			s.tell.reloaded(done, now)
			for _, p := range exposedPorts(now.sets, now.adapters, slices.Concat(done.Added, done.Replaced, []string{})) {
				s.tell.problem(p)
			}
		}
	})
}

// tlsReloaded tells that the files of the clients' TLS have changed.
func (s *serving) tlsReloaded(err error) {
	if err != nil {
		s.tell.problem(&adaptersxml.Problem{Message: fmt.Sprintf("--tls-certificate %s: %v; the former certificate stays in use", s.TLSCertificate, err)})
		return
	}
	s.tell.reloaded(reload{certificate: true}, served{})
}

// watchAdapters is the goroutine that tells of adapters that come and go.
func (s *serving) watchAdapters(ctx context.Context) {
	watch := adapterWatch{tell: s.tell.adapter}
	every(ctx, lookEvery/2, func() { watch.look(s.running.AdapterStats(), time.Now()) })
}

// every calls f from time to time, until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if ctx.Err() == nil {
				f()
			}
		}
	}
}
