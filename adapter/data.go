package adapter

import "context"

// A DataProvider is a Data Adapter: it is asked for items and feeds them through the [Subscription] it gets.
//
// It may also implement [Initializer], [SnapshotAnswerer] and [Unsubscriber]; Run looks for them once, at start.
type DataProvider interface {
	// Subscribe is called when the server wants an item, once until the item's subscription has ended. Calls for
	// one item never overlap; those for different items do. It may block, but the
	// server waits for its return (10 s by default) before it regards the subscription as refused.
	//
	// From the call on, and after it has returned, events go through sub, from any goroutine; sub.Context ends when the item is no
	// longer wanted. If Subscribe sends no snapshot event and does not call [Subscription.SnapshotFollows], the item has no
	// snapshot, and the end of the (empty) snapshot is declared when Subscribe returns.
	//
	// An error refuses the subscription and ends sub: a [*FailureError] says that the whole adapter is broken, anything else
	// concerns the item only. A panic is logged with its stack and counts as an error. ctx ends with the connection.
	//
	// Wire: SUB and its reply; the return of sub.Context is USB.
	Subscribe(ctx context.Context, sub *Subscription) error
}

// DataProviderFunc makes a [DataProvider] of a function.
type DataProviderFunc func(ctx context.Context, sub *Subscription) error

// Subscribe calls f.
func (f DataProviderFunc) Subscribe(ctx context.Context, sub *Subscription) error { return f(ctx, sub) }

// An Initializer is told of each new connection before anything else is asked. A [DataProvider] may implement it; every
// [MetadataProvider] does.
type Initializer interface {
	// Initialize is called alone, before any other callback of the connection; with reconnections it is called again for
	// each. An error refuses the initialisation and ends Run: a [*DataProviderError] or [*MetadataProviderError] with its
	// message, anything else as a generic error. Wire: DPI, MPI and their replies.
	Initialize(ctx context.Context, in Init) error
}

// Init is what Initialize gets.
type Init struct {
	// Params are the parameters sent by the proxy, adapters_conf.id and (data) data_provider.name among them, overlaid with
	// those of the server's Params field. The map is the callee's to keep.
	Params Params
	// ConfigFile is the ConfigFile field of the server struct, as it is.
	ConfigFile string
	// Protocol is the version of ARI agreed with the proxy, "1.9.1" for instance.
	Protocol string
	// Control lets a Metadata Adapter act on sessions, and an adapter of either kind declare its failure. It is bound to the
	// connection.
	Control *Control
}

// A SnapshotAnswerer says beforehand whether an item has a snapshot, as isSnapshotAvailable does in the official interface.
// Providers ported from other languages find it convenient; others need not implement it.
type SnapshotAnswerer interface {
	// SnapshotAvailable is called right before Subscribe, on the same goroutine. False: the end of the (empty) snapshot is
	// declared before Subscribe is called, and snapshot events are refused. True: the snapshot is open until
	// [Subscription.EndOfSnapshot] or the first live event. An error refuses the subscription; Subscribe is not called.
	SnapshotAvailable(ctx context.Context, item string) (bool, error)
}

// An Unsubscriber is told of the end of a subscription by a call, besides by the end of its context.
type Unsubscriber interface {
	// Unsubscribe is called when the server has unsubscribed from an item whose Subscribe had succeeded, after sub has ended, in the item's queue:
	// never together with Subscribe for the same item. It is not called for subscriptions that end with the connection; their
	// context ends with [ErrDisconnected]. An error is reported to the server, which only logs it. Wire: USB and its reply.
	Unsubscribe(ctx context.Context, sub *Subscription) error
}
