package adapter

import (
	"context"
	"time"
)

// A MetadataProvider is a Metadata Adapter: it decides who may connect, what items and fields the names used by clients mean, and
// what is allowed to whom. Embed [DefaultMetadata] (or [LiteralMetadata]) and override what you need:
//
//	type Auth struct{ adapter.DefaultMetadata }
//
//	func (Auth) NotifyUser(ctx context.Context, u adapter.User) (adapter.UserGrant, error) {
//		if u.Password != "secret" {
//			return adapter.UserGrant{}, &adapter.AccessError{Message: "wrong password"}
//		}
//		return adapter.UserGrant{}, nil
//	}
//
// Each callback answers one request of the wire, named with it. Callbacks are called concurrently and may block;
// the server waits for an answer up to its own time-out (10 s by default). ctx ends with the connection. Strings
// and slices are the callee's to keep. An error of a type that the callback's comment names is reported as such, any other as a generic error; a
// panic is logged with its stack and counts as a generic error.
type MetadataProvider interface {
	Initializer

	// NotifyUser checks a user who opens a session. Errors: [*AccessError], [*ResourceUnavailableError], [*CreditsError].
	// Wire: NUS; NUA if User.HasPrincipal.
	NotifyUser(ctx context.Context, u User) (UserGrant, error)
	// NotifyNewSession tells of a new session of a user whom NotifyUser has admitted, before any other request about the session.
	// Errors: [*NotificationError], [*CreditsError], [*ConflictingSessionError]. Wire: NNS.
	NotifyNewSession(ctx context.Context, s Session) (SessionGrant, error)
	// NotifySessionClose tells that a session has ended. Requests about it may still be at work. Errors: [*NotificationError]. Wire: NSC.
	NotifySessionClose(ctx context.Context, sessionID string) error

	// Items resolves an item group into the names of its items. Errors: [*ItemsError]. Wire: GIS.
	Items(ctx context.Context, r ItemsRequest) ([]string, error)
	// Schema resolves a field schema into the names of its fields. Errors: [*ItemsError], [*SchemaError]. Wire: GSC.
	Schema(ctx context.Context, r SchemaRequest) ([]string, error)
	// ItemData tells what holds for an item whoever subscribes to it. Wire: GIT, which asks for several items: it is called for each in turn.
	ItemData(ctx context.Context, item string) (ItemData, error)
	// UserItemData tells what holds for a user and an item. Wire: GUI, which asks for several items: it is called for each in turn.
	UserItemData(ctx context.Context, user string, item string) (UserItemData, error)

	// NotifyUserMessage delivers a message sent by a client. Errors: [*CreditsError] (Code and UserMessage reach the client), [*NotificationError].
	// Wire: NUM.
	NotifyUserMessage(ctx context.Context, m UserMessage) error

	// NotifyNewTables tells of a subscription that is about to start, if the user's grant asked for it. Errors: [*CreditsError],
	// [*NotificationError]. Wire: NNT.
	NotifyNewTables(ctx context.Context, t NewTables) (TablesGrant, error)
	// NotifyTablesClose tells that subscriptions have ended. Errors: [*NotificationError]. Wire: NTC.
	NotifyTablesClose(ctx context.Context, t TablesClose) error

	// NotifyMPNDeviceAccess asks whether a user may use push notifications on a device. Errors: [*CreditsError],
	// [*NotificationError]. Wire: MDA.
	NotifyMPNDeviceAccess(ctx context.Context, r MPNDeviceAccess) error
	// NotifyMPNSubscriptionActivation asks whether a push notification subscription may be activated. Errors: [*CreditsError],
	// [*NotificationError]. Wire: MSA.
	NotifyMPNSubscriptionActivation(ctx context.Context, r MPNSubscriptionActivation) error
	// NotifyMPNDeviceTokenChange asks whether a device's token may change. Errors: [*CreditsError], [*NotificationError]. Wire: MDC.
	NotifyMPNDeviceTokenChange(ctx context.Context, r MPNDeviceTokenChange) error

	// New callbacks of the protocol can be added without breaking implementations, since every one embeds DefaultMetadata.
	mustEmbedDefaultMetadata()
}

