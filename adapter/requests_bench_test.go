package adapter_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// BenchmarkRequests asks a Metadata Adapter over a loopback connection, with so many requests open.
func BenchmarkRequests(b *testing.B) {
	for _, open := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(open), func(b *testing.B) { benchmarkRequests(b, open) })
	}
}

func benchmarkRequests(b *testing.B, open int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	s := &adapter.MetadataServer{Provider: adapter.DefaultMetadata{}, Addr: l.Addr().String()}
	go func() { done <- s.Run(ctx) }()
	conn, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		_ = conn.Close()
	}()
	in := bufio.NewReaderSize(conn, 64<<10)
	replies := func(n int) {
		for range n {
			if _, err := in.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
	}
	say := func(lines []byte) {
		if _, err := conn.Write(lines); err != nil {
			b.Fatal(err)
		}
	}
	replies(1) // RAC
	_, _ = io.WriteString(conn, "1|MPI|S|ARI.version|S|1.9.1\r\n")
	replies(1)
	var window bytes.Buffer
	requests := []string{
		"NUS|S|user|S|password|S|host|S|localhost:8080|S|user-agent|S|Mozilla/5.0 (X11; Linux x86_64)",
		"GIS|S|user|S|item-1 item-2 item-3 item-4 item-5|S|S3a2b4c5d6e7f8",
		"GSC|S|user|S|item-1 item-2 item-3 item-4 item-5|S|seq ts last time bid ask bidqty askqty|S|S3a2b4c5d6e7f8",
	}
	for i := range open {
		fmt.Fprintf(&window, "1000001%x|%s\r\n", i, requests[i%len(requests)])
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += open {
		say(window.Bytes())
		replies(open)
	}
}

// BenchmarkSubscriptions subscribes and unsubscribes a thousand items at a time.
func BenchmarkSubscriptions(b *testing.B) {
	const items = 1000
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	s := &adapter.DataServer{Addr: l.Addr().String(), Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		return sub.SnapshotFollows()
	})}
	go func() { done <- s.Run(ctx) }()
	conn, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		_ = conn.Close()
	}()
	in := bufio.NewReaderSize(conn, 64<<10)
	replies := func(n int) {
		for range n {
			if _, err := in.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
	}
	replies(1) // RAC
	_, _ = io.WriteString(conn, "1|DPI|S|ARI.version|S|1.9.1\r\n")
	replies(1)
	var sub, usb bytes.Buffer
	for i := range items {
		fmt.Fprintf(&sub, "1000001%x|SUB|S|item-%d\r\n", i, i)
		fmt.Fprintf(&usb, "2000001%x|USB|S|item-%d\r\n", i, i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += items {
		for _, lines := range [][]byte{sub.Bytes(), usb.Bytes()} {
			if _, err := conn.Write(lines); err != nil {
				b.Fatal(err)
			}
			replies(items)
		}
	}
}
