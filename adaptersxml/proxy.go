package adaptersxml

import (
	"fmt"
	"regexp"
	"time"
)

// Proxy holds the parameters of a Proxy Adapter, basic or robust, with defaults filled in. Fields of the other side or of
// the other kind have their zero value unless said otherwise.
type Proxy struct {
	Name string // label for logs: the set's id, or <set id>.<data adapter name>

	// Connection.

	RequestReplyPort int           // request_reply_port: to listen on, or to dial with RemoteHost
	NotifyPort       int           // notify_port (data): second port, for remotes of ARI 1.9.0 and before; 0: one connection for all
	RemoteHost       string        // remote_host: the proxy dials; empty: it listens
	ConnectionRetry  time.Duration // connection_retry_millis: pause after a failed dial
	Interface        string        // interface: local address to listen on; empty: all
	Whitelist        []string      // remote_address_whitelist: names or addresses that may connect; nil: anyone
	Timeout          time.Duration // timeout of each request; negative: none. Never 0
	KeepaliveTimeout time.Duration // keepalive_timeout_millis: longest silence of the remote; negative: no limit. Never 0
	KeepaliveHint    time.Duration // keepalive_hint_millis, or what follows from KeepaliveTimeout; negative: ask for nothing. Never 0
	TLS              *TLS          // nil: plain TCP
	Auth             bool          // auth: check the remote's credentials
	Credentials      []Credential  // accepted ones, at least one if Auth

	RemoteParamsPrefix string  // remote_params_prefix
	RemoteParams       []Param // the parameters of that prefix, under their full names, for the init request

	// Robust, both sides.

	FirstConnectionTimeout    time.Duration // first_connection_timeout_millis: how long the start waits; negative: for ever; 0: not at all
	ConnectionRecoveryTimeout time.Duration // connection_recovery_timeout_millis: pause after a failed attempt; negative: never again

	// Metadata.

	CloseNotificationsRecovery  CloseNotificationsRecovery // robust
	NotifyUserOnDisconnection   NotifyUserOnDisconnection  // robust
	NotifyUserDisconnectionCode int                        // robust; with SendCode: 0 or negative
	NotifyUserDisconnectionMsg  string                     // robust; empty: the proxy's own text
	ClearOnNewRemote            bool                       // robust
	ClearOnSessionClose         bool
	UserDataTimeout             time.Duration

	// Data.

	EventsRecovery EventsRecovery // robust
	StatusItem     string         // robust; empty: none
}

// Format implements fmt.Formatter. A pointer inside of a struct is followed by the verbs that do
// not fit it, and then fmt asks none of the methods that keep secrets from being shown: so each
// type that is pointed to and has secrets is a Formatter itself.
func (p Proxy) Format(s fmt.State, _ rune) {
	type plain Proxy
	_, _ = fmt.Fprintf(s, "%+v", plain(p))
}

// Format implements fmt.Formatter, as that of [Proxy] does.
func (t TLS) Format(s fmt.State, _ rune) {
	type plain TLS
	_, _ = fmt.Fprintf(s, "%+v", plain(t))
}

// Format implements fmt.Formatter, as that of [Proxy] does.
func (t Store) Format(s fmt.State, _ rune) {
	type plain Store
	_, _ = fmt.Fprintf(s, "%+v", plain(t))
}

// Credential is a user that a remote may present.
type Credential struct {
	User     string
	Password Secret
}

// CloseNotificationsRecovery says which NSC and NTC a new remote gets.
type CloseNotificationsRecovery string

// The values of close_notifications_recovery.
const (
	Pessimistic CloseNotificationsRecovery = "pessimistic" // all since the first that may not have been handled
	Optimistic  CloseNotificationsRecovery = "optimistic"  // only those after the last one answered
	Unneeded    CloseNotificationsRecovery = "unneeded"    // none
)

// NotifyUserOnDisconnection says what a new session gets while there is no remote.
type NotifyUserOnDisconnection string

// The values of notify_user_on_disconnection.
const (
	FailUser   NotifyUserOnDisconnection = "fail"        // an unexpected error
	ForceRetry NotifyUserOnDisconnection = "force_retry" // the request to retry
	SendCode   NotifyUserOnDisconnection = "send_code"   // a credits refusal with notify_user_disconnection_code
)

// EventsRecovery says how live items are picked up by a new remote.
type EventsRecovery string

// The values of events_recovery.
const (
	LeaveHole       EventsRecovery = "leave_hole"       // live updates resume
	UseSnapshot     EventsRecovery = "use_snapshot"     // the new snapshot is passed on as it is
	EnforceSnapshot EventsRecovery = "enforce_snapshot" // clear-snapshot at the loss, then the snapshot as live updates
)

// TLS holds the tls.* parameters of a proxy.
type TLS struct {
	Keystore   *Store // certificate and key; nil only with remote_host, or for PKCS11 without a file
	Truststore *Store // certificates accepted as issuers of the peer's; nil: the system's (dialing), none (listening)

	ForceClientAuth   bool // demand a certificate of the remote; false with remote_host
	SkipHostnameCheck bool // with remote_host: do not compare the certificate with the host name

	AllowCipherSuites  []string         // the only suites allowed; by number of the suffix with PreferenceOrder config
	RemoveCipherSuites []*regexp.Regexp // suites whose name matches anywhere are taken out
	AllowProtocols     []string         // the only protocol versions allowed, by Java's names (TLSv1.2)
	RemoveProtocols    []*regexp.Regexp

	// EnforceServerPreference and PreferenceOrder ("JVM" or "config") choose whose order of suites counts. Go's TLS does
	// not let its user choose.
	EnforceServerPreference bool
	PreferenceOrder         string
}

// Store is a keystore or truststore.
type Store struct {
	Type         string // JKS, PKCS12, PKCS11 or PEM
	File         string // as written; see Set.Path. Empty: PKCS11
	Password     Secret // with password type text
	PasswordFile string // as written, with password type file: the file that holds the password
}

// LiteralSettings are the parameters of com.lightstreamer.adapters.metadata.LiteralBasedProvider. A group or schema is the
// list of names, separated by spaces.
type LiteralSettings struct {
	AllowedUsers           []string // nil: all; others get an access error. Names are not trimmed
	MaxBandwidth           float64  // kbit/s for each user; 0: unlimited
	MaxFrequency           float64  // updates/s for each item; 0: unlimited
	BufferSize             int      // for each item; 0: unlimited
	PrefilterFrequency     float64  // updates/s of an item before they are spread to clients; 0: unlimited
	DistinctSnapshotLength int      // 10 if absent
	// Families in rising order of N; the first whose pattern matches counts. With none every item has every mode; else an
	// item in none of them has no mode.
	Families []ItemFamily
}

// ItemFamily restricts the items whose whole name matches.
type ItemFamily struct {
	N           int            // suffix of item_family_<n>, positive
	Pattern     *regexp.Regexp // matches whole names
	Modes       []string       // RAW, MERGE, DISTINCT, COMMAND
	DataAdapter string         // empty: any
}
