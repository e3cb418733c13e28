//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// hostile is a session of an attacker over a WebSocket, which counts what it is answered.
type hostile struct {
	conn                     *wsconn.Conn
	refused, accepted, bytes atomic.Int64
	ended                    chan struct{}
	end                      atomic.Pointer[string] // the line that ended it
}

// session opens a session. read: what comes is read; otherwise it piles up.
func (a *attacker) session(ctx context.Context, read bool) (*hostile, error) {
	conn, err := wsconn.Dial(ctx, a.url+"/lightstreamer", wsconn.DialOptions{
		Options: wsconn.Options{ReadLimit: 64 << 20}, Subprotocol: tlcp.Latest.Subprotocol(), DialContext: a.dial,
	})
	if err != nil {
		return nil, err
	}
	h := &hostile{conn: conn, ended: make(chan struct{})}
	create := tlcp.CreateSession{AdapterSet: setID, ConnParams: tlcp.ConnParams{NoSync: true}}
	err = errors.Join(conn.WriteText([]byte("wsok")), h.request("create_session", string(create.Append(nil))))
	for err == nil {
		var m []byte
		if m, err = conn.ReadText(); err != nil {
			break
		}
		if bytes.HasPrefix(m, []byte("CONERR")) {
			err = fmt.Errorf("refused: %s", m)
		}
		if bytes.Contains(m, []byte("CONOK")) {
			break
		}
	}
	if err != nil {
		conn.CloseNow()
		return nil, err
	}
	if read {
		go h.read() // ends with the connection, which is the process's
	}
	return h, nil
}

func (h *hostile) request(name string, lines ...string) error {
	return h.conn.WriteText([]byte(name + "\r\n" + strings.Join(lines, "\r\n")))
}

func (h *hostile) read() {
	defer close(h.ended)
	for {
		m, err := h.conn.ReadText()
		if err != nil {
			return
		}
		h.bytes.Add(int64(len(m)))
		for line := range bytes.Lines(m) {
			switch tag, _, _ := bytes.Cut(line, []byte(",")); string(tag) {
			case "REQERR", "ERROR":
				h.refused.Add(1)
			case "REQOK":
				h.accepted.Add(1)
			case "END", "CONERR":
				text := strings.TrimSpace(string(line))
				h.end.Store(&text)
			}
		}
	}
}

func (h *hostile) String() string {
	text := fmt.Sprintf("%d accepted, %d refused, %d KiB received", h.accepted.Load(), h.refused.Load(), h.bytes.Load()>>10)
	if end := h.end.Load(); end != nil {
		text += ", " + *end
	}
	return text
}

func add(id int, mode, group, schema, more string) string {
	return fmt.Sprintf("LS_reqId=%d&LS_op=add&LS_subId=%d&LS_mode=%s&LS_group=%s&LS_schema=%s%s", id, id, mode, group, schema, more)
}

// names are different names of three letters and digits.
func names(from, n int) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	b := make([]byte, 0, 4*n)
	for i := from; i < from+n; i++ {
		b = append(b, digits[i/62/62%62], digits[i/62%62], digits[i%62], ' ')
	}
	return string(b[:len(b)-1])
}

// untilDone tells how it goes until the time is over.
func (a *attacker) untilDone(ctx context.Context, say func() string) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		a.tell(true, "%s", say())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// manyNames is V1: 25 subscriptions of 8,000 different names.
func (a *attacker) manyNames(ctx context.Context) error {
	h, err := a.session(ctx, true)
	if err != nil {
		return err
	}
	for i := range 25 {
		if err := h.request("control", add(i+1, "RAW", names(i*8000, 8000), "n", "")); err != nil {
			break // it is cut off: the others matter
		}
	}
	return a.untilDone(ctx, func() string { return "200,000 names: " + h.String() })
}

// manyFields is V2: one request of 48 KB that makes 144 million places of values.
func (a *attacker) manyFields(ctx context.Context) error {
	h, err := a.session(ctx, true)
	if err != nil {
		return err
	}
	many := strings.TrimSpace(strings.Repeat("a ", 12_000))
	if err := h.request("control", add(1, "MERGE", many, many, "&LS_snapshot=true")); err != nil {
		return err
	}
	return a.untilDone(ctx, func() string { return "12,000 items with 12,000 fields: " + h.String() })
}

// manyRows is V2: one request that asks for the 1,000 rows of an item 5,000 times.
func (a *attacker) manyRows(ctx context.Context) error {
	h, err := a.session(ctx, true)
	if err != nil {
		return err
	}
	if err := h.request("control", add(1, "COMMAND", strings.TrimSpace(strings.Repeat(bigItem+" ", 5000)), "key command n", "&LS_snapshot=true")); err != nil {
		return err
	}
	return a.untilDone(ctx, func() string { return "1,000 rows, 5,000 times: " + h.String() })
}

