package session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlots(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	tests := []struct {
		name            string
		slot, now, want int
	}{
		{"in time", 1000, 1000, 1100},
		{"a bit late: the next turn is not", 1000, 1040, 1100},
		{"late by more than an interval: turns are not saved up", 1000, 1300, 1400},
	}
	for _, tt := range tests {
		if got := slotAfter(at(tt.slot), at(tt.now), 100*time.Millisecond); !got.Equal(at(tt.want)) {
			t.Errorf("%s: %v, want %d ms", tt.name, got.Sub(start), tt.want)
		}
	}
	if got := slotAfter(time.Time{}, at(0), time.Second); !got.Equal(at(1000)) {
		t.Errorf("the first turn: %v", got.Sub(start))
	}
	for f, want := range map[float64]time.Duration{0: 0, -1: 0, 2: 500 * time.Millisecond, 1e-30: 10_000 * time.Second, 1e9: 1, 1e300: 0} {
		if got := intervalOf(f); got != want {
			t.Errorf("interval of %v per second is %v, want %v", f, got, want)
		}
	}
}

// TestWakers: a timer, the end of the context and an event at the same moment leave one signal, or a second one would block under the lock.
func TestWakers(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		c.cut()
		s := c.b.s
		ctx, cancel := context.WithCancel(t.Context())
		b := &Binding{s: s, signal: make(chan struct{}, 1), over: make(chan struct{})}
		stop := b.watch(ctx)
		s.mu.Lock()
		s.bound, b.idle = b, true
		b.wakeAfter(time.Now(), time.Second)
		b.wakeAfter(time.Now(), time.Minute) // does not put off the first
		s.mu.Unlock()
		pass(time.Second)
		cancel()
		s.mu.Lock()
		s.wake()
		s.mu.Unlock()
		synctest.Wait()
		s.mu.Lock()
		if len(b.signal) != 1 || b.idle || !b.lost || !b.due.IsZero() {
			t.Errorf("%d signals, idle: %v, lost: %v, due: %v", len(b.signal), b.idle, b.lost, b.due)
		}
		s.bound = nil
		s.mu.Unlock()
		stop()
	})
}
