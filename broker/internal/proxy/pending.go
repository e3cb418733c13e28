package proxy

import (
	"container/list"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

const (
	// lateTimer is how late the timer of the time-outs may fire without a doubt. A timer that fires
	// later was held up together with the whole process: replies may be waiting in the socket.
	lateTimer = 100 * time.Millisecond
	// catchUp is what the reader gets then, to read what is there before requests are failed.
	catchUp = 2 * time.Second
)

var errTimeout = errors.New("no answer in time")

// request is one request that waits for its reply, or to be sent.
type request struct {
	id     string
	method ari.Method
	owner  string // who takes turns with others; see fairQueue
	encode func(dst []byte) []byte
	// done gets the body of the reply, valid during the call only, or why there is none:
	// errTimeout, or the reason the connection was lost. It is called once, from the reader, from
	// the timer or from the end of the connection, without a lock; it must not block.
	done func(body []byte, err error)

	// Guarded by pending.mu.
	lane    *lane
	tickets []ticket // its places in the lane's queue, one for each owner; none when it does not wait
	others  []string // further owners
	behind  *request // the request that has to be sent before it; nil if it has no such
	then    *request // the one that waits for this one to be sent
	sent    time.Time
	due     time.Time     // zero: never
	inDue   *list.Element // of pending.due
	state   requestState
}

type requestState uint8

const (
	requestWaits  requestState = iota // to be sent
	requestIsSent                     // and not answered
	requestIsOver                     // done was called, or is about to be, or it was withdrawn
)

// pending holds the requests of one connection that wait for replies, or to be sent. A request
// waits while its lane has as many unanswered ones as its window allows, while the connection has,
// or while too many bytes are unsent; owners take turns then. Nothing here fails for the number of
// requests.
type pending struct {
	timeout time.Duration // 0: none
	max     int           // unanswered requests, of all lanes
	lanes   []*lane       // the first ones go first
	byName  map[ari.Method]*lane
	out     *writer // its methods are called with mu held, which keeps the order of requests
	waiting *atomic.Int64

	mu      sync.Mutex
	byID    map[string]*request // sent and not answered
	due     list.List           // of *request, in the order of their times
	timer   *time.Timer
	armed   time.Time // when timer is to fire
	graced  bool      // the reader has been given time to catch up
	running sync.WaitGroup
	closed  error
}

// newPending returns an empty one. waiting counts the requests that are not sent.
func newPending(timeout time.Duration, limit int, bounds []bound, out *writer, waiting *atomic.Int64) *pending {
	p := &pending{
		timeout: timeout, max: limit, byName: make(map[ari.Method]*lane), out: out, waiting: waiting,
		byID: make(map[string]*request),
	}
	for _, b := range bounds {
		l := newLane(b)
		p.lanes = append(p.lanes, l)
		for _, m := range b.methods {
			p.byName[m] = l
		}
	}
	return p
}

// patient reports whether the time of a request begins when it is sent. That is so of requests
// whose loss would leave the remote with a wrong picture; nobody waits for their answers. The
// others have somebody waiting, for whom time begins with the question.
func patient(m ari.Method) bool {
	return m == ari.SUB || m == ari.USB || m == ari.NTC || m == ari.NSC
}

// add sends r, or has it wait for its turn; behind, if not nil, is a request that has to leave
// before. The error is the reason for which the connection has ended; done is not called then.
func (p *pending) add(r, behind *request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != nil {
		return p.closed
	}
	r.lane = p.byName[r.method]
	if !patient(r.method) {
		p.setDue(r, time.Now())
	}
	p.waiting.Add(1)
	switch {
	case behind != nil && behind.state == requestWaits:
		r.behind, behind.then = behind, r
	case r.lane.waiting == 0 && p.mayStart(r.lane):
		p.start(r)
	default:
		r.lane.push(r)
	}
	return nil
}

// mayStart reports whether a request of the lane may be sent. mu is held.
func (p *pending) mayStart(l *lane) bool {
	return l.held < l.window && len(p.byID) < p.max && p.out.room()
}

// start sends r, which is in no queue. mu is held.
func (p *pending) start(r *request) {
	now := time.Now()
	r.state, r.sent = requestIsSent, now
	r.lane.held++
	p.byID[r.id] = r
	p.waiting.Add(-1)
	if patient(r.method) {
		p.setDue(r, now)
	}
	p.out.request(r.encode)
	r.encode = nil // it may hold much, and the answer may take long
	if next := r.then; next != nil {
		r.then, next.behind = nil, nil
		next.lane.push(next)
	}
}

// pump sends what may be sent. mu is held.
func (p *pending) pump() {
	for _, l := range p.lanes {
		for l.waiting > 0 && p.mayStart(l) {
			p.start(l.pop())
		}
	}
}

// drained is called by the writer's goroutine when it has written.
func (p *pending) drained() {
	if p.waiting.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed == nil {
		p.pump()
	}
}

// share has r take turns as a request of another owner, too, if it still waits.
func (p *pending) share(r *request, owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.state != requestWaits {
		return
	}
	r.others = append(r.others, owner)
	if r.behind == nil {
		r.lane.pushFor(r, owner)
	}
}

// withdraw keeps r from being sent, if it still waits, which it reports; done will not be called
// then.
func (p *pending) withdraw(r *request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.state != requestWaits {
		return false
	}
	p.drop(r)
	return true
}

// wasSent reports whether r has left. It is for requests of connections that have ended.
func (r *request) wasSent() bool { return !r.sent.IsZero() }

// drop ends a request that waits to be sent. mu is held.
func (p *pending) drop(r *request) {
	if r.behind != nil {
		r.behind.then, r.behind = nil, nil
	} else {
		r.lane.remove(r)
	}
	p.waiting.Add(-1)
	p.end(r)
}

// end notes that r is over. mu is held.
func (p *pending) end(r *request) {
	r.state = requestIsOver
	if r.inDue != nil {
		p.due.Remove(r.inDue)
		r.inDue = nil
	}
}

// free ends a request that was sent, and gives its place to the next one. mu is held.
func (p *pending) free(r *request) {
	delete(p.byID, r.id)
	r.lane.held--
	p.end(r)
}

// setDue begins the time of a request. The time is the same for all, so that the list stays in
// order. mu is held.
func (p *pending) setDue(r *request, now time.Time) {
	if p.timeout <= 0 {
		return
	}
	r.due = now.Add(p.timeout)
	r.inDue = p.due.PushBack(r)
	p.arm()
}

// arm sets the timer to the first request, if it is not set. mu is held.
func (p *pending) arm() {
	if first := p.due.Front(); first != nil {
		p.armFor(first.Value.(*request).due)
	}
}

func (p *pending) armFor(at time.Time) {
	if p.timer != nil {
		return
	}
	p.running.Add(1)
	p.armed = at
	p.timer = time.AfterFunc(time.Until(at), p.expire)
}

// expire fails what is due. It runs in the timer's goroutine.
func (p *pending) expire() {
	defer p.running.Done()
	for _, r := range p.takeDue() {
		r.done(nil, fmt.Errorf("%s: %w", r.method, errTimeout))
	}
}

func (p *pending) takeDue() (due []*request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	if p.closed != nil {
		return nil
	}
	now := time.Now()
	if now.Sub(p.armed) > lateTimer && !p.graced {
		p.graced = true
		p.armFor(now.Add(catchUp))
		return nil
	}
	p.graced = false
	for e := p.due.Front(); e != nil; e = p.due.Front() {
		r := e.Value.(*request)
		if r.due.After(now) {
			break
		}
		if r.state == requestWaits {
			p.drop(r)
		} else {
			p.free(r)
			r.lane.slow()
		}
		due = append(due, r)
	}
	p.pump() // after all of them have gone, so that none of them is sent
	p.arm()
	return due
}

// take ends the waiting of the request with that id; nil if none was sent.
func (p *pending) take(id []byte) *request {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byID[string(id)]
	if r == nil {
		return nil
	}
	p.free(r)
	r.lane.answered(time.Since(r.sent), p.timeout)
	p.pump()
	return r
}

// close fails all that wait, and all that may come. When it has returned, done functions are called
// no more.
func (p *pending) close(reason error) {
	p.mu.Lock()
	if p.closed != nil {
		p.mu.Unlock()
		return
	}
	p.closed = reason
	if p.timer != nil && p.timer.Stop() {
		p.running.Done()
	}
	left := make([]*request, 0, len(p.byID))
	for _, r := range p.byID {
		left = append(left, r)
	}
	for _, l := range p.lanes {
		for l.waiting > 0 {
			r := l.pop()
			for ; r != nil; r = r.then {
				left = append(left, r)
				p.waiting.Add(-1)
			}
		}
	}
	for _, r := range left {
		p.end(r)
	}
	p.byID = nil
	p.mu.Unlock()
	for _, r := range left {
		r.done(nil, reason)
	}
	p.running.Wait()
}
