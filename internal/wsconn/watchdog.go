package wsconn

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// watchdog closes a connection when a write takes too long. A context for each write would
// allocate, and a timer started and stopped for each costs more than the framing; so this one looks
// a few times in the time allowed whether it is still the same write, and sleeps while there are
// none. A look that comes late does not count: the process was stopped, or the machine asleep, and
// the network may have taken the write meanwhile.
type watchdog struct {
	raw    net.Conn
	period time.Duration
	timer  *time.Timer
	writes atomic.Uint64 // begun and ended: odd during a write
	awake  atomic.Bool   // the timer is running
	barked atomic.Bool

	mu    sync.Mutex // held by look
	due   time.Time  // of the next look; of the first after an idle time it is unknown, and zero
	seen  uint64     // what the last look has found
	looks int        // how many have found the same write
}

// looks is how often the watchdog looks within the time allowed: a write is cut at most one part of so many too late.
const looks = 4

func newWatchdog(raw net.Conn, allowed time.Duration) *watchdog {
	d := &watchdog{raw: raw, period: max(allowed/looks, 1)}
	d.timer = time.AfterFunc(time.Hour, d.look)
	d.timer.Stop()
	return d
}

// begin and end enclose a write. Writes take turns.
func (d *watchdog) begin() {
	d.writes.Add(1)
	if !d.awake.Load() {
		d.awake.Store(true)
		d.timer.Reset(d.period)
	}
}

func (d *watchdog) end() { d.writes.Add(1) }

// look runs on the timer's goroutine.
func (d *watchdog) look() { d.lookAt(time.Now()) }

func (d *watchdog) lookAt(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	late := !d.due.IsZero() && now.Sub(d.due) > d.period/4
	d.due = time.Time{}
	n := d.writes.Load()
	switch {
	case n != d.seen:
		d.seen, d.looks = n, 0
	case n%2 == 0:
		d.awake.Store(false)
		if d.writes.Load() == n || d.awake.Swap(true) {
			return // whoever writes next wakes it, or has done so
		}
	case late:
	default:
		if d.looks++; d.looks == looks {
			d.barked.Store(true)
			d.raw.Close()
			return
		}
	}
	d.due = now.Add(d.period)
	d.timer.Reset(d.period)
}
