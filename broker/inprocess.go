package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
)

// Adapters in this process go the way of remote ones, a proxy and the server of the SDK, with a pipe in place of the socket: what works
// here works against Lightstreamer Server.

// inProcessAddr is what both ends dial. It has the form of an address since it is checked as one.
const inProcessAddr = "in-process:1"

// openInProcess starts a set of adapters in this process, and returns when they are initialised, or with the reason why not. Then nothing
// is left of it, except callbacks that do not return.
func (a *adapters) openInProcess(id string, set adapter.Set, control provider.Control) error {
	s := a.newService(id, nil)
	err := s.startMetadata(set.Metadata, control)
	for _, name := range slices.Sorted(maps.Keys(set.Data)) {
		if err == nil {
			err = s.startData(name, set.Data[name])
		}
	}
	if err != nil {
		a.leave(s)
		s.close()
		return fmt.Errorf("broker: Adapter Set %s: %w", id, err)
	}
	a.enter(s)
	return nil
}

func (s *service) startMetadata(p adapter.MetadataProvider, control provider.Control) error {
	if p == nil {
		s.set.Metadata = literalMetadata(&adaptersxml.LiteralSettings{DistinctSnapshotLength: 10})
		return nil
	}
	side, pipe := s.addInProcess("")
	server := &adapter.MetadataServer{
		Provider: p, Addr: inProcessAddr, Dial: pipe.dialAdapter, Name: side.label, Keepalive: -1, Reconnect: adapter.NoReconnect,
		Logger: s.a.cfg.Logger,
	}
	m, err := proxy.StartMetadata(s.ctx, proxy.MetadataConfig{Config: s.inProcessConfig(side, pipe)})
	if err != nil {
		return fmt.Errorf("metadata adapter: %w", err)
	}
	m.SetControl(control)
	s.set.Metadata = m
	if r, ok := p.(adapter.MessageResponder); ok {
		s.responder = &responder{
			Metadata: m, to: r, ctx: s.adapterCtx, log: s.a.cfg.Logger.With("adapter", side.label), places: make(chan struct{}, maxResponses),
			sampled: sample.New(s.a.cfg.Logger.With("adapter", side.label), 10*time.Second, 10),
		}
		s.set.Metadata = s.responder
	}
	if err := s.runInProcess(side, m, server); err != nil {
		return fmt.Errorf("metadata adapter: %w", err)
	}
	return nil
}

func (s *service) startData(name string, p adapter.DataProvider) error {
	side, pipe := s.addInProcess(name)
	server := &adapter.DataServer{
		Provider: p, Addr: inProcessAddr, Dial: pipe.dialAdapter, Name: side.label, Keepalive: -1, Reconnect: adapter.NoReconnect,
		Logger: s.a.cfg.Logger,
	}
	d, err := proxy.StartData(s.ctx, proxy.DataConfig{Config: s.inProcessConfig(side, pipe), DataProvider: name})
	if err != nil {
		return fmt.Errorf("data adapter %s: %w", name, err)
	}
	s.set.Data[name] = d
	if err := s.runInProcess(side, d, server); err != nil {
		return fmt.Errorf("data adapter %s: %w", name, err)
	}
	return nil
}

func (s *service) addInProcess(name string) (*side, *pipe) {
	label := s.set.ID
	if name != "" {
		label += "." + name
	}
	side := &side{
		at: AdapterAddr{Set: s.set.ID, DataAdapter: name}, label: label, basic: true, inProcess: true, missing: true,
		served: make(chan struct{}),
	}
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	s.sides = append(s.sides, side)
	s.a.missing++
	return side, &pipe{ends: make(chan net.Conn)}
}

func (s *service) inProcessConfig(side *side, p *pipe) proxy.Config {
	return proxy.Config{
		Set: s.set.ID, Name: side.label, RemoteAddr: inProcessAddr, Dial: p.dialProxy, Logger: s.a.cfg.Logger.With("adapter", side.label),
	}
}

// runInProcess has a goroutine run the adapter's server, and returns when it is initialised.
func (s *service) runInProcess(side *side, r remote, server adapter.Runner) error {
	s.wg.Go(func() {
		defer close(side.served)
		side.err = server.Run(s.adapterCtx)
	})
	select {
	case <-r.Ready():
		s.arrived(side)
		s.watch(side, r)
		return nil
	case <-side.served:
	case <-r.Done():
	}
	s.a.mu.Lock()
	side.remote = r // for close
	s.a.mu.Unlock()
	s.cancel()
	<-r.Done()
	if r.Err() == nil {
		s.endAdapter() // there may be no connection whose end it could see
	}
	if err := side.cause(); err != nil {
		return err
	}
	<-side.served
	if side.err != nil {
		return side.err
	}
	return errors.New("stopped before it was initialised")
}

