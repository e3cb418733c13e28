package adapter

import (
	"sync/atomic"
	"time"
)

// Stats is a snapshot of a server's counters, since it was made and over all its connections.
type Stats struct {
	// Connected tells whether there is a connection; Initialised, whether the provider has been initialised on it, so that requests are served.
	Connected   bool
	Initialised bool
	// Connections counts the connections made, Failures those lost and the attempts that failed.
	Connections int64
	Failures    int64
	// Items is the number of items subscribed now (Data Adapters).
	Items int64
	// Requests counts the proxy's requests, Refused those answered with an error, ProtocolErrors the lines that made no sense.
	Requests       int64
	Refused        int64
	ProtocolErrors int64
	// Callbacks is the number of callbacks at work now.
	Callbacks int64
	// LostUnsent counts the updates that a sending method had accepted and that were not written
	// when the connection ended. MaybeLost counts those that had been written and that the proxy's
	// host had not acknowledged: ARI has no acknowledgement of its own, so it may have got them.
	// Counted in blocks, it can be some too many. What the host had acknowledged and the proxy had
	// not read when it ended nobody can count. Linux only; 0 on other systems.
	LostUnsent int64
	MaybeLost  int64
	// Updates counts the updates written, Dropped the events that came after the end of their subscription or snapshot, Conflated the updates merged
	// into others, Waits the calls that had to wait for room.
	Updates   int64
	Dropped   int64
	Conflated int64
	Waits     int64
	// BytesWritten counts the bytes written to the proxy, BytesRead those read.
	BytesWritten int64
	BytesRead    int64
}

// stats are the counters behind Stats; one for each server, shared by its connections.
type stats struct {
	connected, initialised                        atomic.Bool
	connections, failures                         atomic.Int64
	items, requests, refused, protocolErrors      atomic.Int64
	callbacks, updates, dropped, conflated, waits atomic.Int64
	turns                                         atomic.Pointer[turns] // of the last connection: their callbacks are not among callbacks
	bytesWritten, bytesRead                       atomic.Int64
	lostUnsent, maybeLost                         atomic.Int64
}

func (s *stats) flushed(updates, n int) {
	s.updates.Add(int64(updates))
	s.bytesWritten.Add(int64(n))
}

func (s *stats) snapshot() Stats {
	return Stats{
		Connected: s.connected.Load(), Initialised: s.initialised.Load(),
		Connections: s.connections.Load(), Failures: s.failures.Load(), Items: s.items.Load(),
		Requests: s.requests.Load(), Refused: s.refused.Load(), ProtocolErrors: s.protocolErrors.Load(), Callbacks: s.callbacks.Load() + s.turns.Load().running(),
		Updates: s.updates.Load(), Dropped: s.dropped.Load(), Conflated: s.conflated.Load(), Waits: s.waits.Load(),
		BytesWritten: s.bytesWritten.Load(), BytesRead: s.bytesRead.Load(), LostUnsent: s.lostUnsent.Load(), MaybeLost: s.maybeLost.Load(),
	}
}

// Events are hooks for metrics, traces and tests: any of them can be nil. They are called from the server's own goroutines and from those that send, several at
// once. They must not block and must not call back into the server. Per update nothing is called, only for each write.
type Events struct {
	// Connected: a connection has been made; nothing has been exchanged yet.
	Connected func(ConnInfo)
	// Initialised: the provider has been initialised and requests are served from now on.
	Initialised func(ConnInfo)
	// Disconnected: the connection has ended, nil for a stop, or could not be made. The error is a
	// [*CloseError] if the proxy gave a reason, Occupied if another adapter is connected to it, and
	// is [ErrTurnedAway] if it closed without a word.
	Disconnected func(ConnInfo, error)
	// Request: a request has been answered.
	Request func(RequestInfo)
	// Flushed: a write has returned.
	Flushed func(FlushInfo)
	// Waiting: a sending method begins, or stops, to wait since more than MaxPending bytes are waiting to be written. It is called on the goroutine of the
	// method's caller.
	Waiting func(WaitInfo)
	// ProtocolError: the proxy sent a line that made no sense.
	ProtocolError func(error)
}

// ConnInfo tells of a connection.
type ConnInfo struct {
	// Server is the Name of the server, or its address.
	Server string
	// Proxy is the address of the other end, empty if it was not reached.
	Proxy string
	// Protocol is the version of ARI agreed; empty before the initialisation.
	Protocol string
	// LostUnsent and MaybeLost are the updates lost with the connection, see [Stats]; set for
	// Disconnected only.
	LostUnsent, MaybeLost int64
}

// RequestInfo tells of a request that has been answered.
type RequestInfo struct {
	// Method is the code on the wire: SUB, USB, NUS, GIS and so on.
	Method string
	// Duration is from the arrival to the reply.
	Duration time.Duration
	// Err is the error that the reply tells of; nil for a success.
	Err error
}

// FlushInfo tells of a write.
type FlushInfo struct{ Updates, Bytes int }

// WaitInfo tells of a sending method that waits.
type WaitInfo struct {
	Item  string // empty when the wait ends
	Began bool
}

// JoinEvents returns Events that call those of each argument, in order. nil arguments are passed over.
func JoinEvents(all ...*Events) *Events {
	joined := new(Events)
	for _, e := range all {
		if e == nil {
			continue
		}
		joined.Connected = join(joined.Connected, e.Connected)
		joined.Initialised = join(joined.Initialised, e.Initialised)
		joined.Request = join(joined.Request, e.Request)
		joined.Flushed = join(joined.Flushed, e.Flushed)
		joined.Waiting = join(joined.Waiting, e.Waiting)
		joined.ProtocolError = join(joined.ProtocolError, e.ProtocolError)
		if first, second := joined.Disconnected, e.Disconnected; first == nil {
			joined.Disconnected = second
		} else if second != nil {
			joined.Disconnected = func(c ConnInfo, err error) {
				first(c, err)
				second(c, err)
			}
		}
	}
	return joined
}

func join[T any](first, second func(T)) func(T) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(v T) {
		first(v)
		second(v)
	}
}
