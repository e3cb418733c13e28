package adaptertest

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// Options tell [Conformance] what the provider under test has.
type Options struct {
	// Items are what the tests subscribe to; at least one.
	Items []ItemSpec
	// Unknown is the name of an item that the provider has to refuse. Empty: none is.
	Unknown string
	// Virtual makes each test run in a testing/synctest bubble: exact, and no time passes in the waits. The provider must then not
	// depend on sockets, files, or goroutines that were started outside.
	Virtual bool
	// Patience is how long a test waits for what has to come. 0: DefaultPatience.
	Patience time.Duration
	// Settle is how long a provider is watched for what must not come, such as updates after the end of a subscription. 0: 100 ms, or one
	// minute if Virtual.
	Settle time.Duration
	// Server, if not nil, changes the server that runs the provider: Params, ConfigFile, MaxCallbacks and so on.
	Server func(*adapter.DataServer)
	// IgnoreLeak is that of Proxy.
	IgnoreLeak func(stack string) bool
}

// An ItemSpec describes an item of the provider under test.
type ItemSpec struct {
	Name string
	// Mode is the mode in which clients will subscribe to it. Its rules are checked. 0: it is not known.
	Mode adapter.Mode
	// Snapshot says that the item has a snapshot: in MERGE mode one event, in DISTINCT and COMMAND mode any number of them and then its end, be it
	// declared or by the first live event. If it is false, a snapshot event is a failure.
	Snapshot bool
	// Live says that live events come by themselves, so that it is a failure if none comes within Patience.
	Live bool
}

// Conformance puts a Data Adapter through what a server, and the network in between, may do to it, and fails the test where the provider does not
// bear it. Each of these is a subtest with a server of its own, which initialises the provider anew:
//
//	items          each item: accepted, its snapshot as its mode wants it, live events; the unknown one: refused
//	again          subscribed, unsubscribed and subscribed again: everything anew
//	storm          bursts of subscriptions and unsubscriptions of all items: every request has its one reply, in order, and the last one holds
//	late updates   nothing is sent for an item that nobody wants any more
//	reconnect      cut in the midst of everything: items can be subscribed again over the next connection
//	slow peer      the server stops reading: unsubscriptions still work, everything goes on when it reads again
//	stop           with items subscribed, and with a server that does not read: Run returns nil
//
// In all of them the lines on the wire are checked as [Proxy] does, and a goroutine that outlives its server is a failure.
//
// The provider has to be able to serve again after its server has stopped. Conformance runs the subtests one after the other.
func Conformance(t *testing.T, provider adapter.DataProvider, o Options) {
	t.Helper()
	conformance(testRunner{t, o.Virtual}, provider, o)
}

// A runner runs subtests. It exists so that the kit's own tests can look at failures without failing.
type runner interface {
	sub(name string, test func(testing.TB))
}

type testRunner struct {
	t       *testing.T
	virtual bool
}

func (r testRunner) sub(name string, test func(testing.TB)) {
	r.t.Helper()
	r.t.Run(name, func(t *testing.T) {
		if r.virtual {
			synctest.Test(t, func(t *testing.T) { test(t) })
		} else {
			test(t)
		}
	})
}

func conformance(run runner, provider adapter.DataProvider, o Options) {
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"items", (*suite).items},
		{"again", (*suite).again},
		{"storm", (*suite).storm},
		{"late updates", (*suite).lateUpdates},
		{"reconnect", (*suite).reconnect},
		{"slow peer", (*suite).slowPeer},
		{"stop", (*suite).stop},
	} {
		run.sub(test.name, func(tb testing.TB) { test.run(newSuite(tb, provider, o)) })
	}
}

// A suite is one subtest of Conformance at work.
type suite struct {
	testing.TB
	Options
	proxy  *Proxy
	server *adapter.DataServer
	run    *Running
}

// The bounds are low, so that a peer which does not read is felt soon.
const (
	conformanceBuffer  = 4 << 10
	conformancePending = 16 << 10
)

