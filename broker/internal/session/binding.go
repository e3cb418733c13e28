package session

import (
	"context"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Writer is one stream connection: an HTTP response or a WebSocket.
//
// WriteLines gets whole lines, each ended by CR-LF, at most about 16 KiB unless a single line is longer, and must have passed them on
// (flushed) when it returns; it must not keep the slice. It may block up to the transport's write time-out. An error means that the
// connection is lost. It is called from the goroutine that called Run.
type Writer interface {
	WriteLines(lines []byte) error
}

// Reason tells why a connection is over.
type Reason uint8

// The reasons.
const (
	Looped    Reason = iota + 1 // LOOP was written: the session waits for a bind
	Ended                       // END was written: the session is over
	Abandoned                   // another connection has taken the session over: nothing more may be written here
	Lost                        // the connection failed, or its context ended: the session waits for a recovery
)

// End is what Run returns. An HTTP response ends in any case. Of a WebSocket, CloseSocket says that it is to be closed; else it
// stays open for the next bind. (Abandoned by a bind on the same socket, a transport keeps it open all the same.)
type End struct {
	Reason      Reason
	CloseSocket bool
}

// Binding is a session bound to a stream connection that the transport is about to serve. Run must be called once.
type Binding struct {
	s      *Session
	client Client
	req    tlcp.ConnParams // as granted
	// final, if not nil, is all that Run has to write: an END for a session that is over.
	final    []byte
	creation bool  // of a session; it is discarded if this connection fails before the head is written
	prog     int64 // what PROG says; -1: none
	over     chan struct{}
	signal   chan struct{}

	// Guarded by the session's lock.
	idle  bool        // Run waits for the signal
	lost  bool        // the context of Run has ended
	timer *time.Timer // gives the signal when it is due
	due   time.Time   // zero: it is not running
	loop  bool        // force_rebind
	shut  bool        // close the socket at LOOP or END
	cons  bool        // CONS is due
	// puzzle is what Run has to find before the next step; set by step, and the session's again
	// when it is solved.
	puzzle *puzzle

	// Of the goroutine in Run.
	began, spoke, sync time.Time // bound; last write; next SYNC
	headDone           bool      // the first write was a success
	content            int64     // bytes written
	data               int64     // data bytes among them
}

// Session is the session that is bound; nil if the binding only tells the end of one.
func (b *Binding) Session() *Session { return b.s }

// Over is closed when nothing more may be written because another connection has taken the session over. A transport can use it
// to cut a write that blocks.
func (b *Binding) Over() <-chan struct{} { return b.over }

// batch is how much is written at once.
const batch = 16 << 10

// buffers are for what is written at once.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// loopLine is room for a LOOP line.
const loopLine = 16

// Run serves the connection: it writes the head, then the flow, until the binding is over. It runs in the caller's goroutine and
// writes nothing after it has returned. When ctx ends the connection counts as lost.
func (b *Binding) Run(ctx context.Context, w Writer) End {
	if b.final != nil {
		if w.WriteLines(b.final) != nil {
			return End{Reason: Lost, CloseSocket: true}
		}
		return End{Reason: Ended, CloseSocket: true}
	}
	defer b.s.m.wg.Done() // added when the binding was made
	b.s.m.stats.bindings.Add(1)
	defer b.s.m.stats.bindings.Add(-1)

	now := time.Now()
	b.began, b.spoke, b.sync = now, now, now.Add(b.s.m.cfg.SyncInterval)
	defer b.watch(ctx)()
	buf := buffers.Get().(*[]byte)
	for {
		out, idle, reason := b.step((*buf)[:0], now)
		if len(out) > 0 {
			err := w.WriteLines(out)
			now = time.Now()
			b.spoke = now
			b.content += int64(len(out))
			if err != nil {
				return b.broken()
			}
			b.headDone = true
		}
		if *buf = out; cap(out) > 2*batch {
			*buf = nil
		}
		if p := b.puzzle; p != nil && reason == 0 {
			p.solve(b.s.m)
			now = time.Now()
		}
		switch {
		case reason == Lost:
			return b.broken()
		case reason != 0:
			return b.finish(reason)
		case idle:
			// A connection that waits, as most do most of the time, needs no buffer.
			buffers.Put(buf)
			<-b.signal
			buf = buffers.Get().(*[]byte)
			now = time.Now()
		}
	}
}

// watch has Run woken when its context ends or the timer is due. There is one channel to wait at, so that waiting, which is most of what a
// session does, costs as little as can be.
func (b *Binding) watch(ctx context.Context) (stop func()) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.timer = time.AfterFunc(time.Hour, func() {
		b.s.mu.Lock()
		defer b.s.mu.Unlock()
		b.due = time.Time{}
		b.wake()
	})
	b.due = time.Now().Add(time.Hour)
	b.lost = ctx.Err() != nil
	forget := context.AfterFunc(ctx, func() {
		b.s.mu.Lock()
		defer b.s.mu.Unlock()
		b.lost = true
		b.wake()
	})
	return func() {
		forget()
		b.timer.Stop()
	}
}

