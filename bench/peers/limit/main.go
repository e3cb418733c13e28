// Command limit is the physical limit. In the tight loops it encodes a block of the very same update lines once, and writes it to the socket over and over,
// 64 KiB at a time; its sequences restart with every turn of the block. In the scenarios of latency it writes each update by a system call of its own, from the
// thread that makes it: nothing can come between.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lightstreamer-go/lightstreamer/bench/internal/work"
)

func main() {
	c := work.FromEnv()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", c.Addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "limit:", err)
		os.Exit(1)
	}
	in := bufio.NewReader(conn)
	ids, err := subscriptions(conn, in, c.Items)
	if err != nil {
		return // the end of the connection is the end of the run
	}
	if c.Scenario == "LATENCY" {
		work.NewFeed(c).Start(func() work.Send { return writeEach(conn.(*net.TCPConn), ids) })
		_, _ = io.Copy(io.Discard, in) // until the connection ends
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(0)
	}()
	all := block(ids)
	for at := 0; ; {
		end := min(at+64<<10, len(all))
		if _, err := conn.Write(all[at:end]); err != nil {
			return
		}
		if at = end; at == len(all) {
			at = 0
		}
	}
}

// subscriptions answers requests until all items have been subscribed, and returns their ids.
func subscriptions(conn net.Conn, in *bufio.Reader, items int) ([]string, error) {
	if _, err := io.WriteString(conn, "1|RAC|S|enableClosePacket|S|true|S|SDK|S|limit\r\n"); err != nil {
		return nil, err
	}
	ids := make([]string, 0, items)
	var replies strings.Builder
	for len(ids) < items {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		id, rest, _ := strings.Cut(line, "|")
		switch verb, _, _ := strings.Cut(rest, "|"); verb {
		case "DPI":
			if _, err := io.WriteString(conn, id+"|DPI|S|ARI.version|S|1.9.1\r\n"); err != nil {
				return nil, err
			}
		case "SUB":
			ids = append(ids, id)
			replies.WriteString(id + "|SUB|V\r\n")
		}
	}
	_, err := io.WriteString(conn, replies.String())
	return ids, err
}

// block encodes some 8,000 updates of the items in turn.
func block(ids []string) (all []byte) {
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	table := work.NewTable("")
	values := make([]string, len(table.Names))
	stamp := strings.Repeat("1", 12) // of the usual length, and never in the future
	for turn := range (8000 + len(ids) - 1) / len(ids) {
		table.Fill(values, int64(work.SeqBase+turn+1), stamp)
		for i, id := range ids {
			all = append(all, now+"|UD3|S|item-"+strconv.Itoa(i)+"|S|"+id+"|B|0"...)
			for f, name := range table.Names {
				all = append(all, "|S|"+name+"|S|"+values[f]...)
			}
			all = append(all, "\r\n"...)
		}
	}
	return all
}

// writeEach returns the function that writes an update, by a plain blocking system call.
func writeEach(conn *net.TCPConn, ids []string) work.Send {
	file, err := conn.File() // blocking, as conn is then too; nobody waits for it elsewhere but to end
	if err != nil {
		fmt.Fprintln(os.Stderr, "limit:", err)
		os.Exit(1)
	}
	fd := int(file.Fd())
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	names := work.NewTable("").Names
	var line []byte
	return func(item int, values []string) bool {
		line = append(line[:0], now+"|UD3|S|item-"...)
		line = strconv.AppendInt(line, int64(item), 10)
		line = append(append(append(line, "|S|"...), ids[item]...), "|B|0"...)
		for f, name := range names {
			line = append(append(append(append(line, "|S|"...), name...), "|S|"...), values[f]...)
		}
		line = append(line, "\r\n"...)
		_, err := syscall.Write(fd, line)
		runtime.KeepAlive(file)
		return err == nil
	}
}
