package broker

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
)

// Limits bound what clients can make the broker do and keep. Zero means the default.
type Limits struct {
	_ struct{}

	// Request is the largest request, in bytes; clients are told and cut their batches to it. A larger one is refused. Default 50000, at
	// least 500.
	Request int
	// Header is about the largest header of an HTTP request, query string included, in bytes; beyond it the answer is status 431. Default
	// 64 KiB.
	Header int
	// Connections bounds the connections of clients; more are closed at once. Default 10000,
	// negative: no bound. [Start] lowers it when the process may not have as many file descriptors,
	// of which some are kept for adapters and files, and says so in the log.
	Connections int
	// AddressConnections bounds the connections of one client address, of IPv6 of one /64, and the
	// requests of one client behind trusted proxies; more are closed at once, or answered with
	// status 429. It does not concern loopback addresses and the trusted proxies themselves.
	// Default 1000, negative: no bound.
	AddressConnections int
	// AddressRate bounds the new connections in a second of each address that AddressConnections
	// concerns, after as many at once as that allows; more are closed at once. Default 100,
	// negative: no bound.
	AddressRate int
	// LoopbackConnections is for each loopback address what AddressConnections and AddressSessions
	// are for others, and has AddressRate and SessionRate concern it. Zero is no bound: proxies on
	// the same machine, which are not always configured as such, come from there.
	LoopbackConnections int
	// RequestMemory bounds what requests hold that are being read, or answered, and what open
	// connections keep of their headers, in bytes; beyond it requests are refused with status 503,
	// and WebSockets closed with code 1013. A quarter of it is the most for one address that
	// AddressConnections concerns. Default 0, which is 64 MiB, or 8 KiB for each of Connections if
	// that is more.
	RequestMemory int
	// Sessions bounds the sessions; more are refused with code 6, as by all limits of sessions
	// here: it makes clients try again later, which those with a better name do not. Of 100 or more
	// the last fifth is for clients from addresses that have less than a tenth. Default 10000.
	Sessions int
	// AddressSessions bounds the sessions from one client address, of IPv6 from one /64. Loopback
	// addresses are not concerned: proxies on the same machine come from there. Default 1000,
	// negative: no bound.
	AddressSessions int
	// SessionRate bounds the sessions that are created in a second from an address that
	// AddressSessions concerns, after ten times as many at once. Default 100, negative: no bound.
	SessionRate int
	// UserSessions bounds the sessions of one user whom the Metadata Adapter has accepted; a null
	// user is none. Zero: no bound.
	UserSessions int
	// PendingCreations bounds the new sessions about which a Metadata Adapter is asked at a time,
	// and half of it those of one address. Up to 2000 others wait for their turns, by address, as
	// long as their clients do, and are refused then. Default 64.
	PendingCreations int

	// Subscriptions bounds those of a session; more are refused with code 68. Default 2000.
	Subscriptions int
	// Items bounds the items of all subscriptions of a session; subscriptions to more are refused
	// with code 68, groups of more with code 21. Default 10000.
	Items int
	// Fields bounds the fields of a subscription; longer schemas are refused with code 23. Default
	// 1000, as many as the broker knows of one item.
	Fields int
	// SessionMemory is about how much the subscriptions, requests and history of a session may
	// take, in bytes, and as much again the keys of its COMMAND items. Subscriptions that need more
	// are refused with code 68, before anything is made of them. What waits to be sent has its own
	// bound, QueueBytes. Default 16 MiB.
	SessionMemory int
	// Memory is about how much all sessions and items may take, in bytes; what the runtime needs
	// besides is not in it, about as much again if GOMEMLIMIT and GOGC are not set. From three
	// quarters of it on, sessions that hold more than their share get no more; beyond nine tenths,
	// new sessions are refused with code 6, so that clients come back a little later; when all is
	// used, the sessions that hold most lose subscriptions. Default 0, which is half of the memory
	// limit of the runtime (GOMEMLIMIT), or 1 GiB without one.
	Memory int

	// PendingRequests bounds the control requests of a session that wait for the Metadata Adapter; more are refused with code 68. Default
	// 2000.
	PendingRequests int
	// PendingMessages bounds the messages of a session that wait to be processed, and what waits to be sent to it besides updates; more
	// are refused with code 68. Default 1000.
	PendingMessages int
	// PendingMessageBytes is about how many bytes those may have, and half of it those of a
	// sequence that wait for others before them. Beyond the limits a WebSocket is not read until
	// there is room, and HTTP requests wait 3 s for it. Default 1 MiB.
	PendingMessageBytes int
	// PendingRequestBytes is about how many bytes the control requests of a session may have that
	// wait. Default 4 MiB.
	PendingRequestBytes int
	// PendingBytes is about how many bytes messages and control requests may have that wait in all
	// sessions. A session in which none waits may always have a small one. Default 64 MiB, at least
	// 16 times Request.
	PendingBytes int
	// MessageCalls bounds the messages of a session that the Metadata Adapter has at a time; of a
	// sequence it has one. In all it has up to 256, of each session in turn. Default 8.
	MessageCalls int
	// Sequences bounds the message sequences of a session; messages of more are refused with code 68. Default 1000.
	Sequences int

	// Buffer bounds the updates that wait for an item where they may be merged or dropped, and the history of a DISTINCT item. Default
	// 1000.
	Buffer int
	// UnfilteredBuffer bounds the updates that wait for an item where none may be lost in silence (RAW, unfiltered subscriptions); beyond
	// it the oldest are dropped, and the client is told how many. Default 10000.
	UnfilteredBuffer int
	// QueueBytes is about how much may wait in a session, snapshots aside; beyond it each item that
	// gets an update behaves as if its buffer was full. Default 4 MiB.
	QueueBytes int
	// HistoryBytes and HistoryTime bound what is kept of a session for a recovery. Defaults 256 KiB, 1 min.
	HistoryBytes int
	HistoryTime  time.Duration
}

