package proxy

import (
	"context"
	"errors"
	"slices"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
	"github.com/lightstreamer-go/lightstreamer/internal/secret"
)

// session is what goes on about a session; it exists only while something does. All of it is guarded by Metadata.mu.
type session struct {
	beginning int     // NNS under way; a second one is the repetition after a conflict
	running   []*turn // NNT, NTC and NSC under way
	waiting   []*turn // in the order in which they came

	heldControls []heldControl // requests of the remote that wait for an NNS or NNT
}

// turn is an NNT, NTC or NSC.
type turn struct {
	windows []int         // of the tables; nil for NSC
	ready   chan struct{} // NNT that waits: closed when its turn has come
	closing *closing      // NTC, NSC
}

// closing is an NSC or NTC: it must not get lost with a remote.
type closing struct {
	session string
	tables  []ari.Table // nil for NSC
	handled bool        // answered, or timed out
}

// NotifyTablesClose tells that tables have ended: NTC. It only submits.
func (m *Metadata) NotifyTablesClose(session string, tables []provider.Table) {
	list := ariTables(tables)
	for i := range list {
		list[i].Items = slices.Clone(list[i].Items) // it may have to be told again long after
	}
	m.submit(&closing{session: session, tables: list})
}

// NotifySessionClose tells that a session has ended: NSC. It only submits; the request leaves when every NNT and NTC of the
// session has ended.
func (m *Metadata) NotifySessionClose(session string) {
	m.submit(&closing{session: session})
}

func (m *Metadata) submit(cl *closing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.link.cfg.Robust && (m.cfg.CloseNotificationsRecovery != Unneeded) {
		for len(m.stored) > 0 && (len(m.stored) >= m.cfg.MaxStored || m.storedBytes+cl.size() > m.cfg.MaxStoredBytes) {
			if m.stats.forgotten.Add(1) == 1 {
				m.log.Error("too many notifications of closed tables and sessions wait for a remote adapter; the oldest are forgotten",
					"kept", len(m.stored), "bytes", m.storedBytes)
			}
			m.unstore(1)
		}
		m.stored = append(m.stored, cl)
		m.storedBytes += cl.size()
	}
	m.enqueue(cl)
}

// enqueue lets cl leave when its turn has come. Without a remote it is not queued: it is in the log. mu is held.
func (m *Metadata) enqueue(cl *closing) {
	if m.conn == nil {
		return
	}
	t := &turn{closing: cl}
	if cl.tables != nil {
		t.windows = windows(cl.tables)
	}
	s := m.session(cl.session)
	s.waiting = append(s.waiting, t)
	m.pump(cl.session, s)
}

// session returns what goes on about a session. mu is held.
func (m *Metadata) session(id string) *session {
	s := m.sessions[id]
	if s == nil {
		s = &session{}
		m.sessions[id] = s
	}
	return s
}

// pump starts what may start. mu is held.
func (m *Metadata) pump(id string, s *session) {
	for len(s.waiting) > 0 && (m.conn == nil || m.mayStart(s, s.waiting[0])) {
		t := s.waiting[0]
		s.waiting = s.waiting[1:]
		switch {
		case t.closing == nil:
			s.running = append(s.running, t)
			close(t.ready)
		case m.conn != nil:
			m.startClosing(id, s, t)
		}
	}
	if s.beginning == 0 && len(s.running) == 0 && len(s.waiting) == 0 {
		delete(m.sessions, id)
	}
}

// mayStart says whether the order allows it: an NSC waits for everything, NNT and NTC exclude each other if that is wanted, and the NTC of a table waits for
// its NNT in any case.
func (m *Metadata) mayStart(s *session, t *turn) bool {
	if t.windows == nil {
		return len(s.running) == 0 && s.beginning == 0
	}
	if m.cfg.SequentializeTableNotifications {
		return len(s.running) == 0
	}
	return !slices.ContainsFunc(s.running, func(r *turn) bool {
		return r.windows == nil || slices.ContainsFunc(r.windows, func(w int) bool { return slices.Contains(t.windows, w) })
	})
}

