package broker

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// StartTest starts a broker for a test of adapters, on a free port of the loopback interface, with the set in this process. Its id is
// DEFAULT, which is that of clients that name none. The adapters are initialised when it returns.
//
// The broker stops when the test has ended. The test fails if it does not start, stops by itself (a declared failure of an adapter), or if
// a callback of an adapter does not return at the end. The log, at level Debug, is the test's.
//
// For anything else (an id, several sets, limits) use [Start] with [Config.Adapters].
func StartTest(t testing.TB, set adapter.Set) *Running {
	t.Helper()
	var ending atomic.Bool
	log := slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})
	r, err := Start(context.WithoutCancel(t.Context()), Config{ // the cleanups of the test still find it
		Addr: "127.0.0.1:0", Adapters: map[string]adapter.Set{tlcp.DefaultAdapterSet: set}, Linger: -1,
		Logger: slog.New(&testLog{log, t, &ending}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ending.Store(true)
		r.Close()
		if err := r.Err(); err != nil {
			t.Errorf("the broker had stopped by itself: %v", err)
		}
	})
	return r
}

// testLog fails the test for what goes wrong in the end.
type testLog struct {
	slog.Handler
	t      testing.TB
	ending *atomic.Bool
}

func (l *testLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError && l.ending.Load() {
		l.t.Errorf("while the broker stopped: %s", r.Message)
	}
	return l.Handler.Handle(ctx, r)
}

func (l *testLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &testLog{l.Handler.WithAttrs(attrs), l.t, l.ending}
}

func (l *testLog) WithGroup(name string) slog.Handler {
	return &testLog{l.Handler.WithGroup(name), l.t, l.ending}
}
