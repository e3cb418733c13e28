package session

import (
	"log/slog"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Config is what a Manager needs. Sets is required; a zero in any other field means the default its comment gives.
type Config struct {
	// Sets finds an Adapter Set by its id, and returns nil if there is none. It is called for each new session, from any
	// goroutine and with a lock held, so that it must not call back, and must return the same pointer as long as it means the same adapters.
	Sets func(id string) *provider.Set
	// ServerName is told to clients in SERVNAME if the transport names no listening port. Default "Lightstreamer HTTP Server".
	ServerName string
	// ControlLink is the address for later requests, told in CONOK. Default "*": the one the client has.
	ControlLink string
	// RequestLimit is the largest request in bytes, told in CONOK; the transport enforces it. Default 50000.
	RequestLimit int

	// Keepalive is granted to clients that ask for none; requests are brought between MinKeepalive and MaxKeepalive. Defaults
	// 5 s, 1 s, 30 s.
	Keepalive, MinKeepalive, MaxKeepalive time.Duration
	// MaxIdle and MaxPolling cap what a polling client may ask for. Defaults 30 s, 15 s.
	MaxIdle, MaxPolling time.Duration
	// SyncInterval is the period of SYNC lines. Default 20 s.
	SyncInterval time.Duration
	// RebindTimeout is how long a session lives after LOOP (besides the polling interval), and the tolerance of the inactivity
	// check. Default 10 s.
	RebindTimeout time.Duration
	// RecoveryTimeout is how long a session lives after its connection was lost. Default 20 s.
	RecoveryTimeout time.Duration
	// ContentLength is the length of an HTTP streaming response if the client asks for none, and MinContentLength the least it
	// can ask for. Defaults 4000000, 1000.
	ContentLength, MinContentLength int64

	// MaxSessions is how many sessions there may be. Of 100 or more, the last fifth is for clients
	// from addresses that have less than a tenth. Default 10000.
	MaxSessions int
	// MaxAddressSessions is how many sessions may come from an IPv4 address, or the /64 of an IPv6
	// address. Loopback addresses are not concerned. Default 1000, negative: no limit.
	MaxAddressSessions int
	// SessionRate is how many sessions may be created per second from such an address, after ten
	// times as many at once. Default 100, negative: no limit.
	SessionRate int
	// LoopbackSessions is MaxAddressSessions for each loopback address, to which SessionRate
	// applies then, too. Zero means no limit of its own.
	LoopbackSessions int
	// MaxUserSessions is how many sessions a user may have whom the Metadata Adapter has accepted;
	// those without a user are not counted. Zero means no limit.
	MaxUserSessions int
	// MaxCreations is how many sessions the Metadata Adapter of a set is asked for at a time, and
	// half of it for one address; others wait. Default 64.
	MaxCreations int
	// MaxSubscriptions is how many subscriptions a session may have. Default 2000.
	MaxSubscriptions int
	// MaxRequests is how many subscription requests of a session may wait for the Metadata Adapter. Default 2000.
	MaxRequests int
	// MaxRequestBytes is about how many bytes these may have. Default 4 MiB.
	MaxRequestBytes int64
	// MaxMessages is how many messages of a session may wait for their processing, and how many
	// lines besides updates may wait to be sent. Default 1000.
	MaxMessages int
	// MaxMessageBytes is about how many bytes these messages, and these lines, may have. Default 1
	// MiB.
	MaxMessageBytes int64
	// MaxMessageCalls is how many messages of a session the Metadata Adapter may have at a time; of
	// a sequence it has one. Default 8.
	MaxMessageCalls int
	// MaxWaiting is about how many bytes messages and requests may have that wait in all sessions.
	// A session in which nothing waits may always have a small one. Default 64 MiB, at least 16
	// times RequestLimit.
	MaxWaiting int64
	// MaxSequences is how many message sequences a session may use. Default 1000.
	MaxSequences int
	// MaxMessageWait caps the wait for missing messages of a sequence, and is the wait if the client names none. Default 30 s.
	MaxMessageWait time.Duration

	// MaxItems is how many items the subscriptions of a session may have in all, and MaxFields how
	// many fields each. Defaults 10000, 1000.
	MaxItems, MaxFields int
	// Memory pays for what sessions and items keep. Default 1 GiB. The manager's items take from
	// it, too.
	Memory *budget.Budget
	// SessionMemory is how many bytes the subscriptions and requests of a session may take, and as
	// much again the keys of its COMMAND items; what waits to be sent has a bound of its own.
	// Default 16 MiB.
	SessionMemory int

	// MaxBuffer caps the events that wait per item in filtered MERGE and DISTINCT subscriptions, and the events kept of a DISTINCT
	// item for its snapshot. Default 1000.
	MaxBuffer int
	// MaxUnfiltered caps the events that wait per item where none may be lost in silence: RAW, and unfiltered subscriptions of the
	// other modes. Beyond it the oldest are dropped, and the client is told how many. Default 10000.
	MaxUnfiltered int
	// MaxQueueBytes is about how much text may wait in the queues of a session, snapshots aside. Beyond it each queue that gets an
	// event behaves as if it was full. Default 4 MiB.
	MaxQueueBytes int
	// MinPatchLength is how many characters a value must have, before and after a change, for a JSON Patch to be sent instead of it.
	// Zero means 50, negative that there is no such limit.
	MinPatchLength int
	// HistoryBytes and HistoryTime bound the lines kept for a recovery. Defaults 256 KiB, 1 min.
	HistoryBytes int
	HistoryTime  time.Duration

	// Linger is how long an item stays subscribed with the Data Adapter after its last subscriber left. Zero means 5 s, negative
	// not at all.
	Linger time.Duration
	// CloseCode is the code of END for the sessions there are when the Manager is closed. Default 48, which makes clients open a
	// new session: they come back when the server does. With 32 they stay away.
	CloseCode int

	// Audit, if not nil, gets who has come from where, was refused why, and was ended by whom. It
	// is called from any goroutine, without locks, and must not block.
	Audit func(Audit)
	// Logger gets what happens to sessions. Nil discards it.
	Logger *slog.Logger
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func (c Config) withDefaults() Config {
	if c.ServerName == "" {
		c.ServerName = "Lightstreamer HTTP Server"
	}
	if c.ControlLink == "" {
		c.ControlLink = "*"
	}
	def(&c.RequestLimit, 50000)
	def(&c.Keepalive, 5*time.Second)
	def(&c.MinKeepalive, time.Second)
	def(&c.MaxKeepalive, 30*time.Second)
	def(&c.MaxIdle, 30*time.Second)
	def(&c.MaxPolling, 15*time.Second)
	def(&c.SyncInterval, 20*time.Second)
	def(&c.RebindTimeout, 10*time.Second)
	def(&c.RecoveryTimeout, 20*time.Second)
	def(&c.ContentLength, 4_000_000)
	def(&c.MinContentLength, 1000)
	def(&c.MaxSessions, 10_000)
	if c.MaxAddressSessions == 0 {
		c.MaxAddressSessions = 1000
	}
	if c.SessionRate == 0 {
		c.SessionRate = 100
	}
	def(&c.MaxCreations, 64)
	def(&c.MaxRequestBytes, 4<<20)
	def(&c.MaxMessageBytes, 1<<20)
	def(&c.MaxMessageCalls, 8)
	def(&c.MaxWaiting, 64<<20)
	c.MaxWaiting = max(c.MaxWaiting, 16*int64(c.RequestLimit))
	def(&c.MaxSubscriptions, 2000)
	def(&c.MaxRequests, 2000)
	def(&c.MaxMessages, 1000)
	def(&c.MaxSequences, 1000)
	def(&c.MaxMessageWait, 30*time.Second)
	def(&c.MaxItems, 10_000)
	def(&c.MaxFields, 1000)
	def(&c.SessionMemory, 16<<20)
	if c.Memory == nil {
		c.Memory = budget.New(1 << 30)
	}
	def(&c.MaxBuffer, 1000)
	def(&c.MaxUnfiltered, 10_000)
	def(&c.MaxQueueBytes, 4<<20)
	if c.MinPatchLength == 0 {
		c.MinPatchLength = 50
	}
	c.MinPatchLength = max(c.MinPatchLength, 0)
	def(&c.HistoryBytes, 256<<10)
	def(&c.HistoryTime, time.Minute)
	def(&c.CloseCode, tlcp.CodeMaxDuration)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
