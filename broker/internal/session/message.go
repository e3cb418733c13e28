package session

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// messages is what a session has of client messages. It is guarded by the session's lock.
type messages struct {
	accepted  int   // not yet processed or skipped
	bytes     int64 // of these
	early     int   // of these, those that lack a predecessor
	earlySize int64
	ready     []*message // those that the adapter may have, in their order
	calls     int        // those that it has
	listed    bool       // the session waits for its turn at the courier
	sequences map[string]*sequence
	unordered recent
	room      chan struct{}  // closed when there is room; nil if no request waits for it
	wg        sync.WaitGroup // calls
}

// sequence is a named sequence of messages, processed one at a time in the order of their numbers.
type sequence struct {
	s       *Session
	name    string
	next    int // the number that is due
	missing int // the first number from next on that has not come
	running bool
	waiting map[int]*message
	skipTo  int    // the numbers below it are waited for no more
	skipped []span // the numbers skipped last
	timer   *time.Timer
}

// message is a message accepted.
type message struct {
	text      string
	seq       *sequence // nil: it is in none
	prog      int
	noOutcome bool
	early     bool      // a predecessor has not come
	until     time.Time // how long it waits for that
}

// messageCost and sequenceCost are about what a message and a sequence take besides their text.
const (
	messageCost  = 200
	sequenceCost = 400
)

func (m *message) size() int64 { return int64(len(m.text)) + messageCost }

// span is the numbers from first to last.
type span struct{ first, last int }

const spanCost = 16

// maxSpans bounds what is remembered of skipped messages.
const maxSpans = 100

// recent remembers the last numbers of unordered messages, to know repetitions.
type recent struct {
	ring []int32
	at   int
}

const maxRecent = 1024

// add returns false if the number is there already.
func (r *recent) add(n int32) bool {
	if slices.Contains(r.ring, n) {
		return false
	}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, n)
		return true
	}
	r.ring[r.at] = n
	r.at = (r.at + 1) % maxRecent
	return true
}

// RequestWait is how long an HTTP request with messages may wait for room: clients send it again
// after 4 s.
const RequestWait = 3 * time.Second

// Message accepts a message for the session it names, or else for def (nil: none), and appends the
// answer, if one is due. The message is processed later, and its outcome goes to the session's
// stream connection.
//
// While there is no room for it Message blocks, until ctx ends: then the message is refused. There
// is room again when the Metadata Adapter has processed others, or the session ends; it does not
// take another request of the client. A client that promises heartbeats counts as heard for as
// long.
func (m *Manager) Message(ctx context.Context, c Client, def *Session, req tlcp.Message, dst []byte) []byte {
	s := m.find(req.Session, def)
	if s == nil {
		return tlcp.NewRequestError(req.ReqID, tlcp.CodeSessionUnknown).Append(dst)
	}
	no := s.message(ctx, c, def, req)
	if no == nil && req.NoAck && c.WebSocket {
		return dst
	}
	if no == nil {
		return tlcp.AppendREQOK(dst, req.ReqID)
	}
	s.overLimit(MessageRefused, no)
	return tlcp.AppendREQERR(dst, req.ReqID, no.code, no.text)
}

// denial is why a request is refused.
type denial struct {
	code  int
	text  string
	limit string // by its name in broker.Limits; empty: it is no limit
}

func denied(code int) *denial { return &denial{code: code, text: tlcp.RequestText(code)} }

// retryTime is how often a message is tried again while what waits in other sessions leaves no
// room.
const retryTime = 100 * time.Millisecond

// message accepts a message as soon as there is room.
func (s *Session) message(ctx context.Context, c Client, def *Session, req tlcp.Message) *denial {
	no, room := s.accept(req)
	if room == nil {
		return no
	}
	if def != nil && c.WebSocket { // its requests are not read meanwhile
		def.unread(1)
		defer def.unread(-1)
	}
	for room != nil {
		var retry <-chan time.Time
		if s.m.waiting.Over(0.5) { // it may be the others who leave no room
			retry = time.After(retryTime)
		}
		select {
		case <-room:
		case <-retry:
		case <-s.ctx.Done():
		case <-ctx.Done():
			return &denial{tlcp.CodeInternal, "Too many messages waiting in the session", "PendingMessages"}
		}
		no, room = s.accept(req)
	}
	return no
}

// unread counts how many readers of the client's requests are held up.
func (s *Session) unread(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heldUp += n
	s.heard = time.Now()
	s.wake()
}

