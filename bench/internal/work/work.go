// Package work is the adapter's side of the benchmark's contract (see the README of this module), for peers written in Go: what the environment asks
// for, the contents of the updates, the pace, and what is printed at the end. What a peer adds is the way to send one update.
package work

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Config is what the harness asks for.
type Config struct {
	Addr     string // where to connect
	Kind     string // "data" or "metadata"
	Scenario string
	Shape    string
	Items    int // subscribed before producing starts
	Hot      int // updated: the first of them
	Threads  int
	Rate     int
	Inflight int64
}

// FromEnv reads the Config. What is not set is zero; there is one thread at least, and all items are hot.
func FromEnv() Config {
	c := Config{
		Addr: net.JoinHostPort(os.Getenv("ARI_HOST"), os.Getenv("ARI_PORT")), Kind: os.Getenv("ARI_KIND"), Scenario: os.Getenv("SCENARIO"),
		Shape: os.Getenv("SHAPE"), Items: number("ITEMS"), Hot: number("HOT"), Threads: max(1, number("THREADS")), Rate: number("RATE"),
		Inflight: int64(number("INFLIGHT")),
	}
	if c.Hot <= 0 || c.Hot > c.Items {
		c.Hot = c.Items
	}
	return c
}

func number(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

// SeqBase is what the sequence numbers of an item start from: its first update has the next one.
const SeqBase = 1000000000

// Table has the contents of updates: the names of the fields, and 64 rows of values that were made in advance.
type Table struct {
	Names []string
	rows  [64][]string // of all fields but seq and ts
}

// NewTable makes the contents for a SHAPE.
func NewTable(shape string) *Table {
	t := &Table{Names: []string{"seq", "ts", "last", "time", "bid", "ask", "bidqty", "askqty"}}
	tail, big := "", ""
	switch shape {
	case "escape":
		tail = "|+%\r\n"
	case "large":
		t.Names = append(t.Names, "big")
		big = strings.Repeat("0123456789abcdef", 1<<16)
	case "wide":
		for k := len(t.Names); k < 200; k++ {
			t.Names = append(t.Names, fmt.Sprintf("f%03d", k))
		}
	}
	for i := range t.rows {
		rr := fmt.Sprintf("%02d", i)
		row := []string{"1234.567" + rr, "12:34:" + rr + ".0", "1234.566" + rr, "1234.568" + rr, "10000000" + rr, "20000000" + rr}
		for k := range row {
			row[k] += tail
		}
		if big != "" {
			row = append(row, big)
		}
		for k := len(row) + 2; k < len(t.Names); k++ {
			row = append(row, fmt.Sprintf("%03d.%s", k, rr))
		}
		t.rows[i] = row
	}
	return t
}

// Fill sets the values of the update with that sequence number, in the order of Names.
func (t *Table) Fill(values []string, seq int64, ts string) {
	values[0] = strconv.FormatInt(seq, 10)
	values[1] = ts
	copy(values[2:], t.rows[seq&63])
}
