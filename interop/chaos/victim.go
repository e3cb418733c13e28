//go:build linux

package main

import (
	"strconv"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/interop/internal/ledger"
)

// victim is a client whose losses are counted, of whichever library: what it has received of the
// item of each mode, and what became of its sessions.
type victim struct {
	ledgers map[ledger.Mode]*ledger.Ledger
	latency *ledger.Latency // shared by the clients of a process

	mu       sync.Mutex
	sessions int64
	ended    int64
	why      map[string]int64
}

func newVictim(latency *ledger.Latency) *victim {
	v := &victim{ledgers: make(map[ledger.Mode]*ledger.Ledger), latency: latency, why: make(map[string]int64)}
	for _, mode := range ledger.Modes {
		v.ledgers[mode] = ledger.New(mode)
	}
	return v
}

// begun notes a new session.
func (v *victim) begun() {
	v.mu.Lock()
	v.sessions++
	v.mu.Unlock()
	for _, l := range v.ledgers {
		l.Session()
	}
}

// finished notes that a session has ended, or could not begin, which was not our wish.
func (v *victim) finished(hadBegun bool, why string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if hadBegun {
		v.ended++
	}
	v.why[why]++
}

// update notes an update, given as the texts of its fields.
func (v *victim) update(mode ledger.Mode, value func(field string) string, snapshot bool) {
	number := func(field string) int64 {
		n, _ := strconv.ParseInt(value(field), 10, 64) // what is no number counts as null, and as torn
		return n
	}
	u := ledger.Update{
		Number: ledger.Number{Life: number("life"), N: number("n")}, Snapshot: snapshot, Stamp: number("stamp"),
	}
	if mode == ledger.Command {
		u.Key, u.Command = value("key"), value("command")
	}
	u.Torn = u.Command != "DELETE" && number("half") != u.N/2
	v.ledgers[mode].Update(u)
	if u.Stamp != 0 && !snapshot {
		v.latency.Add(time.Duration(time.Now().UnixMicro()-u.Stamp) * time.Microsecond)
	}
}

// each reports whether a condition holds in all modes.
func (v *victim) each(holds func(ledger.Mode, *ledger.Ledger) bool) bool {
	for mode, l := range v.ledgers {
		if !holds(mode, l) {
			return false
		}
	}
	return true
}

// answerFor answers an order about victims. ok is false if it is none of those that are known here.
func answerFor(victims []*victim, latency *ledger.Latency, o order) (a clientsAnswer, ok bool) {
	var good func(ledger.Mode, *ledger.Ledger) bool
	switch o.Do {
	case "fresh":
		good = func(_ ledger.Mode, l *ledger.Ledger) bool { return l.Fresh(o.Since) }
	case "reached":
		good = func(mode ledger.Mode, l *ledger.Ledger) bool { return l.Reached(o.Finals[mode], o.Rows) }
	case "reset":
		latency.Reset()
	case "report":
	default:
		return a, false
	}
	a = clientsAnswer{Clients: len(victims), Why: make(map[string]int64), Latency: latency.Summary()}
	if o.Do == "report" {
		a.Counts = make(map[ledger.Mode]*ledger.Count)
	}
	for _, v := range victims {
		if good != nil && v.each(good) {
			a.Good++
		}
		v.addTo(&a, o)
	}
	return a, true
}

func (v *victim) addTo(a *clientsAnswer, o order) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a.Sessions += v.sessions
	a.Ended += v.ended
	for why, n := range v.why {
		a.Why[why] += n
	}
	if a.Counts == nil {
		return
	}
	for mode, l := range v.ledgers {
		if a.Counts[mode] == nil {
			a.Counts[mode] = new(ledger.Count)
		}
		a.Counts[mode].Add(l.Count(o.Finals[mode], o.Rows))
	}
}
