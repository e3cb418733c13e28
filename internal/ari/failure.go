package ari

import "slices"

// ErrorKind is the letter after the E of an error reply; 0 for the generic error, which has none.
type ErrorKind byte

// The kinds of error.
const (
	KindGeneric            ErrorKind = 0   // anything unforeseen
	KindDataProvider       ErrorKind = 'D' // init of a data adapter failed
	KindSubscription       ErrorKind = 'U' // one subscription failed
	KindFailure            ErrorKind = 'F' // the whole adapter is compromised, as bad as FAL
	KindMetadataProvider   ErrorKind = 'M' // init of a metadata adapter failed
	KindAccess             ErrorKind = 'A' // access denied
	KindResource           ErrorKind = 'R' // access denied for want of resources; the client should retry
	KindCredits            ErrorKind = 'C' // not allowed to this user
	KindConflictingSession ErrorKind = 'X' // not allowed because of another session
	KindItems              ErrorKind = 'I' // bad item group
	KindSchema             ErrorKind = 'S' // bad field schema
	KindNotification       ErrorKind = 'N' // inconsistent notification
)

// String returns the letter as it is written, empty for the generic kind.
func (k ErrorKind) String() string {
	if k == KindGeneric {
		return ""
	}
	return string(rune(k))
}

// methodsOf tells in replies to which methods a kind belongs.
func methodsOf(k ErrorKind) []Method {
	switch k {
	case KindDataProvider:
		return []Method{DPI}
	case KindSubscription, KindFailure:
		return []Method{SUB, USB}
	case KindMetadataProvider:
		return []Method{MPI}
	case KindAccess, KindResource:
		return []Method{NUS, NUA}
	case KindCredits:
		return []Method{NUS, NUA, NNS, NUM, NNT, MDA, MSA, MDC}
	case KindConflictingSession:
		return []Method{NNS}
	case KindItems:
		return []Method{GIS, GSC}
	case KindSchema:
		return []Method{GSC}
	case KindNotification:
		return []Method{NNS, NSC, NUM, NNT, NTC, MDA, MSA, MDC}
	}
	return nil
}

func (k ErrorKind) known() bool { return k == KindGeneric || methodsOf(k) != nil }

// AllowedIn returns the kind to write in a reply to m when the adapter's error is of kind k: k where it belongs, else
// the nearest one that does. A conflicting session is a matter of credits outside NNS, resources are a matter of access
// before 1.9.0, and everything else is generic.
func AllowedIn(k ErrorKind, m Method, v Version) ErrorKind {
	if k == KindConflictingSession && m != NNS {
		k = KindCredits
	}
	if k == KindResource && !v.AtLeast(V190) {
		k = KindAccess
	}
	if slices.Contains(methodsOf(k), m) {
		return k
	}
	return KindGeneric
}

// Failure is an error reply.
type Failure struct {
	Kind    ErrorKind
	Message Text // for the log

	// For KindCredits and KindConflictingSession only.
	Code          int  // for the client: negative, or 0 for unspecified
	ClientMessage Text // for the client

	Session Text // for KindConflictingSession only: the session the server may close
}

// AppendError appends an error reply to the request with the given id and method. The kind is written as it is; see
// [AllowedIn] for which to write.
func AppendError(dst []byte, id string, m Method, v Version, f Failure) []byte {
	enc := m.Encoding(v)
	dst = append(appendHead(dst, id, m), "|E"...)
	if f.Kind != KindGeneric {
		dst = append(dst, byte(f.Kind))
	}
	dst = AppendText(append(dst, '|'), enc, f.Message)
	if f.Kind == KindCredits || f.Kind == KindConflictingSession {
		dst = appendInt32(append(dst, '|'), f.Code)
		dst = AppendText(append(dst, '|'), enc, f.ClientMessage)
	}
	if f.Kind == KindConflictingSession {
		dst = AppendText(append(dst, '|'), enc, f.Session)
	}
	return dst
}

// ParseError reads the body of a reply to m as an error. isError is false, and nothing else is set, when it is none: then
// the parser of the reply is due. Any known kind is taken in any reply, an unknown one as generic. When the reply is an
// error that cannot be read whole, err is a *MalformedError and f has at least its kind.
func ParseError(m Method, body []byte, v Version) (f Failure, isError bool, err error) {
	p := parser{method: m.String() + " error", rest: body, enc: m.Encoding(v)}
	tag := p.peek()
	if len(tag) == 0 || tag[0] != 'E' {
		return Failure{}, false, nil
	}
	p.cut()
	if len(tag) == 2 && ErrorKind(tag[1]).known() {
		f.Kind = ErrorKind(tag[1])
	}
	f.Message = p.bareText("message")
	if f.Kind == KindCredits || f.Kind == KindConflictingSession {
		f.Code = p.bareNullableInt32("code")
		f.ClientMessage = p.bareText("client message")
	}
	if f.Kind == KindConflictingSession {
		f.Session = p.bareText("session")
	}
	return f, true, p.done()
}

// AppendVoidReply appends the reply that says only that the request succeeded.
func AppendVoidReply(dst []byte, id string, m Method) []byte {
	return append(appendHead(dst, id, m), "|V"...)
}

// ParseVoidReply reads the body of a void reply.
func ParseVoidReply(body []byte) error {
	p := parser{method: "void reply", rest: body}
	p.void()
	return p.done()
}

// AppendFailureNotice appends FAL: the adapter can no longer be trusted. millis is the remote's clock, used on the data
// channel only. A remote that fails before a version is agreed passes [Latest]. There is no reply.
func AppendFailureNotice(dst []byte, ch Channel, v Version, millis int64, message Text) []byte {
	if ch == Data {
		dst = appendMillis(dst, millis, FAL)
	} else {
		dst = appendHead(dst, FailureID, FAL)
	}
	return AppendText(append(dst, "|E|"...), FAL.Encoding(v), message)
}

// ParseFailureNotice reads the body of FAL.
func ParseFailureNotice(body []byte, v Version) (message Text, err error) {
	p := parser{method: "FAL", rest: body, enc: FAL.Encoding(v)}
	if p.tag("E", "message") {
		message = p.bareText("message")
	}
	if err := p.done(); err != nil {
		return Text{}, err
	}
	return message, nil
}
