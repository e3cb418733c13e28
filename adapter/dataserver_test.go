package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

func TestHelloAndInitialisation(t *testing.T) {
	p := newProxy(t)
	got := make(chan adapter.Init, 1)
	s := dataServer(t, p, &provider{initialize: func(_ context.Context, in adapter.Init) error {
		got <- in
		return nil
	}})
	s.Credentials = func(context.Context) (adapter.Credentials, error) {
		return adapter.Credentials{User: "user one", Password: "p|w"}, nil
	}
	s.Params = map[string]string{"mine": "1", "both": "mine"}
	s.ConfigFile = "some.conf"
	start(t, s)
	c := p.acceptRaw()
	c.expect("1|RAC|S|user|S|user+one|S|password|S|p%7Cw|S|enableClosePacket|S|true|S|SDK|S|Go+Adapter+SDK+" + adapter.Version)
	c.say("a1|DPI|S|ARI.version|S|1.9.1|S|keepalive_hint.millis|S|8000|S|adapters_conf.id|S|DEMO|S|both|S|theirs|S|x%3Ay|S|a+b")
	c.expect("a1|DPI|S|ARI.version|S|1.9.1")
	in := <-got
	want := map[string]string{"adapters_conf.id": "DEMO", "both": "mine", "mine": "1", "x:y": "a b"}
	if fmt.Sprint(in.Params) != fmt.Sprint(want) {
		t.Errorf("Params = %v, want %v", in.Params, want)
	}
	if in.ConfigFile != "some.conf" || in.Protocol != "1.9.1" {
		t.Errorf("Init = %+v", in)
	}
}

func TestVersionNegotiation(t *testing.T) {
	const refused = "refused"
	for _, tt := range []struct{ announced, data, metadata string }{
		{"", refused, refused},
		{"1.8.0", refused, refused},
		{"1.8.1", refused, refused},
		{"1.8.2", refused, refused},
		{"1.8.3", refused, refused},
		{"1.9.0", refused, "1.9.1"},
		{"1.9.1", "1.9.1", "1.9.1"},
		{"2.0.0", "1.9.1", "1.9.1"},
	} {
		for _, kind := range []struct{ method, want string }{{"DPI", tt.data}, {"MPI", tt.metadata}} {
			t.Run(kind.method+" "+tt.announced, func(t *testing.T) {
				p := newProxy(t)
				var s adapter.Runner = dataServer(t, p, &provider{})
				if kind.method == "MPI" {
					s = metadataServer(t, p, adapter.DefaultMetadata{})
				}
				r := start(t, s)
				c := p.accept()
				version := ""
				if tt.announced != "" {
					version = "|S|ARI.version|S|" + tt.announced
				}
				c.say("1|" + kind.method + version + "|S|adapters_conf.id|S|DEMO")
				got := c.next()
				if kind.want != refused {
					if want := "1|" + kind.method + "|S|ARI.version|S|" + kind.want; got != want {
						t.Fatalf("got %q, want %q", got, want)
					}
					return
				}
				if !strings.HasPrefix(got, "1|"+kind.method+"|E|") {
					t.Fatalf("got %q, want a generic error", got)
				}
				c.expectClosed()
				var initErr *adapter.InitError
				if err := r.wait(); !errors.As(err, &initErr) {
					t.Errorf("Run returned %v, want an InitError", err)
				}
			})
		}
	}
}

func TestInitialiseRefused(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&adapter.DataProviderError{Message: "cannot start: 100% + |x"}, "1|DPI|ED|cannot+start%3A+100%25+%2B+%7Cx"},
		{errors.New("oops"), "1|DPI|E|oops"},
		{&adapter.AccessError{Message: "does not belong here"}, "1|DPI|E|does+not+belong+here"},
	} {
		p := newProxy(t)
		r := start(t, dataServer(t, p, &provider{initialize: func(context.Context, adapter.Init) error { return tt.err }}))
		c := p.accept()
		c.say("1|DPI|S|ARI.version|S|1.9.1")
		c.expect(tt.want)
		c.expectClosed()
		if err := r.wait(); !errors.Is(err, tt.err) {
			t.Errorf("Run returned %v, want one that wraps %v", err, tt.err)
		}
	}
}

