package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
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
	for _, set := range sets {
		for _, w := range set.Warnings {
			cfg.Logger.Warn("broker: adapters.xml", "problem", w.Error())
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if err := checkSets(sets); err != nil {
		return nil, fmt.Errorf("broker: adapters: %w", err)
	}
	return sets, nil
}

// checkSets is adaptersxml.CheckSets for sets that may have the port 0 more than once.
func checkSets(sets []*adaptersxml.Set) error {
	check := make([]*adaptersxml.Set, len(sets))
	free := 0
	distinct := func(p *adaptersxml.Provider) {
		if p.Proxy == nil || p.Proxy.RequestReplyPort != 0 {
			return
		}
		settings := *p.Proxy
		free--
		settings.RequestReplyPort = free
		p.Proxy = &settings
	}
	for i, set := range sets {
		c := *set
		c.Data = slices.Clone(c.Data)
		distinct(&c.Metadata)
		for j := range c.Data {
			distinct(&c.Data[j])
		}
		check[i] = &c
	}
	return adaptersxml.CheckSets(check...)
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
	RemoteAddr  string   // dialed; empty if the proxy listens
}

// remote is what a proxy has for its owner, whichever kind it is.
type remote interface {
	Done() <-chan struct{}
	Ready() <-chan struct{}
	Err() error
	Close()
}

// adapters are the Adapter Sets of a running broker. Its goroutines (one for each set that starts in two steps, one that watches each
// proxy) end with close.
type adapters struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	fail   func(error) // called when the broker cannot go on
	wg     sync.WaitGroup

	ready   chan struct{} // closed when no proxy is without a first remote any more
	mu      sync.Mutex
	missing int // proxies without a first remote, and one while sets are being added
	sets    map[string]*provider.Set
	addrs   []AdapterAddr
	remotes []remote // in the order of their start
	// listeners are those of the data proxies, which may never be started; closing them twice does no harm.
	listeners []net.Listener
}

func newAdapters(ctx context.Context, cfg Config, fail func(error)) *adapters {
	a := &adapters{cfg: cfg, fail: fail, sets: make(map[string]*provider.Set), ready: make(chan struct{}), missing: 1}
	a.ctx, a.cancel = context.WithCancel(ctx)
	return a
}

// set finds an Adapter Set for a new session.
func (a *adapters) set(id string) *provider.Set {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sets[id]
}

// arrived notes that a proxy has its first remote, or that the last set was added.
func (a *adapters) arrived() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.missing--; a.missing == 0 {
		close(a.ready)
	}
}

// add puts a set into service. Control is what its Metadata Adapter may ask for. When it returns, all ports of the set are open.
func (a *adapters) add(x *adaptersxml.Set, control provider.Control) error {
	set := &provider.Set{ID: x.ID, Data: make(map[string]provider.Data, len(x.Data))}
	metadata, err := a.metadata(x, control)
	if err != nil {
		return fmt.Errorf("broker: Adapter Set %s: metadata_provider: %w", x.ID, err)
	}
	set.Metadata = metadata.adapter
	var starts []func() error
	for i := range x.Data {
		late := new(lateData)
		start, err := a.data(x, &x.Data[i], late)
		if err != nil {
			return fmt.Errorf("broker: Adapter Set %s: data_provider %s: %w", x.ID, x.Data[i].Name, err)
		}
		set.Data[x.Data[i].Name] = late
		starts = append(starts, start)
	}
	if metadata.wait == nil || !x.MetadataFirst {
		if err := runAll(starts); err != nil {
			return fmt.Errorf("broker: Adapter Set %s: %w", x.ID, err)
		}
	} else {
		a.wg.Go(func() { a.startLater(x.ID, metadata.wait, starts) })
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sets[x.ID] = set
	return nil
}

// startLater is the goroutine of a set whose data side starts when the metadata side is there.
func (a *adapters) startLater(id string, wait func() error, starts []func() error) {
	if err := wait(); err != nil {
		a.cfg.Logger.Info("broker: data side not started", "adapter_set", id, "reason", err)
		return // the proxy's own watcher says whether the broker can go on
	}
	if err := runAll(starts); err != nil {
		a.fail(fmt.Errorf("broker: Adapter Set %s: %w", id, err))
	}
}

func runAll(fs []func() error) error {
	for _, f := range fs {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// metadataSide is a Metadata Adapter, and how to wait for it; wait is nil if it is there at once.
type metadataSide struct {
	adapter provider.Metadata
	wait    func() error
}

func (a *adapters) metadata(x *adaptersxml.Set, control provider.Control) (metadataSide, error) {
	p := &x.Metadata
	if p.Kind == adaptersxml.Literal {
		return metadataSide{adapter: literalMetadata(p.Literal)}, nil
	}
	cfg, err := a.metadataConfig(x, p)
	if err != nil {
		return metadataSide{}, err
	}
	m, err := proxy.StartMetadata(a.ctx, cfg)
	if err != nil {
		closeListener(cfg.Listener)
		return metadataSide{}, err
	}
	m.SetControl(control)
	a.watch(m, p)
	return metadataSide{adapter: m, wait: func() error { return m.WaitReady(a.ctx, p.Proxy.FirstConnectionTimeout) }}, nil
}

// data opens the port of a data proxy and returns how to start it, to be called once.
func (a *adapters) data(x *adaptersxml.Set, p *adaptersxml.Provider, late *lateData) (start func() error, err error) {
	cfg, err := a.dataConfig(x, p)
	if err != nil {
		return nil, err
	}
	a.keep(cfg.Listener)
	return func() error {
		d, err := proxy.StartData(a.ctx, cfg)
		if err != nil {
			return fmt.Errorf("data_provider %s: %w", p.Name, err)
		}
		a.watch(d, p)
		late.start(d)
		return nil
	}, nil
}

// keep remembers a listener that maybe no proxy will take over.
func (a *adapters) keep(l net.Listener) {
	if l == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listeners = append(a.listeners, l)
}

func closeListener(l net.Listener) {
	if l != nil {
		_ = l.Close() // an error is being reported already
	}
}

// watch has a goroutine wait for the end of a proxy. A basic one that has lost its remote ends the broker, as it ends the server.
func (a *adapters) watch(r remote, p *adaptersxml.Provider) {
	a.mu.Lock()
	a.remotes = append(a.remotes, r)
	a.mu.Unlock()
	a.wg.Go(func() {
		select {
		case <-r.Ready():
			a.cfg.Logger.Info("broker: adapter connected", "adapter", p.Proxy.Name)
			a.arrived()
		case <-r.Done():
		}
		<-r.Done()
		err := r.Err()
		switch {
		case err == nil, a.ctx.Err() != nil:
		case p.Kind == adaptersxml.Basic:
			a.fail(fmt.Errorf("broker: adapter %s: %w", p.Proxy.Name, err))
		default:
			a.cfg.Logger.Error("broker: adapter gone for good", "adapter", p.Proxy.Name, "error", err)
		}
	})
}

// close ends all proxies, each being told, and joins every goroutine.
func (a *adapters) close() {
	a.mu.Lock()
	remotes := slices.Clone(a.remotes)
	a.mu.Unlock()
	var wg sync.WaitGroup
	for _, r := range remotes {
		wg.Go(r.Close) // each may take the second it gives its remote
	}
	wg.Wait()
	a.cancel() // ends what has been started meanwhile
	a.wg.Wait()
	for _, l := range a.listeners {
		closeListener(l)
	}
}
