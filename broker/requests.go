package broker

import (
	"bytes"
	"context"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/session"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// open creates a session, with the control requests that may come with it, or binds one. Def is the session last bound to the WebSocket, nil elsewhere.
func (f *frontend) open(ctx context.Context, c session.Client, name tlcp.Name, body []byte, def *session.Session) (*session.Binding, *tlcp.SessionError) {
	line, more := soleLine(body)
	switch {
	case len(body) > f.cfg.Limits.Request:
		return nil, &tlcp.SessionError{Code: tlcp.CodeMalformed, Message: f.tooLong()}
	case more && name == tlcp.NameBindSession:
		return nil, &tlcp.SessionError{Code: tlcp.CodeMalformed, Message: "bind_session has one line"}
	}
	if name == tlcp.NameCreateSession {
		req, refusal := tlcp.ParseCreateSession(line)
		if refusal != nil {
			return nil, refusal
		}
		controls, refusal := tlcp.ParseCombined(body)
		if refusal != nil {
			return nil, refusal
		}
		return f.sessions.Create(ctx, c, req, controls...)
	}
	req, refusal := tlcp.ParseBindSession(line)
	switch {
	case refusal != nil:
		return nil, refusal
	case req.Session == "" && def == nil:
		return nil, &tlcp.SessionError{Code: tlcp.CodeMalformed, Message: "parameter LS_session: missing"}
	}
	return f.sessions.Bind(ctx, c, req, def)
}

// soleLine returns the first line of a body, and whether there are others that are not empty.
func soleLine(body []byte) (line []byte, more bool) {
	n := 0
	for l := range tlcp.Lines(body) {
		if n == 0 {
			line = l
		} else if len(l) > 0 {
			return line, true
		}
		n++
	}
	return line, false
}

// answers executes the lines of an HTTP request one after the other. Each gets its answer line: a client repeats at once what it finds
// without one.
func (f *frontend) answers(ctx context.Context, req request) []byte {
	var out []byte
	// What is short of time is the room for messages: all of them together wait for it no longer.
	waiting := ctx
	if req.name == tlcp.NameMsg {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, session.RequestWait)
		defer cancel()
	}
	one := func(line []byte) {
		switch req.name {
		case tlcp.NameControl:
			c, refusal := tlcp.ParseControl(line)
			if refusal = f.checkLength(req.body, refusal, c.ReqID); refusal != nil {
				out = refusal.Append(out)
				return
			}
			c.Session = orDefault(c.Session, req.session)
			out = f.sessions.Control(ctx, req.client, nil, c, out)
		case tlcp.NameMsg:
			m, refusal := tlcp.ParseMessage(line)
			if refusal = f.checkLength(req.body, refusal, m.ReqID); refusal != nil {
				out = refusal.Append(out)
				return
			}
			m.Session = orDefault(m.Session, req.session)
			out = f.sessions.Message(waiting, req.client, nil, m, out)
		default:
			h, refusal := tlcp.ParseHeartbeat(line)
			if refusal != nil {
				out = refusal.Append(out)
				return
			}
			f.sessions.Heartbeat(orDefault(h.Session, req.session), nil)
			out = tlcp.AppendREQOK(out, "")
		}
	}
	eachLine(req.body, one)
	return out
}

// eachLine calls f for the lines of a body that are not empty; if there are none, once for an empty one, so that every request gets an
// answer.
func eachLine(body []byte, f func(line []byte)) {
	body = bytes.TrimRight(body, "\r\n")
	if len(body) == 0 {
		f(nil)
		return
	}
	for line := range tlcp.Lines(body) {
		if len(line) > 0 {
			f(line)
		}
	}
}

// checkLength refuses a request that came in a body over the limit, with a code that does not make the client give up its session. Its
// end may be missing, so that what else is wrong with it is of no interest.
func (f *frontend) checkLength(body []byte, refusal *tlcp.RequestError, reqID string) *tlcp.RequestError {
	if len(body) <= f.cfg.Limits.Request {
		return refusal
	}
	if refusal != nil {
		reqID = refusal.ReqID
	}
	return &tlcp.RequestError{ReqID: reqID, Code: tlcp.CodeInternal, Message: f.tooLong()}
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}