// manyMessages is V6: 1,000 messages of 48 KB, a moment after the session is there.
func (a *attacker) manyMessages(ctx context.Context) error {
	h, err := a.session(ctx, true)
	if err != nil {
		return err
	}
	a.tell(true, "a session")
	if err := wait(ctx, time.Second); err != nil {
		return err
	}
	text := strings.Repeat("m", 48_000)
	sent := 0
	stop := context.AfterFunc(ctx, h.conn.CloseNow) // a write may wait, as it should
	defer stop()
	for i := range 1000 {
		if h.request("msg", fmt.Sprintf("LS_reqId=%d&LS_msg_prog=%d&LS_message=%s", i+1, i+1, text)) != nil {
			break
		}
		if sent++; sent%50 == 0 {
			a.tell(true, "%d messages of 48 KB sent: %v", sent, h)
		}
	}
	return a.untilDone(ctx, func() string { return fmt.Sprintf("%d messages of 48 KB sent: %v", sent, h) })
}

// badRequests is V13: 48,000 lines that make no sense, and 50,000 names that the adapter refuses.
func (a *attacker) badRequests(ctx context.Context) error {
	h, err := a.session(ctx, true)
	if err != nil {
		return err
	}
	for range 3 {
		err = errors.Join(err, h.request("control", strings.Repeat("x\r\n", 16_000)))
	}
	for i := range 5 {
		refused := strings.ReplaceAll(names(i*9500, 9500), " ", refusedSuffix+" ")
		err = errors.Join(err, h.request("control", add(i+1, "RAW", refused, "n", "")))
	}
	return a.untilDone(ctx, func() string {
		text := "48,000 bad lines, 47,500 names refused: " + h.String()
		if err != nil {
			text += ", cut off: " + err.Error()
		}
		return text
	})
}

// manySessions is V8: 10,000 sessions as fast as they can be made, by requests for a poll.
func (a *attacker) manySessions(ctx context.Context) error {
	var made, refused atomic.Int64
	create := tlcp.CreateSession{AdapterSet: setID, ConnParams: tlcp.ConnParams{Polling: true, PollingInterval: 30 * time.Second}}
	body := string(create.Append(nil))
	const workers = 64
	c := &http.Client{Transport: &http.Transport{DialContext: a.dial, MaxIdleConnsPerHost: workers}, Timeout: 5 * time.Second}
	one := func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/lightstreamer/create_session.txt?LS_protocol="+tlcp.Latest.String(), strings.NewReader(body))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "text/plain")
		resp, err := c.Do(req)
		if err != nil {
			refused.Add(1)
			return
		}
		text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		_ = resp.Body.Close()
		if err == nil && bytes.Contains(text, []byte("CONOK")) {
			made.Add(1)
		} else {
			refused.Add(1)
		}
	}
	var wg sync.WaitGroup
	begin := time.Now()
	for range workers {
		wg.Go(func() {
			for range 10_500 / workers {
				if ctx.Err() != nil {
					return
				}
				one()
			}
		})
	}
	wg.Wait()
	text := fmt.Sprintf("%d sessions made, %d refused, in %v", made.Load(), refused.Load(), time.Since(begin).Round(time.Millisecond))
	return a.untilDone(ctx, func() string { return text })
}

// slowBodies is V3: 200 requests with a body that never comes, of all kinds that nobody reads.
func (a *attacker) slowBodies(ctx context.Context) error {
	heads := []string{
		"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
		"PUT /lightstreamer/control.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
		"OPTIONS /lightstreamer/control.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
		"POST /lightstreamer/control.txt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
	}
	return a.hold(ctx, 200, func(i int) string { return heads[i%len(heads)] }, "x")
}

// manyConnections takes every connection that it can get.
func (a *attacker) manyConnections(ctx context.Context) error {
	return a.hold(ctx, 600, func(int) string { return "GET / HTTP/1.1\r\n" }, "X-Slow: x\r\n")
}

// hold opens connections and sends a little on each, again and again.
func (a *attacker) hold(ctx context.Context, n int, head func(int) string, more string) error {
	var open, ended atomic.Int64
	address := strings.TrimPrefix(a.url, "http://")
	for i := range n {
		conn, err := a.dial(ctx, "tcp", address)
		if err != nil {
			ended.Add(1)
			continue
		}
		open.Add(1)
		go func() { // ends with the connection
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
			open.Add(-1)
			ended.Add(1)
		}()
		go func() { // ends with the connection, too
			text := head(i)
			for tick := time.NewTicker(time.Second); ; {
				if _, err := conn.Write([]byte(text)); err != nil {
					return
				}
				text = more
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	return a.untilDone(ctx, func() string {
		return fmt.Sprintf("%d of %d connections held, %d ended", open.Load(), n, ended.Load())
	})
}

// greedyReaders subscribe to much and read nothing.
func (a *attacker) greedyReaders(ctx context.Context) error {
	var sessions []*hostile
	for range 60 {
		h, err := a.session(ctx, false)
		if err != nil {
			break
		}
		sessions = append(sessions, h)
		for i := range 30 {
			if h.request("control", add(i+1, "COMMAND", strings.TrimSpace(strings.Repeat(bigItem+" ", 10)), "key command n half", "&LS_snapshot=true&LS_requested_max_frequency=unfiltered")) != nil {
				break
			}
		}
	}
	return a.untilDone(ctx, func() string {
		return fmt.Sprintf("%d sessions of 300 times 1,000 rows, unread", len(sessions))
	})
}
