package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// DataConfig is what a data proxy needs.
type DataConfig struct {
	Config

	// DataProvider is the name of the Data Adapter; empty means DEFAULT.
	DataProvider string
	// EventsRecovery (robust) says how the items in use are picked up by a new remote.
	EventsRecovery EventsRecovery
	// StatusItem (robust), if not empty, is an item that the proxy itself serves. It has one field, status: "connecting"
	// before the first remote, "connected", and "reconnecting" after a loss.
	StatusItem string
	// MaxPendingRequests bounds the SUB and USB that are sent and not answered; further ones wait,
	// as long as it takes, and owners take turns. Zero: a bound that follows the remote, from 64 up
	// to 4000 as it answers in good time.
	MaxPendingRequests int
}

// Data is the proxy of a remote Data Adapter. It implements provider.Data. Its methods may be called from any goroutine, and
// none of them waits for the remote.
type Data struct {
	*link
	recovery EventsRecovery
	status   *statusItem // nil: none

	mu     sync.Mutex
	conn   *conn // nil while there is no remote
	items  map[string]*entry
	routes map[string]route // by the id of the SUB, of the current connection
	// leaving holds the USB that may not have left yet, by item: a SUB for the item has to come
	// after it.
	leaving map[string]*request
	serial  uint64
}

// entry is an item from Subscribe to Unsubscribe.
type entry struct {
	item   string
	sink   provider.Sink
	serial uint64 // order of Subscribe

	// Guarded by Data.mu.
	sub    *request // the SUB of the current connection, nil if there is none
	owner  string   // of Subscribe
	others []string // of Share, up to maxOwners

	served bool // the lost remote had got its SUB, and may have sent what did not arrive; of detach

	gate  sync.Mutex // held while sink is called
	ended bool       // Unsubscribe was called
	told  bool       // the sink knows that the snapshot is complete
}

// route says where the events of one subscription go, and how.
type route struct {
	*entry
	recovered bool // the item was in use before this remote came
}

// StartData starts the proxy of a remote Data Adapter: when it returns, the proxy listens, or dials. It lives until ctx is
// done or Close is called.
func StartData(ctx context.Context, cfg DataConfig) (*Data, error) {
	if cfg.DataProvider == "" {
		cfg.DataProvider = "DEFAULT"
	}
	common, err := cfg.settings(ari.Data, cfg.DataProvider)
	if err != nil {
		return nil, err
	}
	d := &Data{recovery: cfg.EventsRecovery}
	d.items, d.routes, d.leaving = make(map[string]*entry), make(map[string]route), make(map[string]*request)
	if cfg.StatusItem != "" && cfg.Robust {
		d.status = newStatusItem(cfg.StatusItem)
	}
	d.link = newLink(common, ari.Data, cfg.DataProvider, d)
	d.bounds = []bound{{methods: []ari.Method{ari.SUB, ari.USB}, most: cfg.MaxPendingRequests, follow: true}}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Subscribe asks for an item. The outcome is logged. While a robust proxy has no remote, the sink gets an empty snapshot, in
// this call, and the item is asked for when there is one.
func (d *Data) Subscribe(item, owner string, sink provider.Sink) {
	if d.status != nil && item == d.status.name {
		d.status.subscribe(sink)
		return
	}
	e := &entry{item: item, owner: owner, sink: sink}
	// Held from before the entry can be found, so that the empty snapshot comes before the events of a new remote.
	e.gate.Lock()
	defer e.gate.Unlock()
	if !d.admit(e) && d.cfg.Robust {
		e.told = true
		sink.EndOfSnapshot()
	}
}

// maxOwners is how many owners of an item are known besides the first.
const maxOwners = 4

// Share has the SUB of an item take turns as one of another owner, too, now and with later remotes.
func (d *Data) Share(item, owner string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.items[item]
	if e == nil || e.owner == owner || slices.Contains(e.others, owner) {
		return
	}
	if len(e.others) == maxOwners {
		e.others = slices.Delete(e.others, 0, 1)
	}
	e.others = append(e.others, owner)
	if d.conn != nil && e.sub != nil {
		d.conn.pending.share(e.sub, owner)
	}
}

// admit enters e and sends its SUB if there is a remote, which it reports.
func (d *Data) admit(e *entry) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.items[e.item] != nil {
		// Sending a second SUB would let the remote's adapter see two in a row.
		d.log.Error("item subscribed twice without Unsubscribe in between; the second subscription replaces the first", "item", e.item)
		d.dismiss(d.items[e.item])
	}
	d.serial++
	e.serial = d.serial
	d.items[e.item] = e
	if d.conn == nil {
		return false
	}
	d.sub(e, false)
	return true
}

// sub sends SUB. mu is held, which keeps the SUB and USB of an item in order.
func (d *Data) sub(e *entry, recovered bool) {
	c := d.conn
	sub, err := c.request(ari.SUB, e.owner, d.leaving[e.item],
		func(dst []byte, id string) []byte { return ari.AppendSubscribe(dst, id, c.version, e.item) },
		func(body []byte, err error) { d.subscribed(c, e, body, err) })
	if err != nil {
		return // the connection has ended; the next one begins with all items
	}
	e.sub = sub
	for _, owner := range e.others {
		c.pending.share(sub, owner)
	}
	d.routes[sub.id] = route{e, recovered}
}

