package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// source is where the updates come from: a broker and the feed behind it.
type source interface {
	url() string
	ready(ctx context.Context) error // when every item is subscribed
	start(rate float64) error
	stop() (stopped, error)
	close()
}

// stopped is what there is to tell after a run.
type stopped struct {
	Sent  int64        // updates of the feed
	Usage usage        // of the broker's process, if it is ours
	Stats broker.Stats // likewise
}

func open(ctx context.Context, o options) (source, error) {
	if o.url == "" {
		return openChild(ctx, o)
	}
	s := &remote{addr: o.url, feed: newFeed(o.layout()), done: make(chan error, 1)}
	ctx, s.cancel = context.WithCancel(ctx)
	go func() { // ends with the context, or when the connection cannot be made
		s.done <- adapter.Set{Data: map[string]adapter.DataProvider{"DEFAULT": s.feed}}.Run(ctx, o.adapters)
	}()
	return s, nil
}

// remote is the feed in this process, as the remote adapter of a broker elsewhere.
type remote struct {
	addr   string
	feed   *feed
	cancel context.CancelFunc
	done   chan error
}

func (s *remote) url() string { return s.addr }

func (s *remote) ready(ctx context.Context) error {
	select {
	case <-s.feed.all:
		return nil
	case err := <-s.done:
		return fmt.Errorf("the feed is not connected any more: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *remote) start(rate float64) error { s.feed.start(rate); return nil }
func (s *remote) stop() (stopped, error)   { return stopped{Sent: s.feed.end()}, nil }
func (s *remote) close()                   { s.cancel() }

// child is a broker with the feed, in a process of its own that is told what to do line by line.
type child struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	address string
	mu      sync.Mutex
}

func openChild(ctx context.Context, o options) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-serve", fmt.Sprint("-sessions=", o.sessions), fmt.Sprint("-items=", o.items), fmt.Sprint("-fanout=", o.fanout), "-set=" + o.set}
	if o.brokerProfile != "" {
		args = append(args, "-cpuprofile="+o.brokerProfile)
	}
	c := &child{cmd: exec.CommandContext(context.WithoutCancel(ctx), self, args...)} //nolint:gosec // itself
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	if err := c.read(&c.address); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *child) read(v any) error {
	if !c.out.Scan() {
		return fmt.Errorf("the broker's process has ended: %w", errors.Join(c.out.Err(), io.ErrUnexpectedEOF))
	}
	return json.Unmarshal(c.out.Bytes(), v)
}

// order gives an order and reads its answer.
func (c *child) order(answer any, format string, args ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Fprintf(c.in, format+"\n", args...); err != nil {
		return err
	}
	return c.read(answer)
}

func (c *child) url() string { return c.address }

func (c *child) ready(context.Context) error {
	var ok bool
	return c.order(&ok, "ready")
}

func (c *child) start(rate float64) error {
	var ok bool
	return c.order(&ok, "start %g", rate)
}

func (c *child) stop() (s stopped, err error) {
	err = c.order(&s, "stop")
	return s, err
}

func (c *child) close() {
	_ = c.in.Close() // which ends it
	_ = c.cmd.Wait() // it has said what it had to say
}
