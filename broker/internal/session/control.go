package session

import (
	"context"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Submit executes a control request for the session it names, or else for def (nil: none). Answer is called exactly once with the
// answer line, or with nothing if none is due (LS_ack=false on a WebSocket); from this goroutine or from the session's worker, so
// it must not block for long. Submit itself does not block: what needs the Metadata Adapter is done later, in the order of the
// requests.
func (m *Manager) Submit(c Client, def *Session, req tlcp.Control, answer func(line []byte)) {
	s := m.find(req.Session, def)
	if s == nil {
		answer(tlcp.NewRequestError(req.ReqID, tlcp.CodeSessionUnknown).Append(nil))
		return
	}
	s.submit(req, func(code int, text string) {
		switch {
		case code != 0 || text != "":
			answer(tlcp.AppendREQERR(nil, req.ReqID, code, text))
		case req.NoAck && c.WebSocket:
			answer(nil)
		default:
			answer(tlcp.AppendREQOK(nil, req.ReqID))
		}
	})
}

// submit executes a control request. Reply gets the code and the text of the refusal, or nothing; when and how often is as with Submit.
func (s *Session) submit(req tlcp.Control, reply func(code int, text string)) {
	refuse := func(code int) { reply(code, tlcp.RequestText(code)) }
	s.touch()
	var job func()
	switch req.Op {
	case tlcp.OpAdd:
		job = func() { reply(s.subscribe(req.Add)) }
	case tlcp.OpReconf:
		job = func() { reply(s.reconfigure(req.Reconf)) }
	case tlcp.OpDelete:
		job = func() {
			if code := s.unsubscribe(req.Delete.SubID); code != 0 {
				refuse(code)
				return
			}
			reply(0, "")
		}
	case tlcp.OpConstrain:
		s.constrain(req.Constrain.MaxBandwidth)
		reply(0, "")
		return
	case tlcp.OpForceRebind:
		reply(0, "")
		s.rebind(req.ForceRebind.CloseSocket)
		return
	case tlcp.OpDestroy:
		reply(0, "")
		s.terminate(cause{code: req.Destroy.Code, text: req.Destroy.Message})
		return
	case tlcp.OpMPN:
		refuse(tlcp.CodeMPNDisabled)
		return
	default:
		reply(tlcp.CodeInternal, "Operation not supported")
		return
	}
	queued := func() {
		if s.ctx.Err() != nil {
			refuse(tlcp.CodeSessionUnknown)
			return
		}
		job()
	}
	if !s.do(queued, sizeOf(&req)) {
		if s.ctx.Err() != nil {
			refuse(tlcp.CodeSessionUnknown)
			return
		}
		reply(tlcp.CodeInternal, "Too many requests waiting in the session")
	}
}

// sizeOf is how many bytes of text a request keeps while it waits.
func sizeOf(req *tlcp.Control) int {
	n := len(req.ReqID) + len(req.Session)
	if a := req.Add; a != nil {
		n += len(a.Group) + len(a.Schema) + len(a.DataAdapter)
		if a.Selector != nil {
			n += len(*a.Selector)
		}
	}
	return n
}

// Control is Submit for callers that can wait: it appends the answer line, if one is due, and returns when the request is done or ctx
// has ended (then nothing is appended; the request is done all the same).
func (m *Manager) Control(ctx context.Context, c Client, def *Session, req tlcp.Control, dst []byte) []byte {
	done := make(chan []byte, 1)
	m.Submit(c, def, req, func(line []byte) { done <- line })
	select {
	case line := <-done:
		return append(dst, line...)
	case <-ctx.Done():
		return dst
	}
}

// constrain sets the bandwidth the client asks for; 0 is unlimited.
func (s *Session) constrain(kbps float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.byteRate()
	s.bandwidth = kbps
	// What has been sent already is paid for at the new rate.
	if now, rate := time.Now(), s.byteRate(); rate > 0 && s.free.After(now) {
		s.free = now.Add(time.Duration(float64(s.free.Sub(now)) * before / rate))
	} else {
		s.free = time.Time{}
	}
	if b := s.bound; b != nil && !s.noHead {
		b.cons = true
	}
	s.wake()
}

// rebind ends the connection with LOOP, if there is one.
func (s *Session) rebind(closeSocket bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.bound; b != nil {
		b.loop = true
		b.shut = b.shut || closeSocket
		s.wake()
	}
}

// combined executes the control requests of a combined creation, one after the other, before the session has a connection. The error is the
// CONERR to answer: the session has to be given up then.
func (s *Session) combined(ctx context.Context, controls []tlcp.Control) *tlcp.SessionError {
	for _, req := range controls {
		switch req.Op {
		case tlcp.OpAdd, tlcp.OpDelete, tlcp.OpReconf, tlcp.OpConstrain:
		default:
			return &tlcp.SessionError{Code: tlcp.CodeCombinedFailed, Message: req.OpName + " cannot be part of create_session"}
		}
		done := make(chan *tlcp.SessionError, 1)
		s.submit(req, func(code int, text string) {
			var failed *tlcp.SessionError
			if code != 0 || text != "" {
				failed = &tlcp.SessionError{Code: tlcp.CodeCombinedFailed, Message: text}
			}
			done <- failed
		})
		select {
		case failed := <-done:
			if failed != nil {
				return failed
			}
		case <-ctx.Done():
			return tlcp.NewSessionError(tlcp.CodeCombinedFailed) // nobody hears it
		}
	}
	return nil
}
