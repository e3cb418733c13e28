package testset

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

//go:embed adapters.xml
var adaptersXML []byte

// unfilteredBuffer is how many updates of an item may wait for a client that wants all of them: a few seconds of the counters, and less than a
// second of OVERFLOW.
const unfilteredBuffer = 300

// Config says what Start starts.
type Config struct {
	_ struct{}

	// Addr is where clients connect. Default "127.0.0.1:0", a free port.
	Addr string
	// InProcess plugs the adapters into the broker. Otherwise they are connected over TCP, on free ports of the loopback interface.
	InProcess bool
	// More are further Adapter Sets in the process of the broker, by their ids.
	More map[string]adapter.Set
	// Handler serves what is not below /lightstreamer. Nil answers 404.
	Handler http.Handler
	// Logger gets what happens. Nil discards it.
	Logger *slog.Logger
}

// Running is a broker with the Adapter Set. Its methods may be called from any goroutine, any number of times.
type Running struct {
	// URL is the address for clients of this machine.
	URL string
	// Broker is what clients connect to.
	Broker *broker.Running

	set      *Set
	stop     context.CancelFunc
	adapters sync.WaitGroup // those over TCP
	closing  sync.Once
}

// Start starts a broker with the Adapter Set, and returns when everything is connected and clients can come. ctx bounds only the start;
// [Running.Close] ends what was started.
func Start(ctx context.Context, cfg Config) (*Running, error) {
	bc := broker.Config{
		Addr: cfg.Addr, Adapters: make(map[string]adapter.Set), Handler: cfg.Handler, Logger: cfg.Logger,
		Limits: broker.Limits{UnfilteredBuffer: unfilteredBuffer},
	}
	if bc.Addr == "" {
		bc.Addr = "127.0.0.1:0"
	}
	for id, more := range cfg.More {
		bc.Adapters[id] = more
	}
	r := &Running{set: New()}
	if cfg.InProcess {
		bc.Adapters[ID] = r.set.Adapters()
	} else {
		file, err := describe(func(string) int { return 0 })
		if err != nil {
			return nil, err
		}
		bc.Sets = []*adaptersxml.Set{file}
	}
	lasting, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	var err error
	if r.Broker, err = broker.Start(lasting, bc); err != nil {
		stop()
		return nil, fmt.Errorf("testset: %w", err)
	}
	r.URL = r.Broker.URL()
	if err = r.connect(lasting, cfg); err != nil {
		r.Close()
		return nil, err
	}
	select {
	case <-r.Broker.Ready():
		return r, nil
	case <-r.Broker.Done():
		err = errors.Join(errors.New("testset: the broker has stopped"), r.Broker.Err())
	case <-ctx.Done():
		err = fmt.Errorf("testset: the adapters could not connect: %w", ctx.Err())
	}
	r.Close()
	return nil, err
}

// describe reads adapters.xml and puts other ports in it, which are given by the names of the Data Adapters; the Metadata Adapter has none.
func describe(port func(name string) int) (*adaptersxml.Set, error) {
	file, err := adaptersxml.Read(bytes.NewReader(adaptersXML), "adapters.xml")
	if err != nil {
		return nil, fmt.Errorf("testset: %w", err)
	}
	file.Metadata.Proxy.RequestReplyPort = port("")
	for _, data := range file.Data {
		data.Proxy.RequestReplyPort = port(data.Name)
	}
	return file, nil
}

// connect runs the adapters that are to be connected over TCP.
func (r *Running) connect(ctx context.Context, cfg Config) error {
	if cfg.InProcess {
		return nil
	}
	ports := make(map[string]int)
	for _, at := range r.Broker.Adapters() {
		tcp, ok := at.Addr.(*net.TCPAddr)
		if !ok {
			return fmt.Errorf("testset: the broker waits for %s at %v, which is no TCP address", at.DataAdapter, at.Addr)
		}
		ports[at.DataAdapter] = tcp.Port
	}
	file, err := describe(func(name string) int { return ports[name] })
	if err != nil {
		return err
	}
	adapters := r.set.Adapters()
	adapters.Host = "127.0.0.1"
	adapters.Logger = cfg.Logger
	servers, err := adapters.Servers(ctx, file)
	if err != nil {
		return fmt.Errorf("testset: %w", err)
	}
	// Whatever goes wrong with one of them, such as a lost connection, is mended by itself or told by the broker.
	for _, server := range servers {
		r.adapters.Go(func() {
			if err := server.Run(ctx); err != nil && cfg.Logger != nil {
				cfg.Logger.Error("testset: adapter stopped", "err", err)
			}
		})
	}
	return nil
}

// Close ends the broker, which tells the clients, and then the adapters. It returns when everything has ended.
func (r *Running) Close() {
	r.closing.Do(func() {
		r.Broker.Close()
		r.stop()
		r.adapters.Wait()
		r.set.Wait()
	})
}
