package broker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
)

// service is one Adapter Set in service. Its goroutines (one if it starts in two steps, one that watches each proxy, one that runs each
// adapter in this process) end with close.
type service struct {
	a      *adapters
	x      *adaptersxml.Set // nil for a set in this process
	set    *provider.Set
	ctx    context.Context // of the proxies
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// Adapters in this process end after their proxies, so that they get all that was sent to them.
	adapterCtx context.Context
	endAdapter context.CancelFunc
	responder  *responder // nil if there is none

	// sides are the adapters behind proxies. The slice changes, with adapters.mu held, only while the set starts.
	sides []*side
	// split holds the pairs of addresses of which it was said that adapters of the set come from
	// both; adapters.mu.
	split map[[2]netip.Addr]bool
	// listeners are those of the data proxies, which may never be started; closing them twice does no harm.
	listeners []net.Listener
}

// side is one adapter behind a proxy.
type side struct {
	at        AdapterAddr
	label     string
	basic     bool
	inProcess bool

	served chan struct{} // in this process: closed when the adapter's server has ended
	err    error         // why; read after served

	// Guarded by adapters.mu.
	remote  remote     // nil until it is started
	missing bool       // it had no remote yet, and the broker is not ready without
	peer    netip.Addr // where its last remote has connected from; invalid: none has, or it was dialed
}

// remote is what a proxy has for its owner, whichever kind it is.
type remote interface {
	Done() <-chan struct{}
	Ready() <-chan struct{}
	Err() error
	Close()
	Connected() time.Time
	Stats() proxy.Stats
}

func (a *adapters) newService(id string, x *adaptersxml.Set) *service {
	s := &service{a: a, x: x, set: &provider.Set{ID: id, Data: make(map[string]provider.Data)}}
	s.ctx, s.cancel = context.WithCancel(a.ctx)
	s.adapterCtx, s.endAdapter = context.WithCancel(context.WithoutCancel(a.ctx))
	return s
}

// open starts a set, for which clients find it afterwards. Control is what its Metadata Adapter may ask for. When it returns, all ports of
// the set are open. After an error nothing is left of it.
func (a *adapters) open(x *adaptersxml.Set, control provider.Control) error {
	s := a.newService(x.ID, x)
	if err := s.start(control); err != nil {
		a.leave(s)
		s.close()
		return fmt.Errorf("broker: Adapter Set %s: %w", x.ID, err)
	}
	a.enter(s)
	return nil
}

func (s *service) start(control provider.Control) error {
	metadata, err := s.metadata(control)
	if err != nil {
		return fmt.Errorf("metadata_provider: %w", err)
	}
	s.set.Metadata = metadata.adapter
	var starts []func() error
	for i := range s.x.Data {
		p := &s.x.Data[i]
		late := new(lateData)
		start, err := s.data(p, late)
		if err != nil {
			return fmt.Errorf("data_provider %s: %w", p.Name, err)
		}
		s.set.Data[p.Name] = late
		starts = append(starts, start)
	}
	if metadata.wait == nil || !s.x.MetadataFirst {
		return runAll(starts)
	}
	s.wg.Go(func() { s.startLater(metadata.wait, starts) })
	return nil
}

