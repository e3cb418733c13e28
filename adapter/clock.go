package adapter

import (
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// clock is what a writer knows of the time. Looking at the real clock costs as much as encoding half an update, so it is done once for several updates that
// wait together: they leave together too.
type clock struct {
	at     time.Time
	millis int64
	stamp  []byte // what an update line begins with
	used   int    // since the last look
	budget int    // writes in place left in this millisecond
}

const (
	// lookEvery is how many updates at most share one look.
	lookEvery = 16
	// writesInPlace is how many updates a millisecond may be written by those who send them, if nothing else is going on. Waking a goroutine takes longer
	// than a write; but when there is much to send, writing many updates at once costs far less.
	writesInPlace = 16
)

// look brings the stamp up to date; with exact false it may be some updates old.
func (c *clock) look(exact bool) {
	if c.used++; !exact && c.used < lookEvery && c.millis != 0 {
		return
	}
	c.used = 0
	c.at = time.Now()
	if ms := c.at.UnixMilli(); ms != c.millis {
		c.millis = ms
		c.stamp = ari.AppendUpdateTime(c.stamp[:0], ms)
		c.budget = writesInPlace
	}
}
