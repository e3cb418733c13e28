package tlcp

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// ConnParams are what a client asks of the stream connection it opens, whether it creates or binds a session. Zero values are the
// protocol's defaults.
type ConnParams struct {
	Polling         bool          // LS_polling; otherwise streaming
	PollingInterval time.Duration // LS_polling_millis: expected pause until the next bind; polling only
	Idle            time.Duration // LS_idle_millis: how long the server may wait for something to send; polling only
	Inactivity      time.Duration // LS_inactivity_millis: the client promises a request at least this often; 0: no check
	Keepalive       time.Duration // LS_keepalive_millis: longest silence; 0: the server decides
	ContentLength   int64         // LS_content_length: bytes of an HTTP streaming body; 0: the server decides
	NoSync          bool          // LS_send_sync=false: no SYNC lines
	ReduceHead      bool          // LS_reduce_head
	Cause           string        // LS_cause: why the request is made; for logs
}

// Diffs tells which formats for the difference of a value a client accepts.
type Diffs struct {
	Restricted bool // LS_supported_diffs was sent; otherwise the choice is the server's
	JSONPatch  bool // tag P
	TLCPDiff   bool // tag T
}

// CreateSession is the create_session request.
type CreateSession struct {
	ConnParams
	AdapterSet   string  // LS_adapter_set; a parsed request without it, or with an empty one, has DEFAULT
	User         *string // LS_user; nil: no user
	Password     *string // LS_password; nil: none. A secret: never log it
	MaxBandwidth float64 // LS_requested_max_bandwidth, kbit/s; 0: unlimited
	Diffs        Diffs
	TTL          time.Duration // LS_ttl_millis: how long the client waits for the answer; 0: unknown, negative: unlimited
	OldSession   string        // LS_old_session: the session this one replaces
	CID          string        // LS_cid: identifies the client library
}

// BindSession is the bind_session request.
type BindSession struct {
	ConnParams
	Session      string // LS_session; empty: the one last bound to the WebSocket
	Recovery     bool   // LS_recovery_from was sent
	RecoveryFrom int64  // the data notifications the client has received; what is no such number is one that no session has
}

// DefaultAdapterSet and DefaultDataAdapter are meant when a client names none.
const (
	DefaultAdapterSet  = "DEFAULT"
	DefaultDataAdapter = "DEFAULT"
)

// ParseCreateSession reads the parameter line of create_session. The error is the CONERR to answer: 65 for a wrong value, 67 for a
// missing one. Control requests that come with it are read by [ParseCombined].
func ParseCreateSession(line []byte) (CreateSession, *SessionError) {
	r := reader{}
	r.params, r.err = ParseParams(line)
	req := CreateSession{
		ConnParams:   r.conn(),
		AdapterSet:   r.params.filled("LS_adapter_set", DefaultAdapterSet),
		User:         r.params.text("LS_user"),
		Password:     r.params.text("LS_password"),
		MaxBandwidth: r.decimal("LS_requested_max_bandwidth", "unlimited"),
		Diffs:        r.diffs(),
		TTL:          r.ttl(),
		OldSession:   r.params.String("LS_old_session", ""),
		CID:          r.params.String("LS_cid", ""),
	}
	if r.err != nil {
		return CreateSession{}, r.sessionError()
	}
	return req, nil
}

// ParseBindSession reads the parameter line of bind_session. The error is the CONERR to answer. A missing session is no error here:
// a WebSocket has a default.
func ParseBindSession(line []byte) (BindSession, *SessionError) {
	r := reader{}
	r.params, r.err = ParseParams(line)
	req := BindSession{ConnParams: r.conn(), Session: r.params.String("LS_session", "")}
	if _, req.Recovery = r.params.Lookup("LS_recovery_from"); req.Recovery {
		if n, err := r.params.Int("LS_recovery_from", 0, 0, maxCount); err == nil {
			req.RecoveryFrom = n
		} else {
			req.RecoveryFrom = maxCount // no session has got there: the client has to create a new one
		}
	}
	if r.err != nil {
		return BindSession{}, r.sessionError()
	}
	return req, nil
}

// maxCount bounds the counters a client sends, so that sums with them cannot overflow.
const maxCount = 1 << 53

// reader collects the first error while a request is read field by field.
type reader struct {
	params Params
	err    error
}

// missing is the reason of a required parameter that is not there; it has a code of its own.
const missing = "missing"

func (r *reader) fail(err error) {
	if r.err == nil && err != nil {
		r.err = err
	}
}

func (r *reader) require(name string) string {
	v, ok := r.params.Lookup(name)
	if !ok {
		r.fail(&ParamError{Param: name, Reason: missing})
	}
	return v
}

func (r *reader) bool(name string, def bool) bool {
	v, err := r.params.Bool(name, def)
	r.fail(err)
	return v
}

func (r *reader) int(name string, def, low, high int64) int64 {
	v, err := r.params.Int(name, def, low, high)
	r.fail(err)
	return v
}

// amount is 0 if the name is not there.
func (r *reader) amount(name string, low, high int64) int64 {
	v, err := r.params.amount(name, 0, low, high)
	r.fail(err)
	return v
}

func (r *reader) decimal(name string, words ...string) float64 {
	v, err := r.params.Decimal(name, 0, words...)
	r.fail(err)
	return v
}

func (r *reader) millis(name string) time.Duration {
	v, err := r.params.millis(name)
	r.fail(err)
	return v
}

