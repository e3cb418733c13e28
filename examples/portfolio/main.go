// Command portfolio is a Data Adapter in COMMAND mode: the item "portfolio" is a table of stocks and how many of each are held, whose rows come,
// change and go. Add, Modify and Delete fill in the fields "key" and "command".
//
//	go run ./cmd/lsgo serve --adapters examples/portfolio/adapters
//	go run ./examples/portfolio
//
// Clients use Adapter Set PORTFOLIO, mode COMMAND, fields key, command, qty.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

func subscribe(_ context.Context, sub *adapter.Subscription) error {
	if sub.Item() != "portfolio" {
		return &adapter.SubscribeError{Message: "no such portfolio"}
	}
	held := map[string]int{"item1": 100, "item2": 50}
	// While the snapshot is open, Add belongs to it.
	for _, stock := range slices.Sorted(maps.Keys(held)) {
		if err := sub.Add(stock, adapter.Fields{"qty": held[stock]}); err != nil {
			return err
		}
	}
	if err := sub.EndOfSnapshot(); err != nil {
		return err
	}
	go trade(sub, held)
	return nil
}

// trade buys and sells until nobody looks any more. held is its own.
func trade(sub *adapter.Subscription, held map[string]int) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			stock := fmt.Sprintf("item%d", 1+rand.IntN(5))
			if err := order(sub, held, stock, 10*(rand.IntN(11)-5)); err != nil {
				return
			}
		case <-sub.Context().Done():
			return
		}
	}
}

// order buys, or sells if quantity is negative, and tells of what it did.
func order(sub *adapter.Subscription, held map[string]int, stock string, quantity int) error {
	before := held[stock]
	after := max(before+quantity, 0)
	switch {
	case before == after:
		return nil
	case before == 0:
		held[stock] = after
		return sub.Add(stock, adapter.Fields{"qty": after})
	case after == 0:
		delete(held, stock)
		return sub.Delete(stock)
	default:
		held[stock] = after
		return sub.Modify(stock, adapter.Fields{"qty": after})
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	log := slog.Default()
	err := adapter.Run(ctx,
		&adapter.MetadataServer{Provider: &adapter.LiteralMetadata{}, Addr: "localhost:8003", Logger: log},
		&adapter.DataServer{Provider: adapter.DataProviderFunc(subscribe), Addr: "localhost:8001", Logger: log})
	stop()
	if err != nil {
		log.Error("stopped", "err", err)
		os.Exit(1)
	}
}
