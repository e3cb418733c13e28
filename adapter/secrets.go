package adapter

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/lightstreamer-go/lightstreamer/internal/secret"
)

// Password is a secret text, as the client or the configuration gave it. In whatever form it is
// printed, logged or marshalled it shows as ***, and as nothing if it is empty; string(p) is the
// secret.
type Password = secret.Text

// Params are named texts: HTTP headers, the context of a session, parameters of an adapter.
// Printed, logged or marshalled, values whose names are those of secrets (authorization, cookie,
// password, token and the like) show as ***. To pass them on as they are, convert them:
// map[string]string(p).
type Params map[string]string

func (p Params) shown() map[string]string {
	if p == nil {
		return nil
	}
	shown := make(map[string]string, len(p))
	for name, value := range p {
		if secret.Named(name) {
			value = secret.Text(value).String()
		}
		shown[name] = value
	}
	return shown
}

// String returns the names with the values that may be shown.
func (p Params) String() string { return fmt.Sprint(p.shown()) }

// Format implements [fmt.Formatter], so that no verb shows a secret.
func (p Params) Format(s fmt.State, verb rune) {
	_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), p.shown())
}

// LogValue implements [slog.LogValuer].
func (p Params) LogValue() slog.Value { return slog.AnyValue(p.shown()) }

// MarshalJSON implements [json.Marshaler].
func (p Params) MarshalJSON() ([]byte, error) { return json.Marshal(p.shown()) }

// What follows makes requests about a session fit for logs: its id, with which anybody could act
// for the session, is shortened to nine characters when they are printed, whatever the verb, or
// logged. JSON has it whole.

// show prints what is logged of a request.
func show(s fmt.State, v slog.LogValuer) { _, _ = fmt.Fprint(s, v.LogValue()) }

func sessionAttr(id string) slog.Attr { return slog.String("session", secret.Label(id)) }

// Format implements [fmt.Formatter]; the session's id is shortened.
func (s Session) Format(f fmt.State, _ rune) { show(f, s) }

// LogValue implements [slog.LogValuer]; the session's id is shortened.
func (s Session) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", s.User), slog.Bool("anonymous", s.Anonymous), sessionAttr(s.ID), slog.Any("context", s.Context))
}

// Format implements [fmt.Formatter]; the session's id is shortened.
func (r ItemsRequest) Format(f fmt.State, _ rune) { show(f, r) }

// LogValue implements [slog.LogValuer]; the session's id is shortened.
func (r ItemsRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", r.User), sessionAttr(r.SessionID), slog.String("group", r.Group))
}

// Format implements [fmt.Formatter]; the session's id is shortened.
func (r SchemaRequest) Format(f fmt.State, _ rune) { show(f, r) }

// LogValue implements [slog.LogValuer]; the session's id is shortened.
func (r SchemaRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", r.User), sessionAttr(r.SessionID), slog.String("group", r.Group), slog.String("schema", r.Schema))
}

// Format implements [fmt.Formatter]; the session's id is shortened.
func (m UserMessage) Format(f fmt.State, _ rune) { show(f, m) }

// LogValue implements [slog.LogValuer]; the session's id is shortened.
func (m UserMessage) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", m.User), sessionAttr(m.SessionID), slog.String("message", m.Message))
}

// Format implements [fmt.Formatter]; the session's id is shortened.
func (t NewTables) Format(f fmt.State, _ rune) { show(f, t) }

// LogValue implements [slog.LogValuer]; the session's id is shortened.
func (t NewTables) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", t.User), sessionAttr(t.SessionID), slog.Any("tables", t.Tables))
}

// Format implements [fmt.Formatter]; the session's id is shortened.
func (t TablesClose) Format(f fmt.State, _ rune) { show(f, t) }

// LogValue implements [slog.LogValuer]; the session's id is shortened.
func (t TablesClose) LogValue() slog.Value {
	return slog.GroupValue(sessionAttr(t.SessionID), slog.Any("tables", t.Tables))
}

// Format implements [fmt.Formatter]; the device's token is shortened.
func (d MPNDeviceInfo) Format(f fmt.State, _ rune) { show(f, d) }

// LogValue implements [slog.LogValuer]; the device's token is shortened.
func (d MPNDeviceInfo) LogValue() slog.Value {
	return slog.GroupValue(slog.String("platform", string(rune(d.Platform))), slog.String("application", d.ApplicationID), slog.String("token", secret.Label(d.DeviceToken)))
}

// Format implements [fmt.Formatter]; the session's id and the device's token are shortened.
func (r MPNDeviceAccess) Format(f fmt.State, _ rune) { show(f, r) }

// LogValue implements [slog.LogValuer]; the session's id and the device's token are shortened.
func (r MPNDeviceAccess) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", r.User), sessionAttr(r.SessionID), slog.Any("device", r.Device))
}

// Format implements [fmt.Formatter]; the session's id and the device's token are shortened.
func (r MPNSubscriptionActivation) Format(f fmt.State, _ rune) { show(f, r) }

// LogValue implements [slog.LogValuer]; the session's id and the device's token are shortened.
func (r MPNSubscriptionActivation) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", r.User), sessionAttr(r.SessionID), slog.Any("table", r.Table), slog.Any("device", r.Subscription.Device))
}

// Format implements [fmt.Formatter]; the session's id and the tokens are shortened.
func (r MPNDeviceTokenChange) Format(f fmt.State, _ rune) { show(f, r) }

// LogValue implements [slog.LogValuer]; the session's id and the tokens are shortened.
func (r MPNDeviceTokenChange) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", r.User), sessionAttr(r.SessionID), slog.Any("device", r.Device), slog.String("new_token", secret.Label(r.NewToken)))
}

// Format implements [fmt.Formatter]: whatever the verb, the error is its message, without the other
// session.
func (e *ConflictingSessionError) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, e.Message) }
