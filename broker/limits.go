package broker

import (
	"errors"
	"fmt"
	"time"
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
	// QueueBytes is about how much may wait in a session; beyond it each item that gets an update behaves as if its buffer was full, and
	// with eight times as much the session is closed. Default 4 MiB.
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

func (l *Limits) check() error {
	var errs []error
	if l.Request < 500 {
		errs = append(errs, fmt.Errorf("broker: Limits.Request %d is too small for a request: want 500 or more", l.Request))
	}
	for name, n := range map[string]int{
		"Header": l.Header, "Sessions": l.Sessions, "Subscriptions": l.Subscriptions, "PendingRequests": l.PendingRequests,
		"PendingMessages": l.PendingMessages, "Sequences": l.Sequences, "Buffer": l.Buffer, "UnfilteredBuffer": l.UnfilteredBuffer,
		"QueueBytes": l.QueueBytes, "HistoryBytes": l.HistoryBytes, "HistoryTime": int(l.HistoryTime),
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("broker: Limits.%s is negative: it cannot be switched off", name))
		}
	}
	return errors.Join(errs...)
}
