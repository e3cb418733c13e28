// Command cluster feeds two servers at once: a SharedFeed opens each item once, however many servers want it, and a server that wants it later gets the
// present state. Here the servers are on one machine, so their ports differ; the nodes of a cluster have the same ports on different hosts.
//
//	go run ./cmd/lsgo serve --adapters examples/cluster/node1
//	go run ./cmd/lsgo serve --adapters examples/cluster/node2 --http 127.0.0.1:8090
//	go run ./examples/cluster
//
// Clients of either server use Adapter Set CLUSTER, mode MERGE, item "counter", fields count, opened.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// nodes are the servers: where their proxies listen.
var nodes = []struct{ metadata, data string }{
	{"localhost:8003", "localhost:8001"},
	{"localhost:8013", "localhost:8011"},
}

var opened atomic.Int64

// count stands for a feed that is expensive to open. It tells how often it has been.
func count(_ context.Context, sub *adapter.Subscription) error {
	if sub.Item() != "counter" {
		return &adapter.SubscribeError{Message: "no such item"}
	}
	if err := sub.Snapshot(adapter.Fields{"count": 0, "opened": opened.Add(1)}); err != nil {
		return err
	}
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-tick.C:
				_ = sub.Update(adapter.Fields{"count": n})
			case <-sub.Context().Done(): // no server wants it any more
				return
			}
		}
	}()
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	log := slog.Default()
	feed := &adapter.SharedFeed{Provider: adapter.DataProviderFunc(count)}
	var servers []adapter.Runner
	for _, node := range nodes {
		servers = append(servers,
			&adapter.MetadataServer{Provider: &adapter.LiteralMetadata{}, Addr: node.metadata, Logger: log},
			// With Conflate a server that has stopped reading does not hold up the other.
			&adapter.DataServer{Provider: feed, Addr: node.data, WhenFull: adapter.Conflate, Logger: log})
	}
	err := adapter.Run(ctx, servers...)
	stop()
	if err != nil {
		log.Error("stopped", "err", err)
		os.Exit(1)
	}
}
