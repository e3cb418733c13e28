// Package broker is a Lightstreamer-compatible server to embed in a program: it serves the official, unmodified Lightstreamer clients
// over WebSocket and HTTP, and Remote Adapters connect to it as to the Proxy Adapters of Lightstreamer Server, configured by the same
// adapters.xml.
//
// It is meant for development, demos, tests and small internal use: one process, no clustering, no push notifications. Production
// belongs to Lightstreamer Server, with the same adapters and the same adapters.xml.
//
//	running, err := broker.Start(ctx, broker.Config{AdaptersDir: "adapters"})
//	if err != nil {
//		return err
//	}
//	fmt.Println("clients connect to", running.URL())
//	<-running.Done()
//
// # What listens where
//
// One address for clients ([Config.Addr]), on which everything below /lightstreamer is the protocol and everything else is
// [Config.Handler]; and for each remote adapter the ports of its adapters.xml, on [Config.AdapterHost]. All are open when [Start]
// returns, and all are on the loopback interface unless the configuration says otherwise.
//
// # Rooms
//
// This package holds the transports only. Requests go to internal/session, which keeps the sessions and asks the adapters through
// internal/proxy (remote) or internal/literal (built in); events come back through internal/item.
package broker
