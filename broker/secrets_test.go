package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/broker"
	"github.com/lightstreamer-go/lightstreamer/client"
)

// logs keeps everything that is logged, as text and as JSON.
type logs struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines chan struct{} // one signal at a time: something has been logged
}

func newLogs() *logs { return &logs{lines: make(chan struct{}, 1)} }

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.lines <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// until waits until something has been logged.
func (l *logs) until(t *testing.T, what string) {
	t.Helper()
	for !strings.Contains(l.String(), what) {
		select {
		case <-l.lines:
		case <-t.Context().Done():
			t.Fatalf("nothing with %q was logged", what)
		}
	}
}

func (l *logs) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	return slog.New(slog.NewMultiHandler(slog.NewTextHandler(l, options), slog.NewJSONHandler(l, options)))
}

// indiscreet is a Metadata Adapter that logs whatever it gets, and refuses in many ways.
type indiscreet struct {
	adapter.DefaultMetadata
	log *slog.Logger

	mu       sync.Mutex
	control  *adapter.Control
	sessions []string
}

func (i *indiscreet) Initialize(_ context.Context, in adapter.Init) error {
	i.log.Info("initialize", "init", in, "params", in.Params)
	i.mu.Lock()
	i.control = in.Control
	i.mu.Unlock()
	return nil
}

func (i *indiscreet) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	i.log.Info("user", "user", u, "printed", fmt.Sprintf("%v %+v %#v", u, u, u))
	if string(u.Password) != "hidden-of-the-user" {
		return adapter.UserGrant{}, fmt.Errorf("refused %v: %w", u, &adapter.AccessError{Message: fmt.Sprintf("refused %+v", u)})
	}
	return adapter.UserGrant{WantsTables: true}, nil
}

func (i *indiscreet) NotifyNewSession(_ context.Context, s adapter.Session) (adapter.SessionGrant, error) {
	i.log.Info("session", "session", s, "printed", fmt.Sprintf("%+v", s))
	i.mu.Lock()
	i.sessions = append(i.sessions, s.ID)
	i.mu.Unlock()
	return adapter.SessionGrant{}, nil
}

func (i *indiscreet) Items(ctx context.Context, r adapter.ItemsRequest) ([]string, error) {
	i.log.Info("items", "request", r)
	if r.Group == "refused" {
		return nil, &adapter.ItemsError{Message: fmt.Sprint(r)}
	}
	if r.Group == "panics" {
		panic(r)
	}
	return i.DefaultMetadata.Items(ctx, adapter.ItemsRequest{Group: r.Group})
}

func (i *indiscreet) NotifyUserMessage(_ context.Context, m adapter.UserMessage) error {
	i.log.Info("message", "message", m)
	return &adapter.CreditsError{Message: fmt.Sprint(m), Code: -1, UserMessage: "no"}
}

func (i *indiscreet) NotifyTablesClose(_ context.Context, c adapter.TablesClose) error {
	return &adapter.NotificationError{Message: fmt.Sprintf("%+v", c)}
}

func (i *indiscreet) NotifySessionClose(context.Context, string) error {
	return errors.New("not that one")
}

