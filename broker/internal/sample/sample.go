// Package sample keeps peers from filling the log: of lines with the same key it lets the first few
// of each period pass, and afterwards tells how many were left out.
package sample

import (
	"log/slog"
	"sync"
	"time"
)

// maxKeys bounds the keys that are remembered. Those beyond share one place.
const maxKeys = 200

// Log writes lines to a logger, at a bounded rate for each key. Its methods may be called from any
// goroutine; they block as long as the logger's handler does.
type Log struct {
	log   *slog.Logger
	every time.Duration
	burst int

	mu   sync.Mutex
	keys map[string]*count
}

// count is what has happened to a key in its period.
type count struct {
	since   time.Time
	lines   int
	leftOut int
}

// New returns a Log that lets burst lines of each key pass in each period.
func New(log *slog.Logger, every time.Duration, burst int) *Log {
	return &Log{log: log, every: every, burst: burst, keys: make(map[string]*count)}
}

// Warn logs at level Warn, unless the key has had its lines. What was left out in the period before
// is told with the first line of the next one, as left_out.
func (l *Log) Warn(key, msg string, args ...any) {
	pass, leftOut := l.pass(key)
	if !pass {
		return
	}
	if leftOut > 0 {
		args = append(args[:len(args):len(args)], "left_out", leftOut)
	}
	l.log.Warn(msg, args...)
}

func (l *Log) pass(key string) (pass bool, leftOut int) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.keys[key]
	if c == nil {
		if len(l.keys) >= maxKeys {
			l.forget(now)
		}
		if len(l.keys) >= maxKeys {
			key = ""
		}
		if c = l.keys[key]; c == nil {
			c = &count{since: now}
			l.keys[key] = c
		}
	}
	if now.Sub(c.since) >= l.every {
		leftOut = c.leftOut
		*c = count{since: now}
	}
	if c.lines == l.burst {
		c.leftOut++
		return false, 0
	}
	c.lines++
	return true, leftOut
}

// forget drops the keys whose period is over. mu is held.
func (l *Log) forget(now time.Time) {
	for key, c := range l.keys {
		if now.Sub(c.since) >= l.every {
			delete(l.keys, key)
		}
	}
}
