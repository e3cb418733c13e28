package work

import (
	"bufio"
	"io"
	"strconv"
	"sync"
)

// credits bound the updates on their way: the harness tells on standard input how many have arrived.
type credits struct {
	mu       sync.Mutex
	changed  sync.Cond
	inflight int64
	batch    int64 // taken at once
	taken    int64
	limit    int64
	stopped  bool
}

func newCredits(inflight int64) *credits {
	c := &credits{inflight: inflight, batch: min(64, max(1, inflight/8)), limit: inflight}
	c.changed.L = &c.mu
	return c
}

func (c *credits) read(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			continue
		}
		c.mu.Lock()
		c.limit = n + c.inflight
		c.mu.Unlock()
		c.changed.Broadcast()
	}
}

// take waits for a batch of credits. It returns 0 when the run is over.
func (c *credits) take() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.taken+c.batch > c.limit && !c.stopped {
		c.changed.Wait()
	}
	if c.stopped {
		return 0
	}
	c.taken += c.batch
	return c.batch
}

func (c *credits) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.changed.Broadcast()
}
