package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// newLog returns the logger of a command: lines for a person on a terminal, and the text format of slog elsewhere.
func newLog(out io.Writer, level slog.Leveler) *slog.Logger {
	s := newStyle(out)
	if !s.terminal {
		return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(newTerminalLog(s, level))
}

// terminalLog writes records as the other lines of a command are: clock, level, message; and the attributes as slog does.
type terminalLog struct {
	slog.Handler // writes the attributes to sink.text
	sink         *terminalSink
}

type terminalSink struct {
	mu    sync.Mutex
	style *style
	text  bytes.Buffer
}

func newTerminalLog(s *style, level slog.Leveler) *terminalLog {
	sink := &terminalSink{style: s}
	only := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}
	return &terminalLog{slog.NewTextHandler(&sink.text, &slog.HandlerOptions{Level: level, ReplaceAttr: only}), sink}
}

// Handle writes a record.
func (l *terminalLog) Handle(ctx context.Context, r slog.Record) error {
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	l.sink.text.Reset()
	if err := l.Handler.Handle(ctx, r); err != nil {
		return err
	}
	s := l.sink.style
	paint := s.faint
	switch {
	case r.Level >= slog.LevelError:
		paint = s.bad
	case r.Level >= slog.LevelWarn:
		paint = s.warn
	}
	name := map[slog.Level]string{slog.LevelWarn: "warning"}[r.Level]
	if name == "" {
		name = strings.ToLower(r.Level.String())
	}
	_, err := fmt.Fprintf(s.out, "  %s  %s  %s  %s\n", s.faint(r.Time.Format(clock)), paint(fmt.Sprintf("%-9s", name)), r.Message, s.faint(strings.TrimSuffix(l.sink.text.String(), "\n")))
	return err
}

// WithAttrs adds attributes.
func (l *terminalLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &terminalLog{l.Handler.WithAttrs(attrs), l.sink}
}

// WithGroup opens a group of attributes.
func (l *terminalLog) WithGroup(name string) slog.Handler {
	return &terminalLog{l.Handler.WithGroup(name), l.sink}
}
