// Package provider holds what the broker's kernel and an adapter say to each other: the vocabulary shared by the rooms
// that ask (item, session) and the rooms that answer (proxy, and Go adapters plugged in directly). It has no behaviour.
//
// The calls are those of the official in-process adapter interfaces, grouped the way the wire groups them: one call here
// is one request of the ARI protocol.
package provider

import (
	"context"
	"time"
)

// Text is a string that can be null, as every string of the protocol can. The zero value is the empty string.
type Text struct {
	S    string
	Null bool
}

// T returns s as a Text that is not null.
func T(s string) Text { return Text{S: s} }

// Null is the null text.
var Null = Text{Null: true}

// Mode is a subscription mode.
type Mode uint8

// The four modes. The zero Mode is none of them.
const (
	Raw Mode = iota + 1
	Merge
	Distinct
	Command
)

// String returns the name used on the client wire: RAW, MERGE, DISTINCT, COMMAND.
func (m Mode) String() string {
	switch m {
	case Raw:
		return "RAW"
	case Merge:
		return "MERGE"
	case Distinct:
		return "DISTINCT"
	case Command:
		return "COMMAND"
	}
	return "NONE"
}

// Modes is a set of modes.
type Modes uint8

// AllModes holds the four modes.
const AllModes = Modes(1<<Raw | 1<<Merge | 1<<Distinct | 1<<Command)

// Has says whether the set holds m.
func (s Modes) Has(m Mode) bool { return s&(1<<m) != 0 }

// With returns the set with m added.
func (s Modes) With(m Mode) Modes { return s | 1<<m }

// Field is one field of an update. A field left out of an update is unchanged.
type Field struct {
	Name  string
	Value Text
}

// Update is one event of an item. Receivers keep Fields: the sender hands it over and does not touch it again.
type Update struct {
	Snapshot bool
	Fields   []Field
}

// DiffAlgorithm is a way to send the change of a field's value instead of the value.
type DiffAlgorithm byte

// The two algorithms, by their letter on the adapter wire.
const (
	JSONPatch      DiffAlgorithm = 'J'
	DiffMatchPatch DiffAlgorithm = 'M'
)

// FieldDiff is what an adapter declares for one field: the algorithms allowed, in order of preference; none if empty.
type FieldDiff struct {
	Field      string
	Algorithms []DiffAlgorithm
}

// Sink receives the events of one subscribed item. The data adapter calls it from one goroutine at a time, in the order
// of the events, from Subscribe on (before it has returned, too) until Unsubscribe returns. Calls do not block on clients.
type Sink interface {
	Update(Update)
	EndOfSnapshot()
	ClearSnapshot()
	DeclareFieldDiffOrder([]FieldDiff)
	// Lost tells that updates may be missing between those before and those after it, as the
	// adapter's connection has broken. How many is not known. cleared says that ClearSnapshot
	// follows.
	Lost(cleared bool)
}

// Data is a Data Adapter as the kernel sees it.
type Data interface {
	// Subscribe asks for an item. It only submits the request: the outcome is logged by the
	// adapter's side, since clients are not told of it. The kernel alternates Subscribe and
	// Unsubscribe for each item. Owner is on whose behalf: where requests have to wait, owners take
	// turns.
	Subscribe(item, owner string, sink Sink)
	// Share tells that another owner wants an item that is subscribed, so that it comes in the
	// turns of both. Of an item that is not subscribed it is without effect.
	Share(item, owner string)
	// Unsubscribe ends the interest. After it has returned the sink is not called again.
	Unsubscribe(item string)
}

// User identifies who asks.
type User struct {
	Name      Text
	Password  Text
	Principal *Text             // of the client's TLS certificate, on ports that acquire it; nil elsewhere
	Headers   map[string]string // of the client's HTTP request, names in lower case, plus REQUEST_ID
}

// UserGrant is the answer to NotifyUser.
type UserGrant struct {
	MaxBandwidth float64 // kbit/s; 0 or less: unlimited
	WantsTables  bool    // NotifyNewTables and NotifyTablesClose are to be called for this user
}

