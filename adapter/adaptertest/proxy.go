package adaptertest

import (
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// DefaultPatience is how long a test waits for what it expects.
const DefaultPatience = time.Minute

// NoVersion is the Version of a proxy that announces none, as those of ARI 1.8.0 do.
const NoVersion = "none"

// An AdapterKind tells Data and Metadata Adapters apart.
type AdapterKind uint8

// The kinds of adapter.
const (
	DataAdapter AdapterKind = iota + 1
	MetadataAdapter
)

// A Proxy is a scripted Proxy Adapter: the server's end of the connection of one Data or Metadata Adapter, in memory. It is what the adapter under test
// connects to. It does nothing by itself: the test accepts connections, asks for items or about users, expects what comes and breaks things.
// It stops with the test.
//
// Its fields are options of the connections to come; a test can change them between two calls of Accept.
type Proxy struct {
	// Kind is the kind of adapter expected. 0: that of the server given to Run; without Run, DataAdapter.
	Kind AdapterKind
	// Version is the version of ARI announced in the initialisation, "1.9.1" by default; see NoVersion.
	Version string
	// Params are sent with the initialisation, besides, or in place of, adapters_conf.id=TEST and (data) data_provider.name=DEFAULT.
	Params map[string]string
	// KeepaliveHint is sent with the initialisation if it is not 0; else a hint is made of KeepaliveTimeout, as real proxies do.
	KeepaliveHint time.Duration
	// KeepaliveTimeout is the longest silence of an initialised adapter; a longer one fails the test and ends the connection. 0: nobody minds.
	KeepaliveTimeout time.Duration
	// Credentials are those that the adapter has to send; others fail the test. nil: they are not looked at.
	Credentials *adapter.Credentials
	// Modes are the modes of items. The events of an item named here are held to what its mode allows.
	Modes map[string]adapter.Mode
	// Buffer is how many bytes the adapter can write before the proxy has read any. 0: that of the Network, DefaultBuffer.
	Buffer int
	// Patience is how long the methods of the test kit wait before they fail the test. 0: DefaultPatience. Inside a
	// testing/synctest bubble the time is virtual: waiting in vain takes none.
	Patience time.Duration
	// IgnoreLeak, if not nil, says of the stack of a goroutine that outlives its server that it may: it belongs to a pool, for
	// instance. See Run.
	IgnoreLeak func(stack string) bool

	tb       testing.TB
	report   *reporter
	network  *Network
	listener *Listener
	lastID   atomic.Int64

	mu      sync.Mutex
	ran     AdapterKind // of the server given to Run
	conns   []*Conn
	current *Conn
}

// NewProxy returns a proxy on a network of its own, at which it listens from the start. It stops when the test ends: connections are cut, and
// what the adapter said that a test must not overlook (a declared failure) fails it.
//
// In a testing/synctest bubble it has to be called inside, with the bubble's t.
func NewProxy(tb testing.TB) *Proxy {
	tb.Helper()
	return NewProxyAt(tb, NewNetwork(), "proxy:8001")
}

// NewProxyAt returns a proxy that listens at an address of a network which other proxies share: for tests of several adapters together.
// It fails the test if somebody listens there.
func NewProxyAt(tb testing.TB, n *Network, addr string) *Proxy {
	tb.Helper()
	p := &Proxy{tb: tb, report: &reporter{tb: tb}, network: n}
	l, err := n.Listen(addr)
	if err != nil {
		tb.Fatalf("adaptertest: new proxy: %v", err)
	}
	p.listener = l
	tb.Cleanup(p.stop)
	return p
}

// stop ends what is left at the end of the test.
func (p *Proxy) stop() {
	_ = p.listener.Close()
	for _, c := range p.all() {
		c.finish()
		c.leftovers()
	}
	p.report.end()
}

func (p *Proxy) all() []*Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.conns)
}

// Addr returns the address of the proxy in its network, for the Addr field of a server.
func (p *Proxy) Addr() string { return p.listener.addr.String() }

// Dial connects to the proxy, or whoever listens at addr on its network. It is for the Dial field of a server.
func (p *Proxy) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return p.network.Dial(ctx, network, addr)
}

// Listen returns a listener on the proxy's network for a server that is connected to, not connecting; then use [Proxy.Connect] in place of Accept.
// It ends with the test.
func (p *Proxy) Listen() *Listener {
	p.tb.Helper()
	l, err := p.network.Listen("remote:0")
	if err != nil {
		p.report.fatalf("%v", err)
	}
	p.tb.Cleanup(func() { _ = l.Close() })
	return l
}

