package adapter

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// Control lets an adapter act on the server. It is given to Initialize and bound to the connection: when that ends, its methods return an error
// that is [ErrDisconnected] or [ErrStopped]. They can be called from any goroutine, in callbacks too.
type Control struct {
	link *link

	mu      sync.Mutex
	next    uint64
	pending map[string]chan controlAnswer
	over    error
}

type controlAnswer struct {
	done bool
	err  error
}

// The first id of a remote's own requests, as in the official SDKs.
const firstRequestID = 100

// Cause tells a client why its session was terminated.
type Cause struct {
	Code    int // 0 or negative; positive codes belong to the server
	Message string
}

// ForceSessionTermination ends a session of this Adapter Set and waits for the server's answer, or the end of ctx. cause can be nil. A session that does not
// exist (any more) is no error. In NotifyNewSession of the same session do not wait for it: the server acts when that has returned. Only
// for Metadata Adapters. Wire: FST, ARI 1.9.0 on.
func (c *Control) ForceSessionTermination(ctx context.Context, sessionID string, cause *Cause) error {
	r := ari.ForceSession{Session: sessionID}
	if cause != nil {
		if cause.Code > 0 {
			return fmt.Errorf("adapter: force session termination: code %d is positive; use 0 or a negative one", cause.Code)
		}
		r.HasCause, r.Code, r.Message = true, cause.Code, ari.T(cause.Message)
	}
	_, err := c.ask(ctx, "force session termination", func(b []byte, id string) []byte {
		return r.Append(b, id, c.link.version)
	})
	return err
}

// ForceUnsubscription ends the subscription (TableInfo.WinIndex) of a session and waits for the server's answer, or the end of ctx. It returns false if
// NotifyNewTables had not declared the table Unsubscribable; nothing has happened then. In NotifyNewTables of the same table
// do not wait for it: the server acts when that has returned. Only for Metadata Adapters. Wire: FUS, ARI 1.9.0 on.
func (c *Control) ForceUnsubscription(ctx context.Context, sessionID string, winIndex int) (bool, error) {
	r := ari.ForceUnsubscribe{Session: sessionID, WinIndex: winIndex}
	return c.ask(ctx, "force unsubscription", func(b []byte, id string) []byte {
		return r.Append(b, id, c.link.version)
	})
}

// Failure declares that the adapter can no longer work: a robust proxy closes the connection, a basic one ends the server.
// The message is for the server's log. Wire: FAL.
func (c *Control) Failure(message string) error {
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if over != nil {
		return fmt.Errorf("adapter: failure: %w", over)
	}
	l := c.link
	l.out.line(func(b []byte) []byte {
		return ari.AppendFailureNotice(b, l.kind, l.version, time.Now().UnixMilli(), ari.T(message))
	})
	return nil
}

func (c *Control) ask(ctx context.Context, what string, encode func(dst []byte, id string) []byte) (bool, error) {
	l := c.link
	if l.kind != ari.Metadata {
		return false, fmt.Errorf("adapter: %s: only a Metadata Adapter can ask for it", what)
	}
	c.mu.Lock()
	if c.over != nil {
		c.mu.Unlock()
		return false, fmt.Errorf("adapter: %s: %w", what, c.over)
	}
	id := strconv.FormatUint(firstRequestID+c.next, 16)
	c.next++
	if c.pending == nil {
		c.pending = make(map[string]chan controlAnswer)
	}
	answer := make(chan controlAnswer, 1)
	c.pending[id] = answer
	c.mu.Unlock()

	l.out.line(func(b []byte) []byte { return encode(b, id) })
	select {
	case a := <-answer:
		if a.err != nil {
			return false, fmt.Errorf("adapter: %s: %w", what, a.err)
		}
		return a.done, nil
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.pending, id)
		c.mu.Unlock()
		return false, fmt.Errorf("adapter: %s: %w", what, context.Cause(ctx))
	}
}

// answered takes a reply to FST or FUS; it runs on the reader.
func (c *Control) answered(line ari.Line) {
	c.mu.Lock()
	id := string(line.ID)
	answer := c.pending[id]
	delete(c.pending, id)
	c.mu.Unlock()
	if answer == nil {
		c.link.log.Warn("answer to an unknown request ignored", "method", line.Method.String(), "id", cut(id, maxShown))
		return
	}
	var a controlAnswer
	f, isError, err := ari.ParseError(line.Method, line.Body, ari.Latest)
	switch {
	case err != nil:
		a.err = err
	case isError:
		a.err = &RemoteError{Message: cut(f.Message.S, maxReason)}
	case line.Method == ari.FST:
		a.err = ari.ParseVoidReply(line.Body)
	default:
		a.done, a.err = ari.ParseForceUnsubscribeReply(line.Body)
	}
	answer <- a
}

// end fails what is still waiting for an answer.
func (c *Control) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = cause
	for id, answer := range c.pending {
		answer <- controlAnswer{err: cause}
		delete(c.pending, id)
	}
}
