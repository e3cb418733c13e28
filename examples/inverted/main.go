// Command inverted waits for the server instead of dialing it: the adapters.xml has remote_host, so its proxies connect to the adapters. It is for
// networks in which the server may reach the adapters, but not the other way round.
//
//	go run ./cmd/lsgo serve --adapters examples/inverted/adapters
//	go run ./examples/inverted
//
// Clients use Adapter Set INVERTED, mode MERGE, item "greetings", field message.
package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/signal"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

func greet(_ context.Context, sub *adapter.Subscription) error {
	if sub.Item() != "greetings" {
		return &adapter.SubscribeError{Message: "no such item"}
	}
	return sub.Snapshot(adapter.Fields{"message": "hello from an adapter that was called"})
}

func run(ctx context.Context, log *slog.Logger) error {
	// One listener for each proxy. A lost connection is made again by the proxy, on the same listener.
	metadata, err := new(net.ListenConfig).Listen(ctx, "tcp", "localhost:8003")
	if err != nil {
		return err
	}
	defer metadata.Close()
	data, err := new(net.ListenConfig).Listen(ctx, "tcp", "localhost:8001")
	if err != nil {
		return err
	}
	defer data.Close()
	log.Info("waiting for the proxies", "metadata", metadata.Addr(), "data", data.Addr())
	return adapter.Run(ctx,
		&adapter.MetadataServer{Provider: &adapter.LiteralMetadata{}, Listener: metadata, Logger: log},
		&adapter.DataServer{Provider: adapter.DataProviderFunc(greet), Listener: data, Logger: log})
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	log := slog.Default()
	err := run(ctx, log)
	stop()
	if err != nil {
		log.Error("stopped", "err", err)
		os.Exit(1)
	}
}