func TestEventsOnTheWire(t *testing.T) {
	p := newProxy(t)
	schema := adapter.NewSchema("last price", "a|b")
	start(t, dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		row := sub.Row(schema)
		return errors.Join(
			sub.DeclareFieldDiffOrder(adapter.FieldDiffOrder{"j": {adapter.JSONPatch, adapter.DiffMatchPatch}}),
			sub.Snapshot(adapter.Fields{"f": "100% |\r\n+"}),
			sub.EndOfSnapshot(),
			sub.EndOfSnapshot(), // once is enough
			sub.Update(adapter.Fields{"f": nil}),
			sub.Update(adapter.Fields{"f": ""}),
			sub.Update(adapter.Fields{"f": []byte("é")}),
			sub.Update(adapter.Fields{"f": -12}),
			sub.Update(adapter.Fields{"f": uint8(200)}),
			sub.Update(adapter.Fields{"f": 0.1}),
			sub.Update(adapter.Fields{"f": true}),
			sub.Update(adapter.Fields{"f": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}),
			sub.Update(nil),
			row.Update("12.34", "x"),
			row.Update("only one"),
			row.UpdateBytes([]byte("#"), nil),
			sub.Add("k1", adapter.Fields{"q": "1"}),
			sub.Modify("k1", adapter.Fields{"q": "2"}),
			sub.ModifyStrings("k1", map[string]string{"q": "#"}),
			sub.Delete("k1"),
			sub.ClearSnapshot(),
			sub.UpdateStrings(map[string]string{"last price": "100%|"}),
			sub.UpdateStrings(nil),
		)
	})))
	c := p.acceptData()
	c.say("2|SUB|S|item one")
	head := "|S|item one|S|2"
	update := "UD3" + head + "|B|0"
	c.expect(
		"DFD"+head+"|S|j|F|JM",
		"UD3"+head+"|B|1|S|f|S|100%25 %7C%0D%0A%2B",
		"EOS"+head,
		update+"|S|f|S|#",
		update+"|S|f|S|$",
		update+"|S|f|S|é",
		update+"|S|f|S|-12",
		update+"|S|f|S|200",
		update+"|S|f|S|0.1",
		update+"|S|f|S|true",
		update+"|S|f|S|2026-01-02T03:04:05Z",
		update,
		update+"|S|last price|S|12.34|S|a%7Cb|S|x",
		update+"|S|last price|S|only one",
		update+"|S|last price|S|%23|S|a%7Cb|S|#",
		update+"|S|key|S|k1|S|command|S|ADD|S|q|S|1",
		update+"|S|key|S|k1|S|command|S|UPDATE|S|q|S|2",
		update+"|S|key|S|k1|S|command|S|UPDATE|S|q|S|%23",
		update+"|S|key|S|k1|S|command|S|DELETE",
		"CLS"+head,
		update+"|S|last price|S|100%25%7C",
		update,
		"2|SUB|V",
	)
}

