// Command fromfile takes everything about its connections from the adapters.xml that configures the server: ports, credentials, TLS, and who
// dials. Its argument is the file; a mistake in it is told with line and column.
//
//	go run ./cmd/lsgo serve --adapters examples/fromfile/adapters
//	go run ./examples/fromfile examples/fromfile/adapters/adapters.xml
//
// Clients use Adapter Set FROMFILE, mode MERGE: Data Adapter QUOTES with any item and the fields price, currency; Data Adapter NEWS with any item and
// the field headline.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// quotes is a Data Adapter with a parameter, which comes from the file by way of the server.
type quotes struct{ currency atomic.Value }

// Initialize is called at each connection, before any item is asked for.
func (q *quotes) Initialize(_ context.Context, in adapter.Init) error {
	currency := in.Params["remote:currency"]
	if currency == "" {
		return &adapter.DataProviderError{Message: "parameter remote:currency is missing"}
	}
	q.currency.Store(currency)
	return nil
}

func (q *quotes) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	return sub.Snapshot(adapter.Fields{"price": 12.34, "currency": q.currency.Load().(string)})
}

func news(_ context.Context, sub *adapter.Subscription) error {
	return sub.Snapshot(adapter.Fields{"headline": "nothing new about " + sub.Item()})
}

func run(ctx context.Context) error {
	if len(os.Args) != 2 {
		return errors.New("usage: fromfile adapters.xml")
	}
	set := adapter.Set{
		Metadata: &adapter.LiteralMetadata{},
		Data:     map[string]adapter.DataProvider{"QUOTES": new(quotes), "NEWS": adapter.DataProviderFunc(news)},
		Logger:   slog.Default(),
	}
	return set.Run(ctx, os.Args[1])
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("stopped", "err", err)
		os.Exit(1)
	}
}
