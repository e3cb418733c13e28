package broker

import (
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/session"
)

// The events of the audit log.
const (
	AuditStarted        = "broker.started" // Address is where clients connect
	AuditStopped        = "broker.stopped" // Text is why, if it has stopped by itself
	AuditClientRefused  = "client.refused" // a connection or a request, before there is a session
	AuditSessionCreated = "session.created"
	AuditSessionRefused = "session.refused" // Code and Text are those that the client got
	AuditSessionEnded   = "session.ended"   // By is client, adapter, server, replaced, expiry or a limit
	// Requests of a session that a limit has refused, at most one of a session in ten seconds.
	AuditMessageRefused      = "message.refused"
	AuditSubscriptionRefused = "subscription.refused"

	AuditAdapterConnected = "adapter.connected" // it is initialised; User is that of its credentials
	AuditAdapterRefused   = "adapter.refused"   // a peer at an adapter's port that did not become the adapter
	AuditAdapterLost      = "adapter.lost"
)

// AuditEvent is one event of the audit log; see [Config.Audit]. Fields that do not apply are empty,
// and not in its JSON. Texts that come from peers are cut to 256 bytes each, and may hold any
// character: encoding/json escapes them.
type AuditEvent struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"` // one of the constants, to which others may be added

	// Session is the beginning of the session's id, as the log has it: who knows it can't take the
	// session over.
	Session   string `json:"session,omitempty"`
	User      string `json:"user,omitempty"`      // as sent; for adapters that of the credentials
	Principal string `json:"principal,omitempty"` // subject of the client's certificate

	Address   string `json:"address,omitempty"`   // host:port of the peer
	Forwarded string `json:"forwarded,omitempty"` // addresses that proxies have reported
	Origin    string `json:"origin,omitempty"`    // of the web page

	Set         string `json:"set,omitempty"`         // id of the Adapter Set
	DataAdapter string `json:"dataAdapter,omitempty"` // empty for the Metadata Adapter

	// By is which limit (by its name in Limits), adapter or rule has refused something, or who has
	// ended it.
	By   string `json:"by,omitempty"`
	Code int    `json:"code,omitempty"` // of the protocol
	Text string `json:"text,omitempty"` // why

	// Dropped is how many events before this one were lost.
	Dropped int64 `json:"dropped,omitempty"`
}

const (
	auditRoom     = 1024                   // events that wait
	auditRefusals = 100                    // in a second; an attacker fills no disk by more
	auditGrace    = 250 * time.Millisecond // for the last events
)

// auditor hands events to Config.Audit by a goroutine of its own. Its methods may be called from
// any goroutine, on a nil auditor as well, and but for close never block.
type auditor struct {
	events chan AuditEvent
	done   chan struct{}

	mu       sync.Mutex
	closed   bool
	pending  int64 // dropped since the last event that was not
	total    int64 // dropped in all
	second   time.Time
	refusals int // in this second
}

// startAuditor returns nil for a nil function.
func startAuditor(to func(AuditEvent)) *auditor {
	if to == nil {
		return nil
	}
	a := &auditor{events: make(chan AuditEvent, auditRoom), done: make(chan struct{})}
	go func() { // ends with close, unless the function hangs
		defer close(a.done)
		for e := range a.events {
			to(e)
		}
	}()
	return a
}

// put notes an event, and the time if it has none.
func (a *auditor) put(e AuditEvent) {
	if a == nil {
		return
	}
	for _, text := range []*string{
		&e.Session, &e.User, &e.Principal, &e.Address, &e.Forwarded, &e.Origin, &e.Set, &e.DataAdapter, &e.By, &e.Text,
	} {
		*text = bounded(*text)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if !a.admits(&e) {
		a.drop()
		return
	}
	e.Dropped = a.pending
	select {
	case a.events <- e:
		a.pending = 0
	default:
		a.drop()
	}
}

// admits reports whether there is room for one more refusal in its second. mu is held.
func (a *auditor) admits(e *AuditEvent) bool {
	switch e.Event {
	case AuditClientRefused, AuditSessionRefused, AuditAdapterRefused, AuditMessageRefused, AuditSubscriptionRefused:
	default:
		return true
	}
	if second := e.Time.Truncate(time.Second); !second.Equal(a.second) {
		a.second, a.refusals = second, 0
	}
	a.refusals++
	return a.refusals <= auditRefusals
}

// drop counts an event that is lost. mu is held.
func (a *auditor) drop() {
	a.pending++
	a.total++
}

func (a *auditor) lost() int64 {
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

// close waits for the events that are there, for auditGrace at most.
func (a *auditor) close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.events)
	}
	a.mu.Unlock()
	select {
	case <-a.done:
	case <-time.After(auditGrace):
	}
}

// sessionEvents are the names of what sessions report.
var sessionEvents = map[session.AuditKind]string{
	session.SessionCreated: AuditSessionCreated, session.SessionRefused: AuditSessionRefused, session.SessionEnded: AuditSessionEnded,
	session.MessageRefused: AuditMessageRefused, session.SubscriptionRefused: AuditSubscriptionRefused,
}

// session notes what a session reports.
func (a *auditor) session(e session.Audit) {
	by := e.By.String()
	if e.By == session.ByLimit && e.Limit != "" {
		by = e.Limit
	}
	addr := e.RemoteIP
	if e.RemotePort > 0 {
		addr = net.JoinHostPort(addr, strconv.Itoa(e.RemotePort))
	}
	a.put(AuditEvent{
		Time: e.Time, Event: sessionEvents[e.Kind], Session: e.Session, User: e.User.S, Principal: e.Principal, Address: addr,
		Forwarded: e.Forwarding, Set: e.Set, By: by, Code: e.Code, Text: e.Text,
	})
}

// peers returns what notes the peers at an adapter's port; nil without an audit log.
func (a *auditor) peers(set, dataAdapter string) func(proxy.PeerEvent) {
	if a == nil {
		return nil
	}
	return func(p proxy.PeerEvent) {
		e := AuditEvent{Event: AuditAdapterRefused, Set: set, DataAdapter: dataAdapter, Address: p.Addr, User: p.User, Text: p.Reason}
		switch p.Kind {
		case proxy.PeerConnected:
			e.Event = AuditAdapterConnected
		case proxy.PeerLost:
			e.Event = AuditAdapterLost
		}
		a.put(e)
	}
}
