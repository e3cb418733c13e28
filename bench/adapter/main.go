// Command adapter is the SDK's entry in the benchmark: an adapter program that honours the harness's contract, written as a user of the SDK would write
// it. FORM chooses the event form: "row" (default), "map", "struct".
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

const seqBase = 1000000000

type config struct {
	scenario                     string
	form                         string
	items, threads, rate, credit int
}

func env(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

func main() {
	c := config{
		scenario: os.Getenv("SCENARIO"), form: os.Getenv("FORM"), items: env("ITEMS"), threads: env("THREADS"), rate: env("RATE"), credit: env("INFLIGHT"),
	}
	addr := os.Getenv("ARI_HOST") + ":" + os.Getenv("ARI_PORT")
	var server adapter.Runner = &adapter.DataServer{Provider: newFeed(c), Addr: addr, Reconnect: adapter.NoReconnect}
	if os.Getenv("ARI_KIND") == "metadata" {
		server = &adapter.MetadataServer{Provider: adapter.DefaultMetadata{}, Addr: addr, Reconnect: adapter.NoReconnect}
	}
	_ = server.Run(context.Background()) // ends with the connection, as it should
}

// feed is the Data Adapter of every scenario but REQUESTS.
type feed struct {
	config
	credits  *credits
	stopped  atomic.Bool
	running  sync.WaitGroup
	produced atomic.Int64

	mu   sync.Mutex
	subs []*adapter.Subscription
}

func newFeed(c config) *feed {
	f := &feed{config: c, credits: newCredits(c.credit)}
	if c.scenario == "CREDIT" {
		go f.credits.read(os.Stdin)
	}
	return f
}

// SnapshotAvailable says yes, as the contract wants it.
func (f *feed) SnapshotAvailable(context.Context, string) (bool, error) { return true, nil }

// Subscribe starts the producers when the last item has come.
func (f *feed) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	if f.scenario == "STORM" {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = append(f.subs, sub)
	if len(f.subs) == f.items {
		for t := range f.threads {
			var own []*adapter.Subscription
			for i := t; i < f.items; i += f.threads {
				own = append(own, f.subs[i])
			}
			f.running.Go(func() { f.produce(own) })
		}
	}
	return nil
}

// Unsubscribe ends the run when the first item goes.
func (f *feed) Unsubscribe(context.Context, *adapter.Subscription) error {
	if f.scenario == "STORM" || f.stopped.Swap(true) {
		return nil
	}
	f.credits.stop()
	f.running.Wait()
	fmt.Println("PRODUCED", f.produced.Load())
	return nil
}

func (f *feed) produce(subs []*adapter.Subscription) {
	p := newProducer(f.form, subs)
	defer func() { f.produced.Add(p.sent) }()
	if f.scenario == "LATENCY" {
		f.paced(p)
		return
	}
	for n := 0; !f.stopped.Load(); n++ {
		if n%64 == 0 {
			if f.scenario == "CREDIT" && !f.credits.take(64) {
				return
			}
			p.stamp()
		}
		p.next()
	}
}

// paced sends what is due since the start, about every millisecond.
func (f *feed) paced(p *producer) {
	start := monotonic()
	for n := int64(0); !f.stopped.Load(); time.Sleep(time.Millisecond) { //nolint:forbidigo // the contract's pace
		for due := (monotonic() - start) * int64(f.rate) / 1e9; n < due; n++ {
			p.stamp()
			p.next()
		}
	}
}

// producer updates its items in turn.
type producer struct {
	form string
	subs []*adapter.Subscription
	seqs []int64
	i    int
	ts   string
	sent int64
}

func newProducer(form string, subs []*adapter.Subscription) *producer {
	p := &producer{form: form, subs: subs, seqs: make([]int64, len(subs))}
	for i := range p.seqs {
		p.seqs[i] = seqBase
	}
	return p
}

func (p *producer) stamp() { p.ts = strconv.FormatInt(monotonic(), 10) }

var (
	schema = adapter.NewSchema("seq", "ts", "last", "time", "bid", "ask", "bidqty", "askqty")
	quotes = adapter.NewStruct[quote]()
	table  = makeTable()
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

func makeTable() (t [64][6]string) {
	for i := range t {
		rr := fmt.Sprintf("%02d", i)
		t[i] = [6]string{"1234.567" + rr, "12:34:" + rr + ".0", "1234.566" + rr, "1234.568" + rr, "10000000" + rr, "20000000" + rr}
	}
	return t
}

func (p *producer) next() {
	sub := p.subs[p.i]
	p.seqs[p.i]++
	seq := p.seqs[p.i]
	r := &table[seq&63]
	var err error
	switch p.form {
	case "map":
		err = sub.Update(adapter.Fields{
			"seq": strconv.FormatInt(seq, 10), "ts": p.ts, "last": r[0], "time": r[1], "bid": r[2], "ask": r[3], "bidqty": r[4], "askqty": r[5],
		})
	case "struct":
		err = quotes.Update(sub, &quote{seq, p.ts, r[0], r[1], r[2], r[3], r[4], r[5]})
	default:
		err = sub.Row(schema).Update(strconv.FormatInt(seq, 10), p.ts, r[0], r[1], r[2], r[3], r[4], r[5])
	}
	if err == nil {
		p.sent++
	}
	if p.i++; p.i == len(p.subs) {
		p.i = 0
	}
}

// credits bound the updates on their way: the harness tells on standard input how many have arrived.
type credits struct {
	mu       sync.Mutex
	changed  sync.Cond
	inflight int64
	taken    int64
	limit    int64
	stopped  bool
}

func newCredits(inflight int) *credits {
	c := &credits{inflight: int64(inflight), limit: int64(inflight)}
	c.changed.L = &c.mu
	return c
}

func (c *credits) read(in *os.File) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		n, _ := strconv.ParseInt(lines.Text(), 10, 64)
		c.mu.Lock()
		c.limit = n + c.inflight
		c.mu.Unlock()
		c.changed.Broadcast()
	}
}

// take returns false when the run is over.
func (c *credits) take(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.taken+n > c.limit && !c.stopped {
		c.changed.Wait()
	}
	c.taken += n
	return !c.stopped
}

func (c *credits) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.changed.Broadcast()
}
