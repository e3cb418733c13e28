package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/client"
)

func TestMerge(t *testing.T) {
	r, f, _ := start(t)
	c := connect(t, client.Config{Addr: r.URL()})
	got := make(recorder, 100)
	sub, err := c.Subscribe(t.Context(), got.callbacks(client.Subscription{
		Mode: client.Merge, Items: []string{"quote.1", "quote.2"}, Fields: []string{"name", "last", "note"}, Snapshot: true,
	}))
	if err != nil {
		t.Fatal(err)
	}
	snapshots := []string{<-got, <-got} // of different items, in any order
	slices.Sort(snapshots)
	if want := []string{"quote.1 snapshot quote.1! 1.0! null!", "quote.2 snapshot quote.2! 1.0! null!"}; !slices.Equal(snapshots, want) {
		t.Errorf("got %q, want %q", snapshots, want)
	}
	one := f.item(t, "quote.1")
	for _, step := range []struct {
		fields adapter.Fields
		want   string
	}{
		{adapter.Fields{"last": "1.1"}, "quote.1 quote.1 1.1! null"},
		{adapter.Fields{"note": ""}, "quote.1 quote.1 1.1 !"},
		{adapter.Fields{"note": "a|b^c#$\n", "last": "1.1"}, "quote.1 quote.1 1.1 a|b^c#$\n!"},
		{adapter.Fields{"note": nil, "name": "é"}, "quote.1 é! 1.1 null!"},
	} {
		if err := one.Update(step.fields); err != nil {
			t.Fatal(err)
		}
		got.expect(t, step.want)
	}
	if err := sub.Unsubscribe(t.Context()); err != nil {
		t.Error(err)
	}
	got.expect(t, "unsubscribed")
	<-one.Context().Done()
	if err := sub.Unsubscribe(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestCommand(t *testing.T) {
	r, f, _ := start(t)
	c := connect(t, client.Config{Addr: r.URL()})
	got := make(recorder, 100)
	if _, err := c.Subscribe(t.Context(), got.callbacks(client.Subscription{
		Mode: client.Command, Items: []string{"book.1"}, Schema: "key command qty", Snapshot: true, Unfiltered: true,
	})); err != nil {
		t.Fatal(err)
	}
	got.expect(t, "book.1 snapshot a! ADD! 1!", "EOS book.1 1")
	book := f.item(t, "book.1")
	book.Add("b", adapter.Fields{"qty": 2})
	got.expect(t, "book.1 b! ADD! 2!")
	book.Modify("a", adapter.Fields{"qty": 1})
	book.Modify("a", adapter.Fields{"qty": 3})
	got.expect(t, "book.1 a UPDATE! 1", "book.1 a UPDATE 3!")
	book.Delete("a")
	got.expect(t, "book.1 a DELETE! null!")
	book.ClearSnapshot()
	got.expect(t, "CS book.1 1")
	book.Add("b", adapter.Fields{"qty": 2})
	got.expect(t, "book.1 b! ADD! 2!")
}

// Key and Command are there in COMMAND mode only, and fields are found by their names.
func TestUpdateByName(t *testing.T) {
	r, f, _ := start(t)
	c := connect(t, client.Config{Addr: r.URL()})
	got := make(recorder, 100)
	tell := func(u *client.Update) {
		value, ok := u.Value("qty")
		_, other := u.Value("other")
		got.record("%q %q %s %t %t %t %v", u.Key(), u.Command(), value, ok, other, u.Changed("qty"), u.Fields())
	}
	for _, mode := range []client.Mode{client.Command, client.Raw} {
		if _, err := c.Subscribe(t.Context(), client.Subscription{
			Mode: mode, Items: []string{"rows." + mode.String()}, Fields: []string{"key", "command", "qty"}, OnUpdate: tell,
		}); err != nil {
			t.Fatal(err)
		}
	}
	f.item(t, "rows.COMMAND").Add("k", adapter.Fields{"qty": nil})
	got.expect(t, `"k" "ADD"  false false true map[command:ADD key:k]`)
	f.item(t, "rows.RAW").Update(adapter.Fields{"key": "k", "qty": 7})
	got.expect(t, `"" "" 7 true false true map[key:k qty:7]`)
}

func TestDistinctAndGroups(t *testing.T) {
	r, f, d := start(t)
	c := connect(t, client.Config{Addr: r.URL(), User: "ann", Password: "secret", AdapterSet: "DEFAULT"})
	got := make(recorder, 100)
	if _, err := c.Subscribe(t.Context(), got.callbacks(client.Subscription{Mode: client.Distinct, Group: "chat.1 chat.2", Fields: []string{"text"}, Snapshot: true})); err != nil {
		t.Fatal(err)
	}
	if a, b := <-got, <-got; a+b != "EOS  1EOS  2" && a+b != "EOS  2EOS  1" {
		t.Errorf("got %q and %q", a, b)
	}
	f.item(t, "chat.2").Update(adapter.Fields{"text": "hello"})
	got.expect(t, " hello!")
	// The second subscription finds the history, of which it wants the last event.
	f.item(t, "chat.2").Update(adapter.Fields{"text": "again"})
	got.expect(t, " again!")
	later := make(recorder, 100)
	if _, err := c.Subscribe(t.Context(), later.callbacks(client.Subscription{
		Mode: client.Distinct, Items: []string{"chat.2"}, Fields: []string{"text"}, Snapshot: true, SnapshotLength: 1,
	})); err != nil {
		t.Fatal(err)
	}
	later.expect(t, "chat.2 snapshot again!", "EOS chat.2 1")
	// A subscription that the adapter ends.
	if ok, err := d.control.ForceUnsubscription(t.Context(), c.SessionID(), 2); !ok || err != nil {
		t.Errorf("forced unsubscription: %t, %v", ok, err)
	}
	later.expect(t, "unsubscribed")
}

func TestMessages(t *testing.T) {
	r, _, d := start(t)
	c := connect(t, client.Config{Addr: r.URL()})
	if got, err := c.Send(t.Context(), client.Message{Text: "hello\r\n&=%"}); got != "got hello\r\n&=%" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	_, err := c.Send(t.Context(), client.Message{Text: "deny it, please", Sequence: "s"})
	if refusal, ok := errors.AsType[*client.RequestError](err); !ok || *refusal != (client.RequestError{Code: -7, Message: "it, please"}) {
		t.Errorf("got %v", err)
	}
	if got, err := c.Send(t.Context(), client.Message{Text: "deny in silence", Sequence: "s", NoOutcome: true}); got != "" || err != nil {
		t.Errorf("without outcome: %q, %v", got, err)
	}
	if _, err := c.Send(t.Context(), client.Message{Text: strings.Repeat("x", 60_000)}); !errors.Is(err, client.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			text := fmt.Sprint("m", i)
			if got, err := c.Send(t.Context(), client.Message{Text: text, Sequence: "s"}); got != "got "+text || err != nil {
				t.Errorf("%s: got %q, %v", text, got, err)
			}
		})
	}
	wg.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.messages) != 53 {
		t.Errorf("%d messages came: %q", len(d.messages), d.messages)
	}
}

