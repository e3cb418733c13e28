// Package sdk has the benchmarks of package adapter as its users see it: over a real loopback connection, whose other end reads as fast as it can in
// the same process. What they measure is therefore the sender and the reader on their own cores; ../compare measures the SDK in a process of its own.
//
//	go test -run '^$' -bench . ./sdk        (in bench)
package sdk
