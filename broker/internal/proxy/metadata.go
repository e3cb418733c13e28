package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// The defaults of MetadataConfig.
const (
	DefaultMaxStored       = 100_000
	DefaultMaxStoredBytes  = 64 << 20
	DefaultItemDataAge     = 30 * time.Second
	DefaultUserItemDataAge = 3 * time.Second
	defaultMessage         = "The service is not available now."
)

// MetadataConfig is what a metadata proxy needs.
type MetadataConfig struct {
	Config

	// CloseNotificationsRecovery (robust) says which NSC and NTC a new remote gets.
	CloseNotificationsRecovery CloseRecovery
	// MaxStored bounds the NSC and NTC kept for a new remote; past it the oldest is forgotten. Zero means DefaultMaxStored.
	MaxStored int
	// MaxStoredBytes bounds about how much memory they take. Zero means DefaultMaxStoredBytes.
	MaxStoredBytes int
	// NotifyUserOnDisconnection (robust) says what NotifyUser answers while there is no remote.
	NotifyUserOnDisconnection OnDisconnection
	// DisconnectionCode goes to the client with SendCode; 0 or negative.
	DisconnectionCode int
	// DisconnectionMessage goes with it; empty means a text of the proxy.
	DisconnectionMessage string
	// SequentializeTableNotifications keeps NNT and NTC of a session from overlapping.
	SequentializeTableNotifications bool

	// ItemDataAge is how long the adapter's answer about an item (GIT) serves further questions. Zero means
	// DefaultItemDataAge; negative: not at all.
	ItemDataAge time.Duration
	// UserItemDataAge is the same for an item and a user (GUI). Zero means DefaultUserItemDataAge; negative: not at all.
	UserItemDataAge time.Duration
	// ClearOnNewRemote (robust) forgets these answers when a new remote has come.
	ClearOnNewRemote bool

	// Bounds on the requests that are sent and not answered; further ones wait, and sessions take
	// turns. Timeout counts from the call, but for NTC and NSC from the sending. Zero: 4000.
	MaxPendingUsers    int // NUS, NUA
	MaxPendingMessages int // NUM
	MaxPendingTables   int // GIS, GSC, GIT, GUI, NNT
	MaxPendingSessions int // NNS, NSC, NTC
}

// Metadata is the proxy of a remote Metadata Adapter. It implements provider.Metadata. Its methods may be called from any
// goroutine. Errors are of type *provider.Error: a refusal of the adapter by its kind, Unavailable when there is no remote,
// it was lost, or did not answer in time; or that of the context.
type Metadata struct {
	*link
	cfg     MetadataConfig // Config is that of link
	control controlQueue
	answers *answers
	oddOnce sync.Once // a limit that is none is logged once

	mu       sync.Mutex
	conn     *conn // nil while there is no remote
	sessions map[string]*session
	stored   []*closing // what a new remote may have to get, in the order of submission

	storedBytes int // of stored
}

// StartMetadata starts the proxy of a remote Metadata Adapter: when it returns, the proxy listens, or dials. It lives until
// ctx is done or Close is called.
func StartMetadata(ctx context.Context, cfg MetadataConfig) (*Metadata, error) {
	common, err := cfg.settings(ari.Metadata, "")
	if err != nil {
		return nil, err
	}
	if cfg.DisconnectionCode > 0 {
		return nil, fmt.Errorf("proxy %s: the code for clients while there is no remote is %d; it has to be 0 or negative", common.Name, cfg.DisconnectionCode)
	}
	if cfg.MaxStored <= 0 {
		cfg.MaxStored = DefaultMaxStored
	}
	if cfg.MaxStoredBytes <= 0 {
		cfg.MaxStoredBytes = DefaultMaxStoredBytes
	}
	if cfg.DisconnectionMessage == "" {
		cfg.DisconnectionMessage = defaultMessage
	}
	m := &Metadata{cfg: cfg, sessions: make(map[string]*session)}
	m.answers = newAnswers(orDefault(cfg.ItemDataAge, DefaultItemDataAge), orDefault(cfg.UserItemDataAge, DefaultUserItemDataAge))
	m.link = newLink(common, ari.Metadata, "", m)
	m.bounds = []bound{
		{methods: []ari.Method{ari.NUS, ari.NUA}, most: cfg.MaxPendingUsers},
		{methods: []ari.Method{ari.NNS, ari.NSC, ari.NTC}, most: cfg.MaxPendingSessions},
		{methods: []ari.Method{ari.GIS, ari.GSC, ari.GIT, ari.GUI, ari.NNT}, most: cfg.MaxPendingTables},
		{methods: []ari.Method{ari.NUM}, most: cfg.MaxPendingMessages},
	}
	m.control.wake = make(chan struct{}, 1)
	if err := m.start(ctx); err != nil {
		return nil, err
	}
	m.all.Go(m.serveControl)
	return m, nil
}

