package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// load is all sessions together.
type load struct {
	o        options
	src      source
	sessions []*session
	latency  histogram
	received [3]atomic.Int64 // by kind
	overflow atomic.Int64    // updates that the broker says it has dropped
}

// connecting is how many sessions are opened at a time.
const connecting = 20

func connect(ctx context.Context, o options, src source) (*load, error) {
	l := &load{o: o, src: src, sessions: make([]*session, o.sessions)}
	items := o.layout()
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	places := make(chan struct{}, connecting)
	for i := range l.sessions {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			s, err := dial(ctx, src.url(), o.set, i%items.groups, items, l)
			if err != nil {
				once.Do(func() { first = fmt.Errorf("session %d: %w", i, err) })
				return
			}
			l.sessions[i] = s
		})
	}
	wg.Wait()
	if first == nil {
		first = src.ready(ctx)
	}
	if first != nil {
		l.close()
		return nil, first
	}
	return l, nil
}

func (l *load) close() {
	for _, s := range l.sessions {
		if s != nil {
			s.conn.CloseNow()
			<-s.done
		}
	}
}

// drainTime is how long updates may still be on their way when the feed has stopped.
const drainTime = 20 * time.Second

// measure runs the feed at a rate, and tells what came of it. Latencies count after the warm-up; losses from the beginning.
func (l *load) measure(ctx context.Context, rate float64, warmup, duration time.Duration) (*result, error) {
	for _, s := range l.sessions {
		s.eachItem(func(_ kind, it *item) { *it = item{number: it.number} })
	}
	for k := range l.received {
		l.received[k].Store(0)
	}
	l.overflow.Store(0)
	if err := l.src.start(rate / float64(l.o.fanout)); err != nil {
		return nil, err
	}
	begin := time.Now()
	r := &result{Sessions: l.o.sessions, ItemsPerSession: l.o.items, Fanout: l.o.fanout, Rate: rate, Duration: duration}
	if err := wait(ctx, warmup); err != nil {
		return nil, err
	}
	l.latency.reset()
	before, machine, counted := ownUsage(), machineTime(), l.total()
	if err := wait(ctx, duration); err != nil {
		return nil, err
	}
	r.Load = ownUsage().since(before)
	machine = machineTime() - machine
	r.Delivered = float64(l.total()-counted) / duration.Seconds()
	r.P50, r.P99, r.P999, r.Max = l.latency.quantile(.5), l.latency.quantile(.99), l.latency.quantile(.999), l.latency.max()
	end, err := l.src.stop()
	if err != nil {
		return nil, err
	}
	r.Seconds = time.Since(begin).Seconds()
	r.Rest = max(machine.Seconds()/duration.Seconds()-r.Load.cores()-end.Usage.cores(), 0)
	r.Broker, r.Sent = end.Usage, end.Sent*int64(l.o.fanout)
	l.drain(ctx, end.Sent)
	for k := range r.Kinds {
		r.Kinds[k].Kind = kind(k).String()
		r.Kinds[k].Received = l.received[k].Load()
	}
	r.Overflow, r.LoadAverage = l.overflow.Load(), loadAverage()
	return r, l.count(r, end.Sent)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *load) total() (n int64) {
	for k := range l.received {
		n += l.received[k].Load()
	}
	return n
}

// drain waits until nothing comes any more that is still due.
func (l *load) drain(ctx context.Context, sent int64) {
	quiet, last := 0, int64(-1)
	for deadline := time.Now().Add(drainTime); time.Now().Before(deadline) && quiet < 5; {
		if wait(ctx, 100*time.Millisecond) != nil {
			return
		}
		now := l.total()
		if now == last {
			quiet++
		} else {
			quiet, last = 0, now
		}
		if now == sent*int64(l.o.fanout) {
			return
		}
	}
}

// count adds up what each item has missed. The sessions are quiet by now.
func (l *load) count(r *result, sent int64) error {
	total := int64(l.o.layout().count())
	for i, s := range l.sessions {
		select {
		case <-s.done:
			return fmt.Errorf("session %d has ended: %w", i, s.err)
		default:
		}
		s.eachItem(func(k kind, it *item) {
			expected := sent / total
			if int64(it.number) < sent%total {
				expected++
			}
			r.Kinds[k].Missing += it.lost + max(expected-it.next, 0)
			r.Kinds[k].Wrong += it.wrong
		})
	}
	return nil
}
