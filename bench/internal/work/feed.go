package work

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Send passes one update of the item with that number, counted from 0 in the order of subscription, to the SDK. The values, in the order of
// Table.Names, are good until it returns. It tells whether the update was accepted.
type Send func(item int, values []string) bool

// Feed runs the producers of a Data Adapter.
type Feed struct {
	Config
	*Table

	credits  *credits
	stopped  atomic.Bool
	running  sync.WaitGroup
	produced atomic.Int64
	left     atomic.Int64
}

// NewFeed reads what is to be done from the environment, and credits from standard input if there are any.
func NewFeed(c Config) *Feed {
	f := &Feed{Config: c, Table: NewTable(c.Shape), credits: newCredits(c.Inflight)}
	if c.Scenario == "CREDIT" {
		go f.credits.read(os.Stdin) // ends with the process
	}
	return f
}

// Start is called when the last item has been subscribed; newSend is called for each producer.
func (f *Feed) Start(newSend func() Send) {
	for t := range f.Threads {
		p := &producer{f: f, first: t, send: newSend(), seqs: make([]int64, 0, f.Hot/f.Threads+1), values: make([]string, len(f.Names))}
		for i := t; i < f.Hot; i += f.Threads {
			p.seqs = append(p.seqs, SeqBase)
		}
		f.running.Go(p.run)
	}
}

// Once sends the first update of item 0: the FIRST scenario.
func (f *Feed) Once(send Send) {
	values := make([]string, len(f.Names))
	f.Fill(values, SeqBase+1, strconv.FormatInt(Monotonic(), 10))
	send(0, values)
}

// Stop ends the producers and prints how much they produced. Only the first call does, and tells so.
func (f *Feed) Stop() bool {
	if f.stopped.Swap(true) {
		return false
	}
	f.credits.stop()
	f.running.Wait()
	var gc debug.GCStats
	gc.PauseQuantiles = make([]time.Duration, 3)
	debug.ReadGCStats(&gc)
	fmt.Println("STAT gc_cycles", gc.NumGC)
	fmt.Println("STAT gc_pause_p50_us", gc.PauseQuantiles[1].Seconds()*1e6)
	fmt.Println("STAT gc_pause_max_us", gc.PauseQuantiles[2].Seconds()*1e6)
	fmt.Println("PRODUCED", f.produced.Load())
	return true
}

// Unsubscribed counts the items that have been unsubscribed. After the last one, what is left on the heap is measured and printed.
func (f *Feed) Unsubscribed() {
	if f.left.Add(1) != int64(f.Items) {
		return
	}
	go func() { // not before the reply, whose time is measured
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Println("STAT heap_after_mb", float64(m.HeapAlloc)/(1<<20))
	}()
}

// producer updates every Threads-th item, in turn.
type producer struct {
	f      *Feed
	first  int
	send   Send
	seqs   []int64
	i      int // whose turn it is, in seqs
	ts     string
	sent   int64
	values []string
}

func (p *producer) run() {
	defer func() { p.f.produced.Add(p.sent) }()
	if len(p.seqs) == 0 {
		return
	}
	if p.f.Scenario == "LATENCY" {
		p.paced()
		return
	}
	credit := p.f.Scenario == "CREDIT"
	for n, have := int64(0), int64(0); !p.f.stopped.Load(); n++ {
		if credit {
			if have == 0 {
				have = p.f.credits.take()
				if have == 0 {
					return
				}
			}
			have--
		}
		if n%64 == 0 {
			p.stamp()
		}
		p.next()
	}
}

// paced sends what is due since the start, about every millisecond.
func (p *producer) paced() {
	start := Monotonic()
	for n := int64(0); !p.f.stopped.Load(); time.Sleep(time.Millisecond) { //nolint:forbidigo // the contract's pace
		for due := (Monotonic() - start) * int64(p.f.Rate) / 1e9; n < due; n++ {
			p.stamp()
			p.next()
		}
	}
}

func (p *producer) stamp() { p.ts = strconv.FormatInt(Monotonic(), 10) }

func (p *producer) next() {
	p.seqs[p.i]++
	p.f.Fill(p.values, p.seqs[p.i], p.ts)
	if p.send(p.first+p.i*p.f.Threads, p.values) {
		p.sent++
	}
	if p.i++; p.i == len(p.seqs) {
		p.i = 0
	}
}