func (p *Proxy) patience() time.Duration {
	if p.Patience > 0 {
		return p.Patience
	}
	return DefaultPatience
}

func (p *Proxy) kind() AdapterKind {
	if p.Kind != 0 {
		return p.Kind
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.ran, DataAdapter)
}

// nextID returns an id that is unique in the life of the proxy, as protocol and connections want it.
func (p *Proxy) nextID() string { return "r" + strconv.FormatInt(p.lastID.Add(1), 10) }

func (p *Proxy) initParams() []ari.Param {
	all := map[string]string{ari.ParamAdaptersConfID: "TEST"}
	if p.kind() == DataAdapter {
		all[ari.ParamDataProviderName] = "DEFAULT"
	}
	hint := p.KeepaliveHint
	if hint == 0 {
		hint = ari.DefaultKeepaliveHint(p.KeepaliveTimeout)
	}
	if hint > 0 {
		all[ari.ParamKeepaliveHint] = strconv.FormatInt(hint.Milliseconds(), 10)
	}
	maps.Copy(all, p.Params)
	var params []ari.Param
	switch p.Version {
	case "":
		params = append(params, ari.Param{Name: ari.ParamVersion, Value: ari.T(ari.Latest.String())})
	case NoVersion:
	default:
		params = append(params, ari.Param{Name: ari.ParamVersion, Value: ari.T(p.Version)})
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		params = append(params, ari.Param{Name: name, Value: ari.T(all[name])})
	}
	return params
}

// Accept waits for the adapter to connect, checks who it says it is (RAC), initialises it and returns the connection, ready for requests.
func (p *Proxy) Accept() *Conn {
	p.tb.Helper()
	return p.initialised(p.accept(p.patience()))
}

// AcceptAgain is Accept for an adapter that lost its connection and has to be back within the given time: what it needs to notice and its pause.
func (p *Proxy) AcceptAgain(within time.Duration) *Conn {
	p.tb.Helper()
	return p.initialised(p.accept(within))
}

// AcceptRaw is Accept without the initialisation: for tests of what comes before it. See [Conn.Init].
func (p *Proxy) AcceptRaw() *Conn {
	p.tb.Helper()
	return p.accept(p.patience())
}

// Connect dials a server that listens at l, see [Proxy.Listen], and goes on as Accept does.
func (p *Proxy) Connect(l *Listener) *Conn {
	p.tb.Helper()
	conn, err := l.network.Dial(p.tb.Context(), "tcp", l.addr.String())
	if err != nil {
		p.report.fatalf("connect: %v", err)
	}
	return p.initialised(p.take(conn))
}

func (p *Proxy) accept(within time.Duration) *Conn {
	p.tb.Helper()
	_ = p.listener.SetDeadline(time.Now().Add(within))
	conn, err := p.listener.Accept()
	_ = p.listener.SetDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.report.fatalf("no connection from the adapter within %v", within)
	}
	if err != nil {
		p.report.fatalf("no connection from the adapter: %v", err)
	}
	return p.take(conn)
}

// take begins with a new connection.
func (p *Proxy) take(conn net.Conn) *Conn {
	p.tb.Helper()
	s, ok := conn.(*socket)
	if !ok {
		p.report.fatalf("%T is not a connection in memory", conn)
	}
	if p.Buffer != 0 {
		s.in.update(func() { s.in.limit = max(p.Buffer, 0) })
	}
	c := newConn(p, s)
	p.mu.Lock()
	p.conns = append(p.conns, c)
	p.current = c
	p.mu.Unlock()
	c.greet()
	return c
}

func (p *Proxy) initialised(c *Conn) *Conn {
	p.tb.Helper()
	if refusal := c.Init(); refusal != nil {
		c.fatal("the adapter refuses to be initialised: %v", refusal)
	}
	return c
}

// Subscribe subscribes to an item over the connection accepted last; if none has been, it accepts one. See [Conn.Subscribe].
func (p *Proxy) Subscribe(item string) *Item {
	p.tb.Helper()
	p.mu.Lock()
	c := p.current
	p.mu.Unlock()
	if c == nil {
		c = p.Accept()
	}
	return c.Subscribe(item)
}

// Cut cuts all connections, see [Conn.Cut].
func (p *Proxy) Cut(err error) {
	for _, c := range p.all() {
		c.Cut(err)
	}
}

// Refuse makes the proxy refuse connections, as if nobody listened; those not yet accepted are broken. [Proxy.Allow] ends it.
func (p *Proxy) Refuse() { p.listener.setRefuse(true) }

// Allow ends [Proxy.Refuse].
func (p *Proxy) Allow() { p.listener.setRefuse(false) }
