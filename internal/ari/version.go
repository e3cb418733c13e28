package ari

import "strings"

// Channel says which of the two kinds of pair a line belongs to.
type Channel uint8

// The two kinds of pair. The zero Channel is neither.
const (
	Data     Channel = iota + 1 // item subscriptions and updates
	Metadata                    // users, sessions, names, permissions
)

// String returns "data" or "metadata".
func (c Channel) String() string {
	switch c {
	case Data:
		return "data"
	case Metadata:
		return "metadata"
	}
	return "unknown"
}

// Version is a protocol version. Versions are ordered. The zero Version means that none has been agreed yet.
type Version uint8

// The versions this package speaks. 1.8.1 was never public and does not exist here.
const (
	V180 Version = iota + 1
	V182
	V183
	V190
	V191

	Latest = V191
)

// ParseVersion reads one of the five version literals. It reports false for anything else, 1.8.1 included.
func ParseVersion(s string) (Version, bool) {
	switch s {
	case "1.8.0":
		return V180, true
	case "1.8.2":
		return V182, true
	case "1.8.3":
		return V183, true
	case "1.9.0":
		return V190, true
	case "1.9.1":
		return V191, true
	}
	return 0, false
}

// String returns the version as it is written on the wire, such as "1.9.1", or "none" for the zero Version.
func (v Version) String() string {
	switch v {
	case V180:
		return "1.8.0"
	case V182:
		return "1.8.2"
	case V183:
		return "1.8.3"
	case V190:
		return "1.9.0"
	case V191:
		return "1.9.1"
	}
	return "none"
}

// Encoding returns the string encoding of most messages in this version: Legacy for 1.8.x and the zero Version, Smart
// from 1.9.0 on. A few methods do not follow it, see [Method.Encoding].
func (v Version) Encoding() Encoding {
	if v.AtLeast(V190) {
		return Smart
	}
	return Legacy
}

// AtLeast says whether v is w or later. The zero Version comes before all others.
func (v Version) AtLeast(w Version) bool { return v >= w }

// VersionError says that the two ends have no version in common. The remote answers it as a generic error to the init
// request; the proxy drops the connection.
type VersionError struct {
	Channel Channel // zero when the proxy refuses an answer
	Version string  // what the peer announced or answered; empty for nothing
	Reason  string
}

// Error describes the refusal in words fit to be sent to the peer.
func (e *VersionError) Error() string {
	var b strings.Builder
	b.WriteString("ari: protocol version ")
	if e.Version == "" {
		b.WriteString("(none given)")
	} else {
		b.WriteString(e.Version)
	}
	b.WriteString(" refused: ")
	b.WriteString(e.Reason)
	return b.String()
}

// Answer returns the version with which a remote answers the one announced by the proxy in [ParamVersion]; announced is
// empty when the init request has no such parameter. It never downgrades: a proxy before 1.9.0 is refused with a
// *VersionError, and on the data channel 1.9.0 too, because such a proxy wants a second connection for notifications.
// An announced version this package does not know is later than [Latest], and leaves the decision to the proxy.
func Answer(ch Channel, announced string) (Version, error) {
	switch {
	case announced == "":
		return 0, &VersionError{ch, announced, "the proxy speaks 1.8.0; 1.9.0 or later is needed"}
	case strings.HasPrefix(announced, "1.8."):
		return 0, &VersionError{ch, announced, "1.9.0 or later is needed"}
	case announced == "1.9.0" && ch == Data:
		return 0, &VersionError{ch, announced, "a data proxy of this version needs two connections; 1.9.1 or later is needed"}
	}
	return Latest, nil
}

// Accept returns the version a proxy has to speak after the init reply r, or a *VersionError if it has to drop the
// connection. It expects that the proxy announced [Latest].
func Accept(r InitReply) (Version, error) {
	if r.Void {
		return V180, nil
	}
	t, ok := Lookup(r.Params, ParamVersion)
	if !ok {
		return 0, &VersionError{Reason: "the init reply has no " + ParamVersion}
	}
	// 1.8.0 has no way to name itself: its reply is void.
	v, ok := ParseVersion(t.S)
	if !ok || v == V180 {
		return 0, &VersionError{Version: t.S, Reason: "not a version this proxy speaks"}
	}
	return v, nil
}
