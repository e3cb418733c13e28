package adapter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A MetadataServer connects one Metadata Adapter to its Proxy Adapter in the server. Provider and one of Addr and Listener are needed, the
// zero value of the other fields is a good choice. The fields are read when Run starts; later changes have no effect on it. Those that
// [DataServer] has too mean the same.
type MetadataServer struct {
	_ struct{}

	// Provider is the Metadata Adapter.
	Provider     MetadataProvider
	Addr         string
	Listener     net.Listener
	TLS          *tls.Config
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error)
	Credentials  func(context.Context) (Credentials, error)
	Name         string
	Params       Params
	ConfigFile   string
	Keepalive    time.Duration
	Reconnect    *Backoff
	MaxCallbacks int
	MaxLine      int
	StopTimeout  time.Duration
	AckTimeout   time.Duration
	Logger       *slog.Logger
	LogLines     LogCategories
	Events       *Events

	stats   stats
	running atomic.Bool
}

func (s *MetadataServer) settings() (*settings, error) {
	c := &settings{
		kind: ari.Metadata, name: s.Name, addr: s.Addr, listener: s.Listener, tls: s.TLS, dial: s.Dial, credentials: s.Credentials,
		params: s.Params, configFile: s.ConfigFile, keepalive: s.Keepalive, reconnect: s.Reconnect,
		maxCalls: s.MaxCallbacks, maxLine: s.MaxLine, stopTimeout: s.StopTimeout, log: s.Logger, categories: s.LogLines, events: s.Events, stats: &s.stats,
		ackTimeout: s.AckTimeout,
	}
	c.fillDefaults()
	err := c.validate()
	if s.Provider == nil {
		err = errors.Join(err, fmt.Errorf("adapter: %s: Provider is missing; DefaultMetadata will do", c.title()))
	}
	return c, err
}

// Validate tells what is wrong with the fields, all of it at once; nil if nothing is. Run begins with it.
func (s *MetadataServer) Validate() error {
	_, err := s.settings()
	return err
}

// Stats returns the counters. It can be called at any time, from any goroutine.
func (s *MetadataServer) Stats() Stats { return s.stats.snapshot() }

// Run connects to the proxy, answers its requests with the provider's callbacks, and connects again after a loss, until ctx ends; then it returns
// nil. For the errors see [DataServer.Run].
func (s *MetadataServer) Run(ctx context.Context) error {
	c, err := s.settings()
	if err != nil {
		return err
	}
	if !s.running.CompareAndSwap(false, true) {
		return fmt.Errorf("adapter: %s: %w", c.title(), ErrRunning)
	}
	defer s.running.Store(false)
	return run(ctx, c, func(l *link) handler {
		return &metadataHandler{link: l, provider: s.Provider, message: messageCallback(s.Provider)}
	})
}

// messageCallback is the callback for user messages.
func messageCallback(p MetadataProvider) func(context.Context, UserMessage) error {
	r, ok := p.(MessageResponder)
	if !ok {
		return p.NotifyUserMessage
	}
	return func(ctx context.Context, m UserMessage) error {
		_, err := r.RespondToUserMessage(ctx, m) // the wire has no room for the response
		return err
	}
}
