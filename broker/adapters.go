package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// loadSets reads the Adapter Sets of the configuration. The error holds every mistake in every file, see adaptersxml.Problems.
func loadSets(cfg *Config) ([]*adaptersxml.Set, error) {
	files, err := adapterFiles(cfg)
	if err != nil {
		return nil, err
	}
	var opts []adaptersxml.Option
	if cfg.ExpandEnv {
		opts = append(opts, adaptersxml.WithEnv(os.LookupEnv))
	}
	var sets []*adaptersxml.Set
	var errs []error
	for _, file := range files {
		set, err := adaptersxml.ReadFile(file, opts...)
		if err != nil {
			errs = append(errs, fmt.Errorf("broker: adapters: %w", err))
			continue
		}
		sets = append(sets, set)
	}
	sets = append(sets, cfg.Sets...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return sets, checkSets(sets, cfg)
}

// warn logs what is not an error in sets that are about to start.
func warn(log *slog.Logger, sets []*adaptersxml.Set) {
	for _, set := range sets {
		for _, w := range slices.Concat(set.Warnings, withoutEffect(set)) {
			log.Warn("broker: adapters.xml", "problem", w.Error())
		}
	}
}

// checkSets is adaptersxml.CheckSets for sets that may have the port 0 more than once, and stand beside sets in this process.
func checkSets(sets []*adaptersxml.Set, cfg *Config) error {
	check := make([]*adaptersxml.Set, len(sets))
	free := 0
	distinct := func(p *adaptersxml.Provider) {
		if p.Proxy == nil {
			return
		}
		settings := *p.Proxy
		for _, port := range []*int{&settings.RequestReplyPort, &settings.NotifyPort} {
			// 0 is any free port; for the second one that is -1, as 0 means that there is none.
			if *port < 0 || *port == 0 && port == &settings.RequestReplyPort {
				free--
				*port = free
			}
		}
		p.Proxy = &settings
	}
	var errs []error
	for i, set := range sets {
		if _, taken := cfg.Adapters[set.ID]; taken {
			errs = append(errs, fmt.Errorf("broker: adapters: %s: the id %s is that of a set in Config.Adapters, too", set.File, set.ID))
		}
		c := *set
		c.Data = slices.Clone(c.Data)
		distinct(&c.Metadata)
		for j := range c.Data {
			distinct(&c.Data[j])
		}
		check[i] = &c
	}
	if err := adaptersxml.CheckSets(check...); err != nil {
		errs = append(errs, fmt.Errorf("broker: adapters: %w", err))
	}
	return errors.Join(errs...)
}

// adapterFiles lists the files of the folder, in the order of their names, and those given by path.
func adapterFiles(cfg *Config) ([]string, error) {
	if cfg.AdaptersDir == "" {
		return cfg.AdapterFiles, nil
	}
	if _, err := os.Stat(cfg.AdaptersDir); err != nil {
		return nil, fmt.Errorf("broker: AdaptersDir: %w", err)
	}
	var files []string
	for _, pattern := range []string{"adapters.xml", "*/adapters.xml"} {
		// Rooted in the folder, so that characters of its own name are not taken for a pattern.
		found, err := fs.Glob(os.DirFS(cfg.AdaptersDir), pattern)
		if err != nil {
			return nil, fmt.Errorf("broker: AdaptersDir: %w", err)
		}
		for _, name := range found {
			files = append(files, filepath.Join(cfg.AdaptersDir, filepath.FromSlash(name)))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("broker: AdaptersDir %s: no adapters.xml there, nor in a folder below", cfg.AdaptersDir)
	}
	return append(files, cfg.AdapterFiles...), nil
}

// AdapterAddr tells where a proxy waits for its remote adapter.
type AdapterAddr struct {
	Set         string   // id of the Adapter Set
	DataAdapter string   // its name; empty for the Metadata Adapter
	Addr        net.Addr // listened on; nil if the proxy dials
	NotifyAddr  net.Addr // listened on for notifications (notify_port); nil if remotes have one connection
	RemoteAddr  string   // dialed; empty if the proxy listens
}

// adapters are the Adapter Sets of a running broker.
type adapters struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	fail   func(error) // called when the broker cannot go on
	certs  *tlsWatch
	audit  *auditor // nil without

	ready chan struct{} // closed when no proxy is without a first remote any more

	mu       sync.Mutex
	missing  int // proxies without a first remote, and one while sets are being added
	services []*service
}

func newAdapters(ctx context.Context, cfg Config, audit *auditor, fail func(error)) *adapters {
	a := &adapters{cfg: cfg, fail: fail, audit: audit, ready: make(chan struct{}), missing: 1}
	a.ctx, a.cancel = context.WithCancel(ctx)
	a.certs = newTLSWatch(a.ctx, cfg.Logger)
	return a
}

// set finds an Adapter Set for a new session.
func (a *adapters) set(id string) *provider.Set {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.services {
		if s.set.ID == id {
			return s.set
		}
	}
	return nil
}

// await changes the number of what keeps the broker from being ready.
func (a *adapters) await(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.awaitLocked(n)
}

// awaitLocked is await with mu held.
func (a *adapters) awaitLocked(n int) {
	if a.missing += n; a.missing > 0 {
		return
	}
	select {
	case <-a.ready:
	default:
		close(a.ready)
	}
}

// enter lets clients have a set.
func (a *adapters) enter(s *service) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.services = append(a.services, s)
}

// leave takes a set from new clients.
func (a *adapters) leave(s *service) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.services = slices.DeleteFunc(a.services, func(o *service) bool { return o == s })
	for _, side := range s.sides {
		if side.missing {
			side.missing = false
			a.awaitLocked(-1)
		}
	}
}

// all returns the sets in service, in the order in which they came.
func (a *adapters) all() []*service {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.services)
}

// addrs tells where proxies wait.
func (a *adapters) addrs() []AdapterAddr {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []AdapterAddr
	for _, s := range a.services {
		for _, side := range s.sides {
			if !side.inProcess {
				all = append(all, side.at)
			}
		}
	}
	return all
}

// close ends all sets, each adapter being told, and joins every goroutine.
func (a *adapters) close() {
	a.cancel()
	var wg sync.WaitGroup
	for _, s := range a.all() {
		wg.Go(s.close) // each may take the second it gives its remotes
	}
	wg.Wait()
	a.certs.wg.Wait()
}
