package vanish

import (
	"testing"
	"time"
)

// A host that acknowledges nothing is given up; one that is slow to do so, or has the time of a
// stopped process on its side, is not.
func TestHalfOpenConnectionsAreGivenUp(t *testing.T) {
	type look struct {
		at      time.Duration
		missing bool
		silence time.Duration
	}
	const s, ms = time.Second, time.Millisecond
	for _, tt := range []struct {
		name  string
		looks []look
		want  time.Duration // when it is given up; 0: not at all
	}{
		{"idle for an hour", []look{{0, false, 0}, {3600 * s, false, 3600 * s}}, 0},
		{"idle, then one packet lost", []look{{0, false, 0}, {3600 * s, true, 3600 * s}, {3601 * s, false, 10 * ms}}, 0},
		{"black hole", []look{{0, true, 300 * ms}, {5 * s, true, 5300 * ms}, {14 * s, true, 14300 * ms}, {15 * s, true, 15300 * ms}}, 15 * s},
		{"a lossy line", []look{{0, true, 300 * ms}, {8 * s, true, 2 * s}, {15 * s, true, 9 * s}, {22 * s, true, 16 * s}, {24 * s, true, 18 * s}}, 24 * s},
		{"each look finds something on its way", []look{{0, true, 250 * ms}, {5 * s, true, 250 * ms}, {10 * s, true, 250 * ms}, {15 * s, true, 250 * ms}, {30 * s, true, 250 * ms}}, 0},
		{"stopped for a minute after a loss that was repaired", []look{{0, true, 250 * ms}, {60 * s, true, 59900 * ms}, {61 * s, false, 5 * ms}}, 0},
		{"stopped for a minute in a black hole", []look{{0, true, 250 * ms}, {60 * s, true, 60250 * ms}}, 60 * s},
		{"acknowledged once in between", []look{{0, true, 250 * ms}, {10 * s, false, s}, {15 * s, true, 6 * s}, {25 * s, true, 16 * s}}, 0},
	} {
		w, start, given := watch{limit: 15 * s}, time.Now(), time.Duration(0)
		for _, l := range tt.looks {
			if at := start.Add(l.at); given == 0 && w.look(at, at, acks{l.missing, l.silence}) {
				given = l.at
			}
		}
		if given != tt.want {
			t.Errorf("%s: given up after %v, want %v", tt.name, given, tt.want)
		}
	}
}
