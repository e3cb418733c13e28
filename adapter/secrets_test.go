package adapter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// No struct of the SDK shows the secret that it carries, however it is printed, logged or
// marshalled.
func TestNothingShowsSecrets(t *testing.T) {
	const hidden, session = "hunter2", "Sabcdefgh-and-the-rest"
	secrets := adapter.Params{"authorization": hidden, "cookie": hidden, "x-api-key": hidden, "db.password": hidden, "host": "example.com"}
	device := adapter.MPNDeviceInfo{Platform: adapter.Apple, DeviceToken: "123456789" + hidden}
	for _, tt := range []struct {
		name  string
		value any
		json  bool // may not show it either
	}{
		{"User", adapter.User{Name: "ann", Password: hidden, Headers: secrets}, true},
		{"Credentials", adapter.Credentials{User: "ann", Password: hidden}, true},
		{"Init", adapter.Init{Params: secrets}, true},
		{"Params", secrets, true},
		{"Session", adapter.Session{ID: session + hidden, Context: secrets}, false},
		{"ItemsRequest", adapter.ItemsRequest{SessionID: session + hidden}, false},
		{"SchemaRequest", adapter.SchemaRequest{SessionID: session + hidden}, false},
		{"UserMessage", adapter.UserMessage{SessionID: session + hidden}, false},
		{"NewTables", adapter.NewTables{SessionID: session + hidden}, false},
		{"TablesClose", adapter.TablesClose{SessionID: session + hidden}, false},
		{"MPNDeviceInfo", device, false},
		{"MPNDeviceAccess", adapter.MPNDeviceAccess{SessionID: session + hidden, Device: device}, false},
		{"MPNSubscriptionActivation", adapter.MPNSubscriptionActivation{SessionID: session + hidden, Subscription: adapter.MPNSubscriptionInfo{Device: device}}, false},
		{"MPNDeviceTokenChange", adapter.MPNDeviceTokenChange{SessionID: session + hidden, Device: device, NewToken: "123456789" + hidden}, false},
		{"ConflictingSessionError", &adapter.ConflictingSessionError{Message: "two", SessionID: session + hidden}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shown := map[string]string{}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%10v"} {
				shown["fmt "+verb] = fmt.Sprintf(verb, tt.value) + fmt.Sprintf(verb, []any{tt.value}) + fmt.Errorf("for "+verb, tt.value).Error()
			}
			if text, err := json.Marshal(tt.value); err != nil {
				t.Error(err)
			} else if tt.json {
				shown["json"] = string(text)
			}
			var b bytes.Buffer
			for name, h := range map[string]slog.Handler{"text": slog.NewTextHandler(&b, nil), "json": slog.NewJSONHandler(&b, nil)} {
				b.Reset()
				slog.New(h).With("of", tt.value).Info("x", "value", tt.value, "err", fmt.Errorf("for %v", tt.value))
				shown["slog "+name] = b.String()
			}
			for how, text := range shown {
				if strings.Contains(text, hidden) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", hidden)) {
					t.Errorf("%s shows it: %s", how, text)
				}
			}
		})
	}
	if got := secrets.String(); !strings.Contains(got, "host:example.com") || !strings.Contains(got, "cookie:***") {
		t.Errorf("what may be shown is %s", got)
	}
	var back adapter.Params
	if err := json.Unmarshal([]byte(`{"cookie":"c"}`), &back); err != nil || back["cookie"] != "c" {
		t.Errorf("read %q, %v", back["cookie"], err)
	}
}
