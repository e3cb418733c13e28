package main

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker"
)

// lookEvery is how often files are looked at. They are asked for their state (stat) rather than watched by the system's notifications: editors
// replace files instead of writing them, folders come and go, and mounts from networks and containers notify nobody. All of that looks the
// same to a question asked twice a second, which costs microseconds.
const lookEvery = 500 * time.Millisecond

// stamp is the state of some files, by their paths. Files that are not there are not in it.
type stamp map[string]os.FileInfo

func stampOf(paths ...string) stamp {
	s := make(stamp)
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			s[path] = info
		}
	}
	return s
}

// sameFile tells whether a path leads to the same file as before, and nobody has written to it.
func sameFile(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (s stamp) equal(o stamp) bool {
	if len(s) != len(o) {
		return false
	}
	for path, info := range s {
		if !sameFile(info, o[path]) {
			return false
		}
	}
	return true
}

// settled tells when files have changed and come to rest: who replaces a file may remove it first, and who writes one may take a while.
type settled struct {
	done stamp // what was dealt with
	seen stamp // what the last look found, if it is something else
}

// changed is called at each look. It is true once for each change, when two looks found the same.
func (w *settled) changed(now stamp) bool {
	switch {
	case now.equal(w.done):
		w.seen = nil
		return false
	case w.seen == nil || !now.equal(w.seen):
		w.seen = now
		return false
	}
	w.done, w.seen = now, nil
	return true
}

// adapterWatch finds which adapters have come and gone.
type adapterWatch struct {
	connected map[adapterKey]time.Time // since when
	tell      func(adapterEvent)
}

type adapterKey struct{ set, name string }

func (k adapterKey) compare(o adapterKey) int {
	return cmp.Or(cmp.Compare(k.set, o.set), cmp.Compare(k.name, o.name))
}

// look compares with the look before. An adapter that has come again in between has gone and come.
func (w *adapterWatch) look(stats []broker.AdapterStats, now time.Time) {
	found := make(map[adapterKey]time.Time)
	for _, a := range stats {
		if !a.InProcess && a.Connected {
			found[adapterKey{a.Set, a.DataAdapter}] = a.Since
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(w.connected), adapterKey.compare) {
		since := w.connected[key]
		if again, ok := found[key]; !ok || !again.Equal(since) {
			at := now
			if ok {
				at = again // it has gone before it came again
			}
			w.tell(adapterEvent{set: key.set, name: key.name, at: at, lasted: at.Sub(since)})
		}
	}
	for _, a := range stats { // in the order of the configuration
		key := adapterKey{a.Set, a.DataAdapter}
		since, ok := found[key]
		if was, before := w.connected[key]; ok && (!before || !was.Equal(since)) {
			w.tell(adapterEvent{set: key.set, name: key.name, connected: true, at: since})
		}
	}
	w.connected = found
}