func TestRefusals(t *testing.T) {
	r, _, _ := start(t)
	for _, tt := range []struct {
		cfg  client.Config
		code int
	}{
		{client.Config{Addr: r.URL(), AdapterSet: "NONE"}, 2},
		{client.Config{Addr: r.URL(), User: "mallory", Password: "secret"}, 1},
		{client.Config{Addr: r.URL(), User: "ann", Password: "guess"}, -4},
	} {
		_, err := client.Connect(t.Context(), tt.cfg)
		if refusal, ok := errors.AsType[*client.SessionError](err); !ok || refusal.Code != tt.code {
			t.Errorf("%+v: %v", tt.cfg, err)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v %v", tt.cfg, tt.cfg, tt.cfg, err), "guess") {
			t.Error("a password is shown")
		}
	}
	for _, addr := range []string{"", "localhost:8080", "ftp://x", "http://", "http://u:p@x", "http://x?y", "://"} {
		if _, err := client.Connect(t.Context(), client.Config{Addr: addr}); err == nil || !strings.HasPrefix(err.Error(), "client: Addr") {
			t.Errorf("Addr %q: %v", addr, err)
		}
	}
	if _, err := client.Connect(t.Context(), client.Config{Addr: r.URL(), Keepalive: -1}); err == nil {
		t.Error("a negative keepalive was taken")
	}
	c := connect(t, client.Config{Addr: r.URL()})
	for _, s := range []client.Subscription{
		{}, {Mode: client.Merge}, {Mode: 9, Items: []string{"a"}, Fields: []string{"b"}}, {Mode: client.Merge, Items: []string{"a"}},
		{Mode: client.Merge, Items: []string{"a b"}, Fields: []string{"c"}}, {Mode: client.Merge, Items: []string{"a"}, Group: "a", Fields: []string{"c"}},
		{Mode: client.Merge, Items: []string{"a"}, Fields: []string{"c"}, Unfiltered: true, MaxFrequency: 1},
	} {
		if _, err := c.Subscribe(t.Context(), s); err == nil || !strings.HasPrefix(err.Error(), "client: subscription: ") {
			t.Errorf("%+v: %v", s, err)
		}
	}
	_, err := c.Subscribe(t.Context(), client.Subscription{Mode: client.Command, Items: []string{"a"}, Fields: []string{"x"}})
	if refusal, ok := errors.AsType[*client.RequestError](err); !ok || refusal.Code != 15 {
		t.Errorf("COMMAND without key: %v", err)
	}
	_, err = c.Subscribe(t.Context(), client.Subscription{Mode: client.Raw, Items: []string{"a"}, Fields: []string{"x"}, DataAdapter: "OTHER"})
	if refusal, ok := errors.AsType[*client.RequestError](err); !ok || refusal.Code != 17 {
		t.Errorf("unknown Data Adapter: %v", err)
	}
}