// current returns the connection in use, nil if there is none.
func (m *Metadata) current() *conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conn
}

// ask sends a request of an owner, who takes turns with others, on c and waits for the answer.
// settled, if not nil, is called when the request has come to its end, which may be after ask has
// returned because of its context. It is called once in any case.
func ask[T any](ctx context.Context, m *Metadata, c *conn, method ari.Method, owner string, encode func(dst []byte, id string, v ari.Version) []byte,
	parse func(body []byte, v ari.Version) (T, error), settled func()) (T, error) {
	type answer struct {
		value T
		err   error
	}
	if settled == nil {
		settled = func() {}
	}
	var zero T
	if c == nil {
		settled()
		return zero, m.unavailable(method, nil)
	}
	answers := make(chan answer, 1)
	req, err := c.request(method, owner, nil,
		func(dst []byte, id string) []byte { return encode(dst, id, c.version) },
		func(body []byte, err error) {
			var a answer
			if a.err = err; err == nil {
				if a.value, a.err = parse(body, c.version); a.err != nil {
					m.stats.malformed.Add(1)
				}
			} else if errors.Is(err, errTimeout) {
				m.stats.timedOut.Add(1)
			}
			settled()
			answers <- a
		})
	if err != nil {
		settled()
		return zero, m.unavailable(method, err)
	}
	select {
	case a := <-answers:
		if a.err != nil {
			return zero, m.refused(c, method, a.err)
		}
		return a.value, nil
	case <-ctx.Done():
		if c.pending.withdraw(req) {
			settled() // it was waiting for its turn
		}
		return zero, fmt.Errorf("proxy %s: %s: %w", m.link.cfg.Name, method, context.Cause(ctx))
	}
}

// refused makes the error for the kernel out of an error reply, or of the absence of a reply.
func (m *Metadata) refused(c *conn, method ari.Method, err error) error {
	var r *refusal
	switch {
	case errors.As(err, &r):
		m.logRefusal(c, r)
		return &provider.Error{
			Kind: errorKind(r.Kind), Message: r.Error(), Code: r.Code,
			ClientMessage: provider.Text(r.ClientMessage), Session: r.Session.S,
		}
	case errors.Is(err, errTimeout):
		m.failures.Warn("timeout", "request timed out", "peer", c.raw.RemoteAddr().String(), "method", method.String())
		return m.unavailable(method, err)
	case errors.Is(err, ErrLost), errors.Is(err, ErrFailure), errors.Is(err, ErrClosed):
		return m.unavailable(method, err)
	}
	m.failures.Warn("reply", "reply not understood", "peer", c.raw.RemoteAddr().String(), "method", method.String(), "error", err)
	return &provider.Error{Kind: provider.Generic, Message: fmt.Sprintf("%s: the reply cannot be understood: %v", method, err)}
}

// logRefusal notes what an adapter should not do. That it refuses is its right, and known to the kernel.
func (m *Metadata) logRefusal(c *conn, r *refusal) {
	if r.Kind == ari.KindGeneric || r.Kind == ari.KindFailure {
		m.failures.Warn("request", "the remote adapter could not serve a request", "peer", c.raw.RemoteAddr().String(), "method", r.method.String(), "error", r)
	}
}

func (m *Metadata) unavailable(method ari.Method, err error) error {
	why := "no remote adapter is connected"
	if err != nil {
		why = err.Error()
	}
	return &provider.Error{Kind: provider.Unavailable, Message: method.String() + ": " + why}
}

func errorKind(k ari.ErrorKind) provider.ErrorKind {
	switch k {
	case ari.KindAccess:
		return provider.Access
	case ari.KindResource:
		return provider.Resource
	case ari.KindCredits:
		return provider.Credits
	case ari.KindConflictingSession:
		return provider.ConflictingSession
	case ari.KindItems:
		return provider.Items
	case ari.KindSchema:
		return provider.Schema
	case ari.KindNotification:
		return provider.Notification
	}
	return provider.Generic
}

// attach implements side: what the lost remote may not have handled is sent again.
func (m *Metadata) attach(c *conn) {
	if m.cfg.ClearOnNewRemote {
		m.answers.clear()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conn = c
	m.resend()
}

// detach implements side.
func (m *Metadata) detach(*conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conn = nil
	for id, s := range m.sessions {
		m.control.release(len(s.heldControls))
		s.heldControls = nil // who asked is gone
		m.pump(id, s)
	}
}

// event implements side: a request of the remote.
func (m *Metadata) event(c *conn, l ari.Line) { m.controlRequest(c, l) }

// duration turns the seconds of the wire into a time; 0 for no limit.
func duration(seconds int32) time.Duration {
	return time.Duration(max(seconds, 0)) * time.Second
}
