package proxy

import "sync/atomic"

// Stats counts what a proxy has seen.
type Stats struct {
	Connections   int64 // remotes that were initialised
	Refused       int64 // peers turned down, Probes and Seconds included
	Probes        int64 // peers that did not come to a good init reply
	Seconds       int64 // remotes turned down because there was one already
	TLSRefused    int64 // handshakes that failed
	Requests      int64 // sent, or waiting to be
	Waiting       int64 // requests that wait to be sent, at present
	TimedOut      int64 // requests without an answer in time
	LateReplies   int64 // replies nobody waited for, any more or at all
	Malformed     int64 // lines that could not be used, LateReplies included
	Notifications int64 // data: passed on to items
	Ignored       int64 // data: of subscriptions that have ended, failed or never were
	MaybeLost     int64 // data: items told that updates may be missing, once for each loss of a remote
	Forgotten     int64 // metadata: notifications of closed tables and sessions given up for want of room

	LastRefusal string // why the last remote that was not initialised was not; empty: there was none
}

type counters struct {
	connections, refused, probes, seconds, tlsRefused, requests, waiting, timedOut atomic.Int64
	lateReplies, malformed, notifications, ignored, maybeLost, forgotten           atomic.Int64
}

func (c *counters) read() Stats {
	return Stats{
		Connections: c.connections.Load(), Refused: c.refused.Load(), Probes: c.probes.Load(), Seconds: c.seconds.Load(),
		TLSRefused: c.tlsRefused.Load(),
		Requests:   c.requests.Load(), Waiting: c.waiting.Load(), TimedOut: c.timedOut.Load(), LateReplies: c.lateReplies.Load(),
		Malformed: c.malformed.Load(), Notifications: c.notifications.Load(), Ignored: c.ignored.Load(),
		MaybeLost: c.maybeLost.Load(), Forgotten: c.forgotten.Load(),
	}
}
