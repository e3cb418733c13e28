package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/session"
)

// Running is a broker at work. Its methods may be called from any goroutine, any number of times.
type Running struct {
	cfg      Config
	listener net.Listener
	monitor  net.Listener // nil if there is no address of its own for monitoring
	server   *http.Server
	pager    *http.Server // on monitor; nil without
	counters *counters
	front    *frontend
	adapters *adapters
	sessions *session.Manager
	audit    *auditor // nil without
	memory   *budget.Budget
	sampled  *sample.Log // what peers can cause at will
	webPages *sample.Log // the same of web pages, which are told less often
	cancel   context.CancelFunc
	log      *slog.Logger

	stopping chan struct{} // closed by the first call that stops
	stopOnce sync.Once
	done     chan struct{}

	tlsRefused atomic.Int64 // handshakes of clients that failed

	reloading sync.Mutex // held while sets are replaced, and by the end

	mu  sync.Mutex
	err error // why it stopped by itself
}

// How long the parts of a stop may take. Together they stay below a second and a half.
const (
	sessionsGrace    = 250 * time.Millisecond // for END to be written to clients
	connectionsGrace = 150 * time.Millisecond // for clients to close, and for HTTP responses to end
)

// Start starts a broker and returns when it listens, for clients and for remote adapters; it does not wait for these to connect. Adapters
// in this process ([Config.Adapters]) are initialised when it returns; it fails if one refuses. The error names what is wrong with the
// configuration (all of it, see adaptersxml.Problems for what is wrong with adapters.xml) or which address cannot be listened on.
//
// The broker stops when ctx ends, as by [Running.Close].
func Start(ctx context.Context, cfg Config) (*Running, error) { return start(ctx, cfg, nil) }

// start also puts sets of adapters in this process into service.
func start(ctx context.Context, cfg Config, inProcess []*provider.Set) (_ *Running, err error) {
	cfg = cfg.withDefaults()
	opened := []net.Listener{cfg.Listener, cfg.MonitorListener}
	defer func() {
		if err != nil {
			for _, l := range opened { // they are the broker's, come what may
				closeListener(l)
			}
		}
	}()
	if err = cfg.check(); err != nil {
		return nil, err
	}
	sets, err := loadSets(&cfg)
	if err != nil {
		return nil, err
	}
	var clientTLS *tlsSource
	if cfg.TLSFiles != nil {
		if clientTLS, err = cfg.TLSFiles.source(); err != nil {
			return nil, fmt.Errorf("broker: TLSFiles: %w", err)
		}
		cfg.TLSConfig = clientTLS.server()
	}
	listener, monitor := cfg.Listener, cfg.MonitorListener
	if listener == nil {
		if listener, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr); err != nil {
			return nil, fmt.Errorf("broker: clients' address: %w", err)
		}
		opened = append(opened, listener)
	}
	if monitor == nil && cfg.MonitorAddr != "" {
		if monitor, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.MonitorAddr); err != nil {
			return nil, fmt.Errorf("broker: address for monitoring (MonitorAddr): %w", err)
		}
		opened = append(opened, monitor)
	}
	cfg.fitDescriptors(descriptorLimit())
	// What serves clients must outlive ctx by the time they need to be told.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &Running{
		cfg: cfg, listener: listener, monitor: monitor, counters: new(counters), cancel: cancel, log: cfg.Logger,
		stopping: make(chan struct{}), done: make(chan struct{}), memory: cfg.Limits.memory(),
		sampled: sample.New(cfg.Logger, time.Minute, 1), webPages: sample.New(cfg.Logger, time.Hour, 1),
	}
	r.audit = startAuditor(cfg.Audit)
	r.adapters = newAdapters(life, cfg, r.audit, r.fail)
	if clientTLS != nil {
		r.adapters.certs.add(clientTLS)
	}
	sessions := cfg.sessions(r.adapters.set, r.memory)
	if cfg.Audit != nil {
		sessions.Audit = r.audit.session
	}
	r.sessions = session.NewManager(sessions)
	for _, set := range inProcess {
		s := r.adapters.newService(set.ID, nil)
		s.set = set
		r.adapters.enter(s)
	}
	if err := r.openAll(ctx, sets); err != nil {
		r.adapters.close()
		_ = r.sessions.Close(life) // it has no session yet
		r.audit.close()
		r.sampled.Close()
		r.webPages.Close()
		cancel()
		return nil, err
	}
	r.adapters.await(-1)
	r.audit.put(AuditEvent{Event: AuditStarted, Address: listener.Addr().String()})
	r.serve(ctx, life)
	return r, nil
}

// openAll puts all sets into service, unless ctx ends.
func (r *Running) openAll(ctx context.Context, sets []*adaptersxml.Set) error {
	stop := context.AfterFunc(ctx, r.adapters.cancel)
	defer stop()
	warn(r.log, sets)
	for _, x := range sets {
		if err := r.adapters.open(x, r.sessions.ControlOf(x.ID)); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.cfg.Adapters)) {
		if err := r.adapters.openInProcess(id, r.cfg.Adapters[id], r.sessions.ControlOf(id)); err != nil {
			return err
		}
	}
	if !stop() {
		return fmt.Errorf("broker: start: %w", context.Cause(ctx))
	}
	return nil
}

