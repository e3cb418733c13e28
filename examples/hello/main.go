// Command hello is a pair of Remote Adapters: one item, "greetings", that says hello every second to whoever looks.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// greet is called when the first client subscribes to an item; sub's context ends when the last one has left.
func greet(_ context.Context, sub *adapter.Subscription) error {
	if sub.Item() != "greetings" {
		return &adapter.SubscribeError{Message: "no such item"}
	}
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-tick.C:
				_ = sub.Update(adapter.Fields{"message": "hello, world", "count": n})
			case <-sub.Context().Done():
				return
			}
		}
	}()
	return nil
}

// hall lets everybody in (DefaultMetadata does) and hears what clients say.
type hall struct{ adapter.DefaultMetadata }

func (hall) NotifyUserMessage(_ context.Context, m adapter.UserMessage) error {
	slog.Info("message", "user", m.User, "text", m.Message)
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	log := slog.Default()
	err := adapter.Run(ctx,
		&adapter.MetadataServer{Provider: hall{}, Addr: "localhost:8003", Logger: log},
		&adapter.DataServer{Provider: adapter.DataProviderFunc(greet), Addr: "localhost:8001", Logger: log})
	stop()
	if err != nil {
		log.Error("stopped", "err", err)
		os.Exit(1)
	}
}
