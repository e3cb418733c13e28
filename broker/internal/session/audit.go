package session

import (
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
)

// AuditKind tells what an [Audit] reports.
type AuditKind uint8

// The kinds of events.
const (
	SessionCreated AuditKind = iota + 1
	SessionRefused           // a creation; Code and Text are those of the CONERR
	SessionEnded             // Code and Text are those of the END, whether or not the client got it
	MessageRefused           // by a limit of the broker; Code and Text are those of the REQERR
	SubscriptionRefused
)

// By is who has refused or ended something.
type By uint8

// The parties.
const (
	ByClient   By = iota + 1 // its request was wrong, or asked for the end
	ByAdapter                // the Metadata Adapter, which also sets the time to live
	ByLimit                  // a limit of the broker, see Audit.Limit
	ByExpiry                 // the client has gone
	ByServer                 // the broker stops, or the Adapter Set goes out of service
	ByReplaced               // another session of the same user has taken its place
)

var byTexts = [...]string{"", "client", "adapter", "limit", "expiry", "server", "replaced"}

// String is how By is written in logs.
func (b By) String() string { return byTexts[b] }

// Audit is an event for an audit log. It holds nothing that would authorise a request. Texts of
// clients are in it as they came, whatever their length.
type Audit struct {
	Kind    AuditKind
	Time    time.Time
	Session string // the beginning of the id, as in logs; empty if a creation was refused
	User    provider.Text
	// Principal is that of the client's TLS certificate; empty: none.
	Principal  string
	RemoteIP   string
	RemotePort int
	Forwarding string // the addresses that proxies have reported
	Set        string // id of the Adapter Set, as the client asked for it

	By    By
	Limit string // which limit, by its name in broker.Limits, if By is ByLimit
	Code  int
	Text  string
}

// audit reports an event. It is called without locks.
func (m *Manager) audit(a Audit) {
	if m.cfg.Audit != nil {
		a.Time = time.Now()
		m.cfg.Audit(a)
	}
}

// audit reports an event of the session. It is called without locks.
func (s *Session) audit(a Audit) {
	if s.m.cfg.Audit == nil {
		return
	}
	a.Session, a.User, a.Set = s.label(), s.user, s.set.ID
	a.Principal, a.RemoteIP, a.RemotePort, a.Forwarding = s.principal, s.client.RemoteIP, s.client.RemotePort, s.client.Forwarding
	s.m.audit(a)
}

// sampled are the lines that clients can cause at will: of each message some in a period.
const (
	sampleTime  = 10 * time.Second
	sampleBurst = 10
)

// logged logs a line that a client can cause, of which there may be any number.
func (m *Manager) logged(msg string, args ...any) { m.sampled.Info(msg, msg, args...) }

// errorText is the text of an adapter's error, which may hold text of clients.
func errorText(err error) string { return sample.Text(err.Error()) }
