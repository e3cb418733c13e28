package adapter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A DataServer connects one Data Adapter to its Proxy Adapter in the server. Provider and one of Addr and Listener are needed, the zero
// value of the other fields is a good choice. The fields are read when Run starts; later changes have no effect on it. A DataServer must not be copied.
type DataServer struct {
	_ struct{}

	// Provider is the Data Adapter.
	Provider DataProvider
	// Addr is "host:port" of the proxy's request_reply_port, to dial.
	Addr string
	// Listener is where the proxy dials, if it is configured with remote_host. It is not closed by Run.
	Listener net.Listener
	// TLS, if not nil, is used for the connection: as client with Addr (ServerName defaults to Addr's host), as server with Listener.
	TLS *tls.Config
	// Dial replaces [net.Dialer.DialContext].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Credentials, if not nil, is called before each connection for the user and password to send.
	Credentials func(context.Context) (Credentials, error)
	// Name stands in logs and errors. Default: the address.
	Name string
	// Params are given to Initialize, over those of the proxy.
	Params Params
	// ConfigFile is given to Initialize.
	ConfigFile string
	// Keepalive is the longest silence on the connection. 0: DefaultKeepalive, or less if the proxy asks for it; negative: none, unless
	// the proxy asks for it.
	Keepalive time.Duration
	// Reconnect spaces the attempts to connect. nil: default pauses. See NoReconnect.
	Reconnect *Backoff
	// MaxPending is how many bytes may wait to be written before the sending methods of Subscription wait. 0: DefaultMaxPending.
	MaxPending int
	// WhenFull says what the sending methods do then. Default: Wait.
	WhenFull FullPolicy
	// MaxCallbacks limits the callbacks at work at the same time. 0: no limit; 1: one after the other. Requests over the limit wait in
	// the order of their arrival.
	MaxCallbacks int
	// MaxLine is the longest line accepted from the proxy, in bytes. 0: DefaultMaxLine.
	MaxLine int
	// MaxItemBytes bounds the memory for the items subscribed at the same time: each counts with
	// its name and 256 bytes. A subscription over it is refused ([ErrTooManyItems]). 0:
	// DefaultMaxItemBytes.
	MaxItemBytes int
	// StopTimeout is how long Run waits, when it stops, for callbacks at work and data on its way. 0: DefaultStopTimeout.
	StopTimeout time.Duration
	// AckTimeout is how long the proxy's host may leave data unacknowledged before the connection
	// counts as lost. A proxy that does not read, on a host that is well, is given two minutes.
	// Linux only. 0: DefaultAckTimeout; negative: it is left to the system, which takes a quarter
	// of an hour.
	AckTimeout time.Duration
	// Logger gets what happens. nil: nothing is logged. Passwords never are.
	Logger *slog.Logger
	// LogLines chooses lines of the wire to log at level Debug. Default: none.
	LogLines LogCategories
	// Events are called as things happen. nil: none.
	Events *Events

	stats   stats
	running atomic.Bool
}

func (s *DataServer) settings() (*settings, error) {
	c := &settings{
		kind: ari.Data, name: s.Name, addr: s.Addr, listener: s.Listener, tls: s.TLS, dial: s.Dial, credentials: s.Credentials,
		params: s.Params, configFile: s.ConfigFile, keepalive: s.Keepalive, reconnect: s.Reconnect, maxPending: s.MaxPending, whenFull: s.WhenFull,
		maxCalls: s.MaxCallbacks, maxLine: s.MaxLine, stopTimeout: s.StopTimeout, log: s.Logger, categories: s.LogLines, events: s.Events, stats: &s.stats,
		ackTimeout: s.AckTimeout, maxItems: s.MaxItemBytes,
	}
	c.fillDefaults()
	err := c.validate()
	if s.Provider == nil {
		err = errors.Join(err, fmt.Errorf("adapter: %s: Provider is missing", c.title()))
	}
	return c, err
}

// Validate tells what is wrong with the fields, all of it at once; nil if nothing is. Run begins with it.
func (s *DataServer) Validate() error {
	_, err := s.settings()
	return err
}

// Stats returns the counters. It can be called at any time, from any goroutine.
func (s *DataServer) Stats() Stats { return s.stats.snapshot() }

// Run connects to the proxy, serves its requests, and connects again after a loss, until ctx ends; then it ends every [Subscription], writes what is pending and
// returns nil. It returns an error when there is no point in going on: the fields are wrong, the provider refused the initialisation
// ([*InitError]), the proxy refused the connection ([*CloseError]), or, with [NoReconnect], the connection failed.
//
// At each new connection the provider is initialised and its items are subscribed again. Run can be called again after it has returned;
// while it runs a second call returns [ErrRunning].
func (s *DataServer) Run(ctx context.Context) error {
	c, err := s.settings()
	if err != nil {
		return err
	}
	if !s.running.CompareAndSwap(false, true) {
		return fmt.Errorf("adapter: %s: %w", c.title(), ErrRunning)
	}
	defer s.running.Store(false)
	return run(ctx, c, func(l *link) handler { return newDataHandler(l, s.Provider) })
}
