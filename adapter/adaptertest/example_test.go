package adaptertest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adapter/adaptertest"
)

// Quotes is a Data Adapter as one may write it: a snapshot, and then an update in each second.
type Quotes struct{}

func (Quotes) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	if len(sub.Item()) != 6 {
		return &adapter.SubscribeError{Message: "no such pair"}
	}
	if err := sub.Snapshot(adapter.Fields{"last": "1.09"}); err != nil {
		return err
	}
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for cents := 110; ; cents++ {
			select {
			case <-tick.C:
				_ = sub.Update(adapter.Fields{"last": fmt.Sprintf("%d.%02d", cents/100, cents%100)})
			case <-sub.Context().Done(): // nobody looks any more
				return
			}
		}
	}()
	return nil
}

// A test to copy: an adapter serves an item, survives the loss of its connection, and stops when the item is no longer wanted.
func TestQuotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // virtual time: an hour takes none
		p := adaptertest.NewProxy(t)                               // stops with the test
		p.Run(&adapter.DataServer{Provider: Quotes{}})             // fails the test on an unclean end
		p.Modes = map[string]adapter.Mode{"EURUSD": adapter.Merge} // what the item is held to
		eurusd := p.Subscribe("EURUSD")
		eurusd.Expect(adaptertest.Snapshot("last", "1.09"), adaptertest.Update("last", "1.10"), adaptertest.Update("last", "1.11"))

		p.Cut(io.ErrUnexpectedEOF)      // the network fails,
		p.AcceptAgain(30 * time.Second) // the adapter comes back,
		eurusd = p.Subscribe("EURUSD")  // and the server asks again
		eurusd.Expect(adaptertest.Snapshot("last", "1.09"), adaptertest.Update("last", "1.10"))

		eurusd.Unsubscribe()
		eurusd.Expect(adaptertest.Unsubscribed()).ExpectNothing(time.Hour)
		p.Subscribe("nothing").Expect(adaptertest.Refused(adaptertest.SubscribeError))
	})
}

// The same provider put through everything a server may do.
func TestQuotesConformance(t *testing.T) {
	adaptertest.Conformance(t, Quotes{}, adaptertest.Options{
		Items:   []adaptertest.ItemSpec{{Name: "EURUSD", Mode: adapter.Merge, Snapshot: true, Live: true}},
		Unknown: "nothing",
		Virtual: true,
	})
	adaptertest.Audit(t, Quotes{})
}

// Door is a Metadata Adapter as one may write it.
type Door struct{ adapter.DefaultMetadata }

func (Door) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	switch {
	case u.Anonymous:
		return adapter.UserGrant{}, &adapter.CreditsError{Code: -1, Message: "no name", UserMessage: "please log in"}
	case u.Password != "secret":
		return adapter.UserGrant{}, &adapter.AccessError{Message: "wrong password"}
	}
	return adapter.UserGrant{MaxBandwidth: 40}, nil
}

// Tests of a Metadata Adapter ask what the server would ask.
func TestDoor(t *testing.T) {
	p := adaptertest.NewProxy(t)
	p.Run(&adapter.MetadataServer{Provider: Door{}})
	c := p.Accept()
	if grant, refusal := c.NotifyUser(adapter.User{Name: "ann", Password: "secret"}); refusal != nil || grant.MaxBandwidth != 40 {
		t.Errorf("ann got %+v, %v", grant, refusal)
	}
	if _, refusal := c.NotifyUser(adapter.User{Name: "ann", Password: "guess"}); refusal == nil || refusal.Kind != adaptertest.AccessError {
		t.Errorf("a wrong password: %v", refusal)
	}
}

func TestDoorConformance(t *testing.T) {
	adaptertest.MetadataConformance(t, Door{})
	adaptertest.Audit(t, Door{})
}

// Examples have no *testing.T; this one prints what a test would report.
type printer struct {
	testing.TB
	ctx     context.Context
	cleanup []func()
}

var errFatal = errors.New("the test has ended")

// say prints what does not change with the version of the module.
func (p *printer) say(text string) { fmt.Println(strings.ReplaceAll(text, adapter.Version, "1.0")) }

func (p *printer) Helper()                      {}
func (p *printer) Log(...any)                   {}
func (p *printer) Logf(string, ...any)          {}
func (p *printer) Error(args ...any)            { p.say(fmt.Sprint(args...)) }
func (p *printer) Errorf(f string, args ...any) { p.say(fmt.Sprintf(f, args...)) }
func (p *printer) Fatal(args ...any)            { p.say(fmt.Sprint(args...)); panic(errFatal) }
func (p *printer) Fatalf(f string, args ...any) { p.say(fmt.Sprintf(f, args...)); panic(errFatal) }
func (p *printer) Context() context.Context     { return p.ctx }
func (p *printer) Output() io.Writer            { return io.Discard }
func (p *printer) Cleanup(f func())             { p.cleanup = append(p.cleanup, f) }

