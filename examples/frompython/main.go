// Command frompython is the program on the page of the Python SDK, line by line. The same adapters.xml serves both.
//
//	go run ./cmd/lsgo serve --adapters examples/frompython/adapters
//	go run ./examples/frompython
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// MyDataAdapter shows a simple implementation of a DataProvider. It needs no set_listener: Subscribe gets a handle for the item.
type MyDataAdapter struct{}

// SnapshotAvailable returns true if snapshot information will be sent for the item before the updates.
func (a *MyDataAdapter) SnapshotAvailable(_ context.Context, _ string) (bool, error) {
	snapshot := false // may be based on the item
	return snapshot, nil
}

// Subscribe is invoked to request data for an item. From now on you can start sending real time updates for the item, through
// invocations like the following:
//
//	sub.Update(adapter.Fields{"field1": valField1, "field2": valField2})
func (a *MyDataAdapter) Subscribe(_ context.Context, _ *adapter.Subscription) error {
	return nil
}

// Unsubscribe is invoked to end a previous request of data for an item. From now on, updates are dropped.
func (a *MyDataAdapter) Unsubscribe(_ context.Context, _ *adapter.Subscription) error {
	return nil
}

// MyMetadataAdapter shows a minimal custom implementation of NotifyUserMessage.
type MyMetadataAdapter struct{ adapter.DefaultMetadata }

// NotifyUserMessage is invoked to forward a message received by a user.
func (a *MyMetadataAdapter) NotifyUserMessage(_ context.Context, m adapter.UserMessage) error {
	fmt.Printf("Message %s arrived for user %s in the session %s\n", m.Message, m.User, m.SessionID)
	return nil
}

func main() {
	// The host of the Lightstreamer Server, to be changed as required.
	const host = "localhost"

	metadata := &adapter.MetadataServer{Provider: &MyMetadataAdapter{}, Addr: host + ":8003"}
	data := &adapter.DataServer{Provider: &MyDataAdapter{}, Addr: host + ":8001"}

	// Starts both, and waits until Ctrl-C.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := adapter.Run(ctx, metadata, data)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
