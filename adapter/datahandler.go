package adapter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// dataHandler serves SUB and USB. Requests for one item run strictly in order, one at a time; those for different items in parallel.
type dataHandler struct {
	link     *link
	provider DataProvider
	answerer SnapshotAnswerer // nil if the provider is none
	unsub    Unsubscriber     // likewise
	spare    *itemQueue       // of the goroutine that has the turn

	mu   sync.Mutex
	subs itemMap[*Subscription] // from the SUB on, until the USB is served or Subscribe has failed
	size int                    // what subs cost, see itemCost
	busy itemMap[*itemQueue]    // requests not yet answered
	over error                  // why nothing more is accepted
}

// itemQueue holds the requests for one item while there are any. Serving them is a task.
type itemQueue struct {
	handler *dataHandler
	item    string
	waiting []itemRequest // from done on
	done    int
}

type itemRequest struct {
	id      string
	cost    int
	method  ari.Method
	arrived time.Time
}

// itemCost is what an item counts for in MaxItemBytes.
func itemCost(item string) int { return len(item) + 256 }

// A queue that has held more requests than this is not kept for the next item.
const maxSpareWaiting = 64

func newDataHandler(l *link, p DataProvider) *dataHandler {
	h := &dataHandler{link: l, provider: p}
	h.answerer, _ = p.(SnapshotAnswerer)
	h.unsub, _ = p.(Unsubscriber)
	return h
}

func (h *dataHandler) initialize(ctx context.Context, in Init) error {
	if p, ok := h.provider.(Initializer); ok {
		return p.Initialize(ctx, in)
	}
	return nil
}

func (h *dataHandler) request(_ *turn, line ari.Line) task {
	l := h.link
	if line.Method != ari.SUB && line.Method != ari.USB {
		l.refuse(line, errors.New("not a request to a Data Adapter"))
		return nil
	}
	item, err := ari.ParseItem(line.Body, l.version)
	if err != nil {
		l.refuse(line, err)
		return nil
	}
	if q := h.push(item, itemRequest{string(line.ID), requestCost(line), line.Method, l.arrival()}); q != nil {
		return q
	}
	return nil
}

// push queues a request, and returns the queue if nobody serves it yet. An item that is being unsubscribed is not wanted any
// more from now on, however long its queue is.
func (h *dataHandler) push(item string, r itemRequest) (unserved *itemQueue) {
	h.mu.Lock()
	if h.over != nil {
		h.mu.Unlock()
		return nil
	}
	q := h.busy.all[item]
	if q == nil {
		q = h.newQueue(item)
		h.busy.put(item, q)
		unserved = q
	}
	q.waiting = append(q.waiting, r)
	var unwanted *Subscription
	if r.method == ari.USB {
		unwanted = h.subs.all[item]
	}
	h.mu.Unlock()
	if unwanted != nil {
		unwanted.end(ErrUnsubscribed)
	}
	return unserved
}

func (h *dataHandler) newQueue(item string) *itemQueue {
	if q := h.spare; q != nil {
		h.spare, q.item = nil, item
		return q
	}
	return &itemQueue{handler: h, item: item}
}

// next takes the next request of a queue; false when there is none, and the queue is nobody's any more. late says that more wait behind it.
func (q *itemQueue) next() (r itemRequest, late, ok bool) {
	h := q.handler
	h.mu.Lock()
	defer h.mu.Unlock()
	if q.done == len(q.waiting) {
		q.waiting, q.done = q.waiting[:0], 0
		if h.over == nil {
			h.busy.remove(q.item)
		}
		return itemRequest{}, false, false
	}
	r = q.waiting[q.done]
	q.done++
	return r, q.done < len(q.waiting), true
}

func (q *itemQueue) name() (what, item string) { return "Subscribe", q.item }

func (q *itemQueue) recycle(*turn) {
	if cap(q.waiting) <= maxSpareWaiting {
		q.item, q.handler.spare = "", q
	}
}

func (q *itemQueue) run(p place) (kept bool) {
	h, item := q.handler, q.item
	for {
		r, late, ok := q.next()
		if !ok {
			return p.turn != nil
		}
		p.begin(q)
		var err error
		if r.method == ari.SUB {
			err = h.subscribe(item, r.id, late)
		} else {
			err = h.unsubscribe(item)
		}
		p.end()
		h.reply(r, &p, err)
		h.link.answered(r.method, r.arrived, err)
	}
}

func (h *dataHandler) reply(r itemRequest, p *place, err error) {
	switch {
	case err == nil:
		p.reply(h.link.out, r.cost, func(dst []byte) []byte { return ari.AppendVoidReply(dst, r.id, r.method) })
	case !errors.Is(err, errOver):
		h.link.replyError(r.id, r.cost, r.method, failureOf(err))
	}
}

