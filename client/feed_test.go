package client_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/broker"
	"github.com/lightstreamer-go/lightstreamer/client"
)

// patience is how long a test waits for what has to come; it only runs out when something is wrong.
const patience = 30 * time.Second

// feed is a Data Adapter whose items are fed by the test. Those whose name begins with "quote" have a snapshot.
type feed struct {
	mu   sync.Mutex
	subs map[string]*adapter.Subscription
	came chan struct{} // closed when an item is subscribed, and replaced
}

func newFeed() *feed {
	return &feed{subs: make(map[string]*adapter.Subscription), came: make(chan struct{})}
}

func (f *feed) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	switch name, _, _ := strings.Cut(sub.Item(), "."); name {
	case "none":
		return &adapter.SubscribeError{Message: "no such item"}
	case "quote":
		if err := sub.Snapshot(adapter.Fields{"last": "1.0", "name": sub.Item()}); err != nil {
			return err
		}
	case "book":
		if err := sub.Add("a", adapter.Fields{"qty": 1}); err != nil {
			return err
		}
		if err := sub.EndOfSnapshot(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs[sub.Item()] = sub
	close(f.came)
	f.came = make(chan struct{})
	return nil
}

// item waits until an item is subscribed.
func (f *feed) item(t testing.TB, name string) *adapter.Subscription {
	t.Helper()
	for {
		f.mu.Lock()
		sub, came := f.subs[name], f.came
		f.mu.Unlock()
		if sub != nil && sub.Context().Err() == nil {
			return sub
		}
		select {
		case <-came:
		case <-time.After(patience):
			t.Fatalf("nobody subscribes to %s", name)
		}
	}
}

// desk is a Metadata Adapter that answers messages and counts them.
type desk struct {
	adapter.LiteralMetadata
	mu       sync.Mutex
	messages []string
	control  *adapter.Control
}

func (d *desk) Initialize(ctx context.Context, in adapter.Init) error {
	d.mu.Lock()
	d.control = in.Control
	d.mu.Unlock()
	return d.LiteralMetadata.Initialize(ctx, in)
}

func (d *desk) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	if u.Name == "mallory" {
		return adapter.UserGrant{}, &adapter.AccessError{Message: "no"}
	}
	if !u.Anonymous && u.Password != "secret" {
		return adapter.UserGrant{}, &adapter.CreditsError{Code: -4, UserMessage: "wrong password"}
	}
	return adapter.UserGrant{WantsTables: true}, nil
}

func (d *desk) NotifyNewTables(context.Context, adapter.NewTables) (adapter.TablesGrant, error) {
	return adapter.TablesGrant{Unsubscribable: true}, nil
}

func (d *desk) RespondToUserMessage(_ context.Context, m adapter.UserMessage) (string, error) {
	d.mu.Lock()
	d.messages = append(d.messages, m.Message)
	d.mu.Unlock()
	if reason, ok := strings.CutPrefix(m.Message, "deny "); ok {
		return "", &adapter.CreditsError{Code: -7, UserMessage: reason}
	}
	return "got " + m.Message, nil
}

// start runs a broker with a feed and a desk.
func start(t testing.TB) (*broker.Running, *feed, *desk) {
	t.Helper()
	f, d := newFeed(), &desk{}
	return broker.StartTest(t, adapter.Set{Metadata: d, Data: map[string]adapter.DataProvider{"DEFAULT": f}}), f, d
}

// waitFor returns when a condition holds.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waiting in vain for %s", what)
		}
	}
}

// connect opens a session that ends with the test.
func connect(t testing.TB, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// shown is what a test sees of an update.
func shown(u *client.Update) string {
	b := strings.Builder{}
	fmt.Fprintf(&b, "%s", u.Item)
	if u.Snapshot {
		b.WriteString(" snapshot")
	}
	for i := range u.Len() {
		v, ok := u.At(i)
		if !ok {
			v = "null"
		}
		if u.ChangedAt(i) {
			v += "!"
		}
		b.WriteString(" " + v)
	}
	return b.String()
}

// recorder collects what callbacks tell, in order.
type recorder chan string

func (r recorder) record(format string, args ...any) { r <- fmt.Sprintf(format, args...) }

func (r recorder) expect(t testing.TB, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-r:
			if got != w {
				t.Fatalf("got %q, want %q", got, w)
			}
		case <-time.After(patience):
			t.Fatalf("nothing comes; want %q", w)
		}
	}
}

// callbacks adds callbacks that record everything.
func (r recorder) callbacks(s client.Subscription) client.Subscription {
	s.OnUpdate = func(u *client.Update) { r.record("%s", shown(u)) }
	s.OnEndOfSnapshot = func(item string, pos int) { r.record("EOS %s %d", item, pos) }
	s.OnClearSnapshot = func(item string, pos int) { r.record("CS %s %d", item, pos) }
	s.OnLost = func(item string, pos int, n int64) { r.record("lost %s %d %d", item, pos, n) }
	s.OnUnsubscribed = func() { r.record("unsubscribed") }
	return s
}
