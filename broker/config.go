package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/session"
)

// Config configures a broker. The zero value is a broker without Adapter Sets on 127.0.0.1:8080. [Start] copies it: later changes have
// no effect. Unless a comment says otherwise, zero means the default it names.
type Config struct {
	_ struct{}

	// Addr is the TCP address for clients. Default "127.0.0.1:8080"; port 0 picks a free one.
	Addr string
	// Listener, if not nil, is used instead of Addr. The broker closes it, if it does not start, too.
	Listener net.Listener
	// TLSConfig, if not nil, makes the client address speak TLS (https and wss). It must hold a certificate. It is not changed, so that several
	// brokers can have the same.
	TLSConfig *tls.Config
	// TLSFiles, if not nil, does the same with files, which are followed while the broker runs. It
	// excludes TLSConfig.
	TLSFiles *TLSFiles
	// Handler serves every path that is not below /lightstreamer. Nil answers 404. A request has to
	// arrive within ReadTimeout, body included, and each 64 KiB that are written have to be read
	// within WriteTimeout; a handler that needs longer for its body sets deadlines by an
	// [http.ResponseController]. Hosts and origins are its own concern.
	Handler http.Handler

	// AdaptersDir is a folder of Adapter Sets: DIR/adapters.xml, or DIR/*/adapters.xml, or both. Empty: none.
	AdaptersDir string
	// AdapterFiles are further adapters.xml files, by their paths.
	AdapterFiles []string
	// ExpandEnv replaces values of the form $env.NAME in these files by environment variables.
	ExpandEnv bool
	// Sets are further Adapter Sets, as adaptersxml.Read returns them. Ports may be 0 here, which picks free ones; see
	// [Running.Adapters]. The broker keeps the pointers and changes nothing.
	Sets []*adaptersxml.Set
	// Adapters are Adapter Sets in this process, by their ids; only Metadata and Data of each are used. They are asked as remote ones are,
	// over a pipe in memory: no port is opened, and what works here works against Lightstreamer Server. Without Metadata the set has a
	// LiteralBasedProvider with its defaults. A failure of an adapter ([adapter.Control.Failure]) stops the broker.
	Adapters map[string]adapter.Set
	// AdapterHost is where ports for remote adapters listen if their configuration names no interface. Default "127.0.0.1";
	// "0.0.0.0" or "::" are all interfaces.
	AdapterHost string

	// NoMonitoring leaves /healthz, /readyz and /metrics to Handler. Otherwise the broker serves
	// them on Addr, to whoever can reach it: they tell how busy the broker is and how its adapters
	// are called, but nothing of users and items. At the limit of connections they are still
	// served, each on a connection that ends with it.
	NoMonitoring bool
	// MonitorAddr is a TCP address for these pages alone, without TLS; they are not served on Addr
	// then. Empty: there is none, unless MonitorListener is set.
	MonitorAddr string
	// MonitorListener, if not nil, is used instead of MonitorAddr. The broker closes it, if it does
	// not start, too.
	MonitorListener net.Listener

	// ServerName is told to clients as the name of the listening port. Default "Lightstreamer HTTP Server".
	ServerName string
	// AllowedOrigins are the origins (scheme://host[:port]) of web pages that may use the broker,
	// besides those of the host and port that a request is for, and, over the loopback interface,
	// pages of localhost and of loopback addresses. Pages of these origins may send cookies. "*"
	// allows all pages, without cookies, "null" those that have no origin (files, sandboxed
	// frames). Requests that do not come from a page of another site are always allowed.
	AllowedOrigins []string
	// AllowedHosts are the host names, without ports, under which the broker may be reached over
	// the loopback interface, besides localhost and addresses; with it other interfaces accept only
	// these names and their own address. It keeps pages of strangers from reaching the broker by a
	// name of theirs (DNS rebinding). A proxy on the same machine that passes the Host of its
	// clients on needs its names here. "*" allows all.
	AllowedHosts []string
	// TrustedProxies are the addresses of proxies in front of the broker. Of a request from one of
	// them the client's address is the last one in X-Forwarded-For that is not a trusted proxy, and
	// the proxies are not bounded by address, but the requests of their clients are. With it,
	// X-Forwarded-For of others is ignored; without, it is passed on to the Metadata Adapter only.
	TrustedProxies []netip.Prefix

	// Limits bound what clients can make the broker do and keep.
	Limits Limits
	// WriteTimeout bounds each write to a client; one that takes longer (on a WebSocket, up to a quarter longer) has lost its connection. Default 30 s.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection may stay open without a request, a WebSocket without a
	// session bound to it, whatever else is sent on it. Default 60 s.
	IdleTimeout time.Duration
	// ReadTimeout is how long a request may take to arrive, from its first byte to the end of its
	// body; a TLS handshake; a message on a WebSocket (which may take up to a quarter longer).
	// Default 20 s.
	ReadTimeout time.Duration
	// Keepalive is the longest silence of a streaming connection if the client asks for none. Default 5 s.
	Keepalive time.Duration
	// RebindTimeout is how long a session lives after LOOP, besides the polling interval. Default 10 s.
	RebindTimeout time.Duration
	// RecoveryTimeout is how long a session lives after its connection was lost. Default 20 s.
	RecoveryTimeout time.Duration
	// Linger is how long an item stays subscribed with its Data Adapter after its last client has left. Default 5 s, negative: not
	// at all.
	Linger time.Duration

	// Audit, if not nil, gets who came from where, was refused why, and was ended by whom. The
	// calls come one at a time, in the order of the events, from a goroutine of their own: Audit
	// may write to a file. While it takes its time up to 1024 events wait for it; what is more is
	// dropped, and counted in the next one. The end of the broker waits for it for a quarter of a
	// second.
	Audit func(AuditEvent)
	// Logger gets what happens. Nil discards it. Passwords are never logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	def(&c.Addr, "127.0.0.1:8080")
	def(&c.AdapterHost, "127.0.0.1")
	def(&c.ServerName, "Lightstreamer HTTP Server")
	c.Limits = c.Limits.withDefaults()
	def(&c.WriteTimeout, 30*time.Second)
	def(&c.IdleTimeout, time.Minute)
	def(&c.ReadTimeout, 20*time.Second)
	if c.Handler == nil {
		c.Handler = http.NotFoundHandler()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// check finds what no default can mend, all of it at once.
func (c *Config) check() error {
	var errs []error
	if err := c.Limits.check(); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, checkAccess(c)...)
	for _, p := range c.TrustedProxies {
		if !p.IsValid() {
			errs = append(errs, errors.New("broker: TrustedProxies: want valid prefixes, such as 10.0.0.0/8"))
		}
	}
	for name, d := range map[string]time.Duration{
		"WriteTimeout": c.WriteTimeout, "IdleTimeout": c.IdleTimeout, "ReadTimeout": c.ReadTimeout, "Keepalive": c.Keepalive,
		"RebindTimeout": c.RebindTimeout, "RecoveryTimeout": c.RecoveryTimeout,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("broker: %s %v: want a positive time, it cannot be switched off", name, d))
		}
	}
	if c.TLSConfig != nil && len(c.TLSConfig.Certificates) == 0 && c.TLSConfig.GetCertificate == nil && c.TLSConfig.GetConfigForClient == nil {
		errs = append(errs, errors.New("broker: TLSConfig has no certificate"))
	}
	if c.TLSFiles != nil {
		errs = append(errs, c.TLSFiles.check())
		if c.TLSConfig != nil {
			errs = append(errs, errors.New("broker: TLSConfig and TLSFiles are both set: want one"))
		}
	}
	for id, set := range c.Adapters {
		if id == "" {
			errs = append(errs, errors.New("broker: Adapters: a set without an id"))
		}
		for name, p := range set.Data {
			if name == "" || p == nil {
				errs = append(errs, fmt.Errorf("broker: Adapters: set %s: Data Adapter %q: want a name and a provider", id, name))
			}
		}
	}
	return errors.Join(errs...)
}

