package adapter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// Version is the version of this module.
const Version = "0.1.0-dev"

// Defaults of the fields of [DataServer] and [MetadataServer].
const (
	// DefaultKeepalive is the longest silence that a server leaves on its connection, unless the proxy asks for less.
	DefaultKeepalive = 10 * time.Second
	// DefaultMaxPending is how many bytes wait to be written before updates wait.
	DefaultMaxPending = 512 << 10
	// DefaultMaxLine is the longest line accepted from the proxy, in bytes.
	DefaultMaxLine = 16 << 20
	// DefaultStopTimeout is how long Run waits, when it stops, for callbacks at work and for data on its way.
	DefaultStopTimeout = time.Second
	// DefaultAckTimeout is how long the proxy's host may leave data unacknowledged.
	DefaultAckTimeout = 15 * time.Second
	// DefaultMaxItemBytes bounds the memory of the items subscribed: some four million with names
	// of 20 characters.
	DefaultMaxItemBytes = 1 << 30
)

// Credentials are sent to the proxy at each connection, before anything else. Wire: RAC.
type Credentials struct {
	User     string
	Password Password
	// NoUser and NoPassword leave the one or the other out. A proxy that checks credentials refuses half of them.
	NoUser, NoPassword bool
}

// StaticCredentials returns a Credentials function for a user and password that do not change.
func StaticCredentials(user string, password Password) func(context.Context) (Credentials, error) {
	return func(context.Context) (Credentials, error) { return Credentials{User: user, Password: password}, nil }
}

// A Backoff spaces the attempts to connect: the pause starts at Min, doubles up to Max, and is shortened at random by up to a half, so that
// many adapters do not come back at the same moment. It starts anew after a connection that was
// initialised and lasted for Max.
//
// While the proxy turns connections away ([CloseError.Occupied], [ErrTurnedAway]), the pause goes
// on doubling up to MaxRefused: a process too many is told so, and does not disturb; one that is to
// take over does so within MaxRefused.
type Backoff struct {
	Min        time.Duration // 0: 250 ms; negative: do not connect again
	Max        time.Duration // 0: 15 s
	MaxRefused time.Duration // 0: 1 min, or Max if that is more
}

// NoReconnect is the Reconnect field of a server whose Run is to return when a connection fails or is lost.
var NoReconnect = &Backoff{Min: -1}

func (b *Backoff) off() bool { return b != nil && b.Min < 0 }

// limits returns the fields with the defaults filled in.
func (b *Backoff) limits() Backoff {
	l := Backoff{250 * time.Millisecond, 15 * time.Second, time.Minute}
	if b != nil && b.Min > 0 {
		l.Min = b.Min
	}
	if b != nil && b.Max > 0 {
		l.Max = b.Max
	}
	l.MaxRefused = max(l.MaxRefused, l.Max)
	if b != nil && b.MaxRefused > 0 {
		l.MaxRefused = b.MaxRefused
	}
	return l
}

// pause returns how long to wait after the given number of failures in a row, counted from 1, the
// last of which was the proxy's refusal, or was not.
func (b *Backoff) pause(failures int, refused bool) time.Duration {
	l := b.limits()
	d, hi := l.Min, l.Max
	if refused {
		hi = l.MaxRefused
	}
	for i := 1; i < failures && d < hi; i++ {
		d *= 2
	}
	d = min(d, hi)
	return d - rand.N(d/2+1)
}

// settings are the checked copy of a server's fields, with the defaults filled in, that one Run works with.
type settings struct {
	kind        ari.Channel
	name        string
	addr        string
	listener    net.Listener
	tls         *tls.Config
	dial        func(ctx context.Context, network, addr string) (net.Conn, error)
	credentials func(context.Context) (Credentials, error)
	params      map[string]string
	configFile  string
	keepalive   time.Duration
	reconnect   *Backoff
	maxPending  int
	whenFull    FullPolicy
	maxCalls    int
	maxLine     int
	stopTimeout time.Duration
	ackTimeout  time.Duration
	maxItems    int // bytes
	log         *slog.Logger
	categories  LogCategories
	tracer      *tracer
	events      *Events
	stats       *stats
}

func (s *settings) fillDefaults() {
	if s.maxPending == 0 {
		s.maxPending = DefaultMaxPending
	}
	if s.maxLine == 0 {
		s.maxLine = DefaultMaxLine
	}
	if s.stopTimeout == 0 {
		s.stopTimeout = DefaultStopTimeout
	}
	if s.ackTimeout == 0 {
		s.ackTimeout = DefaultAckTimeout
	}
	if s.maxItems == 0 {
		s.maxItems = DefaultMaxItemBytes
	}
	if s.dial == nil {
		s.dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = slog.New(newSampler(s.log.Handler()))
	if s.name == "" {
		s.name = s.addr
		if s.listener != nil {
			s.name = s.listener.Addr().String()
		}
	}
	if s.events == nil {
		s.events = new(Events)
	}
	s.params = maps.Clone(s.params)
	s.log = s.log.With("adapter", s.title())
	s.tracer = newTracer(s.log, s.categories)
}

// title names the server in errors and logs.
func (s *settings) title() string {
	if s.kind == ari.Metadata {
		return "metadata server " + s.name
	}
	return "data server " + s.name
}

func (s *settings) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("adapter: %s: "+format, append([]any{s.title()}, args...)...))
	}
	switch {
	case s.addr == "" && s.listener == nil:
		bad("set Addr to \"host:port\" of the proxy's request_reply_port, or Listener for a proxy with remote_host")
	case s.addr != "" && s.listener != nil:
		bad("set either Addr or Listener, not both")
	case s.addr != "":
		if err := checkAddr(s.addr); err != nil {
			bad("Addr: %w", err)
		}
	}
	if s.maxPending < 0 {
		bad("MaxPending is negative; memory has to be bounded")
	}
	if s.maxItems < 0 {
		bad("MaxItemBytes is negative; memory has to be bounded")
	}
	if s.maxCalls < 0 {
		bad("MaxCallbacks is negative; 0 is for no limit")
	}
	if s.maxLine < 0 {
		bad("MaxLine is negative; memory has to be bounded")
	}
	return errors.Join(errs...)
}

func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return nil
}
