// Package ledger counts what one client has received of one item, so that afterwards it can be said
// what was lost, what of it the client was told about, and what came twice or in the wrong order.
//
// An update is known by a [Number]: the life of the adapter that sent it (each process of an
// adapter is one, counted from 1) and its place in that life, counted from 1 without a gap. A life
// whose process was killed has ended with a number that only the process knew; it is given to
// [Ledger.Count] afterwards.
package ledger

import (
	"maps"
	"slices"
	"sync"
)

// Mode says which rules hold for an item.
type Mode string

// The modes. In RAW and DISTINCT each update counts; in MERGE and COMMAND the state at the end
// does.
const (
	Raw      Mode = "RAW"
	Distinct Mode = "DISTINCT"
	Merge    Mode = "MERGE"
	Command  Mode = "COMMAND"
)

// Modes are all of them, in the order of reports.
var Modes = []Mode{Raw, Distinct, Command, Merge}

// every reports whether each update of the mode has to arrive.
func (m Mode) every() bool { return m == Raw || m == Distinct }

// Number identifies an update. The zero Number is none.
type Number struct {
	Life int64 `json:"life"`
	N    int64 `json:"n"`
}

// Update is what a client was given.
type Update struct {
	Number
	// Torn reports that fields which belong together did not fit together.
	Torn bool
	// Snapshot reports that it was declared as part of a snapshot.
	Snapshot bool
	// Stamp is when the adapter made it, in microseconds of Unix time; 0 in a repetition of a
	// state.
	Stamp int64
	// Key and Command are set in COMMAND mode. A DELETE has no Number.
	Key, Command string
}

// Finals are the last numbers of each life of the adapter.
type Finals map[int64]int64

// told says how a client came to know that updates may be missing.
type told uint8

const (
	untold told = iota
	byOverflow
	byClear
	bySession
)

// border is a gap between two lives.
type border struct {
	from, to Number // the last one received before, the first one after
	told     told
}

// gap is a hole in the numbers of one life.
type gap struct{ from, to int64 }

// keptGaps bounds the gaps that are remembered to tell a late update from a doubled one.
const keptGaps = 64

// Ledger is what one client knows of one item. Its methods may be called from any goroutine.
type Ledger struct {
	mode Mode

	mu      sync.Mutex
	last    Number
	newest  int64 // stamp
	told    told  // since the last update
	fresh   bool  // what comes may repeat what was known before: a session or a clear has come
	count   Count // what is known without Finals
	borders []border
	gaps    []gap             // of this life, since the last session or clear
	rows    map[string]Number // COMMAND
	torn    bool              // the last state is
}

// New returns a Ledger in which nothing has been received.
func New(mode Mode) *Ledger {
	return &Ledger{mode: mode, fresh: true, rows: make(map[string]Number)}
}

// Session notes that the client has a new session: what came before it may be followed by a gap.
func (l *Ledger) Session() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begin(bySession)
}

// Cleared notes a clear snapshot.
func (l *Ledger) Cleared() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.Clears++
	l.begin(byClear)
}

func (l *Ledger) begin(t told) {
	l.told = max(l.told, t)
	l.fresh = true
	l.gaps = l.gaps[:0]
	clear(l.rows)
}

// Lost notes that the server has told of n updates dropped.
func (l *Ledger) Lost(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.Overflows += n
	l.told = max(l.told, byOverflow)
}

// Update notes an update.
func (l *Ledger) Update(u Update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.Received++
	l.newest = max(l.newest, u.Stamp)
	if l.mode == Command && u.Command == "DELETE" {
		delete(l.rows, u.Key)
		l.torn = false
		return
	}
	if u.Number == (Number{}) {
		return // an item that begins without values
	}
	if l.torn = u.Torn; u.Torn {
		l.count.Torn++
	}
	switch {
	case l.mode.every():
		l.numbered(u)
	case l.mode == Command:
		if before(u.Number, l.rows[u.Key]) {
			l.count.Reordered++
		}
		l.rows[u.Key] = u.Number
	default:
		if before(u.Number, l.last) && !l.fresh {
			l.count.Reordered++
		}
		l.last, l.fresh = u.Number, false
	}
}

func before(a, b Number) bool { return a.Life < b.Life || a.Life == b.Life && a.N < b.N }

// numbered notes an update of which none may be missing. mu is held.
func (l *Ledger) numbered(u Update) {
	defer func() { l.fresh = l.fresh && u.Snapshot }() // a snapshot may have several events
	switch {
	case l.last == (Number{}):
		l.last, l.told = u.Number, untold
	case u.Life < l.last.Life:
		l.count.Reordered++
	case u.Life > l.last.Life:
		l.borders = append(l.borders, border{l.last, u.Number, l.told})
		l.gaps = l.gaps[:0]
		l.last, l.told = u.Number, untold
	case u.N > l.last.N:
		if missing := u.N - l.last.N - 1; missing > 0 {
			l.count.lose(missing, l.told)
			l.gaps = append(l.gaps, gap{l.last.N + 1, u.N - 1})
			if len(l.gaps) > keptGaps {
				l.gaps = slices.Delete(l.gaps, 0, 1)
			}
		}
		l.last, l.told = u.Number, untold
	case l.fresh: // repeated in a new session, or after a clear: only what follows it can be missing
		l.told = untold
	case slices.ContainsFunc(l.gaps, func(g gap) bool { return g.from <= u.N && u.N <= g.to }):
		l.count.Reordered++
	default:
		l.count.Doubled++
	}
}

// Fresh reports whether an update has come that was made at or after a time, in microseconds of
// Unix time.
func (l *Ledger) Fresh(since int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest >= since
}

// Reached reports whether nothing more is to come: the end is there, or the client was told that it
// may be missing.
func (l *Ledger) Reached(finals Finals, rows map[string]Number) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mode.every() && l.told != untold {
		return true
	}
	return l.atEnd(finals, rows)
}

// atEnd reports whether the state is that of the adapter. mu is held.
func (l *Ledger) atEnd(finals Finals, rows map[string]Number) bool {
	if l.mode == Command {
		return maps.Equal(l.rows, rows)
	}
	life := finals.life()
	return l.last == Number{life, finals[life]}
}

// life is the last one in which there was an update.
func (f Finals) life() (life int64) {
	for l, n := range f {
		if n > 0 {
			life = max(life, l)
		}
	}
	return life
}

// between is the number of updates between two that were received, in different lives.
func (f Finals) between(from, to Number) int64 {
	missing := max(0, f[from.Life]-from.N) + to.N - 1
	for life := from.Life + 1; life < to.Life; life++ {
		missing += f[life]
	}
	return missing
}
