package tlcp

import "time"

// UnorderedMessages is a sequence name clients must not use on the wire; a message with it is refused.
const UnorderedMessages = "UNORDERED_MESSAGES"

// Message is one line of a msg request.
type Message struct {
	Session   string // LS_session; empty: the default of the transport
	ReqID     string // LS_reqId, never empty in a parsed request
	Text      string // LS_message; anything, line breaks included
	Sequence  string // LS_sequence; empty: unordered
	Prog      int    // LS_msg_prog, from 1; 0: none, only without sequence and outcome
	MaxWait   time.Duration
	NoAck     bool // LS_ack=false: no REQOK; of no effect over HTTP
	NoOutcome bool // LS_outcome=false: neither MSGDONE nor MSGFAIL
}

// ParseMessage reads one line of a msg request. The error is the answer, as in [ParseControl]. MaxWait is LS_max_wait: 0 if it was
// not sent (the server decides), negative if it was 0 (missing messages are not waited for).
func ParseMessage(line []byte) (Message, *RequestError) {
	r := reader{}
	r.params, r.err = ParseParams(line)
	m := Message{
		Session:   r.params.String("LS_session", ""),
		ReqID:     r.reqID(),
		Text:      r.require("LS_message"),
		Sequence:  r.sequence(),
		Prog:      int(r.int("LS_msg_prog", 0, 1, maxInt32)),
		NoAck:     !r.bool("LS_ack", true),
		NoOutcome: !r.bool("LS_outcome", true),
	}
	if _, ok := r.params.Lookup("LS_max_wait"); ok {
		if m.MaxWait = r.millis("LS_max_wait"); m.MaxWait == 0 {
			m.MaxWait = -1
		}
	}
	if m.Sequence != "" || !m.NoOutcome {
		r.require("LS_msg_prog")
	}
	if r.err != nil {
		return Message{}, r.requestError(m.ReqID)
	}
	return m, nil
}

func (r *reader) sequence() string {
	s, ok := r.params.Lookup("LS_sequence")
	if !ok {
		return ""
	}
	valid := s != "" && len(s) <= 255
	for i := range len(s) {
		valid = valid && isWordByte(s[i])
	}
	switch {
	case !valid:
		r.fail(&ParamError{"LS_sequence", s, "want letters, digits and underscores"})
	case s == UnorderedMessages:
		r.fail(&ParamError{"LS_sequence", s, "the name " + UnorderedMessages + " is reserved"})
	}
	return s
}

// Append appends the request line, without CR-LF, as a client sends it.
func (m *Message) Append(dst []byte) []byte {
	start := len(dst)
	if m.Session != "" {
		dst = appendParam(dst, start, "LS_session", m.Session)
	}
	dst = appendParam(dst, start, "LS_reqId", m.ReqID)
	dst = appendParam(dst, start, "LS_message", m.Text)
	if m.NoOutcome {
		dst = appendParam(dst, start, "LS_outcome", "false")
	}
	if m.Sequence != "" {
		dst = appendParam(dst, start, "LS_sequence", m.Sequence)
	}
	if m.Prog > 0 {
		dst = appendIntParam(dst, start, "LS_msg_prog", int64(m.Prog))
	}
	if m.MaxWait != 0 {
		dst = appendIntParam(dst, start, "LS_max_wait", max(m.MaxWait.Milliseconds(), 0))
	}
	if m.NoAck {
		dst = appendParam(dst, start, "LS_ack", "false")
	}
	return dst
}

// Heartbeat is the heartbeat request.
type Heartbeat struct {
	Session string // LS_session; empty: the default of the transport
}

// ParseHeartbeat reads the parameter line of heartbeat, usually empty. It has no request id, so an error is answered by ERROR.
func ParseHeartbeat(line []byte) (Heartbeat, *RequestError) {
	r := reader{}
	r.params, r.err = ParseParams(line)
	if r.err != nil {
		return Heartbeat{}, r.requestError("")
	}
	return Heartbeat{Session: r.params.String("LS_session", "")}, nil
}

// Append appends the parameter line, without CR-LF.
func (h *Heartbeat) Append(dst []byte) []byte {
	if h.Session == "" {
		return dst
	}
	return appendParam(dst, len(dst), "LS_session", h.Session)
}
