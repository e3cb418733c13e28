package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// local is a broker with the feed in this process.
type local struct {
	*broker.Running
	feed *feed
	skip bool
}

func (l *local) url() string                 { return l.URL() }
func (l *local) ready(context.Context) error { <-l.feed.all; return nil }
func (l *local) start(rate float64) error    { l.feed.start(rate); return nil }
func (l *local) close()                      {}
func (l *local) stop() (stopped, error) {
	sent := l.feed.end()
	if l.skip {
		sent += int64(l.feed.count()) // a round of updates that were never sent, as it seems
	}
	return stopped{Sent: sent}, nil
}

func startLocal(t *testing.T, o options) *local {
	t.Helper()
	f := newFeed(o.layout())
	set := adapter.Set{Data: map[string]adapter.DataProvider{"DEFAULT": f}}
	return &local{Running: broker.StartTest(t, set), feed: f}
}

// Everything that is sent is counted as received; and what is not received, as missing.
func TestLoad(t *testing.T) {
	o := options{sessions: 20, items: 10, fanout: 4, set: "DEFAULT"}
	src := startLocal(t, o)
	l, err := connect(t.Context(), o, src)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for range 2 { // the second run starts from zero
		r, err := l.measure(t.Context(), 4000, 50*time.Millisecond, 300*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		total := int64(0)
		for _, k := range r.Kinds {
			total += k.Received
			if k.Received == 0 {
				t.Errorf("nothing of %s was received", k.Kind)
			}
		}
		if !r.complete() || total+r.Kinds[merge].Missing != r.Sent || r.P50 == 0 || r.Max < r.P999 {
			t.Errorf("%+v", r)
		}
	}
	src.skip = true
	r, err := l.measure(t.Context(), 1000, 0, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if missing := r.Kinds[raw].Missing + r.Kinds[merge].Missing + r.Kinds[command].Missing; missing < int64(o.sessions*o.items) || r.complete() {
		t.Errorf("%d updates are missing: %+v", missing, r)
	}
	text := new(strings.Builder)
	r.print(text)
	if !strings.Contains(text.String(), "RAW") {
		t.Errorf("the table is %s", text)
	}
}

func TestNumbersOfAnItem(t *testing.T) {
	var it item
	for _, seq := range []int64{0, 1, 4, 4, 2, 5} {
		it.received(seq)
	}
	if it.next != 6 || it.lost != 2 || it.wrong != 2 {
		t.Errorf("%+v", it)
	}
}

func TestComplete(t *testing.T) {
	var good, lost, merged, wrong, dropped result
	lost.Kinds[command].Missing = 1
	merged.Kinds[merge].Missing = 1
	wrong.Kinds[merge].Wrong = 1
	dropped.Overflow = 1
	for i, r := range []*result{&good, &lost, &merged, &wrong, &dropped} {
		if want := i == 0 || i == 2; r.complete() != want {
			t.Errorf("case %d: %t", i, r.complete())
		}
	}
	merged.Kinds[merge].Received, merged.Rate, merged.Delivered = 1000, 1000, 990
	if !merged.holds(time.Second) {
		t.Error("it holds")
	}
	merged.P99 = 2 * time.Second
	if merged.holds(time.Second) {
		t.Error("it is too slow")
	}
}

// Quantiles are off by less than two percent, and never too small.
func TestHistogram(t *testing.T) {
	var h histogram
	var all []time.Duration
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		d := time.Duration(random.ExpFloat64()*5000) * time.Microsecond
		h.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, .5, .9, .99, .999} {
		want := all[int(q*float64(len(all)))]
		if got := h.quantile(q); got < want || got > want+want/50 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	for _, us := range []int64{-5, 0, 1, 127, 128, 129, 1 << 20, 1<<31 - 1, 1 << 40} {
		if b := bucket(us); b < 0 || b >= buckets || upper(b) < time.Duration(min(us, 1<<31-1))*time.Microsecond {
			t.Errorf("%d is in bucket %d of %d, which ends at %v", us, b, buckets, upper(b))
		}
	}
	h.reset()
	if h.count() != 0 || h.quantile(.5) != 0 || h.max() != 0 {
		t.Error("it is not empty")
	}
}