// accept takes a message, or recognises the repetition of one. If there is no room for it, it
// returns what is closed when there is some.
func (s *Session) accept(req tlcp.Message) (no *denial, room <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hear()
	switch {
	case s.ended:
		return denied(tlcp.CodeSessionUnknown), nil
	case req.Sequence == tlcp.UnorderedMessages:
		return &denial{code: tlcp.CodeInternal, text: "Reserved sequence name"}, nil
	}
	seq, no, known := s.sequence(req)
	switch {
	case known || no != nil:
		return no, nil
	case s.crowded():
		return &denial{tlcp.CodeInternal, "Too many notifications waiting in the session", "PendingMessages"}, nil
	}
	msg := &message{text: req.Text, seq: seq, prog: req.Prog, noOutcome: req.NoOutcome}
	ms, cfg := &s.messages, &s.m.cfg
	if msg.early = seq != nil && msg.prog != seq.missing; msg.early && !s.roomForEarly(msg) {
		return &denial{tlcp.CodeInternal, "Too many messages waiting for those before them", "PendingMessages"}, nil
	}
	alone := ms.accepted == ms.early
	if !alone && (ms.accepted >= cfg.MaxMessages || ms.bytes+msg.size() > cfg.MaxMessageBytes) || !s.m.reserve(msg.size(), alone) {
		if ms.room == nil {
			ms.room = make(chan struct{})
		}
		return nil, ms.room
	}
	if seq == nil && req.Prog > 0 && !ms.unordered.add(int32(req.Prog)) {
		s.m.waiting.Add(-msg.size())
		return nil, nil
	}
	ms.accepted++
	ms.bytes += msg.size()
	s.m.stats.messages.Add(1)
	if seq == nil {
		s.submitMessage(msg)
		return nil, nil
	}
	wait := cfg.MaxMessageWait
	if req.MaxWait != 0 {
		wait = min(wait, max(req.MaxWait, 0))
	}
	msg.until = time.Now().Add(wait)
	seq.put(msg)
	seq.advance()
	return nil, nil
}

// roomForEarly reports whether a message may wait for its predecessors. No more than half of the
// room is for these: the other half drains as fast as the adapter answers, so that a predecessor
// that is on its way gets in. The lock is held.
func (s *Session) roomForEarly(msg *message) bool {
	ms, cfg := &s.messages, &s.m.cfg
	return ms.early == 0 || ms.early < cfg.MaxMessages/2 && ms.earlySize+msg.size() <= cfg.MaxMessageBytes/2 && !s.m.waiting.Over(0.5)
}

// sequence finds the sequence of a message, nil for none, and whether the message is known already.
func (s *Session) sequence(req tlcp.Message) (seq *sequence, no *denial, known bool) {
	if req.Sequence == "" {
		return nil, nil, false
	}
	ms := &s.messages
	seq = ms.sequences[req.Sequence]
	if seq == nil {
		cost := sequenceCost + int64(len(req.Sequence))
		if len(ms.sequences) >= s.m.cfg.MaxSequences || !s.m.reserve(cost, len(ms.sequences) == 0) {
			return nil, &denial{tlcp.CodeInternal, "Too many message sequences in the session", "Sequences"}, false
		}
		s.kept += cost
		if ms.sequences == nil {
			ms.sequences = make(map[string]*sequence)
		}
		seq = &sequence{s: s, name: strings.Clone(req.Sequence), next: 1, missing: 1}
		ms.sequences[seq.name] = seq
	}
	switch {
	case seq.waiting[req.Prog] != nil:
		return seq, nil, true
	case req.Prog >= seq.next:
		return seq, nil, false
	case slices.ContainsFunc(seq.skipped, func(p span) bool { return p.first <= req.Prog && req.Prog <= p.last }):
		return seq, denied(tlcp.CodeMessageSkipped), false
	}
	return seq, nil, true
}

// submitMessage lets the adapter have a message when it is its turn. The lock is held.
func (s *Session) submitMessage(msg *message) {
	s.messages.ready = append(s.messages.ready, msg)
	s.list()
}

// list has the courier come if there is something for it. The lock is held.
func (s *Session) list() {
	ms := &s.messages
	if !ms.listed && len(ms.ready) > 0 && ms.calls < s.m.cfg.MaxMessageCalls {
		ms.listed = true
		s.set.courier.list(s)
	}
}

