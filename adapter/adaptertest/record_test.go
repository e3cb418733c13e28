package adaptertest

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A recorder is a test whose failures are looked at, not suffered: the kit has to fail tests, and this is how its own tests see that it does.
type recorder struct {
	testing.TB
	ctx context.Context //nolint:containedctx // a test has one

	mu       sync.Mutex
	failures []string
	cleanups []func()
}

// record runs a test to its end, its cleanups included, and returns how it failed.
func record(t testing.TB, test func(tb testing.TB)) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &recorder{TB: t, ctx: ctx}
	r.goexit(func() { test(r) })
	cancel()
	for {
		r.mu.Lock()
		n := len(r.cleanups)
		if n == 0 {
			break
		}
		f := r.cleanups[n-1]
		r.cleanups = r.cleanups[:n-1]
		r.mu.Unlock()
		r.goexit(f)
	}
	defer r.mu.Unlock()
	for _, f := range r.failures {
		t.Logf("recorded: %s", f)
	}
	return r.failures
}

// goexit runs f, which may end its goroutine.
func (r *recorder) goexit(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (r *recorder) note(text string) {
	r.mu.Lock()
	r.failures = append(r.failures, text)
	r.mu.Unlock()
}

func (r *recorder) Context() context.Context     { return r.ctx }
func (r *recorder) Output() io.Writer            { return r.TB.Output() }
func (r *recorder) Error(args ...any)            { r.note(fmt.Sprint(args...)) }
func (r *recorder) Errorf(f string, args ...any) { r.note(fmt.Sprintf(f, args...)) }
func (r *recorder) Fatal(args ...any)            { r.note(fmt.Sprint(args...)); runtime.Goexit() }
func (r *recorder) Fatalf(f string, args ...any) { r.note(fmt.Sprintf(f, args...)); runtime.Goexit() }
func (r *recorder) Fail()                        { r.note("Fail") }
func (r *recorder) FailNow()                     { r.note("FailNow"); runtime.Goexit() }
func (r *recorder) Skip(args ...any)             { r.TB.Fatal("a recorded test was skipped") }
func (r *recorder) Cleanup(f func())             { r.mu.Lock(); r.cleanups = append(r.cleanups, f); r.mu.Unlock() }
func (r *recorder) Failed() bool                 { r.mu.Lock(); defer r.mu.Unlock(); return len(r.failures) > 0 }

// recordSubs is a runner that records each subtest.
type recordSubs struct {
	t        testing.TB
	failures map[string][]string
}

func (r *recordSubs) sub(name string, test func(testing.TB)) {
	if f := record(r.t, test); len(f) > 0 {
		r.failures[name] = f
	}
}

// wantFailures checks that there are as many failures as texts, and that each holds its text.
func wantFailures(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("the kit reported %d failures, want %d: %q\nreported:\n%s", len(got), len(want), want, strings.Join(got, "\n---\n"))
		return
	}
	rest := slices.Clone(got)
	for _, w := range want {
		i := slices.IndexFunc(rest, func(s string) bool { return strings.Contains(s, w) })
		if i < 0 {
			t.Errorf("the kit did not report %q but:\n%s", w, strings.Join(got, "\n---\n"))
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
}
