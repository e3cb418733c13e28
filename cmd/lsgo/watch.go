package main

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker"
)

// lookEvery is how often files are looked at.
const lookEvery = 500 * time.Millisecond

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
