package adapter

import (
	"errors"
	"fmt"
)

// States a call can meet. They are wrapped with the item or the peer concerned; test for them with [errors.Is].
var (
	// ErrSubscriptionEnded is returned by the methods of a [Subscription] that has ended. The event was dropped and counted
	// in [Stats]; there is nothing to repair, the goroutine that feeds the item should stop.
	ErrSubscriptionEnded = errors.New("the subscription has ended")
	// ErrSnapshotEnded is returned for a snapshot event after the end of the item's snapshot. The event was dropped.
	ErrSnapshotEnded = errors.New("the snapshot of the item has ended")
	// ErrUnsubscribed is the cause of a [Subscription] context that ended because the server lost interest in the item.
	ErrUnsubscribed = errors.New("unsubscribed by the server")
	// ErrDisconnected is the cause of a context that ended with the connection to the proxy.
	ErrDisconnected = errors.New("connection to the proxy lost")
	// ErrStopped is the cause of a context that ended because Run was told to stop.
	ErrStopped = errors.New("adapter server stopped")
	// ErrRunning is returned by Run while another call of it is at work.
	ErrRunning = errors.New("the server runs already")
	// ErrTurnedAway tells, along with ErrDisconnected, that the proxy closed a connection before it
	// had asked for anything. Most often another process is connected to it: a proxy has one remote
	// adapter.
	ErrTurnedAway = errors.New("turned away: is another adapter connected to this proxy, or is it the port of something else?")
	// ErrTooManyItems refuses a subscription because the items subscribed have reached
	// MaxItemBytes.
	ErrTooManyItems = errors.New("too many items")
	// ErrLineTooLong tells that the proxy sent a line over the limit of MaxLine.
	ErrLineTooLong = errors.New("line too long")
)

// A SubscribeError refuses a subscription. Returned by [DataProvider.Subscribe]; any other error of Subscribe has the same
// effect, but for a [FailureError]. On the wire: subtype U, in replies to SUB and USB.
type SubscribeError struct{ Message string }

func (e *SubscribeError) Error() string { return e.Message }

// A FailureError says that the whole Data Adapter can no longer work: the server detaches it (robust proxies) or stops
// (basic proxies). Returned by [DataProvider.Subscribe]. On the wire: subtype F, in replies to SUB and USB.
type FailureError struct{ Message string }

func (e *FailureError) Error() string { return e.Message }

// A DataProviderError refuses the initialisation of a Data Adapter. Returned by Initialize. On the wire: subtype D, in
// replies to DPI.
type DataProviderError struct{ Message string }

func (e *DataProviderError) Error() string { return e.Message }

// A MetadataProviderError refuses the initialisation of a Metadata Adapter. Returned by Initialize. On the wire: subtype M,
// in replies to MPI.
type MetadataProviderError struct{ Message string }

func (e *MetadataProviderError) Error() string { return e.Message }

// An AccessError refuses a user: the client sees "user or password refused". Returned by NotifyUser. On the wire: subtype A,
// in replies to NUS and NUA.
type AccessError struct{ Message string }

func (e *AccessError) Error() string { return e.Message }

// A ResourceUnavailableError says that the user can't be checked for want of resources; the client will retry. Returned by
// NotifyUser. On the wire: subtype R, in replies to NUS and NUA; subtype A before ARI 1.9.0.
type ResourceUnavailableError struct{ Message string }

func (e *ResourceUnavailableError) Error() string { return e.Message }

// A CreditsError says that the operation is not allowed to the user. Code and UserMessage reach the client, Message only
// the server's log. Returned by NotifyUser, NotifyNewSession, NotifyUserMessage, NotifyNewTables and the MPN callbacks.
// On the wire: subtype C.
type CreditsError struct {
	Message string
	// Code is told to the client: negative, or 0 for unspecified. Positive codes belong to the server: they are sent as 0.
	Code int
	// UserMessage is told to the client. Empty: the client gets an empty text.
	UserMessage string
}

func (e *CreditsError) Error() string { return e.Message }

// A ConflictingSessionError refuses a new session because of another one of the same user, which the server may then close
// before it asks again. Code and UserMessage reach the client if that does not help. Returned by NotifyNewSession; from any
// other callback it counts as a [CreditsError]. On the wire: subtype X, in replies to NNS.
type ConflictingSessionError struct {
	Message     string
	Code        int
	UserMessage string
	// SessionID is the other session.
	SessionID string
}

func (e *ConflictingSessionError) Error() string { return e.Message }

// An ItemsError says that an item group is wrong. Returned by Items and Schema. On the wire: subtype I, in replies to GIS
// and GSC.
type ItemsError struct{ Message string }

func (e *ItemsError) Error() string { return e.Message }

// A SchemaError says that a field schema is wrong. Returned by Schema. On the wire: subtype S, in replies to GSC.
type SchemaError struct{ Message string }

func (e *SchemaError) Error() string { return e.Message }

// A NotificationError says that a notification makes no sense in the adapter's present state. Returned by the Notify
// callbacks other than NotifyUser. On the wire: subtype N.
type NotificationError struct{ Message string }

func (e *NotificationError) Error() string { return e.Message }

// A CloseError tells that the proxy closed the connection of its own will. On the wire: CLOSE.
type CloseError struct {
	// Reason is the proxy's text, possibly empty.
	Reason string
	// BeforeInit is true when the proxy had not asked for the initialisation yet: most often user and password, or the
	// remote's address, were refused.
	BeforeInit bool
	// Occupied is true, along with BeforeInit, when the reason is that another remote adapter is
	// connected to the proxy. The server goes on to connect, in case the other one leaves, but more
	// and more seldom; see [Backoff].
	Occupied bool
}

func (e *CloseError) Error() string {
	if e.Occupied {
		return fmt.Sprintf("the proxy refused the connection since another adapter is connected to it; run one process for each adapter: %q", e.Reason)
	}
	if e.BeforeInit {
		return fmt.Sprintf("the proxy refused the connection (check user and password): %q", e.Reason)
	}
	return fmt.Sprintf("the proxy closed the connection: %q", e.Reason)
}

// An InitError tells that the initialisation failed: the provider's Initialize returned an error, or the proxy's version of
// the protocol is not supported. The proxy has been told; the server does not reconnect after it.
type InitError struct{ Err error }

func (e *InitError) Error() string { return "initialisation failed: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *InitError) Unwrap() error { return e.Err }

// A RemoteError is the server's refusal of a request made through [Control].
type RemoteError struct{ Message string }

func (e *RemoteError) Error() string { return "refused by the server: " + e.Message }
