package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/internal/secret"
)

type account struct {
	User     string
	Password secret.Text
}

// No way of showing a value that holds a secret shows the secret.
func TestSecretIsNeverShown(t *testing.T) {
	const hidden = "hunter2"
	a := account{"ann", hidden}
	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T"} {
		shown["fmt "+verb] = fmt.Sprintf(verb, a) + fmt.Sprintf(verb, &a) + fmt.Sprintf(verb, a.Password)
	}
	j, err := json.Marshal(map[string]any{"a": a, "p": a.Password})
	if err != nil {
		t.Fatal(err)
	}
	shown["json"] = string(j)
	x, err := xml.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	shown["xml"] = string(x)
	var b bytes.Buffer
	for name, h := range map[string]slog.Handler{"text": slog.NewTextHandler(&b, nil), "json": slog.NewJSONHandler(&b, nil)} {
		b.Reset()
		slog.New(h).Info("x", "account", a, "pointer", &a, "password", a.Password, "error", fmt.Errorf("for %v", a))
		shown["slog "+name] = b.String()
	}
	for how, text := range shown {
		if strings.Contains(text, hidden) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", hidden)) {
			t.Errorf("%s shows it: %s", how, text)
		}
	}
	if got := shown["json"]; !strings.Contains(got, `"Password":"***"`) {
		t.Errorf("JSON is %s", got)
	}
}

func TestSecretIsRead(t *testing.T) {
	var a account
	if err := json.Unmarshal([]byte(`{"User":"ann","Password":"hunter2"}`), &a); err != nil || string(a.Password) != "hunter2" {
		t.Errorf("got %q, %v", string(a.Password), err)
	}
	if got := secret.Text("").String(); got != "" {
		t.Errorf("an empty one shows as %q", got)
	}
}

func TestLabel(t *testing.T) {
	for id, want := range map[string]string{"": "", "S1": "S1", "S12345678": "S12345678", "S123456789abcdef": "S12345678"} {
		if got := secret.Label(id); got != want {
			t.Errorf("Label(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestNamed(t *testing.T) {
	for _, name := range []string{
		"authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "x-auth-token", "X-API-Key", "password", "db.passwd", "PWD",
		"client_secret", "access_token", "sessionId", "jwt", "feed.credentials", "private.key", "SAMLAssertion",
	} {
		if !secret.Named(name) {
			t.Errorf("%q is shown", name)
		}
	}
	for _, name := range []string{"user-agent", "host", "REMOTE_IP", "REQUEST_ID", "adapters_conf.id", "data_provider.name", "ARI.version", ""} {
		if secret.Named(name) {
			t.Errorf("%q is masked", name)
		}
	}
}
