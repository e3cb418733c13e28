package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// request is a control request or a message that waits for REQOK or REQERR.
type request struct {
	id       int
	text     []byte
	tolerate []int        // codes that mean that the server had it already
	sent     *wsconn.Conn // on which it was sent last; nil: not yet; guarded by the client's lock
	answer   chan error   // of one place
}

// submit numbers a request and sends it, now or when there is a connection. It does not wait for the answer. build makes its line, and taken
// is called when nothing stands against it any more; both with the lock held.
func (c *Client) submit(name tlcp.Name, build func(reqID string) []byte, taken func(), tolerate ...int) (*request, error) {
	c.mu.Lock()
	if c.err != nil || c.closing {
		defer c.mu.Unlock()
		return nil, cmp.Or(c.err, ErrClosed)
	}
	c.lastReq++
	r := &request{id: c.lastReq, tolerate: tolerate, answer: make(chan error, 1)}
	id := strconv.Itoa(r.id)
	r.text = message(name, build(id))
	if len(r.text) > c.limit {
		defer c.mu.Unlock()
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, len(r.text), c.limit)
	}
	taken()
	c.requests[id] = r
	conn := c.conn
	r.sent = conn
	c.mu.Unlock()
	if conn != nil {
		_ = conn.WriteText(r.text) // if that fails, it is sent again on the next connection
	}
	return r, nil
}

// unsent returns the requests not sent on a socket yet, in their order, and notes that they are. The lock is held.
func (c *Client) unsent(conn *wsconn.Conn) [][]byte {
	var waiting []*request
	for _, r := range c.requests {
		if r.sent != conn {
			r.sent = conn
			waiting = append(waiting, r)
		}
	}
	slices.SortFunc(waiting, func(a, b *request) int { return a.id - b.id })
	texts := make([][]byte, len(waiting))
	for i, r := range waiting {
		texts[i] = r.text
	}
	return texts
}

// answered hands the answer to whoever waits.
func (c *Client) answered(id string, refusal *RequestError) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.requests[id]
	if r == nil {
		// A request that was sent again on another connection may be answered twice.
		if n, err := strconv.Atoi(id); id != destroyID && (err != nil || n < 1 || n > c.lastReq) {
			return errors.New("no such request was sent")
		}
		return nil
	}
	delete(c.requests, id)
	if refusal != nil && !slices.Contains(r.tolerate, refusal.Code) {
		r.answer <- refusal
		return nil
	}
	r.answer <- nil
	return nil
}

// destroyID is the id of the request that ends the session.
const destroyID = "destroy"

// await waits for the answer.
func (r *request) await(ctx context.Context) error {
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
