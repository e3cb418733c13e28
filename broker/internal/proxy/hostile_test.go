package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// TestHugeLine: a line without end is cut off at the bound, whatever the remote goes on to send.
func TestHugeLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := newLog()
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true, Logger: log, MaxLine: 1 << 20}})
		r := connectData(t, ln)
		chunk := bytes.Repeat([]byte("x"), 1<<20)
		for range 100 {
			if _, err := r.nc.Write(chunk); err != nil {
				break
			}
		}
		r.expect("0|CLOSE|S|reason|S|line+too+long")
		r.gone()
		synctest.Wait()
		if !strings.Contains(text.String(), "line longer than the bound") {
			t.Error(text)
		}
		d.Subscribe("i", "", &sink{t: t})
		connectData(t, ln).request("SUB|S|i")
	})
}

// TestHalfLines: bytes may come one by one, and a line may never be completed.
func TestHalfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{})
		r := connect(t, ln)
		id, _, _ := strings.Cut(r.next(), "|")
		for _, b := range []byte(rac + "\n" + id + "|DPI|S|ARI.version|S|1.9.1\r\r\n") {
			_, _ = r.nc.Write([]byte{b})
		}
		<-d.Ready()
		_, _ = r.nc.Write([]byte("1|UD3|S|i"))
		r.silent()
		r.nc.Close()
		<-d.Done()
	})
}

// TestNoise: what is ignored does not fill the log.
func TestNoise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := newLog()
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Logger: log}})
		r := connectData(t, ln)
		for i := range 1000 {
			r.say("x%d|SUB|V", i)
			r.say("1|%s|V", strings.Repeat("Z", 5000))
			r.say("\x00\xff|")
		}
		r.silent()
		if d.Stats().Malformed != 3000 || len(text.String()) > 20_000 {
			t.Errorf("%d lines ignored, %d bytes logged", d.Stats().Malformed, len(text.String()))
		}
	})
}

// TestRemoteDoesNotRead: requests wait for it, and nothing ends or gets lost for their number.
func TestRemoteDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{MaxUnsent: 10_000}})
		nc := deaf(t, ln, ari.Metadata)
		<-m.Ready()
		const many = 1000
		for i := range many {
			m.NotifySessionClose(fmt.Sprintf("%0100d", i))
		}
		synctest.Wait()
		if got := m.Stats(); got.Waiting < many-250 || m.Err() != nil {
			t.Errorf("%+v, %v", got, m.Err())
		}
		r := newRemote(t, nc)
		for i := range many {
			r.say("%s|NSC|V", r.request(fmt.Sprintf("NSC|S|%0100d", i)))
		}
		r.silent()
		if got := m.Stats(); got.Waiting != 0 || got.TimedOut != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// deaf connects a remote that initialises and does not read from then on.
func deaf(t *testing.T, ln *memListener, ch ari.Channel) net.Conn {
	t.Helper()
	nc, err := ln.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	buf := make([]byte, 1000)
	n, _ := nc.Read(buf)
	id, _, _ := strings.Cut(string(buf[:n]), "|")
	_, _ = nc.Write(append(ari.AppendInitReply([]byte(rac+"\r\n"), id, ch, ari.V191), '\n'))
	return nc
}

// TestRemoteAsksWithoutReading: the answers that wait for it are bounded.
func TestRemoteAsksWithoutReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{MaxUnsent: 10_000, Robust: true}})
		nc := deaf(t, ln, ari.Metadata)
		<-m.Ready()
		asked := 0
		for ; asked < 100_000; asked++ {
			if _, err := fmt.Fprintf(nc, "%x|FST|S|S1|V\r\n", asked); err != nil {
				break
			}
		}
		if asked > 5000 {
			t.Errorf("it could ask %d times", asked)
		}
		connectMetadata(t, ln)
	})
}

// TestRemoteDoesNotAnswer: the requests that it has and has not answered are bounded, and the
// others wait.
func TestRemoteDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{MaxPending: 50, Timeout: -1}})
		r := connectData(t, ln)
		for i := range 1000 {
			d.Subscribe(fmt.Sprint(i), "", &sink{t: t})
		}
		for i := range 50 {
			r.request(fmt.Sprintf("SUB|S|%d", i))
		}
		r.silent()
		pass(time.Hour)
		r.silent()
		if got := d.Stats(); got.Waiting != 950 || d.Err() != nil {
			t.Errorf("%+v, %v", got, d.Err())
		}
	})
}

