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
// It is small: it streams over a WebSocket only, without the fall-back to HTTP of the official
// clients, and makes no second-level subscriptions and no push notifications. It is for programs,
// tests and tools; browsers and phones have clients of their own.
//
// # What survives what
//
// A connection that breaks, or falls silent, is recovered: the server repeats what was not
// received, so that nothing is lost and nothing comes twice, and requests without an answer are
// sent again. A server that ends the connection but not the session (LOOP) is connected again. What
// ends the session ends the [Client]: [Client.Done] is closed, [Client.Err] tells why. The
// application may then connect anew, and subscribe anew; the official clients do so by themselves.
//
// # What a server can do
//
// A client takes from its server what it has asked for, and no more. Each line is checked: the
// answer to a request that was sent, the counts of items and fields of a subscription that gave
// lists, an item, a message and a position that exist. A violation ends the session with a
// [*ProtocolError], which quotes the line. [Config] bounds the length of messages and values and
// the memory for values; beyond them the session ends with [ErrLimit]. A silence is judged after
// what is in the socket was read, also by a process that was stopped or asleep.
//
// # Goroutines
//
// A Client has one goroutine, which reads, and calls the callbacks of subscriptions, one at a time
// and in the order of the events. While a callback runs, nothing is read, so events that come
// faster than the application takes them wait in the server. Methods that wait for the server
// (Subscribe, Unsubscribe, Send, Close) must not be called from one: they would wait for
// themselves.
package client