func (r *reader) conn() ConnParams {
	c := ConnParams{
		Polling:         r.bool("LS_polling", false),
		PollingInterval: r.millis("LS_polling_millis"),
		Idle:            r.millis("LS_idle_millis"),
		Inactivity:      r.millis("LS_inactivity_millis"),
		Keepalive:       r.millis("LS_keepalive_millis"),
		ContentLength:   r.amount("LS_content_length", 0, maxCount),
		NoSync:          !r.bool("LS_send_sync", true),
		ReduceHead:      r.bool("LS_reduce_head", false),
		Cause:           r.params.String("LS_cause", ""),
	}
	if c.Polling {
		r.require("LS_polling_millis")
	}
	return c
}

func (r *reader) diffs() Diffs {
	v, ok := r.params.Lookup("LS_supported_diffs")
	if !ok {
		return Diffs{}
	}
	d := Diffs{Restricted: true}
	for tag := range strings.SplitSeq(v, ",") {
		switch tag {
		case "P":
			d.JSONPatch = true
		case "T":
			d.TLCPDiff = true
		}
	}
	return d
}

func (r *reader) ttl() time.Duration {
	switch r.params.String("LS_ttl_millis", "unknown") {
	case "unknown":
		return 0
	case "unlimited":
		return -1
	}
	return r.millis("LS_ttl_millis")
}

// code tells which code answers the first error: a parameter that is there and wrong is 65, a request without shape is 67.
func (r *reader) code() int {
	var pe *ParamError
	if errors.As(r.err, &pe) && pe.Reason != missing {
		return CodeSyntax
	}
	return CodeMalformed
}

func (r *reader) message() string { return strings.TrimPrefix(r.err.Error(), "tlcp: ") }

func (r *reader) sessionError() *SessionError { return &SessionError{r.code(), r.message()} }

// Append appends the parameter line, without CR-LF, as a client sends it: parameters that have their default are left out, except
// those that polling requires; the password is last.
func (req *CreateSession) Append(dst []byte) []byte {
	start := len(dst)
	dst = req.appendConn(dst, start)
	if req.AdapterSet != "" {
		dst = appendParam(dst, start, "LS_adapter_set", req.AdapterSet)
	}
	if req.User != nil {
		dst = appendParam(dst, start, "LS_user", *req.User)
	}
	if req.MaxBandwidth > 0 {
		dst = appendParam(dst, start, "LS_requested_max_bandwidth", formatDecimal(req.MaxBandwidth))
	}
	if req.Diffs.Restricted {
		dst = append(appendParam(dst, start, "LS_supported_diffs", ""), req.Diffs.tags()...)
	}
	switch {
	case req.TTL < 0:
		dst = appendParam(dst, start, "LS_ttl_millis", "unlimited")
	case req.TTL > 0:
		dst = appendIntParam(dst, start, "LS_ttl_millis", req.TTL.Milliseconds())
	}
	if req.OldSession != "" {
		dst = appendParam(dst, start, "LS_old_session", req.OldSession)
	}
	if req.CID != "" {
		dst = appendParam(dst, start, "LS_cid", req.CID)
	}
	if req.Password != nil {
		dst = appendParam(dst, start, "LS_password", *req.Password)
	}
	return dst
}

func (d Diffs) tags() string {
	switch {
	case d.JSONPatch && d.TLCPDiff:
		return "P,T"
	case d.JSONPatch:
		return "P"
	case d.TLCPDiff:
		return "T"
	}
	return ""
}

// Append appends the parameter line, without CR-LF, as a client sends it.
func (req *BindSession) Append(dst []byte) []byte {
	start := len(dst)
	if req.Session != "" {
		dst = appendParam(dst, start, "LS_session", req.Session)
	}
	if req.Recovery {
		dst = appendIntParam(dst, start, "LS_recovery_from", req.RecoveryFrom)
	}
	return req.appendConn(dst, start)
}

func (c *ConnParams) appendConn(dst []byte, start int) []byte {
	if c.Polling {
		dst = appendParam(dst, start, "LS_polling", "true")
		dst = appendIntParam(dst, start, "LS_polling_millis", c.PollingInterval.Milliseconds())
		dst = appendIntParam(dst, start, "LS_idle_millis", c.Idle.Milliseconds())
	}
	if c.Inactivity > 0 {
		dst = appendIntParam(dst, start, "LS_inactivity_millis", c.Inactivity.Milliseconds())
	}
	if c.Keepalive > 0 {
		dst = appendIntParam(dst, start, "LS_keepalive_millis", c.Keepalive.Milliseconds())
	}
	if c.ContentLength > 0 {
		dst = appendIntParam(dst, start, "LS_content_length", c.ContentLength)
	}
	if c.NoSync {
		dst = appendParam(dst, start, "LS_send_sync", "false")
	}
	if c.ReduceHead {
		dst = appendParam(dst, start, "LS_reduce_head", "true")
	}
	if c.Cause != "" {
		dst = appendParam(dst, start, "LS_cause", c.Cause)
	}
	return dst
}

// formatDecimal writes a decimal number with a dot, as the protocol's examples do.
func formatDecimal(f float64) string { return string(appendDecimal(nil, f)) }

func appendDecimal(dst []byte, f float64) []byte {
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	for _, c := range dst[start:] {
		if c == '.' {
			return dst
		}
	}
	return append(dst, '.', '0')
}
