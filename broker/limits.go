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
	// Connections bounds the connections; more wait to be accepted. Default 10000, negative: no bound.
	Connections int
	// Sessions bounds the sessions; more are refused with code 8. Default 10000.
	Sessions int

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
		"Header": l.Header, "Sessions": l.Sessions, "Subscriptions": l.Subscriptions, "PendingRequests": l.PendingRequests,
		"PendingMessages": l.PendingMessages, "Sequences": l.Sequences, "Buffer": l.Buffer, "UnfilteredBuffer": l.UnfilteredBuffer,
		"Items": l.Items, "Fields": l.Fields, "SessionMemory": l.SessionMemory, "Memory": l.Memory,
		"QueueBytes": l.QueueBytes, "HistoryBytes": l.HistoryBytes, "HistoryTime": int(l.HistoryTime),
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("broker: Limits.%s is negative: it cannot be switched off", name))
		}
	}
	return errors.Join(errs...)
}
