package adapter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A DataServer connects one Data Adapter to its Proxy Adapter in the server. Provider and one of Addr and Listener are needed, the zero
// value of the other fields is a good choice. The fields are read when Run starts; later changes have no effect on it. A DataServer must not be copied.
type DataServer struct {
	_ struct{}

	// Provider is the Data Adapter.
	Provider DataProvider
	// Addr is "host:port" of the proxy's request_reply_port, to dial.
	Addr string
	// Listener is where the proxy dials, if it is configured with remote_host. It is not closed by Run.
	Listener net.Listener
	// TLS, if not nil, is used for the connection: as client with Addr (ServerName defaults to Addr's host), as server with Listener.
	TLS *tls.Config
	// Dial replaces [net.Dialer.DialContext].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Credentials, if not nil, is called before each connection for the user and password to send.
	Credentials func(context.Context) (Credentials, error)
	// Name stands in logs and errors. Default: the address.
	Name string
	// Params are given to Initialize, over those of the proxy.
	Params map[string]string
	// ConfigFile is given to Initialize.
	ConfigFile string
	// Keepalive is the longest silence on the connection. 0: DefaultKeepalive, or less if the proxy asks for it; negative: none, unless
	// the proxy asks for it.
	Keepalive time.Duration
	// Reconnect spaces the attempts to connect. nil: default pauses. See NoReconnect.
	Reconnect *Backoff
	// MaxPending is how many bytes may wait to be written before the sending methods of Subscription wait. 0: DefaultMaxPending.
	MaxPending int
	// WhenFull says what the sending methods do then. Default: Wait.
	WhenFull FullPolicy
	// MaxCallbacks limits the callbacks at work at the same time. 0: no limit; 1: one after the other. Requests over the limit wait in
	// the order of their arrival.
	MaxCallbacks int
	// MaxLine is the longest line accepted from the proxy, in bytes. 0: DefaultMaxLine.
	MaxLine int
	// StopTimeout is how long Run waits, when it stops, for callbacks at work and data on its way. 0: DefaultStopTimeout.
	StopTimeout time.Duration
	// Logger gets what happens. nil: nothing is logged. Passwords never are.
	Logger *slog.Logger
	// LogLines chooses lines of the wire to log at level Debug. Default: none.
	LogLines LogCategories
	// Events are called as things happen. nil: none.
	Events *Events

	stats   stats
	running atomic.Bool
}

func (s *DataServer) settings() (*settings, error) {
	c := &settings{
		kind: ari.Data, name: s.Name, addr: s.Addr, listener: s.Listener, tls: s.TLS, dial: s.Dial, credentials: s.Credentials,
		params: s.Params, configFile: s.ConfigFile, keepalive: s.Keepalive, reconnect: s.Reconnect, maxPending: s.MaxPending, whenFull: s.WhenFull,
		maxCalls: s.MaxCallbacks, maxLine: s.MaxLine, stopTimeout: s.StopTimeout, log: s.Logger, categories: s.LogLines, events: s.Events, stats: &s.stats,
	}
	c.fillDefaults()
	err := c.validate()
	if s.Provider == nil {
		err = errors.Join(err, fmt.Errorf("adapter: %s: Provider is missing", c.title()))
	}
	return c, err
}

// Validate tells what is wrong with the fields, all of it at once; nil if nothing is. Run begins with it.
func (s *DataServer) Validate() error {
	_, err := s.settings()
	return err
}

// Stats returns the counters. It can be called at any time, from any goroutine.
func (s *DataServer) Stats() Stats { return s.stats.snapshot() }

// Run connects to the proxy, serves its requests, and connects again after a loss, until ctx ends; then it ends every [Subscription], writes what is pending and
// returns nil. It returns an error when there is no point in going on: the fields are wrong, the provider refused the initialisation
// ([*InitError]), the proxy refused the connection ([*CloseError]), or, with [NoReconnect], the connection failed.
//
// At each new connection the provider is initialised and its items are subscribed again. Run can be called again after it has returned;
// while it runs a second call returns [ErrRunning].
func (s *DataServer) Run(ctx context.Context) error {
	c, err := s.settings()
	if err != nil {
		return err
	}
	if !s.running.CompareAndSwap(false, true) {
		return fmt.Errorf("adapter: %s: %w", c.title(), ErrRunning)
	}
	defer s.running.Store(false)
	return run(ctx, c, func(l *link) handler { return newDataHandler(l, s.Provider) })
}

// dataHandler serves SUB and USB. Requests for one item run strictly in order, one at a time; those for different items in parallel.
type dataHandler struct {
	link     *link
	provider DataProvider
	answerer SnapshotAnswerer // nil if the provider is none
	unsub    Unsubscriber     // likewise

	mu    sync.Mutex
	items map[string]*itemQueue
	over  error // why nothing more is accepted
}

// itemQueue is what is known of one item. It exists while the item has requests queued or a subscription.
type itemQueue struct {
	queue   []itemRequest
	running bool          // a goroutine works the queue off
	current *Subscription // of the last SUB taken from the queue, until its USB
	ok      bool          // current's Subscribe succeeded
}

type itemRequest struct {
	id      string
	method  ari.Method
	arrived time.Time
}