// wakeAfter sets the timer, unless it runs out before: then Run looks what is due and sets it again. What is due moves on with every
// write, and setting a timer costs more than a look now and then. The session's lock is held.
func (b *Binding) wakeAfter(now time.Time, wait time.Duration) {
	if at := now.Add(wait); b.due.IsZero() || at.Before(b.due) {
		b.due = at
		b.timer.Reset(wait)
	}
}

// wake ends the wait of Run. The session's lock is held.
func (b *Binding) wake() {
	if b.idle {
		b.idle = false
		b.signal <- struct{}{} // of one place, which is free while idle
	}
}

// broken notes that the connection has failed.
func (b *Binding) broken() End {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound != b {
		return End{Reason: Abandoned, CloseSocket: true}
	}
	s.bound = nil
	switch {
	case s.ended:
	case b.creation && !b.headDone:
		s.end(cause{code: tlcp.CodeClosedByServer, text: "Session creation not delivered", by: ByExpiry, expired: true})
	default:
		s.expireIn(s.recoveryTime())
	}
	return End{Reason: Lost, CloseSocket: true}
}

// finish notes that the last line of the connection has been written, or that it was abandoned.
func (b *Binding) finish(r Reason) End {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if r == Looped && s.bound == b {
		s.bound = nil
		if !s.ended {
			s.expireIn(s.m.cfg.RebindTimeout + b.req.PollingInterval)
		}
	}
	return End{Reason: r, CloseSocket: r != Looped || b.shut}
}

// abandon takes the session away from the connection. The session's lock is held.
func (b *Binding) abandon() {
	b.s.bound = nil
	close(b.over)
	b.wake()
}

// step decides what comes next: lines to write, and then either the end of the connection (reason), or to wait for the signal (idle), or
// the next step.
func (b *Binding) step(out []byte, now time.Time) (lines []byte, idle bool, reason Reason) {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.bound != b:
		return nil, false, Abandoned
	case b.lost:
		return nil, false, Lost
	case b.content == 0:
		out = b.head(out)
	}
	if s.ended {
		b.shut = true
		return tlcp.AppendEND(out, s.cause.code, s.cause.text), false, Ended
	}
	if b.cons {
		b.cons = false
		out = tlcp.AppendCONS(out, s.cons())
	}
	if b.puzzle != nil {
		s.solved, b.puzzle = b.puzzle, nil
	}
	before := len(out)
	out, more, full := b.flow(out, now)
	b.puzzle, s.puzzle = s.puzzle, nil
	b.data += int64(len(out) - before)
	if full || b.loop || b.silent(now) || b.req.Polling && b.polled(now, more) {
		s.looped = s.cursor
		return tlcp.AppendLOOP(out, b.req.PollingInterval), false, Looped
	}
	if more {
		return out, false, 0
	}
	out, wait := b.quiet(out, now)
	if len(out) > 0 {
		return out, false, 0 // look again before waiting: writing may take long
	}
	s.solved = nil
	b.idle = true
	b.wakeAfter(now, wait)
	return out, true, 0
}

