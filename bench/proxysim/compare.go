//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/lightstreamer-go/lightstreamer/bench/internal/page"
)

// comparison is what the rounds have measured.
type comparison struct {
	peers   []*peer
	vals    map[string]map[string][]float64 // scenario.metric -> peer -> one value for each round (NaN: none)
	errs    map[string]int                  // failed or wrong runs by peer
	calib   []float64
	rounds  int
	begin   time.Time
	took    time.Duration
	steal   float64 // share of the machine's time
	load    string  // the machine's before the first run
	base    string
	command string
	quick   bool
}

func (c *comparison) put(round int, key, peer string, v float64) {
	m := c.vals[key]
	if m == nil {
		m = map[string][]float64{}
		c.vals[key] = m
	}
	for len(m[peer]) <= round {
		m[peer] = append(m[peer], math.NaN())
	}
	m[peer][round] = v
}

// progress goes where it is not in the way of the report.
func progress(format string, a ...any) { fmt.Fprintf(os.Stderr, "proxysim: "+format+"\n", a...) }

// compare runs all rounds, and writes the report. It tells whether all was well.
func compare(o *options, peers []*peer, sel []scenario) (bool, error) {
	if o.page != "" {
		if err := page.Check(o.page); err != nil {
			return false, err
		}
	}
	c := &comparison{
		peers: peers, vals: map[string]map[string][]float64{}, errs: map[string]int{}, begin: time.Now(), base: o.base, command: o.command, quick: o.quick,
	}
	if o.quick {
		o.rounds = 1
	}
	c.load = loadAverage()
	steal, total := cpuTimes()
	var longest time.Duration
	for ; c.rounds < o.rounds; c.rounds++ {
		t := time.Now()
		if o.budget > 0 && c.rounds > 0 && t.Sub(c.begin)+longest > o.budget {
			progress("out of time after %d rounds", c.rounds)
			break
		}
		for _, s := range sel {
			progress("%4.0f s, round %d of %d: %s", time.Since(c.begin).Seconds(), c.rounds+1, o.rounds, s.name)
			c.calib = append(c.calib, calibrate())
			c.scenario(s)
		}
		longest = max(longest, time.Since(t))
	}
	steal1, total1 := cpuTimes()
	c.took, c.steal = time.Since(c.begin), (steal1-steal)/math.Max(1, total1-total)
	c.sizes()
	return len(c.errs) == 0, c.publish(o)
}

// scenario runs all peers once. Every round starts from another one, so that none always runs after the same one.
func (c *comparison) scenario(s scenario) {
	for i := range c.peers {
		p := c.peers[(i+c.rounds)%len(c.peers)]
		if !p.does(&s) {
			continue
		}
		runtime.GC()
		r, err := s.run(p)
		if err != nil {
			progress("round %d, %s, %s: FAILED: %v", c.rounds+1, s.name, p.Name, err)
			c.errs[p.Name]++
			continue
		}
		for _, e := range r.errs {
			progress("round %d, %s, %s: WRONG: %s", c.rounds+1, s.name, p.Name, e)
			c.errs[p.Name]++
		}
		for k, v := range r.metrics {
			c.put(c.rounds, s.name+"."+k, p.Name, v)
		}
	}
}

// sizes adds the sizes of files, which do not change from round to round.
func (c *comparison) sizes() {
	for _, p := range c.peers {
		for name, file := range p.Sizes {
			info, err := os.Stat(file)
			if err != nil {
				progress("size of %s: %v", name, err)
				c.errs[p.Name]++
				continue
			}
			for round := range c.rounds {
				c.put(round, "size."+name, p.Name, float64(info.Size())/1e6)
			}
		}
	}
}

func (c *comparison) publish(o *options) error {
	report := c.report()
	if _, err := io.WriteString(o.out, report); err != nil {
		return err
	}
	if o.json != "" {
		b, err := json.MarshalIndent(c.export(), "", " ")
		if err == nil {
			err = os.WriteFile(filepath.Clean(o.json), append(b, '\n'), 0o600)
		}
		if err != nil {
			return fmt.Errorf("writing the measures: %w", err)
		}
	}
	if o.page == "" {
		return nil
	}
	if len(c.errs) > 0 {
		return fmt.Errorf("%s is left as it was: a run with failures is not published", o.page)
	}
	return page.Update(o.page, report)
}

// export returns every single value, for -json.
func (c *comparison) export() map[string]any {
	values := map[string]map[string][]*float64{}
	for k, m := range c.vals {
		values[k] = map[string][]*float64{}
		for p, vs := range m {
			for _, v := range vs {
				if math.IsNaN(v) {
					values[k][p] = append(values[k][p], nil)
					continue
				}
				values[k][p] = append(values[k][p], &v)
			}
		}
	}
	return map[string]any{
		"when": c.begin.Format(time.RFC3339), "machine": machine(), "load_average": c.load, "command": c.command, "rounds": c.rounds, "seconds": c.took.Seconds(),
		"calibration_ms": c.calib, "errors": c.errs, "values": values, "floors": c.verdicts(),
	}
}
