//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// requestsCfg is a run in which a Metadata Adapter answers requests, with each of some numbers of them open at a time.
type requestsCfg struct {
	open    []int
	primer  time.Duration // warm-up before the first
	warm    time.Duration // and before each
	measure time.Duration
}

const (
	reqBase    = 0x30000000000
	groupNames = "item-1 item-2 item-3 item-4 item-5"
	schemaList = "seq ts last time bid ask bidqty askqty"

	// Replies may overtake one another by far, hence a large ring.
	ring = 1 << 20
)

// requestsRun is the state of such a run.
type requestsRun struct {
	c      *child
	res    *result
	bodies [3]string
	want   [3][]byte

	sentAt    []int64 // by number modulo ring
	open      []bool
	opened    int
	next      int64 // to send
	done      int64
	farthest  int64 // how many later requests had been sent when a reply came, at most
	out       []byte
	measuring bool
	samples   []int64
}

func runRequests(p *peer, cfg requestsCfg) (*result, error) {
	c, err := start(p, "metadata", 0, "SCENARIO=REQUESTS")
	if err != nil {
		return nil, err
	}
	defer c.stop()
	r := newRequestsRun(c)
	if _, _, err := r.keepOpen(64, 0, cfg.primer); err != nil {
		return nil, err
	}
	for _, n := range cfg.open {
		r.farthest = 0
		rate, cpu, err := r.keepOpen(n, cfg.warm, cfg.measure)
		if err != nil {
			return nil, err
		}
		pre := fmt.Sprintf("w%d_", n)
		r.res.metrics[pre+"rate"] = rate
		r.res.metrics[pre+"cpu_per_m"] = cpu
		r.res.metrics[pre+"overtaken"] = float64(r.farthest)
		r.res.percentiles(pre, r.samples)
	}
	r.res.process(c)
	return r.res, nil
}

func newRequestsRun(c *child) *requestsRun {
	e := c.enc
	return &requestsRun{
		c: c, res: newResult(), sentAt: make([]int64, ring), open: make([]bool, ring),
		bodies: [3]string{
			"|NUS" + e.params("user", "password", "host", "localhost:8080", "user-agent",
				"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "REQUEST_ID", "123") + "\r\n",
			"|GIS" + e.params("user", groupNames, "S3a2b4c5d6e7f8") + "\r\n",
			"|GSC" + e.params("user", groupNames, schemaList, "S3a2b4c5d6e7f8") + "\r\n",
		},
		want: [3][]byte{
			nil,
			[]byte("|GIS" + e.params("item-1", "item-2", "item-3", "item-4", "item-5")),
			[]byte("|GSC" + e.params("seq", "ts", "last", "time", "bid", "ask", "bidqty", "askqty")),
		},
	}
}

// send writes n more requests.
func (r *requestsRun) send(n int) error {
	first := r.next
	r.out = r.out[:0]
	for range n {
		r.out = strconv.AppendInt(r.out, reqBase+r.next, 16)
		r.out = append(r.out, r.bodies[r.next%3]...)
		r.open[r.next%ring] = true
		r.next++
	}
	r.opened += n
	now := monotonic()
	for i := first; i < r.next; i++ {
		r.sentAt[i%ring] = now
	}
	return r.c.write(r.out)
}

// take checks a reply that came at the time now.
func (r *requestsRun) take(line []byte, now int64) {
	if string(line) == "KEEPALIVE" {
		return
	}
	i := max(0, bytes.IndexByte(line, '|'))
	id, err := strconv.ParseInt(string(line[:i]), 16, 64)
	n := id - reqBase
	if err != nil || n < 0 || n >= r.next || n < r.next-ring || !r.open[n%ring] {
		r.res.fail("reply to an unknown request: %.200q", line)
		return
	}
	ok := bytes.Equal(line[i:], r.want[n%3])
	if n%3 == 0 {
		ok = bytes.HasPrefix(line[i:], []byte("|NUS|D|0")) && bytes.HasSuffix(line, []byte("|B|0"))
	}
	if !ok {
		r.res.fail("wrong reply: %.200q", line)
	}
	r.open[n%ring] = false
	r.farthest = max(r.farthest, r.next-n)
	r.opened--
	r.done++
	if r.measuring {
		r.samples = append(r.samples, now-r.sentAt[n%ring])
	}
}

// keepOpen keeps n requests open for a while, and then lets them all come back.
func (r *requestsRun) keepOpen(n int, warm, measure time.Duration) (rate, cpuPerM float64, err error) {
	if err = r.send(n); err != nil {
		return 0, 0, err
	}
	begin := monotonic()
	var from, done, cpu int64 // when measuring began
	for {
		ferr := r.c.fill()
		now := monotonic()
		if ferr != nil && !errors.Is(ferr, errTimeout) {
			return 0, 0, r.c.lost(ferr)
		}
		for l := r.c.next(); l != nil; l = r.c.next() {
			r.take(l, now)
		}
		switch {
		case from == 0 && now > begin+int64(warm):
			r.measuring, r.samples = true, r.samples[:0]
			from, done, cpu = now, r.done, r.c.cpu()
		case r.measuring && now > from+int64(measure) && r.done > done:
			r.measuring = false
			got := float64(r.done - done)
			rate = got / float64(now-from) * 1e9
			cpuPerM = float64(r.c.cpu()-cpu) / got / 1e3
		}
		switch {
		case now > begin+int64(warm+measure+5*time.Second):
			return 0, 0, fmt.Errorf("%d requests not replied to (%v)", r.opened, r.res.errs)
		case from == 0 || r.measuring:
			if err := r.send(n - r.opened); err != nil {
				return 0, 0, err
			}
		case r.opened == 0:
			return rate, cpuPerM, nil
		}
	}
}