func TestSnapshotGrammar(t *testing.T) {
	for _, tt := range []struct {
		name      string
		subscribe func(sub *adapter.Subscription) error
		later     func(sub *adapter.Subscription) error
		want      []string // after the SUB
	}{
		{
			name:      "nothing said means no snapshot",
			subscribe: func(*adapter.Subscription) error { return nil },
			later:     func(sub *adapter.Subscription) error { return sub.Update(adapter.Fields{"f": "1"}) },
			want:      []string{"EOS|S|i|S|2", "2|SUB|V", "UD3|S|i|S|2|B|0|S|f|S|1"},
		},
		{
			name:      "a snapshot after that is refused",
			subscribe: func(*adapter.Subscription) error { return nil },
			later: func(sub *adapter.Subscription) error {
				if err := sub.Snapshot(adapter.Fields{"f": "1"}); !errors.Is(err, adapter.ErrSnapshotEnded) {
					return fmt.Errorf("Snapshot returned %w, want ErrSnapshotEnded", err)
				}
				if err := sub.SnapshotFollows(); !errors.Is(err, adapter.ErrSnapshotEnded) {
					return fmt.Errorf("SnapshotFollows returned %w, want ErrSnapshotEnded", err)
				}
				return sub.Update(adapter.Fields{"f": "2"})
			},
			want: []string{"EOS|S|i|S|2", "2|SUB|V", "UD3|S|i|S|2|B|0|S|f|S|2"},
		},
		{
			name:      "announced, sent later, with rows",
			subscribe: func(sub *adapter.Subscription) error { return sub.SnapshotFollows() },
			later: func(sub *adapter.Subscription) error {
				return errors.Join(sub.Add("a", nil), sub.EndOfSnapshot(), sub.Add("b", nil))
			},
			want: []string{
				"2|SUB|V", "UD3|S|i|S|2|B|1|S|key|S|a|S|command|S|ADD", "EOS|S|i|S|2",
				"UD3|S|i|S|2|B|0|S|key|S|b|S|command|S|ADD",
			},
		},
		{
			name:      "the first live event ends it",
			subscribe: func(sub *adapter.Subscription) error { return sub.Snapshot(adapter.Fields{"f": "0"}) },
			later: func(sub *adapter.Subscription) error {
				err := sub.Update(adapter.Fields{"f": "1"})
				if e := sub.Snapshot(adapter.Fields{"f": "2"}); !errors.Is(e, adapter.ErrSnapshotEnded) {
					return fmt.Errorf("Snapshot returned %w, want ErrSnapshotEnded", e)
				}
				return errors.Join(err, sub.EndOfSnapshot(), sub.Update(adapter.Fields{"f": "3"}))
			},
			want: []string{"UD3|S|i|S|2|B|1|S|f|S|0", "2|SUB|V", "UD3|S|i|S|2|B|0|S|f|S|1", "UD3|S|i|S|2|B|0|S|f|S|3"},
		},
		{
			name:      "cleared",
			subscribe: func(sub *adapter.Subscription) error { return sub.ClearSnapshot() },
			later:     func(sub *adapter.Subscription) error { return sub.Add("a", nil) },
			want:      []string{"CLS|S|i|S|2", "2|SUB|V", "UD3|S|i|S|2|B|0|S|key|S|a|S|command|S|ADD"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProxy(t)
			var sub *adapter.Subscription
			subscribed := make(chan struct{})
			start(t, dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, s *adapter.Subscription) error {
				defer close(subscribed)
				sub = s
				return tt.subscribe(s)
			})))
			c := p.acceptData()
			c.say("2|SUB|S|i")
			<-subscribed
			for i, want := range tt.want {
				if i > 0 && tt.want[i-1] == "2|SUB|V" {
					if err := tt.later(sub); err != nil {
						t.Fatal(err)
					}
				}
				c.expect(want)
			}
		})
	}
}

// answering declares snapshots beforehand, as adapters ported from other languages do.
type answering struct {
	provider
	available bool
	err       error
}

func (a *answering) SnapshotAvailable(context.Context, string) (bool, error) {
	return a.available, a.err
}

func TestSnapshotAnswerer(t *testing.T) {
	snapshot := func(_ context.Context, sub *adapter.Subscription) error {
		return sub.Snapshot(adapter.Fields{"f": "1"})
	}
	for _, tt := range []struct {
		a    *answering
		want []string
	}{
		{&answering{available: true}, []string{"2|SUB|V"}},
		{&answering{available: true, provider: provider{subscribe: snapshot}}, []string{"UD3|S|i|S|2|B|1|S|f|S|1", "2|SUB|V"}},
		{&answering{available: false}, []string{"EOS|S|i|S|2", "2|SUB|V"}},
		{&answering{err: &adapter.SubscribeError{Message: "no"}}, []string{"2|SUB|EU|no"}},
	} {
		p := newProxy(t)
		start(t, dataServer(t, p, tt.a))
		c := p.acceptData()
		c.say("2|SUB|S|i")
		c.expect(tt.want...)
	}
}

