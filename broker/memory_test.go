package broker

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// greedy is a client that does not read.
type greedy struct {
	t       *testing.T
	d       *demo
	conn    *wsconn.Conn
	session string
}

// attack opens a session, if there is one to be had.
func attack(t *testing.T, d *demo) *greedy {
	c, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Subprotocol: tlcp.Latest.Subprotocol()})
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(c.CloseNow)
	if err := c.WriteText([]byte("create_session\r\nLS_adapter_set=DEMO&LS_cid=test&LS_send_sync=false")); err != nil {
		t.Error(err)
		return nil
	}
	m, err := c.ReadText()
	parts := strings.Split(string(m), ",")
	switch {
	case err != nil:
		t.Error(err)
		return nil
	case parts[0] == "CONERR" && parts[1] == "6":
		return nil // the broker is full: to come back later
	case parts[0] != "CONOK":
		t.Errorf("got %q", m)
		return nil
	}
	return &greedy{t: t, d: d, conn: c, session: parts[1]}
}

// ask sends a control request on a connection of its own, and reports whether it was granted.
func (a *greedy) ask(format string, args ...any) bool {
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.d.URL()+"/lightstreamer/control.txt?LS_protocol=TLCP-2.5.0&LS_session="+a.session,
		strings.NewReader("LS_reqId=1&"+fmt.Sprintf(format, args...)))
	if err != nil {
		a.t.Error(err)
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Error(err)
		return false
	}
	defer resp.Body.Close()
	body := make([]byte, 300)
	n, _ := resp.Body.Read(body)
	got := string(body[:n])
	for _, allowed := range []string{"REQOK,1", "REQERR,1,21,", "REQERR,1,23,", "REQERR,1,68,", "REQERR,1,19,"} {
		if strings.HasPrefix(got, allowed) {
			return allowed == "REQOK,1"
		}
	}
	a.t.Errorf("got %q", got)
	return false
}

// change gives a value to an item and to a row of the table, if anybody has them.
func (d *demoData) change(i int, v string) {
	d.mu.Lock()
	one, rows := d.sinks[fmt.Sprint("merge", i)], d.sinks["table"]
	d.mu.Unlock()
	if one != nil {
		one.Update(provider.Update{Fields: fields("v", v)})
	}
	if rows != nil {
		rows.Update(provider.Update{Fields: fields("key", fmt.Sprint("k", i), "command", "UPDATE", "v", v)})
	}
}

func many(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return strings.TrimSpace(b.String())
}

// attacks are what clients can do to fill a broker. Each takes what it gets.
var attacks = map[string]func(a *greedy, i int){
	"names": func(a *greedy, i int) {
		for s := range 20 {
			a.ask("LS_op=add&LS_subId=%d&LS_mode=MERGE&LS_schema=a&LS_group=%s", s+1, many(fmt.Sprintf("n%d-%d-%%d ", i, s), 2000))
		}
	},
	"long names": func(a *greedy, i int) {
		for s := range 200 {
			a.ask("LS_op=add&LS_subId=%d&LS_mode=MERGE&LS_schema=a&LS_group=l%d-%d-%s", s+1, i, s, strings.Repeat("n", 45_000))
		}
	},
	"fields": func(a *greedy, i int) {
		for s := range 50 {
			a.ask("LS_op=add&LS_subId=%d&LS_mode=MERGE&LS_schema=%s&LS_group=%s", s+1, many(fmt.Sprintf("f%d-%d-%%d ", i, s), 900), many("merge%d ", 2000))
		}
	},
	"snapshots": func(a *greedy, _ int) {
		for s := range 50 {
			a.ask("LS_op=add&LS_subId=%d&LS_mode=COMMAND&LS_schema=key%%20command%%20v&LS_group=%s&LS_snapshot=true", s+1, strings.TrimSpace(strings.Repeat("table ", 200)))
		}
	},
	"stalled": func(a *greedy, _ int) {
		for s, mode := range []string{"RAW", "MERGE", "MERGE"} {
			a.ask("LS_op=add&LS_subId=%d&LS_mode=%s&LS_schema=v&LS_group=%s&LS_snapshot=true", s+1, mode, many("merge%d ", 300))
		}
		a.ask("LS_op=add&LS_subId=9&LS_mode=COMMAND&LS_schema=key%%20command%%20v&LS_group=table&LS_snapshot=true")
	},
	"churn": func(a *greedy, i int) {
		for s := range 40 {
			a.ask("LS_op=add&LS_subId=1&LS_mode=MERGE&LS_schema=a&LS_group=%s", many(fmt.Sprintf("c%d-%d-%%d ", i, s), 1000))
			a.ask("LS_op=delete&LS_subId=1")
		}
	},
}

// TestMemoryUnderTheWorstClients: many clients of all kinds at once drive a broker to its budget,
// and not beyond; who holds little notices nothing; and when they have gone everything is there
// again.
func TestMemoryUnderTheWorstClients(t *testing.T) {
	const memory = 24 << 20
	d := startDemo(t, Config{
		Linger: 5 * time.Second, RecoveryTimeout: 10 * time.Millisecond,
		Limits: Limits{Memory: memory, SessionMemory: 4 << 20, QueueBytes: 512 << 10},
	})
	victim := dial(t, d)
	victim.open("")
	victim.send("control", "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=MERGE&LS_schema=v&LS_group=mine&LS_ack=false")
	victim.expect("SUBOK,1,1,1", "CONF,1,unlimited,filtered")
	table := attack(t, d)
	table.ask("LS_op=add&LS_subId=1&LS_mode=COMMAND&LS_schema=key%%20command&LS_group=table")

	before := liveHeap()
	var still sync.Mutex // held while nothing is to change
	stop, fed := make(chan struct{}), make(chan struct{})
	go func() { // ends with the attacks; everything changes all the time
		defer close(fed)
		for round := 0; ; round++ {
			for i := range 300 {
				select {
				case <-stop:
					return
				default:
				}
				still.Lock()
				d.data.change(i, fmt.Sprintf("%d-%d-%s", round, i, strings.Repeat("x", 2000)))
				still.Unlock()
			}
		}
	}()
	var heap, accounted int64
	n := 0
	for wave := range 2 {
		var attackers sync.WaitGroup
		for i := range 3 {
			for _, how := range attacks {
				attackers.Go(func() {
					if a := attack(t, d); a != nil {
						how(a, 3*wave+i)
					}
				})
			}
		}
		done := make(chan struct{})
		go func() { // ends with them
			attackers.Wait()
			close(done)
		}()
		for over := false; !over; n++ {
			select {
			case <-done:
				over = true
			default:
			}
			d.data.update(t, "mine", "v", fmt.Sprint(n))
			victim.expect(fmt.Sprint("U,1,1,", n))
			accounted = max(accounted, d.Stats().Memory)
		}
		still.Lock() // what is garbage by the end of a collection would count
		heap = max(heap, liveHeap()-before)
		still.Unlock()
	}
	close(stop)
	<-fed
	st := d.Stats()
	t.Logf("heap %d, accounted %d of %d; %+v", heap, accounted, memory, st)
	// What the attackers hold themselves is in the figure, too, and requests in flight.
	if limit := int64(memory + 16<<20); heap > limit {
		t.Errorf("the heap has grown by %d bytes, want at most %d", heap, limit)
	}
	if accounted < memory/2 || accounted > memory+memory/4 {
		t.Errorf("%d bytes were accounted for, with a budget of %d", accounted, memory)
	}
}

// liveHeap is what a collection finds in use, without what is garbage by the time it has ended.
func liveHeap() int64 {
	runtime.GC()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return int64(live[0].Value.Uint64())
}
