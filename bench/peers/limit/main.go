// Command limit is the physical limit: it encodes a block of the very same update lines once, and writes it to the socket over and over, 64 KiB at a
// time. Its sequences restart with every turn of the block.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
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
	go func() {
		_, _ = io.Copy(io.Discard, in) // until the connection ends
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
