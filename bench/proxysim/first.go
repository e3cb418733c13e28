//go:build linux

package main

import (
	"errors"
	"time"
)

// runFirst starts the adapter a few times, subscribes one item as soon as it is initialised, and takes the time from the start of the process to the
// first update.
func runFirst(p *peer, starts int) (*result, error) {
	var first, initialised []float64
	res := newResult()
	for range starts {
		ms, init, err := firstOnce(p, res)
		if err != nil {
			return nil, err
		}
		first, initialised = append(first, ms), append(initialised, init)
	}
	res.metrics["first_ms"], res.metrics["start_ms"] = median(first), median(initialised)
	return res, nil
}

func firstOnce(p *peer, res *result) (ms, init float64, err error) {
	c, err := start(p, "data", 0, "SCENARIO=FIRST", "ITEMS=1", "THREADS=1")
	if err != nil {
		return 0, 0, err
	}
	defer c.stop()
	s := newStream(res, &updatesCfg{scenario: "FIRST", shape: &plain, items: 1}, p)
	written := send(&c.link, s.sub.requests())
	for deadline := monotonic() + int64(10*time.Second); s.lines == 0 || !s.sub.complete(); {
		err := c.fill()
		now := monotonic()
		if err != nil && !errors.Is(err, errTimeout) {
			return 0, 0, c.lost(err)
		}
		if now > deadline {
			return 0, 0, errors.New("no update after the first subscription")
		}
		for l := c.next(); l != nil; l = c.next() {
			s.take(l, now)
			if s.lines == 1 && ms == 0 {
				ms = float64(now-c.began) / 1e6
			}
		}
	}
	return ms, c.initMs, <-written
}
