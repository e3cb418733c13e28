package adaptertest

import (
	"fmt"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A ControlRequest is something that a Metadata Adapter asks of the server through adapter.Control. The test answers it with one of the methods
// Done, NotEnabled and Refuse.
type ControlRequest struct {
	// Method is FST (ForceSessionTermination) or FUS (ForceUnsubscription).
	Method    string
	SessionID string
	// Cause is what a FST tells the client; nil if nothing.
	Cause *adapter.Cause
	// WinIndex is the subscription that a FUS is about.
	WinIndex int

	conn *Conn
	id   string
}

// NextControl takes the next request that the adapter makes by itself.
func (c *Conn) NextControl() *ControlRequest {
	c.report.tb.Helper()
	r, err := c.takeLoose(func(r *received) bool { return r.method == ari.FST || r.method == ari.FUS })
	if err != nil {
		c.fatal("no FST or FUS: %v", err)
	}
	id, _, _ := strings.Cut(r.text, "|")
	q := &ControlRequest{Method: r.method.String(), conn: c, id: id}
	if r.method == ari.FUS {
		f, _ := ari.ParseForceUnsubscribe(r.body, ari.Latest) // the checker has said what is wrong with it
		q.SessionID, q.WinIndex = f.Session, f.WinIndex
		return q
	}
	f, _ := ari.ParseForceSession(r.body, ari.Latest)
	q.SessionID = f.Session
	if f.HasCause {
		q.Cause = &adapter.Cause{Code: f.Code, Message: f.Message.S}
	}
	return q
}

// Done answers that the request was carried out, or that there was nothing to do.
func (q *ControlRequest) Done() {
	if q.Method == ari.FUS.String() {
		q.answer(ari.AppendForceUnsubscribeReply(nil, q.id, true))
	} else {
		q.answer(ari.AppendVoidReply(nil, q.id, ari.FST))
	}
}

// NotEnabled answers a FUS that the table was not declared Unsubscribable. It fails the test for a FST, which has no such answer.
func (q *ControlRequest) NotEnabled() {
	q.conn.report.tb.Helper()
	if q.Method != ari.FUS.String() {
		q.conn.report.fatalf("NotEnabled is no answer to %s", q.Method)
	}
	q.answer(ari.AppendForceUnsubscribeReply(nil, q.id, false))
}

// Refuse answers with an error.
func (q *ControlRequest) Refuse(message string) {
	m := ari.ParseMethod([]byte(q.Method))
	q.answer(ari.AppendError(nil, q.id, m, ari.Latest, ari.Failure{Message: ari.T(message)}))
}

func (q *ControlRequest) answer(line []byte) { q.conn.Send(string(line)) }

// String shows the request.
func (q *ControlRequest) String() string {
	if q.Method == ari.FUS.String() {
		return fmt.Sprintf("FUS session %q table %d", q.SessionID, q.WinIndex)
	}
	return fmt.Sprintf("FST session %q", q.SessionID)
}
