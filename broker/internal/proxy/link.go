package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// The reasons for which a connection, or a proxy, comes to its end. Errors that wrap them say more.
var (
	ErrClosed  = errors.New("the proxy was closed")
	ErrInit    = errors.New("the remote could not be initialised")
	ErrLost    = errors.New("the connection with the remote was lost")
	ErrFailure = errors.New("the remote adapter declared a failure")
)

const (
	flushTime     = time.Second      // how long a connection may take to write its farewell
	handshakeTime = 10 * time.Second // for TLS and RAC, where Timeout sets no limit
	tcpKeepAlive  = 15 * time.Second // between probes

	shuttingDown = "the server is shutting down"
)

// side is what differs between data and metadata.
type side interface {
	// attach is called by the reader when c is initialised, before any further line is read.
	attach(c *conn)
	// event gets the notifications (data) and the remote's own requests (metadata), on the reader.
	event(c *conn, l ari.Line)
	// detach is called when c has ended, after its requests have failed; if attach was called.
	detach(c *conn)
}

// link brings connections about, one at a time, and lives as long as its proxy.
type link struct {
	cfg          Config
	channel      ari.Channel
	dataProvider string
	side         side
	bounds       []bound // on the requests that are pending; set before the start
	log          *slog.Logger
	stats        counters

	ctx    context.Context
	cancel context.CancelFunc
	ln     net.Listener  // nil when dialing
	conns  chan net.Conn // from the acceptor
	ready  chan struct{}
	done   chan struct{}
	all    sync.WaitGroup
	ids    atomic.Uint64

	notifyLn net.Listener // nil unless remotes have two connections

	mu      sync.Mutex
	taken   bool      // there is a remote; others are turned down
	second  *notifier // there is a connection for notifications; others are turned down
	opening *conn     // it is not asked to initialise yet
	waiting *conn     // it has no connection for notifications yet
	paused  bool      // waiting after a failed attempt
	inited  bool      // ready is closed
	since   time.Time // when the present remote was initialised; zero: none
	err     error
}

func newLink(cfg Config, ch ari.Channel, dataProvider string, s side) *link {
	return &link{
		cfg: cfg, channel: ch, dataProvider: dataProvider, side: s, log: cfg.Logger,
		conns: make(chan net.Conn), ready: make(chan struct{}), done: make(chan struct{}),
	}
}

// start listens, if it is to, and starts the goroutines.
func (l *link) start(ctx context.Context) error {
	l.ctx, l.cancel = context.WithCancel(ctx)
	if l.cfg.RemoteAddr == "" {
		var err error
		if l.ln, err = l.listen(l.cfg.Listener, l.cfg.Addr); err != nil {
			l.cancel()
			return err
		}
		if l.cfg.twoConnections() {
			if l.notifyLn, err = l.listen(l.cfg.NotifyListener, l.cfg.NotifyAddr); err != nil {
				l.cancel()
				_ = l.ln.Close()
				return err
			}
			l.log.Info("listening for the remote adapter's notifications", "addr", l.notifyLn.Addr().String())
			l.all.Go(l.acceptNotifiers)
		}
		l.log.Info("listening for the remote adapter", "addr", l.ln.Addr().String())
		l.all.Go(l.accept)
	}
	l.all.Go(l.run)
	return nil
}

// listen returns the given listener, or opens one.
func (l *link) listen(given net.Listener, addr string) (net.Listener, error) {
	if given != nil {
		return given, nil
	}
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: tcpKeepAlive, Interval: tcpKeepAlive}}
	ln, err := lc.Listen(l.ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", l.cfg.Name, err)
	}
	return ln, nil
}

// Addr returns the address listened on; nil for a proxy that dials.
func (l *link) Addr() net.Addr {
	if l.ln == nil {
		return nil
	}
	return l.ln.Addr()
}

// NotifyAddr returns the address listened on for notifications; nil if remotes have one connection.
func (l *link) NotifyAddr() net.Addr {
	if l.notifyLn == nil {
		return nil
	}
	return l.notifyLn.Addr()
}

// Ready returns a channel that is closed when the first remote is initialised.
func (l *link) Ready() <-chan struct{} { return l.ready }

// Done returns a channel that is closed when no remote will come any more: after Close, when a basic proxy has lost its
// remote, or when an attempt failed after which a robust one does not try again.
func (l *link) Done() <-chan struct{} { return l.done }

// Err tells why Done is closed; nil before, and after Close.
func (l *link) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// WaitReady waits for the first remote the way the start of a server does: without limit for a basic proxy; for a robust
// one up to limit, negative for no limit, after which it returns nil, too. The error says that no remote will come, or is
// that of ctx.
func (l *link) WaitReady(ctx context.Context, limit time.Duration) error {
	var over <-chan time.Time
	if l.cfg.Robust && limit >= 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-l.ready:
		return nil
	case <-over:
		return nil
	case <-l.done:
		if err := l.Err(); err != nil {
			return err
		}
		return fmt.Errorf("proxy %s: %w", l.cfg.Name, ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("proxy %s: no remote adapter has connected: %w", l.cfg.Name, context.Cause(ctx))
	}
}

// Stats returns what has been counted since the start.
func (l *link) Stats() Stats { return l.stats.read() }

// Close tells the remote, closes the connection and the listener, fails what is waiting, and returns when every goroutine
// of the proxy has ended: at once, or after the second that a remote may take to read the farewell.
func (l *link) Close() {
	l.cancel()
	l.all.Wait()
}

// nextID makes the id of a request: unique while the proxy lives, so that what comes late from an earlier connection is
// never taken for something current.
func (l *link) nextID(stamp string) string {
	return strconv.FormatUint(l.ids.Add(1), 16) + stamp
}

