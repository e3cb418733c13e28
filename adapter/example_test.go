package adapter_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// The smallest pair of adapters: everybody may see the item "greetings", which is fed until nobody looks at it any more.
func Example() {
	greetings := adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		if sub.Item() != "greetings" {
			return &adapter.SubscribeError{Message: "no such item"}
		}
		go func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-tick.C:
					_ = sub.Update(adapter.Fields{"message": "hello", "count": n})
				case <-sub.Context().Done(): // nobody looks any more
					return
				}
			}
		}()
		return nil
	})

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := adapter.Run(ctx,
		&adapter.MetadataServer{Provider: adapter.DefaultMetadata{}, Addr: "localhost:8003"},
		&adapter.DataServer{Provider: greetings, Addr: "localhost:8001"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// Updates lost with a connection, and a proxy that has another adapter, told as they happen.
func ExampleEvents() {
	events := &adapter.Events{
		Disconnected: func(info adapter.ConnInfo, err error) {
			if lost := info.LostUnsent + info.MaybeLost; lost > 0 {
				fmt.Println("updates lost:", lost)
			}
			if closed, ok := errors.AsType[*adapter.CloseError](err); ok && closed.Occupied {
				fmt.Println("another process is connected")
			}
		},
	}
	server := &adapter.DataServer{Events: events} // and what else it needs
	_ = server.Stats()                            // LostUnsent and MaybeLost since the start
}

// Headers can be logged: what is secret in them does not show.
func ExampleParams() {
	headers := adapter.Params{"user-agent": "test", "authorization": "Bearer abc"}
	fmt.Println(headers)
	fmt.Println(headers["authorization"])
	// Output:
	// map[authorization:*** user-agent:test]
	// Bearer abc
}

// A snapshot in Subscribe, then a live update, as they stand on the wire.
func ExampleDataServer() {
	quotes := adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		_ = sub.Snapshot(adapter.Fields{"last": "12.34"})
		return sub.Update(adapter.Fields{"last": "12.35"})
	})
	play(func(dial dialFunc) adapter.Runner {
		return &adapter.DataServer{Provider: quotes, Addr: "localhost:8001", Dial: dial}
	}, "1|DPI|S|ARI.version|S|1.9.1", "2|SUB|S|EURUSD")
	// Output:
	// UD3|S|EURUSD|S|2|B|1|S|last|S|12.34
	// UD3|S|EURUSD|S|2|B|0|S|last|S|12.35
	// 2|SUB|V
}

// Auth overrides two callbacks and leaves the others to the defaults.
type Auth struct{ adapter.DefaultMetadata }

func (Auth) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	if u.Name != "ann" || u.Password != "secret" {
		return adapter.UserGrant{}, &adapter.AccessError{Message: "unknown user"}
	}
	return adapter.UserGrant{MaxBandwidth: 10}, nil
}

func (Auth) NotifyUserMessage(_ context.Context, m adapter.UserMessage) error {
	if m.Message == "" {
		return &adapter.CreditsError{Code: -1, Message: "empty message", UserMessage: "say something"}
	}
	return nil
}

func ExampleMetadataServer() {
	play(func(dial dialFunc) adapter.Runner {
		return &adapter.MetadataServer{Provider: Auth{}, Addr: "localhost:8003", Dial: dial}
	}, "1|MPI|S|ARI.version|S|1.9.1", "2|NUS|S|ann|S|guess", "3|NUS|S|ann|S|secret", "4|NUM|S|ann|S|S1|S|$")
	// Output:
	// 2|NUS|EA|unknown user
	// 3|NUS|D|10.0|B|0
	// 4|NUM|EC|empty message|-1|say something
}

// A portfolio in COMMAND mode: the present rows, the end of the snapshot, then changes by key.
func ExampleSubscription_Add() {
	portfolio := adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		_ = sub.Add("item1", adapter.Fields{"qty": 100})
		_ = sub.Add("item2", adapter.Fields{"qty": 50})
		_ = sub.EndOfSnapshot()
		_ = sub.Modify("item1", adapter.Fields{"qty": 120})
		return sub.Delete("item2")
	})
	play(func(dial dialFunc) adapter.Runner {
		return &adapter.DataServer{Provider: portfolio, Addr: "localhost:8001", Dial: dial}
	}, "1|DPI|S|ARI.version|S|1.9.1", "2|SUB|S|portfolio1")
	// Output:
	// UD3|S|portfolio1|S|2|B|1|S|key|S|item1|S|command|S|ADD|S|qty|S|100
	// UD3|S|portfolio1|S|2|B|1|S|key|S|item2|S|command|S|ADD|S|qty|S|50
	// EOS|S|portfolio1|S|2
	// UD3|S|portfolio1|S|2|B|0|S|key|S|item1|S|command|S|UPDATE|S|qty|S|120
	// UD3|S|portfolio1|S|2|B|0|S|key|S|item2|S|command|S|DELETE
	// 2|SUB|V
}

// A fixed list of fields is encoded once; an update then costs no map and no allocation.
func ExampleSchema() {
	quote := adapter.NewSchema("last", "time")
	quotes := adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		row := sub.Row(quote)
		_ = row.Snapshot("12.34", "10:00:00")
		return row.Update("12.35", "10:00:01")
	})
	play(func(dial dialFunc) adapter.Runner {
		return &adapter.DataServer{Provider: quotes, Addr: "localhost:8001", Dial: dial}
	}, "1|DPI|S|ARI.version|S|1.9.1", "2|SUB|S|EURUSD")
	// Output:
	// UD3|S|EURUSD|S|2|B|1|S|last|S|12.34|S|time|S|10:00:00
	// UD3|S|EURUSD|S|2|B|0|S|last|S|12.35|S|time|S|10:00:01
	// 2|SUB|V
}

// Values that are all text need no conversion; one map serves for all the events.
func ExampleSubscription_UpdateStrings() {
	quotes := adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		quote := map[string]string{"last": "12.34"}
		_ = sub.SnapshotStrings(quote)
		quote["last"] = "12.35"
		return sub.UpdateStrings(quote)
	})
	play(func(dial dialFunc) adapter.Runner {
		return &adapter.DataServer{Provider: quotes, Addr: "localhost:8001", Dial: dial}
	}, "1|DPI|S|ARI.version|S|1.9.1", "2|SUB|S|EURUSD")
	// Output:
	// UD3|S|EURUSD|S|2|B|1|S|last|S|12.34
	// UD3|S|EURUSD|S|2|B|0|S|last|S|12.35
	// 2|SUB|V
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// play runs a server against a proxy that sends the given requests, each after the reply to the one before, and prints what
// comes back after the initialisation, without time stamps.
func play(server func(dial dialFunc) adapter.Runner, requests ...string) {
	proxy, conn := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server(func(context.Context, string, string) (net.Conn, error) { return conn, nil }).Run(ctx)
	}()
	lines := bufio.NewScanner(proxy)
	lines.Scan() // RAC
	for i, request := range requests {
		fmt.Fprintf(proxy, "%s\r\n", request)
		id, _, _ := strings.Cut(request, "|")
		for replied := false; !replied && lines.Scan(); {
			line := lines.Text()
			if replied = strings.HasPrefix(line, id+"|"); !replied {
				_, line, _ = strings.Cut(line, "|")
			}
			if i > 0 {
				fmt.Println(line)
			}
		}
	}
	cancel()
	_ = proxy.Close()
	<-done
}
