package adapter_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// asker is a proxy on a loopback connection, with a server that is initialised.
type asker struct {
	b    *testing.B
	conn net.Conn
	in   *bufio.Reader
}

func newAsker(b *testing.B, initMethod string, server func(addr string) adapter.Runner) *asker {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- server(l.Addr().String()).Run(ctx) }()
	conn, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		_ = conn.Close()
	})
	a := &asker{b, conn, bufio.NewReaderSize(conn, 64<<10)}
	a.ask([]byte("1|"+initMethod+"|S|ARI.version|S|1.9.1\r\n"), 2) // RAC has come before
	return a
}

// ask sends requests and reads that many replies.
func (a *asker) ask(lines []byte, replies int) {
	if _, err := a.conn.Write(lines); err != nil {
		a.b.Fatal(err)
	}
	for range replies {
		if _, err := a.in.ReadSlice('\n'); err != nil {
			a.b.Fatal(err)
		}
	}
}

var requests = []string{
	"NUS|S|user|S|password|S|host|S|localhost:8080|S|user-agent|S|Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36|S|REQUEST_ID|S|123",
	"GIS|S|user|S|item-1 item-2 item-3 item-4 item-5|S|S3a2b4c5d6e7f8",
	"GSC|S|user|S|item-1 item-2 item-3 item-4 item-5|S|seq ts last time bid ask bidqty askqty|S|S3a2b4c5d6e7f8",
}

// BenchmarkRequests asks a Metadata Adapter, with so many requests open.
func BenchmarkRequests(b *testing.B) {
	for _, open := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(open), func(b *testing.B) {
			a := newAsker(b, "MPI", func(addr string) adapter.Runner {
				return &adapter.MetadataServer{Provider: adapter.DefaultMetadata{}, Addr: addr}
			})
			var window bytes.Buffer
			for i := range open {
				fmt.Fprintf(&window, "1000001%x|%s\r\n", i, requests[i%len(requests)])
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += open {
				a.ask(window.Bytes(), open)
			}
		})
	}
}

// pretender is a connection to a proxy that sends requests as fast as they are read, and throws replies away: what is left is the cost of the SDK.
type pretender struct {
	net.Conn // nil: the SDK has no use for the rest

	hello   []byte // what it sends first
	window  []byte // requests, sent again and again
	at      int    // in window
	windows int    // how many times
	lines   int    // to come back
	done    chan struct{}
	closed  chan struct{}
}

func (p *pretender) Read(b []byte) (int, error) {
	switch {
	case len(p.hello) > 0:
		n := copy(b, p.hello)
		p.hello = p.hello[n:]
		return n, nil
	case p.windows > 0:
		n := copy(b, p.window[p.at:])
		if p.at += n; p.at == len(p.window) {
			p.at = 0
			p.windows--
		}
		return n, nil
	}
	<-p.closed
	return 0, io.EOF
}

func (p *pretender) Write(b []byte) (int, error) {
	if p.lines -= bytes.Count(b, []byte{'\n'}); p.lines == 0 {
		close(p.done)
	}
	return len(b), nil
}

func (p *pretender) Close() error {
	close(p.closed)
	return nil
}

func (p *pretender) SetWriteDeadline(time.Time) error { return nil }
func (p *pretender) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// BenchmarkRequestAlone is what each kind of request costs, the network left out.
func BenchmarkRequestAlone(b *testing.B) {
	const size = 256
	for _, request := range requests {
		b.Run(request[:3], func(b *testing.B) {
			p := &pretender{hello: []byte("1|MPI|S|ARI.version|S|1.9.1\r\n"), done: make(chan struct{}), closed: make(chan struct{})}
			for i := range size {
				p.window = fmt.Appendf(p.window, "1000001%x|%s\r\n", i, request)
			}
			p.windows = (b.N + size - 1) / size
			p.lines = 2 + p.windows*size // credentials, initialisation, replies
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			s := &adapter.MetadataServer{Provider: adapter.DefaultMetadata{}, Addr: "proxy:8003", Dial: func(context.Context, string, string) (net.Conn, error) {
				return p, nil
			}}
			b.ReportAllocs()
			go func() {
				<-p.done
				cancel()
			}()
			if err := s.Run(ctx); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkSubscriptions subscribes and unsubscribes a thousand items at a time.
func BenchmarkSubscriptions(b *testing.B) {
	const items = 1000
	a := newAsker(b, "DPI", func(addr string) adapter.Runner {
		return &adapter.DataServer{Addr: addr, Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
			return sub.SnapshotFollows()
		})}
	})
	var sub, usb bytes.Buffer
	for i := range items {
		fmt.Fprintf(&sub, "1000001%x|SUB|S|item-%d\r\n", i, i)
		fmt.Fprintf(&usb, "2000001%x|USB|S|item-%d\r\n", i, i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += items {
		a.ask(sub.Bytes(), items)
		a.ask(usb.Bytes(), items)
	}
}
