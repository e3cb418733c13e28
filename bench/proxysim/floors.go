//go:build linux

package main

import (
	"fmt"
	"math"
	"strings"
)

// floor is a figure that the SDK must reach, and how it is computed from a run: the measure of a peer, divided by that of others in the same round if
// there are any.
type floor struct {
	figure  string
	key     string   // scenario.metric
	peer    string   // whose
	of      []string // what it is divided by: the best of these; nil: nothing
	ofKey   string   // the measure of those; empty: key
	atLeast float64  // either of these
	atMost  float64
	unit    string // of what is not divided
}

var (
	official = []string{"python", "node", "java"}
	java     = []string{"java"}
)

// floors are what the project has set itself.
var floors = []floor{
	{figure: "updates/s sustained, field list", key: "credit.rate", peer: "gosdk", of: java, atLeast: 3.2},
	{figure: "the same", key: "credit.rate", peer: "gosdk", of: []string{"goraw"}, atLeast: 1},
	{figure: "the same with a map for each update", key: "credit.rate", peer: "gosdk-map", of: java, atLeast: 1.5},
	{figure: "CPU per update, field list", key: "credit.cpu_per_m", peer: "gosdk", of: java, atMost: 0.25},
	{figure: "CPU per update, map", key: "credit.cpu_per_m", peer: "gosdk-map", of: java, atMost: 0.5},
	{figure: "updates/s of 4 producers, against 1", key: "flood4t.rate", peer: "gosdk", of: []string{"gosdk"}, ofKey: "flood1000.rate", atLeast: 1},
	{figure: "updates/s sustained of 8 producers, against 1", key: "credit8t.rate", peer: "gosdk", of: []string{"gosdk"}, ofKey: "credit.rate", atLeast: 1},
	{figure: "share of the limit writer's rate", key: "credit.rate", peer: "gosdk", of: []string{"limit"}, ofKey: "flood1000.rate", atLeast: 0.35},
	{figure: "peak memory in an unbounded tight loop", key: "flood1000.peak_rss_mb", peer: "gosdk", atMost: 20, unit: "MB"},
	{figure: "latency at 10,000 updates/s, Ethernet segments, p50", key: "latency-eth.p50_us", peer: "gosdk", of: official, atMost: 0.6},
	{figure: "the same, p99", key: "latency-eth.p99_us", peer: "gosdk", of: official, atMost: 0.1},
	{figure: "latency at 10,000 updates/s, loopback segments, p50", key: "latency.p50_us", peer: "gosdk", of: []string{"node-nd"}, atMost: 1.5},
	{figure: "requests/s, 1 open", key: "requests.w1_rate", peer: "gosdk", of: []string{"node"}, atLeast: 1},
	{figure: "requests/s, 64 open", key: "requests.w64_rate", peer: "gosdk", of: java, atLeast: 4},
	{figure: "requests/s, 1024 open", key: "requests.w1024_rate", peer: "gosdk", of: java, atLeast: 10},
	{figure: "100,000 subscriptions, to the last reply", key: "storm.sub_s", peer: "gosdk", of: java, atMost: 0.15},
	{figure: "100,000 unsubscriptions, to the last reply", key: "storm.usb_s", peer: "gosdk", of: java, atMost: 0.15},
	{figure: "memory of a subscribed item", key: "storm.rss_per_item", peer: "gosdk", of: java, atMost: 0.25},
	{figure: "live heap after 1,000,000 items have been unsubscribed", key: "items1m.heap_after_mb", peer: "gosdk", atMost: 10, unit: "MB"},
	{figure: "process start to initialised", key: "requests.start_ms", peer: "gosdk", of: java, atMost: 0.1},
	{figure: "process start to the first update on the wire", key: "first.first_ms", peer: "gosdk", atMost: 50, unit: "ms"},
	{figure: "CPU per update with 1,000 items subscribed, against 1", key: "items1k.cpu_per_m", peer: "gosdk", of: []string{"gosdk"}, ofKey: "items1.cpu_per_m", atMost: 1.2},
	{figure: "the same with 100,000", key: "items100k.cpu_per_m", peer: "gosdk", of: []string{"gosdk"}, ofKey: "items1.cpu_per_m", atMost: 1.2},
	{figure: "the same with 1,000,000", key: "items1m.cpu_per_m", peer: "gosdk", of: []string{"gosdk"}, ofKey: "items1.cpu_per_m", atMost: 1.2},
}

// verdict is what became of a floor.
type verdict struct {
	Figure   string   `json:"figure"`
	Peer     string   `json:"peer"`
	Wanted   string   `json:"wanted"`
	Measured *float64 `json:"measured"` // null: not measured
	Reached  bool     `json:"reached"`
	text     string
}

// better tells which of two values the floor prefers.
func (f *floor) better(a, b float64) bool {
	if f.atMost > 0 {
		return a < b
	}
	return a > b
}

// best is the best value of the peers that it is divided by, round by round. A floor that names several wants all of them to have run.
func (f *floor) best(c *comparison) []float64 {
	key := f.ofKey
	if key == "" {
		key = f.key
	}
	best := make([]float64, c.rounds)
	for round := range best {
		best[round] = math.NaN()
		for _, p := range f.of {
			vs := c.vals[key][p]
			if round >= len(vs) || math.IsNaN(vs[round]) {
				best[round] = math.NaN()
				break
			}
			if math.IsNaN(best[round]) || f.better(vs[round], best[round]) {
				best[round] = vs[round]
			}
		}
	}
	return best
}

func (f *floor) verdict(c *comparison) verdict {
	v := verdict{Figure: f.figure, Peer: f.peer, text: "–"}
	show := func(x float64) string {
		if f.of == nil {
			return human(x) + " " + f.unit
		}
		s := fmt.Sprintf("%.2f × ", x)
		switch {
		case len(f.of) > 1:
			return s + "the best of " + strings.Join(f.of, ", ")
		case f.of[0] == f.peer:
			return strings.TrimSuffix(s, " ")
		}
		return s + f.of[0]
	}
	limit := max(f.atLeast, f.atMost)
	v.Wanted = map[bool]string{true: "at most ", false: "at least "}[f.atMost > 0] + show(limit)
	x := median(c.vals[f.key][f.peer])
	if f.of != nil {
		x = ratio(c.vals[f.key][f.peer], f.best(c))
	}
	if math.IsNaN(x) {
		return v
	}
	v.Measured, v.Reached = &x, x == limit || f.better(x, limit)
	v.text = fmt.Sprintf("%.2f ×", x)
	if f.of == nil {
		v.text = show(x)
	} else if limit := ratio(c.vals[f.key]["limit"], f.best(c)); !v.Reached && !math.IsNaN(limit) {
		v.text += fmt.Sprintf(" (limit: %.2f ×)", limit) // whether it can be reached here
	}
	return v
}

func (c *comparison) verdicts() (all []verdict) {
	for _, f := range floors {
		all = append(all, f.verdict(c))
	}
	return all
}