func newDataHandler(l *link, p DataProvider) *dataHandler {
	h := &dataHandler{link: l, provider: p, items: make(map[string]*itemQueue)}
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

func (h *dataHandler) request(l *link, line ari.Line) {
	if line.Method != ari.SUB && line.Method != ari.USB {
		l.refuse(line, errors.New("not a request to a Data Adapter"))
		return
	}
	item, err := ari.ParseItem(line.Body, l.version)
	if err != nil {
		l.refuse(line, err)
		return
	}
	h.push(item, itemRequest{string(line.ID), line.Method, time.Now()})
}

// push queues a request, and starts a worker for the item if none is at work. An item that is being unsubscribed is not wanted any
// more from now on, however long its queue is.
func (h *dataHandler) push(item string, r itemRequest) {
	h.mu.Lock()
	if h.over != nil {
		h.mu.Unlock()
		return
	}
	q := h.items[item]
	if q == nil {
		q = &itemQueue{}
		h.items[item] = q
	}
	q.queue = append(q.queue, r)
	var unwanted *Subscription
	if r.method == ari.USB {
		unwanted = q.current
	}
	start := !q.running
	q.running = true
	h.mu.Unlock()
	if unwanted != nil {
		unwanted.end(ErrUnsubscribed)
	}
	if start {
		h.link.calls.start("Subscribe", item, func() { h.work(item, q) })
	}
}

// work takes the requests of one item until there is none.
func (h *dataHandler) work(item string, q *itemQueue) {
	for {
		h.mu.Lock()
		if len(q.queue) == 0 {
			q.running, q.queue = false, nil
			if q.current == nil {
				delete(h.items, item)
			}
			h.mu.Unlock()
			return
		}
		r := q.queue[0]
		q.queue = q.queue[1:]
		late := len(q.queue) > 0
		h.mu.Unlock()
		var err error
		if r.method == ari.SUB {
			err = h.subscribe(item, q, r.id, late)
		} else {
			err = h.unsubscribe(q, r.id)
		}
		h.link.answered(r.method, r.arrived, err)
	}
}

// errLate answers a SUB with something queued behind it, which is its own USB: the provider is spared.
var errLate = &SubscribeError{Message: "Subscribe request come too late"}

// subscribe serves one SUB.
func (h *dataHandler) subscribe(item string, q *itemQueue, id string, late bool) error {
	l := h.link
	if late {
		h.setCurrent(q, nil, false)
		l.replyError(id, ari.SUB, failureOf(errLate))
		return errLate
	}
	sub := newSubscription(item, id, l.out)
	if !h.setCurrent(q, sub, false) {
		return ErrDisconnected
	}
	if err := h.offer(sub); err != nil {
		sub.end(err)
		h.setCurrent(q, nil, false)
		l.log.Warn("subscription refused", "item", item, "err", err)
		l.replyError(id, ari.SUB, failureOf(err))
		return err
	}
	sub.declareNoSnapshot()
	h.setCurrent(q, sub, true)
	l.out.reply(func(b []byte) []byte { return ari.AppendVoidReply(b, id, ari.SUB) })
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

// setCurrent reports false, having ended sub, when the connection is over.
func (h *dataHandler) setCurrent(q *itemQueue, sub *Subscription, ok bool) bool {
	h.mu.Lock()
	over := h.over
	if q.current != nil && q.current != sub {
		// Two SUB in a row: the later one wins.
		defer q.current.end(ErrUnsubscribed)
	}
	h.count(q.ok, ok && over == nil)
	q.current, q.ok = sub, ok && over == nil
	h.mu.Unlock()
	if over != nil && sub != nil {
		sub.end(over)
	}
	return over == nil
}

// count keeps the number of subscribed items.
func (h *dataHandler) count(before, after bool) {
	if after && !before {
		h.link.stats.items.Add(1)
	}
	if before && !after {
		h.link.stats.items.Add(-1)
	}
}

// unsubscribe serves one USB. After a subscription that failed, or none, there is nothing to undo.
func (h *dataHandler) unsubscribe(q *itemQueue, id string) error {
	l := h.link
	h.mu.Lock()
	sub, ok := q.current, q.ok
	h.count(ok, false)
	q.current, q.ok = nil, false
	h.mu.Unlock()
	var err error
	if sub != nil {
		sub.end(ErrUnsubscribed)
		if ok && h.unsub != nil {
			err = protect(l.log, "Unsubscribe", func() error { return h.unsub.Unsubscribe(l.ctx, sub) })
		}
	}
	if err != nil {
		l.log.Warn("unsubscription failed", "item", sub.item, "err", err)
		l.replyError(id, ari.USB, failureOf(err))
		return err
	}
	l.out.reply(func(b []byte) []byte { return ari.AppendVoidReply(b, id, ari.USB) })
	return nil
}

func (h *dataHandler) ended(cause error) {
	h.mu.Lock()
	h.over = cause
	subs := make([]*Subscription, 0, len(h.items))
	for _, q := range h.items {
		q.queue = nil
		if q.current != nil {
			subs = append(subs, q.current)
		}
		h.count(q.ok, false)
		q.ok = false
	}
	clear(h.items)
	h.mu.Unlock()
	for _, s := range subs {
		s.end(cause)
	}
}
