package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// extremes are tokens at the edges of what numbers, counts and texts can be.
var extremes = []string{
	"0", "-1", "1", "2147483647", "-2147483648", "2147483648", "9223372036854775807", "9223372036854775808", "1e308", "1e-308", "-1e999",
	"NaN", "Infinity", "-inf", "#", "$", "", "%", "%4", "%FF%00", "V", "S", "B", "I", "D", "M", "L", "F", "Y", "E", "EF", "EX", "true",
	strings.Repeat("9", 400), strings.Repeat("x", 5000), strings.Repeat("%0A", 3000), strings.Repeat("|S|a", 10_000), "\x00\xff\xfe",
}

var methods = []string{
	"RAC", "DPI", "MPI", "SUB", "USB", "UD3", "EOS", "CLS", "DFD", "FAL", "CLOSE", "FST", "FUS", "NUS", "NUA", "NNS", "NSC", "GIS", "GSC",
	"GIT", "GUI", "NUM", "NNT", "NTC", "KEEPALIVE", "XYZ",
}

// attackLine makes a line of valid shape with extreme contents; ids are those that the proxy has
// used.
func attackLine(random *rand.Rand, ids []string) string {
	pick := func(list []string) string { return list[random.IntN(len(list))] }
	id := pick(extremes)
	if len(ids) > 0 && random.IntN(3) > 0 {
		id = pick(ids)
	}
	line := id + "|" + pick(methods)
	for range random.IntN(12) {
		token := pick(extremes)
		if len(ids) > 0 && random.IntN(6) == 0 {
			token = pick(ids)
		}
		line += "|" + pick([]string{"S", "B", "I", "D", "M", "L", "F", "V", "E"}) + "|" + token
	}
	return line
}

// TestAttacker: a peer that speaks ARI with extreme numbers and sizes, as a remote that was
// initialised or as one that was not, costs the proxies its connection, some memory, and nothing
// else.
func TestAttacker(t *testing.T) {
	const rounds, lines, limit = 60, 150, 16 << 20
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	common := proxy.Config{Set: "DEMO", Robust: true, MaxLine: 1 << 20, Timeout: 200 * time.Millisecond}
	d, err := proxy.StartData(ctx, proxy.DataConfig{Config: common})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := proxy.StartMetadata(ctx, proxy.MetadataConfig{Config: common, MaxStoredBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.SetControl(&kernel{})
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	working.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			item := fmt.Sprint("i", i%50)
			d.Subscribe(item, "owner", nothing{})
			_, _ = m.NotifyMessage(ctx, provider.T("u"), "S1", "hello")
			_, _ = m.NotifyNewTables(ctx, provider.Null, "S1", []provider.Table{table})
			m.NotifyTablesClose("S1", []provider.Table{table})
			d.Unsubscribe(item)
		}
	})
	random := rand.New(rand.NewPCG(10, 10))
	before, highest := live(), uint64(0)
	for round := range rounds {
		addr, channel := d.Addr(), ari.Data
		if round%2 == 1 {
			addr, channel = m.Addr(), ari.Metadata
		}
		attack(t, random, addr, channel, round%3 > 0, lines)
		highest = max(highest, live())
	}
	if highest > before+limit {
		t.Errorf("%d MiB of memory were in use, before the attack %d", highest>>20, before>>20)
	}
	for _, ready := range []struct {
		addr net.Addr
		ch   ari.Channel
	}{{d.Addr(), ari.Data}, {m.Addr(), ari.Metadata}} {
		if id := initialise(t, ready.addr, ready.ch); id == "" {
			t.Errorf("no remote can connect at %v any more", ready.addr)
		}
	}
	if d.Err() != nil || m.Err() != nil {
		t.Errorf("%v, %v", d.Err(), m.Err())
	}
}

// live is how much memory is in use, garbage aside.
func live() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// attack is one connection of the attacker.
func attack(t *testing.T, random *rand.Rand, addr net.Addr, channel ari.Channel, initialised bool, lines int) {
	t.Helper()
	nc, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	buf := make([]byte, 64<<10)
	n, _ := nc.Read(buf)
	id, _, _ := strings.Cut(string(buf[:n]), "|")
	ids := []string{id}
	if initialised {
		_, _ = nc.Write(append(ari.AppendInitReply([]byte(rac+"\r\n"), id, channel, ari.Version(random.IntN(int(ari.Latest)+1))), "\r\n"...))
		n, _ = nc.Read(buf)
		for line := range strings.Lines(string(buf[:n])) {
			id, _, _ = strings.Cut(line, "|")
			ids = append(ids, id)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, nc) }() // ends with the connection
	for range lines {
		if _, err := nc.Write([]byte(attackLine(random, ids) + "\r\n")); err != nil {
			return // it was cut off
		}
	}
}

// initialise connects a remote until one is initialised, which may have to wait for the end of the
// last one, and returns the id of a request that follows.
func initialise(t *testing.T, addr net.Addr, channel ari.Channel) string {
	t.Helper()
	try := func() string {
		nc, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		buf := make([]byte, 64<<10)
		_, _ = nc.Write([]byte(rac + "\r\n"))
		n, _ := nc.Read(buf)
		id, rest, _ := strings.Cut(string(buf[:n]), "|")
		if strings.HasPrefix(rest, "CLOSE") {
			return ""
		}
		_, _ = nc.Write(append(ari.AppendInitReply(nil, id, channel, ari.Latest), "\r\n"...))
		if n, err = nc.Read(buf); err != nil || strings.Contains(string(buf[:n]), "CLOSE") {
			return ""
		}
		id, _, _ = strings.Cut(string(buf[:n]), "|")
		return id
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if id := try(); id != "" {
			return id
		}
	}
	return ""
}

// FuzzPorts: whatever comes on the two ports of a remote with two connections, the proxy does not
// panic or hang, closes, and takes a good pair afterwards.
func FuzzPorts(f *testing.F) {
	f.Add([]byte(rac+"\nID|DPI|V\n"), []byte(racNotify+"\n1|UD3|S|i|S|ID|B|0|S|a|S|1\n"))
	f.Add([]byte("KEEPALIVE\n"), []byte("1|RAC|S|user|S|x\n1|FAL|E|x\n"))
	f.Add([]byte(rac+"\n"+rac+"\n"), []byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("1|RAC|S|user|S|u|S|password|S|p\nID|DPI|E|no\n"), []byte("1|RAC|S|user|S|v\n"))
	f.Fuzz(func(t *testing.T, onMain, onNotify []byte) {
		fuzzPorts(t, onMain, onNotify)
	})
}

func fuzzPorts(t *testing.T, onMain, onNotify []byte) {
	synctest.Test(t, func(t *testing.T) {
		d, main, notify := twoPorts(t, proxy.DataConfig{Config: proxy.Config{Robust: true, MaxLine: 1 << 16, Timeout: time.Second}})
		m, n := connect(t, main), connect(t, notify)
		feed(n.nc, onNotify)
		var id string
		select {
		case line := <-m.lines:
			id, _, _ = strings.Cut(line, "|")
		case <-time.After(2 * time.Second):
		}
		feed(m.nc, bytes.ReplaceAll(onMain, []byte("ID"), []byte(id)))
		synctest.Wait()
		m.nc.Close()
		n.nc.Close()
		pass(4 * time.Second)
		m, n = connect(t, main), connect(t, notify)
		n.say(racNotify)
		m.init(ari.Data, ari.V183)
		<-d.Ready()
		d.Close()
	})
}
