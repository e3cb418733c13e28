package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Client is what a transport knows of the connection a request came on.
type Client struct {
	Version    tlcp.Version
	WebSocket  bool
	RemoteIP   string // told to the client in CLIENTIP, unless empty
	RemotePort int
	UserAgent  string
	Forwarding string // the chain of addresses that proxies reported
	ServerName string // name of the listening port, for SERVNAME; empty: that of the Config
	// Principal of the client's TLS certificate, on ports that acquire it; nil elsewhere.
	Principal *provider.Text
	// Headers of the HTTP request, names in lower case.
	Headers map[string]string
}

// refusedClosing refuses a session while the manager closes. After END 48 clients create a new one at once: with this code they try again a little later, where
// 10, which the text of the protocol would suggest, stops them for good.
const refusedClosing = tlcp.CodeCheckUnavailable

// Create makes a session, having asked the Metadata Adapter. It blocks until the adapter has answered; ctx ending means that the
// client is gone, and the session is discarded. The error is the CONERR to answer. The binding's Run must be called.
//
// The control requests are those of a combined creation: if one of them fails there is no session.
func (m *Manager) Create(ctx context.Context, c Client, req tlcp.CreateSession, controls ...tlcp.Control) (*Binding, *tlcp.SessionError) {
	b, refusal := m.create(ctx, c, req, controls)
	if refusal != nil {
		m.stats.refused.Add(1)
		m.log.Info("session: creation refused", "adapter_set", req.AdapterSet, "code", refusal.Code, "cause", req.Cause)
		return nil, refusal
	}
	m.stats.created.Add(1)
	m.log.Debug("session: created", "session", b.s.label(), "adapter_set", req.AdapterSet, "cause", req.Cause)
	if old := m.find(req.OldSession, nil); old != nil {
		old.terminate(cause{code: tlcp.CodeReplacedByNewSession, text: tlcp.SessionText(tlcp.CodeReplacedByNewSession)})
	}
	return b, nil
}

