package adaptertest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// A request right behind the initialisation, which is still at work on a goroutine of its own.
func TestRequestRightBehindTheInitialisation(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			v := newVictim(t, DataAdapter)
			v.send([]byte("1|DPI|S|ARI.version|S|1.9.1\r\n2|SUB|S|i\r\n"))
			v.stops()
		})
	}
}

// A proxy that goes on asking and never reads must not fill the memory of the adapter with replies.
func TestRequestsWithoutReading(t *testing.T) {
	for _, tt := range []struct {
		kind AdapterKind
		line string
	}{
		{DataAdapter, "1|SUB|S\r\n"},         // malformed: refused by the reader itself
		{DataAdapter, "1|USB|S|nothing\r\n"}, // answered by a callback's goroutine
		{DataAdapter, "1|SUB|S|hangs\r\n"},   // queued behind one at work
		{MetadataAdapter, "1|GIT|S|a\r\n"},
	} {
		t.Run(fmt.Sprintf("%d %s", tt.kind, strings.TrimSpace(tt.line)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVictim(t, tt.kind)
				method := map[AdapterKind]string{DataAdapter: "DPI", MetadataAdapter: "MPI"}[tt.kind]
				v.send([]byte("1|" + method + "|S|ARI.version|S|1.9.1\r\n"))
				in := v.conn.(*socket).in
				in.update(func() { in.stalled = true })
				before := heap()
				chunk := bytes.Repeat([]byte(tt.line), 1000)
				// A server may stop reading, or end the connection; each is a bound.
				_ = v.conn.SetWriteDeadline(time.Now().Add(time.Hour))
				for range 400 {
					if _, err := v.conn.Write(chunk); err != nil {
						break
					}
					synctest.Wait()
				}
				if grown := heap() - before; grown > 8<<20 {
					t.Errorf("the heap has grown by %d bytes", grown)
				}
				v.cancel()
				<-v.ended
				in.update(func() { in.stalled = false })
				_, _ = io.Copy(io.Discard, v.conn)
				_ = v.conn.Close()
			})
		})
	}
}

// Workers that join later belong to the server in profiles too, and so do the goroutines that callbacks start on them.
func TestLabelsOfLaterWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		got := record(t, func(tb testing.TB) {
			p := NewProxy(tb)
			p.Run(&adapter.DataServer{Provider: subscribe(func(sub *adapter.Subscription) error {
				go func() { <-end }()
				<-sub.Context().Done()
				return nil
			})})
			c := p.Accept()
			for i := range 40 {
				c.Subscribe(fmt.Sprint("i", i))
			}
			time.Sleep(time.Second) //nolint:forbidigo // virtual
		})
		close(end)
		if len(got) != 1 || !strings.Contains(got[0], "40 goroutine(s)") {
			t.Errorf("40 goroutines were left: %q", got)
		}
	})
}