// A MessageResponder is a [MetadataProvider] whose answer to a message may hold a text for the client that sent it. It is looked for once, when
// the adapter starts; RespondToUserMessage is then called in place of NotifyUserMessage, under the same rules and with the same errors.
//
// Only a broker that runs the adapter in its own process (broker.Config.Adapters) can pass the response on, to clients of TLCP 2.5.0. The
// adapter wire has no room for it: a [MetadataServer] calls RespondToUserMessage and drops the response.
type MessageResponder interface {
	// RespondToUserMessage delivers a message sent by a client, and returns what the client is told, any text. Wire: NUM.
	RespondToUserMessage(ctx context.Context, m UserMessage) (response string, err error)
}

// User is who opens a session.
type User struct {
	// Name is empty also if the client gave none; Anonymous then is true.
	Name      string
	Anonymous bool
	// Password is as the client gave it, empty if it gave none. It is masked when the User is
	// printed, logged or marshalled.
	Password Password
	// HasPrincipal is true when the client came through a port that acquires the principal of the client's TLS certificate;
	// Principal is then that principal, empty if the client presented none.
	HasPrincipal bool
	Principal    string
	// Headers are the headers of the client's HTTP request, names in lower case, values of repeated headers joined with ",". One more entry,
	// REQUEST_ID, identifies the request and comes again in Session.Context. Values of
	// authorization, cookie and other secrets are masked when they are printed, logged or
	// marshalled.
	Headers Params
}

// UserGrant is what an admitted user gets.
type UserGrant struct {
	// MaxBandwidth limits each session of the user, in kbit/s. 0: no limit.
	MaxBandwidth float64
	// WantsTables makes the server call NotifyNewTables and NotifyTablesClose for the user.
	WantsTables bool
}

// Session is a new session.
type Session struct {
	User      string
	Anonymous bool
	ID        string
	// Context describes the client: REMOTE_IP, REMOTE_PORT, USER_AGENT, FORWARDING_INFO, LOCAL_SERVER, CLIENT_TYPE, CLIENT_VERSION and
	// REQUEST_ID. Entries that are null on the wire are left out.
	Context Params
}

// SessionGrant is what a new session gets.
type SessionGrant struct {
	// TimeToLive is the longest life of the session, rounded up to whole seconds. 0 or less: no limit.
	TimeToLive time.Duration
}

// ItemsRequest asks for the items of a group.
type ItemsRequest struct {
	User      string
	SessionID string
	Group     string
}

// SchemaRequest asks for the fields of a schema.
type SchemaRequest struct {
	User      string
	SessionID string
	Group     string
	Schema    string
}

// Mode is a subscription mode.
type Mode byte

// The modes.
const (
	Raw      Mode = 'R'
	Merge    Mode = 'M'
	Distinct Mode = 'D'
	Command  Mode = 'C'
)

// String returns the mode's name in Lightstreamer's words, "MERGE" for instance.
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
	return "Mode(" + string(rune(m)) + ")"
}

// Modes is a set of modes. The zero value is the empty set, which allows nothing.
type Modes uint8

const (
	rawBit Modes = 1 << iota
	mergeBit
	distinctBit
	commandBit
	// AllModes is the set of the four modes.
	AllModes = rawBit | mergeBit | distinctBit | commandBit
)

// ModesOf returns the set of the given modes. Unknown ones are ignored.
func ModesOf(modes ...Mode) Modes {
	var s Modes
	for _, m := range modes {
		s |= modeBit(m)
	}
	return s
}

// Has tells whether m is in the set.
func (s Modes) Has(m Mode) bool { return s&modeBit(m) != 0 }

func modeBit(m Mode) Modes {
	switch m {
	case Raw:
		return rawBit
	case Merge:
		return mergeBit
	case Distinct:
		return distinctBit
	case Command:
		return commandBit
	}
	return 0
}

