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
	// PendingBytes is about how much messages and control requests of clients have that wait, and
	// lines besides updates; see Limits.PendingBytes.
	PendingBytes int64

	Memory      int64 // bytes accounted for, of sessions and items
	MemoryLimit int64 // see [Limits]

	Created  int64 // sessions
	Refused  int64 // sessions, by the Metadata Adapter or for want of room
	Lines    int64 // data notifications written to clients, updates among them
	Sent     int64 // updates written to clients, snapshots included
	Filtered int64 // updates merged into others or dropped, as their subscriptions allow
	Lost     int64 // updates dropped for want of room, and their clients told how many
	Shed     int64 // subscriptions ended for want of memory, and their clients told
	Messages int64 // of clients, accepted

	// Front is about connections and requests of clients, before they come to a session.
	Front FrontStats

	// Adapters are those behind proxies, by sets in the order of their start; not the built-in Metadata Adapter.
	Adapters []AdapterStats

	// AuditDropped counts the events that Config.Audit did not get, as it was too slow or as there
	// were too many refusals.
	AuditDropped int64
	// TLSRefused counts the TLS handshakes of clients that failed.
	TLSRefused int64
	// Certificates are those of Config.TLSFiles and of the ports of adapters, now in use.
	Certificates []CertificateStats
}

// FrontStats is what there is and was of connections and requests of clients, before they come to a
// session. All but Open count since the start.
type FrontStats struct {
	Open int64 // connections that are open

	RefusedByAddress     int64 // connections beyond [Limits.AddressConnections]
	RefusedByRate        int64 // connections beyond [Limits.AddressRate]
	RefusedByLimit       int64 // connections beyond [Limits.Connections], or requests on those kept for monitoring
	RefusedByDescriptors int64 // connections for which too few file descriptors were left
	AcceptFailures       int64 // failures of the system to accept a connection

	RequestTimeouts   int64 // requests that did not arrive within [Config.ReadTimeout]
	WriteTimeouts     int64 // writes that were not read within [Config.WriteTimeout]
	RequestsByMemory  int64 // requests and messages beyond [Limits.RequestMemory]
	RequestsByAddress int64 // requests through trusted proxies beyond [Limits.AddressConnections]
	RequestsByBody    int64 // requests and messages beyond [Limits.Request]
	RequestsGivenUp   int64 // requests for a stream that their clients had given up before they were served
	Origins           int64 // requests of pages that may not use the broker, see [Config.AllowedOrigins]
	Hosts             int64 // requests for other hosts, see [Config.AllowedHosts]
	Sockets           int64 // WebSockets cut for what was sent on them, or not read
}

// AdapterStats is what the broker knows of an adapter.
type AdapterStats struct {
	Set         string // id of the Adapter Set
	DataAdapter string // its name; empty for the Metadata Adapter
	InProcess   bool

	Connected     bool
	Since         time.Time // it was initialised; zero if it is not connected
	Connections   int64     // since the start
	TLSRefused    int64     // handshakes that failed
	Requests      int64     // sent to it
	TimedOut      int64     // requests it did not answer in time
	Notifications int64     // got from it: updates, and the other events of items

	Waiting       int64  // requests that wait to be sent, until others are answered
	Probes        int64  // peers at its port that were no adapter: silence, wrong credentials, a failed initialization
	SecondRemotes int64  // adapters turned down because one was connected
	MaybeLost     int64  // items whose clients were told that updates may be missing, once for each lost connection
	LastRefusal   string // why an adapter could not be initialized, the last time; empty: that has not happened
}

// Stats counts. It reads a few figures of each session; nothing waits for it.
func (r *Running) Stats() Stats {
	s := r.sessions.Stats()
	return Stats{
		Sessions: s.Sessions, Connections: s.Bindings, Subscriptions: s.Subscriptions, Items: s.Items,
		QueueBytes: s.QueueBytes, HistoryBytes: s.HistoryBytes, PendingBytes: s.WaitingBytes, Created: s.Created, Refused: s.Refused,
		Lines: s.Lines, Sent: s.Sent, Filtered: s.Filtered, Lost: s.Lost, Messages: s.Messages, Shed: s.Shed,
		Memory: s.Memory, MemoryLimit: s.MemoryLimit,
		Front: r.counters.stats(), Adapters: r.adapters.stats(), TLSRefused: r.tlsRefused.Load(), AuditDropped: r.audit.lost(),
		Certificates: r.adapters.certs.stats(),
	}
}

// AdapterStats is [Stats].Adapters alone. It takes no longer if there are more sessions, so that it
// may be asked often.
func (r *Running) AdapterStats() []AdapterStats { return r.adapters.stats() }

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
			one.TLSRefused = counted.TLSRefused
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