var (
	// errLate answers a SUB with something queued behind it, which is its own USB: the provider is spared.
	errLate = &SubscribeError{Message: "Subscribe request come too late"}
	// errOver is for a SUB that nobody waits for any more.
	errOver = fmt.Errorf("%w: subscription not made", ErrDisconnected)
)

// subscribe serves one SUB.
func (h *dataHandler) subscribe(item, id string, late bool) error {
	if late {
		h.drop(item)
		return errLate
	}
	sub := newSubscription(item, id, h.link.out)
	if err := h.add(sub); err != nil {
		if errors.Is(err, ErrTooManyItems) {
			h.link.log.Warn("subscription refused: too many items", "bytes", h.link.maxItems)
		}
		return err
	}
	if err := h.offer(sub); err != nil {
		sub.end(err)
		h.drop(item)
		h.link.log.Warn("subscription refused", "item", cut(item, maxReason), "err", err)
		return err
	}
	sub.declareNoSnapshot()
	h.accept(sub)
	return nil
}

// offer calls the provider.
func (h *dataHandler) offer(sub *Subscription) error {
	if h.answerer != nil {
		var available bool
		err := protect(h.link.log, "SnapshotAvailable", func() (err error) {
			available, err = h.answerer.SnapshotAvailable(h.link.ctx, sub.item)
			return err
		})
		if err != nil {
			return err
		}
		if available {
			sub.openSnapshot()
		} else {
			sub.declareNoSnapshot()
		}
	}
	return protect(h.link.log, "Subscribe", func() error { return h.provider.Subscribe(h.link.ctx, sub) })
}

// unsubscribe serves one USB. After a subscription that failed, or none, there is nothing to undo.
func (h *dataHandler) unsubscribe(item string) error {
	sub, accepted := h.drop(item)
	if !accepted || h.unsub == nil {
		return nil
	}
	err := protect(h.link.log, "Unsubscribe", func() error { return h.unsub.Unsubscribe(h.link.ctx, sub) })
	if err != nil {
		h.link.log.Warn("unsubscription failed", "item", cut(item, maxReason), "err", err)
	}
	return err
}

// add makes sub the subscription of its item. It returns an error, having ended sub, when the
// connection is over or there are too many items.
func (h *dataHandler) add(sub *Subscription) error {
	h.mu.Lock()
	over := h.over
	before := h.subs.all[sub.item]
	tooMany := before == nil && h.size+itemCost(sub.item) > h.link.maxItems
	if over == nil && !tooMany {
		if before == nil {
			h.size += itemCost(sub.item)
		}
		h.subs.put(sub.item, sub)
		h.forget(before)
	}
	h.mu.Unlock()
	if before != nil {
		before.end(ErrUnsubscribed) // two SUB in a row: the later one wins
	}
	switch {
	case over != nil:
		sub.end(over)
		return errOver
	case tooMany:
		err := fmt.Errorf("%w: those subscribed have reached MaxItemBytes (%d)", ErrTooManyItems, h.link.maxItems)
		sub.end(err)
		return err
	}
	return nil
}

// accept notes that the provider has taken sub.
func (h *dataHandler) accept(sub *Subscription) {
	h.mu.Lock()
	if h.over == nil && h.subs.all[sub.item] == sub {
		sub.accepted = true
		h.link.stats.items.Add(1)
	}
	h.mu.Unlock()
}

// drop ends the subscription of an item, if there is one, and tells whether the provider has taken it.
func (h *dataHandler) drop(item string) (sub *Subscription, accepted bool) {
	h.mu.Lock()
	if sub = h.subs.all[item]; sub != nil {
		h.subs.remove(item)
		h.size -= itemCost(item)
		accepted = h.forget(sub)
	}
	h.mu.Unlock()
	if sub != nil {
		sub.end(ErrUnsubscribed)
	}
	return sub, accepted
}

// forget notes that a subscription, which may be nil, is no more, and tells whether the provider has taken it. mu is held.
func (h *dataHandler) forget(sub *Subscription) (accepted bool) {
	if sub == nil || !sub.accepted {
		return false
	}
	sub.accepted = false
	h.link.stats.items.Add(-1)
	return true
}

func (h *dataHandler) ended(cause error) {
	h.mu.Lock()
	h.over = cause
	subs := h.subs.all
	h.subs.all = nil
	for _, q := range h.busy.all {
		q.waiting, q.done = nil, 0
	}
	h.busy.all = nil
	for _, sub := range subs {
		h.forget(sub)
	}
	h.mu.Unlock()
	for _, sub := range subs {
		sub.end(cause)
	}
}
