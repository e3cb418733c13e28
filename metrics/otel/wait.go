package otel

import (
	"sync"
	"time"
)

// waitClock sums up how long calls have waited. The hook does not say which call goes on, and the sum does not need it: while n calls
// wait, it grows by n seconds each second.
type waitClock struct {
	mu      sync.Mutex
	waiting int
	sum     time.Duration
	since   time.Time // sum is right up to here
}

// count takes the beginning or the end of a wait.
func (c *waitClock) count(began bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	if began {
		c.waiting++
	} else {
		c.waiting--
	}
}

// now returns how many calls wait.
func (c *waitClock) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// total returns the sum, the waits that have not ended included.
func (c *waitClock) total() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.sum
}

// advance brings sum up to the present. mu is held.
func (c *waitClock) advance() {
	t := time.Now()
	c.sum += time.Duration(c.waiting) * t.Sub(c.since)
	c.since = t
}
