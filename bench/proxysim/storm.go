//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// runStorm subscribes n items at once, and unsubscribes all of them after the last reply.
func runStorm(p *peer, n int) (*result, error) {
	c, err := start(p, "data", 0, "SCENARIO=STORM", "ITEMS=0")
	if err != nil {
		return nil, err
	}
	defer c.stop()
	res, m := newResult(), map[string]float64{}
	time.Sleep(100 * time.Millisecond) //nolint:forbidigo // what a starting process does is over by then, and its memory settled
	rss := c.rssBytes()
	scale := 1e5 / float64(n)
	for _, a := range []*answers{newAnswers("SUB", subBase, n), newAnswers("USB", usbBase, n)} {
		secs, cpu, err := burst(c, res, a)
		if err != nil {
			return nil, err
		}
		if a.base == subBase {
			m["sub_s"], m["sub_cpu_s"] = secs*scale, cpu*scale
			m["rss_per_item"] = (c.rssBytes() - rss) / float64(n)
			continue
		}
		m["usb_s"], m["usb_cpu_s"] = secs*scale, cpu*scale
		m["rss_after_mb"] = c.rssBytes() / (1 << 20)
	}
	res.metrics = m
	res.process(c)
	return res, nil
}

// burst sends all requests at once, and takes the time to the last reply.
func burst(c *child, res *result, a *answers) (secs, cpu float64, err error) {
	req := a.requests()
	cpu0, begin := c.cpu(), monotonic()
	a.at = begin
	written := send(&c.link, req)
	for !a.complete() {
		err := c.fill()
		now := monotonic()
		if err != nil && !errors.Is(err, errTimeout) {
			return 0, 0, c.lost(err)
		}
		if now > a.at+int64(10*time.Second) {
			return 0, 0, fmt.Errorf("%d replies to %d %s requests only", a.got, len(a.seen), a.verb)
		}
		for l := c.next(); l != nil; l = c.next() {
			mine, err := a.take(l, now)
			if err != nil {
				res.fail("%v", err)
			} else if !mine && string(l) != "KEEPALIVE" {
				res.fail("unexpected line %.200q", l)
			}
		}
	}
	end, cpu1 := monotonic(), c.cpu()
	return float64(end-begin) / 1e9, float64(cpu1-cpu0) / 1e9, <-written
}
