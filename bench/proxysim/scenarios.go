//go:build linux

package main

import "time"

// scenario is one kind of run.
type scenario struct {
	name    string
	threads int // producers it needs
	run     func(p *peer) (*result, error)
}

// scale is how long and how large the runs are.
type scale struct {
	flood  time.Duration // warm-up of the tight loops: the same for all peers, since they may pile up updates
	warm   time.Duration // of the others, at least
	share  float64       // of the warm-up that a peer asks for
	window time.Duration
	open   time.Duration // each number of open requests
	storm  int
	million,
	starts int
}

func (o *options) scale() scale {
	s := scale{
		flood: 700 * time.Millisecond, warm: 500 * time.Millisecond, share: 1, window: 700 * time.Millisecond, open: 400 * time.Millisecond,
		storm: 100_000, million: 1_000_000, starts: 5,
	}
	if o.quick {
		s = scale{
			flood: 100 * time.Millisecond, warm: 100 * time.Millisecond, share: 0.3, window: 200 * time.Millisecond, open: 100 * time.Millisecond,
			storm: 20_000, million: 100_000, starts: 2,
		}
	}
	if o.warm > 0 {
		s.flood, s.warm, s.share = o.warm, o.warm, 0
	}
	if o.window > 0 {
		s.window, s.open = o.window, o.window
	}
	return s
}

func (s *scale) warmUp(p *peer) time.Duration {
	return max(s.warm, time.Duration(float64(p.WarmMs)*s.share)*time.Millisecond)
}

const inflight = 8192

// scenarios lists all of them.
func (o *options) scenarios() []scenario {
	s := o.scale()
	all := []scenario{
		s.credit("credit", 1, updatesCfg{items: 1000}),
		s.tight("flood1", 1, 1),
		s.tight("flood1000", 1000, 1),
		s.tight("flood4t", 1000, 4),
		s.credit("credit8t", 8, updatesCfg{items: 1000}),
		s.latency("latency", 0),
		s.latency("latency-eth", 1448),
		{"requests", 1, func(p *peer) (*result, error) {
			return runRequests(p, requestsCfg{open: []int{1, 64, 1024}, primer: s.warmUp(p) / 2, warm: 100 * time.Millisecond, measure: s.open})
		}},
		{"storm", 1, func(p *peer) (*result, error) { return runStorm(p, s.storm) }},
		s.credit("items1", 1, updatesCfg{items: 1, leave: true}),
		s.credit("items1k", 1, updatesCfg{items: 1000, leave: true}),
		s.credit("items100k", 1, updatesCfg{items: s.million / 10, hot: 1000, leave: true}),
		s.credit("items1m", 1, updatesCfg{items: s.million, hot: 1000, leave: true}),
		s.credit("items1m-all", 1, updatesCfg{items: s.million, leave: true}),
		s.credit("large", 1, updatesCfg{items: 10, shape: &large, inflight: 32}),
		s.credit("wide", 1, updatesCfg{items: 100, shape: &wide}),
		s.credit("escape", 1, updatesCfg{items: 1000, shape: &escaping}),
		{"first", 1, func(p *peer) (*result, error) { return runFirst(p, s.starts) }},
		{"drain", 1, func(p *peer) (*result, error) {
			return runUpdates(p, updatesCfg{scenario: "FLOOD", items: 1000, threads: 1, warm: s.warm, window: s.window, count: true})
		}},
	}
	return all
}

func (s *scale) credit(name string, threads int, cfg updatesCfg) scenario {
	cfg.scenario, cfg.threads, cfg.window = "CREDIT", threads, s.window
	if cfg.inflight == 0 {
		cfg.inflight = inflight
	}
	return scenario{name, threads, func(p *peer) (*result, error) {
		c := cfg
		c.warm = s.warmUp(p)
		return runUpdates(p, c)
	}}
}

func (s *scale) tight(name string, items, threads int) scenario {
	return scenario{name, threads, func(p *peer) (*result, error) {
		return runUpdates(p, updatesCfg{scenario: "FLOOD", items: items, threads: threads, warm: s.flood, window: s.window})
	}}
}

func (s *scale) latency(name string, mss int) scenario {
	return scenario{name, 1, func(p *peer) (*result, error) {
		return runUpdates(p, updatesCfg{
			scenario: "LATENCY", items: 100, threads: 1, rate: 10000, mss: mss, warm: s.warmUp(p) / 2, window: s.window * 3 / 2,
		})
	}}
}
