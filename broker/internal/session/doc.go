// Package session keeps the sessions of clients: their life cycle, their subscriptions, what waits to be sent to them and what
// was sent. A transport brings requests and writes lines; this package knows neither HTTP nor WebSocket, and no clock but the
// standard one.
//
// # The way of an event
//
// An item hands an event to the queue of each subscription that has it (one per subscription and item). There it waits, and may
// still be merged with others or dropped, by the rules of the mode, until the connection can take it. The goroutine that runs
// the connection ([Binding.Run]) then turns what is ready into lines, numbers them, and keeps them in the history of the session,
// from which a recovery repeats them. So there are two stages: events that can change, and lines that cannot. What a line leaves out or
// gives as a difference refers to the line before, so it is decided when the line is made, and never again.
//
// # Memory
//
// Everything that a client can have kept is charged to a budget of the broker, of which each
// session has a part: subscriptions before they are made, by their items and fields; keys, waiting
// nodes, old values, lines and history as they come and go. Events are shared by sessions and
// counted once, as long as they wait while much waits; a snapshot is one node, however long. See
// memory.go.
//
// # Goroutines
//
// A bound session costs the goroutine in which its transport called Run; an unbound one costs a
// timer. Requests that ask the Metadata Adapter (subscriptions) run one after the other in a worker
// of the session that lives while there are any. Messages of all sessions of an Adapter Set are
// taken to the adapter by the workers of its courier, of which there are as many as messages at the
// adapter, within limits. [Manager.Close] joins them all.
//
// # What waits
//
// Nothing that a client does reaches an adapter faster than it answers, and what waits meanwhile is
// bounded in number and bytes, by session and in all ([Config]). Beyond it the sender waits:
// [Manager.Message] blocks, so that a WebSocket is not read, and creations stand in line, by
// address. Whoever that does not hold up is refused, with a code that costs the request only, or
// makes the client come again.
//
// # Locks
//
// Each session has one lock, the manager has one for its tables; they are never held together, nor
// while an adapter, a transport, the log or a source of items is called. An item's lock is held
// when it calls a session's queue, so the order is item, then session. The courier's lock comes
// after the session's.
package session
