package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// subscribe makes a Data Adapter of a function.
func subscribe(f func(sub *adapter.Subscription) error) adapter.DataProvider {
	return adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error { return f(sub) })
}

var numbers = adapter.NewSchema("n", "even")

// counter feeds each item with numbers, one in a second, and stops when it should.
var counter = subscribe(func(sub *adapter.Subscription) error {
	if strings.HasPrefix(sub.Item(), "no") {
		return &adapter.SubscribeError{Message: "no such item"}
	}
	row := sub.Row(numbers)
	_ = row.SnapshotBytes([]byte("start"), nil)
	_ = sub.EndOfSnapshot()
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-tick.C:
				_ = row.Update(fmt.Sprint(n), fmt.Sprint(n%2 == 0))
			case <-sub.Context().Done():
				return
			}
		}
	}()
	return nil
})

func TestExpectations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewProxy(t)
		p.Run(&adapter.DataServer{Provider: counter})
		it := p.Subscribe("i")
		it.Expect(Subscribed(), Snapshot("n", "start", "even", nil).Only(), EndOfSnapshot(), Update("n", 1, "even", false), Update("n", Any))
		it.ExpectNothing(999 * time.Millisecond)
		if e := it.Next(); e.Kind != LiveEvent || !reflect.DeepEqual(e.Fields, adapter.Fields{"n": "3", "even": "false"}) {
			t.Errorf("Next returned %v", e)
		}
		it.Unsubscribe()
		it.Expect(Unsubscribed()).ExpectNothing(time.Hour)
		// The end of the snapshot is passed over by a test that is about something else, and so is the order of the reply.
		it = p.Subscribe("j").Expect(Snapshot(), Update("n", "1"), Subscribed())
		if it.Name() != "j" || it.ID() == "" || it.Refusal() != nil {
			t.Errorf("item %q with id %q", it.Name(), it.ID())
		}
		no := p.Subscribe("no").Expect(Refused(SubscribeError), Refused(AnyError))
		no.ExpectNothing(time.Minute)
		if r := no.Refusal(); r == nil || r.Message != "no such item" || r.Request != "SUB" {
			t.Errorf("Refusal() = %v", r)
		}
		it.Discard()
		time.Sleep(time.Minute) //nolint:forbidigo // virtual
		it.ExpectNothing(time.Minute)
	})
}

func TestExpectationsOfRowsAndOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		order := adapter.FieldDiffOrder{"f": {adapter.JSONPatch, adapter.DiffMatchPatch}, "g": {}}
		p := NewProxy(t)
		p.Modes = map[string]adapter.Mode{"portfolio": adapter.Command}
		p.Run(&adapter.DataServer{Provider: subscribe(func(sub *adapter.Subscription) error {
			return errors.Join(sub.DeclareFieldDiffOrder(order), sub.Add("a", adapter.Fields{"f": 1}), sub.EndOfSnapshot(),
				sub.Add("b", nil), sub.Modify("a", adapter.Fields{"f": 2}), sub.Delete("b"), sub.ClearSnapshot())
		})})
		p.Subscribe("portfolio").Expect(DiffOrder(order), Add("a", "f", 1), EndOfSnapshot(), Add("b").Only(), Modify("a", "f", 2), Delete("b"), ClearSnapshot())
		p.Subscribe("portfolio").Expect(Add("a"), Add("b"))
	})
}

func TestUnmetExpectations(t *testing.T) {
	for _, tt := range []struct {
		item   string
		expect Expectation
		want   string
	}{
		{"i", Update("n", 1), `got snapshot{even=null, n="start"}` + "\nwant update{n=\"1\"}"},
		{"i", Snapshot("n", "other"), `want snapshot{n="other"}`},
		{"i", Snapshot("missing", Any), `want snapshot{missing=*}`},
		{"i", Snapshot("even", ""), `want snapshot{even=""}`},
		{"i", Snapshot("n", "start").Only(), `want snapshot{n="start"} and no other field`},
		{"i", Add("k"), `want row{command="ADD", key="k"}`},
		{"i", ClearSnapshot(), "want clear snapshot"},
		{"i", Refused(AnyError), "want refused with any error: the subscription was accepted"},
		{"i", Unsubscribed(), "Unsubscribe was not called"},
		{"no", Update("n", 1), "the subscription was refused"},
		{"no", Subscribed(), `SUB refused with a SubscribeError: "no such item"`},
		{"no", Refused(FailureError), "want refused with FailureError"},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := record(t, func(tb testing.TB) {
				p := NewProxy(tb)
				p.Run(&adapter.DataServer{Provider: counter})
				p.Subscribe(tt.item).Expect(tt.expect)
			})
			wantFailures(t, got, tt.want)
			if len(got) == 1 && !strings.Contains(got[0], "< "+"1|RAC") && tt.expect.what != "unsubscribed" {
				t.Errorf("the conversation is not shown:\n%s", got[0])
			}
		})
	}
}