// TestStorm: many goroutines subscribe and unsubscribe while an adversarial remote answers or not, fails, is lost and comes
// again. On the wire SUB and USB of an item alternate; no sink is called after its Unsubscribe or by two at a time; in the
// end every item is what the kernel left it.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true}, EventsRecovery: proxy.EnforceSnapshot})
		const items, rounds, lives = 20, 40, 15
		var wg sync.WaitGroup
		for i := range items {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				name := fmt.Sprint("item", i)
				for range rounds {
					s := &sink{t: t}
					d.Subscribe(name, "", s)
					pass(time.Duration(random.IntN(3)) * time.Millisecond)
					d.Unsubscribe(name)
					s.ended.Store(true)
					pass(time.Duration(random.IntN(2)) * time.Millisecond)
				}
				d.Subscribe(name, "", &sink{t: t})
			})
		}
		random := rand.New(rand.NewPCG(2, 2))
		for range lives {
			r := connectData(t, ln)
			stormLife(t, r, random, 200)
			r.nc.Close()
			synctest.Wait()
		}
		r := connect(t, ln).init(ari.Data, ari.Latest)
		drained := make(chan map[string]bool)
		go func() {
			on := map[string]bool{}
			for line := range r.lines {
				if l, err := ari.ParseLine([]byte(line)); err == nil && l.Method != ari.CLOSE {
					alternate(t, on, l)
				}
			}
			drained <- on
		}()
		wg.Wait()
		synctest.Wait()
		r.nc.Close()
		on := <-drained
		for i := range items {
			if !on[fmt.Sprint("item", i)] {
				t.Errorf("item%d is not subscribed in the end", i)
			}
		}
	})
}

func alternate(t *testing.T, on map[string]bool, l ari.Line) {
	item, err := ari.ParseItem(l.Body, ari.Latest)
	if err != nil {
		t.Errorf("%s %q: %v", l.Name, l.Body, err)
	}
	if sub := l.Method == ari.SUB; sub == on[item] {
		t.Errorf("%s of %s twice", l.Method, item)
	}
	on[item] = l.Method == ari.SUB
}

// stormLife reads n requests and answers them as it likes.
func stormLife(t *testing.T, r *remote, random *rand.Rand, n int) {
	on := map[string]bool{}
	for range n {
		select {
		case line, ok := <-r.lines:
			if !ok {
				t.Error("connection closed by the proxy")
				return
			}
			l, err := ari.ParseLine([]byte(line))
			if err != nil {
				t.Errorf("%q: %v", line, err)
				return
			}
			alternate(t, on, l)
			id, item := string(l.ID), strings.SplitN(line, "|", 4)[3]
			for _, answer := range []string{
				fmt.Sprintf("%s|%s|V", id, l.Method), fmt.Sprintf("%s|%s|EU|no", id, l.Method), fmt.Sprintf("%s|NUS|V", id),
				fmt.Sprintf("1|UD3|S|%s|S|%s|B|1|S|a|S|1", item, id), fmt.Sprintf("1|UD3|S|%s|S|%s|B|0|S|a|S|1", item, id),
				fmt.Sprintf("1|EOS|S|%s|S|%s", item, id), fmt.Sprintf("1|CLS|S|%s|S|%s", item, id), fmt.Sprintf("%s|%s", id, l.Method),
			} {
				if random.IntN(2) == 0 {
					r.say("%s", answer)
				}
			}
		case <-time.After(time.Second):
			return // the kernel is done
		}
	}
}

// TestGarbage feeds random bytes and random lines, before and after init.
func TestGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true}})
		random := rand.New(rand.NewPCG(3, 3))
		for i := range 100 {
			r := connect(t, ln)
			if i%2 == 0 {
				r.init(ari.Data, ari.Latest)
			}
			junk := make([]byte, random.IntN(5000))
			for j := range junk {
				junk[j] = "\r\n|SUBVED3#$%+0123\x00\xff"[random.IntN(20)]
			}
			_, _ = r.nc.Write(junk)
			r.nc.Close()
			synctest.Wait()
		}
		d.Subscribe("i", "", &sink{t: t})
		connectData(t, ln).request("SUB|S|i")
	})
}

