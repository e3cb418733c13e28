package broker

import (
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
)

// Stats is what a broker has, and has done since it was started.
type Stats struct {
	Sessions      int // there are
	Connections   int // stream connections with a session bound to them
	Subscriptions int // there are
	Items         int // subscribed with the Data Adapters
	QueueBytes    int // about how much waits to be sent to clients
	HistoryBytes  int // kept for recoveries

	Created  int64 // sessions
	Refused  int64 // sessions, by the Metadata Adapter or for want of room
	Lines    int64 // data notifications written to clients, updates among them
	Sent     int64 // updates written to clients, snapshots included
	Filtered int64 // updates merged into others or dropped, as their subscriptions allow
	Lost     int64 // updates dropped for want of room, and their clients told how many
	Messages int64 // of clients, accepted

	// Adapters are those behind proxies, by sets in the order of their start; not the built-in Metadata Adapter.
	Adapters []AdapterStats
}

// AdapterStats is what the broker knows of an adapter.
type AdapterStats struct {
	Set         string // id of the Adapter Set
	DataAdapter string // its name; empty for the Metadata Adapter
	InProcess   bool

	Connected     bool
	Since         time.Time // it was initialised; zero if it is not connected
	Connections   int64     // since the start
	Requests      int64     // sent to it
	TimedOut      int64     // requests it did not answer in time
	Notifications int64     // got from it: updates, and the other events of items

	Waiting       int64  // requests that wait to be sent, until others are answered
	Probes        int64  // peers at its port that were no adapter: silence, wrong credentials, a failed initialization
	SecondRemotes int64  // adapters turned down because one was connected
	MaybeLost     int64  // items whose clients were told that updates may be missing, once for each lost connection
	LastRefusal   string // why an adapter could not be initialized, the last time; empty: that has not happened
}

// Stats counts. It takes the lock of each session in turn, for a short time.
func (r *Running) Stats() Stats {
	s := r.sessions.Stats()
	return Stats{
		Sessions: s.Sessions, Connections: s.Bindings, Subscriptions: s.Subscriptions, Items: s.Items,
		QueueBytes: s.QueueBytes, HistoryBytes: s.HistoryBytes, Created: s.Created, Refused: s.Refused,
		Lines: s.Lines, Sent: s.Sent, Filtered: s.Filtered, Lost: s.Lost, Messages: s.Messages,
		Adapters: r.adapters.stats(),
	}
}

func (a *adapters) stats() []AdapterStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []AdapterStats
	for _, s := range a.services {
		for _, side := range s.sides {
			one := AdapterStats{Set: s.set.ID, DataAdapter: side.at.DataAdapter, InProcess: side.inProcess}
			var counted proxy.Stats
			if side.remote != nil {
				counted, one.Since = side.remote.Stats(), side.remote.Connected()
			}
			one.Connected = !one.Since.IsZero()
			one.Connections, one.Notifications = counted.Connections, counted.Notifications
			one.Requests, one.TimedOut = counted.Requests, counted.TimedOut
			one.Waiting, one.Probes, one.SecondRemotes = counted.Waiting, counted.Probes, counted.Seconds
			one.MaybeLost, one.LastRefusal = counted.MaybeLost, counted.LastRefusal
			if r := s.responder; r != nil && one.DataAdapter == "" {
				one.Requests += r.requests.Load()
				one.TimedOut += r.timeouts.Load()
			}
			all = append(all, one)
		}
	}
	return all
}
