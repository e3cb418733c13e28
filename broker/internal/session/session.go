package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/item"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Session is one session of a client. Its methods may be called from any goroutine.
type Session struct {
	m       *Manager
	id      string
	set     *adapterSet
	user    provider.Text
	client  Client // what is still of use after the creation
	tables  bool   // the Metadata Adapter wants to know of subscriptions
	granted float64
	doomed  *cause // the adapter wants it to end as soon as it begins; guarded by the manager's lock
	noHead  bool   // LS_reduce_head at creation: no CONS in the whole session
	accepts accepted
	ctx     context.Context
	cancel  context.CancelFunc

	place     *place // its share of the limits
	principal string // of the client's TLS certificate
	// announced is held up until the creation has been reported to the audit log, or given up:
	// created tells which, and the end is reported after it.
	announced sync.WaitGroup
	created   bool

	mu    sync.Mutex
	bound *Binding // nil: unbound
	// recovered says that the last bind was a recovery.
	recovered bool
	ended     bool
	cause     cause // once ended
	expiry    *time.Timer
	timers    int // counts the expiry timers, so that one that fires too late is known
	ttl       *time.Timer
	heard     time.Time // of the last request of the client

	// The flow: lines not yet written, queues with events, and the lines written.
	lines      [][]byte
	lineBytes  int64
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
	jobBytes int64
	working  bool
	used     bool      // by a request of its client, after the creation
	kept     int64     // bytes of what waits, in this session, as long as it lives
	heldUp   int       // readers of its requests that wait for room
	reported time.Time // the last request that a limit has refused
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

// cause is why a session has ended: what END says.
type cause struct {
	code int
	text string
	by   By
	// limit is the name of the limit in broker.Limits, if by is ByLimit.
	limit string
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
	s.lineBytes += int64(len(line))
	s.mem.Add(int64(lineCost + len(line)))
	s.wake()
}

// told notes that a line has been taken from the queue. The lock is held.
func (s *Session) told(line []byte) {
	s.lineBytes -= int64(len(line))
	s.mem.Add(-int64(lineCost + len(line)))
}

// crowded reports whether so many lines wait that no request is accepted that would add some. The
// lock is held.
func (s *Session) crowded() bool {
	return len(s.lines) >= s.m.cfg.MaxMessages+2*len(s.subs) || s.lineBytes >= s.m.cfg.MaxMessageBytes
}

// keep counts bytes of what waits that the session has until its end. The lock is held.
func (s *Session) keep(n int64) {
	s.kept += n
	s.m.waiting.Add(n)
}

// hear notes that the client is alive, and has made use of its session. The lock is held.
func (s *Session) hear() {
	s.heard = time.Now()
	s.used = true
}

// recoveryTime is how long the session waits for a recovery. One that nobody has used yet is not
// kept for as long: whoever creates sessions and leaves has them for a shorter time.
func (s *Session) recoveryTime() time.Duration {
	if !s.used {
		return min(s.m.cfg.RecoveryTimeout, s.m.cfg.RebindTimeout)
	}
	return s.m.cfg.RecoveryTimeout
}

// small is the size in bytes up to which a request gets in that is the only one of its session.
const small = 4 << 10

// reserve takes n bytes for a request that is to wait; alone tells that no other of its kind waits
// in the session.
func (m *Manager) reserve(n int64, alone bool) bool {
	if alone && n <= small {
		m.waiting.Add(n)
		return true
	}
	return m.waiting.Take(n)
}

// overLimit logs that a limit has refused a request, and reports it to the audit log, now and then.
// It is called without the lock.
func (s *Session) overLimit(kind AuditKind, no *denial) {
	if no.limit == "" {
		return
	}
	s.m.logged("session: request refused by a limit", "session", s.label(), "limit", no.limit, "code", no.code, "text", no.text)
	if s.m.cfg.Audit == nil {
		return
	}
	now := time.Now()
	s.mu.Lock()
	report := now.Sub(s.reported) >= sampleTime
	if report {
		s.reported = now
	}
	s.mu.Unlock()
	if report {
		s.audit(Audit{Kind: kind, By: ByLimit, Limit: no.limit, Code: no.code, Text: no.text})
	}
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

// refuseSubscription returns the code and the text of a refusal by a limit, having reported it.
func (s *Session) refuseSubscription(limit, text string) (code int, told string) {
	no := &denial{tlcp.CodeInternal, text, limit}
	s.overLimit(SubscriptionRefused, no)
	return no.code, no.text
}

// touch notes that the client is alive.
func (s *Session) touch() {
	s.mu.Lock()
	s.hear()
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
	s.stopMessages()
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
			s.end(cause{code: tlcp.CodeClosedByServer, text: "Session expired", by: ByExpiry, expired: true})
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

// job is what the session's worker is to do.
type job struct {
	run  func()
	size int64 // bytes that it holds
}

// do has a job done by the session's worker, behind those queued before. It returns false if the session has ended or too many
// wait.
func (s *Session) do(size int64, run func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	alone := len(s.jobs) == 0
	switch {
	case s.ended, len(s.jobs) >= s.m.cfg.MaxRequests:
		return false
	case !alone && s.jobBytes+size > s.m.cfg.MaxRequestBytes, !s.m.reserve(size, alone):
		return false
	}
	s.jobBytes += size
	s.start(job{run, size})
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
		next.run()
		s.mu.Lock()
		s.jobBytes -= next.size
		s.mu.Unlock()
		s.m.waiting.Add(-next.size)
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
	s.m.waiting.Add(-s.kept)
	for _, l := range s.lines {
		s.told(l)
	}
	s.lines, s.kept = nil, 0
	s.messages.sequences, s.messages.unordered = nil, recent{}
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
	s.m.mem.Add(-sessionCost)
	s.set.Metadata.NotifySessionClose(s.id)
	s.m.forget(s, c)
	s.set.sessions.Done()
	s.m.log.Debug("session: ended", "session", s.label(), "by", c.by.String(), "code", c.code, "cause", sample.Text(c.text))
	s.announced.Wait()
	if s.created {
		s.audit(Audit{Kind: SessionEnded, By: c.by, Limit: c.limit, Code: c.code, Text: c.text})
	}
}
