// Package secret has the text that must not be shown, passwords and tokens, and says what else must
// not be.
package secret

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Text is a secret. It shows as *** in whatever form it is printed, logged or marshalled, and as
// nothing if it is empty; string(t) is the secret.
//
// It is unmarshalled as any string. As the key of a map, encoding/json would show it: use it for
// values.
type Text string

const mask = "***"

// String returns the mask.
func (t Text) String() string {
	if t == "" {
		return ""
	}
	return mask
}

// Format implements fmt.Formatter, so that no verb shows the secret.
func (t Text) Format(s fmt.State, verb rune) {
	text := t.String()
	if verb == 'q' || verb == 'v' && s.Flag('#') {
		text = `"` + text + `"`
	}
	_, _ = io.WriteString(s, text) // fmt has no use for the error
}

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText implements encoding.TextMarshaler, and with it what JSON and XML show.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// labelled is how much of a session id is shown: enough to find it again, too little to use it.
const labelled = 9

// Label returns what logs and errors show of a session id. A whole one lets whoever reads it act
// for the session.
func Label(sessionID string) string {
	if len(sessionID) <= labelled {
		return sessionID
	}
	return sessionID[:labelled]
}

// secretWords are parts of the names, in lower case, of headers and parameters whose values are
// secret.
var secretWords = [...]string{
	"auth", "cookie", "passw", "passphrase", "pwd", "secret", "token", "credential", "apikey", "api-key", "api_key",
	"private", "signature", "session", "jwt", "assertion",
}

// Named reports whether the value of a header or parameter with the given name is likely to be a
// secret.
func Named(name string) bool {
	name = strings.ToLower(name)
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
