package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Config says where to connect, and as whom. Only Addr is needed. Connect copies it.
type Config struct {
	_ struct{}

	// Addr is the address of the server: http://host:port or https://host:port, or with a path below which the server is found.
	Addr string
	// AdapterSet is the id of the Adapter Set. Default "DEFAULT".
	AdapterSet string
	// User and Password identify the user; both empty: an anonymous one.
	User     string
	Password Password

	// MaxBandwidth is the most the session is to get, in kbit/s. 0: no limit.
	MaxBandwidth float64
	// Keepalive is the longest silence the server is asked for. 0: the server decides.
	Keepalive time.Duration
	// Patience is how much longer than that a silence may be before the connection counts as lost. Default 5 s.
	Patience time.Duration
	// RecoveryTimeout is how long it is tried to recover a session whose connection was lost. Default 15 s; negative: not at all.
	RecoveryTimeout time.Duration

	// TLS is for https addresses; nil: the defaults.
	TLS *tls.Config
	// Header is added to each request of HTTP, and to the handshake of the WebSocket.
	Header http.Header
	// DialContext opens connections; nil: a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// MaxMessage bounds a message of the server, in bytes. Default 16 MiB.
	MaxMessage int64
	// Logger gets losses and recoveries. Nil discards them.
	Logger *slog.Logger
}

// Password is a secret text: it prints as "***".
type Password string

// String returns a mask.
func (Password) String() string { return "***" }

// GoString returns a mask.
func (Password) GoString() string { return "***" }

// LogValue returns a mask.
func (Password) LogValue() slog.Value { return slog.StringValue("***") }

// settings fills the defaults in, or says what is wrong.
func (c Config) settings() (Config, error) {
	u, err := url.Parse(c.Addr)
	switch {
	case err != nil:
		return c, fmt.Errorf("client: Addr: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return c, fmt.Errorf("client: Addr %q: want http://host:port or https://host:port", c.Addr)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return c, errors.New("client: Addr: no user, query or fragment belongs there")
	case c.MaxBandwidth < 0 || c.Keepalive < 0 || c.Patience < 0 || c.MaxMessage < 0:
		return c, errors.New("client: MaxBandwidth, Keepalive, Patience and MaxMessage cannot be negative")
	}
	c.Addr = strings.TrimSuffix(c.Addr, "/") + "/lightstreamer"
	if c.AdapterSet == "" {
		c.AdapterSet = tlcp.DefaultAdapterSet
	}
	if c.Patience == 0 {
		c.Patience = 5 * time.Second
	}
	if c.RecoveryTimeout == 0 {
		c.RecoveryTimeout = 15 * time.Second
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = 16 << 20
	}
	if c.DialContext == nil {
		c.DialContext = new(net.Dialer).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Header = c.Header.Clone()
	return c, nil
}
