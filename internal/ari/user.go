package ari

import (
	"fmt"
	"io"
	"strconv"
)

// NotifyUser is the request NUS or, with a principal, NUA: may this user come in?
type NotifyUser struct {
	User, Password Text
	HasPrincipal   bool // NUA: the client's port acquires the principal of TLS certificates
	Principal      Text // null when the client showed no certificate
	Headers        []Param
}

// String describes the request without its password and headers, which may hold secrets.
func (n NotifyUser) String() string {
	user := "null"
	if !n.User.Null {
		user = strconv.Quote(n.User.S)
	}
	return "user " + user + ", password ***, " + strconv.Itoa(len(n.Headers)) + " headers"
}

// Format implements fmt.Formatter, so that no verb shows more than String does.
func (n NotifyUser) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, n.String()) }

// Append appends the request, NUA if HasPrincipal, else NUS.
func (n NotifyUser) Append(dst []byte, id string, v Version) []byte {
	m := NUS
	if n.HasPrincipal {
		m = NUA
	}
	enc := m.Encoding(v)
	dst = appendTaggedText(appendHead(dst, id, m), enc, n.User)
	dst = appendTaggedText(dst, enc, n.Password)
	if n.HasPrincipal {
		dst = appendTaggedText(dst, enc, n.Principal)
	}
	return appendParams(dst, enc, n.Headers)
}

// ParseNotifyUser reads the body of NUS or NUA, as m says.
func ParseNotifyUser(m Method, body []byte, v Version) (NotifyUser, error) {
	var n NotifyUser
	p := n.parser(m, body, v)
	n.Headers = p.params()
	if err := p.done(); err != nil {
		return NotifyUser{}, err
	}
	return n, nil
}

// ParseMap is [ParseNotifyUser], but for the headers, which it returns; those that are null are left out. After an error n is empty.
func (n *NotifyUser) ParseMap(m Method, body []byte, v Version) (headers map[string]string, err error) {
	p := n.parser(m, body, v)
	headers = p.paramMap()
	if err := p.done(); err != nil {
		*n = NotifyUser{}
		return nil, err
	}
	return headers, nil
}

// parser returns one that has come to the headers.
func (n *NotifyUser) parser(m Method, body []byte, v Version) parser {
	p := parser{method: m.String(), rest: body, body: body, enc: m.Encoding(v)}
	*n = NotifyUser{User: p.text("user"), Password: p.text("password"), HasPrincipal: m == NUA}
	if n.HasPrincipal {
		n.Principal = p.text("principal")
	}
	return p
}

// UserReply answers NUS and NUA.
type UserReply struct {
	MaxBandwidth float64 // kbit/s, 0 for unlimited; what a peer sends may also be negative, infinite or not a number
	WantsTables  bool    // NNT and NTC are wanted for this user
}

// Append appends the reply to a request of method m, NUS or NUA.
func (r UserReply) Append(dst []byte, id string, m Method) []byte {
	dst = appendTaggedDouble(appendHead(dst, id, m), r.MaxBandwidth)
	return appendTaggedBool(dst, r.WantsTables)
}

// ParseUserReply reads the body of a reply to NUS or NUA.
func ParseUserReply(body []byte) (UserReply, error) {
	p := parser{method: "NUS/NUA reply", rest: body}
	r := UserReply{MaxBandwidth: p.double("max bandwidth"), WantsTables: p.boolean("wants tables")}
	if err := p.done(); err != nil {
		return UserReply{}, err
	}
	return r, nil
}

// NotifyUserMessage is the request NUM: a message sent by a client. The reply is void.
type NotifyUserMessage struct {
	User    Text
	Session string
	Message Text
}

// Append appends the request.
func (n NotifyUserMessage) Append(dst []byte, id string, v Version) []byte {
	enc := NUM.Encoding(v)
	dst = appendTaggedText(appendHead(dst, id, NUM), enc, n.User)
	dst = appendStr(dst, enc, n.Session)
	return appendTaggedText(dst, enc, n.Message)
}

// ParseNotifyUserMessage reads the body of NUM.
func ParseNotifyUserMessage(body []byte, v Version) (NotifyUserMessage, error) {
	p := parser{method: "NUM", rest: body, body: body, enc: NUM.Encoding(v)}
	n := NotifyUserMessage{User: p.text("user"), Session: p.str("session"), Message: p.text("message")}
	if err := p.done(); err != nil {
		return NotifyUserMessage{}, err
	}
	return n, nil
}
