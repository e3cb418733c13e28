package client

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrClosed is returned by calls on a client that was closed, and by those that wait when it is.
	ErrClosed = errors.New("the client was closed")
	// ErrLost reports that the connection was lost and could not be recovered in time.
	ErrLost = errors.New("connection lost")
	// ErrProtocol reports a violation of the protocol by the server. The error is a
	// [*ProtocolError].
	ErrProtocol = errors.New("the server breaks the protocol")
	// ErrLimit reports that the server has sent more than the limits in [Config] allow. The error
	// names the limit.
	ErrLimit = errors.New("the server sends more than the client's limits allow")
	// ErrTooLong reports that a request is longer than the server takes; it was not sent.
	ErrTooLong = errors.New("request longer than the server allows")
)

// A ProtocolError reports what the server has sent that cannot be, or cannot be an answer to what
// was asked. The session has ended by it. errors.Is finds [ErrProtocol] in it.
type ProtocolError struct {
	Line string // as received, shortened, and without the id of a session
	Err  error  // what is wrong with it
}

// Error tells what is wrong with which line.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("%v: %v, in the line %q", ErrProtocol, e.Err, e.Line)
}

// Unwrap returns ErrProtocol and the cause.
func (e *ProtocolError) Unwrap() []error { return []error{ErrProtocol, e.Err} }

// shownLine is how much of a line is shown in an error.
const shownLine = 80

// protocolError quotes the line, which may be long and may hold the session id.
func protocolError(line []byte, err error) *ProtocolError {
	cut := ""
	if len(line) > shownLine {
		line, cut = line[:shownLine], "..."
	}
	if args, ok := bytes.CutPrefix(line, []byte("CONOK,")); ok {
		id, rest, more := strings.Cut(string(args), ",")
		if id = label(id); more {
			rest = "," + rest
		}
		return &ProtocolError{Line: "CONOK," + id + rest + cut, Err: err}
	}
	return &ProtocolError{Line: strings.ToValidUTF8(string(line), "\uFFFD") + cut, Err: err}
}

// label is what of a session id may be shown: it names the session, but authorises nothing.
func label(session string) string {
	const shown = 9
	if len(session) <= shown {
		return session
	}
	return session[:shown] + "..."
}

// A SessionError reports that the server refused the session, or ended it. Codes of 0 and below
// are the application's. Wire: CONERR, END, ERROR.
type SessionError struct {
	Code    int
	Message string // of any length up to Config.MaxMessage
}

// Error tells code and text.
func (e *SessionError) Error() string {
	return fmt.Sprintf("session refused or ended by the server: %d %s", e.Code, shortened(e.Message))
}

// A RequestError reports that the server, or the Metadata Adapter, refused a subscription or a
// message. Codes of 0 and below are the application's. Wire: REQERR, MSGFAIL.
type RequestError struct {
	Code    int
	Message string // of any length up to Config.MaxMessage
}

// Error tells code and text.
func (e *RequestError) Error() string {
	return fmt.Sprintf("refused by the server: %d %s", e.Code, shortened(e.Message))
}

// shortened bounds a text of the server in an error.
func shortened(s string) string {
	const most = 1000
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