// subscribed gets the outcome of a SUB.
func (d *Data) subscribed(c *conn, e *entry, body []byte, err error) {
	if err == nil {
		err = ari.ParseVoidReply(body)
	}
	if err == nil || errors.Is(err, ErrLost) || errors.Is(err, ErrFailure) || errors.Is(err, ErrClosed) {
		return
	}
	d.mu.Lock()
	// What still comes for a failed subscription is dropped. Its USB will be sent all the same, if the item is left.
	if d.conn == c && d.items[e.item] == e {
		delete(d.routes, e.sub.id)
	}
	d.mu.Unlock()
	d.outcome(c, "subscription failed", e.item, err)
}

// Unsubscribe ends the interest in an item. When it has returned, the sink is not called any more.
func (d *Data) Unsubscribe(item string) {
	if d.status != nil && item == d.status.name {
		d.status.unsubscribe()
		return
	}
	d.mu.Lock()
	e := d.items[item]
	if e == nil {
		d.mu.Unlock()
		d.log.Error("unsubscription of an item that is not subscribed", "item", item)
		return
	}
	d.dismiss(e)
	d.mu.Unlock()
	e.gate.Lock() // waits for the event being delivered
	e.ended = true
	e.gate.Unlock()
}

// dismiss forgets an item, and sends USB if its SUB was sent on this connection, whatever became of that. mu is held.
func (d *Data) dismiss(e *entry) {
	delete(d.items, e.item)
	c := d.conn
	if c == nil || e.sub == nil {
		return
	}
	delete(d.routes, e.sub.id)
	if c.pending.withdraw(e.sub) {
		return
	}
	var usb *request
	usb, err := c.request(ari.USB, e.owner, nil,
		func(dst []byte, id string) []byte { return ari.AppendUnsubscribe(dst, id, c.version, e.item) },
		func(body []byte, err error) {
			d.mu.Lock()
			if d.leaving[e.item] == usb {
				delete(d.leaving, e.item)
			}
			d.mu.Unlock()
			if err == nil {
				err = ari.ParseVoidReply(body)
			}
			if err != nil {
				d.outcome(c, "unsubscription failed", e.item, err)
			}
		})
	if err == nil {
		d.leaving[e.item] = usb
	}
}

// outcome logs the failure of a SUB or USB. A failure of the adapter as a whole detaches the remote.
func (d *Data) outcome(c *conn, what, item string, err error) {
	switch {
	case errors.Is(err, ErrLost), errors.Is(err, ErrFailure), errors.Is(err, ErrClosed):
		return // told once, for the connection
	case errors.Is(err, errTimeout):
		d.stats.timedOut.Add(1)
	}
	d.failures.Warn(what, what, "peer", c.raw.RemoteAddr().String(), "item", bounded(item), "error", err)
	var r *refusal
	if errors.As(err, &r) && r.Kind == ari.KindFailure {
		c.fail(fmt.Errorf("%w: %w", ErrFailure, err), "the adapter has failed")
	}
}

// attach implements side: every item in use is subscribed, in the order in which they came into use.
func (d *Data) attach(c *conn) {
	d.mu.Lock()
	d.conn = c
	for _, e := range d.inOrder() {
		d.sub(e, true)
	}
	d.mu.Unlock()
	if d.status != nil {
		d.status.set(statusConnected)
	}
}

// detach implements side.
func (d *Data) detach(c *conn) {
	d.mu.Lock()
	d.conn = nil
	clear(d.leaving)
	left := d.inOrder()
	for _, e := range left {
		e.served = e.sub != nil && e.sub.wasSent()
		e.sub = nil
	}
	clear(d.routes)
	d.mu.Unlock()
	if d.status != nil {
		d.status.set(statusReconnecting)
	}
	if !d.cfg.Robust || d.ctx.Err() != nil {
		return
	}
	told := int64(0)
	for _, e := range left {
		e.deliver(func(s provider.Sink) {
			if e.served {
				told++
				s.Lost(d.recovery == EnforceSnapshot)
			}
			if d.recovery == EnforceSnapshot {
				e.told = true
				s.ClearSnapshot()
			}
		})
	}
	if told > 0 {
		d.stats.maybeLost.Add(told)
		c.log.Warn("updates of items in use may be missing", "items", told)
	}
}

// inOrder returns the items in use. mu is held.
func (d *Data) inOrder() []*entry {
	list := make([]*entry, 0, len(d.items))
	for _, e := range d.items {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int { return cmp.Compare(a.serial, b.serial) })
	return list
}

// deliver calls the sink, unless the item has been left.
func (e *entry) deliver(call func(provider.Sink)) {
	e.gate.Lock()
	defer e.gate.Unlock()
	if !e.ended {
		call(e.sink)
	}
}
