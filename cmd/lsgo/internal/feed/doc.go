// Package feed is where the demo's data comes from: a market of invented companies, a chat room and a portfolio. It knows
// nothing of Lightstreamer; package demo turns it into Remote Adapters.
//
// The three sources share one shape. Each holds its current state under a mutex and lets any number of watchers follow it
// through an iterator. A watcher always reads the newest state and compares it with what it has seen, so a slow one skips
// what is out of date and never delays the source or another watcher.
package feed

// bell wakes everybody who waits for a change. Its methods are called with the owner's mutex held.
type bell struct{ ch chan struct{} }

// wait returns a channel that is closed by the next ring.
func (b *bell) wait() <-chan struct{} {
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
