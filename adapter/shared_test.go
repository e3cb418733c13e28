package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// cluster is two servers fed by one provider, each with a proxy of its own.
type cluster struct {
	t        *testing.T
	opened   chan *adapter.Subscription
	closed   chan string
	refuse   error
	hold     chan struct{}
	shared   *adapter.SharedFeed
	a, b     *proxy
	ca, cb   *peer
	aRunning *running
}

func newCluster(t *testing.T, shared *adapter.SharedFeed) *cluster {
	c := &cluster{t: t, opened: make(chan *adapter.Subscription, 10), closed: make(chan string, 10), shared: shared, a: newProxy(t), b: newProxy(t)}
	shared.Provider = &provider{
		subscribe: func(_ context.Context, sub *adapter.Subscription) error {
			c.opened <- sub
			if c.hold != nil {
				<-c.hold
			}
			if c.refuse != nil {
				return c.refuse
			}
			_ = sub.SnapshotFollows() // an error says that nobody wants it any more
			return nil
		},
		unsubscribe: func(_ context.Context, sub *adapter.Subscription) error {
			c.closed <- sub.Item()
			return nil
		},
	}
	sa, sb := dataServer(t, c.a, shared), dataServer(t, c.b, shared)
	c.aRunning = start(t, sa)
	start(t, sb)
	c.ca, c.cb = c.a.acceptData(), c.b.acceptData()
	return c
}

func ok(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestSharedFeedMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, &adapter.SharedFeed{})
		c.ca.say("2|SUB|S|i")
		c.ca.expect("2|SUB|V")
		feed := <-c.opened
		ok(t,
			feed.DeclareFieldDiffOrder(adapter.FieldDiffOrder{"f": {adapter.JSONPatch}}),
			feed.Snapshot(adapter.Fields{"f": "1"}),
			feed.Update(adapter.Fields{"g": "2"}),
			feed.Update(adapter.Fields{"f": "3"}))
		c.ca.expect("DFD|S|i|S|2|S|f|F|J", "UD3|S|i|S|2|B|1|S|f|S|1", "UD3|S|i|S|2|B|0|S|g|S|2", "UD3|S|i|S|2|B|0|S|f|S|3")
		// The second server gets the present state; the provider hears nothing of it.
		c.cb.say("7|SUB|S|i")
		c.cb.expect("DFD|S|i|S|7|S|f|F|J", "UD3|S|i|S|7|B|1|S|g|S|2|S|f|S|3", "EOS|S|i|S|7", "7|SUB|V")
		ok(t, feed.Update(adapter.Fields{"f": "4"}), feed.ClearSnapshot(), feed.Update(adapter.Fields{"f": "5"}))
		c.ca.expect("UD3|S|i|S|2|B|0|S|f|S|4", "CLS|S|i|S|2", "UD3|S|i|S|2|B|0|S|f|S|5")
		c.cb.expect("UD3|S|i|S|7|B|0|S|f|S|4", "CLS|S|i|S|7", "UD3|S|i|S|7|B|0|S|f|S|5")
		// One leaves by unsubscribing, the other by losing its connection.
		c.ca.say("3|USB|S|i")
		c.ca.expect("3|USB|V")
		synctest.Wait()
		ok(t, feed.Context().Err(), feed.Update(adapter.Fields{"f": "6"}))
		c.cb.expect("UD3|S|i|S|7|B|0|S|f|S|6")
		c.cb.cut()
		<-feed.Context().Done()
		if cause := context.Cause(feed.Context()); !errors.Is(cause, adapter.ErrUnsubscribed) {
			t.Errorf("cause = %v, want ErrUnsubscribed", cause)
		}
		if item := <-c.closed; item != "i" {
			t.Errorf("closed %q", item)
		}
		if err := feed.Update(nil); !errors.Is(err, adapter.ErrSubscriptionEnded) {
			t.Errorf("a late update returned %v", err)
		}
		// And it can be opened anew.
		c.ca.say("4|SUB|S|i")
		c.ca.expect("4|SUB|V")
		if again := <-c.opened; again == feed {
			t.Error("the same handle was given twice")
		}
	})
}

func TestSharedFeedCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, &adapter.SharedFeed{})
		c.ca.say("2|SUB|S|p")
		c.ca.expect("2|SUB|V")
		feed := <-c.opened
		ok(t, feed.Add("a", adapter.Fields{"q": 1}), feed.Add("b", adapter.Fields{"q": 2}), feed.Add("c", nil), feed.EndOfSnapshot(),
			feed.Modify("a", adapter.Fields{"q": 3}), feed.Delete("b"), feed.Add("d", adapter.Fields{"q": nil}))
		c.cb.say("7|SUB|S|p")
		row := func(key, fields string) string { return "UD3|S|p|S|7|B|1|S|key|S|" + key + fields + "|S|command|S|ADD" }
		c.cb.expect(row("a", "|S|q|S|3"), row("c", ""), row("d", "|S|q|S|#"), "EOS|S|p|S|7", "7|SUB|V")
	})
}

func TestSharedFeedDistinctAndRaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, &adapter.SharedFeed{History: 2, Mode: func(item string) adapter.Mode {
			return map[string]adapter.Mode{"d": adapter.Distinct, "r": adapter.Raw}[item]
		}})
		for i, item := range []string{"d", "r"} {
			id := fmt.Sprint(i + 2)
			c.ca.say(id + "|SUB|S|" + item)
			c.ca.expect(id + "|SUB|V")
			feed := <-c.opened
			for n := range 4 {
				ok(t, feed.Update(adapter.Fields{"n": n}))
				c.ca.next()
			}
		}
		c.cb.say("7|SUB|S|d")
		c.cb.expect("UD3|S|d|S|7|B|1|S|n|S|2", "UD3|S|d|S|7|B|1|S|n|S|3", "EOS|S|d|S|7", "7|SUB|V")
		c.cb.say("8|SUB|S|r")
		c.cb.expect("EOS|S|r|S|8", "8|SUB|V")
	})
}

func TestSharedFeedRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, &adapter.SharedFeed{})
		c.refuse, c.hold = &adapter.SubscribeError{Message: "no such item"}, make(chan struct{})
		c.ca.say("2|SUB|S|i")
		c.cb.say("7|SUB|S|i")
		synctest.Wait()
		close(c.hold)
		c.ca.expect("2|SUB|EU|no such item")
		c.cb.expect("7|SUB|EU|no such item")
		if n := len(c.opened); n != 1 {
			t.Errorf("the provider was asked %d times", n)
		}
	})
}

// Everybody leaves while the provider's Subscribe is at work; somebody wants the item again before it returns.
func TestSharedFeedAbandonedWhileOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, &adapter.SharedFeed{})
		c.hold = make(chan struct{})
		c.ca.say("2|SUB|S|i")
		first := <-c.opened
		c.ca.say("3|USB|S|i")
		<-first.Context().Done()
		c.cb.say("7|SUB|S|i")
		synctest.Wait()
		if len(c.opened) != 0 {
			t.Fatal("calls of Subscribe overlap")
		}
		c.hold <- struct{}{}
		c.ca.expect("2|SUB|V", "3|USB|V")
		second := <-c.opened
		c.hold <- struct{}{}
		c.cb.expect("7|SUB|V")
		ok(t, second.Update(adapter.Fields{"f": "x"}))
		c.cb.expect("UD3|S|i|S|7|B|0|S|f|S|x")
	})
}

func TestSharedFeedPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &adapter.SharedFeed{}
		c := newCluster(t, shared)
		shared.Provider = adapter.DataProviderFunc(func(context.Context, *adapter.Subscription) error { panic("boom") })
		c.ca.say("2|SUB|S|i")
		c.ca.expect("2|SUB|E|panic in Subscribe: boom")
		c.ca.say("3|USB|S|i", "4|SUB|S|i")
		c.ca.expect("3|USB|V", "4|SUB|E|panic in Subscribe: boom")
	})
}
