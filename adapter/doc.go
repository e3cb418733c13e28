// Package adapter is the Go SDK for Lightstreamer Remote Adapters: it lets a Go program feed a Lightstreamer Server (or Broker) and
// decide what its clients may see.
//
// An Adapter Set has one Metadata Adapter and one or more Data Adapters. In the server's adapters.xml each of them is a Proxy Adapter
// with a port; here each is a server struct that connects to that port:
//
//	feed := adapter.DataProviderFunc(func(ctx context.Context, sub *adapter.Subscription) error {
//		go func() {
//			tick := time.NewTicker(time.Second)
//			defer tick.Stop()
//			for n := 0; ; n++ {
//				select {
//				case <-tick.C:
//					sub.Update(adapter.Fields{"count": n})
//				case <-sub.Context().Done(): // nobody looks any more
//					return
//				}
//			}
//		}()
//		return nil
//	})
//	err := adapter.Run(ctx,
//		&adapter.MetadataServer{Provider: &adapter.LiteralMetadata{}, Addr: "localhost:8003"},
//		&adapter.DataServer{Provider: feed, Addr: "localhost:8001"})
//
// # Life cycle
//
// Run connects, says who it is (RAC), and waits for the proxy to ask for the initialisation (DPI or MPI), which settles the protocol's version and reaches the provider as
// Initialize. Then requests come:
//
//   - Data: the server asks for an item when the first client subscribes to it, and [DataProvider.Subscribe] gets a [*Subscription]. Through this handle
//     the provider sends a snapshot, if there is one, and then updates, until the handle's context ends: no client is
//     left, or the connection is lost.
//   - Metadata: each request is one callback of [MetadataProvider], answered by its results.
//
// When the connection is lost, Run connects again after a pause, initialises the provider again, and the server asks again for the items it
// wants. Run returns nil when its context ends, an error when there is no point in going on. It never ends the process.
//
// # Goroutines
//
// Callbacks for different items or requests run concurrently, those for one item one at a time and in order. A callback may take its time: short ones run one
// after the other as the requests are read, and one that has not returned after a millisecond holds up no other. The SDK holds no lock while it calls
// user code, so every method can be called from every callback. Sending methods never wait for the network, unless more than MaxPending bytes
// are waiting to be written.
//
// # Errors
//
// A callback's error becomes an error reply; the types of this package choose which. A panic in a callback is logged with its stack and becomes
// a generic error reply. Neither disturbs other requests.
package adapter