// startClosing sends an NTC or NSC. mu is held.
func (m *Metadata) startClosing(id string, s *session, t *turn) {
	c, cl := m.conn, t.closing
	method := ari.NTC
	encode := func(dst []byte, rid string) []byte {
		return ari.NotifyTablesClose{Session: id, Tables: cl.tables}.Append(dst, rid, c.version)
	}
	if cl.tables == nil {
		method = ari.NSC
		encode = func(dst []byte, rid string) []byte {
			return ari.NotifySessionClose{Session: id}.Append(dst, rid, c.version)
		}
	}
	s.running = append(s.running, t)
	_, err := c.request(method, id, nil, encode, func(body []byte, err error) {
		if err == nil {
			err = ari.ParseVoidReply(body)
		}
		m.closingOver(c, method, t, err)
	})
	if err != nil {
		s.drop(t) // the connection has ended; the log has it
	}
}

// closingOver gets the outcome of an NTC or NSC.
func (m *Metadata) closingOver(c *conn, method ari.Method, t *turn, err error) {
	lost := errors.Is(err, ErrLost) || errors.Is(err, ErrFailure) || errors.Is(err, ErrClosed)
	if errors.Is(err, errTimeout) {
		m.stats.timedOut.Add(1)
	}
	if err != nil && !lost {
		m.failures.Warn("closings", "notification failed", "peer", c.raw.RemoteAddr().String(), "method", method.String(), "session", secret.Label(t.closing.session), "error", err)
	}
	m.mu.Lock()
	if !lost {
		m.handled(t.closing)
	}
	m.mu.Unlock()
	m.turnOver(t.closing.session, t)
}

// handled notes an answered closing, and forgets what no new remote will have to get. mu is held.
func (m *Metadata) handled(cl *closing) {
	cl.handled = true
	if m.cfg.CloseNotificationsRecovery == Optimistic {
		if i := slices.Index(m.stored, cl); i >= 0 {
			m.unstore(i + 1)
		}
	}
	for len(m.stored) > 0 && m.stored[0].handled {
		m.unstore(1)
	}
}

// unstore forgets the first n of those that a new remote may have to get. mu is held.
func (m *Metadata) unstore(n int) {
	for i, cl := range m.stored[:n] {
		m.storedBytes -= cl.size()
		m.stored[i] = nil
	}
	m.stored = m.stored[n:]
}

// size is about how many bytes it keeps.
func (cl *closing) size() int {
	n := 128 + len(cl.session)
	for _, t := range cl.tables {
		n += 256 + len(t.Group.S) + len(t.Schema.S) + len(t.Selector.S) + 32*len(t.Stats)
		for _, item := range t.Items {
			n += 16 + len(item)
		}
	}
	return n
}

// resend gives a new remote what is in the log: handled has cut it to what the configuration wants told again. mu is held.
func (m *Metadata) resend() {
	for _, cl := range m.stored {
		cl.handled = false
		m.enqueue(cl)
	}
}

// waitTurn waits until an NNT may be sent, and notes that it is under way. The error is that of ctx.
func (m *Metadata) waitTurn(ctx context.Context, id string, t *turn) error {
	m.mu.Lock()
	s := m.session(id)
	if !m.cfg.SequentializeTableNotifications {
		s.running = append(s.running, t)
		m.mu.Unlock()
		return nil
	}
	t.ready = make(chan struct{})
	s.waiting = append(s.waiting, t)
	m.pump(id, s)
	m.mu.Unlock()
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(s.waiting, t); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	} else {
		s.drop(t)
	}
	m.pump(id, s)
	return context.Cause(ctx)
}

// turnOver ends a turn, and lets go what waited for it.
func (m *Metadata) turnOver(id string, t *turn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.session(id)
	s.drop(t)
	m.freeControls(s)
	m.pump(id, s)
}

func (s *session) drop(t *turn) {
	if i := slices.Index(s.running, t); i >= 0 {
		s.running = slices.Delete(s.running, i, i+1)
	}
}

// beginSession notes an NNS under way, and returns the connection to send it on.
func (m *Metadata) beginSession(id string) *conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session(id).beginning++
	return m.conn
}

func (m *Metadata) sessionBegun(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.session(id)
	s.beginning--
	m.freeControls(s)
	m.pump(id, s)
}