// FuzzConnection: whatever a remote sends, neither proxy panics or hangs, and both close.
func FuzzConnection(f *testing.F) {
	f.Add([]byte("1|SUB|V\r\n"), false, uint8(4))
	f.Add([]byte("1|UD3|S|i|S|ID|B|1|S|a|S|%41\n1|EOS|S|i|S|ID\nID|SUB|EF|x\n"), false, uint8(4))
	f.Add([]byte("64|FST|S|S1|V\n65|FUS|S|S1|I|1\nID|NNS|I|5\nID|NNT|B|1|B|1\n"), true, uint8(4))
	f.Add([]byte("2|FAL|E|#\n"), true, uint8(3))
	f.Add([]byte(rac+"\nID|MPI|S|ARI.version|S|1.8.3\nID|GIT|I|1|D|NaN|M|RM\n"), true, uint8(9))
	f.Add([]byte("KEEPALIVE\n\n\r\r\n|||\n"), true, uint8(9))
	f.Fuzz(func(t *testing.T, said []byte, metadata bool, version uint8) {
		synctest.Test(t, func(t *testing.T) { fuzzOnce(t, said, metadata, version) })
	})
}

func fuzzOnce(t *testing.T, said []byte, metadata bool, version uint8) {
	cfg := proxy.Config{Set: "DEMO", MaxLine: 1 << 16, Timeout: time.Second}
	ln := newMemListener()
	cfg.Listener = ln
	ctx := t.Context()
	var stop func()
	var work func()
	if metadata {
		m, err := proxy.StartMetadata(ctx, proxy.MetadataConfig{Config: cfg})
		if err != nil {
			t.Fatal(err)
		}
		m.SetControl(&kernel{})
		stop = m.Close
		work = func() {
			_, _ = m.NotifyUser(ctx, provider.User{})
			_, _ = m.NotifyNewSession(ctx, provider.Null, "S1", nil)
			_, _ = m.Items(ctx, provider.Null, "g", "S1")
			_, _ = m.ItemData(ctx, []string{"i"})
			_, _ = m.UserItemData(ctx, provider.Null, []string{"i"})
			_, _ = m.NotifyNewTables(ctx, provider.Null, "S1", []provider.Table{table})
			m.NotifyTablesClose("S1", []provider.Table{table})
			m.NotifySessionClose("S1")
		}
	} else {
		d, err := proxy.StartData(ctx, proxy.DataConfig{Config: cfg})
		if err != nil {
			t.Fatal(err)
		}
		stop = d.Close
		s := &sink{t: t}
		work = func() {
			d.Subscribe("i", "", s)
			pass(time.Millisecond)
			d.Unsubscribe("i")
			s.ended.Store(true)
		}
	}
	nc, err := ln.dial()
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	first := make(chan []byte, 1)
	reading.Go(func() {
		buf := make([]byte, 4096)
		n, _ := nc.Read(buf)
		id, _, _ := bytes.Cut(buf[:n], []byte("|"))
		first <- id
		_, _ = io.Copy(io.Discard, nc)
	})
	id := <-first
	if v := ari.Version(version); v >= ari.V180 && v <= ari.Latest {
		ch := ari.Data
		if metadata {
			ch = ari.Metadata
		}
		feed(nc, append([]byte(rac+"\n"), append(ari.AppendInitReply(nil, string(id), ch, v), '\n')...))
	}
	synctest.Wait()
	var working sync.WaitGroup
	working.Go(work)
	synctest.Wait()
	// ID stands for that of the first request after init; it is the second of the proxy.
	second := append([]byte("2"), id[1:]...)
	feed(nc, bytes.ReplaceAll(said, []byte("ID"), second))
	working.Wait()
	stop()
	nc.Close()
	reading.Wait()
}

// feed writes to a connection that the proxy may close at any time.
func feed(nc net.Conn, b []byte) { _, _ = nc.Write(b) }