// sessions is the part of the configuration that concerns sessions, which hold no more memory than
// there is.
func (c *Config) sessions(sets func(string) *provider.Set, memory *budget.Budget) session.Config {
	l := &c.Limits
	return session.Config{
		Sets: sets, ServerName: c.ServerName, Keepalive: c.Keepalive, RebindTimeout: c.RebindTimeout, RecoveryTimeout: c.RecoveryTimeout,
		Linger: c.Linger, Logger: c.Logger,
		RequestLimit: l.Request, MaxSessions: l.Sessions, MaxSubscriptions: l.Subscriptions, MaxRequests: l.PendingRequests,
		MaxAddressSessions: l.AddressSessions, LoopbackSessions: l.LoopbackConnections, SessionRate: l.SessionRate, MaxUserSessions: l.UserSessions,
		MaxCreations: l.PendingCreations, MaxMessageBytes: int64(l.PendingMessageBytes), MaxMessageCalls: l.MessageCalls,
		MaxRequestBytes: int64(l.PendingRequestBytes), MaxWaiting: int64(l.PendingBytes),
		MaxMessages: l.PendingMessages, MaxSequences: l.Sequences, MaxBuffer: l.Buffer, MaxUnfiltered: l.UnfilteredBuffer,
		MaxItems: l.Items, MaxFields: l.Fields, SessionMemory: l.SessionMemory, Memory: memory,
		MaxQueueBytes: l.QueueBytes, HistoryBytes: l.HistoryBytes, HistoryTime: l.HistoryTime,
	}
}