// The ends of a client: by itself, by its context, by the server.
func TestEnds(t *testing.T) {
	r, _, d := start(t)
	t.Run("close", func(t *testing.T) {
		c := connect(t, client.Config{Addr: r.URL()})
		c.Close()
		c.Close()
		if c.Err() != nil {
			t.Errorf("got %v", c.Err())
		}
		if _, err := c.Send(t.Context(), client.Message{Text: "x"}); !errors.Is(err, client.ErrClosed) {
			t.Errorf("sending afterwards: %v", err)
		}
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := client.Connect(ctx, client.Config{Addr: r.URL()})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		<-c.Done()
		if c.Err() != nil {
			t.Errorf("got %v", c.Err())
		}
		if _, err := client.Connect(ctx, client.Config{Addr: r.URL()}); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
	})
	t.Run("server", func(t *testing.T) {
		c := connect(t, client.Config{Addr: r.URL()})
		if err := d.control.ForceSessionTermination(t.Context(), c.SessionID(), &adapter.Cause{Code: -9, Message: "enough"}); err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if end, ok := errors.AsType[*client.SessionError](c.Err()); !ok || *end != (client.SessionError{Code: -9, Message: "enough"}) {
			t.Errorf("got %v", c.Err())
		}
		if _, err := c.Send(t.Context(), client.Message{Text: "x"}); !errors.Is(err, c.Err()) {
			t.Errorf("sending afterwards: %v", err)
		}
	})
	waitFor(t, "no session", func() bool { return r.Stats().Sessions == 0 })
}

// LOOP, with the socket kept and with the socket closed, costs nothing.
func TestRebind(t *testing.T) {
	r, f, _ := start(t)
	c := connect(t, client.Config{Addr: r.URL()})
	var got []int
	all := make(chan struct{})
	const total = 300
	if _, err := c.Subscribe(t.Context(), client.Subscription{
		Mode: client.Raw, Items: []string{"raw.1"}, Fields: []string{"n"},
		OnUpdate: func(u *client.Update) {
			v, _ := u.Value("n")
			var n int
			fmt.Sscan(v, &n)
			if got = append(got, n); len(got) == total {
				close(all)
			}
		},
	}); err != nil {
		t.Fatal(err)
	}
	item := f.item(t, "raw.1")
	for n := range total {
		item.Update(adapter.Fields{"n": n})
		if n%50 == 25 {
			waitFor(t, "a connection", func() bool { return r.Stats().Connections == 1 })
			forceRebind(t, r.URL(), c.SessionID(), n%100 == 75)
		}
	}
	select {
	case <-all:
	case <-time.After(patience):
		t.Fatalf("%d updates came", c.Stats().Updates)
	}
	for n, v := range got {
		if v != n {
			t.Fatalf("update %d is %d", n, v)
		}
	}
	waitFor(t, "a recovery, as sockets were closed", func() bool { return c.Stats().Recoveries > 0 })
}

// forceRebind has the server end the connection of a session, as any control request can.
func forceRebind(t *testing.T, url, session string, closeSocket bool) {
	t.Helper()
	body := fmt.Sprintf("LS_reqId=r&LS_op=force_rebind&LS_close_socket=%t&LS_session=%s", closeSocket, session)
	resp, err := http.Post(url+"/lightstreamer/control.txt?LS_protocol=TLCP-2.5.0", "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// A subscription that is given up while its answer is due leaves nothing.
func TestSubscribeGivenUp(t *testing.T) {
	r, _, _ := start(t)
	c := connect(t, client.Config{Addr: r.URL()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Subscribe(ctx, client.Subscription{Mode: client.Raw, Items: []string{"raw.1"}, Fields: []string{"n"}})
	if err != nil { // the answer may have been faster
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		// What is behind it in the session's queue comes after it.
		if _, err := c.Subscribe(t.Context(), client.Subscription{Mode: client.Raw, Items: []string{"raw.2"}, Fields: []string{"n"}}); err != nil {
			t.Error(err)
		}
		if n := r.Stats().Subscriptions; n != 1 {
			t.Errorf("%d subscriptions", n)
		}
	}
}

// Several subscriptions, made at once from many goroutines, do not mix.
func TestConcurrentUse(t *testing.T) {
	r, f, _ := start(t)
	c := connect(t, client.Config{Addr: r.URL()})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			name := fmt.Sprint("raw.", i)
			got := make(recorder, 100)
			sub, err := c.Subscribe(t.Context(), got.callbacks(client.Subscription{Mode: client.Raw, Items: []string{name}, Fields: []string{"n"}}))
			if err != nil {
				t.Error(err)
				return
			}
			item := f.item(t, name)
			var want []string
			for n := range 50 {
				item.Update(adapter.Fields{"n": n})
				w := fmt.Sprintf("%s %d!", name, n)
				want = append(want, w)
			}
			got.expect(t, want...)
			if err := sub.Unsubscribe(t.Context()); err != nil {
				t.Error(err)
			}
			got.expect(t, "unsubscribed")
		})
	}
	wg.Wait()
	if n := c.Stats().Updates; n != 1000 {
		t.Errorf("%d updates", n)
	}
}
