//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// updatesCfg is a run in which a Data Adapter sends updates.
type updatesCfg struct {
	scenario string // FLOOD, CREDIT or LATENCY
	shape    *shape
	items    int // subscribed
	hot      int // updated, the first of them; 0: all
	threads  int
	rate     int // LATENCY only
	inflight int // CREDIT only
	warm     time.Duration
	window   time.Duration
	mss      int  // largest TCP segment; 0: that of the loopback interface, 64 KiB
	count    bool // just count the lines: the harness's own ceiling
	leave    bool // unsubscribe all items at the end, and see what is left
}

type phase int

const (
	warming phase = iota
	measuring
	draining
	over
)

// mostSilent is how many reads may find nothing when there should be something: five seconds, those in which the whole machine stood still not counted.
const mostSilent = 5000 / readTimeoutMs

// updatesRun is the state of such a run.
type updatesRun struct {
	*updatesCfg
	*stream

	p       *peer
	c       *child
	phase   phase
	credit  bool
	acked   int64
	subAt   int64 // when the requests began to be sent
	usbAt   int64
	firstAt int64 // first update
	lastAt  int64 // latest update
	silent  int   // reads in a row that found nothing
	written [2]<-chan error
	rss0    float64 // before the subscriptions

	window0, window1 snapshot
}

// snapshot is what had come and been used at a time.
type snapshot struct {
	at, lines, bytes, cpu, self int64
	age                         int64   // of what is being received
	produced                    float64 // updates per second, so far
}

