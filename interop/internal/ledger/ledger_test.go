package ledger

import (
	"testing"
	"time"
)

// number sends updates of the first life.
func number(l *Ledger, numbers ...int64) {
	for _, n := range numbers {
		l.Update(Update{Number: Number{1, n}})
	}
}

func TestCount(t *testing.T) {
	for _, test := range []struct {
		name   string
		mode   Mode
		events func(*Ledger)
		finals Finals
		want   Count
	}{
		{
			name: "everything arrives", mode: Raw, finals: Finals{1: 4},
			events: func(l *Ledger) { number(l, 1, 2, 3, 4) },
			want:   Count{Received: 4},
		}, {
			name: "a late comer has lost nothing", mode: Raw, finals: Finals{1: 9},
			events: func(l *Ledger) { number(l, 7, 8, 9) },
			want:   Count{Received: 3},
		}, {
			name: "a gap untold", mode: Raw, finals: Finals{1: 6},
			events: func(l *Ledger) { number(l, 1, 2, 5, 6) },
			want:   Count{Received: 4, Lost: 2, Untold: 2, MostUntold: 2},
		}, {
			name: "a gap told by an overflow", mode: Raw, finals: Finals{1: 6},
			events: func(l *Ledger) { number(l, 1, 2); l.Lost(2); number(l, 5, 6) },
			want:   Count{Received: 4, Overflows: 2, Lost: 2, ByOverflow: 2},
		}, {
			name: "one overflow tells of one gap", mode: Distinct, finals: Finals{1: 8},
			events: func(l *Ledger) { number(l, 1, 2); l.Lost(2); number(l, 5, 6, 8) },
			want:   Count{Received: 5, Overflows: 2, Lost: 3, ByOverflow: 2, Untold: 1, MostUntold: 1},
		}, {
			name: "an overflow after the gap tells of what follows only", mode: Raw, finals: Finals{1: 6},
			events: func(l *Ledger) { number(l, 1, 2, 5); l.Lost(2); number(l, 6) },
			want:   Count{Received: 4, Overflows: 2, Lost: 2, Untold: 2, MostUntold: 2},
		}, {
			name: "a gap told by a clear", mode: Distinct, finals: Finals{1: 6},
			events: func(l *Ledger) { number(l, 1, 2); l.Cleared(); number(l, 5, 6) },
			want:   Count{Received: 4, Clears: 1, Lost: 2, ByClear: 2},
		}, {
			name: "a gap told by a new session", mode: Raw, finals: Finals{1: 6},
			events: func(l *Ledger) { l.Session(); number(l, 1, 2); l.Session(); number(l, 5, 6) },
			want:   Count{Received: 4, Lost: 2, BySession: 2},
		}, {
			name: "a new session repeats its history", mode: Distinct, finals: Finals{1: 7},
			events: func(l *Ledger) {
				number(l, 1, 2, 3, 4)
				l.Session()
				for n := range int64(3) {
					l.Update(Update{Number: Number{1, n + 3}, Snapshot: true})
				}
				number(l, 6, 7)
			},
			want: Count{Received: 9},
		}, {
			name: "a history that begins too late", mode: Distinct, finals: Finals{1: 8},
			events: func(l *Ledger) {
				number(l, 1, 2)
				l.Session()
				l.Update(Update{Number: Number{1, 6}, Snapshot: true})
				number(l, 7, 8)
			},
			want: Count{Received: 5, Lost: 3, BySession: 3},
		}, {
			name: "a history that has a gap behind it", mode: Distinct, finals: Finals{1: 8},
			events: func(l *Ledger) {
				number(l, 1, 2, 3)
				l.Session()
				l.Update(Update{Number: Number{1, 3}, Snapshot: true})
				number(l, 8)
			},
			want: Count{Received: 5, Lost: 4, Untold: 4, MostUntold: 4},
		}, {
			name: "doubled", mode: Raw, finals: Finals{1: 3},
			events: func(l *Ledger) { number(l, 1, 2, 2, 3, 1) },
			want:   Count{Received: 5, Doubled: 2},
		}, {
			name: "reordered: the gap stays one", mode: Raw, finals: Finals{1: 4},
			events: func(l *Ledger) { number(l, 1, 3, 2, 4) },
			want:   Count{Received: 4, Lost: 1, Untold: 1, MostUntold: 1, Reordered: 1},
		}, {
			name: "the end is missing", mode: Raw, finals: Finals{1: 5},
			events: func(l *Ledger) { number(l, 1, 2) },
			want:   Count{Received: 2, Lost: 3, Untold: 3, MostUntold: 3},
		}, {
			name: "the end is missing, and the client knows", mode: Raw, finals: Finals{1: 5},
			events: func(l *Ledger) { number(l, 1, 2); l.Session() },
			want:   Count{Received: 2, Lost: 3, BySession: 3},
		}, {
			name: "an adapter died with two updates, and the next began without this client", mode: Raw,
			finals: Finals{1: 4, 2: 3, 3: 2},
			events: func(l *Ledger) {
				number(l, 1, 2)
				l.Lost(1)
				l.Update(Update{Number: Number{3, 2}})
			},
			want: Count{Received: 3, Overflows: 1, Lost: 6, ByOverflow: 6},
		}, {
			name: "an adapter died, untold", mode: Raw, finals: Finals{1: 3, 2: 1},
			events: func(l *Ledger) { number(l, 1, 2); l.Update(Update{Number: Number{2, 1}}) },
			want:   Count{Received: 3, Lost: 1, Untold: 1, MostUntold: 1},
		}, {
			name: "nothing ever came", mode: Raw, finals: Finals{1: 3},
			events: func(*Ledger) {},
			want:   Count{Wrong: 1},
		}, {
			name: "merged", mode: Merge, finals: Finals{1: 9},
			events: func(l *Ledger) { number(l, 1, 4, 9) },
			want:   Count{Received: 3},
		}, {
			name: "an old state at the end", mode: Merge, finals: Finals{1: 9},
			events: func(l *Ledger) { number(l, 1, 4, 8) },
			want:   Count{Received: 3, Wrong: 1},
		}, {
			name: "a state goes back, which a new session may", mode: Merge, finals: Finals{1: 5},
			events: func(l *Ledger) { number(l, 4, 3); l.Session(); number(l, 2, 5) },
			want:   Count{Received: 4, Reordered: 1},
		}, {
			name: "fields of mixed age", mode: Merge, finals: Finals{1: 2},
			events: func(l *Ledger) { number(l, 1); l.Update(Update{Number: Number{1, 2}, Torn: true}) },
			want:   Count{Received: 2, Torn: 1, Wrong: 1},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := New(test.mode)
			test.events(l)
			test.want.Clients = 1
			if got := l.Count(test.finals, nil); got != test.want {
				t.Errorf("counted\n%+v, want\n%+v", got, test.want)
			}
		})
	}
}

