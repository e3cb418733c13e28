package adapter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A Runner is a server that runs until its context ends: [*DataServer] and [*MetadataServer] are.
type Runner interface {
	Run(ctx context.Context) error
}

// Run runs several servers, most often the Metadata and Data Adapters of one Adapter Set, until ctx ends or one of them fails;
// then it stops the others and returns the first failure, or nil.
func Run(ctx context.Context, servers ...Runner) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	for _, s := range servers {
		wg.Go(func() {
			if err := s.Run(ctx); err != nil {
				once.Do(func() { first = err })
				cancel(err)
			}
		})
	}
	wg.Wait()
	return first
}

// run connects, and connects again, until ctx ends (nil) or there is no point in going on. newHandler makes what serves one connection.
func run(ctx context.Context, s *settings, newHandler func(*link) handler) error {
	failures := 0
	var told repeated
	for {
		began := time.Now()
		ready, err := runOnce(ctx, s, newHandler)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // whatever broke while stopping, stopping was asked for
		}
		if ready && time.Since(began) >= s.reconnect.limits().Max {
			failures = 0
		}
		failures++
		v := classify(err)
		if s.reconnect.off() || v == fatal {
			return fmt.Errorf("adapter: %s: %w", s.title(), err)
		}
		pause := s.reconnect.pause(failures, v == refused)
		s.log.LogAttrs(ctx, told.level(err, time.Now()), "not connected; will try again",
			slog.Any("err", err), slog.Int("failures", failures), slog.Duration("in", pause))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// repeated says how loudly an error is to be told that comes again and again.
type repeated struct {
	text string
	at   time.Time
}

// An error that comes again is a warning once in so much time.
const tellAgain = 10 * time.Minute

func (r *repeated) level(err error, now time.Time) slog.Level {
	if text := err.Error(); text != r.text || now.Sub(r.at) >= tellAgain {
		r.text, r.at = text, now
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// runOnce serves one connection. It tells whether the connection came as far as to be initialised.
func runOnce(ctx context.Context, s *settings, newHandler func(*link) handler) (ready bool, err error) {
	info := ConnInfo{Server: s.name}
	defer func() {
		cause := err
		if ctx.Err() != nil {
			cause = nil // stopping, whatever it broke
		}
		if cause != nil {
			s.stats.failures.Add(1)
		}
		if s.events.Disconnected != nil {
			s.events.Disconnected(info, cause)
		}
	}()
	user, err := s.callCredentials(ctx)
	if err != nil {
		return false, err
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return false, explain(err)
	}
	if tcp := tcpOf(conn); tcp != nil && s.ackTimeout > 0 {
		_ = prepare(tcp) // without it the system is more patient
	}
	info.Proxy = conn.RemoteAddr().String()
	s.log.Info("connected", "proxy", info.Proxy)
	s.stats.connections.Add(1)
	s.stats.connected.Store(true)
	defer s.stats.connected.Store(false)
	if s.events.Connected != nil {
		s.events.Connected(info)
	}
	l := &link{settings: s, info: info, conn: conn, user: user, calls: newCalls(ctx, s.maxCalls, &s.stats.callbacks)}
	l.control.link = l
	l.handler = newHandler(l)
	err = l.serve(ctx)
	info.LostUnsent, info.MaybeLost = l.unsent, l.maybeLost
	s.stats.initialised.Store(false)
	return l.ready.Load(), err
}

// explain adds to an error what its reader can do.
func explain(err error) error {
	if errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("%w: the process has no file descriptor left: raise its limit (ulimit -n, LimitNOFILE), or look for what holds them", err)
	}
	return err
}

func (s *settings) callCredentials(ctx context.Context) (*Credentials, error) {
	if s.credentials == nil {
		return nil, nil
	}
	var c Credentials
	err := protect(s.log, "Credentials", func() (err error) {
		c, err = s.credentials(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	return &c, nil
}

// connect dials the proxy, or waits for it to dial.
func (s *settings) connect(ctx context.Context) (net.Conn, error) {
	if s.listener != nil {
		return s.accept(ctx)
	}
	conn, err := s.dial(ctx, "tcp", s.addr)
	if err != nil || s.tls == nil {
		return conn, err
	}
	config := s.tls.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(s.addr)
	}
	return handshake(ctx, conn, tls.Client(conn, config))
}

func (s *settings) accept(ctx context.Context) (net.Conn, error) {
	type deadliner interface{ SetDeadline(time.Time) error }
	if d, ok := s.listener.(deadliner); ok {
		// Accept knows no context; a deadline in the past wakes it and leaves the listener usable.
		_ = d.SetDeadline(time.Time{})
		stop := context.AfterFunc(ctx, func() { _ = d.SetDeadline(time.Unix(1, 0)) })
		defer stop()
	} else {
		stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
		defer stop()
	}
	conn, err := s.listener.Accept()
	if err != nil || s.tls == nil {
		return conn, err
	}
	return handshake(ctx, conn, tls.Server(conn, s.tls))
}

func handshake(ctx context.Context, raw net.Conn, conn *tls.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("tls: %w", err)
	}
	return conn, nil
}

type verdict uint8

const (
	retry   verdict = iota
	refused         // retry, more and more seldom
	fatal
)

// classify tells whether connecting again can help after err. This is the only place that decides it.
func classify(err error) verdict {
	var closed *CloseError
	var initFailed *InitError
	switch {
	case errors.As(err, &initFailed):
		// The provider refused, or the protocol does not match: the next time would end alike.
		return fatal
	case errors.As(err, &closed) && closed.Occupied, errors.Is(err, ErrTurnedAway):
		// Another adapter has the place, most often, and may leave it.
		return refused
	case errors.As(err, &closed) && closed.BeforeInit:
		// The proxy turns the connection down before it has asked anything: credentials, or an address that is not welcome.
		return fatal
	case errors.Is(err, net.ErrClosed):
		// The listener handed to us was closed by its owner.
		return fatal
	}
	return retry
}

// failureOf translates an error of a callback into what the wire has for it.
func failureOf(err error) ari.Failure {
	f := ari.Failure{Kind: ari.KindGeneric, Message: ari.T(err.Error())}
	var (
		data     *DataProviderError
		sub      *SubscribeError
		failure  *FailureError
		meta     *MetadataProviderError
		access   *AccessError
		resource *ResourceUnavailableError
		credits  *CreditsError
		conflict *ConflictingSessionError
		items    *ItemsError
		schema   *SchemaError
		notice   *NotificationError
	)
	switch {
	case errors.As(err, &data):
		f.Kind = ari.KindDataProvider
	case errors.As(err, &sub):
		f.Kind = ari.KindSubscription
	case errors.As(err, &failure):
		f.Kind = ari.KindFailure
	case errors.As(err, &meta):
		f.Kind = ari.KindMetadataProvider
	case errors.As(err, &access):
		f.Kind = ari.KindAccess
	case errors.As(err, &resource):
		f.Kind = ari.KindResource
	case errors.As(err, &credits):
		f.Kind, f.Code, f.ClientMessage = ari.KindCredits, min(credits.Code, 0), ari.T(credits.UserMessage)
	case errors.As(err, &conflict):
		f.Kind, f.Code, f.ClientMessage = ari.KindConflictingSession, min(conflict.Code, 0), ari.T(conflict.UserMessage)
		f.Session = ari.T(conflict.SessionID)
	case errors.As(err, &items):
		f.Kind = ari.KindItems
	case errors.As(err, &schema):
		f.Kind = ari.KindSchema
	case errors.As(err, &notice):
		f.Kind = ari.KindNotification
	}
	return f
}
