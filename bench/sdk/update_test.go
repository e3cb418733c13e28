package sdk

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

type quote struct {
	Seq    int64  `ls:"seq"`
	TS     string `ls:"ts"`
	Last   string `ls:"last"`
	Time   string `ls:"time"`
	Bid    string `ls:"bid"`
	Ask    string `ls:"ask"`
	BidQty string `ls:"bidqty"`
	AskQty string `ls:"askqty"`
}

// loop sends updates.
func loop(b *testing.B, update func() error) {
	b.ReportAllocs()
	for b.Loop() {
		if err := update(); err != nil {
			b.Fatal(err)
		}
	}
}

// mapUpdate makes a new map for each update, as most feeds do.
func mapUpdate(sub *adapter.Subscription, names, vals []string) func() error {
	return func() error {
		fields := make(adapter.Fields, len(names))
		for i, name := range names {
			fields[name] = vals[i]
		}
		return sub.Update(fields)
	}
}

// stringsUpdate is mapUpdate with a map of strings.
func stringsUpdate(sub *adapter.Subscription, names, vals []string) func() error {
	return func() error {
		fields := make(map[string]string, len(names))
		for i, name := range names {
			fields[name] = vals[i]
		}
		return sub.UpdateStrings(fields)
	}
}

// upTo returns the numbers of items to measure with; -short leaves out those that take long to subscribe.
func upTo(items ...int) []int {
	if testing.Short() {
		return slices.DeleteFunc(items, func(n int) bool { return n > 1000 })
	}
	return items
}

// Every form of an update with eight fields.
func BenchmarkUpdate(b *testing.B) {
	p := feeding(b)
	p.grow(1)
	sub := p.subs[0]
	names, vals := values("")
	row := sub.Row(adapter.NewSchema(names...))
	raw := make([][]byte, len(vals))
	for i, v := range vals {
		raw[i] = []byte(v)
	}
	quotes := adapter.NewStruct[quote]()
	q := &quote{Seq: 1000000001, TS: vals[1], Last: vals[2], Time: vals[3], Bid: vals[4], Ask: vals[5], BidQty: vals[6], AskQty: vals[7]}
	b.Run("form=row", func(b *testing.B) { loop(b, func() error { return row.Update(vals...) }) })
	b.Run("form=bytes", func(b *testing.B) { loop(b, func() error { return row.UpdateBytes(raw...) }) })
	b.Run("form=strings", func(b *testing.B) { loop(b, stringsUpdate(sub, names, vals)) })
	b.Run("form=map", func(b *testing.B) { loop(b, mapUpdate(sub, names, vals)) })
	b.Run("form=struct", func(b *testing.B) { loop(b, func() error { return quotes.Update(sub, q) }) })
}

// What the values are like: six of eight have characters to escape; a field has 1 MiB, plain or with one character in 64 to escape; there are
// 200 fields.
func BenchmarkShape(b *testing.B) {
	p := feeding(b)
	p.grow(1)
	sub := p.subs[0]
	for _, shape := range []string{"escape", "large", "wide"} {
		names, vals := values(shape)
		row := sub.Row(adapter.NewSchema(names...))
		run := func(name string, update func() error) {
			b.Run(name, func(b *testing.B) {
				b.SetBytes(int64(len(strings.Join(vals, ""))))
				loop(b, update)
			})
		}
		run("shape="+shape+"/form=row", func() error { return row.Update(vals...) })
		if shape == "wide" {
			run("shape=wide/form=strings", stringsUpdate(sub, names, vals))
			run("shape=wide/form=map", mapUpdate(sub, names, vals))
		}
		if shape == "large" {
			vals[len(vals)-1] = strings.Repeat("|"+strings.Repeat("a", 63), 1<<14)
			run("shape=large-escape/form=row", func() error { return row.Update(vals...) })
		}
	}
}

// The first 1000 items, or as many as there are, are updated in turn while that many are subscribed.
func BenchmarkItems(b *testing.B) {
	p := feeding(b)
	names, vals := values("")
	schema := adapter.NewSchema(names...)
	for _, n := range upTo(1, 1000, 100_000, 1_000_000) {
		p.grow(n)
		i := 0
		b.Run(fmt.Sprint("items=", n), func(b *testing.B) {
			loop(b, func() error {
				if i++; i >= min(n, 1000) {
					i = 0
				}
				return p.subs[i].Row(schema).Update(vals...)
			})
		})
	}
}

// Producers on as many processors as -cpu says, each with items of its own.
func BenchmarkProducers(b *testing.B) {
	p := feeding(b)
	names, vals := values("")
	schema := adapter.NewSchema(names...)
	for _, n := range []int{1, 8} {
		p.grow(n)
		b.Run(fmt.Sprint("producers=", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(max(1, n/runtime.GOMAXPROCS(0)))
			var mine atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				row := p.subs[int(mine.Add(1)-1)%n].Row(schema)
				for pb.Next() {
					if err := row.Update(vals...); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// The pause of a garbage collection with that many items subscribed, and how long it takes in all.
func BenchmarkCollect(b *testing.B) {
	p := feeding(b)
	for _, n := range upTo(1000, 1_000_000) {
		p.grow(n)
		b.Run(fmt.Sprint("items=", n), func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				runtime.GC()
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.PauseTotalNs-before.PauseTotalNs)/float64(after.NumGC-before.NumGC), "pause-ns/gc")
		})
	}
}

// Subscribing and unsubscribing 1000 items at once, while others are subscribed.
func BenchmarkSubscribe(b *testing.B) {
	p := feeding(b)
	for _, n := range upTo(0, 100_000, 1_000_000) {
		p.grow(n)
		b.Run("items="+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			const batch = 1000
			for b.Loop() {
				p.grow(n + batch)
				p.write(p.requests("USB", n, n+batch))
				p.await(batch)
				p.subs = p.subs[:n]
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/item")
		})
	}
}

// Metadata requests, with that many open at a time.
func BenchmarkRequests(b *testing.B) {
	p := connect(b, "MPI", func(_ *proxy, addr string) adapter.Runner {
		return &adapter.MetadataServer{Addr: addr, Provider: adapter.DefaultMetadata{}, Reconnect: adapter.NoReconnect}
	})
	for _, n := range []int{1, 64, 1024} {
		var req []byte
		for range n {
			req = append(strconv.AppendInt(req, p.next, 16), "|GIS|S|user|S|item-1 item-2 item-3|S|S3a2b4c5d6e7f8\r\n"...)
			p.next++
		}
		b.Run("open="+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.write(req)
				p.await(int64(n))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/request")
		})
	}
}
