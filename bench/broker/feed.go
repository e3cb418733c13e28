package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// layout is which items there are, and whose. The items of a group are seen by the same sessions. Updates go to the items in the order of
// their numbers, so the items of a group are numbered far from each other: what a session gets shall come one by one, not in a bunch that
// goes into one message.
type layout struct{ groups, items int }

func (o *options) layout() layout { return layout{groups: o.sessions / o.fanout, items: o.items} }

func (l layout) count() int { return l.groups * l.items }

// number is that of an item of a group.
func (l layout) number(group, item int) int { return item*l.groups + group }

// kindOf tells the mode of an item by its number.
func (l layout) kindOf(n int) kind {
	switch n / l.groups % 10 {
	case 0, 1, 2, 3:
		return raw
	case 4, 5, 6:
		return merge
	}
	return command
}

// feed is the Data Adapter.
type feed struct {
	layout

	mu   sync.Mutex
	subs map[int]*adapter.Subscription
	all  chan struct{} // closed when every item is subscribed
	once sync.Once

	stop    chan struct{}
	stopped sync.WaitGroup
	sent    int64 // updates, when stopped
}

func newFeed(l layout) *feed {
	return &feed{layout: l, subs: make(map[int]*adapter.Subscription), all: make(chan struct{})}
}

// rows are the keys of an item in COMMAND mode.
const rows = 10

var (
	schema    = adapter.NewSchema("seq", "stamp", "last", "bid", "ask", "text")
	rowSchema = adapter.NewSchema("seq", "stamp", "last")
)

func itemName(n int) string { return "item" + strconv.Itoa(n) }

// kind is what an item is: of ten, four are RAW, three MERGE, three COMMAND.
type kind uint8

const (
	raw kind = iota
	merge
	command
)

func (k kind) String() string { return [...]string{"RAW", "MERGE", "COMMAND"}[k] }

// Subscribe takes an item, which begins without values.
func (f *feed) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	n, err := strconv.Atoi(sub.Item()[len("item"):])
	if err != nil || n >= f.count() {
		return fmt.Errorf("no item %q", sub.Item())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs[n] = sub
	if len(f.subs) == f.count() {
		f.once.Do(func() { close(f.all) })
	}
	return nil
}

// start sends rate updates per second, over all items in turn, until stop.
func (f *feed) start(rate float64) {
	f.stop = make(chan struct{})
	f.stopped.Go(func() { f.sent = f.run(rate) })
}

// end stops the feed and tells how many updates it has sent since start.
func (f *feed) end() int64 {
	close(f.stop)
	f.stopped.Wait()
	return f.sent
}

// tick is how often the feed looks what is due.
const tick = time.Millisecond

func (f *feed) run(rate float64) int64 {
	f.mu.Lock()
	subs := make([]*adapter.Subscription, f.count())
	for n, sub := range f.subs {
		subs[n] = sub
	}
	f.mu.Unlock()
	begin := time.Now()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	sent := int64(0)
	for {
		select {
		case <-f.stop:
			return sent
		case <-ticker.C:
		}
		for due := int64(time.Since(begin).Seconds() * rate); sent < due; sent++ {
			n := int(sent % int64(f.count()))
			scheduled := begin.Add(time.Duration(float64(sent) / rate * float64(time.Second)))
			f.send(subs[n], f.kindOf(n), sent/int64(f.count()), scheduled)
		}
	}
}

// send sends the update of an item with a number.
func (f *feed) send(sub *adapter.Subscription, k kind, seq int64, at time.Time) {
	number, stamp := strconv.FormatInt(seq, 10), strconv.FormatInt(at.UnixMicro(), 10)
	last := strconv.FormatInt(1000+seq*7%100, 10)
	if k != command {
		// What has gone wrong shows as an update that does not arrive.
		_ = sub.Row(schema).Update(number, stamp, last, last, "1100", "a text that does not change")
		return
	}
	key := "key" + strconv.FormatInt(seq%rows, 10)
	if seq < rows {
		_ = sub.Row(rowSchema).Add(key, number, stamp, last)
		return
	}
	_ = sub.Row(rowSchema).Modify(key, number, stamp, last)
}