// Missing events are told with how far the subscription has come.
func TestMissingEvents(t *testing.T) {
	for _, tt := range []struct {
		provider adapter.DataProvider
		test     func(p *Proxy)
		want     string
	}{
		{
			subscribe(func(sub *adapter.Subscription) error { return sub.Snapshot(adapter.Fields{"f": 1}) }),
			func(p *Proxy) { p.Subscribe("i").Expect(Snapshot("f", 1), EndOfSnapshot()) },
			"want end of snapshot: nothing came within 1m0s\nthe subscription was accepted, its snapshot has not ended",
		},
		{
			subscribe(func(sub *adapter.Subscription) error { return sub.SnapshotFollows() }),
			func(p *Proxy) { p.Subscribe("i").Next() },
			"no event",
		},
		{
			subscribe(func(sub *adapter.Subscription) error { <-sub.Context().Done(); return nil }),
			func(p *Proxy) { p.Subscribe("i").Expect(Subscribed()) },
			"no reply to SUB: nothing came within 1m0s",
		},
		{
			subscribe(func(sub *adapter.Subscription) error { <-sub.Context().Done(); return nil }),
			func(p *Proxy) { p.Subscribe("i"); p.Accept() },
			"no connection from the adapter within 1m0s",
		},
		{
			subscribe(func(sub *adapter.Subscription) error { <-sub.Context().Done(); return nil }),
			func(p *Proxy) { c := p.Accept(); c.Subscribe("i"); c.AwaitReplies() },
			"1 requests have no reply",
		},
		{counter, func(p *Proxy) { p.Accept().NextLine() }, "no line"},
		{counter, func(p *Proxy) { p.Accept().NextControl() }, "no FST or FUS"},
		{counter, func(p *Proxy) { p.Accept().ExpectFailure() }, "no FAL"},
		{counter, func(p *Proxy) { p.Accept().ExpectClosed() }, "the connection is still open"},
		{counter, func(p *Proxy) { p.Subscribe("i").ExpectNothing(time.Second) }, "want nothing for 1s"},
		{counter, func(p *Proxy) { p.Accept().ExpectLine("x") }, "no line"},
		{counter, func(p *Proxy) { c := p.Accept(); c.Send("7|SUB|S|no"); c.ExpectLine("7|SUB|V") }, "got the line\n  7|SUB|EU|no such item\nwant\n  7|SUB|V"},
	} {
		synctest.Test(t, func(t *testing.T) {
			// The provider that waits for the end of its context has it at the end of the test.
			wantFailures(t, record(t, func(tb testing.TB) {
				p := NewProxy(tb)
				p.Run(&adapter.DataServer{Provider: tt.provider})
				tt.test(p)
			}), tt.want)
		})
	}
}

func TestMistakesInExpectations(t *testing.T) {
	for _, fields := range [][]any{{"name"}, {1, 2}, {"a", "b", nil, "c"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Update(%v) did not panic", fields)
				}
			}()
			Update(fields...)
		}()
	}
}

func TestReconnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewProxy(t)
		p.Run(&adapter.DataServer{Provider: counter})
		p.Subscribe("i").Expect(Snapshot(), Update("n", 1))
		for _, err := range []error{nil, io.ErrUnexpectedEOF} {
			p.Cut(err)
			p.AcceptAgain(30 * time.Second)
			p.Subscribe("i").Expect(Snapshot("n", "start"), Update("n", 1))
		}
		p.Cut(nil)
		p.Refuse()
		time.Sleep(time.Hour) //nolint:forbidigo // virtual
		p.Allow()
		c := p.AcceptAgain(adapter.DefaultKeepalive + 15*time.Second)
		c.Close("maintenance")
		p.Accept()
	})
}

