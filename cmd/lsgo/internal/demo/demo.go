// Package demo is the classic demonstration of Lightstreamer, whole, in one process: an embedded broker with the Adapter Set
// DEMO, and the Go Remote Adapters that feed it. The two speak the adapter protocol over TCP all the same, so either half
// can be replaced by a separate program.
package demo

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/site"
)

// SetID is the name of the Adapter Set.
const SetID = "DEMO"

//go:embed adapters.xml
var adaptersXML []byte

// Config says where the demo listens. A port that is 0 is chosen among the free ones.
type Config struct {
	_ struct{}

	HTTP          string // address for clients and for the page; empty: 127.0.0.1 and a free port
	MetadataPort  int    // of the Metadata Adapter, on 127.0.0.1 as the others
	DataPort      int    // of QUOTE_ADAPTER
	ChatPort      int    // of CHAT_ROOM
	PortfolioPort int    // of PORTFOLIO_ADAPTER

	ClientWeb string       // folder of the npm package lightstreamer-client-web; empty: looked for, see [site.Handler]
	Seed      uint64       // of the random walk of the prices; 0: chosen at random
	Logger    *slog.Logger // nil: nothing is logged
}

// Port is where one of the demo's Remote Adapters is connected.
type Port struct {
	Adapter string
	Addr    string
}

// Running is a demo at work. Its methods are safe for concurrent use.
type Running struct {
	// URL is the address of the page, and of the broker for clients.
	URL string
	// Ports are those of the adapters, the Metadata Adapter first.
	Ports []Port

	broker   *broker.Running
	adapters *adapters
	closing  sync.Once
	closed   chan struct{} // closed when Close begins
	done     chan struct{}
	err      error // why the demo ended by itself; read after done
}

// Start starts broker and adapters. It returns when the adapters are connected, so that the first client finds everything
// in place. ctx bounds only the start; [Running.Close] ends the demo.
func Start(ctx context.Context, cfg Config) (*Running, error) {
	if cfg.HTTP == "" {
		cfg.HTTP = "127.0.0.1:0"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	set, err := adapterSet(cfg)
	if err != nil {
		return nil, err
	}
	lasting := context.WithoutCancel(ctx) // the end of the time for the start is not that of the demo
	r := &Running{closed: make(chan struct{}), done: make(chan struct{})}
	r.broker, err = broker.Start(lasting, broker.Config{
		Addr:    cfg.HTTP,
		Sets:    []*adaptersxml.Set{set},
		Handler: site.Handler(cfg.ClientWeb),
		Logger:  cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	r.URL = r.broker.URL() + "/"
	for _, at := range r.broker.Adapters() {
		name := at.DataAdapter
		if name == "" {
			name = "Metadata Adapter"
		}
		r.Ports = append(r.Ports, Port{Adapter: name, Addr: at.Addr.String()})
	}
	r.adapters = startAdapters(lasting, cfg, r.Ports)
	go r.watch() // ends when broker or adapters have, or with Close
	if err := r.adapters.awaitConnections(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// adapterSet reads the embedded adapters.xml and puts the configured ports in it.
func adapterSet(cfg Config) (*adaptersxml.Set, error) {
	// The format knows no port 0, and the broker does: any different numbers stand in while the file is read.
	stand := 0
	set, err := adaptersxml.Read(bytes.NewReader(adaptersXML), "adapters.xml", adaptersxml.WithEnv(func(string) (string, bool) {
		stand++
		return strconv.Itoa(stand), true
	}))
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	set.Metadata.Proxy.RequestReplyPort = cfg.MetadataPort
	ports := map[string]int{quoteAdapter: cfg.DataPort, chatAdapter: cfg.ChatPort, portfolioAdapter: cfg.PortfolioPort}
	for _, data := range set.Data {
		data.Proxy.RequestReplyPort = ports[data.Name]
	}
	return set, nil
}

// watch notices when the demo can no longer work.
func (r *Running) watch() {
	defer close(r.done)
	select {
	case <-r.closed:
	case <-r.broker.Done():
		r.err = r.broker.Err()
	case <-r.adapters.done:
		r.err = r.adapters.err
	}
	if r.err == nil {
		r.err = errors.New("demo: closed")
	}
}

// Done is closed when the demo has ended, by itself or because [Running.Close] was called.
func (r *Running) Done() <-chan struct{} { return r.done }

// Err tells why the demo has ended, once Done is closed.
func (r *Running) Err() error { return r.err }

// Close ends the demo and returns when everything has ended: within two seconds, unless a goroutine is kept from running.
func (r *Running) Close() {
	r.closing.Do(func() {
		close(r.closed)
		<-r.done
		r.broker.Close() // clients first, so that they are told
		r.adapters.close()
	})
}
