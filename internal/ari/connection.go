package ari

import (
	"strconv"

	"github.com/lightstreamer-go/lightstreamer/internal/secret"
)

// Identifiers with a fixed meaning.
const (
	CloseID       = "0" // of CLOSE, and of nothing else
	CredentialsID = "1" // of RAC
	FailureID     = "2" // of FAL on the metadata channel
)

// Names of the parameters of RAC, CLOSE and the init messages.
const (
	ParamVersion           = "ARI.version"           // init request and reply: the version announced, the version agreed
	ParamKeepaliveHint     = "keepalive_hint.millis" // init request: the interval the proxy would like
	ParamAdaptersConfID    = "adapters_conf.id"      // init request: id of the Adapter Set
	ParamDataProviderName  = "data_provider.name"    // init request, data: name of the Data Adapter
	ParamServerInstanceID  = "server.instance_id"    // init request: identity of the server process
	ParamProxyInstanceID   = "proxy.instance_id"     // init request of a robust proxy: identity of the proxy
	ParamUser              = "user"                  // RAC
	ParamPassword          = "password"              // RAC; never to be logged
	ParamEnableClosePacket = "enableClosePacket"     // RAC: "true" when the proxy may send CLOSE
	ParamSDK               = "SDK"                   // RAC: free text naming the SDK
	ParamReason            = "reason"                // CLOSE
)

// ReasonOccupied is how the reason of a CLOSE begins with which the broker refuses a remote adapter
// because another one is connected.
const ReasonOccupied = "there is a remote adapter already"

// Param is a name-value pair: a parameter, a header, an entry of a session's context. Order is kept, names may repeat.
type Param struct {
	Name  string
	Value Text
}

// String returns the pair for logs, with the value masked if its name is that of a secret.
func (p Param) String() string {
	switch {
	case secret.Named(p.Name):
		return p.Name + "=***"
	case p.Value.Null:
		return p.Name + "=null"
	}
	return p.Name + "=" + strconv.Quote(p.Value.S)
}

// Lookup returns the value of the first parameter with the given name.
func Lookup(params []Param, name string) (Text, bool) {
	for _, p := range params {
		if p.Name == name {
			return p.Value, true
		}
	}
	return Text{}, false
}

// AppendRAC appends the remote's credentials, its first line on a connection. The id is [CredentialsID], or the remote's
// clock in milliseconds on the notification connection that proxies before 1.9.1 need. There is no reply.
func AppendRAC(dst []byte, id string, params []Param) []byte {
	return appendParams(appendHead(dst, id, RAC), Legacy, params)
}

// ParseParams reads the body of RAC and of the init requests. A name must not be null.
func ParseParams(body []byte) ([]Param, error) {
	p := parser{method: "RAC/DPI/MPI", rest: body, enc: Legacy}
	params := p.params()
	if err := p.done(); err != nil {
		return nil, err
	}
	return params, nil
}

// AppendClose appends the proxy's farewell. An empty reason is written, because several remotes cannot read a CLOSE
// without one. There is no reply.
func AppendClose(dst []byte, reason string) []byte {
	dst = appendHead(dst, CloseID, CLOSE)
	return appendStr(appendStr(dst, Legacy, ParamReason), Legacy, reason)
}

// ParseClose reads a CLOSE line and returns the reason, empty if it has none. An id other than [CloseID] is a
// *MalformedError.
func ParseClose(l Line) (reason string, err error) {
	p := parser{method: "CLOSE", rest: l.Body, enc: Legacy}
	if string(l.ID) != CloseID {
		p.fail("id", "want 0")
	}
	params := p.params()
	if err := p.done(); err != nil {
		return "", err
	}
	t, _ := Lookup(params, ParamReason)
	return t.S, nil
}

func initMethod(ch Channel) Method {
	if ch == Data {
		return DPI
	}
	return MPI
}

// AppendInit appends the proxy's init request, DPI or MPI by channel. [ParseParams] reads its body.
func AppendInit(dst []byte, id string, ch Channel, params []Param) []byte {
	return appendParams(appendHead(dst, id, initMethod(ch)), Legacy, params)
}

// AppendInitReply appends the remote's answer to init with the version agreed: a void reply for 1.8.0, which has no way
// to name itself, else the version.
func AppendInitReply(dst []byte, id string, ch Channel, v Version) []byte {
	if v == V180 {
		return AppendVoidReply(dst, id, initMethod(ch))
	}
	dst = appendHead(dst, id, initMethod(ch))
	return appendStr(appendStr(dst, Legacy, ParamVersion), Legacy, v.String())
}

// InitReply is a successful answer to init. [Accept] tells what it means.
type InitReply struct {
	Void   bool
	Params []Param
}

// ParseInitReply reads the body of a reply to DPI or MPI that is not an error (look with [ParseError] first).
func ParseInitReply(body []byte) (InitReply, error) {
	p := parser{method: "DPI/MPI reply", rest: body, enc: Legacy}
	if string(p.peek()) == "V" {
		return InitReply{Void: true}, nil
	}
	params := p.params()
	if len(params) == 0 {
		p.fail("parameters", "missing")
	}
	if err := p.done(); err != nil {
		return InitReply{}, err
	}
	return InitReply{Params: params}, nil
}
