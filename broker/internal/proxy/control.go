package proxy

import (
	"fmt"
	"slices"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// maxControls bounds the requests of a remote that wait to be served or are held.
const maxControls = 1024

// controlRequest is an FST or FUS of the remote, ready to be served: it calls the kernel and sends the reply.
type controlRequest func(k provider.Control)

// heldControl is a request about a session or table whose NNS or NNT is under way.
type heldControl struct {
	window int // of FUS
	table  bool
	serve  controlRequest
}

// controlQueue holds the requests for the control goroutine.
type controlQueue struct {
	wake chan struct{} // one slot

	mu     sync.Mutex
	kernel provider.Control
	queue  []controlRequest
	count  int // waiting or held
}

// SetControl says who serves what the adapter asks of the kernel. Until then such requests are refused.
func (m *Metadata) SetControl(k provider.Control) {
	m.control.mu.Lock()
	defer m.control.mu.Unlock()
	m.control.kernel = k
}

// serveControl is the control goroutine: it serves the remote's requests one after the other, so that the reader does not
// wait for the kernel.
func (m *Metadata) serveControl() {
	q := &m.control
	for {
		q.mu.Lock()
		var next controlRequest
		if len(q.queue) > 0 {
			next, q.queue = q.queue[0], q.queue[1:]
			q.count--
		}
		kernel := q.kernel
		q.mu.Unlock()
		if next != nil {
			next(kernel)
			continue
		}
		select {
		case <-q.wake:
		case <-m.done:
			return
		}
	}
}

func (q *controlQueue) push(r controlRequest) {
	q.mu.Lock()
	q.queue = append(q.queue, r)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// room takes a place; it is given back by serveControl, or by release.
func (q *controlQueue) room() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count >= maxControls {
		return false
	}
	q.count++
	return true
}

func (q *controlQueue) release(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count -= n
}

// controlRequest handles FST and FUS, on the reader.
func (m *Metadata) controlRequest(c *conn, l ari.Line) {
	id, method := string(l.ID), l.Method
	refuse := func(why string) {
		c.send(func(dst []byte) []byte {
			return ari.AppendError(dst, id, method, c.version, ari.Failure{Message: ari.T(why)})
		})
	}
	var (
		err     error
		session string
		held    heldControl
	)
	if method == ari.FST {
		var f ari.ForceSession
		f, err = ari.ParseForceSession(l.Body, c.version)
		session, held.serve = f.Session, func(k provider.Control) { serveForceSession(c, id, f, k, refuse) }
	} else {
		var f ari.ForceUnsubscribe
		f, err = ari.ParseForceUnsubscribe(l.Body, c.version)
		session, held.window, held.table = f.Session, f.WinIndex, true
		held.serve = func(k provider.Control) { serveForceUnsubscribe(c, id, f, k, refuse) }
	}
	switch {
	case err != nil:
		c.noise("malformed request of the remote adapter", err)
		refuse(err.Error())
		return
	case !m.control.room():
		refuse(fmt.Sprintf("more than %d requests at a time", maxControls))
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[session]; s != nil && s.holds(held) {
		s.heldControls = append(s.heldControls, held)
		return
	}
	m.control.push(held.serve)
}

// holds says whether h has to wait: for the NNS of its session or, if it is about a table, for the NNT of that.
func (s *session) holds(h heldControl) bool {
	if s.beginning > 0 {
		return true
	}
	nnt := func(t *turn) bool { return t.closing == nil && slices.Contains(t.windows, h.window) }
	return h.table && (slices.ContainsFunc(s.running, nnt) || slices.ContainsFunc(s.waiting, nnt))
}

// freeControls lets go the requests that have nothing to wait for any more, in their order. Metadata.mu is held.
func (m *Metadata) freeControls(s *session) {
	s.heldControls = slices.DeleteFunc(s.heldControls, func(h heldControl) bool {
		if s.holds(h) {
			return false
		}
		m.control.push(h.serve)
		return true
	})
}

func serveForceSession(c *conn, id string, f ari.ForceSession, k provider.Control, refuse func(string)) {
	if k == nil {
		refuse("not available yet")
		return
	}
	var cause *provider.Cause
	if f.HasCause {
		cause = &provider.Cause{Code: f.Code, Message: provider.Text(f.Message)}
	}
	if cause != nil && cause.Code > 0 {
		refuse(fmt.Sprintf("code %d: it has to be 0 or negative", cause.Code))
		return
	}
	if err := k.ForceSessionTermination(f.Session, cause); err != nil {
		refuse(err.Error())
		return
	}
	c.send(func(dst []byte) []byte { return ari.AppendVoidReply(dst, id, ari.FST) })
}

func serveForceUnsubscribe(c *conn, id string, f ari.ForceUnsubscribe, k provider.Control, refuse func(string)) {
	if k == nil {
		refuse("not available yet")
		return
	}
	done, err := k.ForceUnsubscription(f.Session, f.WinIndex)
	if err != nil {
		refuse(err.Error())
		return
	}
	c.send(func(dst []byte) []byte { return ari.AppendForceUnsubscribeReply(dst, id, done) })
}
