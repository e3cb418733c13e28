package session

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// discard is a connection that counts.
type discard struct{ lines, writes atomic.Int64 }

func (d *discard) WriteLines(p []byte) error {
	for _, b := range p {
		if b == '\n' {
			d.lines.Add(1)
		}
	}
	d.writes.Add(1)
	return nil
}

// benchWorld has sessions that all subscribe the same items in MERGE mode, with 13 fields.
func benchWorld(tb testing.TB, sessions, items int) (f *feed, out *discard, done func()) {
	tb.Helper()
	f = &feed{sinks: map[string]provider.Sink{}}
	set := &provider.Set{ID: "DEMO", Metadata: &metadata{}, Data: map[string]provider.Data{"DEFAULT": f}}
	m := NewManager(Config{Sets: func(string) *provider.Set { return set }, Linger: -1})
	out = &discard{}
	var names []string
	for i := range items {
		names = append(names, fmt.Sprint("item", i))
	}
	fields := "stock_name last_price time pct_change bid_quantity bid ask ask_quantity min max ref_price open_price item_status"
	ctx, cancel := context.WithCancel(tb.Context())
	var runs sync.WaitGroup
	for range sessions {
		b, refusal := m.Create(ctx, ws, tlcp.CreateSession{AdapterSet: "DEMO"})
		if refusal != nil {
			tb.Fatal(refusal)
		}
		runs.Go(func() { b.Run(ctx, out) })
		req, _ := tlcp.ParseControl([]byte("LS_reqId=1&" + add(1, "MERGE", strings.Join(names, " "), fields, "LS_snapshot=true")))
		m.Control(ctx, ws, b.Session(), req, nil)
	}
	return f, out, func() {
		cancel()
		runs.Wait()
		if err := m.Close(tb.Context()); err != nil {
			tb.Error(err)
		}
	}
}

// BenchmarkUpdates sends updates of 4 of 13 fields to items that all sessions have: one operation is one event delivered to one
// session, merged or not. Lines tells how many were written per event delivered.
func BenchmarkUpdates(b *testing.B) {
	for _, sessions := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(sessions), func(b *testing.B) {
			f, out, done := benchWorld(b, sessions, 10)
			u := update("last_price=3.04 time=12:00:01 bid=3.03 ask=3.05")
			fresh := make([]provider.Update, 100)
			for i := range fresh {
				fresh[i] = update(fmt.Sprintf("last_price=3.%02d time=12:00:%02d bid=3.03 ask=3.05", i, i%60))
			}
			f.sinks["item0"].Update(u)
			b.ReportAllocs()
			b.ResetTimer()
			n := 0
			for i := 0; n < b.N; i++ {
				f.sinks[fmt.Sprint("item", i%10)].Update(fresh[i%100])
				n += sessions
			}
			b.StopTimer()
			done()
			b.ReportMetric(float64(out.lines.Load())/float64(n), "lines/op")
			b.ReportMetric(float64(out.writes.Load())/float64(n), "writes/op")
		})
	}
}

// BenchmarkDeltas makes the lines of an event for 100 sessions, one after the other, of which one has a document of 83 bytes or 1.7 KB
// changed in two places: one operation is one event for one session.
func BenchmarkDeltas(b *testing.B) {
	long := func(a, c string) string {
		return strings.Replace(doc(a, c), `"three"`, strings.Repeat(`"three",`, 200)+`"end"`, 1)
	}
	for _, bb := range []struct {
		name, declare string
		doc           func(a, c string) string
	}{
		{"whole/short", "", doc}, {"whole/long", "", long}, {"JSONPatch/short", "J", doc}, {"JSONPatch/long", "J", long}, {"TLCP/short", "M", doc}, {"TLCP/long", "M", long},
	} {
		b.Run(bb.name, func(b *testing.B) {
			const sessions = 100
			f := &feed{sinks: map[string]provider.Sink{}}
			set := &provider.Set{ID: "DEMO", Metadata: &metadata{}, Data: map[string]provider.Data{"DEFAULT": f}}
			m := NewManager(Config{Sets: func(string) *provider.Set { return set }, Linger: -1, HistoryBytes: 1})
			var all []*Session
			for range sessions {
				bound, _ := m.Create(b.Context(), ws, tlcp.CreateSession{AdapterSet: "DEMO"})
				req, _ := tlcp.ParseControl([]byte("LS_reqId=1&" + add(1, "MERGE", "i", "a b c d", "")))
				m.Control(b.Context(), ws, bound.Session(), req, nil)
				all = append(all, bound.Session())
			}
			if bb.declare != "" {
				order := []provider.DiffAlgorithm{provider.DiffAlgorithm(bb.declare[0])}
				f.sinks["i"].DeclareFieldDiffOrder([]provider.FieldDiff{{Field: "a", Algorithms: order}})
			}
			var buf []byte
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += sessions {
				n := fmt.Sprint(i / sessions % 90)
				v := bb.doc("a"+n, "b"+n)
				f.sinks["i"].Update(provider.Update{Fields: []provider.Field{{Name: "a", Value: provider.T(v)}}})
				for _, s := range all {
					s.mu.Lock()
					buf, _, _ = s.take(buf[:0], batch, true, time.Time{})
					s.mu.Unlock()
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(len(buf)), "bytes/line")
			for _, s := range all { // their bindings were never run
				m.wg.Done()
				s.terminate(cause{})
			}
			if err := m.Close(b.Context()); err != nil {
				b.Error(err)
			}
		})
	}
}

// TestDeliveryAllocs: from the event in the queue to the line in the history nothing is allocated, once the history is full.
func TestDeliveryAllocs(t *testing.T) {
	inWorld(t, Config{HistoryBytes: 16 << 10}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "MERGE", "i", "a b c d", ""))
		c.take()
		c.cut()
		s := c.b.s
		q := s.subs[1].queues[0]
		events := make([]provider.Update, 10)
		for i := range events {
			events[i] = update(fmt.Sprintf("a=%d b=x c=y d=z", i))
		}
		w.feed.sinks["i"].Update(events[0])
		buf := make([]byte, 0, 4096)
		i := 0
		b := &Binding{s: s, client: ws}
		deliver := func() { // a thousand, since the average is rounded down
			for range 1000 {
				i++
				w.feed.sinks["i"].Update(events[i%10]) // 2: the row and the event, shared by all sessions
				s.mu.Lock()
				buf, _, _ = b.flow(buf[:0], q.turn)
				s.mu.Unlock()
			}
		}
		deliver() // until the history is full
		if n := testing.AllocsPerRun(10, deliver); n > 2000 {
			t.Errorf("%v allocations for a thousand updates, want the 2 of the item for each", n)
		}
	})
}