// Nothing that broker, adapters and clients log holds a secret, whatever goes wrong among them, at
// the most talkative level.
func TestLogsHoldNoSecrets(t *testing.T) {
	l := newLogs()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listen := func() (net.Listener, int) {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		return ln, ln.Addr().(*net.TCPAddr).Port
	}
	const secrets = "hidden-of-the-proxy"
	metaListener, metaPort := listen()
	dataListener, dataPort := listen()
	proxy := func(tag, class string, port int) string {
		return fmt.Sprintf(`<%s><adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
			<param name="request_reply_port">%d</param><param name="remote_host">127.0.0.1</param>
			<param name="connection_recovery_timeout_millis">20</param><param name="auth">Y</param>
			<param name="auth.credentials.1.user">adapter</param><param name="auth.credentials.1.password">%s</param>
			<param name="database.password">hidden-of-the-database</param></%s>`, tag, port, secrets, class)
	}
	file := filepath.Join(t.TempDir(), "adapters.xml")
	text := `<?xml version="1.0"?><adapters_conf id="DEMO">` + proxy("metadata_provider", "metadata_provider", metaPort) +
		proxy(`data_provider name="DEFAULT"`, "data_provider", dataPort) + `</adapters_conf>`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	meta := &indiscreet{log: l.logger()}
	all := adapter.LogRequests | adapter.LogReplies | adapter.LogNotifications | adapter.LogKeepalives
	good := adapter.StaticCredentials("adapter", secrets)
	first := true
	data := &adapter.DataServer{
		Listener: dataListener, Logger: l.logger(), LogLines: all,
		Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
			return sub.Update(adapter.Fields{"f": sub.Item()})
		}),
		Credentials: func(ctx context.Context) (adapter.Credentials, error) {
			if first { // refused once
				first = false
				c := adapter.Credentials{User: "adapter", Password: "hidden-and-wrong"}
				return c, fmt.Errorf("not ready: %+v", c)
			}
			return good(ctx)
		},
	}
	var servers sync.WaitGroup
	defer servers.Wait()
	defer cancel()
	servers.Go(func() {
		err := adapter.Run(ctx, &adapter.MetadataServer{Provider: meta, Listener: metaListener, Credentials: good, Logger: l.logger(), LogLines: all}, data)
		if err != nil {
			t.Error(err)
		}
	})
	r, err := broker.Start(ctx, broker.Config{Addr: "127.0.0.1:0", AdapterFiles: []string{file}, Logger: l.logger(), Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	select {
	case <-r.Ready():
	case <-t.Context().Done():
		t.Fatal("the broker does not become ready")
	}

	connect := func(password client.Password) (*client.Client, error) {
		return client.Connect(ctx, client.Config{
			Addr: r.URL(), AdapterSet: "DEMO", User: "ann", Password: password, Logger: l.logger(),
			Header: http.Header{"Authorization": {"Bearer hidden-authorization"}, "Cookie": {"c=hidden-cookie"}},
		})
	}
	if _, err := connect("hidden-and-wrong"); err == nil {
		t.Error("the wrong password was taken")
	} else {
		l.logger().Error("refused", "err", err)
	}
	c, err := connect("hidden-of-the-user")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	updates := make(chan string, 10)
	s, err := c.Subscribe(ctx, client.Subscription{
		Mode: client.Distinct, Items: []string{"item"}, Fields: []string{"f"}, OnUpdate: func(u *client.Update) { updates <- u.Item },
	})
	if err != nil {
		t.Fatal(err)
	}
	<-updates
	for _, items := range [][]string{{"refused"}, {"panics"}} {
		if _, err := c.Subscribe(ctx, client.Subscription{Mode: client.Raw, Items: items, Fields: []string{"f"}}); err == nil {
			t.Errorf("subscribed to %s", items)
		} else {
			l.logger().Error("refused", "err", err)
		}
	}
	if _, err := c.Send(ctx, client.Message{Text: "hello"}); err == nil {
		t.Error("the message was taken")
	} else {
		l.logger().Error("refused", "err", err)
	}
	if err := s.Unsubscribe(ctx); err != nil {
		t.Error(err)
	}
	l.until(t, "notification failed") // NotifyTablesClose
	meta.mu.Lock()
	control, sessions := meta.control, meta.sessions
	meta.mu.Unlock()
	if err := control.ForceSessionTermination(ctx, sessions[0], &adapter.Cause{Code: -3, Message: "enough"}); err != nil {
		t.Error(err)
	}
	<-c.Done()
	l.logger().Error("ended", "err", c.Err())
	cancel()
	servers.Wait()
	r.Close()

	logged := l.String()
	for _, said := range []string{"initialise", "level=DEBUG", `"level":"WARN"`, sessions[0][:9]} {
		if !strings.Contains(logged, said) {
			t.Errorf("nothing with %q was logged: is the test still one?", said)
		}
	}
	for _, hidden := range append(sessions, "hidden-", fmt.Sprintf("%x", "hidden-")) {
		for line := range strings.Lines(logged) {
			if strings.Contains(line, hidden) {
				t.Errorf("%q is in a log line: %s", hidden, line)
			}
		}
	}
}
