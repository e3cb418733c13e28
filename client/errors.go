package client

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is returned by calls on a client that was closed, and by those that wait when it is.
	ErrClosed = errors.New("the client was closed")
	// ErrLost tells that the connection was lost and could not be recovered in time.
	ErrLost = errors.New("connection lost")
	// ErrProtocol tells that the server has sent what cannot be.
	ErrProtocol = errors.New("the server breaks the protocol")
	// ErrTooLong tells that a request is longer than the server takes; it was not sent.
	ErrTooLong = errors.New("request longer than the server allows")
)

// A SessionError tells that the server refused the session, or ended it. Codes of 0 and below are the application's. Wire: CONERR, END.
type SessionError struct {
	Code    int
	Message string
}

// Error tells code and text.
func (e *SessionError) Error() string {
	return fmt.Sprintf("session refused or ended by the server: %d %s", e.Code, e.Message)
}

// A RequestError tells that the server, or the Metadata Adapter, refused a subscription or a message. Codes of 0 and below are the application's.
// Wire: REQERR, MSGFAIL.
type RequestError struct {
	Code    int
	Message string
}

// Error tells code and text.
func (e *RequestError) Error() string {
	return fmt.Sprintf("refused by the server: %d %s", e.Code, e.Message)
}
