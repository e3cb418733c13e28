//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/interop/internal/ledger"
)

// The items. Each of the four counts in its mode; others are for attackers.
const (
	rawItem      = "raw"
	distinctItem = "distinct"
	commandItem  = "command"
	mergeItem    = "merge"
	bigItem      = "big" // COMMAND, of bigRows rows
	bigRows      = 1000
)

// itemOf names the item of a mode.
var itemOf = map[ledger.Mode]string{
	ledger.Raw: rawItem, ledger.Distinct: distinctItem, ledger.Command: commandItem, ledger.Merge: mergeItem,
}

// fields are those of each item: the life of the adapter, the number of the update, a check of it,
// and when it was made.
var fields = []string{"life", "n", "half", "stamp"}

// feed is the adapter of the clients whose losses are counted. An update has the next number when
// the SDK has accepted it; how far the numbers have come stands in the journal, which outlives the
// process.
type feed struct {
	adapter.LiteralMetadata
	life     int64
	interval time.Duration
	journal  *os.File
	counters map[string]*counter

	stop    chan struct{}
	stopped sync.WaitGroup

	mu sync.Mutex // held when the end, or something that counts, begins
}

// counter is an item that counts, and what its state is.
type counter struct {
	mode ledger.Mode
	slot int64 // in the journal

	mu   sync.Mutex // held while an update is sent: numbers are in order across subscriptions
	n    int64
	rows map[string]int64
}

// journalSize is one number for each mode.
const journalSize = 8 * 4

// runFeed is the process of the adapter.
func runFeed(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("adapter", flag.ContinueOnError)
	metadata := flags.String("metadata", "", "address of the proxy")
	data := flags.String("data", "", "address of the proxy")
	journal := flags.String("journal", "", "where the numbers are noted")
	life := flags.Int64("life", 1, "number of this process")
	rate := flags.Float64("rate", 10, "updates per second of each item")
	if err := flags.Parse(args); err != nil {
		return err
	}
	file, err := openForWriting(*journal)
	if err != nil {
		return err
	}
	defer file.Close()
	f := &feed{
		life: *life, interval: time.Duration(float64(time.Second) / *rate), journal: file,
		counters: make(map[string]*counter), stop: make(chan struct{}),
	}
	for i, mode := range ledger.Modes {
		f.counters[itemOf[mode]] = &counter{mode: mode, slot: int64(i), rows: make(map[string]int64)}
	}
	backoff := &adapter.Backoff{Min: 50 * time.Millisecond, Max: 500 * time.Millisecond}
	server := &adapter.DataServer{Provider: adapter.DataProviderFunc(f.Subscribe), Addr: *data, Reconnect: backoff, MaxCallbacks: lookUps}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { // ends with ctx
		ended <- adapter.Run(ctx, &adapter.MetadataServer{Provider: f, Addr: *metadata, Reconnect: backoff}, server)
		cancel()
	}()
	err = obey(ctx, os.Stdin, os.Stdout, func(o order) (any, error) { return f.answer(o, server) })
	cancel()
	if adapterErr := <-ended; adapterErr != nil {
		return adapterErr
	}
	return err
}

func (f *feed) answer(o order, server *adapter.DataServer) (any, error) {
	switch o.Do {
	case "report":
	case "stop":
		f.end()
	default:
		return nil, fmt.Errorf("unknown order %q", o.Do)
	}
	stats := server.Stats()
	return feedAnswer{Rows: f.rows(), Stats: stats, Reported: reported(stats)}, nil
}

// end stops the counting, and returns when no number will follow.
func (f *feed) end() {
	f.mu.Lock()
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	f.mu.Unlock()
	f.stopped.Wait()
}

// reported is how many updates the SDK tells to be lost, or perhaps lost, although it had accepted
// them. Dropped does not count: the calls have returned an error.
func reported(s adapter.Stats) int64 { return s.LostUnsent + s.MaybeLost }

func (f *feed) rows() map[string]ledger.Number {
	c := f.counters[commandItem]
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := make(map[string]ledger.Number)
	for key, n := range c.rows {
		rows[key] = ledger.Number{Life: f.life, N: n}
	}
	return rows
}

// What the adapter does about names that it does not know: it takes some time for each, lookUps of
// them at once, as if it asked a database, and refuses those that end with refusedSuffix.
const (
	lookUp        = 5 * time.Millisecond
	lookUps       = 32
	refusedSuffix = "!"
)

