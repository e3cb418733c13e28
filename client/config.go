package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/secret"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Config says where to connect, and as whom. Only Addr is needed. Connect copies it.
//
// Printed, logged or marshalled, it shows neither the password nor the values of headers.
type Config struct {
	_ struct{}

	// Addr is the address of the server: http://host:port or https://host:port, or with a path
	// below which the server is found.
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
	// Patience is how much longer than that a silence may be before the connection counts as lost.
	// Default 5 s. A quarter of the whole, 1 s at most, comes on top: what is in the socket is read
	// before the server is judged, also by a process that was stopped meanwhile.
	Patience time.Duration
	// RecoveryTimeout is how long recovery is attempted when the connection was lost, not counting
	// time in which the process was stopped. Default 15 s; negative: not at all.
	RecoveryTimeout time.Duration

	// TLS is for https addresses; nil: the defaults.
	TLS *tls.Config
	// Header is added to each request of HTTP, and to the handshake of the WebSocket.
	Header http.Header
	// DialContext opens connections; nil: a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger gets losses and recoveries. Nil discards them.
	Logger *slog.Logger

	// The limits below bound what a server can make the client do. A server that passes one ends
	// the session, with [ErrLimit]. Events need no limit: while a callback runs nothing is read, so
	// the server has to wait, and drops or merges by the rules of the subscription.

	// MaxMessage bounds a message of the server, and a line, in bytes. Default 16 MiB.
	MaxMessage int64
	// MaxValue bounds the value of a field, in bytes: the server can make a value longer by sending
	// differences. Default: MaxMessage.
	MaxValue int64
	// MaxValues bounds the memory for the current values of all subscriptions, in bytes. The client
	// keeps those of the last update of each item and, in COMMAND mode, of each row. Default 256
	// MiB.
	MaxValues int64
}

// Password is a secret text: it shows as "***" in whatever form it is printed, logged or
// marshalled.
type Password = secret.Text

// shown is what of a Config may be seen.
type shown struct {
	Addr, AdapterSet, User string
	Password               Password
	Header                 []string // names only
}

func (c *Config) shown() shown {
	addr := "" // it should have no password, but Connect has not looked at it yet
	if u, err := url.Parse(c.Addr); err == nil {
		addr = u.Redacted()
	}
	return shown{addr, c.AdapterSet, c.User, c.Password, slices.Sorted(maps.Keys(c.Header))}
}

// Format implements fmt.Formatter, so that no verb shows the password or the value of a header.
func (c Config) Format(s fmt.State, _ rune) { _, _ = fmt.Fprintf(s, "client.Config%+v", c.shown()) }

// LogValue implements slog.LogValuer, with the same end.
func (c Config) LogValue() slog.Value { return slog.AnyValue(c.shown()) }

// MarshalJSON implements json.Marshaler, with the same end.
func (c Config) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(c.shown())
	if err != nil {
		return nil, fmt.Errorf("client: config: %w", err)
	}
	return b, nil
}

// settings fills the defaults in, or says what is wrong.
func (c Config) settings() (Config, error) {
	u, err := url.Parse(c.Addr)
	if broken, ok := errors.AsType[*url.Error](err); ok {
		return c, fmt.Errorf("client: Addr: %w", broken.Err) // without the address, which may hold a password
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return c, fmt.Errorf("client: Addr %q: want http://host:port or https://host:port", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return c, errors.New("client: Addr: no user, query or fragment belongs there")
	case c.MaxBandwidth < 0 || c.Keepalive < 0 || c.Patience < 0 || c.MaxMessage < 0 || c.MaxValue < 0 || c.MaxValues < 0:
		return c, errors.New("client: MaxBandwidth, Keepalive, Patience, MaxMessage, MaxValue and MaxValues cannot be negative")
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
	if c.MaxValue == 0 {
		c.MaxValue = c.MaxMessage
	}
	if c.MaxValues == 0 {
		c.MaxValues = 256 << 20
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