func TestErrorsOfDataCallbacks(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&adapter.SubscribeError{Message: "a|b+c% é"}, "EU|a%7Cb%2Bc%25 é"},
		{&adapter.FailureError{Message: "feed gone"}, "EF|feed gone"},
		{fmt.Errorf("wrapped: %w", &adapter.SubscribeError{Message: "x"}), "EU|wrapped: x"},
		{&adapter.CreditsError{Message: "not here"}, "E|not here"},
		{errors.New(""), "E|$"},
	} {
		p := newProxy(t)
		fail := func(context.Context, *adapter.Subscription) error { return tt.err }
		start(t, dataServer(t, p, &provider{
			subscribe: func(ctx context.Context, sub *adapter.Subscription) error {
				if sub.Item() == "good" {
					return nil
				}
				return tt.err
			},
			unsubscribe: fail,
		}))
		c := p.acceptData()
		c.say("2|SUB|S|bad")
		c.expect("2|SUB|" + tt.want)
		c.say("3|USB|S|bad") // its subscription has failed: nothing to undo
		c.expect("3|USB|V")
		c.say("4|SUB|S|good")
		c.expect("EOS|S|good|S|4", "4|SUB|V")
		c.say("5|USB|S|good")
		c.expect("5|USB|" + tt.want)
	}
}

func TestPanicBecomesAnError(t *testing.T) {
	p := newProxy(t)
	start(t, dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		if sub.Item() == "bad" {
			panic("boom")
		}
		return nil
	})))
	c := p.acceptData()
	c.say("2|SUB|S|bad")
	c.expect("2|SUB|E|panic in Subscribe: boom")
	c.say("3|SUB|S|good")
	c.expect("EOS|S|good|S|3", "3|SUB|V")
}

// The storm of ari.md §8.9: SUB, USB, SUB, USB, SUB with the first at work.
func TestRequestsQueuedBehindOneAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		atWork, goOn := make(chan *adapter.Subscription, 8), make(chan struct{})
		var unsubscribed []*adapter.Subscription
		s := dataServer(t, p, &provider{
			subscribe: func(_ context.Context, sub *adapter.Subscription) error {
				atWork <- sub
				<-goOn
				return nil
			},
			unsubscribe: func(_ context.Context, sub *adapter.Subscription) error {
				unsubscribed = append(unsubscribed, sub)
				return nil
			},
		})
		start(t, s)
		c := p.acceptData()
		c.say("2|SUB|S|i")
		first := <-atWork
		c.say("3|USB|S|i", "4|SUB|S|i", "5|USB|S|i", "6|SUB|S|i")
		<-first.Context().Done() // already: nobody wants it any more
		if cause := context.Cause(first.Context()); !errors.Is(cause, adapter.ErrUnsubscribed) {
			t.Errorf("cause = %v, want ErrUnsubscribed", cause)
		}
		synctest.Wait() // for the others to be read
		close(goOn)
		c.expect("2|SUB|V", "3|USB|V", "4|SUB|EU|Subscribe request come too late", "5|USB|V")
		last := <-atWork
		c.expect("EOS|S|i|S|6", "6|SUB|V")
		if len(atWork) != 0 {
			t.Error("the skipped subscription reached the provider")
		}
		if len(unsubscribed) != 1 || unsubscribed[0] != first {
			t.Errorf("Unsubscribe was called for %v, want the first alone", unsubscribed)
		}
		if last.Context().Err() != nil {
			t.Error("the last subscription has ended")
		}
		if n := s.Stats().Requests; n != 5 {
			t.Errorf("%d requests counted, want 5", n)
		}
	})
}

func TestItemsDoNotWaitForEachOther(t *testing.T) {
	p := newProxy(t)
	goOn := make(chan struct{})
	start(t, dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		if sub.Item() == "slow" {
			<-goOn
		}
		return nil
	})))
	c := p.acceptData()
	c.say("2|SUB|S|slow", "3|SUB|S|quick")
	c.expect("EOS|S|quick|S|3", "3|SUB|V")
	close(goOn)
	c.expect("EOS|S|slow|S|2", "2|SUB|V")
}

func TestUnsubscribeWithoutSubscription(t *testing.T) {
	p := newProxy(t)
	start(t, dataServer(t, p, &provider{unsubscribe: func(context.Context, *adapter.Subscription) error {
		return errors.New("was called")
	}}))
	c := p.acceptData()
	c.say("2|USB|S|never heard of")
	c.expect("2|USB|V")
}

