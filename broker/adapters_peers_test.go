package broker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
)

// fickle is a Data Adapter that cannot be initialised at first.
type fickle struct {
	quotes
	tries atomic.Int32
}

func (f *fickle) Initialize(context.Context, adapter.Init) error {
	if f.tries.Add(1) < 3 {
		return errors.New("no feed yet")
	}
	return nil
}

// TestNoAdapterAtItsPort: port scans, web requests and adapters that refuse to start end neither
// the broker, whose proxy is a basic one, nor a robust proxy; the adapter that comes at last is
// served, and what was before is counted.
func TestNoAdapterAtItsPort(t *testing.T) {
	for _, data := range []string{basicData, robustData} {
		r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{xmlSet(t, literalXML, data)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		at := r.Adapters()[0].Addr.String()
		for _, said := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01"} {
			nc, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(nc, said)
			nc.Close()
		}
		f := new(fickle)
		for f.tries.Load() < 2 {
			server := &adapter.DataServer{Provider: f, Addr: at, Reconnect: adapter.NoReconnect}
			if err := server.Run(t.Context()); err == nil {
				t.Fatal("an adapter that cannot be initialised was served")
			}
		}
		run(t, &adapter.DataServer{Provider: f, Addr: at})
		select {
		case <-r.Ready():
		case <-r.Done():
			t.Fatal(r.Err())
		}
		seeQuote(t, &demo{Running: r})
		st := r.Stats().Adapters[0]
		if st.Connections != 1 || st.Probes < 2 || !strings.Contains(st.LastRefusal, "no feed yet") {
			t.Errorf("%+v", st)
		}
	}
}

// there is a proxy with a remote.
type there struct{ remote }

func (there) Connected() time.Time { return time.Unix(1, 0) }
func (there) Stats() proxy.Stats   { return proxy.Stats{} }

// TestSplitSet: adapters of one set that come from different machines are warned about once for
// each pair of addresses.
func TestSplitSet(t *testing.T) {
	var log bytes.Buffer
	a := &adapters{cfg: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, ctx: t.Context()}
	s := a.newService("DEMO", nil)
	var sides []*side
	for _, label := range []string{"META", "DATA", "DIALED"} {
		sides = append(sides, &side{label: label, remote: there{}})
	}
	sides[2].at.RemoteAddr = "10.9.9.9:1"
	s.sides = sides
	come := func(i int, from string) int {
		before := strings.Count(log.String(), "\n")
		addr, err := net.ResolveTCPAddr("tcp", from)
		if err != nil {
			t.Fatal(err)
		}
		s.cameFrom(sides[i], addr)
		return strings.Count(log.String(), "\n") - before
	}
	for i, tt := range []struct {
		side int
		from string
		want int
	}{
		{0, "127.0.0.1:1", 0}, {1, "[::1]:2", 0}, {2, "10.9.9.9:3", 0}, // one machine, and one that was dialed
		{1, "10.0.0.7:4", 1}, {1, "10.0.0.7:5", 0}, {0, "10.0.0.7:6", 0}, {0, "10.0.0.8:7", 1}, {1, "10.0.0.8:8", 0}, {1, "10.0.0.7:9", 0},
	} {
		if got := come(tt.side, tt.from); got != tt.want {
			t.Errorf("%d: %d warnings for %s, want %d\n%s", i, got, tt.from, tt.want, log.String())
		}
	}
}
