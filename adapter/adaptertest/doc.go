// Package adaptertest is for the tests of adapters written with package adapter, as net/http/httptest is for those of handlers.
//
// A [Proxy] plays the server: the adapter under test connects to it, over the real protocol but in memory, and the test says what the server
// wants and what it expects to get.
//
//	func TestQuotes(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) { // virtual time: an hour takes none
//			p := adaptertest.NewProxy(t)                               // stops with the test
//			p.Run(&adapter.DataServer{Provider: Quotes{}})             // fails the test on an unclean end
//			p.Modes = map[string]adapter.Mode{"EURUSD": adapter.Merge} // what the item is held to
//			eurusd := p.Subscribe("EURUSD")
//			eurusd.Expect(adaptertest.Snapshot("last", "1.09"), adaptertest.Update("last", "1.10"), adaptertest.Update("last", "1.11"))
//
//			p.Cut(io.ErrUnexpectedEOF)      // the network fails,
//			p.AcceptAgain(30 * time.Second) // the adapter comes back,
//			eurusd = p.Subscribe("EURUSD")  // and the server asks again
//			eurusd.Expect(adaptertest.Snapshot("last", "1.09"), adaptertest.Update("last", "1.10"))
//
//			eurusd.Unsubscribe()
//			eurusd.Expect(adaptertest.Unsubscribed()).ExpectNothing(time.Hour)
//			p.Subscribe("nothing").Expect(adaptertest.Refused(adaptertest.SubscribeError))
//		})
//	}
//
// The provider of this test, and more tests, are in the file example_test.go of the package.
//
// # What is checked by itself
//
// Every line that comes from the adapter is held to the protocol, whether the test looks at it or not: each request gets exactly one
// reply, nothing is sent for a subscription that has ended or never was, snapshots keep their order (and, for the [Proxy.Modes] that a test
// tells, the rules of the mode), keepalives come when they should ([Proxy.KeepaliveTimeout]). [Proxy.Run] checks that the server ends
// cleanly, promptly and without leaving goroutines behind. A failure shows the last lines of the conversation, passwords masked.
//
// # Kinds of test
//
//   - Of one's own adapter: [Conn.Subscribe] and [Item.Expect]; for Metadata Adapters the methods of [Conn] named like the callbacks, which
//     return what the server would learn.
//   - Of its behaviour when things break: Cut, Close, Stall, Delay and Corrupt of [Conn], Refuse of [Proxy].
//   - Ready made: [Conformance] and [MetadataConformance] put any provider through what a server may do to it; [Audit] finds callbacks with a
//     misspelt name or the wrong signature, which the compiler can't.
//   - Byte for byte: [Conn.Send] and [Conn.ExpectLine].
//
// # Time
//
// Everything works with the real clock, where waiting is bounded by [Proxy.Patience], and inside testing/synctest bubbles, where it is exact and
// takes no time. In a bubble the adapter must not wait for real sockets or files, and the proxy has to be made inside of it.
package adaptertest
