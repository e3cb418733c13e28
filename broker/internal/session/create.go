package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
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

// refusal is why there is no session.
type refusal struct {
	*tlcp.SessionError
	by    By
	limit string
}

func refused(by By, code int) *refusal {
	return &refusal{SessionError: tlcp.NewSessionError(code), by: by}
}

// overLimit refuses with a code that makes clients wait and try again. With those that say it
// better (7 to 10) they stop for good.
func overLimit(limit, text string) *refusal {
	return &refusal{SessionError: &tlcp.SessionError{Code: tlcp.CodeCheckUnavailable, Message: text}, by: ByLimit, limit: limit}
}

// Create makes a session, having asked the Metadata Adapter. It blocks until the adapter has answered; ctx ending means that the
// client is gone, and the session is discarded. The error is the CONERR to answer. The binding's Run must be called.
//
// The control requests are those of a combined creation: if one of them fails there is no session.
func (m *Manager) Create(ctx context.Context, c Client, req tlcp.CreateSession, controls ...tlcp.Control) (*Binding, *tlcp.SessionError) {
	b, no := m.create(ctx, c, req, controls)
	if no != nil {
		m.stats.refused.Add(1)
		m.logged("session: creation refused", "adapter_set", sample.Text(req.AdapterSet), "code", no.Code,
			"by", no.by.String(), "limit", no.limit, "address", c.RemoteIP, "cause", sample.Text(req.Cause))
		m.audit(Audit{
			Kind: SessionRefused, User: text(req.User), Principal: principal(c), RemoteIP: c.RemoteIP, RemotePort: c.RemotePort,
			Forwarding: c.Forwarding, Set: req.AdapterSet, By: no.by, Limit: no.limit, Code: no.Code, Text: no.Message,
		})
		return nil, no.SessionError
	}
	m.stats.created.Add(1)
	m.log.Debug("session: created", "session", b.s.label(), "adapter_set", sample.Text(req.AdapterSet), "cause", sample.Text(req.Cause))
	b.s.created = true
	b.s.audit(Audit{Kind: SessionCreated})
	b.s.announced.Done()
	if old := m.find(req.OldSession, nil); old != nil {
		old.terminate(cause{code: tlcp.CodeReplacedByNewSession, text: tlcp.SessionText(tlcp.CodeReplacedByNewSession), by: ByReplaced})
	}
	return b, nil
}

func principal(c Client) string {
	if c.Principal == nil {
		return ""
	}
	return c.Principal.S
}

func (m *Manager) create(ctx context.Context, c Client, req tlcp.CreateSession, controls []tlcp.Control) (*Binding, *refusal) {
	if !c.Version.Supported() {
		return nil, refused(ByClient, tlcp.CodeClientVersion)
	}
	p, no := m.admit(c.RemoteIP)
	if no != nil {
		return nil, no
	}
	defer m.wg.Done()
	set := m.set(req.AdapterSet)
	if set == nil {
		m.release(p)
		return nil, refused(ByClient, tlcp.CodeAdapterSetUnknown)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	s, ttl, no := m.accepted(ctx, c, set, req, p)
	if no != nil {
		return nil, no
	}
	defer func() { m.started(s) }() // of the id that it has by then
	if no := m.open(s); no != nil {
		return nil, no
	}
	if no := s.combined(ctx, controls); no != nil {
		s.terminate(cause{code: no.Code, text: no.Message, by: ByClient, expired: true})
		s.announced.Done()
		return nil, &refusal{SessionError: no, by: ByClient}
	}
	return s.begin(ttl, c, req.ConnParams), nil
}

// accepted asks the Metadata Adapter for a session, when it is its turn. The place is given back if
// there is no session; else it is the session's.
func (m *Manager) accepted(
	ctx context.Context, c Client, set *adapterSet, req tlcp.CreateSession, p *place,
) (_ *Session, ttl time.Duration, no *refusal) {
	defer func() {
		if no != nil {
			m.release(p)
		}
	}()
	if no := set.creations.enter(ctx, p.addr, queueTime(req.TTL)); no != nil {
		if m.ctx.Err() != nil {
			no.by = ByServer
		}
		return nil, 0, no
	}
	defer set.creations.leave(p.addr)
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
	if err != nil {
		return nil, 0, m.createError("NotifyUser", err)
	}
	if no := m.admitUser(p, user); no != nil {
		return nil, 0, no
	}
	s := m.newSession(c, set, user, grant, req)
	s.place = p
	ttl, err = m.notifyNewSession(ctx, s, sessionContext(c, requestID))
	if err == nil && ctx.Err() != nil {
		set.Metadata.NotifySessionClose(s.id)
		err = ctx.Err()
	}
	if err != nil {
		m.started(s)
		s.cancel()
		return nil, 0, m.createError("NotifyNewSession", err)
	}
	return s, ttl, nil
}

// notifyNewSession asks the Metadata Adapter to accept the session. If it names another session as the obstacle, that one is closed
// and the question repeated, once, for a session with another id.
func (m *Manager) notifyNewSession(ctx context.Context, s *Session, info provider.SessionContext) (time.Duration, error) {
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
	m.logged("session: closed for a new one of the same user", "session", other.label())
	other.terminate(cause{code: tlcp.CodeReplacedByNewSession, text: tlcp.SessionText(tlcp.CodeReplacedByNewSession), by: ByReplaced})
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
		m: m, id: newSessionID(), set: set, user: user, client: kept(c), principal: principal(c), tables: grant.WantsTables, granted: grant.MaxBandwidth,
		noHead: req.ReduceHead, accepts: acceptedBy(c.Version, req.Diffs), bandwidth: req.MaxBandwidth, heard: time.Now(), subs: make(map[int]*subscription),
	}
	s.mem = m.mem.Part(int64(m.cfg.SessionMemory))
	s.history.mem = s.mem
	s.ctx, s.cancel = context.WithCancel(m.ctx)
	s.announced.Add(1)
	return s
}

// maxForwarding bounds what a session keeps of the addresses that proxies have reported, in bytes.
const maxForwarding = 256

// kept is what a session keeps of what is known of its client, who can make each of it as long as a
// header may be.
func kept(c Client) Client {
	return Client{
		Version: c.Version, WebSocket: c.WebSocket, RemoteIP: c.RemoteIP, RemotePort: c.RemotePort, ServerName: c.ServerName,
		Forwarding: strings.Clone(c.Forwarding[:min(len(c.Forwarding), maxForwarding)]),
	}
}

// open puts an accepted session into the table.
func (m *Manager) open(s *Session) *refusal {
	m.mu.Lock()
	if m.closed || s.set.released {
		no := refused(ByServer, refusedClosing)
		if !m.closed {
			no = refused(ByServer, tlcp.CodeAdapterSetUnknown)
		}
		m.giveBack(s.place)
		m.mu.Unlock()
		s.cancel()
		s.set.Metadata.NotifySessionClose(s.id)
		return no
	}
	m.creating--
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
			s.terminate(cause{code: tlcp.CodeMaxDuration, text: tlcp.SessionText(tlcp.CodeMaxDuration), by: ByAdapter})
		})
	}
	return b
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
