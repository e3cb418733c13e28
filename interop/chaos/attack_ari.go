//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strings"
)

// hostileAdapter connects again and again, as an adapter of a set of its own, and sends what no
// adapter should: updates of nothing, garbage, and a line without an end.
func (a *attacker) hostileAdapter(ctx context.Context) error {
	connected, sent := 0, int64(0)
	for ctx.Err() == nil {
		conn, err := a.dial(ctx, "tcp", a.adapter)
		if err != nil {
			if wait(ctx, pauseBetween) != nil {
				return ctx.Err()
			}
			continue
		}
		connected++
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		// Answer the request for the initialisation, if there is one, as a good adapter.
		if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
			id, _, _ := strings.Cut(line, "|")
			_, _ = conn.Write([]byte(id + "|DPI|S|ARI.version|S|1.9.1\r\n"))
		}
		for i, chunk := range [][]byte{
			bytes.Repeat([]byte("1700000000000|UD3|S|nothing|S|1|B|0|S|n|S|1\r\n"), 20_000),
			bytes.Repeat([]byte("garbage|||\x00\xff\r\n"), 50_000),
			bytes.Repeat([]byte("9|SUB|V\r\n"), 50_000),
			bytes.Repeat([]byte("x"), 24<<20),
		} {
			n, err := conn.Write(chunk)
			sent += int64(n)
			if err != nil {
				break
			}
			a.tell(i > 0, "%d connections, %d MiB sent", connected, sent>>20)
		}
		stop()
		_ = conn.Close()
		if wait(ctx, pauseBetween) != nil { // it is not about who has more processors
			break
		}
		a.tell(true, "%d connections, %d MiB sent", connected, sent>>20)
	}
	return fmt.Errorf("over: %w", ctx.Err())
}