// A feed that goes on a while after the end is no failure: the SDK drops what comes too late.
func TestLateUpdatesStayOffTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := make(chan struct{})
		p := NewProxy(t)
		srv := &adapter.DataServer{Provider: subscribe(func(sub *adapter.Subscription) error {
			go func() {
				<-late
				for range 1000 {
					_ = sub.Update(adapter.Fields{"f": "x"})
				}
			}()
			return nil
		})}
		p.Run(srv)
		it := p.Subscribe("i").Expect(Subscribed())
		it.Unsubscribe()
		it.Expect(Unsubscribed())
		close(late)
		it.ExpectNothing(time.Minute)
		if n := srv.Stats().Dropped; n != 1000 {
			t.Errorf("%d events were dropped, want 1000", n)
		}
	})
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewProxy(t)
		p.Buffer = 1 << 10
		srv := &adapter.DataServer{MaxPending: 1 << 10, Provider: subscribe(func(sub *adapter.Subscription) error {
			go func() {
				for n := 0; n < 100 && sub.Update(adapter.Fields{"n": n, "text": strings.Repeat("x", 100)}) == nil; n++ {
					if sub.Item() != "i" {
						return
					}
				}
			}()
			return nil
		})}
		p.Run(srv)
		c := p.Accept()
		c.Stall()
		it := c.Subscribe("i")
		it.ExpectNothing(time.Hour)
		if n := srv.Stats().Waits; n == 0 {
			t.Error("the feed does not wait for a proxy that does not read")
		}
		c.Resume()
		for n := range 100 {
			it.Expect(Update("n", n))
		}

		c.Delay(10 * time.Second)
		before := time.Now()
		c.Subscribe("j").Expect(Subscribed())
		if took := time.Since(before); took != 20*time.Second {
			t.Errorf("request and reply took %v with a delay of 10 s each way", took)
		}
		c.Delay(0)

		c.Corrupt(func(b []byte) []byte { return bytes.Replace(b, []byte("SUB"), []byte("SUP"), 1) })
		lost := c.Subscribe("k")
		lost.ExpectNothing(time.Minute)
		c.Corrupt(nil)
		c.Subscribe("l").Expect(Update("n", 0))
		if n := srv.Stats().ProtocolErrors; n != 1 {
			t.Errorf("%d protocol errors at the adapter, want 1", n)
		}
	})
}

func TestRawLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewProxy(t)
		p.Run(&adapter.DataServer{Provider: counter})
		c := p.AcceptRaw()
		c.Send("early|SUB|S|i")
		c.ExpectLine("early|SUB|E|request before the initialisation")
		if r := c.Init(); r != nil {
			t.Fatal(r)
		}
		c.Send("7|SUB|S|i", "8|SUB|S|no", "9|SUB|", "", "\x00", "10|WHAT|S|x")
		got := map[string]bool{}
		for range 5 {
			got[c.NextLine()] = true
		}
		for _, want := range []string{
			"UD3|S|i|S|7|B|1|S|n|S|start|S|even|S|#", "EOS|S|i|S|7", "7|SUB|V", "8|SUB|EU|no such item",
		} {
			if !got[want] {
				t.Errorf("%q did not come, only %v", want, got)
			}
		}
		c.ExpectLine("UD3|S|i|S|7|B|0|S|n|S|1|S|even|S|false")
		c.Subscribe("typed").Expect(Snapshot(), Update("n", 1)) // the two levels do not take each other's lines
		c.SendBytes([]byte("11|USB"))
		c.SendBytes([]byte("|S|i\n"))
		c.Send("12|USB|S|never")
		for line := ""; line != "12|USB|V"; {
			line = c.NextLine()
		}
	})
}

func TestOptionsOfTheProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inits := make(chan adapter.Init, 1)
		p := NewProxy(t)
		p.Params = map[string]string{"x:y": "a b", "data_provider.name": "QUOTES"}
		p.KeepaliveTimeout = 5 * time.Second // gives a hint of 3 s
		p.Credentials = &adapter.Credentials{User: "ann", Password: "tiger"}
		p.Run(&adapter.DataServer{Provider: initialized{counter, inits}, Credentials: adapter.StaticCredentials("ann", "tiger")})
		c := p.Accept()
		want := map[string]string{"adapters_conf.id": "TEST", "data_provider.name": "QUOTES", "x:y": "a b"}
		if in := <-inits; fmt.Sprint(in.Params) != fmt.Sprint(want) {
			t.Errorf("the provider got the parameters %v, want %v", in.Params, want)
		}
		if c.Protocol() != "1.9.1" || c.Credentials().User != "ann" || c.RemoteAddr().String() == "" {
			t.Errorf("protocol %s, credentials %v", c.Protocol(), c.Credentials())
		}
		time.Sleep(time.Minute) //nolint:forbidigo // virtual
		if n := c.Keepalives(); n < 19 || n > 20 {
			t.Errorf("%d keepalives in a minute, want one in 3 s", n)
		}
		p.KeepaliveHint, p.KeepaliveTimeout = 30*time.Second, 0
		p.Cut(nil)
		c = p.Accept()
		time.Sleep(time.Minute) //nolint:forbidigo // virtual
		if n := c.Keepalives(); n < 5 || n > 6 {
			t.Errorf("%d keepalives in a minute, want one in 10 s", n)
		}
	})
}

type initialized struct {
	adapter.DataProvider
	got chan adapter.Init
}

func (i initialized) Initialize(_ context.Context, in adapter.Init) error {
	select {
	case i.got <- in:
	default:
	}
	return nil
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]string{"": "", "2.0.0": "", "1.9.0": "refused", NoVersion: "refused"} {
		synctest.Test(t, func(t *testing.T) {
			p := NewProxy(t)
			p.Version = version
			running := p.Run(&adapter.DataServer{Provider: counter})
			c := p.AcceptRaw()
			refusal := c.Init()
			if (refusal != nil) != (want != "") {
				t.Errorf("version %q: %v", version, refusal)
			}
			if refusal != nil {
				var initErr *adapter.InitError
				if err := running.Wait(); !errors.As(err, &initErr) {
					t.Errorf("Run returned %v", err)
				}
			}
		})
	}
}

// An adapter that is connected to, and two proxies on one network.
func TestSharedNetworkAndInvertedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork()
		data, users := NewProxyAt(t, n, "server:8001"), NewProxyAt(t, n, "server:8003")
		users.Kind = MetadataAdapter
		set := data.Run(together{
			&adapter.DataServer{Provider: counter, Addr: "server:8001", Dial: n.Dial},
			&adapter.MetadataServer{Provider: adapter.DefaultMetadata{}, Addr: "server:8003", Dial: n.Dial},
		})
		users.Accept().NotifyUser(adapter.User{Name: "ann"})
		data.Subscribe("i").Expect(Snapshot(), Update("n", 1))
		set.Stop()

		p := NewProxy(t)
		l := p.Listen()
		p.Run(&adapter.DataServer{Provider: counter, Listener: l})
		for range 2 {
			c := p.Connect(l)
			c.Subscribe("i").Expect(Snapshot(), Update("n", 1))
			c.Cut(nil)
		}
		wantFailures(t, record(t, func(tb testing.TB) { NewProxyAt(tb, n, "server:8001") }), "address already in use")
	})
}

type together []adapter.Runner

func (all together) Run(ctx context.Context) error { return adapter.Run(ctx, all...) }

// The kit works on the real clock too, from several tests at a time.
func TestRealClock(t *testing.T) {
	for n := range 4 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			p := NewProxy(t)
			p.Run(&adapter.DataServer{Provider: subscribe(func(sub *adapter.Subscription) error { return sub.Update(adapter.Fields{"n": n}) })})
			c := p.Accept()
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() { c.Subscribe(fmt.Sprint("item", i)) })
			}
			wg.Wait()
			c.AwaitReplies()
			c.Subscribe("one more").Expect(Update("n", n))
		})
	}
}

// A test that forgets to take events is told so, before the memory is full.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Bool
		got := record(t, func(tb testing.TB) {
			p := NewProxy(tb)
			p.Run(&adapter.DataServer{Logger: nil, Provider: subscribe(func(sub *adapter.Subscription) error {
				defer done.Store(true)
				row := sub.Row(adapter.NewSchema("f"))
				for range mostUnread + 1000 {
					_ = row.Update("x")
				}
				return nil
			})})
			p.Subscribe("i").Expect(Subscribed())
			p.Subscribe("discarded").Discard()
		})
		wantFailures(t, got, "events wait for the test to take them")
		if !done.Load() {
			t.Error("the feed did not come to its end")
		}
	})
}
