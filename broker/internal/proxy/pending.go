package proxy

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

var errTimeout = errors.New("no answer in time")

// request is one request that waits for its reply.
type request struct {
	id     string
	method ari.Method
	due    time.Time // zero: never
	gone   bool      // no longer waiting
	// done gets the body of the reply, valid during the call only, or why there is none: errTimeout, or the reason the
	// connection was lost. It is called once, from the reader, from the timer or from the end of the connection, without
	// a lock; it must not block.
	done func(body []byte, err error)
}

// pending holds the requests of one connection that wait for replies.
type pending struct {
	timeout time.Duration // 0: none
	max     int

	mu      sync.Mutex
	byID    map[string]*request
	queue   []*request // in the order of due, which is that of adding; those gone leave when they come to the front
	timer   *time.Timer
	running sync.WaitGroup // the timer, from arming until it was stopped or has run
	closed  error
}

func newPending(timeout time.Duration, limit int) *pending {
	return &pending{timeout: timeout, max: limit, byID: make(map[string]*request)}
}

var errTooManyPending = errors.New("the remote does not answer: too many requests wait for it")

// add starts the waiting of r. The error is the reason for which the connection has ended, or errTooManyPending; done is
// not called then.
func (p *pending) add(r *request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != nil {
		return p.closed
	}
	if len(p.byID) >= p.max {
		return errTooManyPending
	}
	p.byID[r.id] = r
	if p.timeout > 0 {
		r.due = time.Now().Add(p.timeout)
		p.queue = append(p.queue, r)
		p.arm()
	}
	return nil
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
		p.arm()
	}
	p.mu.Unlock()
	for _, r := range due {
		r.done(nil, fmt.Errorf("%s: %w", r.method, errTimeout))
	}
}

// take ends the waiting of the request with that id; nil if there is none.
func (p *pending) take(id []byte) *request {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byID[string(id)]
	if r == nil {
		return nil
	}
	delete(p.byID, r.id)
	r.gone = true
	for len(p.queue) > 0 && p.queue[0].gone {
		p.queue = p.queue[1:]
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
	p.byID, p.queue = nil, nil
	p.mu.Unlock()
	for _, r := range left {
		r.done(nil, reason)
	}
	p.running.Wait()
}
