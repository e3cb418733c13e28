package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/item"
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
	queueBytes int // of all that waits in queues
	liveBytes  int // of the live updates among it
	scratch
	puzzle  *puzzle // a difference that has to be found before the next line can be made
	solved  *puzzle // the one found last
	nodes   *node
	spare   int // nodes in the list
	history history
	cursor  int64 // the line up to which the current flow has been written; less than history.last while it is repeated
	looped  int64 // cursor at the last LOOP: a plain bind confirms as much

	// Memory, see memory.go. mem has what is taken before it is made: subscriptions, requests,
	// lines, history.
	mem      *budget.Budget
	items    int // of all subscriptions
	keyBytes int // what their keys cost
	loose    int // what the session holds besides mem and events that wait: nodes, keys, old values
	charged  int // as much of loose as the broker's budget knows
	shown    int // as much of queueBytes as counts knows
	counts   counts
	counted  atomic.Int64 // len(subs)

	bandwidth float64   // kbit/s, as the client asked; 0: unlimited
	free      time.Time // when the bandwidth limit lets the next data line out

	subs     map[int]*subscription
	jobs     []job
	working  bool
	messages messages
}

// scratch is for the line being made.
type scratch struct {
	now    *item.Event
	op     item.Op
	values []tlcp.Value   // of the line
	held   []tlcp.Value   // that the client has by now; empty: none
	diffs  []tlcp.Element // what stands in for values in it
	sent   int64          // U lines made
}

// maxScratch is for how many fields scratch space is kept.
const maxScratch = 64

// release gives scratch space back that is not small, and the values.
func (c *scratch) release() {
	c.now = nil
	if cap(c.values)+cap(c.held)+cap(c.diffs) > 4*maxScratch {
		c.values, c.held, c.diffs = nil, nil, nil
	}
}

// job is something for the session's worker to do. Bytes is what it costs until then.
type job struct {
	do    func()
	bytes int64
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
	s.mem.Add(int64(lineCost + len(line)))
	s.wake()
}

// crowded says that so many lines and messages wait that no request is accepted that would add some. The lock is held.
func (s *Session) crowded() bool {
	return len(s.lines)+s.messages.pending >= s.m.cfg.MaxMessages+2*len(s.subs)
}

// maxSpare bounds the nodes kept for later use.
const maxSpare = 64

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

// do has something done by the session's worker, behind what was queued before. Text is how many
// bytes of text it keeps until then. It returns false if the session has ended, or too much waits.
func (s *Session) do(f func(), text int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cost := int64(requestCost + text)
	if s.ended || len(s.jobs) >= s.m.cfg.MaxRequests || !s.mem.Take(cost) {
		return false
	}
	s.start(job{f, cost})
	return true
}

// start queues a job, which is done whatever happens to the session. The lock is held, and the
// session is not over.
func (s *Session) start(j job) {
	s.jobs = append(s.jobs, j)
	if !s.working {
		s.working = true
		s.m.wg.Go(s.work)
	}
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
		next := s.jobs[0]
		s.jobs[0] = job{}
		s.jobs = s.jobs[1:]
		s.mu.Unlock()
		next.do()
		s.mem.Add(-next.bytes)
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
	s.m.stats.subscriptions.Add(-int64(len(s.subs)))
	s.counted.Store(0)
	clear(s.subs)
	for _, l := range s.lines {
		s.mem.Add(-int64(lineCost + len(l)))
	}
	s.lines = nil
	s.history.drop(len(s.history.chunks))
	c := s.cause
	s.mu.Unlock()
	for _, sub := range subs {
		sub.leave()
	}
	s.messages.wg.Wait()
	s.mu.Lock()
	s.show()
	s.charge(s.loose)
	s.mu.Unlock()
	s.mem.Add(-int64(len(s.user.S)))
	s.m.mem.Add(-sessionCost)
	s.set.Metadata.NotifySessionClose(s.id)
	s.m.forget(s, c)
	s.set.sessions.Done()
	s.m.log.Debug("session: ended", "session", s.label(), "code", c.code, "cause", c.text)
}
