package adapter

import (
	"math/rand/v2"
	"strconv"
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
		w, start, given := ackWatch{limit: 15 * s}, time.Now(), time.Duration(0)
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

func TestOnTime(t *testing.T) {
	due := time.Now()
	for late, want := range map[time.Duration]bool{0: true, 400 * time.Millisecond: true, 15 * time.Second: false} {
		if got := onTime(due, due.Add(late), time.Second); got != want {
			t.Errorf("%v late: on time is %v", late, got)
		}
	}
}

// What the ledger says of the last bytes is at least the truth, and little more.
func TestLedger(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var l ledger
	var ends []int64 // of each update
	for range 50_000 {
		updates := rng.IntN(4)
		n := 20 + 100*updates + rng.IntN(50)
		for i := range updates {
			ends = append(ends, l.bytes+int64(n-i))
		}
		l.add(updates, n)
	}
	for _, q := range []int64{0, 1, 100, 4096, 100_000, 1 << 20, l.bytes, 2 * l.bytes} {
		want := int64(0)
		for _, end := range ends {
			if q > 0 && end > l.bytes-q {
				want++
			}
		}
		got, slack := l.last(q), int64(2*markEvery/50)
		if q > 3<<20 { // beyond the marks
			slack = l.updates
		}
		if got < want || got > want+slack {
			t.Errorf("of the last %d bytes: %d updates, want %d to %d", q, got, want, want+slack)
		}
	}
}

func TestWholeLines(t *testing.T) {
	const buf = "1|UD3|S|i\r\n1|RAC|S|UD3\r\nKEEPALIVE\r\n22|UD3|S|j|S|1|UD3|\r\nhalf|UD3|"
	for cut, want := range map[int][2]int{0: {0, 0}, 10: {0, 0}, 11: {11, 1}, 30: {24, 1}, len(buf) - 1: {len(buf) - 9, 2}} {
		if size, updates := wholeLines([]byte(buf[:cut])); size != want[0] || updates != want[1] {
			t.Errorf("%q: %d bytes with %d updates, want %v", buf[:cut], size, updates, want)
		}
	}
}

// Others cannot make a server log without end.
func TestSampled(t *testing.T) {
	s, now := &sampled{byMsg: map[string]*sample{}}, time.Now()
	said := 0
	for range 48_000 {
		if say, _ := s.count("flood", now); say {
			said++
		}
	}
	if say, missed := s.count("other", now); !say || missed != 0 || said != maxSaid {
		t.Errorf("%d of the flood were said, other: %v, %d", said, say, missed)
	}
	if say, missed := s.count("flood", now.Add(sampleInterval)); !say || missed != 48_000-maxSaid {
		t.Errorf("a minute later: %v, %d", say, missed)
	}
	for i := range 1000 {
		s.count(strconv.Itoa(i), now)
	}
	if len(s.byMsg) > maxMessages {
		t.Errorf("%d messages are kept", len(s.byMsg))
	}
}