// startLater is the goroutine of a set whose data side starts when the metadata side is there.
func (s *service) startLater(wait func() error, starts []func() error) {
	if err := wait(); err != nil {
		s.a.cfg.Logger.Info("broker: data side not started", "adapter_set", s.set.ID, "reason", err)
		return // the proxy's own watcher says whether the broker can go on
	}
	if err := runAll(starts); err != nil && s.ctx.Err() == nil {
		s.a.fail(fmt.Errorf("broker: Adapter Set %s: %w", s.set.ID, err))
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

func (s *service) metadata(control provider.Control) (metadataSide, error) {
	p := &s.x.Metadata
	if p.Kind == adaptersxml.Literal {
		return metadataSide{adapter: literalMetadata(p.Literal)}, nil
	}
	cfg, err := s.a.metadataConfig(s.x, p)
	if err != nil {
		return metadataSide{}, err
	}
	side := s.add(p, cfg.Config)
	cfg.OnConnected = func(peer net.Addr) { s.cameFrom(side, peer) }
	m, err := proxy.StartMetadata(s.ctx, cfg)
	if err != nil {
		closeListener(cfg.Listener)
		return metadataSide{}, err
	}
	m.SetControl(control)
	s.watch(side, m)
	return metadataSide{adapter: m, wait: func() error { return m.WaitReady(s.ctx, p.Proxy.FirstConnectionTimeout) }}, nil
}

// data opens the port of a data proxy and returns how to start it, to be called once.
func (s *service) data(p *adaptersxml.Provider, late *lateData) (start func() error, err error) {
	cfg, err := s.a.dataConfig(s.x, p)
	if err != nil {
		return nil, err
	}
	side := s.add(p, cfg.Config)
	cfg.OnConnected = func(peer net.Addr) { s.cameFrom(side, peer) }
	s.listeners = append(s.listeners, cfg.Listener, cfg.NotifyListener)
	return func() error {
		d, err := proxy.StartData(s.ctx, cfg)
		if err != nil {
			return fmt.Errorf("data_provider %s: %w", p.Name, err)
		}
		s.watch(side, d)
		late.start(d)
		return nil
	}, nil
}

// add notes an adapter of an adapters.xml, for which the broker waits from now on.
func (s *service) add(p *adaptersxml.Provider, cfg proxy.Config) *side {
	side := &side{
		at:    AdapterAddr{Set: s.set.ID, DataAdapter: p.Name, RemoteAddr: cfg.RemoteAddr},
		label: cfg.Name, basic: p.Kind == adaptersxml.Basic, missing: true,
	}
	if cfg.Listener != nil {
		side.at.Addr = cfg.Listener.Addr()
	}
	if cfg.NotifyListener != nil {
		side.at.NotifyAddr = cfg.NotifyListener.Addr()
	}
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	s.sides = append(s.sides, side)
	s.a.missing++
	return side
}

func closeListener(l net.Listener) {
	if l != nil {
		_ = l.Close() // an error is being reported already
	}
}

// watch has a goroutine wait for the end of a proxy. A basic one that has lost its remote ends the broker, as it ends the server.
func (s *service) watch(side *side, r remote) {
	s.a.mu.Lock()
	side.remote = r
	s.a.mu.Unlock()
	log := s.a.cfg.Logger.With("adapter", side.label)
	s.wg.Go(func() {
		select {
		case <-r.Ready():
			log.Info("broker: adapter connected")
			s.arrived(side)
		case <-r.Done():
		}
		<-r.Done()
		switch err := side.cause(); {
		case err == nil, s.ctx.Err() != nil:
		case side.basic:
			s.a.fail(fmt.Errorf("broker: adapter %s: %w", side.label, err))
		default:
			log.Error("broker: adapter gone for good", "error", err)
		}
	})
}

// arrived notes that a proxy has its first remote.
func (s *service) arrived(side *side) {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	if side.missing {
		side.missing = false
		s.a.awaitLocked(-1)
	}
}

// maxSplit bounds the pairs of addresses that a set may warn of.
const maxSplit = 100

// cameFrom warns if the adapters of a set connect from different machines: two processes may be
// competing for it, and each have a part. It is called by the proxies' readers.
func (s *service) cameFrom(side *side, peer net.Addr) {
	at, err := netip.ParseAddrPort(peer.String())
	if err != nil || side.at.RemoteAddr != "" {
		return
	}
	from := at.Addr().Unmap().WithZone("")
	if from.IsLoopback() {
		from = netip.IPv6Loopback()
	}
	for _, other := range s.newlySplit(side, from) {
		s.a.cfg.Logger.Warn("broker: adapters of one set have connected from different addresses; if that is not meant, stop one of the two",
			"adapter_set", s.set.ID, "adapter", side.label, "from", from.String(), "other_adapter", other.label, "other_from", other.addr.String())
	}
}

type elsewhere struct {
	label string
	addr  netip.Addr
}

// newlySplit notes where the remote of a side is, and returns those that are elsewhere, of which
// nothing was said yet.
func (s *service) newlySplit(side *side, from netip.Addr) (found []elsewhere) {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	side.peer = from
	for _, other := range s.sides {
		if !other.peer.IsValid() || other.peer == from || other.remote == nil || other.remote.Connected().IsZero() {
			continue
		}
		pair := [2]netip.Addr{from, other.peer}
		if other.peer.Less(from) {
			pair[0], pair[1] = pair[1], pair[0]
		}
		if s.split[pair] || len(s.split) >= maxSplit {
			continue
		}
		if s.split == nil {
			s.split = make(map[[2]netip.Addr]bool)
		}
		s.split[pair] = true
		found = append(found, elsewhere{other.label, other.peer})
	}
	return found
}

// cause tells why a proxy has ended. An adapter in this process may know it better: what it has failed of, or refused.
func (s *side) cause() error {
	err := s.remote.Err()
	if err == nil || s.served == nil {
		return err
	}
	<-s.served // its connection has ended
	if own := s.err; own != nil && !isA[*adapter.CloseError](own) {
		return own
	}
	return err
}

// close ends the set: proxies tell their remotes, and adapters in this process return. It joins every goroutine.
func (s *service) close() {
	s.cancel()
	s.a.mu.Lock()
	var remotes []remote
	for _, side := range s.sides {
		if side.remote != nil {
			remotes = append(remotes, side.remote)
		}
	}
	s.a.mu.Unlock()
	for _, r := range remotes {
		r.Close() // all of them are about it since cancel
	}
	s.endAdapter()
	s.responder.wait()
	s.wg.Wait()
	if s.x != nil {
		s.a.certs.leave(s.x)
	}
	for _, l := range s.listeners {
		closeListener(l)
	}
}
