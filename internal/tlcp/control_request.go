package tlcp

import (
	"strconv"
)

// Op is the operation of a control request. The zero Op is none.
type Op uint8

// The operations.
const (
	OpAdd Op = iota + 1
	OpDelete
	OpReconf
	OpConstrain
	OpForceRebind
	OpDestroy
	OpMPN // register, activate, pn_reconf, deactivate, reset_badge
)

var opTexts = map[string]Op{
	"add":          OpAdd,
	"delete":       OpDelete,
	"reconf":       OpReconf,
	"constrain":    OpConstrain,
	"force_rebind": OpForceRebind,
	"destroy":      OpDestroy,
	"register":     OpMPN,
	"activate":     OpMPN,
	"pn_reconf":    OpMPN,
	"deactivate":   OpMPN,
	"reset_badge":  OpMPN,
}

// Control is one line of a control request. Of the pointers, the one that belongs to Op is not nil; OpMPN has none.
type Control struct {
	Session string // LS_session; empty: the default of the transport
	ReqID   string // LS_reqId; letters, digits, _ - and dot, never empty in a parsed request
	Op      Op
	OpName  string // LS_op as sent; tells the MPN operations apart
	NoAck   bool   // LS_ack=false: no REQOK; of no effect over HTTP

	Add         *Add
	Delete      *Delete
	Reconf      *Reconf
	Constrain   *Constrain
	ForceRebind *ForceRebind
	Destroy     *Destroy
}

// Add is LS_op=add: subscribe.
type Add struct {
	SubID        int // LS_subId, from 1
	Mode         Mode
	Group        string
	Schema       string
	DataAdapter  string  // a parsed request without it, or with an empty one, has DEFAULT
	Selector     *string // nil: none
	Snapshot     Snapshot
	MaxFrequency Frequency
	// BufferSize is LS_requested_buffer_size: 0, the mode's default (1 in MERGE, unlimited in DISTINCT); negative, unlimited.
	BufferSize int
}

// Snapshot is what LS_snapshot asks for. A length is only accepted in DISTINCT mode.
type Snapshot struct {
	Requested bool
	Length    int // 0: the server's choice
}

// Frequency is a limit of updates per second for each item. The zero value is unlimited, with conflation allowed.
type Frequency struct {
	Unfiltered bool    // no limit and no loss; then Limit is 0
	Limit      float64 // 0: unlimited
}

// Delete is LS_op=delete: unsubscribe.
type Delete struct {
	SubID int
	Cause string // LS_cause, for logs
}

// Reconf is LS_op=reconf: change the frequency of a subscription.
type Reconf struct {
	SubID        int
	MaxFrequency *Frequency // nil: no change
}

// Constrain is LS_op=constrain: change the bandwidth of the session.
type Constrain struct {
	MaxBandwidth float64 // kbit/s; 0: unlimited
}

// ForceRebind is LS_op=force_rebind: end the stream connection with LOOP.
type ForceRebind struct {
	CloseSocket bool
	Cause       string // LS_cause, for logs
}

// Destroy is LS_op=destroy: end the session.
type Destroy struct {
	CloseSocket bool
	// Code and Message are what END is to say; without LS_cause_code, 31 and its text. A positive LS_cause_code counts as 0.
	Code    int
	Message string
	Cause   string // LS_cause, for logs
}

// ParseControl reads one line of a control request. The error is the answer: if the line has a
// usable LS_reqId, REQERR with code 68, since the codes that would say more make clients give up
// their session; else ERROR, 65 for a wrong value and 67 for a missing one. Unknown parameters are
// ignored. Numbers that say how much is wanted of something are brought within bounds.
func ParseControl(line []byte) (Control, *RequestError) {
	r := reader{}
	r.params, r.err = ParseParams(line)
	c := Control{Session: r.params.String("LS_session", ""), ReqID: r.reqID()}
	r.control(&c)
	if r.err != nil {
		return Control{}, r.requestError(c.ReqID)
	}
	return c, nil
}

// ParseCombined reads the control requests of a combined creation, a body of create_session that has them in the lines behind the first one,
// or one in the first line itself. They name neither session nor request id, and get no answer: they succeed with the creation or it fails. The
// error is the CONERR to answer, 64.
func ParseCombined(body []byte) ([]Control, *SessionError) {
	var all []Control
	first := true
	for line := range Lines(body) {
		r := reader{}
		r.params, r.err = ParseParams(line)
		_, has := r.params.Lookup("LS_op")
		skip := len(line) == 0 || first && !has
		if first = false; skip {
			continue
		}
		var c Control
		if r.control(&c); r.err != nil {
			return nil, &SessionError{CodeCombinedFailed, r.message()}
		}
		all = append(all, c)
	}
	return all, nil
}

