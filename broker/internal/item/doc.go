// Package item keeps the items of a Data Adapter while somebody wants them: it subscribes each item once, turns the
// events of the source into the events of the subscription modes, holds what a late subscriber needs as a snapshot,
// and hands every event to all subscribers.
//
// It knows nothing of sessions: a subscriber is a [Receiver], which only queues.
//
// # Locks
//
// A Source has one lock for its table of items; each Item has one for its state. Neither is held while the Data Adapter
// is called. The lock of an item is held while its receivers are called, so that all of them see the same order: a
// receiver may take locks of its own, but must not block and must not call back into this package.
package item
