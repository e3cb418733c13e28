// Package tlcp is the wire of the Lightstreamer client protocol (TLCP 2.1 to 2.5): requests from clients and lines from the
// server, each in both directions. A server parses requests and appends lines; a client appends requests and parses lines.
//
// Everything here is a pure function over bytes: no I/O, no goroutines, no state other than the arguments. All functions may be
// called from any goroutine. Parsers are total: whatever the bytes, they return a value or an error, and the memory they use is
// bounded by a small multiple of the input. Parsed strings never share memory with the input, except where a comment says so.
//
// Errors are answers. What is wrong with a request comes back as a [*SessionError] (the CONERR to send) or a [*RequestError] (the
// REQERR or ERROR to send), so that a server never has to invent a code.
package tlcp

import (
	"fmt"
	"strconv"
	"strings"
)

// EOL ends every line of the protocol.
const EOL = "\r\n"

// Version is a protocol version, LS_protocol over HTTP and the subprotocol of a WebSocket. The zero value is no version.
type Version struct{ Major, Minor, Patch int }

// Latest is the version this package implements in full.
var Latest = Version{2, 5, 0}

// ParseVersion reads "TLCP-2.5.0". The error quotes what was found; whether the version can be served is for [Version.Supported] to
// say.
func ParseVersion(s string) (Version, error) {
	digits, ok := strings.CutPrefix(s, "TLCP-")
	if !ok {
		return Version{}, fmt.Errorf("tlcp: %q is no protocol version: want TLCP-major.minor.patch", clip(s))
	}
	parts := strings.Split(digits, ".")
	if len(parts) != 3 {
		return Version{}, fmt.Errorf("tlcp: %q is no protocol version: want three numbers", clip(s))
	}
	var v Version
	for i, p := range []*int{&v.Major, &v.Minor, &v.Patch} {
		n, err := strconv.ParseUint(parts[i], 10, 16)
		if err != nil {
			return Version{}, fmt.Errorf("tlcp: %q is no protocol version: want three numbers", clip(s))
		}
		*p = int(n)
	}
	return v, nil
}

const subprotocolSuffix = ".lightstreamer.com"

// ParseSubprotocol reads a WebSocket subprotocol, "TLCP-2.5.0.lightstreamer.com".
func ParseSubprotocol(s string) (Version, error) {
	v, ok := strings.CutSuffix(s, subprotocolSuffix)
	if !ok {
		return Version{}, fmt.Errorf("tlcp: %q is no subprotocol: want TLCP-major.minor.patch%s", clip(s), subprotocolSuffix)
	}
	return ParseVersion(v)
}

// String returns the form of LS_protocol.
func (v Version) String() string {
	return "TLCP-" + strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor) + "." + strconv.Itoa(v.Patch)
}

// Subprotocol returns the form a WebSocket handshake uses.
func (v Version) Subprotocol() string { return v.String() + subprotocolSuffix }

// Supported says whether a server built on this package can serve the version: 2.1 to 2.5, whatever the third number, which by the
// protocol never asks anything of the server.
func (v Version) Supported() bool { return v.Major == 2 && v.Minor >= 1 && v.Minor <= 5 }

// HasDiffs says whether the client understands JSON Patch and TLCP-diff values.
func (v Version) HasDiffs() bool { return v.Major > 2 || v.Major == 2 && v.Minor >= 4 }

// HasMessageResponse says whether MSGDONE has its third argument.
func (v Version) HasMessageResponse() bool { return v.Major > 2 || v.Major == 2 && v.Minor >= 5 }

// Name is the name of a request: the first line of a WebSocket message, or the file name of an HTTP address without ".txt". The
// zero Name is none of them.
type Name uint8

// The names of the requests.
const (
	NameCreateSession Name = iota + 1
	NameBindSession
	NameControl
	NameMsg
	NameHeartbeat
	NameWSOK // WebSocket only
)

var nameTexts = [...]string{
	NameCreateSession: "create_session",
	NameBindSession:   "bind_session",
	NameControl:       "control",
	NameMsg:           "msg",
	NameHeartbeat:     "heartbeat",
	NameWSOK:          "wsok",
}

// ParseName reads a request name; false for anything that is none, case included.
func ParseName(s []byte) (Name, bool) {
	for n, text := range nameTexts {
		if n > 0 && text == string(s) {
			return Name(n), true
		}
	}
	return 0, false
}

// String returns the name as it is on the wire, and "unknown" for no name.
func (n Name) String() string {
	if n == 0 || int(n) >= len(nameTexts) {
		return "unknown"
	}
	return nameTexts[n]
}

// Mode is a subscription mode. The zero Mode is none.
type Mode uint8

// The four modes.
const (
	ModeRaw Mode = iota + 1
	ModeMerge
	ModeDistinct
	ModeCommand
)

var modeTexts = [...]string{ModeRaw: "RAW", ModeMerge: "MERGE", ModeDistinct: "DISTINCT", ModeCommand: "COMMAND"}

// ParseMode reads a mode; false for anything that is none, case included.
func ParseMode(s string) (Mode, bool) {
	for m, text := range modeTexts {
		if m > 0 && text == s {
			return Mode(m), true
		}
	}
	return 0, false
}

// String returns the mode as it is on the wire, and "NONE" for no mode.
func (m Mode) String() string {
	if m == 0 || int(m) >= len(modeTexts) {
		return "NONE"
	}
	return modeTexts[m]
}

// clip shortens what a peer sent to a length fit for an error text.
func clip(s string) string {
	const limit = 64
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}
