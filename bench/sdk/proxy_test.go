package sdk

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/bench/internal/work"
)

// proxy is the other end of a server's connection.
type proxy struct {
	tb      testing.TB
	conn    net.Conn
	subs    []*adapter.Subscription // by the number of the item
	came    chan *adapter.Subscription
	lines   atomic.Int64 // received, but for the updates
	arrived chan struct{}
	next    int64 // id of the next request
}

// Subscribe keeps the handle.
func (p *proxy) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	p.came <- sub
	return nil
}

// connect runs a server until the end of the benchmark, and initialises it. The verb is DPI or MPI.
func connect(tb testing.TB, verb string, server func(p *proxy, addr string) adapter.Runner) *proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	p := &proxy{tb: tb, came: make(chan *adapter.Subscription, 1024), arrived: make(chan struct{}, 1), next: 0x10000000000}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server(p, l.Addr().String()).Run(ctx) }()
	if p.conn, err = l.Accept(); err != nil {
		tb.Fatal(err)
	}
	drained := make(chan struct{})
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		_ = p.conn.Close()
		<-drained
	})
	go func() { p.drain(); close(drained) }()
	p.await(1) // RAC
	p.write([]byte("1|" + verb + "|S|ARI.version|S|1.9.1\r\n"))
	p.await(1)
	return p
}

func feeding(tb testing.TB) *proxy {
	return connect(tb, "DPI", func(p *proxy, addr string) adapter.Runner {
		return &adapter.DataServer{Addr: addr, Provider: p, Reconnect: adapter.NoReconnect}
	})
}

// drain reads until the connection ends, and counts the lines that are not updates.
func (p *proxy) drain() {
	buf := make([]byte, 256<<10)
	head := make([]byte, 0, 24) // of the present line: the id or time, and the verb
	for {
		n, err := p.conn.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			line, after, ended := bytes.Cut(rest, []byte{'\n'})
			head = append(head, line[:min(len(line), cap(head)-len(head))]...)
			rest = after
			if !ended {
				break
			}
			if !bytes.Contains(head, []byte("|UD3|")) {
				p.lines.Add(1)
				select {
				case p.arrived <- struct{}{}:
				default:
				}
			}
			head = head[:0]
		}
		if err != nil {
			return // the benchmark is over
		}
	}
}

// await waits for that many lines that are not updates.
func (p *proxy) await(n int64) {
	for p.lines.Load() < n {
		<-p.arrived
	}
	p.lines.Add(-n)
}

func (p *proxy) write(b []byte) {
	p.tb.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.tb.Fatal(err)
	}
}

// grow subscribes items until there are n.
func (p *proxy) grow(n int) {
	p.tb.Helper()
	first := len(p.subs)
	if first >= n {
		return
	}
	p.subs = append(p.subs, make([]*adapter.Subscription, n-first)...)
	written := make(chan error, 1)
	req := p.requests("SUB", first, n)
	go func() {
		_, err := p.conn.Write(req)
		written <- err
	}()
	for range n - first {
		sub := <-p.came
		i, err := strconv.Atoi(sub.Item()[len("item-"):])
		if err != nil {
			p.tb.Fatal(err)
		}
		p.subs[i] = sub
	}
	if err := <-written; err != nil {
		p.tb.Fatal(err)
	}
	p.await(int64(n - first))
}

// requests makes those for the items from one to before the other.
func (p *proxy) requests(verb string, from, to int) (req []byte) {
	for i := from; i < to; i++ {
		req = strconv.AppendInt(req, p.next, 16)
		req = append(req, "|"+verb+"|S|item-"...)
		req = append(strconv.AppendInt(req, int64(i), 10), "\r\n"...)
		p.next++
	}
	return req
}

// values are those of an update in a shape of the comparison.
func values(shape string) (names, vals []string) {
	t := work.NewTable(shape)
	vals = make([]string, len(t.Names))
	t.Fill(vals, work.SeqBase+1, "123456789012345")
	return t.Names, vals
}
