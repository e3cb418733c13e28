package proxy

import "sync/atomic"

// Stats counts what a proxy has seen.
type Stats struct {
	Connections   int64 // peers that were not turned down
	Refused       int64 // peers turned down: another was there, or they were not in the whitelist
	TLSRefused    int64 // handshakes that failed
	Requests      int64 // sent
	TimedOut      int64 // requests without an answer in time
	LateReplies   int64 // replies nobody waited for, any more or at all
	Malformed     int64 // lines that could not be used, LateReplies included
	Notifications int64 // data: passed on to items
	Ignored       int64 // data: of subscriptions that have ended, failed or never were
	Forgotten     int64 // metadata: notifications of closed tables and sessions given up for want of room
}

type counters struct {
	connections, refused, tlsRefused, requests, timedOut, lateReplies, malformed, notifications, ignored, forgotten atomic.Int64
}

func (c *counters) read() Stats {
	return Stats{
		Connections: c.connections.Load(), Refused: c.refused.Load(), TLSRefused: c.tlsRefused.Load(), Requests: c.requests.Load(), TimedOut: c.timedOut.Load(),
		LateReplies: c.lateReplies.Load(), Malformed: c.malformed.Load(), Notifications: c.notifications.Load(),
		Ignored: c.ignored.Load(), Forgotten: c.forgotten.Load(),
	}
}