func (l Limits) withDefaults() Limits {
	def(&l.Request, 50_000)
	def(&l.Header, 64<<10)
	def(&l.Connections, 10_000)
	def(&l.AddressConnections, 1000)
	def(&l.AddressRate, 100)
	def(&l.RequestMemory, max(64<<20, l.Connections*8<<10))
	return l // the others have theirs where they are kept
}

// defaultMemory is Limits.Memory if the runtime has no memory limit.
const defaultMemory = 1 << 30

// memory returns the budget of the broker.
func (l *Limits) memory() *budget.Budget {
	n := int64(l.Memory)
	if n == 0 {
		n = defaultMemory
		if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
			n = limit / 2
		}
	}
	return budget.New(n)
}

func (l *Limits) check() error {
	var errs []error
	if l.Request < 500 {
		errs = append(errs, fmt.Errorf("broker: Limits.Request %d is too small for a request: want 500 or more", l.Request))
	}
	for name, n := range map[string]int{
		"LoopbackConnections": l.LoopbackConnections, "RequestMemory": l.RequestMemory,
		"Header": l.Header, "Sessions": l.Sessions, "Subscriptions": l.Subscriptions, "PendingRequests": l.PendingRequests,
		"PendingMessages": l.PendingMessages, "Sequences": l.Sequences,
		"UserSessions": l.UserSessions, "PendingCreations": l.PendingCreations, "MessageCalls": l.MessageCalls,
		"PendingMessageBytes": l.PendingMessageBytes, "PendingRequestBytes": l.PendingRequestBytes, "PendingBytes": l.PendingBytes,
		"Buffer": l.Buffer, "UnfilteredBuffer": l.UnfilteredBuffer,
		"Items": l.Items, "Fields": l.Fields, "SessionMemory": l.SessionMemory, "Memory": l.Memory,
		"QueueBytes": l.QueueBytes, "HistoryBytes": l.HistoryBytes, "HistoryTime": int(l.HistoryTime),
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("broker: Limits.%s is negative: it cannot be switched off", name))
		}
	}
	return errors.Join(errs...)
}

// descriptorReserve is how many of the file descriptors that a process may have are not for
// clients: adapters, their ports, files, and whatever else the program does need some, too.
func descriptorReserve(limit int) int { return min(max(limit/10, min(64, limit/2)), 1024) }

// fitDescriptors lowers the limit of connections to what the descriptors of the process allow.
func (c *Config) fitDescriptors(limit int) {
	if limit <= 0 {
		return
	}
	most := limit - descriptorReserve(limit)
	if n := c.Limits.Connections; n >= 0 && n <= most {
		return
	}
	c.Logger.Info("broker: fewer connections than configured, for want of file descriptors (ulimit -n)",
		"connections", most, "configured", c.Limits.Connections, "descriptors", limit)
	c.Limits.Connections = most
}
