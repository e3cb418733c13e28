// Package secret has the text that must not be shown: passwords, tokens.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Text is a secret. It shows as *** in whatever form it is printed, logged or marshalled, and as
// nothing if it is empty; string(t) is the secret.
//
// It is unmarshalled as any string. As the key of a map, encoding/json would show it: use it for values.
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
