package session

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// messages is what a session has of client messages. It is guarded by the session's lock.
type messages struct {
	pending   int // accepted, and not yet processed or skipped
	sequences map[string]*sequence
	unordered recent
	wg        sync.WaitGroup // messages in process
}

// sequence is a named sequence of messages, processed one at a time in the order of their numbers.
type sequence struct {
	s       *Session
	name    string
	next    int // the number that is due
	running bool
	early   map[int]*message // those that came before their predecessors
	skipTo  int              // the numbers below it are waited for no more
	skipped []span           // the numbers skipped last
	timer   *time.Timer
}

// message is a message accepted. Until is how long it waits for its predecessors.
type message struct {
	tlcp.Message
	until time.Time
}

// span is the numbers from first to last.
type span struct{ first, last int }

// maxSpans bounds what is remembered of skipped messages.
const maxSpans = 100

// recent remembers the last numbers of unordered messages, to know repetitions.
type recent struct {
	seen map[int]struct{}
	ring []int
	at   int
}

const maxRecent = 1024

// add returns false if the number is there already.
func (r *recent) add(n int) bool {
	if _, ok := r.seen[n]; ok {
		return false
	}
	if r.seen == nil {
		r.seen = make(map[int]struct{})
	}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, n)
	} else {
		delete(r.seen, r.ring[r.at])
		r.ring[r.at] = n
		r.at = (r.at + 1) % maxRecent
	}
	r.seen[n] = struct{}{}
	return true
}

// Message accepts a message for the session it names, or else for def (nil: none), and appends the answer, if one is due. It does
// not block: the message is processed later, and its outcome goes to the session's stream connection. ctx is not used.
func (m *Manager) Message(_ context.Context, c Client, def *Session, req tlcp.Message, dst []byte) []byte {
	s := m.find(req.Session, def)
	if s == nil {
		return tlcp.NewRequestError(req.ReqID, tlcp.CodeSessionUnknown).Append(dst)
	}
	if refusal := s.accept(req); refusal != nil {
		refusal.ReqID = req.ReqID
		return refusal.Append(dst)
	}
	if req.NoAck && c.WebSocket {
		return dst
	}
	return tlcp.AppendREQOK(dst, req.ReqID)
}

// accept takes a message, or recognises the repetition of one.
func (s *Session) accept(req tlcp.Message) *tlcp.RequestError {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	switch {
	case s.ended:
		return tlcp.NewRequestError("", tlcp.CodeSessionUnknown)
	case req.Sequence == tlcp.UnorderedMessages:
		return &tlcp.RequestError{Code: tlcp.CodeSyntax, Message: "Reserved sequence name"}
	}
	seq, code := s.sequence(req)
	switch {
	case code < 0: // a repetition
		return nil
	case code > 0:
		return tlcp.NewRequestError("", code)
	case s.crowded():
		return &tlcp.RequestError{Code: tlcp.CodeInternal, Message: "Too many messages waiting in the session"}
	}
	if seq == nil && req.Prog > 0 && !s.messages.unordered.add(req.Prog) {
		return nil
	}
	s.messages.pending++
	s.m.stats.messages.Add(1)
	msg := &message{Message: req}
	if seq == nil {
		s.process(msg, nil)
		return nil
	}
	wait := s.m.cfg.MaxMessageWait
	if req.MaxWait != 0 {
		wait = min(wait, max(req.MaxWait, 0))
	}
	msg.until = time.Now().Add(wait)
	seq.early[req.Prog] = msg
	seq.advance()
	return nil
}

// sequence finds the sequence of a message, nil for none. The code is that of the refusal; negative if the message is known.
func (s *Session) sequence(req tlcp.Message) (seq *sequence, code int) {
	if req.Sequence == "" {
		return nil, 0
	}
	seq = s.messages.sequences[req.Sequence]
	if seq == nil {
		if len(s.messages.sequences) >= s.m.cfg.MaxSequences {
			return nil, tlcp.CodeInternal
		}
		if s.messages.sequences == nil {
			s.messages.sequences = make(map[string]*sequence)
		}
		seq = &sequence{s: s, name: req.Sequence, next: 1, early: make(map[int]*message)}
		s.messages.sequences[req.Sequence] = seq
	}
	switch {
	case seq.early[req.Prog] != nil:
		return seq, -1
	case req.Prog >= seq.next:
		return seq, 0
	case slices.ContainsFunc(seq.skipped, func(p span) bool { return p.first <= req.Prog && req.Prog <= p.last }):
		return seq, tlcp.CodeMessageSkipped
	}
	return seq, -1
}

// process has the Metadata Adapter process a message, in a goroutine that then goes on with the sequence, if there is one.
func (s *Session) process(msg *message, seq *sequence) {
	s.messages.wg.Go(func() {
		response, err := s.set.Metadata.NotifyMessage(s.ctx, s.user, s.id, msg.Text)
		if err != nil {
			s.m.log.Info("session: message refused by the Metadata Adapter", "session", s.label(), "error", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.messages.pending--
		if s.ended {
			return
		}
		switch {
		case msg.NoOutcome:
		case err != nil:
			code, text := messageError(err)
			s.tell(tlcp.AppendMSGFAIL(nil, msg.Sequence, msg.Prog, code, text))
		default:
			s.tell(tlcp.AppendMSGDONE(nil, s.client.Version, msg.Sequence, msg.Prog, response))
		}
		if seq != nil {
			seq.running = false
			seq.advance()
		}
	})
}

// advance processes the message that is due, skips those that have been waited for long enough, or waits on. The session's lock is
// held.
func (q *sequence) advance() {
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
	for !q.running && len(q.early) > 0 {
		if msg := q.early[q.next]; msg != nil {
			delete(q.early, q.next)
			q.next++
			q.running = true
			q.s.process(msg, q)
			return
		}
		now, first, soonest := time.Now(), 0, time.Time{}
		for n, msg := range q.early {
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
	}
	q.skipped = append(q.skipped, span{q.next, last})
	q.next = last + 1
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

// stop stops the timers, when the session ends.
func (ms *messages) stop() {
	for _, q := range ms.sequences {
		if q.timer != nil {
			q.timer.Stop()
		}
	}
}