func newSuite(tb testing.TB, provider adapter.DataProvider, o Options) *suite {
	tb.Helper()
	if len(o.Items) == 0 {
		tb.Fatal("adaptertest: conformance: Options.Items is empty; name at least one item that the provider has")
	}
	if o.Settle == 0 {
		o.Settle = 100 * time.Millisecond
		if o.Virtual {
			o.Settle = time.Minute
		}
	}
	s := &suite{TB: tb, Options: o, proxy: NewProxy(tb)}
	s.proxy.Patience, s.proxy.Buffer, s.proxy.IgnoreLeak = o.Patience, conformanceBuffer, o.IgnoreLeak
	s.proxy.Modes = make(map[string]adapter.Mode)
	for _, item := range o.Items {
		s.proxy.Modes[item.Name] = item.Mode
	}
	s.server = &adapter.DataServer{
		Provider: provider, MaxPending: conformancePending,
		Reconnect: &adapter.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
	}
	if o.Server != nil {
		o.Server(s.server)
	}
	s.run = s.proxy.Run(s.server)
	return s
}

// errorf fails the subtest and goes on.
func (s *suite) errorf(format string, args ...any) {
	s.Helper()
	s.Errorf("adaptertest: conformance: "+format, args...)
}

// items subscribes to each item by itself and looks at what it brings.
func (s *suite) items() {
	c := s.proxy.Accept()
	for _, spec := range s.Items {
		it := c.Subscribe(spec.Name)
		s.served(it, spec)
		s.ended(it)
	}
	if s.Unknown != "" {
		it := c.Subscribe(s.Unknown)
		if it.Refusal() == nil {
			s.errorf("item %q does not exist and was accepted; Subscribe has to return an error, such as &adapter.SubscribeError{}", s.Unknown)
		}
		s.ended(it)
	}
}

// served checks that an item comes to life as its spec says. Its events are counted, not kept.
func (s *suite) served(it *Item, spec ItemSpec) {
	s.Helper()
	it.Discard()
	if refusal := it.Refusal(); refusal != nil {
		s.errorf("item %q: %v", spec.Name, refusal)
		return
	}
	c := it.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	state := &it.sub.state
	whole := func() bool { return !spec.Snapshot || state.over || spec.Mode == adapter.Merge && state.count > 0 }
	if err := c.await(s.proxy.patience(), whole); err != nil {
		s.errorf("item %q has a snapshot, of which %d events came, but not its end: EndOfSnapshot is missing (%v)%s", spec.Name, state.count, err, &c.log)
		return
	}
	if spec.Snapshot && spec.Mode == adapter.Merge && state.count == 0 {
		s.errorf("item %q has a snapshot, but none came before its end%s", spec.Name, &c.log)
	}
	if !spec.Snapshot && state.count > 0 {
		s.errorf("item %q has no snapshot, but a snapshot event came%s", spec.Name, &c.log)
	}
	if err := c.await(s.proxy.patience(), func() bool { return !spec.Live || state.live > 0 }); err != nil {
		s.errorf("item %q has live events, but none came (%v)%s", spec.Name, err, &c.log)
	}
}

// ended unsubscribes from an item and waits for the reply.
func (s *suite) ended(it *Item) {
	s.Helper()
	it.Unsubscribe()
	if _, refusal := it.conn.wait(it.unsub); refusal != nil {
		s.errorf("item %q: %v", it.name, refusal)
	}
}

func (s *suite) again() {
	c := s.proxy.Accept()
	for range 3 {
		s.allServed(c)
	}
}

// allServed subscribes to all the items at once, checks them, and unsubscribes.
func (s *suite) allServed(c *Conn) {
	s.Helper()
	var items []*Item
	for _, spec := range s.Items {
		it := c.Subscribe(spec.Name)
		it.Discard()
		items = append(items, it)
	}
	for i, spec := range s.Items {
		s.served(items[i], spec)
	}
	for _, it := range items {
		it.Unsubscribe()
	}
	for _, it := range items {
		if _, refusal := c.wait(it.unsub); refusal != nil {
			s.errorf("item %q: %v", it.name, refusal)
		}
	}
}

// How many times the storm subscribes and unsubscribes each item.
const stormLength = 40

// burst sends, for all the items in turn, subscriptions each followed by its end. The last subscriptions are left in place and returned.
func (s *suite) burst(c *Conn) []*Item {
	last := make([]*Item, len(s.Items))
	for n := range stormLength {
		for i, spec := range s.Items {
			if n > 0 {
				last[i].Unsubscribe()
			}
			last[i] = c.Subscribe(spec.Name)
			last[i].Discard()
		}
	}
	return last
}

