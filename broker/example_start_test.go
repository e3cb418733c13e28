package broker_test

import (
	"context"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/broker"
	"github.com/lightstreamer-go/lightstreamer/client"
)

// Shop is the application: what is in stock, changed by messages of those who may.
type Shop struct {
	adapter.LiteralMetadata
	stock chan *adapter.Subscription
}

func (s *Shop) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	if u.Name != "ann" || u.Password != "secret" {
		return adapter.UserGrant{}, &adapter.AccessError{Message: "unknown user"}
	}
	return adapter.UserGrant{}, nil
}

func (s *Shop) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	if err := sub.Add("apples", adapter.Fields{"qty": 3}); err != nil {
		return err
	}
	s.stock <- sub
	return sub.EndOfSnapshot()
}

func (s *Shop) RespondToUserMessage(_ context.Context, m adapter.UserMessage) (string, error) {
	if m.Message != "sell apples" {
		return "", &adapter.CreditsError{Code: -1, UserMessage: "not for sale"}
	}
	stock := <-s.stock
	return "sold", stock.Modify("apples", adapter.Fields{"qty": 2})
}

// The test of the whole application: a client, the broker, the adapters. In a file of tests its name is TestShop.
func testShop(t testing.TB) {
	shop := &Shop{stock: make(chan *adapter.Subscription, 1)}
	running := broker.StartTest(t, adapter.Set{Metadata: shop, Data: map[string]adapter.DataProvider{"STOCK": shop}})

	c, err := client.Connect(t.Context(), client.Config{Addr: running.URL(), User: "ann", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rows := make(chan string, 10)
	if _, err := c.Subscribe(t.Context(), client.Subscription{
		Mode: client.Command, DataAdapter: "STOCK", Items: []string{"fruit"}, Fields: []string{"key", "command", "qty"}, Snapshot: true,
		OnUpdate: func(u *client.Update) {
			qty, _ := u.Value("qty")
			rows <- u.Command() + " " + u.Key() + " " + qty
		},
	}); err != nil {
		t.Fatal(err)
	}
	if got := <-rows; got != "ADD apples 3" {
		t.Errorf("the snapshot is %q", got)
	}
	if answer, err := c.Send(t.Context(), client.Message{Text: "sell apples"}); answer != "sold" || err != nil {
		t.Errorf("selling: %q, %v", answer, err)
	}
	if got := <-rows; got != "UPDATE apples 2" {
		t.Errorf("after the sale: %q", got)
	}
}

// A test of a whole application: adapters, broker and client in one process.
func ExampleStartTest() {
	var t *testing.T // what "go test" gives to each test
	testShop(t)
}
