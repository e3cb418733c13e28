// Command gosdk is the SDK's entry in the benchmark: an adapter program that honours the harness's contract, written as a user of the SDK would write
// it. FORM chooses the event form: "row" (default), "map" (of strings), "any" (a map of any), "struct" (the eight plain fields only).
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/bench/internal/work"
)

func main() {
	c := work.FromEnv()
	var server adapter.Runner = &adapter.MetadataServer{Provider: adapter.DefaultMetadata{}, Addr: c.Addr, Reconnect: adapter.NoReconnect}
	if c.Kind == "data" {
		server = &adapter.DataServer{Provider: newFeed(c, os.Getenv("FORM")), Addr: c.Addr, Reconnect: adapter.NoReconnect}
	}
	_ = server.Run(context.Background()) // ends with the connection, as it should
}

// feed is the Data Adapter of every scenario.
type feed struct {
	*work.Feed
	form   string
	schema *adapter.Schema

	mu   sync.Mutex
	subs []*adapter.Subscription
}

func newFeed(c work.Config, form string) *feed {
	f := &feed{Feed: work.NewFeed(c), form: form}
	f.schema = adapter.NewSchema(f.Names...)
	return f
}

// SnapshotAvailable says yes, as the contract wants it.
func (f *feed) SnapshotAvailable(context.Context, string) (bool, error) { return true, nil }

// Subscribe starts the producers when the last item has come.
func (f *feed) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	switch f.Scenario {
	case "STORM":
		return nil
	case "FIRST":
		f.Once(f.sender([]*adapter.Subscription{sub}))
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = append(f.subs, sub)
	if len(f.subs) == f.Items {
		subs := f.subs
		f.Start(func() work.Send { return f.sender(subs) })
		f.subs = nil
	}
	return nil
}

// Unsubscribe ends the run when the first item goes.
func (f *feed) Unsubscribe(context.Context, *adapter.Subscription) error {
	if f.Scenario == "STORM" || f.Scenario == "FIRST" {
		return nil
	}
	f.Stop()
	f.Unsubscribed()
	return nil
}

type quote struct {
	Seq    int64  `ls:"seq"`
	TS     string `ls:"ts"`
	Last   string `ls:"last"`
	Time   string `ls:"time"`
	Bid    string `ls:"bid"`
	Ask    string `ls:"ask"`
	BidQty string `ls:"bidqty"`
	AskQty string `ls:"askqty"`
}

// sender returns the function that sends updates in the chosen form.
func (f *feed) sender(subs []*adapter.Subscription) work.Send {
	switch f.form {
	case "map":
		return func(item int, values []string) bool {
			fields := make(map[string]string, len(values))
			for i, name := range f.Names {
				fields[name] = values[i]
			}
			return subs[item].UpdateStrings(fields) == nil
		}
	case "any":
		return func(item int, values []string) bool {
			fields := make(adapter.Fields, len(values))
			for i, name := range f.Names {
				fields[name] = values[i]
			}
			return subs[item].Update(fields) == nil
		}
	case "struct":
		quotes := adapter.NewStruct[quote]()
		return func(item int, v []string) bool {
			seq, err := strconv.ParseInt(v[0], 10, 64)
			return err == nil && quotes.Update(subs[item], &quote{seq, v[1], v[2], v[3], v[4], v[5], v[6], v[7]}) == nil
		}
	case "", "row":
		return func(item int, values []string) bool { return subs[item].Row(f.schema).Update(values...) == nil }
	}
	fmt.Fprintf(os.Stderr, "FORM is %q; it has to be row, map, any or struct\n", f.form)
	os.Exit(2)
	return nil
}
