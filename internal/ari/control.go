package ari

// ForceSession is the remote's request FST, from 1.9.0 on: end a session. The reply is void, also when the session does
// not exist.
type ForceSession struct {
	Session  string
	HasCause bool // Code and Message are told to the client
	Code     int  // negative or 0
	Message  Text
}

// Append appends the request.
func (f ForceSession) Append(dst []byte, id string, v Version) []byte {
	enc := FST.Encoding(v)
	dst = appendStr(appendHead(dst, id, FST), enc, f.Session)
	if !f.HasCause {
		return append(dst, "|V"...)
	}
	return appendTaggedText(appendTaggedInt(dst, f.Code), enc, f.Message)
}

// ParseForceSession reads the body of FST as the proxy gets it.
func ParseForceSession(body []byte, v Version) (ForceSession, error) {
	p := parser{method: "FST", rest: body, enc: FST.Encoding(v)}
	f := ForceSession{Session: p.str("session")}
	if string(p.peek()) == "V" {
		p.cut()
	} else {
		f.HasCause = true
		f.Code = p.int32("code")
		f.Message = p.text("message")
	}
	if err := p.done(); err != nil {
		return ForceSession{}, err
	}
	return f, nil
}

// ForceUnsubscribe is the remote's request FUS, from 1.9.0 on: end a subscription whose [TablesReply] said that this will
// be possible.
type ForceUnsubscribe struct {
	Session  string
	WinIndex int
}

// Append appends the request.
func (f ForceUnsubscribe) Append(dst []byte, id string, v Version) []byte {
	dst = appendStr(appendHead(dst, id, FUS), FUS.Encoding(v), f.Session)
	return appendTaggedInt(dst, f.WinIndex)
}

// ParseForceUnsubscribe reads the body of FUS as the proxy gets it.
func ParseForceUnsubscribe(body []byte, v Version) (ForceUnsubscribe, error) {
	p := parser{method: "FUS", rest: body, enc: FUS.Encoding(v)}
	f := ForceUnsubscribe{Session: p.str("session"), WinIndex: p.int32("window index")}
	if err := p.done(); err != nil {
		return ForceUnsubscribe{}, err
	}
	return f, nil
}

// AppendForceUnsubscribeReply appends the proxy's reply to FUS: done is true when it was carried out or there was nothing
// to do, false when it is not enabled for the table and was not tried.
func AppendForceUnsubscribeReply(dst []byte, id string, done bool) []byte {
	return appendTaggedBool(appendHead(dst, id, FUS), done)
}

// ParseForceUnsubscribeReply reads the body of a reply to FUS.
func ParseForceUnsubscribeReply(body []byte) (done bool, err error) {
	p := parser{method: "FUS reply", rest: body}
	done = p.boolean("done")
	if err := p.done(); err != nil {
		return false, err
	}
	return done, nil
}
