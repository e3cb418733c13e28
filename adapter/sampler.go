package adapter

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// sampler is a [slog.Handler] that bounds what others can make a server log: of warnings and errors
// with the same message the first ones of each minute are passed on, the next one says how many
// were not.
type sampler struct {
	slog.Handler
	counts *sampled
}

type sampled struct {
	mu    sync.Mutex
	byMsg map[string]*sample
}

type sample struct {
	began  time.Time // of the minute
	said   int
	unsaid int
}

const (
	sampleInterval = time.Minute
	// maxSaid is how many records with the same message are passed on in an interval.
	maxSaid = 20
	// maxMessages bounds the messages told apart. The package has fewer.
	maxMessages = 100
)

func newSampler(h slog.Handler) *sampler {
	return &sampler{h, &sampled{byMsg: make(map[string]*sample)}}
}

// Handle passes a record on, or counts it.
func (s *sampler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return s.Handler.Handle(ctx, r)
	}
	say, missed := s.counts.count(r.Message, r.Time)
	if !say {
		return nil
	}
	if missed > 0 {
		r.AddAttrs(slog.Int("like_it_not_logged", missed))
	}
	return s.Handler.Handle(ctx, r)
}

// count reports whether a record with a message is to be passed on, and how many were not since the
// last one.
func (s *sampled) count(message string, now time.Time) (say bool, missed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.byMsg[message]
	if m == nil {
		if len(s.byMsg) >= maxMessages {
			return true, 0
		}
		m = &sample{began: now}
		s.byMsg[message] = m
	}
	if now.Sub(m.began) >= sampleInterval {
		m.began, m.said, missed = now, 0, m.unsaid
		m.unsaid = 0
	}
	if m.said >= maxSaid {
		m.unsaid++
		return false, 0
	}
	m.said++
	return true, missed
}

// WithAttrs returns a handler that counts with s.
func (s *sampler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &sampler{s.Handler.WithAttrs(attrs), s.counts}
}

// WithGroup returns a handler that counts with s.
func (s *sampler) WithGroup(name string) slog.Handler {
	return &sampler{s.Handler.WithGroup(name), s.counts}
}
