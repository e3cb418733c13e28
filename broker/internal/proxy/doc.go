// Package proxy is the Proxy Adapter side of the ARI protocol: it stands in the broker for an adapter that runs in another
// process. [StartMetadata] gives a provider.Metadata, [StartData] a provider.Data.
//
// # Life of a proxy
//
// A proxy listens for its remote, or dials it. It has one remote at a time; whoever connects meanwhile is turned down. Two
// goroutines belong to a connection: the link's own, which accepts or dials, then reads lines until the connection ends,
// and the connection's writer. A listening proxy has an acceptor besides, a metadata proxy one goroutine that serves the
// remote's requests. Where remotes have a second connection for their notifications, there is an acceptor and a reader for
// that, too.
//
// A basic proxy ends with its remote: Done is closed, Err tells why, and its owner is expected to stop the server. A robust
// one goes on: a data proxy keeps its subscriptions and subscribes them again with the next remote, a metadata proxy fails
// requests and keeps the notifications that must not get lost.
//
// # Locks
//
// In this order: entry.gate (an item's sink is called under it), then Data.mu or Metadata.mu, then pending.mu, then
// writer.mu. conn.mu and link.mu are taken alone. None is held during I/O. The gate is the exception to the rule that no lock is held while foreign code runs:
// it is what makes Unsubscribe wait for the event being delivered. Sinks do not block and do not call back.
package proxy
