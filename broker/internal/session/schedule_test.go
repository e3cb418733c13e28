package session

import (
	"testing"
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
	for f, want := range map[float64]time.Duration{0: 0, -1: 0, 2: 500 * time.Millisecond, 1e-30: maxInterval, 1e9: 1} {
		if got := intervalOf(f); got != want {
			t.Errorf("interval of %v per second is %v, want %v", f, got, want)
		}
	}
}

// TestTimerBesideSignal: a timer and a signal at the same moment leave no signal behind, which would block the next one.
func TestTimerBesideSignal(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		c.cut()
		s := c.b.s
		b := &Binding{s: s, signal: make(chan struct{}, 1), over: make(chan struct{})}
		s.mu.Lock()
		s.bound, b.idle = b, true
		s.wake()
		s.mu.Unlock()
		b.rouse()
		if len(b.signal) != 0 || b.idle {
			t.Errorf("%d signals left, idle: %v", len(b.signal), b.idle)
		}
		s.mu.Lock()
		s.bound = nil
		s.mu.Unlock()
	})
}
