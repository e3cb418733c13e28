package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// touchy is a Data and Metadata Adapter with callbacks for every temper: the first letter of the item or user chooses.
type touchy struct{ adapter.DefaultMetadata }

func (touchy) temper(ctx context.Context, name string) error {
	switch {
	case strings.HasPrefix(name, "p"):
		panic("boom")
	case strings.HasPrefix(name, "e"):
		return errors.New("no")
	case strings.HasPrefix(name, "h"):
		<-ctx.Done() // hangs as long as it may
	}
	return nil
}

func (p touchy) Subscribe(ctx context.Context, sub *adapter.Subscription) error {
	if strings.HasPrefix(sub.Item(), "h") {
		ctx = sub.Context()
	}
	if err := p.temper(ctx, sub.Item()); err != nil {
		return err
	}
	_ = sub.Snapshot(adapter.Fields{"f": sub.Item()})
	go func() {
		<-sub.Context().Done()
		_ = sub.Update(adapter.Fields{"f": "late"})
	}()
	return sub.EndOfSnapshot()
}

func (p touchy) Items(ctx context.Context, r adapter.ItemsRequest) ([]string, error) {
	return []string{r.Group}, p.temper(ctx, r.User)
}

func (p touchy) NotifyUserMessage(ctx context.Context, m adapter.UserMessage) error {
	return p.temper(ctx, m.User)
}

// dataTouchy is touchy as a Data Adapter only: a MetadataProvider's Initialize would be fine here too.
type dataTouchy struct{ touchy }

func (dataTouchy) Unsubscribe(context.Context, *adapter.Subscription) error { panic("boom") }

const hostileMaxLine = 1 << 12

// A victim is a server at the mercy of raw bytes.
type victim struct {
	t      *testing.T
	kind   AdapterKind
	conn   net.Conn
	server interface {
		Run(ctx context.Context) error
		Stats() adapter.Stats
	}
	cancel context.CancelFunc
	ended  chan error

	mu     sync.Mutex
	output bytes.Buffer
}

