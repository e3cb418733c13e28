package session

import (
	"context"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Bind binds a session to a new connection: the one named by the request, or else def (the one last bound to the WebSocket; nil
// over HTTP). A connection it is bound to is abandoned. The error is the CONERR to answer; else the binding's Run must be called.
// If the session has been ended, but its client may not know, the binding has no session, and its Run tells the client so. Bind does not block.
//
// That a streaming bind must not take over a WebSocket to which another session is bound is for the transport to see.
func (m *Manager) Bind(_ context.Context, c Client, req tlcp.BindSession, def *Session) (*Binding, *tlcp.SessionError) {
	if !c.Version.Supported() {
		return nil, tlcp.NewSessionError(tlcp.CodeClientVersion)
	}
	id := req.Session
	if id == "" && def != nil {
		id = def.id
	}
	if !m.enter() {
		return m.closing().binding()
	}
	defer m.wg.Done()
	m.mu.Lock()
	s := m.sessions[id]
	m.mu.Unlock()
	if s == nil {
		if c, ok := m.farewell(id); ok {
			return c.binding()
		}
		return nil, tlcp.NewSessionError(tlcp.CodeSessionUnknown)
	}
	b, refusal := s.rebound(c, req)
	if refusal != nil {
		m.logged("session: bind refused", "session", s.label(), "code", refusal.Code, "recovery_from", req.RecoveryFrom, "cause", sample.Text(req.Cause))
	}
	return b, refusal
}

func (s *Session) rebound(c Client, req tlcp.BindSession) (*Binding, *tlcp.SessionError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return s.cause.binding()
	case !req.Recovery:
		s.history.confirm(s.looped)
	case !s.history.covers(req.RecoveryFrom):
		return nil, tlcp.NewSessionError(tlcp.CodeRecoveryUnavailable)
	default:
		s.cursor = req.RecoveryFrom
		s.looped = min(s.looped, s.cursor) // the client has not seen the LOOP
	}
	s.used = true
	if s.bound != nil {
		s.bound.abandon()
	}
	b := s.bind(c, req.ConnParams)
	if req.Recovery || !c.WebSocket || s.recovered {
		// A plain bind over HTTP may be one that the client's network layer has repeated, the
		// answer to the first being lost; and of several recoveries that the client has asked for
		// one after the other, it has listened to one only. What the others carried is taken for
		// received, and a client that has not received it learns so.
		b.prog = s.cursor
	}
	s.recovered = req.Recovery
	return b, nil
}

// binding answers the bind of a session that has ended.
func (c cause) binding() (*Binding, *tlcp.SessionError) {
	if c.expired {
		return nil, tlcp.NewSessionError(tlcp.CodeSessionUnknown)
	}
	return &Binding{final: tlcp.AppendEND(nil, c.code, c.text)}, nil
}

// bind makes a binding for a session that has none. The session's lock is held, and wg is held up by the caller.
func (s *Session) bind(c Client, req tlcp.ConnParams) *Binding {
	if c.ServerName == "" {
		c.ServerName = s.m.cfg.ServerName
	}
	c.UserAgent, c.Forwarding, c.Headers, c.Principal = "", "", nil, nil // as long as a header may be
	s.m.wg.Add(1)
	s.stopExpiry()
	s.heard = time.Now()
	s.bound = &Binding{
		s: s, client: kept(c), req: s.m.cfg.grant(req), prog: -1, over: make(chan struct{}), signal: make(chan struct{}, 1),
	}
	return s.bound
}

// grant brings what a client asks of a connection within the limits.
func (c *Config) grant(req tlcp.ConnParams) tlcp.ConnParams {
	if req.ContentLength <= 0 {
		req.ContentLength = c.ContentLength
	}
	req.ContentLength = max(req.ContentLength, c.MinContentLength)
	if req.Polling {
		req.PollingInterval = min(req.PollingInterval, c.MaxPolling)
		req.Idle = min(req.Idle, c.MaxIdle)
		req.Inactivity, req.Keepalive = 0, 0
		return req
	}
	req.PollingInterval, req.Idle = 0, 0
	if req.Keepalive <= 0 {
		req.Keepalive = c.Keepalive
	}
	req.Keepalive = min(max(req.Keepalive, c.MinKeepalive), c.MaxKeepalive)
	return req
}
