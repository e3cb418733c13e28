// Package page is the last row of the interoperability lab: a program that a person would really write, end to end. The command quotes replays a
// file of quotes as a Remote Adapter, our broker serves them, and the page in the folder web shows them with the official client in Chromium. The
// test kills the adapter in the midst of it.
//
//	go run ./cmd/lsgo serve --adapters interop/page/adapters
//	go run ./interop/page/quotes interop/page/adapters/adapters.xml interop/page/quotes.csv
package page
