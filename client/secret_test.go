package client_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/client"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// everyForm returns what a value shows wherever it can be shown.
func everyForm(v any) string {
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	if j, err := json.Marshal(v); err == nil {
		b.Write(j)
	} else {
		b.WriteString(err.Error())
	}
	slog.New(slog.NewTextHandler(&b, nil)).Info("text", "value", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("json", "value", v, slog.Group("group", "value", v))
	return b.String()
}

// Neither a password nor a header is shown in any form, and of a session's id only its beginning:
// not by the types, not in the log and not in errors.
func TestSecretsAreNotShown(t *testing.T) {
	const secret, session = "hunter2", "S1234567890abcdef"
	var log bytes.Buffer
	s := serveScript(t, &scripted{socket: func(c *wsconn.Conn, n int) {
		sent := 0
		answer(c, func(request string) []string {
			if request == "wsok" {
				return nil
			}
			if sent++; n == 0 && sent == 1 {
				return []string{lines(conok)}
			}
			if n == 0 {
				c.CloseNow() // so that there is a recovery
			}
			return []string{lines(conok, conok)}
		})
	}, poll: func(w http.ResponseWriter, _ int) {
		_, _ = w.Write([]byte(lines(conok, "LOOP,0")))
	}})
	cfg := s.config()
	cfg.User, cfg.Password = "ann", secret
	cfg.Header = http.Header{"Authorization": {"Bearer " + secret}, "Cookie": {"id=" + secret}}
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := connect(t, cfg)
	_, err := c.Subscribe(t.Context(), client.Subscription{Mode: client.Raw, Items: []string{"i"}, Fields: []string{"f"}})
	end := ended(t, c)
	wrapped := struct {
		Config  client.Config
		Pointer *client.Config
		List    []any
	}{cfg, &cfg, []any{cfg.Password, &cfg}}
	_, badAddr := client.Connect(t.Context(), client.Config{Addr: "http://ann:" + secret + "@[::1"})
	_, userAddr := client.Connect(t.Context(), client.Config{Addr: "ftp://ann:" + secret + "@host"})
	for what, shown := range map[string]string{
		"configuration": everyForm(cfg), "password": everyForm(cfg.Password), "structs": everyForm(wrapped), "address": everyForm(client.Config{Addr: "http://ann:" + secret + "@host"}),
		"client": everyForm(c), "client by value in a struct": everyForm(struct{ C any }{c}), "log": log.String(),
		"errors": everyForm(end) + everyForm(err) + everyForm(badAddr) + everyForm(userAddr), "statistics": everyForm(c.Stats()),
	} {
		// Hexadecimal is a form, too.
		for _, s := range []string{secret, fmt.Sprintf("%x", secret), session, fmt.Sprintf("%x", session)} {
			if strings.Contains(strings.ToLower(shown), strings.ToLower(s)) {
				t.Errorf("%s: %s is shown: %s", what, s, shown)
			}
		}
	}
	if shown := everyForm(c); !strings.Contains(shown, session[:9]) {
		t.Errorf("the session is not named: %s", shown)
	}
	if !strings.Contains(log.String(), session[:9]) || !strings.Contains(log.String(), "connection recovered") {
		t.Errorf("log: %s", &log)
	}
	if c.SessionID() != session {
		t.Errorf("session %s", c.SessionID())
	}
}
