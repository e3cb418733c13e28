package adaptertest

import (
	"errors"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// An Item is one subscription of a [Conn] to an item: what the adapter sends for it is taken with Expect and Next, in order.
type Item struct {
	conn *Conn
	name string
	id   string

	// Guarded by the connection's lock.
	sub     *subscription
	reply   *pending // to SUB
	unsub   *pending // to USB; nil before Unsubscribe
	events  []Event
	discard bool
	total   int // events, taken or not
}

// Subscribe asks the adapter for an item. It does not wait for the reply, which [Item.Expect] can look at; events may come before it.
// A second subscription without an Unsubscribe in between is sent as well; real servers do not. Wire: SUB.
func (c *Conn) Subscribe(item string) *Item {
	it := &Item{conn: c, name: item, reply: &pending{method: ari.SUB}}
	it.reply.item = it
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.ask(it.reply, func(dst []byte, id string, v ari.Version) []byte {
		it.id = id
		return ari.AppendSubscribe(dst, id, v, item)
	})
	if r != nil && r.sub != nil {
		it.sub = r.sub
		r.sub.owner = it
	}
	return it
}

// Unsubscribe tells the adapter that the item is no longer wanted. It does not wait: Expect([Unsubscribed]()) does. Wire: USB.
func (it *Item) Unsubscribe() {
	c := it.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	it.unsub = &pending{method: ari.USB, item: it}
	c.ask(it.unsub, func(dst []byte, id string, v ari.Version) []byte {
		return ari.AppendUnsubscribe(dst, id, v, it.name)
	})
}

// Name returns the name of the item.
func (it *Item) Name() string { return it.name }

// ID returns the id of the subscription on the wire.
func (it *Item) ID() string { return it.id }

// Discard throws away the item's events from now on, those not taken included. They are checked all the same.
func (it *Item) Discard() {
	it.conn.mu.Lock()
	defer it.conn.mu.Unlock()
	it.discard = true
	it.drop()
}

// drop forgets the events. The connection's lock is held.
func (it *Item) drop() {
	it.conn.unread -= len(it.events)
	it.events = nil
}

// add takes an event. The connection's lock is held.
func (it *Item) add(r received) {
	it.total++
	if !it.discard && it.conn.count(1) {
		it.events = append(it.events, r.event)
	}
}

// take removes the first event, which exists. The connection's lock is held.
func (it *Item) take() Event {
	e := it.events[0]
	it.events[0] = Event{}
	it.events = it.events[1:]
	it.conn.unread--
	return e
}

// errRefused is why an item has no more events.
var errRefused = errors.New("the subscription was refused")

// await waits for an event and takes it. Patience 0 is that of the proxy.
func (it *Item) await(patience time.Duration) (e Event, err error) {
	c := it.conn
	if patience == 0 {
		patience = c.proxy.patience()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	isRefused := func() bool { return it.reply.done && it.reply.refusal != nil }
	err = c.await(patience, func() bool { return len(it.events) > 0 || isRefused() })
	switch {
	case len(it.events) > 0:
		return it.take(), nil
	case isRefused():
		return Event{}, errors.Join(errRefused, it.reply.refusal)
	}
	return Event{}, err
}

// Next takes the next event, whatever it is. The replies to the subscription and to its end are no events.
func (it *Item) Next() Event {
	it.conn.report.tb.Helper()
	e, err := it.await(0)
	if err != nil {
		it.conn.fatal("item %q: no event: %v", it.name, err)
	}
	return e
}

// Expect waits for what is expected, in that order, and fails the test if something else comes.
//
// A test says what it is about and no more: an end of snapshot and a field diff order are passed over unless they are what is expected
// next. The reply to the subscription stands apart from the order of events, since adapters may send it before, after or in the midst of
// them. It returns the item, for the next call.
func (it *Item) Expect(all ...Expectation) *Item {
	it.conn.report.tb.Helper()
	for _, x := range all {
		if x.answer == noAnswer {
			it.expectEvent(x)
		} else {
			it.expectAnswer(x)
		}
	}
	return it
}

func (it *Item) expectEvent(x Expectation) {
	it.conn.report.tb.Helper()
	for {
		e, err := it.await(0)
		switch {
		case err != nil:
			it.conn.fatal("item %q: want %s: %v%s", it.name, x, err, it.state())
		case x.match(e):
			return
		case e.Kind != EndOfSnapshotEvent && e.Kind != DiffOrderEvent:
			it.conn.fatal("item %q: got %s\nwant %s", it.name, e, x)
		}
	}
}

// state tells how far the subscription has come, for those who wait in vain.
func (it *Item) state() string {
	c := it.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	text := "\nthe subscription has no reply yet"
	switch {
	case it.reply.refusal != nil:
		return ""
	case it.reply.done:
		text = "\nthe subscription was accepted"
	}
	if it.sub != nil && it.sub.state.over {
		return text + ", its snapshot is over"
	}
	return text + ", its snapshot has not ended"
}

func (it *Item) expectAnswer(x Expectation) {
	it.conn.report.tb.Helper()
	p := it.reply
	if x.answer == unsubscribed {
		it.conn.mu.Lock()
		p = it.unsub
		it.conn.mu.Unlock()
		if p == nil {
			it.conn.fatal("item %q: want unsubscribed: Unsubscribe was not called", it.name)
		}
	}
	_, refusal := it.conn.wait(p)
	switch {
	case x.answer != refused && refusal != nil:
		it.conn.fatal("item %q: want %s: %v", it.name, x, refusal)
	case x.answer == refused && refusal == nil:
		it.conn.fatal("item %q: want %s: the subscription was accepted", it.name, x)
	case x.answer == refused && x.kind != AnyError && refusal.Kind != x.kind:
		it.conn.fatal("item %q: want %s: %v", it.name, x, refusal)
	}
	if x.answer == unsubscribed {
		it.conn.mu.Lock()
		it.drop()
		it.conn.mu.Unlock()
	}
}

// ExpectNothing fails the test if an event comes within d. Outside of testing/synctest it takes that time.
func (it *Item) ExpectNothing(d time.Duration) {
	it.conn.report.tb.Helper()
	e, err := it.await(d)
	switch {
	case err == nil:
		it.conn.fatal("item %q: got %s, want nothing for %v", it.name, e, d)
	case !errors.Is(err, errPatience) && !errors.Is(err, errRefused):
		it.conn.fatal("item %q: %v", it.name, err)
	}
}

// Refusal waits for the reply to the subscription and returns why it was refused; nil if it was not.
func (it *Item) Refusal() *Refusal {
	it.conn.report.tb.Helper()
	_, refusal := it.conn.wait(it.reply)
	return refusal
}
