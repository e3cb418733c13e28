package broker

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/literal"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// demoMetadata takes names literally, and a few users and messages for special.
type demoMetadata struct {
	*literal.Metadata
	mu     sync.Mutex
	closed map[string]bool // sessions told as closed
	users  []provider.User
}

func (m *demoMetadata) NotifyUser(ctx context.Context, u provider.User) (provider.UserGrant, error) {
	m.mu.Lock()
	m.users = append(m.users, u)
	m.mu.Unlock()
	switch u.Name.S {
	case "mallory":
		return provider.UserGrant{}, &provider.Error{Kind: provider.Access, Message: "no"}
	case "poor":
		return provider.UserGrant{}, &provider.Error{Kind: provider.Credits, Code: -5, ClientMessage: provider.T("credits, refused")}
	}
	return m.Metadata.NotifyUser(ctx, u)
}

func (m *demoMetadata) Items(ctx context.Context, user provider.Text, group, session string) ([]string, error) {
	if group == "badgroup" {
		return nil, &provider.Error{Kind: provider.Items, Message: "no such group"}
	}
	return m.Metadata.Items(ctx, user, group, session)
}

func (m *demoMetadata) NotifyMessage(_ context.Context, _ provider.Text, _, message string) (string, error) {
	if text, ok := strings.CutPrefix(message, "deny "); ok {
		return "", &provider.Error{Kind: provider.Credits, Code: -7, ClientMessage: provider.T(text)}
	}
	return "got " + message, nil
}

func (m *demoMetadata) NotifySessionClose(session string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed[session] = true
}

// demoData serves any item. Those whose name begins with the lower-case name of a mode have a snapshot that suits it.
type demoData struct {
	mu    sync.Mutex
	sinks map[string]provider.Sink
	gone  chan string // items unsubscribed
}

func fields(pairs ...string) []provider.Field {
	var fs []provider.Field
	for i := 0; i < len(pairs); i += 2 {
		fs = append(fs, provider.Field{Name: pairs[i], Value: provider.T(pairs[i+1])})
	}
	return fs
}

func (d *demoData) Share(string, string) {}

func (d *demoData) Subscribe(item, _ string, sink provider.Sink) {
	d.mu.Lock()
	d.sinks[item] = sink
	d.mu.Unlock()
	snapshot := func(pairs ...string) { sink.Update(provider.Update{Snapshot: true, Fields: fields(pairs...)}) }
	switch {
	case strings.HasPrefix(item, "merge"):
		snapshot("a", "1", "b", "x|y", "c", "")
	case strings.HasPrefix(item, "distinct"):
		snapshot("a", "first")
		snapshot("a", "second")
		sink.EndOfSnapshot()
	case strings.HasPrefix(item, "command"):
		snapshot("key", "k1", "command", "ADD", "qty", "10")
		snapshot("key", "k2", "command", "ADD", "qty", "20")
		sink.EndOfSnapshot()
	}
}

func (d *demoData) Unsubscribe(item string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sinks, item)
	select {
	case d.gone <- item:
	default: // a test that unsubscribes so many does not look
	}
}

// awaitGone returns when an item has been unsubscribed.
func (d *demoData) awaitGone(t *testing.T, item string) {
	t.Helper()
	for {
		select {
		case name := <-d.gone:
			if name == item {
				return
			}
		case <-time.After(patience):
			t.Fatalf("%s is still subscribed", item)
		}
	}
}

// update sends an event of an item that is subscribed.
func (d *demoData) update(t *testing.T, item string, pairs ...string) {
	t.Helper()
	d.mu.Lock()
	sink := d.sinks[item]
	d.mu.Unlock()
	if sink == nil {
		t.Errorf("%s is not subscribed", item)
		return
	}
	sink.Update(provider.Update{Fields: fields(pairs...)})
}

// demo is a broker with one Adapter Set in the process of the test.
type demo struct {
	*Running
	metadata *demoMetadata
	data     *demoData
}

func startDemo(t testing.TB, cfg Config) *demo {
	t.Helper()
	d := &demo{
		metadata: &demoMetadata{Metadata: literal.New(literal.Config{DistinctSnapshotLength: 10}), closed: make(map[string]bool)},
		data:     &demoData{sinks: make(map[string]provider.Sink), gone: make(chan string, 100)},
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Linger == 0 {
		cfg.Linger = -1
	}
	set := &provider.Set{ID: "DEMO", Metadata: d.metadata, Data: map[string]provider.Data{"DEFAULT": d.data}}
	var err error
	if d.Running, err = start(t.Context(), cfg, []*provider.Set{set}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}
