// Command stocklist is a Data Adapter in MERGE mode: the prices of three stocks, "item1" to "item3". Whoever subscribes gets the present price at
// once, as the snapshot, and then every change. The fields are always the same, so they are encoded once, in a Schema.
//
//	go run ./cmd/lsgo serve --adapters examples/stocklist/adapters
//	go run ./examples/stocklist
//
// Clients use Adapter Set STOCKLIST, mode MERGE, fields stock_name, last_price, time.
package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

var quote = adapter.NewSchema("stock_name", "last_price", "time")

// stock is one stock. Its price is kept while nobody looks.
type stock struct {
	name string

	mu    sync.Mutex
	price float64
}

// values are those of the fields of quote, after the price has moved by up to one percent.
func (s *stock) values() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.price *= 0.99 + 0.02*rand.Float64()
	return []string{s.name, strconv.FormatFloat(s.price, 'f', 2, 64), time.Now().Format(time.TimeOnly)}
}

type market map[string]*stock

// Subscribe sends the snapshot before it returns; the first Update ends it.
func (m market) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	s := m[sub.Item()]
	if s == nil {
		return &adapter.SubscribeError{Message: "no such stock"}
	}
	row := sub.Row(quote)
	if err := row.Snapshot(s.values()...); err != nil {
		return err
	}
	go trade(sub, row, s)
	return nil
}

// trade sends a price now and then, until nobody looks any more.
func trade(sub *adapter.Subscription, row adapter.Row, s *stock) {
	for {
		select {
		case <-time.After(time.Duration(200+rand.IntN(800)) * time.Millisecond):
			_ = row.Update(s.values()...) // an error says that the subscription has ended: so does the context
		case <-sub.Context().Done():
			return
		}
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	log := slog.Default()
	stocks := market{
		"item1": {name: "Anduct", price: 3.04},
		"item2": {name: "Ations Europe", price: 16.09},
		"item3": {name: "Bagies Consulting", price: 7.19},
	}
	err := adapter.Run(ctx,
		&adapter.MetadataServer{Provider: &adapter.LiteralMetadata{}, Addr: "localhost:8003", Logger: log},
		&adapter.DataServer{Provider: stocks, Addr: "localhost:8001", Logger: log})
	stop()
	if err != nil {
		log.Error("stopped", "err", err)
		os.Exit(1)
	}
}
