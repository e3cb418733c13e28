package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// The defaults of Config.
const (
	DefaultAddr            = "127.0.0.1:0"
	DefaultTimeout         = 10 * time.Second
	DefaultConnectionRetry = 10 * time.Second
	DefaultMaxLine         = 16 << 20
	DefaultMaxUnsent       = 16 << 20
	DefaultMaxPending      = 100_000
)

// Config is what both kinds of proxy need. Changes after the start have no effect.
type Config struct {
	_ struct{}

	Set  string // id of the Adapter Set, sent to the remote; required
	Name string // label in logs; empty: the set's id, with the Data Adapter's name

	// Robust proxies outlive their remotes.
	Robust bool

	// Addr is where to listen; empty means DefaultAddr. A given Listener is used in its place, and closed by the proxy.
	Addr     string
	Listener net.Listener
	// RemoteAddr (host:port) turns the direction: the proxy dials. Addr, Listener and Whitelist are void then.
	RemoteAddr string
	// Dial replaces the dialing of RemoteAddr. Nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// ConnectionRetry is the least time from one dial to the next. Zero means DefaultConnectionRetry; negative, no pause.
	ConnectionRetry time.Duration
	// Whitelist holds the addresses and host names that may connect. Nil admits anyone.
	Whitelist []string
	// NotifyAddr (data), if not empty, is the second address that remotes of ARI 1.9.0 and before connect to, for their
	// notifications: the proxy then expects two connections of its remote, without it one. A given NotifyListener is used
	// in its place, and closed by the proxy. Neither goes together with RemoteAddr.
	NotifyAddr     string
	NotifyListener net.Listener
	// TLS is spoken from the first byte if not nil; as the server when listening, as the client when dialing.
	TLS *tls.Config

	// Timeout limits each request, the init request to a remote that has identified itself
	// included. Zero means DefaultTimeout; negative, no limit.
	Timeout time.Duration
	// KeepaliveTimeout is the longest silence of the remote. Zero or negative: no limit.
	KeepaliveTimeout time.Duration
	// KeepaliveHint is the interval asked of the remote. Zero means what follows from KeepaliveTimeout (half of it, or 2 s
	// less); negative: nothing is asked.
	KeepaliveHint time.Duration

	// Auth checks the remote's credentials, which have to be among Credentials.
	Auth        bool
	Credentials []Credential

	// RemoteParams go to the remote in the init request.
	RemoteParams []provider.Field
	// ServerInstanceID identifies the server process to remotes. Empty: one made at random, the same for the whole process.
	ServerInstanceID string
	// ProxyInstanceID identifies this proxy to the remotes that follow each other. Empty: made at random. Robust only.
	ProxyInstanceID string

	// ConnectionRecovery is the least time from dialing a remote that was then not initialised to
	// dialing again, if it is more than ConnectionRetry. It does not close a port: a proxy that
	// listens goes on doing so whoever fails to be its remote.
	ConnectionRecovery time.Duration

	// OnConnected, if not nil, gets the address of each remote that was initialised. It is called
	// on the goroutine that reads from it, and must not block.
	OnConnected func(peer net.Addr)

	// MaxLine bounds a line of the remote, in bytes. Zero means DefaultMaxLine.
	MaxLine int
	// MaxUnsent bounds the bytes of answers that wait for a remote which asks and does not read;
	// past it the connection is given up. Requests wait, for their turn, from 256 KiB or MaxUnsent
	// on, whichever is less. Zero means DefaultMaxUnsent.
	MaxUnsent int
	// MaxPending bounds the requests that are sent and not answered; further ones wait. Zero means
	// DefaultMaxPending.
	MaxPending int

	// Peers, if not nil, is told of peers that come, go and are refused, from goroutines of the
	// proxy. It must not block.
	Peers func(PeerEvent)

	// Logger gets what happens. User names are logged at Info, passwords never. Nil discards it.
	Logger *slog.Logger
}

// Credential is a user and password that a remote may present.
type Credential struct{ User, Password string }

// String shows the user only.
func (c Credential) String() string { return c.User + ":***" }

