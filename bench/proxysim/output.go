//go:build linux

package main

import (
	"bytes"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// output collects what an adapter prints: the PRODUCED and STAT lines of the contract, and the tail of the rest for diagnostics.
type output struct {
	mu       sync.Mutex
	part     []byte
	tail     []string
	facts    map[string]float64
	produced atomic.Int64 // -1 until told
	keep     atomic.Bool  // much is of interest
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.part = append(o.part, b...)
	for {
		line, rest, ok := bytes.Cut(o.part, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		o.line(strings.TrimSpace(string(line)))
		o.part = rest
	}
}

func (o *output) line(l string) {
	f := strings.Fields(l)
	if len(f) == 2 && f[0] == "PRODUCED" {
		if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
			o.produced.Store(n)
			return
		}
	}
	if len(f) == 3 && f[0] == "STAT" {
		if v, err := strconv.ParseFloat(f[2], 64); err == nil {
			if o.facts == nil {
				o.facts = map[string]float64{}
			}
			o.facts[f[1]] = v
			return
		}
	}
	most := 12
	if o.keep.Load() {
		most = 1000
	}
	if len(o.tail) > most {
		o.tail = o.tail[1:]
	}
	o.tail = append(o.tail, l)
}

// stats returns what STAT lines have told so far.
func (o *output) stats() map[string]float64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.facts)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.tail, "\n")
}
