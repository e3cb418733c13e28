package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// The reasons for which a connection, or a proxy, comes to its end. Errors that wrap them say more.
var (
	ErrClosed  = errors.New("the proxy was closed")
	ErrInit    = errors.New("the remote could not be initialised")
	ErrLost    = errors.New("the connection with the remote was lost")
	ErrFailure = errors.New("the remote adapter declared a failure")

	// errInitReply is the ErrInit of a remote that was asked to initialise and did not do so.
	errInitReply = fmt.Errorf("%w", ErrInit)
)

// Of each line that peers and clients can cause at will, sampleBurst are logged in a sampleTime.
const (
	sampleTime  = time.Minute
	sampleBurst = 10
)

const (
	flushTime = time.Second // how long a connection may take to write its farewell
	// leastRetry is the least time between dials of a remote that is not initialised, where no
	// pause is configured.
	leastRetry = 100 * time.Millisecond

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

// link brings connections about, of which one is that of the remote, and lives as long as its
// proxy.
type link struct {
	cfg          Config
	channel      ari.Channel
	dataProvider string
	side         side
	bounds       []bound // on the requests that are pending, the most urgent first; set before the start
	log          *slog.Logger
	stats        counters
	refusals     *sample.Log // what peers without a remote can have logged
	failures     *sample.Log // what clients and slow remotes can have logged

	ctx     context.Context
	cancel  context.CancelFunc
	ln      net.Listener // nil when dialing
	ready   chan struct{}
	done    chan struct{}
	lost    chan error // a basic proxy has lost its remote; one slot
	all     sync.WaitGroup
	serving sync.WaitGroup // acceptors, and accepted connections
	ids     atomic.Uint64
	parting atomic.Int32 // connections that write a farewell without having been initialised

	notifyLn net.Listener // nil unless remotes have two connections

	mu          sync.Mutex
	lobby       lobby       // peers that are opening
	notifyLobby lobby       // the same, at the port for notifications
	remote      *conn       // the one that has answered init, until it is detached
	waiting     []*conn     // those that have no connection for notifications yet
	mateless    []*notifier // those that have no other connection yet
	inited      bool        // ready is closed
	since       time.Time   // when the present remote was initialised; zero: none
	lastRefusal string      // why a remote was not initialised
	err         error
}

func newLink(cfg Config, ch ari.Channel, dataProvider string, s side) *link {
	return &link{
		cfg: cfg, channel: ch, dataProvider: dataProvider, side: s, log: cfg.Logger,
		ready: make(chan struct{}), done: make(chan struct{}), lost: make(chan error, 1),
		refusals: sample.New(cfg.Logger, sampleTime, sampleBurst), failures: sample.New(cfg.Logger, sampleTime, sampleBurst),
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
			l.serving.Go(l.acceptNotifiers)
		}
		l.log.Info("listening for the remote adapter", "addr", l.ln.Addr().String())
		l.serving.Go(l.accept)
	}
	l.all.Go(l.run)
	return nil
}

// listen returns the given listener, or opens one.
func (l *link) listen(given net.Listener, addr string) (net.Listener, error) {
	if given != nil {
		return given, nil
	}
	ln, err := new(net.ListenConfig).Listen(l.ctx, "tcp", addr)
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

// Done returns a channel that is closed when no remote will come any more: after Close, or when a
// basic proxy has lost its remote.
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
func (l *link) Stats() Stats {
	s := l.stats.read()
	l.mu.Lock()
	defer l.mu.Unlock()
	s.LastRefusal = l.lastRefusal
	return s
}

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

// run is the link's own goroutine: it dials, or waits for the end of those that serve connections.
func (l *link) run() {
	var err error
	if l.ln != nil {
		err = l.serveAll()
	} else {
		err = l.dialAll()
	}
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	if err != nil {
		l.log.Error("the proxy has ended", "error", err)
	}
	l.cancel()
	l.refusals.Close()
	l.failures.Close()
	close(l.done)
}

// serveAll waits for the end of a proxy that listens.
func (l *link) serveAll() (err error) {
	select {
	case err = <-l.lost:
	case <-l.ctx.Done():
	}
	l.cancel()
	l.stopListening()
	l.serving.Wait()
	return err
}

func (l *link) stopListening() {
	if l.ln != nil {
		_ = l.ln.Close() // closing twice is harmless
	}
	if l.notifyLn != nil {
		_ = l.notifyLn.Close()
	}
}

// dialAll serves one connection after the other. The error is that of a basic proxy which has lost
// its remote.
func (l *link) dialAll() error {
	var next time.Time
	for l.sleep(time.Until(next)) {
		begun := time.Now()
		next = begun.Add(l.cfg.ConnectionRetry)
		raw, err := l.dial()
		if err != nil {
			if l.ctx.Err() == nil {
				l.refusals.Warn("dial", "cannot connect to the remote adapter", "addr", l.cfg.RemoteAddr, "error", err)
			}
			continue
		}
		if err = watchSocket(raw); err != nil {
			l.log.Debug("cannot have the system watch a connection", "error", err)
		}
		c := newConn(l, raw)
		inited, err := l.serve(c)
		if l.ended(c, inited, err) {
			return <-l.lost
		}
		if !inited {
			next = begun.Add(max(l.cfg.ConnectionRetry, l.cfg.ConnectionRecovery, leastRetry))
		}
	}
	return nil
}

// ended tells of the end of a connection. It reports whether the proxy ends with it.
func (l *link) ended(c *conn, inited bool, err error) bool {
	if l.ctx.Err() != nil {
		return false
	}
	if !inited {
		l.refused(&c.peer, err)
		return false
	}
	l.tellPeer(PeerLost, c.raw, l.userOf(&c.peer), err.Error())
	err = fmt.Errorf("proxy %s: %w", l.cfg.Name, err)
	if l.cfg.Robust {
		c.log.Warn("remote adapter lost; waiting for another", "error", err)
		return false
	}
	l.lost <- err
	return true
}

// refused notes a peer that has not come to a good init reply. It has failed, the proxy has not:
// the port stays open.
func (l *link) refused(p *peer, err error) {
	l.stats.refused.Add(1)
	l.tellPeer(PeerRefused, p.raw, l.userOf(p), err.Error())
	attrs := []any{"peer", p.raw.RemoteAddr().String(), "reason", err}
	switch {
	case errors.Is(err, errTaken):
		msg := "connection refused"
		if l.knows(p) {
			l.stats.seconds.Add(1)
			msg = "a second remote adapter was refused; stop one of the two, or give each a port of its own"
		} else {
			l.stats.probes.Add(1)
		}
		l.refusals.Warn(msg, msg, append(attrs, "times", l.stats.refused.Load())...)
	case errors.Is(err, errInitReply), errors.Is(err, ErrFailure):
		l.stats.probes.Add(1)
		l.mu.Lock()
		l.lastRefusal = err.Error()
		l.mu.Unlock()
		l.refusals.Error("init", "the remote adapter was not initialised; waiting for it to connect again", attrs...)
	default:
		l.stats.probes.Add(1)
		l.refusals.Warn("probe", "connection refused: the peer is no remote adapter of this proxy", append(attrs, "times", l.stats.probes.Load())...)
	}
}

// knows reports whether the peer has sent RAC.
func (l *link) knows(p *peer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return p.rac
}

// userOf returns the user of a peer's RAC, fit for logs; empty if there was none.
func (l *link) userOf(p *peer) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bounded(p.user)
}