// test runs a test that prints.
func test(f func(t testing.TB)) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &printer{ctx: ctx}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(errFatal) {
				panic(r)
			}
		}()
		f(p)
	}()
	cancel()
	for i := len(p.cleanup) - 1; i >= 0; i-- {
		p.cleanup[i]()
	}
}

// A Data Adapter, seen from the server.
func ExampleProxy() {
	greeter := adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		return errors.Join(sub.Snapshot(adapter.Fields{"message": "hello"}), sub.EndOfSnapshot(), sub.Update(adapter.Fields{"message": "world"}))
	})
	test(func(t testing.TB) {
		p := adaptertest.NewProxy(t)
		p.Run(&adapter.DataServer{Provider: greeter})
		item := p.Subscribe("greetings").Expect(adaptertest.Snapshot("message", "hello"))
		fmt.Println(item.Next())
		fmt.Println(item.Next())
	})
	// Output:
	// end of snapshot
	// update{message="world"}
}

// What a test says that is not met.
func ExampleItem_Expect() {
	test(func(t testing.TB) {
		p := adaptertest.NewProxy(t)
		p.Run(&adapter.DataServer{Provider: Quotes{}})
		p.Subscribe("EUR").Expect(adaptertest.Snapshot("last", "1.09"))
	})
	// Output:
	// adaptertest: item "EUR": want snapshot{last="1.09"}: the subscription was refused
	// SUB refused with a SubscribeError: "no such pair"
	// last lines, > to the adapter, < from it:
	//   < 1|RAC|S|enableClosePacket|S|true|S|SDK|S|Go+Adapter+SDK+1.0
	//   > r1|DPI|S|ARI.version|S|1.9.1|S|adapters_conf.id|S|TEST|S|data_provider.name|S|DEFAULT
	//   < r1|DPI|S|ARI.version|S|1.9.1
	//   > r2|SUB|S|EUR
	//   < r2|SUB|EU|no such pair
}

// A user is admitted or refused, as the server would learn it.
func ExampleConn_NotifyUser() {
	test(func(t testing.TB) {
		p := adaptertest.NewProxy(t)
		p.Run(&adapter.MetadataServer{Provider: Door{}})
		c := p.Accept()
		grant, _ := c.NotifyUser(adapter.User{Name: "ann", Password: "secret"})
		fmt.Println(grant.MaxBandwidth)
		_, refusal := c.NotifyUser(adapter.User{Anonymous: true})
		fmt.Println(refusal)
	})
	// Output:
	// 40
	// NUS refused with a CreditsError: "no name", code -1, for the user "please log in"
}

// The wire, byte for byte.
func ExampleConn_Send() {
	test(func(t testing.TB) {
		p := adaptertest.NewProxy(t)
		p.Run(&adapter.MetadataServer{Provider: adapter.DefaultMetadata{}})
		c := p.Accept()
		c.Send("7|GIS|S|ann|S|item1 item2|S|S1")
		fmt.Println(c.NextLine())
	})
	// Output: 7|GIS|S|item1|S|item2
}

// Turnstile has two callbacks and, by mistake, a method that only looks like one.
type Turnstile struct{ adapter.DefaultMetadata }

func (Turnstile) NotifyUser(context.Context, adapter.User) (adapter.UserGrant, error) {
	return adapter.UserGrant{}, nil
}
func (Turnstile) NotifySessionClose(context.Context, string) error { return nil }
func (Turnstile) NotifyNewSesion(context.Context, adapter.Session) (adapter.SessionGrant, error) {
	return adapter.SessionGrant{}, nil
}

func ExampleAudit() {
	test(func(t testing.TB) { adaptertest.Audit(t, Turnstile{}) })
	// Output: adaptertest: audit: nobody calls adaptertest_test.Turnstile.NotifyNewSesion; the callback is NotifyNewSession
}

func ExampleOverridden() {
	fmt.Println(strings.Join(adaptertest.Overridden(Turnstile{}), " "))
	// Output: NotifySessionClose NotifyUser
}

// A network in memory carries anything that takes a net.Conn.
func ExampleNetwork() {
	n := adaptertest.NewNetwork()
	l, err := n.Listen("server:80")
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := n.Dial(context.Background(), "tcp", "server:80")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.WriteString(conn, "hello")
	_ = conn.Close()
	server, err := l.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(server)
	fmt.Printf("%s %v\n", text, err)
	// Output: hello <nil>
}