func TestLateEventsAreDropped(t *testing.T) {
	p := newProxy(t)
	subs := make(chan *adapter.Subscription, 2)
	start(t, dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		subs <- sub
		return nil
	})))
	c := p.acceptData()
	c.say("2|SUB|S|i")
	c.expect("EOS|S|i|S|2", "2|SUB|V")
	c.say("3|USB|S|i")
	c.expect("3|USB|V")
	old := <-subs
	if err := context.Cause(old.Context()); !errors.Is(err, adapter.ErrUnsubscribed) {
		t.Errorf("cause = %v, want ErrUnsubscribed", err)
	}
	c.say("4|SUB|S|i")
	c.expect("EOS|S|i|S|4", "4|SUB|V")
	row := old.Row(adapter.NewSchema("f"))
	for name, send := range map[string]func() error{
		"Update":                func() error { return old.Update(adapter.Fields{"f": "late"}) },
		"Snapshot":              func() error { return old.Snapshot(adapter.Fields{"f": "late"}) },
		"UpdateStrings":         func() error { return old.UpdateStrings(map[string]string{"f": "late"}) },
		"AddStrings":            func() error { return old.AddStrings("k", nil) },
		"Row.Update":            func() error { return row.Update("late") },
		"Row.UpdateBytes":       func() error { return row.UpdateBytes(nil) },
		"Add":                   func() error { return old.Add("k", nil) },
		"Delete":                func() error { return old.Delete("k") },
		"EndOfSnapshot":         old.EndOfSnapshot,
		"ClearSnapshot":         old.ClearSnapshot,
		"SnapshotFollows":       old.SnapshotFollows,
		"DeclareFieldDiffOrder": func() error { return old.DeclareFieldDiffOrder(adapter.FieldDiffOrder{"f": nil}) },
	} {
		if err := send(); !errors.Is(err, adapter.ErrSubscriptionEnded) {
			t.Errorf("%s returned %v, want ErrSubscriptionEnded", name, err)
		}
	}
	if err := (<-subs).Update(adapter.Fields{"f": "current"}); err != nil {
		t.Error(err)
	}
	c.expect("UD3|S|i|S|4|B|0|S|f|S|current")
}

func TestSubscriptionEndsWhenSubscribeFails(t *testing.T) {
	p := newProxy(t)
	refusal := &adapter.SubscribeError{Message: "no such item"}
	subs := make(chan *adapter.Subscription, 1)
	start(t, dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		subs <- sub
		return refusal
	})))
	c := p.acceptData()
	c.say("2|SUB|S|i")
	c.expect("2|SUB|EU|no such item")
	sub := <-subs
	if err := sub.Update(adapter.Fields{"f": "x"}); !errors.Is(err, adapter.ErrSubscriptionEnded) {
		t.Errorf("Update returned %v, want ErrSubscriptionEnded", err)
	}
	if cause := context.Cause(sub.Context()); !errors.Is(cause, refusal) {
		t.Errorf("cause = %v, want what Subscribe returned", cause)
	}
}

func TestBadArguments(t *testing.T) {
	p := newProxy(t)
	start(t, dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		for want, err := range map[string]error{
			`field "f": a struct {} is not text`:                 sub.Update(adapter.Fields{"f": struct{}{}}),
			`2 values for the 1 fields`:                          sub.Row(adapter.NewSchema("f")).Update("1", "2"),
			`field "key" is filled in by the call`:               sub.Add("k", adapter.Fields{"key": "other"}),
			`field "command" is filled in by the call`:           sub.Modify("k", adapter.Fields{"command": "ADD"}),
			`field "key" is filled in`:                           sub.AddStrings("k", map[string]string{"key": "other"}),
			`field "f": unknown algorithm 'X'`:                   sub.DeclareFieldDiffOrder(adapter.FieldDiffOrder{"f": {'X'}}),
			`field "t": Time.MarshalText: year outside of range`: sub.Update(adapter.Fields{"t": time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)}),
		} {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `item "i"`) {
				t.Errorf("error = %v, want one with the item and %q", err, want)
			}
		}
		return nil
	})))
	c := p.acceptData()
	c.say("2|SUB|S|i")
	c.expect("EOS|S|i|S|2", "2|SUB|V") // nothing of it was sent
}

