package client

import (
	"context"
	"fmt"
	"strconv"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// A Message is a text for the Metadata Adapter.
type Message struct {
	_ struct{}

	Text string
	// Sequence names the sequence the message belongs to: those of one sequence are processed one after the other, in the order of the
	// calls of Send. Empty: none, messages are processed as they come.
	Sequence string
	// NoOutcome asks for no outcome: Send returns when the server has taken the message.
	NoOutcome bool
}

type outcomeKey struct {
	sequence string
	prog     int
}

// outcome is what came of a message.
type outcome struct {
	response string
	err      error
}

// Send sends a message and returns what came of it: the response of the Metadata Adapter, most often empty, or a [*RequestError] if it was
// refused. If ctx ends before, the message may be processed all the same. It must not be called from a callback.
func (c *Client) Send(ctx context.Context, m Message) (response string, err error) {
	result := make(chan outcome, 1)
	var key outcomeKey
	r, err := c.submit(tlcp.NameMsg, func(id string) []byte {
		key = outcomeKey{m.Sequence, c.progs[m.Sequence] + 1}
		req := tlcp.Message{ReqID: id, Text: m.Text, Sequence: m.Sequence, Prog: key.prog, NoOutcome: m.NoOutcome}
		return req.Append(nil)
	}, func() {
		c.progs[m.Sequence] = key.prog
		if !m.NoOutcome {
			c.outcomes[key] = result
		}
	}, tlcp.CodeMessageSkipped, tlcp.CodeMessageRepeated)
	if err == nil {
		err = r.await(ctx)
	}
	if err == nil && !m.NoOutcome {
		select {
		case o := <-result:
			response, err = o.response, o.err
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		c.mu.Lock()
		delete(c.outcomes, key)
		c.mu.Unlock()
		return "", fmt.Errorf("client: message: %w", err)
	}
	return response, nil
}

// delivered handles MSGDONE.
func (c *Client) delivered(line tlcp.Line) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.sent(line); err != nil {
		return err
	}
	c.outcome(outcomeKey{line.Sequence, line.Prog}, outcome{response: line.Text})
	return nil
}

// sent checks that the message of an outcome was sent. The lock is held.
func (c *Client) sent(line tlcp.Line) error {
	if last := c.progs[line.Sequence]; line.Prog < 1 || line.Prog > last {
		return fmt.Errorf("message %d was not sent; the last of the sequence is %d", line.Prog, last)
	}
	return nil
}

// outcome hands the outcome of a message to whoever waits. The lock is held.
func (c *Client) outcome(key outcomeKey, o outcome) {
	if result := c.outcomes[key]; result != nil {
		delete(c.outcomes, key)
		result <- o
	}
}

// failed handles MSGFAIL, which may stand for several messages.
func (c *Client) failed(line tlcp.Line) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.sent(line); err != nil {
		return err
	}
	if line.Code != tlcp.CodeMessagesTimeout {
		c.outcome(outcomeKey{line.Sequence, line.Prog}, outcome{err: &RequestError{Code: line.Code, Message: line.Text}})
		return nil
	}
	failure := &RequestError{Code: tlcp.CodeMessageTimeout, Message: tlcp.RequestText(tlcp.CodeMessageTimeout)}
	first := line.Prog
	if n, err := strconv.Atoi(line.Text); err == nil && n > 0 && n <= line.Prog {
		first = line.Prog - n + 1
	}
	for key := range c.outcomes { // there may be far fewer than the line says
		if key.sequence == line.Sequence && first <= key.prog && key.prog <= line.Prog {
			c.outcome(key, outcome{err: failure})
		}
	}
	return nil
}