// control reads the operation and what belongs to it.
func (r *reader) control(c *Control) {
	c.OpName = r.require("LS_op")
	c.NoAck = !r.bool("LS_ack", true)
	if r.err != nil {
		return
	}
	c.Op = opTexts[c.OpName]
	switch c.Op {
	case OpAdd:
		c.Add = r.add()
	case OpDelete:
		c.Delete = &Delete{SubID: r.subID(), Cause: r.params.String("LS_cause", "")}
	case OpReconf:
		c.Reconf = r.reconf()
	case OpConstrain:
		r.require("LS_requested_max_bandwidth")
		c.Constrain = &Constrain{MaxBandwidth: r.decimal("LS_requested_max_bandwidth", "unlimited")}
	case OpForceRebind:
		r.millis("LS_polling_millis") // checked, though nothing depends on it
		c.ForceRebind = &ForceRebind{r.bool("LS_close_socket", false), r.params.String("LS_cause", "")}
	case OpDestroy:
		c.Destroy = r.destroy()
	case OpMPN:
	default:
		r.fail(&ParamError{"LS_op", c.OpName, "unknown operation"})
	}
}

// reqID reads LS_reqId. An id that could not be echoed in an answer counts as none.
func (r *reader) reqID() string {
	id := r.require("LS_reqId")
	if validID(id) {
		return id
	}
	r.fail(&ParamError{"LS_reqId", id, "want letters and digits"})
	return ""
}