// head appends what a connection begins with.
func (b *Binding) head(out []byte) []byte {
	s := b.s
	c := s.m.cfg
	if !b.req.ReduceHead || b.creation {
		granted := b.req.Keepalive
		if b.req.Polling {
			granted = b.req.Idle
		}
		out = tlcp.AppendCONOK(out, s.id, c.RequestLimit, granted, c.ControlLink)
	}
	if !b.req.ReduceHead {
		out = tlcp.AppendSERVNAME(out, b.client.ServerName)
		if b.client.RemoteIP != "" {
			out = tlcp.AppendCLIENTIP(out, b.client.RemoteIP)
		}
	}
	if !s.noHead {
		out = tlcp.AppendCONS(out, s.cons())
	}
	if b.prog >= 0 {
		out = tlcp.AppendPROG(out, b.prog)
	}
	return out
}

// flow appends data notifications. More says that there may be more to write at once, full that the connection may carry no more.
func (b *Binding) flow(out []byte, now time.Time) (lines []byte, more, full bool) {
	s := b.s
	limit, force := batch, true
	if room := b.room(len(out)); room < int64(limit) {
		limit, force = int(room), b.data == 0 // something has to get through
	}
	if s.cursor < s.history.last { // a recovery: the lines there were
		if limit <= 0 && !force {
			return out, false, true
		}
		before := len(out)
		next, n := s.history.appendAfter(out, s.cursor, limit)
		if len(next)-before > limit && !force {
			return out, false, true
		}
		s.cursor += n
		return next, true, false
	}
	rate := s.byteRate()
	if rate > 0 {
		if s.free.After(now) {
			return out, false, false
		}
		limit = min(limit, int(rate/4))
	}
	before := len(out)
	next, n, blocked := s.take(out, limit, force, now)
	puzzled := s.puzzle != nil
	if n == 0 {
		return next, puzzled, blocked
	}
	s.history.add(next[before:], n, now)
	s.history.trim(s.m.historyLimit(), s.m.cfg.HistoryTime, now)
	s.counts.historyBytes.Store(int64(s.history.bytes))
	s.cursor = s.history.last
	s.m.stats.lines.Add(n)
	if rate > 0 {
		if s.free.Before(now) {
			s.free = now
		}
		s.free = s.free.Add(seconds(float64(len(next)-before) / rate))
	}
	return next, blocked || puzzled, false
}

// room is how many bytes of data the connection may still carry behind what is in the batch: an HTTP stream to its content length,
// a poll as much as the history is sure to hold.
func (b *Binding) room(inBatch int) int64 {
	switch {
	case b.req.Polling:
		return min(b.req.ContentLength, int64(b.s.m.cfg.HistoryBytes)/2) - b.content - int64(inBatch) - loopLine
	case !b.client.WebSocket:
		return b.req.ContentLength - b.content - int64(inBatch) - loopLine
	}
	return batch
}

// polled says whether a poll is answered: when what was ready has been written, or the idle time is over.
func (b *Binding) polled(now time.Time, more bool) bool {
	return !more && (b.data > 0 || now.Sub(b.began) >= b.req.Idle)
}

// silent says whether a client that promised requests has sent none for too long.
func (b *Binding) silent(now time.Time) bool {
	return b.req.Inactivity > 0 && b.s.heldUp == 0 && now.Sub(b.s.heard) >= b.req.Inactivity+b.s.m.cfg.RebindTimeout
}

