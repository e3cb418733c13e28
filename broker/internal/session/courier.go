package session

import "sync"

// courier takes the messages of all sessions of an Adapter Set to its Metadata Adapter: some at a
// time, one of each session in turn. So a session with a thousand messages delays one of another by
// one, and the adapter gets no more of them than it answers.
type courier struct {
	wg *sync.WaitGroup // workers; sessions with messages hold it up

	mu    sync.Mutex
	freed *sync.Cond // signalled when bytes are given back

	workers int
	bytes   int64 // of the messages, and of the subscriptions being asked about, that the adapter has
	turns   []*Session
}

// maxCalls bounds the messages that the adapter of a set has at a time, maxCallBytes the bytes of
// messages and subscriptions; a larger one goes alone.
const (
	maxCalls     = 256
	maxCallBytes = 4 << 20
)

func (c *courier) init(wg *sync.WaitGroup) {
	c.wg = wg
	c.freed = sync.NewCond(&c.mu)
}

// list notes that a session has messages. The session's lock is held.
func (c *courier) list(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turns = append(c.turns, s)
	if c.workers < maxCalls {
		c.workers++
		c.wg.Go(c.work)
	}
}

// work is a worker: it ends when no session has messages.
func (c *courier) work() {
	for {
		c.mu.Lock()
		if len(c.turns) == 0 {
			c.turns = nil
			c.workers--
			c.mu.Unlock()
			return
		}
		s := c.turns[0]
		c.turns[0] = nil
		c.turns = c.turns[1:]
		c.mu.Unlock()
		s.deliver(c)
	}
}

// take waits until a message or a subscription of a size may go.
func (c *courier) take(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.bytes > 0 && c.bytes+size > maxCallBytes {
		c.freed.Wait()
	}
	c.bytes += size
}

// give gives back what take has taken.
func (c *courier) give(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= size
	c.freed.Broadcast()
}