// sleep reports whether the proxy still lives after it.
func (l *link) sleep(d time.Duration) bool {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-l.ctx.Done():
		}
	}
	return l.ctx.Err() == nil
}

func (l *link) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, openingTime)
	defer cancel()
	if l.cfg.Dial != nil {
		return l.cfg.Dial(ctx, "tcp", l.cfg.RemoteAddr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", l.cfg.RemoteAddr)
}

// secure returns the connection, with TLS if it is to have it.
func (l *link) secure(p *peer) (net.Conn, error) {
	if l.cfg.TLS == nil {
		return p.raw, nil
	}
	tc := tls.Server(p.raw, l.cfg.TLS)
	if l.ln == nil {
		tc = tls.Client(p.raw, l.cfg.TLS)
	}
	if err := tc.HandshakeContext(p.ctx); err != nil {
		l.stats.tlsRefused.Add(1)
		return nil, fmt.Errorf("no TLS with the peer: %w", err)
	}
	return tc, nil
}

// release has c stand in nobody's way any more, as it is ending. The place of the remote is free
// later, see leave.
func (l *link) release(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lobby.leave(&c.peer)
	if i := slices.Index(l.waiting, c); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
}

// serve opens a connection and reads it to its end. The error tells why it has ended.
func (l *link) serve(c *conn) (inited bool, err error) {
	cancelled := make(chan struct{})
	stop := context.AfterFunc(l.ctx, func() {
		defer close(cancelled)
		c.fail(ErrClosed, shuttingDown)
	})
	c.begin()
	err = l.foreign(&c.peer)
	if err == nil {
		var nc net.Conn
		if nc, err = l.secure(&c.peer); err == nil {
			c.nc = nc
		}
	}
	if err != nil {
		c.fail(fmt.Errorf("%w: %w", ErrInit, err), "")
	}
	var writing, watching sync.WaitGroup
	over := make(chan struct{})
	writing.Go(c.write)
	watching.Go(func() { c.watchHost(over) })
	if err == nil {
		c.open()
		c.read()
	}
	if !stop() {
		<-cancelled
	}
	writing.Wait()
	close(over)
	watching.Wait()
	c.closeMate()
	c.stopTimers()
	if c.parting {
		l.parting.Add(-1)
	}
	reason := c.reason()
	c.pending.close(reason)
	if c.inited.Load() {
		l.side.detach(c)
	}
	l.leave(c)
	return c.inited.Load(), reason
}

// take has c take the place of the remote, which it reports: another may have it. One that is
// ending is waited for.
func (l *link) take(c *conn) bool {
	for {
		l.mu.Lock()
		old := l.remote
		if old == nil {
			break
		}
		l.mu.Unlock()
		if !old.ending.Load() {
			return false
		}
		<-old.gone
	}
	l.remote = c
	l.lobby.leave(&c.peer)
	var late []*conn
	for _, p := range l.lobby.peers {
		other := p.conn
		other.late = true
		late = append(late, other)
	}
	l.waiting = nil
	strays := l.mateless
	l.mateless = nil
	l.mu.Unlock()
	if !l.cfg.Robust {
		l.stopListening() // it takes one remote in its life
	}
	for _, other := range late {
		other.beLate()
	}
	for _, n := range strays {
		n.cut(errTaken)
	}
	return true
}

// leave frees the place of the remote, if it was c's.
func (l *link) leave(c *conn) {
	l.mu.Lock()
	if l.remote == c {
		l.remote, l.since = nil, time.Time{}
	}
	l.mu.Unlock()
	close(c.gone)
}

// Connected returns when the present remote was initialised; the zero time if there is none.
func (l *link) Connected() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since
}

// becameReady notes that a remote is initialised.
func (l *link) becameReady(c *conn) {
	l.stats.connections.Add(1)
	l.mu.Lock()
	l.since = time.Now()
	if !l.inited {
		l.inited = true
		close(l.ready)
	}
	l.mu.Unlock()
	if l.cfg.OnConnected != nil {
		l.cfg.OnConnected(c.raw.RemoteAddr())
	}
}