func runUpdates(p *peer, cfg updatesCfg) (*result, error) {
	if cfg.shape == nil {
		cfg.shape = &plain
	}
	c, err := start(p, "data", cfg.mss, cfg.env()...)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	res := newResult()
	r := &updatesRun{updatesCfg: &cfg, stream: newStream(res, &cfg, p), p: p, c: c, credit: cfg.scenario == "CREDIT"}
	r.rss0 = c.rssBytes()
	req := r.sub.requests()
	r.subAt = monotonic()
	r.written[0] = send(&c.link, req)
	hardStop := r.subAt + int64(cfg.warm+cfg.window+15*time.Second) + int64(cfg.items)*int64(100*time.Microsecond)
	for r.phase != over {
		err := c.fill()
		now := monotonic()
		r.silent++
		switch {
		case err == nil:
			r.silent = 0
			r.consume(now)
		case !errors.Is(err, errTimeout):
			return nil, c.lost(err)
		}
		if now > hardStop {
			return nil, fmt.Errorf("run not over in time: %d updates, %d subscription replies", r.lines, r.sub.got)
		}
		r.advance(now)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return res, nil
}

func (cfg *updatesCfg) env() []string {
	env := []string{
		"SCENARIO=" + cfg.scenario, "SHAPE=" + cfg.shape.name, fmt.Sprint("ITEMS=", cfg.items), fmt.Sprint("HOT=", cfg.hot),
		fmt.Sprint("THREADS=", cfg.threads), fmt.Sprint("RATE=", cfg.rate), fmt.Sprint("INFLIGHT=", cfg.inflight),
	}
	if cfg.threads > 4 { // the same on a machine with more cores
		env = append(env, "GOMAXPROCS=2")
	}
	return env
}

// consume takes what has been read.
func (r *updatesRun) consume(now int64) {
	before := r.lines
	if r.count && r.firstAt != 0 {
		r.lines += r.c.skip()
	} else {
		had := r.sub.complete()
		for l := r.c.next(); l != nil; l = r.c.next() {
			r.take(l, now)
		}
		if !had && r.sub.complete() {
			r.res.metrics["sub_us"] = float64(now-r.subAt) / 1e3 / float64(r.items)
			if r.items >= 1000 { // with less, it says nothing about items
				r.res.metrics["rss_per_item"] = (r.c.rssBytes() - r.rss0) / float64(r.items)
			}
		}
	}
	if r.lines > before {
		r.lastAt = now
		if r.firstAt == 0 {
			r.firstAt = now
		}
	}
	if r.credit && r.lines-r.acked >= int64(max(1, r.inflight/8)) {
		r.acked = r.lines
		_ = r.c.credit(r.acked) // a failure shows as the loss of the connection
	}
}

// advance goes from phase to phase as time passes.
func (r *updatesRun) advance(now int64) {
	switch r.phase {
	case warming:
		if r.firstAt != 0 && now >= r.firstAt+int64(r.warm) {
			r.phase, r.sampling = measuring, true
			r.window0 = r.now(now)
		}
	case measuring:
		end := r.window0.at + int64(r.window)
		stalled := r.lines == r.window0.lines
		if now < end || stalled && now < end+int64(3*time.Second) {
			return
		}
		if stalled {
			r.res.fail("no updates during the measured time, after %d", r.lines)
		}
		r.window1, r.sampling = r.now(now), false
		r.phase = over // the rest is of no interest, and may be a very long queue
		if r.credit {
			r.phase = draining
			r.usbAt = now
			r.written[1] = send(&r.c.link, r.usb.requests())
		}
	case draining:
		produced := r.c.out.produced.Load()
		switch {
		case r.usb.complete() && produced >= 0 && (r.lines >= produced || now > r.lastAt+int64(300*time.Millisecond)):
			r.phase = over
		case r.silent >= mostSilent:
			r.res.fail("no end of the updates after the unsubscription: %d of %d replies, %d updates produced, %d received; the adapter's state:\n%s",
				r.usb.got, len(r.usb.seen), produced, r.lines, r.c.dump())
			r.phase = over
		}
	}
}

func (r *updatesRun) now(now int64) snapshot {
	return snapshot{
		at: now, lines: r.lines, bytes: r.c.bytesIn(), cpu: r.c.cpu(), self: selfCPU(), age: now - r.lastTS, produced: r.producedRate(),
	}
}

// end checks that nothing is missing, and computes the metrics.
func (r *updatesRun) end() error {
	if r.credit {
		if !r.sub.complete() {
			r.res.fail("%d replies to %d subscriptions", r.sub.got, r.items)
		}
		if n := r.c.out.produced.Load(); n != r.lines {
			r.res.fail("%d updates produced, %d received", n, r.lines)
		}
	}
	r.figures()
	if r.leave {
		if err := r.afterwards(); err != nil {
			return err
		}
	}
	r.res.process(r.c)
	for _, written := range r.written {
		if written == nil {
			continue
		}
		if err := <-written; err != nil && r.credit {
			return r.c.lost(err)
		}
	}
	return nil
}

func (r *updatesRun) figures() {
	a, b, m := r.window0, r.window1, r.res.metrics
	lines, ns := float64(max(1, b.lines-a.lines)), float64(b.at-a.at)
	m["rate"] = lines / ns * 1e9
	m["mbps"] = float64(b.bytes-a.bytes) / ns * 1e3
	m["bytes_per_update"] = float64(b.bytes-a.bytes) / lines
	m["cpu_per_m"] = float64(b.cpu-a.cpu) / lines / 1e3 // s per million
	m["cpu_per_gb"] = float64(b.cpu-a.cpu) / float64(max(1, b.bytes-a.bytes))
	m["cpu_load"] = float64(b.cpu-a.cpu) / ns
	m["harness_load"] = float64(b.self-a.self) / ns
	if !r.count && !r.p.Wrap {
		m["backlog_ms"] = float64(b.age) / 1e6
		m["produced_rate"] = b.produced
		m["backlog_updates"] = float64(b.age) / 1e9 * b.produced
	}
	if r.exact {
		n := float64(len(r.samples))
		r.res.percentiles("", r.samples)
		m["behind"] = 0
		if n/ns*1e9 < 0.93*float64(r.rate) {
			m["behind"] = 1 // can't keep the pace: latencies mean little
		}
	}
}

// afterwards measures what the unsubscription of all items took and left. Peers written in Go also tell, a little later, what is left on their heap.
func (r *updatesRun) afterwards() error {
	m := r.res.metrics
	m["usb_us"] = float64(r.usb.at-r.usbAt) / 1e3 / float64(r.items)
	for deadline := monotonic() + int64(5*time.Second); monotonic() < deadline; {
		stats := r.c.out.stats()
		if _, ok := stats["heap_after_mb"]; ok || len(stats) == 0 {
			break
		}
		if err := r.c.fill(); err != nil && !errors.Is(err, errTimeout) {
			return r.c.lost(err)
		}
	}
	m["rss_after_mb"] = r.c.rssBytes() / (1 << 20)
	return nil
}