// validID says whether an id is short and needs no encoding on any wire.
func validID(id string) bool {
	if id == "" || len(id) > 100 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !isWordByte(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

func (r *reader) requestError(reqID string) *RequestError {
	code := r.code()
	if reqID != "" {
		code = CodeInternal
	}
	return &RequestError{ReqID: reqID, Code: code, Message: r.message()}
}

const maxInt32 = 1<<31 - 1

func (r *reader) subID() int {
	r.require("LS_subId")
	return int(r.int("LS_subId", 0, 1, maxInt32))
}

func (r *reader) add() *Add {
	a := &Add{
		SubID:       r.subID(),
		Group:       r.require("LS_group"),
		Schema:      r.require("LS_schema"),
		DataAdapter: r.params.filled("LS_data_adapter", DefaultDataAdapter),
		Selector:    r.params.text("LS_selector"),
	}
	var ok bool
	if a.Mode, ok = ParseMode(r.require("LS_mode")); !ok {
		r.fail(&ParamError{"LS_mode", r.params.String("LS_mode", ""), "want MERGE, DISTINCT, COMMAND or RAW"})
	}
	a.Snapshot = r.snapshot(a.Mode)
	if f := r.frequency(); f != nil {
		a.MaxFrequency = *f
	}
	if v, ok := r.params.Lookup("LS_requested_buffer_size"); ok {
		if a.BufferSize = -1; v != "unlimited" {
			a.BufferSize = int(r.positive("LS_requested_buffer_size"))
		}
	}
	return a
}

func (r *reader) snapshot(mode Mode) Snapshot {
	v, ok := r.params.Lookup("LS_snapshot")
	switch {
	case !ok, v == "false":
		return Snapshot{}
	case v == "true":
		return Snapshot{Requested: true}
	case mode != ModeDistinct:
		r.fail(&ParamError{"LS_snapshot", v, "want true or false"})
	}
	return Snapshot{Requested: true, Length: int(r.positive("LS_snapshot"))}
}

// positive reads an amount from 1.
func (r *reader) positive(name string) int64 {
	n := r.amount(name, 0, maxInt32)
	if n == 0 {
		r.fail(&ParamError{name, r.params.String(name, ""), "want a positive integer"})
	}
	return n
}

// frequency reads LS_requested_max_frequency; nil if it is not there.
func (r *reader) frequency() *Frequency {
	v, ok := r.params.Lookup("LS_requested_max_frequency")
	if !ok {
		return nil
	}
	if v == "unfiltered" {
		return &Frequency{Unfiltered: true}
	}
	return &Frequency{Limit: r.decimal("LS_requested_max_frequency", "unlimited")}
}

func (r *reader) reconf() *Reconf {
	c := &Reconf{SubID: r.subID(), MaxFrequency: r.frequency()}
	if c.MaxFrequency != nil && c.MaxFrequency.Unfiltered {
		r.fail(&ParamError{"LS_requested_max_frequency", "unfiltered", "want a decimal number or unlimited"})
	}
	return c
}

func (r *reader) destroy() *Destroy {
	d := &Destroy{
		CloseSocket: r.bool("LS_close_socket", false),
		Code:        CodeDestroyed,
		Message:     SessionText(CodeDestroyed),
		Cause:       r.params.String("LS_cause", ""),
	}
	if _, ok := r.params.Lookup("LS_cause_code"); ok {
		d.Code = int(min(r.amount("LS_cause_code", -maxInt32, maxInt32), 0))
		d.Message = r.params.String("LS_cause_message", "")
	}
	return d
}

// Append appends the request line, without CR-LF, as a client sends it: parameters that have their default are left out. MPN
// operations have no parameters here and are not appended further than their name.
func (c *Control) Append(dst []byte) []byte {
	start := len(dst)
	if c.Session != "" {
		dst = appendParam(dst, start, "LS_session", c.Session)
	}
	dst = appendParam(dst, start, "LS_reqId", c.ReqID)
	dst = appendParam(dst, start, "LS_op", c.opText())
	switch {
	case c.Add != nil:
		dst = c.Add.append(dst, start)
	case c.Delete != nil:
		dst = appendIntParam(dst, start, "LS_subId", int64(c.Delete.SubID))
		dst = appendCause(dst, start, c.Delete.Cause)
	case c.Reconf != nil:
		dst = appendIntParam(dst, start, "LS_subId", int64(c.Reconf.SubID))
		if f := c.Reconf.MaxFrequency; f != nil {
			dst = appendParam(dst, start, "LS_requested_max_frequency", f.String())
		}
	case c.Constrain != nil:
		dst = appendParam(dst, start, "LS_requested_max_bandwidth", decimalOr(c.Constrain.MaxBandwidth, "unlimited"))
	case c.ForceRebind != nil:
		dst = appendCloseSocket(dst, start, c.ForceRebind.CloseSocket)
		dst = appendCause(dst, start, c.ForceRebind.Cause)
	case c.Destroy != nil:
		dst = appendCloseSocket(dst, start, c.Destroy.CloseSocket)
		if c.Destroy.Code <= 0 {
			dst = appendIntParam(dst, start, "LS_cause_code", int64(c.Destroy.Code))
			dst = appendParam(dst, start, "LS_cause_message", c.Destroy.Message)
		}
		dst = appendCause(dst, start, c.Destroy.Cause)
	}
	if c.NoAck {
		dst = appendParam(dst, start, "LS_ack", "false")
	}
	return dst
}

func (c *Control) opText() string {
	switch c.Op {
	case OpAdd:
		return "add"
	case OpDelete:
		return "delete"
	case OpReconf:
		return "reconf"
	case OpConstrain:
		return "constrain"
	case OpForceRebind:
		return "force_rebind"
	case OpDestroy:
		return "destroy"
	}
	return c.OpName
}

func (a *Add) append(dst []byte, start int) []byte {
	dst = appendIntParam(dst, start, "LS_subId", int64(a.SubID))
	dst = appendParam(dst, start, "LS_mode", a.Mode.String())
	dst = appendParam(dst, start, "LS_group", a.Group)
	dst = appendParam(dst, start, "LS_schema", a.Schema)
	if a.DataAdapter != "" {
		dst = appendParam(dst, start, "LS_data_adapter", a.DataAdapter)
	}
	if a.Selector != nil {
		dst = appendParam(dst, start, "LS_selector", *a.Selector)
	}
	switch {
	case a.Snapshot.Requested && a.Snapshot.Length > 0:
		dst = appendIntParam(dst, start, "LS_snapshot", int64(a.Snapshot.Length))
	case a.Snapshot.Requested:
		dst = appendParam(dst, start, "LS_snapshot", "true")
	}
	if a.MaxFrequency != (Frequency{}) {
		dst = appendParam(dst, start, "LS_requested_max_frequency", a.MaxFrequency.String())
	}
	switch {
	case a.BufferSize < 0:
		dst = appendParam(dst, start, "LS_requested_buffer_size", "unlimited")
	case a.BufferSize > 0:
		dst = appendIntParam(dst, start, "LS_requested_buffer_size", int64(a.BufferSize))
	}
	return dst
}

// String returns the form of LS_requested_max_frequency.
func (f Frequency) String() string {
	if f.Unfiltered {
		return "unfiltered"
	}
	return decimalOr(f.Limit, "unlimited")
}

// decimalOr writes a decimal number, without a dot if it is whole, and word for 0 and below.
func decimalOr(f float64, word string) string {
	if f <= 0 {
		return word
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func appendCloseSocket(dst []byte, start int, closeSocket bool) []byte {
	if closeSocket {
		return appendParam(dst, start, "LS_close_socket", "true")
	}
	return dst
}

func appendCause(dst []byte, start int, cause string) []byte {
	if cause != "" {
		return appendParam(dst, start, "LS_cause", cause)
	}
	return dst
}