func TestBadRequests(t *testing.T) {
	p := newProxy(t)
	start(t, dataServer(t, p, &provider{}))
	c := p.accept()
	c.say("5|SUB|S|early")
	c.expect("5|SUB|E|request before the initialisation")
	c.say("1|MPI|S|ARI.version|S|1.9.1")
	if got := c.next(); !strings.HasPrefix(got, "1|MPI|E|") {
		t.Errorf("the other kind's initialisation was answered %q", got)
	}
	c.say("1|DPI|S|ARI.version|S|1.9.1")
	c.expect("1|DPI|S|ARI.version|S|1.9.1")
	c.say(
		"", "\r", "x", "KEEPALIVE", "\x00\xff|", "9|WHAT|S|x", // ignored
		"1|DPI|S|ARI.version|S|1.9.1", // again: ignored
		"7|CLOSE|S|reason|S|wrong id", // ignored
	)
	for id, line := range map[string]string{
		"10": "10|SUB|S", "11": "11|SUB|I|3", "12": "12|SUB|S|%zz", "13": "13|USB|", "14": "14|NUS|S|u|S|p", "15": "15|UD3|S|x|S|y",
	} {
		c.say(line)
		if got := c.next(); !strings.HasPrefix(got, id+"|") || !strings.Contains(got, "|E|") {
			t.Errorf("%q was answered %q, want a generic error", line, got)
		}
	}
	c.say("20|SUB|S|fine|more|than|due")
	c.expect("EOS|S|fine|S|20", "20|SUB|V")
}

func TestLineTooLong(t *testing.T) {
	p := newProxy(t)
	s := dataServer(t, p, &provider{})
	s.MaxLine, s.Reconnect = 1<<16, adapter.NoReconnect
	r := start(t, s)
	c := p.acceptData()
	block := []byte(strings.Repeat("x", 4096))
	for err := error(nil); err == nil; {
		_, err = c.conn.Write(block) // for ever, but for the bound
	}
	c.expectClosed()
	if err := r.wait(); !errors.Is(err, adapter.ErrLineTooLong) {
		t.Errorf("Run returned %v, want ErrLineTooLong", err)
	}
}

func TestKeepalives(t *testing.T) {
	for _, tt := range []struct {
		name       string
		configured time.Duration
		hint       string
		want       time.Duration
	}{
		{"default", 0, "", 10 * time.Second},
		{"hint", 0, "8000", 8 * time.Second},
		{"hint below the least", 0, "10", time.Second},
		{"unreadable hint", 0, "soon", 10 * time.Second},
		{"configured", 3 * time.Second, "8000", 3 * time.Second},
		{"none", -1, "", 0},
		{"none, but asked for", -1, "5000", 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProxy(t)
				s := dataServer(t, p, &provider{})
				s.Keepalive = tt.configured
				start(t, s)
				c := p.accept()
				hint := ""
				if tt.hint != "" {
					hint = "|S|keepalive_hint.millis|S|" + tt.hint
				}
				c.say("1|DPI|S|ARI.version|S|1.9.1" + hint)
				c.expect("1|DPI|S|ARI.version|S|1.9.1")
				since := time.Now()
				if tt.want == 0 {
					time.Sleep(time.Hour) //nolint:forbidigo // virtual: an hour of silence
					if len(c.lines) > 0 {
						t.Errorf("got %q, want silence", c.nextRaw())
					}
					return
				}
				for range 3 {
					if got := c.nextRaw(); got != "KEEPALIVE" || time.Since(since) != tt.want {
						t.Fatalf("got %q after %v, want a keepalive after %v", got, time.Since(since), tt.want)
					}
					since = time.Now()
				}
				// Any other line puts the next one off.
				time.Sleep(tt.want / 2) //nolint:forbidigo // virtual
				c.say("2|SUB|S|i")
				c.expect("EOS|S|i|S|2", "2|SUB|V")
				since = time.Now()
				if got := c.nextRaw(); got != "KEEPALIVE" || time.Since(since) != tt.want {
					t.Errorf("got %q after %v, want a keepalive after %v", got, time.Since(since), tt.want)
				}
			})
		})
	}
}
