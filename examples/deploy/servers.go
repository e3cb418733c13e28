package deploy

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// Secure returns a server that dials over TLS, with a certificate of its own and a password from a file.
func Secure(feed adapter.DataProvider, log *slog.Logger) (*adapter.DataServer, error) {
	authorities, err := Authorities("/etc/adapter/ca.pem")
	if err != nil {
		return nil, err
	}
	own := &KeyPair{CertFile: "/etc/adapter/tls.crt", KeyFile: "/etc/adapter/tls.key"}
	return &adapter.DataServer{
		Provider:    feed,
		Name:        "QUOTES",
		Addr:        "10.0.0.7:8001",
		TLS:         Dialing("push.example.com", authorities, own),
		Credentials: FromFile("user1", "/etc/adapter/password"),
		Logger:      log,
	}, nil
}

// FromFile returns a Credentials function that reads the password at each connection, so that it can be changed without a restart.
func FromFile(user, file string) func(context.Context) (adapter.Credentials, error) {
	return func(context.Context) (adapter.Credentials, error) {
		text, err := os.ReadFile(file) //nolint:gosec // the path is the operator's
		if err != nil {
			return adapter.Credentials{}, err
		}
		return adapter.Credentials{User: user, Password: adapter.Password(strings.TrimSpace(string(text)))}, nil
	}
}

// Verbose logs what happens as JSON, and the requests and replies of the wire too.
func Verbose(server *adapter.DataServer) {
	server.Logger = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server.LogLines = adapter.LogRequests | adapter.LogReplies
}
