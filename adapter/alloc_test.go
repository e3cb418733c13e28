package adapter_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

var (
	quoteNames  = []string{"seq", "ts", "last", "time", "bid", "ask", "bidqty", "askqty"}
	quoteValues = []string{"1000000001", "123456789012345", "1234.56701", "12:34:01.0", "1234.56601", "1234.56801", "1000000001", "2000000001"}
)

// subscribed returns a live subscription on a loopback connection whose other end throws away what it reads.
func subscribed(tb testing.TB) *adapter.Subscription {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	subs := make(chan *adapter.Subscription, 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := &adapter.DataServer{Addr: l.Addr().String(), Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		subs <- sub
		return nil
	})}
	go func() { done <- s.Run(ctx) }()
	conn, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		_ = conn.Close()
	})
	r := bufio.NewReader(conn)
	for _, line := range []string{"1|DPI|S|ARI.version|S|1.9.1\r\n", "2|SUB|S|item1\r\n"} {
		if _, err := r.ReadString('\n'); err != nil { // RAC, then the reply to the initialisation
			tb.Fatal(err)
		}
		if _, err := io.WriteString(conn, line); err != nil {
			tb.Fatal(err)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, r) }() // ends with the connection
	return <-subs
}

func TestUpdatesDoNotAllocate(t *testing.T) {
	sub := subscribed(t)
	row := sub.Row(adapter.NewSchema(quoteNames...))
	bytes := make([][]byte, len(quoteValues))
	fields, texts := adapter.Fields{}, map[string]string{}
	for i, v := range quoteValues {
		bytes[i] = []byte(v)
		fields[quoteNames[i]], texts[quoteNames[i]] = v, v
	}
	type quote struct {
		Seq  int     `ls:"seq"`
		Last float64 `ls:"last"`
		Time string  `ls:"time"`
		Note *string `ls:"note"`
	}
	plan, q := adapter.NewStruct[quote](), &quote{1, 1234.5, "12:34:01.0", nil}
	for name, update := range map[string]func() error{
		"struct":             func() error { return plan.Update(sub, q) },
		"row of a table":     func() error { return row.Modify("key", quoteValues...) },
		"end of a row":       func() error { return sub.Delete("key") },
		"escaped strings":    func() error { return row.Update("100% a|b", "漢字", "", "#") },
		"strings":            func() error { return row.Update(quoteValues...) },
		"bytes":              func() error { return row.UpdateBytes(bytes...) },
		"a map built before": func() error { return sub.Update(fields) },
		"a map of strings":   func() error { return sub.UpdateStrings(texts) },
		"a row as a map":     func() error { return sub.ModifyStrings("key", texts) },
	} {
		// The writer's buffers grow while it catches up: give them time to.
		for range 10000 {
			if err := update(); err != nil {
				t.Fatal(err)
			}
		}
		allocs := testing.AllocsPerRun(10000, func() {
			if err := update(); err != nil {
				t.Fatal(err)
			}
		})
		if allocs >= 0.5 && !raceEnabled {
			t.Errorf("%s: %v allocations per update, want 0", name, allocs)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	sub := subscribed(b)
	row := sub.Row(adapter.NewSchema(quoteNames...))
	b.Run("row", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := row.Update(quoteValues...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("strings", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fields := make(map[string]string, len(quoteNames))
			for i, name := range quoteNames {
				fields[name] = quoteValues[i]
			}
			if err := sub.UpdateStrings(fields); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("map", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fields := make(adapter.Fields, len(quoteNames))
			for i, name := range quoteNames {
				fields[name] = quoteValues[i]
			}
			if err := sub.Update(fields); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Updates of a large field find a buffer that is large enough, the one that was written before.
func TestLargeUpdatesDoNotAllocate(t *testing.T) {
	sub := subscribed(t)
	row := sub.Row(adapter.NewSchema("document"))
	for name, text := range map[string]string{"plain": strings.Repeat("0123456789", 120_000), "escaped": strings.Repeat("100% a|b\r\n", 120_000)} {
		update := func() {
			if err := row.Update(text); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			update()
		}
		var before, after runtime.MemStats
		const updates = 50
		runtime.ReadMemStats(&before)
		for range updates {
			update()
		}
		runtime.ReadMemStats(&after)
		// The reader of the test has its buffers too; one new buffer for each update would be much more.
		if perUpdate := (after.TotalAlloc - before.TotalAlloc) / updates; perUpdate > uint64(len(text)/4) && !raceEnabled {
			t.Errorf("%s: %d bytes for each update of %d", name, perUpdate, len(text))
		}
	}
}
