// Package sample keeps peers from filling the log: of lines with the same key it lets the first few
// of each period pass, and tells at its end how many were left out.
package sample

import (
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxKeys bounds the keys that are remembered. Those beyond share one place.
const maxKeys = 200

// Log writes lines to a logger, at a bounded rate for each key. Its methods may be called from any
// goroutine; they block as long as the logger's handler does.
type Log struct {
	log   *slog.Logger
	every time.Duration
	burst int

	mu     sync.Mutex
	keys   map[string]*count
	swept  time.Time   // keys that are over have been looked for
	timer  *time.Timer // tells what was left out; nil: there is nothing to tell
	closed bool
	wg     sync.WaitGroup // the timer
}

// count is what has happened to a key in its period.
type count struct {
	since   time.Time
	lines   int
	leftOut int
	level   slog.Level // of the line left out last
	msg     string
}

// New returns a Log that lets burst lines of each key pass in each period.
func New(log *slog.Logger, every time.Duration, burst int) *Log {
	return &Log{log: log, every: every, burst: burst, keys: make(map[string]*count)}
}

// Warn logs at level Warn, unless the key has had its lines. How many lines of a key were left out
// is told at the end of their period, by one line with the message of the last of them and the
// attribute left_out.
func (l *Log) Warn(key, msg string, args ...any) {
	if l.pass(key, slog.LevelWarn, msg) {
		l.log.Warn(msg, args...)
	}
}

// Error is Warn at level Error.
func (l *Log) Error(key, msg string, args ...any) {
	if l.pass(key, slog.LevelError, msg) {
		l.log.Error(msg, args...)
	}
}

// Info is Warn at level Info.
func (l *Log) Info(key, msg string, args ...any) {
	if l.pass(key, slog.LevelInfo, msg) {
		l.log.Info(msg, args...)
	}
}

// Close tells what was left out so far. Lines may still be logged afterwards; those left out then
// are not told any more.
func (l *Log) Close() {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil && l.timer.Stop() {
		l.wg.Done()
	}
	l.timer = nil
	due := l.due(time.Time{})
	l.mu.Unlock()
	l.wg.Wait()
	l.tell(due)
}

func (l *Log) pass(key string, level slog.Level, msg string) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.keys[key]
	if c == nil {
		if len(l.keys) >= maxKeys && now.Sub(l.swept) >= l.every/4 {
			l.swept = now
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
	if now.Sub(c.since) >= l.every && c.leftOut == 0 {
		*c = count{since: now}
	}
	if c.lines < l.burst {
		c.lines++
		return true
	}
	c.leftOut++
	c.level, c.msg = level, msg
	if l.timer == nil && !l.closed {
		l.arm(c.since.Add(l.every).Sub(now))
	}
	return false
}

// arm has what was left out told after a while. mu is held.
func (l *Log) arm(wait time.Duration) {
	l.wg.Add(1)
	l.timer = time.AfterFunc(wait, func() {
		defer l.wg.Done()
		l.mu.Lock()
		now := time.Now()
		due := l.due(now)
		l.timer = nil
		if next := l.next(); !next.IsZero() && !l.closed {
			l.arm(next.Sub(now))
		}
		l.mu.Unlock()
		l.tell(due)
	})
}

// due takes the counts whose period is over at a time, all of them if it is zero. mu is held.
func (l *Log) due(now time.Time) []count {
	var due []count
	for key, c := range l.keys {
		if c.leftOut > 0 && (now.IsZero() || now.Sub(c.since) >= l.every) {
			due = append(due, *c)
			delete(l.keys, key)
		}
	}
	return due
}

// next is when the next count is due; zero if there is none. mu is held.
func (l *Log) next() (next time.Time) {
	for _, c := range l.keys {
		if end := c.since.Add(l.every); c.leftOut > 0 && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	return next
}

func (l *Log) tell(counts []count) {
	for _, c := range counts {
		args := []any{"left_out", c.leftOut, "in", l.every}
		switch c.level {
		case slog.LevelError:
			l.log.Error(c.msg, args...)
		case slog.LevelWarn:
			l.log.Warn(c.msg, args...)
		default:
			l.log.Info(c.msg, args...)
		}
	}
}

// forget drops the keys whose period is over. mu is held.
func (l *Log) forget(now time.Time) {
	for key, c := range l.keys {
		if now.Sub(c.since) >= l.every && c.leftOut == 0 {
			delete(l.keys, key)
		}
	}
}

// maxText bounds the text of a peer in a line of the log, in bytes.
const maxText = 120

// Text makes text that comes from a peer fit for a line of a log: it is cut, and what is not
// printable is escaped as in a Go string.
func Text(s string) string {
	cut := len(s) > maxText
	if cut {
		end := maxText
		for end > maxText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	if quoted := strconv.Quote(s); len(quoted) != len(s)+2 {
		s = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	}
	if cut {
		s += "..."
	}
	return s
}
