package ari

// NotifyNewSession is the request NNS: a session is about to begin.
type NotifyNewSession struct {
	User    Text
	Session string
	Context []Param // REMOTE_IP, USER_AGENT, REQUEST_ID and the like
}

// Append appends the request.
func (n NotifyNewSession) Append(dst []byte, id string, v Version) []byte {
	enc := NNS.Encoding(v)
	dst = appendTaggedText(appendHead(dst, id, NNS), enc, n.User)
	dst = appendStr(dst, enc, n.Session)
	return appendParams(dst, enc, n.Context)
}

// ParseNotifyNewSession reads the body of NNS.
func ParseNotifyNewSession(body []byte, v Version) (NotifyNewSession, error) {
	var n NotifyNewSession
	p := n.parser(body, v)
	n.Context = p.params()
	if err := p.done(); err != nil {
		return NotifyNewSession{}, err
	}
	return n, nil
}

// ParseMap is [ParseNotifyNewSession], but for the context, which it returns; entries that are null are left out. After an error n is empty.
func (n *NotifyNewSession) ParseMap(body []byte, v Version) (context map[string]string, err error) {
	p := n.parser(body, v)
	context = p.paramMap()
	if err := p.done(); err != nil {
		*n = NotifyNewSession{}
		return nil, err
	}
	return context, nil
}

// parser returns one that has come to the context.
func (n *NotifyNewSession) parser(body []byte, v Version) parser {
	p := parser{method: "NNS", rest: body, body: body, enc: NNS.Encoding(v)}
	*n = NotifyNewSession{User: p.text("user"), Session: p.str("session")}
	return p
}

// AppendSessionReply appends the reply to NNS. ttlSeconds is how long the session may live, not positive for no limit;
// before 1.9.0 it cannot be said and is dropped.
func AppendSessionReply(dst []byte, id string, v Version, ttlSeconds int32) []byte {
	if !v.AtLeast(V190) {
		return AppendVoidReply(dst, id, NNS)
	}
	return appendTaggedInt(appendHead(dst, id, NNS), int(ttlSeconds))
}

// ParseSessionReply reads the body of a reply to NNS; a void one, which is legal in every version, is no limit.
func ParseSessionReply(body []byte) (ttlSeconds int32, err error) {
	p := parser{method: "NNS reply", rest: body}
	if string(p.peek()) == "V" {
		return 0, nil
	}
	n := p.nullableInt32("time to live")
	if err := p.done(); err != nil {
		return 0, err
	}
	return int32(n), nil
}

// NotifySessionClose is the request NSC: a session has ended. The reply is void.
type NotifySessionClose struct {
	Session string
}

// Append appends the request.
func (n NotifySessionClose) Append(dst []byte, id string, v Version) []byte {
	return appendStr(appendHead(dst, id, NSC), NSC.Encoding(v), n.Session)
}

// ParseNotifySessionClose reads the body of NSC.
func ParseNotifySessionClose(body []byte, v Version) (NotifySessionClose, error) {
	p := parser{method: "NSC", rest: body, body: body, enc: NSC.Encoding(v)}
	n := NotifySessionClose{Session: p.str("session")}
	if err := p.done(); err != nil {
		return NotifySessionClose{}, err
	}
	return n, nil
}
