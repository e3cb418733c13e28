package adapter_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// Merging encoded events must be what merging maps is.
func TestMergeFieldsAgainstMaps(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	names := []string{"a", "aa", "S", "a|b", "", "command "}
	for range 2000 {
		model := map[string]string{}
		var merged []byte
		for range rng.IntN(6) {
			var event []byte
			for _, i := range rng.Perm(len(names))[:rng.IntN(len(names)+1)] {
				value := fmt.Sprint("v|", rng.IntN(100))
				if rng.IntN(5) == 0 {
					value = names[rng.IntN(len(names))]
				}
				event = ari.AppendField(event, ari.Smart, names[i], value)
				model[names[i]] = value
			}
			merged = adapter.MergeFields(merged, event)
		}
		u, err := ari.ParseUpdate([]byte("S|i|S|2|B|0"+string(merged)), ari.Latest)
		if err != nil {
			t.Fatalf("%q: %v", merged, err)
		}
		got := map[string]string{}
		for _, f := range u.Fields {
			got[f.Name] = f.Value.S
		}
		if len(got) != len(u.Fields) || fmt.Sprint(got) != fmt.Sprint(model) {
			t.Fatalf("merged %q, want %q", got, model)
		}
	}
}

// stalled returns a server at work whose proxy does not read, and its subscriptions to the items i and j.
func stalled(t *testing.T, change func(*adapter.DataServer)) (*running, *bufio.Reader, net.Conn, map[string]*adapter.Subscription) {
	ours, theirs := net.Pipe()
	subs := make(chan *adapter.Subscription, 2)
	s := &adapter.DataServer{
		Addr: "proxy:1", Dial: func(context.Context, string, string) (net.Conn, error) { return theirs, nil },
		MaxPending: 4096, Logger: testLogger(t), Keepalive: -1,
		Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
			subs <- sub
			return nil
		}),
	}
	change(s)
	r := start(t, s)
	in := bufio.NewReaderSize(ours, 16)
	readLines(t, in, 1)
	fmt.Fprint(ours, "1|DPI|S|ARI.version|S|1.9.1\r\n")
	readLines(t, in, 1)
	fmt.Fprint(ours, "2|SUB|S|i\r\n")
	readLines(t, in, 2)
	fmt.Fprint(ours, "3|SUB|S|j\r\n")
	readLines(t, in, 2)
	t.Cleanup(func() { _ = ours.Close() })
	return r, in, ours, map[string]*adapter.Subscription{"i": <-subs, "j": <-subs}
}

func readLines(t *testing.T, in *bufio.Reader, n int) []string {
	t.Helper()
	var lines []string
	for range n {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ = strings.Cut(strings.TrimSpace(line), "|")
		lines = append(lines, line)
	}
	return lines
}

func TestConflation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, in, conn, subs := stalled(t, func(s *adapter.DataServer) { s.WhenFull = adapter.Conflate })
		i, j := subs["i"], subs["j"]
		for n := range 20000 {
			if err := errors.Join(i.Update(adapter.Fields{"n": n}), i.Update(adapter.Fields{"m": n}), j.Update(adapter.Fields{"n": n})); err != nil {
				t.Fatal(err)
			}
		}
		// What is not an update of fields keeps its place behind those held.
		cleared := make(chan error)
		go func() { cleared <- i.ClearSnapshot() }()
		// Replies go at once.
		fmt.Fprint(conn, "9|USB|S|none\r\n")
		synctest.Wait()
		last := map[string]string{}
		seen := 0
		var order []string
		for {
			line := readLines(t, in, 1)[0]
			if line == "USB|V" {
				order = append(order, "reply")
				continue
			}
			if line == "CLS|S|i|S|2" {
				break
			}
			u, err := ari.ParseUpdate([]byte(strings.TrimPrefix(line, "UD3|")), ari.Latest)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			seen++
			for _, f := range u.Fields {
				last[u.Item+"."+f.Name] = f.Value.S
			}
		}
		if err := <-cleared; err != nil {
			t.Error(err)
		}
		want := map[string]string{"i.n": "19999", "i.m": "19999", "j.n": "19999"}
		if fmt.Sprint(last) != fmt.Sprint(want) && fmt.Sprint(last) != fmt.Sprint(map[string]string{"i.n": "19999", "i.m": "19999", "j.n": last["j.n"]}) {
			t.Errorf("last values %v, want %v", last, want)
		}
		if seen > 1000 {
			t.Errorf("%d updates were sent of 60,000 in a stall", seen)
		}
		if len(order) != 1 {
			t.Error("no reply before the end of the stall")
		}
	})
}

func TestRowsAreNotConflated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, in, _, subs := stalled(t, func(s *adapter.DataServer) { s.WhenFull = adapter.Conflate })
		done := make(chan error)
		go func() {
			var err error
			for n := range 500 {
				err = errors.Join(err, subs["i"].Add(fmt.Sprint("k", n), nil))
			}
			done <- err
		}()
		synctest.Wait()
		for n := range 500 {
			want := fmt.Sprintf("UD3|S|i|S|2|B|0|S|key|S|k%d|S|command|S|ADD", n)
			if got := readLines(t, in, 1)[0]; got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWaitingIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *adapter.DataServer
		waits := make(chan adapter.WaitInfo, 1000)
		_, in, _, subs := stalled(t, func(srv *adapter.DataServer) {
			s = srv
			srv.Events = &adapter.Events{Waiting: func(w adapter.WaitInfo) { waits <- w }}
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 200 {
				_ = subs["i"].Update(adapter.Fields{"f": strings.Repeat("x", 100)})
			}
		}()
		synctest.Wait()
		if w := <-waits; !w.Began || w.Item != "i" {
			t.Errorf("got %+v, want the beginning of a wait for i", w)
		}
		readLines(t, in, 200)
		<-done
		ended := false
		for len(waits) > 0 {
			ended = !(<-waits).Began
		}
		if !ended {
			t.Error("the last report is not the end of a wait")
		}
		if n := s.Stats().Waits; n == 0 {
			t.Error("Stats tells of no waits")
		}
	})
}

// With a proxy that does not read, a feed that never stops stays within MaxPending and a little more.
func TestMemoryIsBoundedInAStall(t *testing.T) {
	for _, policy := range []adapter.FullPolicy{adapter.Wait, adapter.Conflate} {
		const bound = 1 << 20
		waiting := make(chan struct{}, 1000)
		r, _, _, subs := stalled(t, func(s *adapter.DataServer) {
			s.MaxPending, s.WhenFull = bound, policy
			s.Events = &adapter.Events{Waiting: func(w adapter.WaitInfo) {
				if w.Began {
					waiting <- struct{}{}
				}
			}}
		})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := range 200_000 {
				if err := subs["i"].Update(adapter.Fields{"f": "0123456789012345678901234567890123456789", "n": n}); err != nil {
					return // the server was stopped
				}
			}
		}()
		if policy == adapter.Conflate {
			<-done
		} else {
			<-waiting
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 3*bound+8<<20 {
			t.Errorf("policy %d: the heap grew by %d bytes", policy, grown)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		<-done
	}
}
