// Package proxy is the Proxy Adapter side of the ARI protocol: it stands in the broker for an adapter that runs in another
// process. [StartMetadata] gives a provider.Metadata, [StartData] a provider.Data.
//
// # Life of a proxy
//
// A proxy listens for its remote, or dials it. A proxy that dials has one connection at a time,
// served by the link's own goroutine. A proxy that listens has an acceptor, and a goroutine for
// each connection, which reads it to its end; every connection has a writer besides. Where remotes
// have a second connection for their notifications, there are an acceptor and readers for these,
// too. A metadata proxy has one goroutine that serves the remote's requests.
//
// A basic proxy ends with its remote: Done is closed, Err tells why, and its owner is expected to
// stop the server. A robust one goes on: a data proxy keeps its subscriptions and subscribes them
// again with the next remote, a metadata proxy fails requests and keeps the notifications that must
// not get lost. A remote is one that has answered init. Whoever fails before is none, and ends
// neither kind of proxy.
//
// # Opening
//
// The place of the remote belongs to the first connection whose init reply is good. Until then
// connections are opened side by side: TLS, RAC and init of one do not hold up another. They wait
// in a lobby, which has 16 places at each port, 8 for one address. Where there is none left, the
// oldest one that is silent goes, so silent peers hold up nobody.
//
// A peer has 10 s to identify itself: to send good credentials where they are checked, elsewhere
// RAC or a keepalive. One that has done so gets Config.Timeout for the init reply, since callbacks
// may be slow; one that has not gets the rest of the 10 s. A remote of ARI 1.8.0, which has no RAC,
// thus has to initialise in that time. Lines have at most 64 KiB before the init reply.
//
// When one has the place, the others are turned down: at once, and with CLOSE, if they have sent
// RAC, and if not after the 2 s that they have for it. A basic proxy closes its ports then. The
// place is free again when the remote has been told farewell and its side is detached; a next one
// that has answered init already waits for that.
//
// Peers that are turned down are counted in Stats, and logged ten at once, then one in 10 s with
// how many were left out. How the two connections of one remote find each other is said at
// notifier.
//
// # Requests
//
// Requests leave in lanes: SUB and USB; and of the metadata side those about users, about sessions,
// about tables, and messages, in this order. A request waits while its lane has a window full of
// unanswered ones, while the connection has Config.MaxPending, or while 256 KiB are unsent. Owners,
// which are the sessions, take turns, so that another's requests delay one's own by what is on its
// way already, and by one for each owner. Requests of one owner leave in their order; a SUB never
// leaves before the USB of the same item. Nothing fails for the number or size of what waits.
//
// What waits is bounded by who asks: a SUB by the items in use, a USB by those that were; a
// question has a caller that is blocked, whose context withdraws it; an NTC or NSC ends what the
// remote has allowed to begin.
//
// The time of SUB, USB, NTC and NSC begins with their sending, as nobody waits for the answer and
// leaving them out would leave the remote with a wrong picture. The time of the others begins with
// the call: whoever waits for the answer has waited all that time, and it fails alone.
//
// # Silence
//
// A process that was itself stopped (a pause of the machine, a laptop's lid) finds its deadlines
// past and the data of its peer unread. So the last part of a limit on silence is a second look at
// the socket, and timers that fire late give the reader 2 s before anything is failed. A TCP
// connection is given up when the peer's host has acknowledged nothing for 15 s: probes of an idle
// one and, on Linux, data on their way. One whose process reads nothing for as long is not. A
// robust data proxy tells the items that were in use with a lost remote, as updates that it has
// sent may not have arrived: provider.Sink.Lost.
//
// # Locks
//
// In this order: entry.gate (an item's sink is called under it), then Data.mu or Metadata.mu, then
// pending.mu, then writer.mu. conn.mu and link.mu are taken alone. None is held during I/O. The
// gate is the exception to the rule that no lock is held while foreign code runs: it is what makes
// Unsubscribe wait for the event being delivered. Sinks do not block and do not call back.
package proxy