// Subscribe serves an item. The names that attackers make up are items without values.
func (f *feed) Subscribe(ctx context.Context, sub *adapter.Subscription) error {
	c := f.counters[sub.Item()]
	switch {
	case c != nil:
	case sub.Item() == bigItem:
		return big(sub)
	case strings.HasSuffix(sub.Item(), refusedSuffix):
		return fmt.Errorf("there is no item %q", sub.Item())
	default:
		return wait(ctx, lookUp)
	}
	if err := c.snapshot(f, sub); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.stop:
		return nil // nobody waits for what begins now
	default:
	}
	f.stopped.Go(func() { // ends with stop, or with the subscription
		ticker := time.NewTicker(f.interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-sub.Context().Done():
				return
			case <-f.stop:
				return
			}
			if c.next(f, sub) != nil {
				return // it has not been accepted: the item has no subscription any more
			}
		}
	})
	return nil
}

func big(sub *adapter.Subscription) error {
	if err := sub.SnapshotFollows(); err != nil {
		return err
	}
	for i := range bigRows {
		if err := sub.Add("row"+strconv.Itoa(i), adapter.Fields{"n": i, "half": i / 2}); err != nil {
			return err
		}
	}
	return sub.EndOfSnapshot()
}

// snapshot sends the state, where the mode has one. Its updates have no stamp: they are not new.
func (c *counter) snapshot(f *feed, sub *adapter.Subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.mode == ledger.Raw:
		return nil
	case c.mode == ledger.Merge && c.n > 0:
		if err := sub.Snapshot(f.values(c.n, "")); err != nil {
			return err
		}
	case c.mode == ledger.Command:
		if err := sub.SnapshotFollows(); err != nil {
			return err
		}
		for key, n := range maps.All(c.rows) {
			if err := sub.Add(key, f.values(n, "")); err != nil {
				return err
			}
		}
	}
	return sub.EndOfSnapshot()
}

func (f *feed) values(n int64, stamp string) adapter.Fields {
	return adapter.Fields{"life": f.life, "n": n, "half": n / 2, "stamp": stamp}
}

// next sends the next update, and notes it if it was accepted.
func (c *counter) next(f *feed, sub *adapter.Subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n + 1
	values := f.values(n, strconv.FormatInt(time.Now().UnixMicro(), 10))
	var err error
	if c.mode != ledger.Command {
		err = sub.Update(values)
	} else {
		err = c.command(sub, n, values)
	}
	if err != nil {
		return err
	}
	c.n = n
	return f.note(c.slot, n)
}

const commandKeys = 5

// command adds each key, updates it twice, and deletes it.
func (c *counter) command(sub *adapter.Subscription, n int64, values adapter.Fields) error {
	key := "key" + strconv.FormatInt(n%commandKeys, 10)
	_, there := c.rows[key]
	switch {
	case !there:
		if err := sub.Add(key, values); err != nil {
			return err
		}
	case n/commandKeys%4 == 3:
		if err := sub.Delete(key); err != nil {
			return err
		}
		delete(c.rows, key)
		return nil
	default:
		if err := sub.Modify(key, values); err != nil {
			return err
		}
	}
	c.rows[key] = n
	return nil
}

// note writes a number into the journal: it is there even if the process is killed the moment
// after.
func (f *feed) note(slot, n int64) error {
	_, err := f.journal.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(n)), 8*slot)
	return err
}

// readJournal returns the last numbers of a life, by mode. One that was never begun is all zeros.
func readJournal(path string) (map[ledger.Mode]int64, error) {
	text, err := os.ReadFile(path) //nolint:gosec // of the harness's own making
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	text = append(text, make([]byte, journalSize)...)
	numbers := make(map[ledger.Mode]int64)
	for i, mode := range ledger.Modes {
		numbers[mode] = int64(binary.LittleEndian.Uint64(text[8*i:]))
	}
	return numbers, nil
}

// NotifyUserMessage takes any message.
func (f *feed) NotifyUserMessage(context.Context, adapter.UserMessage) error { return nil }

// Items takes names separated by spaces, any number of them.
func (f *feed) Items(_ context.Context, r adapter.ItemsRequest) ([]string, error) {
	return strings.Fields(r.Group), nil
}