// pipe connects a proxy and an adapter in this process.
type pipe struct{ ends chan net.Conn }

// dialProxy is how the proxy connects: it waits for the adapter to do so.
func (p *pipe) dialProxy(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.ends <- there:
		return here, nil
	case <-ctx.Done():
		_ = here.Close() // nobody has seen it
		return nil, context.Cause(ctx)
	}
}

// dialAdapter is how the adapter connects.
func (p *pipe) dialAdapter(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case conn := <-p.ends:
		return conn, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// responder gives messages of clients to an adapter in this process by a call, since the adapter wire has no room for its response. Everything
// else goes through the proxy.
type responder struct {
	*proxy.Metadata
	to  adapter.MessageResponder
	ctx context.Context // of callbacks
	log *slog.Logger
	// sampled has what clients can cause at will.
	sampled *sample.Log
	// places has one element for each call at work. Calls go on when nobody waits for them any
	// more, so that they have to be counted.
	places chan struct{}

	calls    sync.WaitGroup
	requests atomic.Int64
	timeouts atomic.Int64
}

var _ provider.Metadata = (*responder)(nil)

// maxResponses is how many messages an adapter in this process may be at work at.
const maxResponses = 1000

// NotifyMessage implements provider.Metadata. Like the proxy it gives up waiting after a while, or when ctx ends; the call goes on.
func (r *responder) NotifyMessage(ctx context.Context, user provider.Text, session, message string) (string, error) {
	type answer struct {
		response string
		err      error
	}
	answers := make(chan answer, 1)
	r.requests.Add(1)
	timer := time.NewTimer(proxy.DefaultTimeout)
	defer timer.Stop()
	select {
	case r.places <- struct{}{}:
	case <-timer.C:
		return "", r.late()
	case <-ctx.Done():
		return "", fmt.Errorf("broker: RespondToUserMessage: %w", context.Cause(ctx))
	}
	r.calls.Go(func() {
		defer func() { <-r.places }()
		var a answer
		a.response, a.err = r.call(adapter.UserMessage{User: user.S, SessionID: session, Message: message})
		answers <- a
	})
	select {
	case a := <-answers:
		return a.response, messageRefusal(a.err)
	case <-timer.C:
		return "", r.late()
	case <-ctx.Done():
		return "", fmt.Errorf("broker: RespondToUserMessage: %w", context.Cause(ctx))
	}
}

// late is the error of a message that was not processed in time.
func (r *responder) late() error {
	r.timeouts.Add(1)
	r.sampled.Warn("late", "broker: a message was not processed in time", "timeout", proxy.DefaultTimeout)
	return &provider.Error{Kind: provider.Unavailable, Message: "RespondToUserMessage: no answer in time"}
}

// call makes an error of a panic, as the adapter's server does.
func (r *responder) call(m adapter.UserMessage) (response string, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.sampled.Error("panic", "panic in RespondToUserMessage", "panic", sample.Text(fmt.Sprint(p)), "stack", string(debug.Stack()))
			response, err = "", fmt.Errorf("panic in RespondToUserMessage: %v", p)
		}
	}()
	return r.to.RespondToUserMessage(r.ctx, m)
}

// wait waits for calls at work as long as the adapter's server does for the others.
func (r *responder) wait() {
	if r == nil {
		return
	}
	defer r.sampled.Close()
	done := make(chan struct{})
	go func() { // ends with the calls, which are the application's
		defer close(done)
		r.calls.Wait()
	}()
	select {
	case <-done:
	case <-time.After(adapter.DefaultStopTimeout):
		r.log.Error("broker: RespondToUserMessage does not return; left behind")
	}
}

// messageRefusal translates what an adapter may return for a message, as the adapter wire does.
func messageRefusal(err error) error {
	if err == nil {
		return nil
	}
	refusal := &provider.Error{Kind: provider.Generic, Message: err.Error()}
	if e, ok := errors.AsType[*adapter.CreditsError](err); ok {
		refusal.Kind, refusal.Code, refusal.ClientMessage = provider.Credits, min(e.Code, 0), provider.T(e.UserMessage)
	} else if e, ok := errors.AsType[*adapter.ConflictingSessionError](err); ok {
		refusal.Kind, refusal.Code, refusal.ClientMessage = provider.Credits, min(e.Code, 0), provider.T(e.UserMessage)
	} else if isA[*adapter.NotificationError](err) {
		refusal.Kind = provider.Notification
	}
	return refusal
}

// isA tells whether err is, or wraps, an error of a type.
func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