// deliver has the Metadata Adapter process the session's next message.
func (s *Session) deliver(c *courier) {
	s.mu.Lock()
	ms := &s.messages
	ms.listed = false
	if s.ended || len(ms.ready) == 0 {
		s.mu.Unlock()
		return
	}
	msg := ms.ready[0]
	ms.ready[0] = nil
	if ms.ready = ms.ready[1:]; len(ms.ready) == 0 {
		ms.ready = nil
	}
	ms.calls++
	ms.wg.Add(1)
	defer ms.wg.Done()
	s.list()
	s.mu.Unlock()

	size := msg.size()
	c.take(size)
	response, err := s.set.Metadata.NotifyMessage(s.ctx, s.user, s.id, msg.text)
	c.give(size)
	if err != nil {
		s.m.logged("session: message refused by the Metadata Adapter", "session", s.label(), "error", errorText(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ms.calls--
	s.dismiss(msg)
	if s.ended {
		return
	}
	s.outcome(msg, response, err)
	if msg.seq != nil {
		msg.seq.running = false
		msg.seq.advance()
	}
	s.list()
}

// outcome tells the client what has become of a message, if it wants to know. The lock is held.
func (s *Session) outcome(msg *message, response string, err error) {
	name := ""
	if msg.seq != nil {
		name = msg.seq.name
	}
	switch {
	case msg.noOutcome:
	case err != nil:
		code, text := messageError(err)
		s.tell(tlcp.AppendMSGFAIL(nil, name, msg.prog, code, text))
	default:
		s.tell(tlcp.AppendMSGDONE(nil, s.client.Version, name, msg.prog, response))
	}
}

// dismiss forgets a message that has been processed, or never will be. The lock is held.
func (s *Session) dismiss(msg *message) {
	ms := &s.messages
	ms.accepted--
	ms.bytes -= msg.size()
	s.m.waiting.Add(-msg.size())
	if ms.room != nil {
		close(ms.room)
		ms.room = nil
	}
}

// put takes a message. The session's lock is held.
func (q *sequence) put(msg *message) {
	if q.waiting == nil {
		q.waiting = make(map[int]*message)
	}
	q.waiting[msg.prog] = msg
	if msg.early {
		q.s.messages.early++
		q.s.messages.earlySize += msg.size()
	}
	q.follow()
}

// follow counts what has all its predecessors as no longer early. The session's lock is held.
func (q *sequence) follow() {
	for msg := q.waiting[q.missing]; msg != nil; msg = q.waiting[q.missing] {
		if msg.early {
			msg.early = false
			q.s.messages.early--
			q.s.messages.earlySize -= msg.size()
		}
		q.missing++
	}
}

// advance processes the message that is due, skips those that have been waited for long enough, or
// waits on. The session's lock is held.
func (q *sequence) advance() {
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
	for !q.running && len(q.waiting) > 0 {
		if msg := q.waiting[q.next]; msg != nil {
			delete(q.waiting, q.next)
			q.next++
			q.running = true
			q.s.submitMessage(msg)
			return
		}
		now, first, soonest := time.Now(), 0, time.Time{}
		for n, msg := range q.waiting {
			if first == 0 || n < first {
				first = n
			}
			if !msg.until.After(now) {
				q.skipTo = max(q.skipTo, n)
			}
			if soonest.IsZero() || msg.until.Before(soonest) {
				soonest = msg.until
			}
		}
		if q.skipTo <= q.next {
			q.wait(soonest.Sub(now))
			return
		}
		q.skip(first - 1)
	}
}

// skip gives up the messages up to the given number.
func (q *sequence) skip(last int) {
	n := last - q.next + 1
	code, text := tlcp.CodeMessageTimeout, tlcp.RequestText(tlcp.CodeMessageTimeout)
	if n > 1 {
		code, text = tlcp.CodeMessagesTimeout, strconv.Itoa(n)
	}
	q.s.tell(tlcp.AppendMSGFAIL(nil, q.name, last, code, text))
	if len(q.skipped) >= maxSpans {
		q.skipped = slices.Delete(q.skipped, 0, 1)
	} else {
		q.s.keep(spanCost)
	}
	q.skipped = append(q.skipped, span{q.next, last})
	q.next = last + 1
	q.missing = q.next
	q.follow()
}

func (q *sequence) wait(d time.Duration) {
	q.timer = time.AfterFunc(d, func() {
		q.s.mu.Lock()
		defer q.s.mu.Unlock()
		if !q.s.ended {
			q.advance()
		}
	})
}

// stopMessages gives up what the adapter does not have yet, when the session ends. The session's
// lock is held.
func (s *Session) stopMessages() {
	ms := &s.messages
	for _, msg := range ms.ready {
		s.dismiss(msg)
	}
	for _, q := range ms.sequences {
		if q.timer != nil {
			q.timer.Stop()
		}
		for _, msg := range q.waiting {
			s.dismiss(msg)
		}
		q.waiting = nil
	}
	ms.ready, ms.early, ms.earlySize = nil, 0, 0
	if ms.room != nil {
		close(ms.room)
		ms.room = nil
	}
}
