// Package client is a client of Lightstreamer Server, and of the broker of this repository: it opens a session, subscribes to items and
// sends messages, over the same protocol (TLCP 2.5.0) as the official clients.
//
//	c, err := client.Connect(ctx, client.Config{Addr: "http://localhost:8080", AdapterSet: "DEMO"})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	_, err = c.Subscribe(ctx, client.Subscription{
//		Mode: client.Merge, Items: []string{"item1"}, Fields: []string{"stock_name", "last_price"}, Snapshot: true,
//		OnUpdate: func(u *client.Update) {
//			price, _ := u.Value("last_price")
//			fmt.Println(u.Item, price)
//		},
//	})
//
// It is small: it streams over a WebSocket only, without the fall-back to HTTP of the official clients, and makes no second-level
// subscriptions and no push notifications. It is for programs, tests and tools; browsers and phones have clients of their own.
//
// # What survives what
//
// A connection that breaks, or falls silent, is recovered: the server repeats what was not received, so that nothing is lost and
// nothing comes twice, and requests without an answer are sent again. A server that ends the connection but not the session (LOOP) is
// connected again. What ends the session ends the [Client]: [Client.Done] is closed, [Client.Err] tells why. The application may then
// connect anew, and subscribe anew; the official clients do so by themselves.
//
// # Goroutines
//
// A Client has one goroutine, which reads, and calls the callbacks of subscriptions, one at a time and in the order of the events.
// While a callback runs, nothing is read. Methods that wait for the server (Subscribe, Unsubscribe, Send, Close) must not be called from
// one: they would wait for themselves.
package client
