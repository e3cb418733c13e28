package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/feed"
)

const welcome = "Welcome to the chat room. What is written here goes from the page through the broker to a Go adapter, " +
	"and comes back to everybody."

// adapters are the four Remote Adapters of the demo, and the market that feeds one of them.
type adapters struct {
	stop    context.CancelFunc
	streams streams
	working sync.WaitGroup // market and adapters

	count     int           // of adapters
	connected chan struct{} // one value for each adapter that the broker has initialised
	ended     sync.Once
	done      chan struct{} // closed when one of the adapters has ended
	err       error         // why; read after done
}

// startAdapters connects the adapters to their ports, given by the names of the adapters, until close is called.
func startAdapters(ctx context.Context, cfg Config, ports []Port) *adapters {
	a := &adapters{count: len(ports), connected: make(chan struct{}, len(ports)), done: make(chan struct{})}
	ctx, a.stop = context.WithCancel(ctx)
	seed := cfg.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	market := feed.NewMarket(seed, time.Now())
	positions := feed.NewPortfolio(map[string]int{"item3": 1200, "item8": 300, "item24": 150})
	room := new(feed.Chat)
	if err := room.Post("127.0.0.1", "lsgo", welcome); err != nil {
		panic(err) // the text above is too long
	}
	providers := map[string]adapter.DataProvider{
		quoteAdapter:     &quotes{market, &a.streams},
		chatAdapter:      &chat{room, &a.streams},
		portfolioAdapter: &portfolio{positions, &a.streams},
	}
	// Without reconnections each adapter is initialised once, so there is always room in the channel.
	events := &adapter.Events{Initialised: func(adapter.ConnInfo) { a.connected <- struct{}{} }}
	var servers []adapter.Runner
	for _, port := range ports {
		// The broker is in the same process: a lost connection is a failure of the demo, there is nothing to wait for.
		if provider, isData := providers[port.Adapter]; isData {
			servers = append(servers, &adapter.DataServer{
				Provider: provider, Addr: port.Addr, Name: port.Adapter,
				Reconnect: adapter.NoReconnect, Events: events, Logger: cfg.Logger,
			})
			continue
		}
		servers = append(servers, &adapter.MetadataServer{
			Provider: &metadata{market: market, room: room, positions: positions}, Addr: port.Addr, Name: port.Adapter,
			Params:    map[string]string{"distinct_snapshot_length": fmt.Sprint(feed.ChatHistory)},
			Reconnect: adapter.NoReconnect, Events: events, Logger: cfg.Logger,
		})
	}
	a.working.Go(func() { market.Run(ctx) })
	// Each on its own, not with adapter.Run, which ends all with the first: when the broker stops it closes one connection
	// after the other, and would take the rest for lost.
	for _, server := range servers {
		a.working.Go(func() {
			err := server.Run(ctx)
			a.ended.Do(func() {
				a.err = err
				close(a.done)
			})
		})
	}
	return a
}

// awaitConnections waits until the broker has initialised every adapter.
func (a *adapters) awaitConnections(ctx context.Context) error {
	for range a.count {
		select {
		case <-a.connected:
		case <-a.done:
			return fmt.Errorf("demo: the adapters could not connect: %w", a.err)
		case <-ctx.Done():
			return fmt.Errorf("demo: the adapters could not connect: %w", ctx.Err())
		}
	}
	return nil
}

// close ends adapters and market, and waits for their goroutines.
func (a *adapters) close() {
	a.stop()
	a.working.Wait()
	a.streams.Wait()
}