// serve starts the goroutines: one that accepts clients, one that accepts monitors if they have an
// address of their own, one that waits for the end.
func (r *Running) serve(ctx, life context.Context) {
	pages := r.pages()
	g := newGate(r.listener, r.gateConfig())
	r.front = &frontend{
		cfg: r.cfg, sessions: r.sessions, gate: g, n: r.counters, access: r.newAccess(r.listener.Addr()),
	}
	if r.monitor == nil && !r.cfg.NoMonitoring {
		r.front.pages = pages
	}
	r.server = r.newServer(life, r.front)
	r.server.TLSConfig = r.cfg.TLSConfig.Clone()
	served, monitored := make(chan struct{}), make(chan struct{})
	var serveErr, monitorErr error
	go func() { // ends when stop closes the server
		defer close(served)
		if r.cfg.TLSConfig != nil {
			serveErr = r.server.ServeTLS(g, "", "")
		} else {
			serveErr = r.server.Serve(g)
		}
	}()
	if r.monitor == nil {
		monitored = nil
	} else {
		mg := newGate(r.monitor, r.monitorGateConfig())
		r.pager = r.newServer(life, r.pageHandler(mg, pages))
		go func() { // ends when stop closes the server
			defer close(monitored)
			monitorErr = r.pager.Serve(mg)
		}()
	}
	go func() { // ends the broker
		select {
		case <-ctx.Done():
			r.shutdown()
		case <-served:
			r.fail(fmt.Errorf("broker: accepting clients: %w", serveErr))
		case <-monitored:
			r.fail(fmt.Errorf("broker: accepting monitors: %w", monitorErr))
		case <-r.stopping:
		}
		r.stop(life, served, monitored)
	}()
	r.log.Info("broker: serving clients; for production there is Lightstreamer Server", "url", r.URL())
	if r.monitor != nil {
		r.log.Info("broker: serving monitors", "addr", r.monitor.Addr().String())
	}
}

// Of an HTTP/2 connection.
const (
	maxStreams       = 250
	connectionBuffer = 256 << 10 // what may have come and not been read yet
	streamBuffer     = 128 << 10
)

// newServer makes a server in which nothing that a client begins lasts without an end: see
// frontend for what is lifted when.
func (r *Running) newServer(life context.Context, h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: h, Protocols: protocols, ConnContext: withConn, ConnState: connState,
		ReadTimeout: r.cfg.ReadTimeout, IdleTimeout: r.cfg.IdleTimeout, MaxHeaderBytes: r.cfg.Limits.Header,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: connectionBuffer,
			MaxReceiveBufferPerStream: streamBuffer,
		},
		BaseContext: func(net.Listener) context.Context { return life },
		ErrorLog:    slog.NewLogLogger(serverLog{r.log.Handler(), r.handshakeFailed}, slog.LevelDebug),
	}
}

// monitorPlaces are the connections beyond the limit that are served if they ask for a page of
// monitoring.
const monitorPlaces = 16

func (r *Running) gateConfig() gateConfig {
	l := &r.cfg.Limits
	cfg := gateConfig{
		connections: l.Connections, perAddress: l.AddressConnections, perSecond: l.AddressRate, loopback: l.LoopbackConnections,
		trusted: r.cfg.TrustedProxies, writeTimeout: r.cfg.WriteTimeout, memory: budget.New(int64(l.RequestMemory)),
		share: int64(l.RequestMemory) / 4, n: r.counters, log: r.sampled, audit: r.audit,
	}
	if !r.cfg.NoMonitoring && r.monitor == nil {
		cfg.spares = monitorPlaces
	}
	if limit := descriptorLimit(); limit > 0 {
		cfg.descriptors = limit - descriptorReserve(limit)
	}
	return cfg
}

// monitorGateConfig is for an address that only monitoring reaches: what is refused there is
// counted with the rest, but the connections are not.
func (r *Running) monitorGateConfig() gateConfig {
	const connections, each, memory = 100, 50, 4 << 20
	return gateConfig{
		connections: connections, perAddress: each, loopback: each, writeTimeout: r.cfg.WriteTimeout,
		memory: budget.New(memory), share: memory / 2, n: new(counters), log: r.sampled, audit: r.audit,
	}
}

// pageHandler serves the pages for monitoring, and nothing else.
func (r *Running) pageHandler(g *gate, pages map[string]page) http.Handler {
	f := &frontend{
		cfg: r.cfg, gate: g, n: r.counters, access: r.newAccess(r.monitor.Addr()), pages: pages,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if c := connOf(req); c != nil {
			c.handled()
		}
		if p := f.pages[req.URL.Path]; p != nil {
			f.servePage(w, req, p, false)
			return
		}
		f.refuse(w, req, http.StatusNotFound, "no such page: want /healthz, /readyz or /metrics")
	})
}

