package proxy

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

var (
	errTimeout        = errors.New("no answer in time")
	errTooManyPending = errors.New("the remote does not answer: too many requests wait for it")
)

// request is one request that waits for its reply.
type request struct {
	id     string
	method ari.Method
	encode func(dst []byte) []byte
	// done gets the body of the reply, valid during the call only, or why there is none: errTimeout, or the reason the
	// connection was lost. It is called once, from the reader, from the timer or from the end of the connection, without
	// a lock; it must not block.
	done func(body []byte, err error)

	// Guarded by pending.mu.
	due   time.Time // zero: never
	gone  bool      // done was called, or is about to be
	sent  bool
	group *group // whose place it holds, or waits for; nil: none
}

// bound limits how many requests of some methods are sent and not answered; those above wait for a place, no longer than
// for an answer.
type bound struct {
	methods []ari.Method
	most    int // 0: no limit
}

// group is a bound at work.
type group struct {
	most    int
	held    int // places
	waiting []*request
}

// pending holds the requests of one connection that wait for replies, or to be sent.
type pending struct {
	timeout time.Duration // 0: none
	max     int
	groups  map[ari.Method]*group
	// write puts a line into the connection's buffer. It is called with mu held, which keeps the order of requests.
	write func(encode func(dst []byte) []byte) error
	// broken is told, without mu, that write has failed outside of add.
	broken func(error)

	mu      sync.Mutex
	byID    map[string]*request
	queue   []*request // in the order of due, which is that of adding; those gone leave when they come to the front
	timer   *time.Timer
	running sync.WaitGroup // the timer, from arming until it was stopped or has run
	closed  error
}

func newPending(timeout time.Duration, limit int, bounds []bound, write func(func([]byte) []byte) error, broken func(error)) *pending {
	p := &pending{timeout: timeout, max: limit, groups: make(map[ari.Method]*group), write: write, broken: broken, byID: make(map[string]*request)}
	for _, b := range bounds {
		if b.most <= 0 {
			continue
		}
		g := &group{most: b.most}
		for _, m := range b.methods {
			p.groups[m] = g
		}
	}
	return p
}

// add starts the waiting of r, and sends it as soon as its group has a place. The error is the reason for which the
// connection has ended, errTooManyPending, or that of write; done is not called then.
func (p *pending) add(r *request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != nil {
		return p.closed
	}
	if len(p.byID) >= p.max {
		return errTooManyPending
	}
	r.group = p.groups[r.method]
	if g := r.group; g != nil && g.held >= g.most {
		g.waiting = append(g.waiting, r)
	} else if err := p.start(r); err != nil {
		return err
	}
	p.byID[r.id] = r
	if p.timeout > 0 {
		r.due = time.Now().Add(p.timeout)
		p.queue = append(p.queue, r)
		p.arm()
	}
	return nil
}

// start sends r. mu is held.
func (p *pending) start(r *request) error {
	r.sent = true
	if r.group != nil {
		r.group.held++
	}
	return p.write(r.encode)
}

// over gives the place of a request that is not pending any more to the next one that waits for it. mu is held.
func (p *pending) over(r *request) error {
	g := r.group
	if g == nil || !r.sent {
		return nil
	}
	g.held--
	for len(g.waiting) > 0 && g.held < g.most {
		next := g.waiting[0]
		g.waiting = g.waiting[1:]
		if next.gone && !needed(next.method) {
			continue
		}
		if err := p.start(next); err != nil {
			return err
		}
		if next.gone {
			g.held--
		}
	}
	return nil
}

// needed says whether a request is sent even when nobody waits for its answer any more: what it ends would go on for the
// remote.
func needed(m ari.Method) bool { return m == ari.USB || m == ari.NTC || m == ari.NSC }

// withdraw keeps r from being sent, if it has not been. Removed says that it was still pending; done will not be called.
func (p *pending) withdraw(r *request) (unsent, removed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.sent {
		return false, false
	}
	removed = !r.gone
	r.gone = true
	delete(p.byID, r.id)
	if g := r.group; g != nil {
		if i := slices.Index(g.waiting, r); i >= 0 {
			g.waiting = slices.Delete(g.waiting, i, i+1)
		}
	}
	return true, removed
}

// arm sets the timer to the first request of the queue, if it is not set. mu is held.
func (p *pending) arm() {
	if p.timer != nil || len(p.queue) == 0 {
		return
	}
	p.running.Add(1)
	p.timer = time.AfterFunc(time.Until(p.queue[0].due), p.expire)
}

// expire fails what is due. It runs in the timer's goroutine.
func (p *pending) expire() {
	defer p.running.Done()
	p.mu.Lock()
	p.timer = nil
	var due []*request
	var broken error
	if p.closed == nil {
		now := time.Now()
		for len(p.queue) > 0 && (p.queue[0].gone || !p.queue[0].due.After(now)) {
			if r := p.queue[0]; !r.gone {
				r.gone = true
				delete(p.byID, r.id)
				due = append(due, r)
			}
			p.queue = p.queue[1:]
		}
		for _, r := range due { // after all of them have gone, so that none of them is sent now
			broken = errors.Join(broken, p.over(r))
		}
		p.arm()
	}
	p.mu.Unlock()
	if broken != nil {
		p.broken(broken)
	}
	for _, r := range due {
		r.done(nil, fmt.Errorf("%s: %w", r.method, errTimeout))
	}
}

// take ends the waiting of the request with that id; nil if none was sent.
func (p *pending) take(id []byte) *request {
	p.mu.Lock()
	r := p.byID[string(id)]
	if r == nil || !r.sent {
		p.mu.Unlock()
		return nil
	}
	delete(p.byID, r.id)
	r.gone = true
	for len(p.queue) > 0 && p.queue[0].gone {
		p.queue = p.queue[1:]
	}
	err := p.over(r)
	p.mu.Unlock()
	if err != nil {
		p.broken(err)
	}
	return r
}

// close fails all that wait, in the order of their ids' making as far as they have time-outs, and all that may come. When it
// has returned, done functions are called no more.
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
	var left []*request
	for _, r := range p.queue {
		if !r.gone {
			left = append(left, r)
			delete(p.byID, r.id)
		}
	}
	for _, r := range p.byID {
		left = append(left, r)
	}
	for _, r := range left {
		r.gone = true
	}
	p.byID, p.queue, p.groups = nil, nil, nil
	p.mu.Unlock()
	for _, r := range left {
		r.done(nil, reason)
	}
	p.running.Wait()
}
