//go:build linux

package main

import (
	"bytes"
	"strconv"
)

// stream checks what comes from a Data Adapter: every update has to be the next one of its item and carry the id of its subscription.
type stream struct {
	res   *result
	shape *shape
	wrap  bool // sequences may restart
	exact bool // every update has its own time stamp

	ids  []byte // of the subscriptions, idLen bytes each
	last []int64
	sub  *answers
	usb  *answers
	u    update

	lines    int64 // updates received
	firstTS  int64
	lastTS   int64
	lastTSAt int64 // lines when it came
	sampling bool
	samples  []int64 // ages of the updates
}

func newStream(res *result, cfg *updatesCfg, p *peer) *stream {
	leaving := 1
	if cfg.leave {
		leaving = cfg.items
	}
	s := &stream{
		res: res, shape: cfg.shape, wrap: p.Wrap, exact: cfg.scenario == "LATENCY", last: make([]int64, cfg.items),
		sub: newAnswers("SUB", subBase, cfg.items), usb: newAnswers("USB", usbBase, leaving),
	}
	for i := range cfg.items {
		s.ids = strconv.AppendInt(s.ids, subBase+int64(i), 16)
	}
	if s.exact {
		s.samples = make([]int64, 0, int(float64(cfg.rate)*cfg.window.Seconds()*1.2))
	}
	return s
}

// take checks a line that came at the time now.
func (s *stream) take(line []byte, now int64) {
	if s.u.parse(line) {
		s.update(line, now)
		return
	}
	if string(line) == "KEEPALIVE" {
		return
	}
	for _, a := range [...]*answers{s.sub, s.usb} {
		mine, err := a.take(line, now)
		if err != nil {
			s.res.fail("%v", err)
		}
		if mine {
			return
		}
	}
	s.res.fail("unexpected line %.200q", line)
}

func (s *stream) update(line []byte, now int64) {
	s.lines++
	item := s.u.item
	if item >= len(s.last) || !bytes.Equal(s.u.sub, s.ids[item*idLen:(item+1)*idLen]) {
		s.res.fail("update with a wrong item or subscription: %.200q", line)
		return
	}
	seq, prev := number(s.u.rest, patSeq), s.last[item]
	first := seq == seqBase+1
	restart := first && (prev == 0 || s.wrap)
	if seq != prev+1 && !restart {
		s.res.fail("item-%d: update %d after %d", item, seq-seqBase, max(0, prev-seqBase))
	}
	s.last[item] = seq
	if s.exact || s.lines&15 == 1 || s.shape.every < 16 {
		s.stamp(line, now)
	}
	if s.lines%s.shape.every == 1 {
		if err := s.shape.check(s.u.rest, seq); err != nil {
			s.res.fail("%v", err)
		}
	}
}

// stamp takes the time stamp of an update.
func (s *stream) stamp(line []byte, now int64) {
	ts := number(s.u.rest, patTS)
	if ts < 0 || ts > now {
		s.res.fail("bad time stamp: %.200q", line)
		return
	}
	if s.firstTS == 0 {
		s.firstTS = ts
	}
	if ts > s.lastTS {
		s.lastTS, s.lastTSAt = ts, s.lines
	}
	if s.sampling && s.exact {
		s.samples = append(s.samples, now-ts)
	}
}

// producedRate is how many updates per second were passed to the SDK, by the time stamps.
func (s *stream) producedRate() float64 {
	if s.lastTS <= s.firstTS {
		return 0
	}
	return float64(s.lastTSAt-1) / float64(s.lastTS-s.firstTS) * 1e9
}