// MonitorAddr is the address of its own for monitoring; nil if there is none.
func (r *Running) MonitorAddr() net.Addr {
	if r.monitor == nil {
		return nil
	}
	return r.monitor.Addr()
}

// serverLog gets what the HTTP server says of connections. It has no other way to tell of a TLS
// handshake that failed.
type serverLog struct {
	slog.Handler
	handshakeFailed func(peer, why string)
}

// Enabled reports that everything is looked at.
func (l serverLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l serverLog) Handle(ctx context.Context, r slog.Record) error {
	if text, failed := strings.CutPrefix(r.Message, "http: TLS handshake error from "); failed {
		peer, why, _ := strings.Cut(text, ": ")
		l.handshakeFailed(peer, why)
	}
	if !l.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// handshakeFailed counts a TLS handshake of a client that failed.
func (r *Running) handshakeFailed(peer, why string) {
	r.tlsRefused.Add(1)
	r.audit.put(AuditEvent{Event: AuditClientRefused, Address: peer, By: "tls", Text: why})
}

// fail stops the broker because it cannot go on. It does not block.
func (r *Running) fail(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	r.shutdown()
}

// shutdown has the owner of the end begin. It does not block.
func (r *Running) shutdown() { r.stopOnce.Do(func() { close(r.stopping) }) }

// stop ends everything: clients first, so that they are told, then adapters. Life is the context that ends last.
func (r *Running) stop(life context.Context, served, monitored <-chan struct{}) {
	_ = r.listener.Close() // the server closes it, too
	sessions := make(chan struct{})
	go func() { // ends when the sessions have, for which their connections are cut below
		defer close(sessions)
		_ = r.sessions.Close(life)
	}()
	select {
	case <-sessions:
	case <-time.After(sessionsGrace):
		r.log.Debug("broker: some clients did not take their farewell")
	}
	ctx, cancel := context.WithTimeout(life, connectionsGrace)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if r.server.Shutdown(ctx) != nil {
			_ = r.server.Close() // cuts what is left
		}
	})
	wg.Go(func() { r.front.sockets.close(ctx) })
	wg.Wait()
	<-served
	if r.pager != nil {
		_ = r.pager.Close()
		<-monitored
	}
	<-sessions
	r.adapters.cancel()
	r.reloading.Lock() // a Reload at work comes to its end, and leaves nothing
	defer r.reloading.Unlock()
	r.adapters.close()
	stopped := AuditEvent{Event: AuditStopped}
	if err := r.Err(); err != nil {
		stopped.Text = err.Error()
	}
	r.audit.put(stopped)
	r.audit.close()
	r.sampled.Close()
	r.webPages.Close()
	r.cancel()
	close(r.done)
}

// Addr is the address clients connect to.
func (r *Running) Addr() net.Addr { return r.listener.Addr() }

// URL is the address to give to a client of this machine, such as http://127.0.0.1:8080.
func (r *Running) URL() string {
	scheme := "http://"
	if r.cfg.TLSConfig != nil {
		scheme = "https://"
	}
	addr, ok := r.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsUnspecified() {
		return scheme + r.Addr().String()
	}
	return scheme + net.JoinHostPort("localhost", fmt.Sprint(addr.Port))
}

// Adapters tells where the proxies wait for their remote adapters, in the order of the configuration. Those in this process are not among
// them, see [Running.Stats].
func (r *Running) Adapters() []AdapterAddr { return r.adapters.addrs() }

// Ready is closed when every proxy has, or has had, its remote adapter: from then on clients find everything. It is never closed if one
// does not come.
func (r *Running) Ready() <-chan struct{} { return r.adapters.ready }

// Done is closed when the broker has stopped and everything it started is gone.
func (r *Running) Done() <-chan struct{} { return r.done }

// Err tells, once Done is closed, why the broker stopped by itself: its listener failed, or a Remote Adapter behind a basic proxy is
// gone, which by the meaning of that proxy ends the server. Nil before, and if it was told to stop.
func (r *Running) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Shutdown stops the broker in order: no new clients, the sessions' clients told to come back later (END 48), remote adapters told of the
// end. It returns when everything has ended, which takes a second and a half at most, or with the error of ctx if that ends before;
// then it goes on in the background.
func (r *Running) Shutdown(ctx context.Context) error {
	r.shutdown()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("broker: shutdown: %w", ctx.Err())
	}
}

// Close stops the broker and returns when everything has ended, which takes a second and a half at most.
func (r *Running) Close() {
	r.shutdown()
	<-r.done
}

// Run runs a broker until ctx ends, and returns nil then; otherwise why it could not start or go on.
func Run(ctx context.Context, cfg Config) error {
	r, err := Start(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil
		}
		return err
	}
	<-r.Done()
	return r.Err()
}
