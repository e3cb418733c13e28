// Package vanish finds TCP connections whose other host has vanished: it does not acknowledge what
// is sent, and does not say good-bye either. A host that is well, and whose process reads nothing
// for a while, is not among them.
package vanish

import (
	"net"
	"time"
)

// Watch blocks until the other host of a connection has acknowledged nothing of what it owes for
// limit, which must be positive, and returns true; or until done is closed, the connection has
// ended, or the system turns out to tell nothing, and returns false.
func Watch(tcp *net.TCPConn, limit time.Duration, done <-chan struct{}) bool {
	w := watch{limit: limit}
	tick := time.NewTicker(max(min(limit/4, time.Second), 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-done:
			return false
		case <-tick.C:
		}
		before := time.Now()
		a, ok := acknowledged(tcp)
		if !ok {
			return false
		}
		if w.look(before, time.Now(), a) {
			return true
		}
	}
}

// acks is what a system knows of the other host's acknowledgements.
type acks struct {
	missing bool          // data has been sent, sent again, and is not acknowledged
	silence time.Duration // since anything was acknowledged
}

// watch finds connections whose other host has vanished. It compares what the system tells at two
// moments: if data was unacknowledged at the first and nothing at all has been acknowledged since,
// that has been so all the time, even if this process was stopped in between.
//
// The system's own time-out (TCP_USER_TIMEOUT) does not tell a host that has vanished from one that
// is well, and whose process does not read for a while: measured on Linux 6.18, with 5 s, a reader
// that had stopped lost its connection after 5.5 s, although its host acknowledged each probe of
// the closed window.
type watch struct {
	limit time.Duration
	since time.Time // of the first look at which acknowledgements were missing; zero: none are
}

// look takes what the system told between two moments, and reports whether the other host is to be
// given up.
func (w *watch) look(before, after time.Time, a acks) bool {
	switch {
	case !a.missing:
		w.since = time.Time{}
	case w.since.IsZero() || a.silence < after.Sub(w.since):
		w.since = before
	}
	return a.missing && before.Sub(w.since) >= w.limit
}