func newVictim(t *testing.T, kind AdapterKind) *victim {
	n := NewNetwork()
	l, err := n.Listen("proxy:1")
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, kind: kind, ended: make(chan error, 1)}
	if kind == DataAdapter {
		v.server = &adapter.DataServer{
			Provider: dataTouchy{}, Addr: "proxy:1", Dial: n.Dial, Reconnect: adapter.NoReconnect, MaxLine: hostileMaxLine, MaxPending: 1 << 14,
		}
	} else {
		v.server = &adapter.MetadataServer{
			Provider: touchy{}, Addr: "proxy:1", Dial: n.Dial, Reconnect: adapter.NoReconnect, MaxLine: hostileMaxLine,
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	v.cancel = cancel
	go func() { v.ended <- v.server.Run(ctx) }()
	if v.conn, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	go func() { // reads what comes until the connection ends
		buf := make([]byte, 4096)
		for {
			n, err := v.conn.Read(buf)
			v.mu.Lock()
			v.output.Write(buf[:n])
			v.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	synctest.Wait() // RAC is out
	return v
}

// send writes bytes and waits until the server has done what there is to do.
func (v *victim) send(p []byte) {
	_, _ = v.conn.Write(p)
	time.Sleep(50 * time.Millisecond) //nolint:forbidigo // virtual: callbacks that wait for others to return get their turn
	synctest.Wait()
}

func (v *victim) lines() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Split(strings.TrimSuffix(v.output.String(), "\r\n"), "\r\n")
}

// over returns what Run returned, if it did.
func (v *victim) over() (error, bool) { //nolint:revive // an error that is a result, not a failure
	select {
	case err := <-v.ended:
		v.ended <- err
		return err, true
	default:
		return nil, false
	}
}

// attack sends bytes before and after the initialisation and checks what must hold whatever they are.
func (v *victim) attack(before, after []byte) {
	method := map[AdapterKind]string{DataAdapter: "DPI", MetadataAdapter: "MPI"}[v.kind]
	v.send(before)
	v.send([]byte("\r\nthe-real-init|" + method + "|S|ARI.version|S|1.9.1\r\n"))
	v.send(after)
	v.send([]byte("\r\n"))
	if err, over := v.over(); over {
		v.allowed(err)
	} else if v.server.Stats().Initialised {
		v.stillServes()
	}
	v.sane(len(before) + len(after))
	v.stops()
}

// allowed checks that the connection ended for a reason that bytes can be.
func (v *victim) allowed(err error) {
	var closed *adapter.CloseError
	var refused *adapter.InitError
	if !errors.As(err, &closed) && !errors.As(err, &refused) && !errors.Is(err, adapter.ErrLineTooLong) {
		v.t.Errorf("Run returned %v", err)
	}
}

// stillServes checks that requests which have nothing to do with what was sent are answered.
func (v *victim) stillServes() {
	const item = "canary 0dd3b1c2"
	request, want := "canary-1|SUB|S|"+item, []string{"UD3|S|" + item + "|S|canary-1|B|1|S|f|S|" + item, "EOS|S|" + item + "|S|canary-1", "canary-1|SUB|V"}
	if v.kind == MetadataAdapter {
		request, want = "canary-1|GIS|S|user|S|"+item+"|S|S1", []string{"canary-1|GIS|S|" + item}
	}
	before := len(v.lines())
	v.send([]byte(request + "\r\n"))
	got := v.lines()[before:]
	for i := range got {
		if isEvent(got[i]) {
			_, got[i], _ = strings.Cut(got[i], "|")
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		v.t.Errorf("%q was answered %q, want %q", request, got, want)
	}
}

func isEvent(line string) bool {
	return strings.Contains(line, "|UD3|") || strings.Contains(line, "|EOS|")
}

// sane checks that what was written are lines, in proportion to what was read.
func (v *victim) sane(input int) {
	size := 0
	for i, line := range v.lines() {
		size += len(line)
		l, err := ari.ParseLine([]byte(line))
		if line != "KEEPALIVE" && (err != nil || l.Method == ari.Unknown) || i == 0 && l.Method != ari.RAC {
			v.t.Errorf("line %d is %q (%v)", i, line, err)
		}
	}
	if most := 10_000 + 200*input; size > most {
		v.t.Errorf("%d bytes were written for %d read", size, input)
	}
	if s := v.server.Stats(); s.Items < 0 || s.Callbacks < 0 || s.Items > s.Requests {
		v.t.Errorf("statistics make no sense: %+v", s)
	}
}

// stops checks that the server can be stopped at once.
func (v *victim) stops() {
	before := time.Now()
	v.cancel()
	err := <-v.ended
	if took := time.Since(before); took > 2*adapter.DefaultStopTimeout {
		v.t.Errorf("the stop took %v", took)
	}
	if err != nil {
		v.allowed(err)
	}
	_ = v.conn.Close()
	synctest.Wait()
	if s := v.server.Stats(); s.Connected || s.Initialised || s.Items != 0 || s.Callbacks != 0 {
		v.t.Errorf("after the end: %+v", s)
	}
}

// hostileInputs are what broken proxies may send; the fuzzer starts from them.
var hostileInputs = []string{
	"", "\n", "\r\n\r\n\r\n", "\x00", "\x00\n\x00\n", "|", "||||||||||\n", "x", "x|", "x|y", "x|y|", "KEEPALIVE\n", "1|KEEPALIVE\n",
	"half a li", "5|SUB|S|hal", "5|SUB|S|a\r5|SUB|S|b\r\n", "5|SUB|S|a\n5|SUB|S|a\n5|USB|S|a\n5|USB|S|a\n",
	"1|SUB|S|i\n2|USB|S|i\n3|SUB|S|i\n4|USB|S|i\n5|SUB|S|i\n", "1|SUB|S|hangs\n2|USB|S|hangs\n3|SUB|S|hangs\n4|SUB|S|hangs\n", "0|SUB|S|h0\n0|SUB|S|h1\n0|SUB|S|h2\n0|SUB|S|h3\n0|SUB|S|h4", "1|SUB|S|panics\n2|USB|S|panics\n3|USB|S|i\n",
	"1|SUB|S|error\n1|SUB|S|\n1|SUB|S|$\n1|SUB|S|#\n1|SUB|S\n1|SUB\n1|SUB|\n1|SUB|V\n1|SUB|I|3\n1|SUB|S|%zz\n1|SUB|S|%\n1|SUB|S|a|b|c|d\n",
	"|SUB|S|no id\n", "0|SUB|S|i\n", "1|SUB|S|\xff\xfe\n", "1|sub|S|i\n", "1|UD3|S|i|S|1|B|0\n1|EOS|S|i|S|1\n1|RAC|S|user|S|x\n1|FAL|E|x\n",
	"1|DPI|S|ARI.version|S|1.9.1\n1|DPI|S|ARI.version|S|1.9.1\n", "1|DPI|S|ARI.version|S|1.8.2\n", "1|DPI|S|ARI.version\n", "1|DPI\n", "1|DPI|S|keepalive_hint.millis|S|-99999999999999999999\n",
	"1|DPI|S|ARI.version|S|1.9.1|S|keepalive_hint.millis|S|1\n", "1|MPI|S|ARI.version|S|1.9.1\n1|MPI|S|ARI.version|S|1.9.1\n", "1|MPI|S|a|S|%zz\n",
	"0|CLOSE|S|reason|S|go+away\n", "0|CLOSE\n", "0|CLOSE|\n", "1|CLOSE|S|reason|S|x\n", "0|CLOSE|S|reason|S|%zz\n", "0|CLOSE|S|a|S|#|S|reason|S|#\n",
	"1|NUS|S|u|S|p\n2|NUA|S|u|S|p|S|#\n3|NNS|S|#|S|S1\n4|NSC|S|S1\n5|GIS|S|u|S|g|S|S1\n6|GSC|S|u|S|g|S|s|S|S1\n7|GIT|S|i\n8|GUI|S|u|S|i\n9|NUM|S|e|S|S1|S|m\n",
	"1|GIS|S|panics|S|g|S|S1\n2|GIS|S|hangs|S|g|S|S1\n3|GIS|S|u|S|g\n4|GIT\n5|GIT|\n6|GUI|S|u\n", "1|NNT|S|u|S|S1|I|3|M|M|S|g|S|D|S|s|I|1|I|2|S|#|I|2|S|a|S|b\n",
	"1|NNT|S|u|S|S1|I|3|M|M|S|g|S|D|S|s|I|1|I|2|S|#|I|2147483647|S|a\n", "1|NTC|S|S1|I|3|M|Z|S|g|S|D|S|s|I|x|I|2|S|#|I|-1|I|99999999999\n",
	"1|MDA|S|u|S|S1|P|Z|S|a|S|t\n2|MDC|S|u|S|S1|P|A|S|a|S|t|S|n\n", "64|FST|V\n64|FUS|B|1\n65|FST|E|x\n", "1|" + "GIT" + strings.Repeat("|S|i", 500) + "\n",
	"1|SUB|S|" + strings.Repeat("x", hostileMaxLine-8) + "\n", "1|SUB|S|" + strings.Repeat("x", hostileMaxLine) + "\n", strings.Repeat("x", 3*hostileMaxLine),
	strings.Repeat("\n", 1000), strings.Repeat("1|SUB|S|i\n", 200), strings.Repeat("1|SUB|S|hangs\n", 200), strings.Repeat("1|USB|S|i\n", 200), strings.Repeat("x|", 1000) + "\n",
}

// Whatever a proxy sends, an adapter does not panic, hang or write nonsense, and goes on to serve the other requests, unless it was sent what
// ends a connection.
func FuzzHostileProxy(f *testing.F) {
	for i, input := range hostileInputs {
		for _, metadata := range []bool{false, true} {
			f.Add(metadata, []byte(input), []byte(hostileInputs[(i*7+3)%len(hostileInputs)]))
			f.Add(metadata, []byte(nil), []byte(input))
		}
	}
	f.Fuzz(func(t *testing.T, metadata bool, before, after []byte) {
		if len(before)+len(after) > 1<<16 {
			return
		}
		kind := DataAdapter
		if metadata {
			kind = MetadataAdapter
		}
		synctest.Test(t, func(t *testing.T) { newVictim(t, kind).attack(before, after) })
	})
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A line without an end costs MaxLine and no more, and the connection.
func TestHugeLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVictim(t, DataAdapter)
		v.send([]byte("1|DPI|S|ARI.version|S|1.9.1\r\n"))
		v.send([]byte("2|SUB|S|i\r\n"))
		before := heap()
		chunk := bytes.Repeat([]byte("x"), 1<<20)
		sent := 0
		var err error
		for sent < 100<<20 && err == nil {
			var n int
			n, err = v.conn.Write(chunk)
			sent += n
		}
		if grown := heap() - before; grown > 4<<20 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
		if err == nil {
			t.Errorf("all of the %d bytes were taken", sent)
		}
		synctest.Wait()
		if err, over := v.over(); !over || !errors.Is(err, adapter.ErrLineTooLong) {
			t.Errorf("Run returned %v (%v), want ErrLineTooLong", err, over)
		}
		v.stops()
	})
}

// A proxy that asks at length, of callbacks that do not return, is not read any more when the
// requests take some 40 MB.
func TestLongRequestsCostTheirLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork()
		l, err := n.Listen("proxy:1")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s := &adapter.MetadataServer{Provider: touchy{}, Addr: "proxy:1", Dial: n.Dial, Reconnect: adapter.NoReconnect, MaxCallbacks: 8}
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("1|MPI|S|ARI.version|S|1.9.1\r\n")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := heap()
		line := []byte("2|GIS|S|hangs|S|" + strings.Repeat("g", 1<<20) + "|S|S1\r\n")
		const most = 500
		_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
		sent := 0
		for ; sent < most; sent++ {
			if _, err := conn.Write(line); err != nil {
				break
			}
		}
		if grown := heap() - before; sent == most || grown > 100<<20 {
			t.Errorf("%d requests of 1 MiB were taken, the heap has grown by %d MiB", sent, grown>>20)
		}
		_ = conn.Close()
		cancel()
		<-done
	})
}