// GoString is String.
func (c Credential) GoString() string { return c.String() }

// EventsRecovery says how the items in use are picked up by a new remote.
type EventsRecovery uint8

// The values of EventsRecovery.
const (
	LeaveHole       EventsRecovery = iota // live updates go on; the snapshot is dropped
	UseSnapshot                           // the new snapshot is passed on as it is
	EnforceSnapshot                       // ClearSnapshot at the loss, then the snapshot as live updates
)

// CloseRecovery says which notifications of closed tables and sessions a new remote gets.
type CloseRecovery uint8

// The values of CloseRecovery.
const (
	Pessimistic CloseRecovery = iota // all since the first that may not have been handled
	Optimistic                       // those after the last one answered
	Unneeded                         // none
)

// OnDisconnection says what NotifyUser answers while there is no remote.
type OnDisconnection uint8

// The values of OnDisconnection.
const (
	Fail       OnDisconnection = iota // provider.Unavailable
	ForceRetry                        // provider.Resource: the client retries
	SendCode                          // provider.Credits with a configured code
)

// errors of configuration
var (
	errNoSet       = errors.New("proxy: Config.Set is empty; give the id of the Adapter Set")
	errNotifyDial  = errors.New("proxy: a notify_port does not go together with dialing the remote; leave one of them out")
	errNotifyMeta  = errors.New("proxy: a notify_port is for data; a metadata remote has one connection")
	errNoPasswords = errors.New("proxy: Auth without Credentials; every remote would be refused")
)

// settings returns the configuration with its defaults, or what is wrong with it.
func (c Config) settings(ch ari.Channel, dataProvider string) (Config, error) {
	switch {
	case c.Set == "":
		return c, errNoSet
	case c.twoConnections() && ch != ari.Data:
		return c, errNotifyMeta
	case c.twoConnections() && c.RemoteAddr != "":
		return c, errNotifyDial
	case c.Auth && len(c.Credentials) == 0:
		return c, errNoPasswords
	}
	if c.Name == "" {
		if c.Name = c.Set; ch == ari.Data {
			c.Name += "." + dataProvider
		}
	}
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	if c.RemoteAddr != "" {
		host, _, err := net.SplitHostPort(c.RemoteAddr)
		if err != nil {
			return c, fmt.Errorf("proxy %s: address to dial %q: %w", c.Name, c.RemoteAddr, err)
		}
		if c.TLS != nil && c.TLS.ServerName == "" && !c.TLS.InsecureSkipVerify {
			c.TLS = c.TLS.Clone()
			c.TLS.ServerName = host
		}
	}
	c.ConnectionRetry = orDefault(c.ConnectionRetry, DefaultConnectionRetry)
	c.Timeout = orDefault(c.Timeout, DefaultTimeout)
	c.KeepaliveTimeout = max(c.KeepaliveTimeout, 0)
	if c.KeepaliveHint == 0 {
		c.KeepaliveHint = ari.DefaultKeepaliveHint(c.KeepaliveTimeout)
	}
	if c.ServerInstanceID == "" {
		c.ServerInstanceID = processID()
	}
	if c.ProxyInstanceID == "" {
		c.ProxyInstanceID = rand.Text()
	}
	if c.MaxLine <= 0 {
		c.MaxLine = DefaultMaxLine
	}
	if c.MaxUnsent <= 0 {
		c.MaxUnsent = DefaultMaxUnsent
	}
	if c.MaxPending <= 0 {
		c.MaxPending = DefaultMaxPending
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("proxy", c.Name)
	return c, nil
}

// twoConnections says whether remotes have a connection of their own for notifications.
func (c Config) twoConnections() bool { return c.NotifyAddr != "" || c.NotifyListener != nil }

var processID = sync.OnceValue(func() string { return "S" + strings.ToLower(rand.Text()) })

// orDefault resolves a duration of which zero is the default and negative is off; off is returned as zero.
func orDefault(d, def time.Duration) time.Duration {
	switch {
	case d == 0:
		return def
	case d < 0:
		return 0
	}
	return d
}
