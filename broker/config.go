package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
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
	// Handler serves every path that is not below /lightstreamer. Nil answers 404.
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

	// NoMonitoring leaves /healthz, /readyz and /metrics to Handler. Otherwise the broker serves them on Addr, to whoever can reach it: they
	// tell how busy the broker is and how its adapters are called, but nothing of users and items.
	NoMonitoring bool

	// ServerName is told to clients as the name of the listening port. Default "Lightstreamer HTTP Server".
	ServerName string
	// AllowedOrigins are the origins (scheme://host[:port]) whose pages may use the broker. Nil allows all; requests without an
	// Origin, which do not come from a page of another site, are always allowed.
	AllowedOrigins []string

	// Limits bound what clients can make the broker do and keep.
	Limits Limits
	// WriteTimeout bounds each write to a client; one that takes longer (on a WebSocket, up to a quarter longer) has lost its connection. Default 30 s.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection may stay open without a request, a WebSocket without a session bound to it. Default
	// 60 s.
	IdleTimeout time.Duration
	// ReadTimeout is how long a request may take to arrive. Default 20 s.
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

// sessions is the part of the configuration that concerns sessions.
func (c *Config) sessions(sets func(string) *provider.Set) session.Config {
	l := &c.Limits
	return session.Config{
		Sets: sets, ServerName: c.ServerName, Keepalive: c.Keepalive, RebindTimeout: c.RebindTimeout, RecoveryTimeout: c.RecoveryTimeout,
		Linger: c.Linger, Logger: c.Logger,
		RequestLimit: l.Request, MaxSessions: l.Sessions, MaxSubscriptions: l.Subscriptions, MaxRequests: l.PendingRequests,
		MaxMessages: l.PendingMessages, MaxSequences: l.Sequences, MaxBuffer: l.Buffer, MaxUnfiltered: l.UnfilteredBuffer,
		MaxItems: l.Items, MaxFields: l.Fields, SessionMemory: l.SessionMemory, Memory: l.memory(),
		MaxQueueBytes: l.QueueBytes, HistoryBytes: l.HistoryBytes, HistoryTime: l.HistoryTime,
	}
}