// SessionContext is what is known of a new session's client, under the names of the adapter interface (REMOTE_IP,
// REMOTE_PORT, USER_AGENT, FORWARDING_INFO, LOCAL_SERVER, CLIENT_TYPE, CLIENT_VERSION, REQUEST_ID), in that order.
type SessionContext []Field

// ItemData is what holds for an item whoever subscribes to it.
type ItemData struct {
	DistinctSnapshotLength int
	MinSourceFrequency     float64
	Modes                  Modes
}

// UserItemData is what holds for an item and a user. Zero means unlimited.
type UserItemData struct {
	BufferSize   int
	MaxFrequency float64
	Modes        Modes
}

// Table describes a subscription of a client.
type Table struct {
	WinIndex    int // the client's number of the subscription
	Mode        Mode
	Group       string
	DataAdapter string
	Schema      string
	Min, Max    int // first and last item, from 1
	Selector    Text
	Items       []string
	Stats       []TableStats // in NotifyTablesClose, if TablesGrant asked; one for each item
}

// TableStats counts the updates of one item of a table.
type TableStats struct{ Real, Lost, Filtered int64 }

// TablesGrant is the answer to NotifyNewTables.
type TablesGrant struct {
	Unsubscribable bool // Control.ForceUnsubscription may be used on the table
	FinalStats     bool // NotifyTablesClose is to carry statistics
}

// Metadata is a Metadata Adapter as the kernel sees it. Methods with a context block until the adapter has answered, and are
// called from any number of goroutines; an error is an *Error where the adapter refused, anything else is a failure to ask.
type Metadata interface {
	NotifyUser(ctx context.Context, u User) (UserGrant, error)
	NotifyNewSession(ctx context.Context, user Text, session string, info SessionContext) (timeToLive time.Duration, err error)
	Items(ctx context.Context, user Text, group, session string) ([]string, error)
	Schema(ctx context.Context, user Text, group, schema, session string) ([]string, error)
	ItemData(ctx context.Context, items []string) ([]ItemData, error)
	UserItemData(ctx context.Context, user Text, items []string) ([]UserItemData, error)
	NotifyNewTables(ctx context.Context, user Text, session string, tables []Table) (TablesGrant, error)
	// NotifyMessage returns the response for the client; ARI has none, adapters in the same process may.
	NotifyMessage(ctx context.Context, user Text, session, message string) (response string, err error)

	// NotifyTablesClose and NotifySessionClose only submit, in order; failures are logged by the adapter's side.
	NotifyTablesClose(session string, tables []Table)
	NotifySessionClose(session string)
}

// Control is what a Metadata Adapter may ask of the kernel.
type Control interface {
	// ForceSessionTermination ends a session, with a cause (0 or negative code) or without (nil). Unknown sessions are no error.
	ForceSessionTermination(session string, cause *Cause) error
	// ForceUnsubscription ends a table; false: it was not declared unsubscribable.
	ForceUnsubscription(session string, winIndex int) (bool, error)
}

// Cause is told to the client whose session is terminated.
type Cause struct {
	Code    int // 0 or negative
	Message Text
}

// ErrorKind tells why an adapter refused.
type ErrorKind uint8

// The kinds of refusal, by their names in the adapter interface.
const (
	Generic            ErrorKind = iota // anything unforeseen
	Access                              // wrong user or password
	Resource                            // no resources to check the user now; the client should retry
	Credits                             // not allowed to this user: Code and ClientMessage go to the client
	ConflictingSession                  // as Credits, because of the session named in Session
	Items                               // bad item group
	Schema                              // bad field schema
	Notification                        // inconsistent notification
	Unavailable                         // no adapter is connected, or it did not answer in time
)

// Error is an adapter's refusal. Only Code and ClientMessage may reach the client.
type Error struct {
	Kind          ErrorKind
	Message       string
	Code          int
	ClientMessage Text
	Session       string
}

func (e *Error) Error() string { return "adapter: " + e.Message }

// Set is an Adapter Set: one Metadata Adapter and its Data Adapters by name.
type Set struct {
	ID       string
	Metadata Metadata
	Data     map[string]Data
}
