package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// Config configures a broker. The zero value is a broker without Adapter Sets on 127.0.0.1:8080. [Start] copies it: later changes have
// no effect. Unless a comment says otherwise, zero means the default it names.
type Config struct {
	_ struct{}

	// Addr is the TCP address for clients. Default "127.0.0.1:8080"; port 0 picks a free one.
	Addr string
	// Listener, if not nil, is used instead of Addr. The broker closes it, if it does not start, too.
	Listener net.Listener
	// TLSConfig, if not nil, makes the client address speak TLS (https and wss). It must hold a certificate.
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
	// AdapterHost is where ports for remote adapters listen if their configuration names no interface. Default "127.0.0.1";
	// "0.0.0.0" or "::" are all interfaces.
	AdapterHost string

	// ServerName is told to clients as the name of the listening port. Default "Lightstreamer HTTP Server".
	ServerName string
	// AllowedOrigins are the origins (scheme://host[:port]) whose pages may use the broker. Nil allows all; requests without an
	// Origin, which do not come from a page of another site, are always allowed.
	AllowedOrigins []string

	// RequestLimit is the largest request of a client, in bytes; clients are told and cut their batches to it. Default 50000.
	RequestLimit int
	// MaxConnections bounds the connections of clients; more wait to be accepted. Default 10000, negative: no bound.
	MaxConnections int
	// MaxSessions bounds the sessions; more are refused with code 8. Default 10000.
	MaxSessions int
	// WriteTimeout bounds each write to a client; one that takes longer has lost its connection. Default 30 s.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection may stay open without a request, a WebSocket without a session bound to it. Default
	// 60 s.
	IdleTimeout time.Duration
	// ReadTimeout is how long a request may take to arrive. Default 20 s.
	ReadTimeout time.Duration
	// Keepalive is the longest silence of a streaming connection if the client asks for none. Default 5 s.
	Keepalive time.Duration
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
	def(&c.RequestLimit, 50_000)
	def(&c.MaxConnections, 10_000)
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
	if c.RequestLimit < 500 {
		errs = append(errs, fmt.Errorf("broker: RequestLimit %d is too small for a request: want 500 or more", c.RequestLimit))
	}
	for name, d := range map[string]time.Duration{
		"WriteTimeout": c.WriteTimeout, "IdleTimeout": c.IdleTimeout, "ReadTimeout": c.ReadTimeout, "Keepalive": c.Keepalive,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("broker: %s %v: want a positive time, it cannot be switched off", name, d))
		}
	}
	if c.TLSConfig != nil && len(c.TLSConfig.Certificates) == 0 && c.TLSConfig.GetCertificate == nil && c.TLSConfig.GetConfigForClient == nil {
		errs = append(errs, errors.New("broker: TLSConfig has no certificate"))
	}
	return errors.Join(errs...)
}