func (m *Manager) create(ctx context.Context, c Client, req tlcp.CreateSession, controls []tlcp.Control) (*Binding, *tlcp.SessionError) {
	if !c.Version.Supported() {
		return nil, tlcp.NewSessionError(tlcp.CodeClientVersion)
	}
	if code := m.admit(); code != 0 {
		return nil, tlcp.NewSessionError(code)
	}
	defer m.wg.Done()
	set := m.set(req.AdapterSet)
	if set == nil {
		m.release()
		return nil, tlcp.NewSessionError(tlcp.CodeAdapterSetUnknown)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()

	c.Headers = maps.Clone(c.Headers)
	if c.Headers == nil {
		c.Headers = make(map[string]string)
	}
	requestID := randomID("R", 8)
	c.Headers["REQUEST_ID"] = requestID
	user := text(req.User)
	grant, err := set.Metadata.NotifyUser(ctx, provider.User{
		Name: user, Password: text(req.Password), Principal: c.Principal, Headers: c.Headers,
	})
	c.Headers, c.Principal = nil, nil
	if err != nil {
		m.release()
		return nil, m.createError("NotifyUser", err)
	}
	s := m.newSession(c, set, user, grant, req)
	defer func() { m.started(s) }() // of the id that it has by then
	ttl, err := m.notifyNewSession(ctx, s, requestID)
	if err == nil && ctx.Err() != nil {
		set.Metadata.NotifySessionClose(s.id)
		err = ctx.Err()
	}
	if err != nil {
		m.release()
		s.cancel()
		s.abort()
		return nil, m.createError("NotifyNewSession", err)
	}
	if refusal := m.open(s); refusal != nil {
		return nil, refusal
	}
	if refusal := s.combined(ctx, controls); refusal != nil {
		s.terminate(cause{code: refusal.Code, text: refusal.Message, expired: true})
		return nil, refusal
	}
	return s.begin(ttl, c, req.ConnParams), nil
}

// notifyNewSession asks the Metadata Adapter to accept the session. If it names another session as the obstacle, that one is closed
// and the question repeated, once, for a session with another id.
func (m *Manager) notifyNewSession(ctx context.Context, s *Session, requestID string) (time.Duration, error) {
	info := sessionContext(s.client, requestID)
	m.start(s)
	ttl, err := s.set.Metadata.NotifyNewSession(ctx, s.user, s.id, info)
	pe, ok := errors.AsType[*provider.Error](err)
	if !ok || pe.Kind != provider.ConflictingSession {
		return ttl, err
	}
	other := m.find(pe.Session, nil)
	if other == nil || other.set != s.set {
		return ttl, err
	}
	m.log.Info("session: closed for a new one of the same user", "session", other.label())
	other.terminate(cause{code: tlcp.CodeReplacedByNewSession, text: tlcp.SessionText(tlcp.CodeReplacedByNewSession)})
	m.started(s)
	s.id = newSessionID()
	m.start(s)
	return s.set.Metadata.NotifyNewSession(ctx, s.user, s.id, info)
}

// start makes a session known to the adapter's control before the adapter hears of it; started ends that.
func (m *Manager) start(s *Session) {
	m.mu.Lock()
	m.starting[s.id] = s
	m.mu.Unlock()
}

func (m *Manager) started(s *Session) {
	m.mu.Lock()
	delete(m.starting, s.id)
	m.mu.Unlock()
}

func (m *Manager) newSession(c Client, set *adapterSet, user provider.Text, grant provider.UserGrant, req tlcp.CreateSession) *Session {
	s := &Session{
		m: m, id: newSessionID(), set: set, user: user, client: c, tables: grant.WantsTables, granted: grant.MaxBandwidth,
		noHead: req.ReduceHead, accepts: acceptedBy(c.Version, req.Diffs), bandwidth: req.MaxBandwidth, heard: time.Now(), subs: make(map[int]*subscription),
	}
	s.mem = m.mem.Part(int64(m.cfg.SessionMemory))
	s.mem.Add(int64(len(user.S)))
	s.history.mem = s.mem
	s.ctx, s.cancel = context.WithCancel(m.ctx)
	return s
}

// open puts an accepted session into the table.
func (m *Manager) open(s *Session) *tlcp.SessionError {
	m.mu.Lock()
	m.creating--
	if m.closed || s.set.released {
		code := refusedClosing
		if !m.closed {
			code = tlcp.CodeAdapterSetUnknown
		}
		m.mu.Unlock()
		s.cancel()
		s.abort()
		m.mem.Add(-sessionCost)
		s.set.Metadata.NotifySessionClose(s.id)
		return tlcp.NewSessionError(code)
	}
	s.client.UserAgent, s.client.Forwarding = "", "" // as long as a header may be
	m.sessions[s.id] = s
	m.live.Add(1)
	s.set.sessions.Add(1)
	doomed := s.doomed
	m.mu.Unlock()
	if doomed != nil {
		s.terminate(*doomed)
	}
	return nil
}

// begin binds a session to the connection that has created it.
func (s *Session) begin(ttl time.Duration, c Client, req tlcp.ConnParams) *Binding {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bind(c, req)
	b.creation = true
	if ttl > 0 && !s.ended {
		s.ttl = time.AfterFunc(ttl, func() {
			s.terminate(cause{code: tlcp.CodeMaxDuration, text: tlcp.SessionText(tlcp.CodeMaxDuration)})
		})
	}
	return b
}

// admit reserves a place for a session, and raises wg; otherwise it returns the code of the refusal.
func (m *Manager) admit() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return refusedClosing
	case len(m.sessions)+m.creating >= m.cfg.MaxSessions:
		return tlcp.CodeConfiguredSessions
	case m.mem.Over(scarce), !m.mem.Take(sessionCost):
		m.relieve(scarce)
		return tlcp.CodeCheckUnavailable // with which clients come back a little later
	}
	m.creating++
	m.wg.Add(1)
	return 0
}

// release gives a reserved place back.
func (m *Manager) release() {
	m.mu.Lock()
	m.creating--
	m.mu.Unlock()
	m.mem.Add(-sessionCost)
}

func sessionContext(c Client, requestID string) provider.SessionContext {
	f := func(name, value string) provider.Field { return provider.Field{Name: name, Value: provider.T(value)} }
	port := ""
	if c.RemotePort > 0 {
		port = strconv.Itoa(c.RemotePort)
	}
	return provider.SessionContext{
		f("REMOTE_IP", c.RemoteIP), f("REMOTE_PORT", port), f("USER_AGENT", c.UserAgent),
		f("FORWARDING_INFO", c.Forwarding), f("LOCAL_SERVER", c.ServerName),
		{Name: "CLIENT_TYPE", Value: provider.Null}, {Name: "CLIENT_VERSION", Value: provider.Null},
		f("REQUEST_ID", requestID),
	}
}

func text(s *string) provider.Text {
	if s == nil {
		return provider.Null
	}
	return provider.T(*s)
}

func newSessionID() string { return randomID("S", 16) }

// randomID returns prefix and n random bytes in hexadecimal digits.
func randomID(prefix string, n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return prefix + hex.EncodeToString(b)
}