func (s *suite) storm() {
	c := s.proxy.Accept()
	for range 3 {
		items := s.burst(c)
		c.AwaitReplies() // the checker looks at their order, and at what is sent for which of them
		for i, it := range items {
			s.served(it, s.Items[i])
			it.Unsubscribe()
		}
		c.AwaitReplies()
		if n := s.server.Stats().Items; n != 0 {
			s.errorf("%d items are still subscribed after a storm that left none", n)
		}
	}
}

// lateUpdates looks for a feed that goes on when its subscription has ended. The SDK drops what it sends, so it shows in the counter of dropped
// events alone. Some are natural: they were under way. A feed that has noticed leaves a quiet time after them, sooner or later.
func (s *suite) lateUpdates() {
	c := s.proxy.Accept()
	for _, spec := range s.Items {
		it := c.Subscribe(spec.Name)
		s.served(it, spec)
		s.ended(it)
	}
	deadline := time.Now().Add(s.proxy.patience() + s.Settle)
	for {
		before := s.server.Stats().Dropped
		s.settle()
		dropped := s.server.Stats().Dropped - before
		if dropped == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.errorf("the provider goes on sending for items that nobody wants any more: %d events were dropped in the last %v. Stop when sub.Context() ends, or when a sending method returns ErrSubscriptionEnded",
				dropped, s.Settle)
			return
		}
	}
}

func (s *suite) reconnect() {
	c := s.proxy.Accept()
	for _, fault := range []struct {
		what string
		cut  func(*Conn)
	}{
		{"reset with items subscribed", func(c *Conn) { c.Cut(io.ErrUnexpectedEOF) }},
		{"closed with items subscribed", func(c *Conn) { c.Cut(nil) }},
		{"CLOSE with items subscribed", func(c *Conn) { c.Close("restart") }},
		{"reset in a storm", func(c *Conn) {
			s.burst(c)
			c.Cut(io.ErrUnexpectedEOF)
		}},
		{"reset while stalled", func(c *Conn) {
			c.Stall()
			s.burst(c)
			c.Cut(io.ErrUnexpectedEOF)
		}},
	} {
		s.Logf("adaptertest: %s", fault.what)
		for _, spec := range s.Items {
			it := c.Subscribe(spec.Name)
			s.served(it, spec)
		}
		fault.cut(c)
		c = s.proxy.Accept()
		s.allServed(c)
		if s.Failed() {
			return // what follows would only repeat it
		}
	}
}

func (s *suite) slowPeer() {
	c := s.proxy.Accept()
	c.Stall()
	for range 3 {
		items := s.burst(c)
		s.settle() // what the provider sends now fills the buffers
		for _, it := range items {
			it.Unsubscribe()
		}
	}
	s.quiet("with a server that does not read")
	c.Resume()
	c.AwaitReplies()
	s.allServed(c)
}

// settle gives the provider time to do what it should not, or to run into a wall.
func (s *suite) settle() {
	timer := time.NewTimer(s.Settle)
	<-timer.C
}

// quiet waits until no item is subscribed and no callback is at work.
func (s *suite) quiet(when string) {
	s.Helper()
	deadline := time.Now().Add(s.proxy.patience())
	for {
		timer := time.NewTimer(time.Millisecond)
		<-timer.C
		stats := s.server.Stats()
		if stats.Items == 0 && stats.Callbacks == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.errorf("%s: all items were unsubscribed, but %d are still subscribed and %d callbacks at work. Subscribe has to return when sub.Context() ends:\n%s",
				when, stats.Items, stats.Callbacks, stacks(s.run.label))
			return
		}
	}
}

func (s *suite) stop() {
	c := s.proxy.Accept()
	for _, spec := range s.Items {
		s.served(c.Subscribe(spec.Name), spec)
	}
	s.run.Stop()
	c.ExpectClosed()

	s.run = s.proxy.Run(s.server)
	c = s.proxy.Accept()
	c.Stall()
	s.burst(c)
	s.run.Stop()
	if n := s.server.Stats().Callbacks; n != 0 {
		s.errorf("%d callbacks have not returned after the stop. They should end with their context", n)
	}
}