// ItemData is what holds for an item whoever subscribes to it.
type ItemData struct {
	// Modes are the modes in which the item may be subscribed to: what modeMayBeAllowed answers in the official interface.
	Modes Modes
	// DistinctSnapshotLength is the number of events kept for the snapshot in DISTINCT mode.
	DistinctSnapshotLength int
	// MinSourceFrequency is the least frequency of the item's updates worth delivering, per second. 0: no limit.
	MinSourceFrequency float64
}

// UserItemData is what holds for a user and an item.
type UserItemData struct {
	// Modes are the modes allowed to the user: what isModeAllowed answers in the official interface.
	Modes Modes
	// BufferSize limits the events waiting for the client. 0: no limit.
	BufferSize int
	// MaxItemFrequency limits the updates per second. 0: no limit.
	MaxItemFrequency float64
}

// UserMessage is a message sent by a client.
type UserMessage struct {
	User      string
	SessionID string
	Message   string
}

// TableInfo describes a subscription of a client.
type TableInfo struct {
	// WinIndex is the client's number of the subscription, unique within the session.
	WinIndex int
	Mode     Mode
	Group    string
	Schema   string
	// DataAdapter is the name of the Data Adapter; empty under ARI 1.8, which does not tell.
	DataAdapter string
	// Min and Max are the first and last item of the group, from 1.
	Min, Max int
	// Selector is empty if the client gave none.
	Selector string
	// Items are the names of the items from Min to Max; nil under ARI 1.8, which does not tell.
	Items []string
	// Statistics has one entry for each item in NotifyTablesClose, if TablesGrant.FinalStatistics asked for it; else nil.
	Statistics []TableStatistics
}

// TableStatistics counts the updates of one item of a table.
type TableStatistics struct {
	RealTime int64 // sent to the client, snapshot aside
	Lost     int64
	Filtered int64
}

// NewTables tells of subscriptions about to start.
type NewTables struct {
	User      string
	SessionID string
	// Tables has one element with all current clients.
	Tables []TableInfo
}

// TablesGrant is the answer to NotifyNewTables.
type TablesGrant struct {
	// Unsubscribable allows [Control.ForceUnsubscription] on the table. ARI 1.9.0 on; only with exactly one table.
	Unsubscribable bool
	// FinalStatistics asks for TableInfo.Statistics in NotifyTablesClose. ARI 1.9.0 on.
	FinalStatistics bool
}

// TablesClose tells of subscriptions that have ended.
type TablesClose struct {
	SessionID string
	Tables    []TableInfo
}

// MPNPlatform is a push notification service.
type MPNPlatform byte

// The platforms.
const (
	Apple  MPNPlatform = 'A' // APNs
	Google MPNPlatform = 'G' // FCM
)

// MPNDeviceInfo describes a device that gets push notifications.
type MPNDeviceInfo struct {
	Platform      MPNPlatform // 0: not told
	ApplicationID string
	DeviceToken   string
}

// MPNDeviceAccess is the argument of NotifyMPNDeviceAccess.
type MPNDeviceAccess struct {
	User      string
	SessionID string
	Device    MPNDeviceInfo
}

// MPNSubscriptionInfo describes a push notification subscription.
type MPNSubscriptionInfo struct {
	Device MPNDeviceInfo
	// Trigger is a boolean expression over the fields; empty if there is none.
	Trigger string
	// NotificationFormat is JSON text.
	NotificationFormat string
}

// MPNSubscriptionActivation is the argument of NotifyMPNSubscriptionActivation.
type MPNSubscriptionActivation struct {
	User         string
	SessionID    string
	Table        TableInfo // without Selector and Statistics
	Subscription MPNSubscriptionInfo
}

// MPNDeviceTokenChange is the argument of NotifyMPNDeviceTokenChange.
type MPNDeviceTokenChange struct {
	User      string
	SessionID string
	Device    MPNDeviceInfo
	NewToken  string
}