func TestCommandRows(t *testing.T) {
	l := New(Command)
	l.Update(Update{Number: Number{1, 1}, Key: "a", Command: "ADD"})
	l.Update(Update{Number: Number{1, 2}, Key: "b", Command: "ADD"})
	l.Update(Update{Number: Number{1, 3}, Key: "a", Command: "UPDATE"})
	l.Update(Update{Key: "b", Command: "DELETE"})
	rows := map[string]Number{"a": {1, 3}}
	if c := l.Count(nil, rows); c.Wrong != 0 || c.Lost != 0 || !l.Reached(nil, rows) {
		t.Errorf("%+v, want the right rows", c)
	}
	// A row of a former life that stays is wrong; a clear takes it away.
	after := map[string]Number{"b": {2, 1}}
	l.Update(Update{Number: Number{2, 1}, Key: "b", Command: "ADD"})
	if c := l.Count(nil, after); c.Wrong != 1 || l.Reached(nil, after) {
		t.Errorf("%+v, want a row left over", c)
	}
	l.Cleared()
	l.Update(Update{Number: Number{2, 1}, Key: "b", Command: "ADD"})
	if c := l.Count(nil, after); c.Wrong != 0 || !l.Reached(nil, after) {
		t.Errorf("%+v, want the right rows", c)
	}
}

func TestReachedAndFresh(t *testing.T) {
	l := New(Raw)
	l.Update(Update{Number: Number{1, 1}, Stamp: 100})
	if !l.Fresh(100) || l.Fresh(101) {
		t.Error("the newest update is of 100")
	}
	if l.Reached(Finals{1: 2}, nil) {
		t.Error("the second update is to come")
	}
	l.Session() // it may have gone by
	if !l.Reached(Finals{1: 2}, nil) {
		t.Error("nothing has to come in a new session")
	}
}

func TestCountsAddUp(t *testing.T) {
	var all Count
	for _, numbers := range [][]int64{{1, 4}, {1, 3, 4}} {
		l := New(Raw)
		number(l, numbers...)
		all.Add(l.Count(Finals{1: 4}, nil))
	}
	if want := (Count{Clients: 2, Received: 5, Lost: 3, Untold: 3, MostUntold: 2}); all != want {
		t.Errorf("%+v, want %+v", all, want)
	}
}

func TestLatency(t *testing.T) {
	var h Latency
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	s := h.Summary()
	near := func(got, want time.Duration) bool { return got >= want && got < want+want/30 }
	if s.Count != 1000 || !near(s.P50, 500*time.Millisecond) || !near(s.P99, 990*time.Millisecond) || !near(s.Max, time.Second) {
		t.Errorf("%+v", s)
	}
	if h.Reset(); h.Summary() != (Summary{}) {
		t.Errorf("%+v after a reset", h.Summary())
	}
}
