package adaptertest

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
)

// A reporter is a test as seen from goroutines that may outlive it: after its end everything is thrown away, where a testing.TB would panic.
type reporter struct {
	tb testing.TB

	mu   sync.Mutex
	over bool
}

func (r *reporter) errorf(format string, args ...any) {
	r.tb.Helper()
	text := fmt.Sprintf("adaptertest: "+format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.tb.Error(text)
	}
}

// fatalf is for the test's own goroutine.
func (r *reporter) fatalf(format string, args ...any) {
	r.tb.Helper()
	r.tb.Fatalf("adaptertest: "+format, args...)
}

func (r *reporter) end() {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
}

// Write passes log lines on to the output of the test.
func (r *reporter) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return len(p), nil
	}
	return r.tb.Output().Write(p)
}

var _ io.Writer = (*reporter)(nil)

func (r *reporter) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
