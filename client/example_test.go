package client_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/broker"
	"github.com/lightstreamer-go/lightstreamer/client"
)

// serve runs a broker with a clock to subscribe to and somebody to write to.
func serve() *broker.Running {
	clock := adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		if err := sub.Snapshot(adapter.Fields{"time": "12:00:00", "zone": "UTC"}); err != nil {
			return err
		}
		return sub.Update(adapter.Fields{"time": "12:00:01"})
	})
	running, err := broker.Start(context.Background(), broker.Config{
		Addr:     "127.0.0.1:0",
		Adapters: map[string]adapter.Set{"DEMO": {Metadata: &desk{}, Data: map[string]adapter.DataProvider{"DEFAULT": clock}}},
	})
	if err != nil {
		panic(err)
	}
	return running
}

// A session, a subscription, and its end.
func ExampleConnect() {
	running := serve()
	defer running.Close()
	ctx := context.Background()

	c, err := client.Connect(ctx, client.Config{Addr: running.URL(), AdapterSet: "DEMO"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	seen := make(chan struct{})
	clock, err := c.Subscribe(ctx, client.Subscription{
		Mode: client.Merge, Items: []string{"clock"}, Fields: []string{"time", "zone"}, Snapshot: true, Unfiltered: true,
		OnUpdate: func(u *client.Update) {
			time, _ := u.Value("time")
			fmt.Println(u.Item, time, "snapshot:", u.Snapshot, "zone changed:", u.Changed("zone"))
			if !u.Snapshot {
				close(seen)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-seen
	fmt.Println(clock.Unsubscribe(ctx))
	// Output:
	// clock 12:00:00 snapshot: true zone changed: true
	// clock 12:00:01 snapshot: false zone changed: false
	// <nil>
}

// A message and its outcome. The error tells what the Metadata Adapter has against it.
func ExampleClient_Send() {
	running := serve()
	defer running.Close()
	ctx := context.Background()

	c, err := client.Connect(ctx, client.Config{Addr: running.URL(), AdapterSet: "DEMO"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	response, err := c.Send(ctx, client.Message{Text: "hello", Sequence: "chat"})
	fmt.Println(response, err)
	_, err = c.Send(ctx, client.Message{Text: "deny not today", Sequence: "chat"})
	if refusal, ok := errors.AsType[*client.RequestError](err); ok {
		fmt.Println(refusal.Code, refusal.Message)
	}
	// Output:
	// got hello <nil>
	// -7 not today
}

// A program that wants to stay connected connects again when its session has ended.
func ExampleClient_Done() {
	running := serve()
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Config{Addr: running.URL(), AdapterSet: "DEMO"})
	if err != nil {
		fmt.Println(err)
		return
	}
	running.Close()
	<-c.Done()
	fmt.Println(c.Err())
	// Output: session refused or ended by the server: 48 Server is closing
}
