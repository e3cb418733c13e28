package session

import (
	"context"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Session is one session of a client. Its methods may be called from any goroutine.
type Session struct {
	m       *Manager
	id      string
	set     *adapterSet
	user    provider.Text
	client  Client
	tables  bool // the Metadata Adapter wants to know of subscriptions
	granted float64
	doomed  *cause // the adapter wants it to end as soon as it begins; guarded by the manager's lock
	noHead  bool   // LS_reduce_head at creation: no CONS in the whole session
	accepts accepted
	ctx     context.Context
	cancel  context.CancelFunc

	mu     sync.Mutex
	bound  *Binding // nil: unbound
	ended  bool
	cause  cause // once ended
	expiry *time.Timer
	timers int // counts the expiry timers, so that one that fires too late is known
	ttl    *time.Timer
	heard  time.Time // of the last request of the client

	// The flow: lines not yet written, queues with events, and the lines written.
	lines      [][]byte
	ready      readyList
	parking    parking
	queueBytes int            // of all that waits in queues
	liveBytes  int            // of the live updates among it
	values     []tlcp.Value   // of the line being made
	diffs      []tlcp.Element // what stands in for values in it
	nodes      *node
	spare      int // nodes in the list
	history    history
	cursor     int64 // the line up to which the current flow has been written; less than history.last while it is repeated
	looped     int64 // cursor at the last LOOP: a plain bind confirms as much

	bandwidth float64   // kbit/s, as the client asked; 0: unlimited
	free      time.Time // when the bandwidth limit lets the next data line out

	subs     map[int]*subscription
	jobs     []func()
	working  bool
	messages messages
}

// cause is why a session has ended: what END says.
type cause struct {
	code int
	text string
	// expired says that the client has gone: if it comes back after all, the session is just unknown.
	expired bool
}

// ID is the session's id. It is all that authorises requests: it does not belong into logs of a lesser secrecy than the session's
// data.
func (s *Session) ID() string { return s.id }

// label names the session in logs, without what would authorise requests.
func (s *Session) label() string { return s.id[:min(len(s.id), 9)] }

// wake makes the connection look what there is to write. The lock is held.
func (s *Session) wake() {
	if s.bound != nil {
		s.bound.wake()
	}
}

// tell queues a line, which must be a data notification. The lock is held.
func (s *Session) tell(line []byte) {
	s.lines = append(s.lines, line)
	s.wake()
}

// crowded says that so many lines and messages wait that no request is accepted that would add some. The lock is held.
func (s *Session) crowded() bool {
	return len(s.lines)+s.messages.pending >= s.m.cfg.MaxMessages+2*len(s.subs)
}

// maxSpare bounds the nodes kept for later use.
const maxSpare = 256

func (s *Session) newNode(init node) *node {
	n := s.nodes
	if n == nil {
		n = new(node)
	} else {
		s.nodes = n.next
		s.spare--
	}
	*n = init
	return n
}

func (s *Session) freeNode(n *node) {
	*n = node{}
	if s.spare < maxSpare {
		n.next = s.nodes
		s.nodes = n
		s.spare++
	}
}

// checkFlood ends the session if too much waits in it. The lock is held.
func (s *Session) checkFlood() {
	if s.queueBytes > 8*s.m.cfg.MaxQueueBytes {
		s.end(cause{code: tlcp.CodeServerFault, text: "Too many events waiting for the client"})
	}
}

// touch notes that the client is alive.
func (s *Session) touch() {
	s.mu.Lock()
	s.heard = time.Now()
	s.mu.Unlock()
}

// end ends the session; what it leaves behind is cleaned up by the worker. The lock is held.
func (s *Session) end(c cause) {
	if s.ended {
		return
	}
	s.ended, s.cause = true, c
	s.cancel()
	s.stopExpiry()
	if s.ttl != nil {
		s.ttl.Stop()
	}
	s.messages.stop()
	s.wake()
	if !s.working {
		s.working = true
		s.m.wg.Go(s.work)
	}
}

// terminate ends the session.
func (s *Session) terminate(c cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(c)
}

// expireIn ends the session if it is not bound again within d. The lock is held.
func (s *Session) expireIn(d time.Duration) {
	s.stopExpiry()
	n := s.timers
	s.expiry = time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.timers == n && s.bound == nil {
			s.end(cause{code: tlcp.CodeClosedByServer, text: "Session expired", expired: true})
		}
	})
}

func (s *Session) stopExpiry() {
	s.timers++
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
}

// do has a job done by the session's worker, behind those queued before. It returns false if the session has ended or too many
// wait.
func (s *Session) do(job func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || len(s.jobs) >= s.m.cfg.MaxRequests {
		return false
	}
	s.jobs = append(s.jobs, job)
	if !s.working {
		s.working = true
		s.m.wg.Go(s.work)
	}
	return true
}

// work runs the jobs one after the other, and cleans up once the session has ended. It is the session's only worker: it ends when
// nothing is left to do.
func (s *Session) work() {
	for {
		s.mu.Lock()
		if len(s.jobs) == 0 {
			if s.ended {
				s.mu.Unlock()
				s.cleanUp()
				return
			}
			s.working = false
			s.mu.Unlock()
			return
		}
		job := s.jobs[0]
		s.jobs[0] = nil
		s.jobs = s.jobs[1:]
		s.mu.Unlock()
		job()
	}
}

// cleanUp gives back what the session holds and tells the Metadata Adapter. The session's worker calls it, as its last act.
func (s *Session) cleanUp() {
	s.mu.Lock()
	subs := make([]*subscription, 0, len(s.subs))
	for _, sub := range s.subs {
		sub.close()
		subs = append(subs, sub)
	}
	clear(s.subs)
	s.lines = nil
	c := s.cause
	s.mu.Unlock()
	for _, sub := range subs {
		sub.leave()
	}
	s.messages.wg.Wait()
	s.set.Metadata.NotifySessionClose(s.id)
	s.m.forget(s, c)
	s.set.sessions.Done()
	s.m.log.Debug("session: ended", "session", s.label(), "code", c.code, "cause", c.text)
}