// run is the link's own goroutine: it gets connections, and reads each to its end.
func (l *link) run() {
	err := l.serveAll()
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	if err != nil {
		l.log.Error("the proxy has ended", "error", err)
	}
	l.cancel()
	close(l.done)
}

func (l *link) serveAll() error {
	stop := context.AfterFunc(l.ctx, l.stopListening)
	defer func() {
		if stop() {
			l.stopListening()
		}
	}()
	var lastDial time.Time
	for {
		nc, raw := l.next(&lastDial)
		if nc == nil {
			return nil
		}
		if !l.cfg.Robust && l.ln != nil {
			_ = l.ln.Close() // it takes one remote in its life; the other port is closed when the pair is complete
		}
		started := time.Now()
		inited, err := l.serve(nc, raw)
		if l.ctx.Err() != nil {
			return nil
		}
		err = fmt.Errorf("proxy %s: %w", l.cfg.Name, err)
		switch {
		case !l.cfg.Robust:
			return err
		case inited:
			l.log.Warn("remote adapter lost; waiting for another", "error", err)
		case l.cfg.ConnectionRecovery < 0:
			return err
		default:
			l.log.Warn("remote adapter refused; waiting for another", "error", err, "not_before", started.Add(l.cfg.ConnectionRecovery))
			l.pause(started.Add(l.cfg.ConnectionRecovery))
		}
	}
}

func (l *link) stopListening() {
	if l.ln != nil {
		_ = l.ln.Close() // closing twice is harmless
	}
	if l.notifyLn != nil {
		_ = l.notifyLn.Close()
	}
}

// pause turns everybody down until the given time.
func (l *link) pause(until time.Time) {
	l.setPaused(true)
	l.sleep(time.Until(until))
	l.setPaused(false)
}

func (l *link) setPaused(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = on
}

func (l *link) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.ctx.Done():
	}
}

// next returns the next connection, with TLS if it is wanted, and the transport below; nil when the proxy is to end.
func (l *link) next(lastDial *time.Time) (nc, raw net.Conn) {
	for l.ctx.Err() == nil {
		if l.ln != nil {
			select {
			case raw = <-l.conns:
			case <-l.ctx.Done():
				return nil, nil
			}
		} else {
			l.sleep(time.Until(lastDial.Add(l.cfg.ConnectionRetry)))
			*lastDial = time.Now()
			var err error
			if raw, err = l.dial(); err != nil {
				if l.ctx.Err() == nil {
					l.log.Warn("cannot connect to the remote adapter", "addr", l.cfg.RemoteAddr, "error", err)
				}
				continue
			}
		}
		nc, err := l.secure(raw)
		if err == nil {
			return nc, raw
		}
		l.log.Warn("no TLS with the peer", "peer", raw.RemoteAddr().String(), "error", err)
		l.tellPeer(PeerRefused, raw, "", "no TLS: "+err.Error())
		_ = raw.Close()
		l.release(nil)
	}
	return nil, nil
}

func (l *link) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTime)
	defer cancel()
	if l.cfg.Dial != nil {
		return l.cfg.Dial(ctx, "tcp", l.cfg.RemoteAddr)
	}
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: tcpKeepAlive, Interval: tcpKeepAlive}}
	return d.DialContext(ctx, "tcp", l.cfg.RemoteAddr)
}

// secure does the TLS handshake.
func (l *link) secure(raw net.Conn) (net.Conn, error) {
	if l.cfg.TLS == nil {
		return raw, nil
	}
	tc := tls.Server(raw, l.cfg.TLS)
	if l.ln == nil {
		tc = tls.Client(raw, l.cfg.TLS)
	}
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTime)
	defer cancel()
	err := tc.HandshakeContext(ctx)
	if err != nil {
		l.stats.tlsRefused.Add(1)
	}
	return tc, err
}

// release lets the acceptors hand over the next connection; c, if not nil, is what held the place.
func (l *link) release(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken, l.opening, l.waiting = false, nil, nil
	if c != nil && c.mate != nil && l.second == c.mate {
		l.second = nil
	}
}

// openingTime limits what has to happen before the init request.
func (l *link) openingTime() time.Duration {
	if l.cfg.Timeout > 0 {
		return l.cfg.Timeout
	}
	return handshakeTime
}

// serve reads one connection to its end. The error says why it ended.
func (l *link) serve(nc, raw net.Conn) (inited bool, err error) {
	c := newConn(l, nc, raw)
	l.stats.connections.Add(1)
	c.log.Info("connected with a peer")
	var writing sync.WaitGroup
	writing.Go(c.write)
	cancelled := make(chan struct{})
	stop := context.AfterFunc(l.ctx, func() {
		defer close(cancelled)
		c.fail(ErrClosed, shuttingDown)
	})
	c.open()
	c.read()
	if !stop() {
		<-cancelled
	}
	writing.Wait()
	c.closeMate()
	c.stopTimer()
	reason := c.reason()
	c.pending.close(reason)
	if c.inited.Load() {
		l.side.detach(c)
	}
	l.mu.Lock()
	l.since = time.Time{}
	l.mu.Unlock()
	kind := PeerRefused
	if c.inited.Load() {
		kind = PeerLost
	}
	l.tellPeer(kind, raw, c.user, reason.Error())
	return c.inited.Load(), reason
}

// Connected returns when the present remote was initialised; the zero time if there is none.
func (l *link) Connected() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since
}

// becameReady notes that a remote is initialised.
func (l *link) becameReady() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Now()
	if !l.inited {
		l.inited = true
		close(l.ready)
	}
}
