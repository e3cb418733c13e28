// Command goraw is the benchmark's reference adapter: the contract over hand-written protocol code, with no SDK. It checks the harness, and shows
// about what a Go adapter can reach when every update is still encoded field by field.
//
// With ARI_NOTIFY_PORT it has a second connection, for notifications, as older SDKs do. FAULT=drop, reorder, corrupt, lose or hang makes it misbehave, to
// see that the harness notices.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/bench/internal/work"
)

type sub struct{ item, id string }

// peer is the adapter, of either kind.
type peer struct {
	*work.Feed
	s      *sender
	notify *sender // the same, or that of a second connection
	subs   []sub
	active map[string]string // id of the subscription by item, as an adapter has to keep them
}

func main() {
	c := work.FromEnv()
	conn := dial(c.Addr)
	p := &peer{Feed: work.NewFeed(c), s: newSender(conn), active: map[string]string{}}
	p.notify = p.s
	const hello = "|RAC|S|enableClosePacket|S|true|S|SDK|S|goraw benchmark reference"
	p.s.reply("1", hello)
	if port := os.Getenv("ARI_NOTIFY_PORT"); port != "" {
		p.notify = newSender(dial(net.JoinHostPort(os.Getenv("ARI_HOST"), port)))
		p.notify.reply("1671795470123", hello) // a time in place of the id
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		raw, err := in.ReadSlice('\n')
		if err != nil {
			return // the end of the connection is the end of the run
		}
		line := string(bytes.TrimRight(raw, "\r\n"))
		id, rest, _ := strings.Cut(line, "|")
		verb, args, _ := strings.Cut(rest, "|")
		p.handle(id, verb, args)
	}
}

func dial(addr string) net.Conn {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "goraw:", err)
		os.Exit(1)
	}
	return conn
}

func (p *peer) handle(id, verb, args string) {
	switch verb {
	case "DPI", "MPI":
		p.s.reply(id, "|"+verb+"|S|ARI.version|S|1.9.1")
	case "SUB":
		p.subscribe(id, unescape(strings.TrimPrefix(args, "S|")))
	case "USB":
		delete(p.active, unescape(strings.TrimPrefix(args, "S|")))
		if len(p.active) == 0 {
			p.active = map[string]string{} // the old one keeps the room that it had needed
		}
		if p.Scenario == "STORM" || p.Scenario == "FIRST" {
			p.s.reply(id, "|USB|V")
			return
		}
		p.Stop()
		if os.Getenv("FAULT") == "hang" {
			select {}
		}
		p.s.reply(id, "|USB|V")
		p.Unsubscribed()
	case "NUS":
		p.s.reply(id, "|NUS|D|0|B|0")
	case "GIS", "GSC":
		f, at := strings.Split(args, "|"), 3
		if verb == "GSC" {
			at = 5
		}
		p.s.list(id, verb, strings.Split(unescape(f[at]), " "))
	}
}

func (p *peer) subscribe(id, item string) {
	p.active[item] = id
	p.s.reply(id, "|SUB|V")
	switch p.Scenario {
	case "STORM":
		return
	case "FIRST":
		p.Once(p.sender([]sub{{item, id}}))
		return
	}
	p.subs = append(p.subs, sub{item, id})
	if len(p.subs) == p.Items {
		subs := p.subs
		p.Start(func() work.Send { return p.sender(subs) })
		p.subs = nil
	}
}

// sender returns the function that sends updates, with the fault that was asked for.
func (p *peer) sender(subs []sub) work.Send {
	send := func(item int, values []string) bool {
		p.notify.update(subs[item], p.Names, values)
		return true
	}
	n := 0
	switch os.Getenv("FAULT") {
	case "drop":
		return func(item int, values []string) bool {
			n++
			return n == 500 || send(item, values)
		}
	case "reorder":
		return func(item int, values []string) bool {
			if n++; n == 500 {
				early := slices.Clone(values)
				seq, _ := strconv.ParseInt(values[0], 10, 64)
				p.Fill(early, seq+1, values[1])
				send(item, early)
			}
			return send(item, values)
		}
	case "lose":
		return func(item int, values []string) bool {
			n++
			return n > 500 || send(item, values)
		}
	case "corrupt":
		return func(item int, values []string) bool {
			if n++; n%100 == 1 {
				values[3] = "10:00:00.0"
			}
			return send(item, values)
		}
	}
	return send
}
