// Command probes answers the questions of an orchestrator, such as Kubernetes, about a pair of adapters: /healthz says that the process works,
// /readyz that the server can use its adapters.
//
//	go run ./cmd/lsgo serve --adapters examples/probes/adapters
//	go run ./examples/probes
//
// Then ask http://localhost:8081/readyz. Clients use Adapter Set PROBES, mode MERGE, item "status", field status.
package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

func status(_ context.Context, sub *adapter.Subscription) error {
	return sub.Snapshot(adapter.Fields{"status": "ready"})
}

func run(ctx context.Context, log *slog.Logger) error {
	metadata := &adapter.MetadataServer{Provider: &adapter.LiteralMetadata{}, Addr: "localhost:8003", Logger: log}
	data := &adapter.DataServer{Provider: adapter.DataProviderFunc(status), Addr: "localhost:8001", Logger: log}

	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "localhost:8081") // in a container ":8081", for the kubelet calls from outside
	if err != nil {
		return err
	}
	server := &http.Server{Handler: probes(metadata, data), ReadHeaderTimeout: 5 * time.Second}
	defer server.Close()
	go func() { // ends with server
		_ = server.Serve(l)
	}()
	log.Info("answering probes", "addr", l.Addr())
	return adapter.Run(ctx, metadata, data)
}

func main() {
	// Orchestrators end a process with SIGTERM.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	log := slog.Default()
	err := run(ctx, log)
	stop()
	if err != nil {
		log.Error("stopped", "err", err)
		os.Exit(1)
	}
}