// quiet appends what is due when there are no data, and returns how long to wait for some.
func (b *Binding) quiet(out []byte, now time.Time) (lines []byte, wait time.Duration) {
	s := b.s
	wait = time.Hour
	until := func(t time.Time) {
		wait = min(wait, max(t.Sub(now), time.Nanosecond))
	}
	if s.byteRate() > 0 && s.free.After(now) && s.waiting() {
		until(s.free)
	} else if due := s.parking.next(); !due.IsZero() {
		until(due)
	}
	if b.req.Polling {
		until(b.began.Add(b.req.Idle))
		return out, wait
	}
	if !b.req.NoSync {
		if !b.sync.After(now) {
			out = tlcp.AppendSYNC(out, now.Sub(b.began))
			for !b.sync.After(now) {
				b.sync = b.sync.Add(s.m.cfg.SyncInterval)
			}
		}
		until(b.sync)
	}
	probe := b.spoke.Add(b.req.Keepalive)
	if len(out) == 0 && !probe.After(now) {
		return tlcp.AppendPROBE(out), wait
	}
	until(probe)
	if b.req.Inactivity > 0 && s.heldUp == 0 {
		until(s.heard.Add(b.req.Inactivity + s.m.cfg.RebindTimeout))
	}
	return out, wait
}

// take appends the lines that are ready, up to limit bytes, and takes them out of their queues. With force, the first one is
// appended however long it is. Blocked says that one did not fit.
//
// It may also end at a line that needs a difference which is not known yet: then puzzle is set.
func (s *Session) take(out []byte, limit int, force bool, now time.Time) (lines []byte, count int64, blocked bool) {
	defer s.taken()
	base := len(out)
	fits := func(end int) bool { return end-base <= limit || force && count == 0 }
	for len(s.lines) > 0 {
		l := s.lines[0]
		if !fits(len(out) + len(l)) {
			return out, count, true
		}
		out = append(out, l...)
		count++
		s.told(l)
		s.lines[0] = nil
		s.lines = s.lines[1:]
	}
	s.lines = nil
	for p := s.parking.take(now); p != nil; p = s.parking.take(now) {
		if p.key != nil {
			p.key.back()
		}
		if !p.queue.sub.held {
			s.ready.push(p.queue)
		}
	}
	for s.ready.head != nil {
		q := s.ready.head
		if q.head == nil {
			s.ready.pop()
			continue
		}
		if q.holdBack(now) {
			continue
		}
		next, v := q.send(out, now)
		switch v {
		case early:
			s.ready.pop()
			s.parking.add(&q.park, q.turn)
			continue
		case unready:
			return out, count, false
		case made:
		}
		written := len(next) > len(out)
		if written && !fits(len(next)) {
			return out, count, true
		}
		q.commit(now, written)
		s.ready.pop()
		if q.head != nil {
			s.ready.push(q)
		}
		if written {
			count++
		}
		out = next
	}
	return out, count, false
}

// taken ends a take.
func (s *Session) taken() {
	if s.sent > 0 {
		s.counts.sent.Add(s.sent)
		s.sent = 0
	}
	s.release()
	if s.ready.head == nil && s.shown != s.queueBytes {
		s.show()
	}
	s.settle()
}

// waiting says whether lines or events wait to be written.
func (s *Session) waiting() bool {
	return len(s.lines) > 0 || s.ready.head != nil || len(s.parking) > 0
}

// cons is the bandwidth granted: the lower one of what the Metadata Adapter allows and what the client asks for.
func (s *Session) cons() tlcp.Bandwidth {
	limit := s.granted
	if limit <= 0 || s.bandwidth > 0 && s.bandwidth < limit {
		limit = s.bandwidth
	}
	return tlcp.Bandwidth{Limit: atLeast(limit, minBandwidth)}
}

// byteRate is the bandwidth in bytes per second; 0: unlimited.
func (s *Session) byteRate() float64 { return s.cons().Limit * 1000 / 8 }
