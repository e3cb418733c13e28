//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/client"
	"github.com/lightstreamer-go/lightstreamer/interop/internal/ledger"
)

// attacking is an attack at work.
type attacking struct {
	*child
	kind string

	mu    sync.Mutex
	begun chan struct{} // closed when it is in full swing
	heard bool
	text  string
}

// attackEvent is what the process of an attack tells.
type attackEvent struct {
	Begun bool   `json:"begun"` // it is in full swing
	Said  string `json:"said"`
}

// startAttack starts a process that misbehaves for a time.
func (s *stage) startAttack(kind string, lasting time.Duration) (*attacking, error) {
	a := &attacking{kind: kind, begun: make(chan struct{})}
	var err error
	a.child, err = s.o.children.start(spec{name: "attacker", line: a.line, args: []string{
		s.o.self, "attack", "-kind", kind, "-url", s.broker.url, "-adapter", fmt.Sprint("127.0.0.1:", s.otherPort), "-lasting", lasting.String(),
	}})
	return a, err
}

func (a *attacking) line(line []byte) {
	var e attackEvent
	if json.Unmarshal(line, &e) != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.text = e.Said
	if e.Begun && !a.heard {
		a.heard = true
		close(a.begun)
	}
}

// under waits until the attack is in full swing.
func (a *attacking) under(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("not within 30s"))
	defer cancel()
	select {
	case <-a.begun:
		return nil
	case <-a.exited:
		return nil // it is through
	case <-ctx.Done():
		return fmt.Errorf("the attack %s has not begun: %w\n%s", a.kind, context.Cause(ctx), a.err.last())
	}
}

// said is what the attack has come to so far.
func (a *attacking) said() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.text
}

// run measures the others before, has the attack go on, and measures them meanwhile.
func (at *attack) run(ctx context.Context, s *stage, res *result) error {
	quiet := s.o.lasting(8*time.Second, time.Second)
	var before ledger.Summary
	for range 2 { // the worse of two
		one, err := s.latency(ctx, func() error { return wait(ctx, quiet) })
		if err != nil {
			return err
		}
		if one.P99 > before.P99 {
			before = one
		}
	}
	if at.before != nil {
		if err := at.before(ctx, s); err != nil {
			return err
		}
	}
	lasting := at.full
	if s.o.short {
		lasting = at.short
	}
	a, err := s.startAttack(at.kind, lasting)
	if err != nil {
		return err
	}
	defer a.kill()
	during, err := s.latency(ctx, func() error { return at.meanwhile(ctx, s, a, lasting) })
	s.note("attack: %s", a.said())
	if err != nil {
		return err
	}
	if !at.silences {
		res.Before, res.During = &before, &during
	}
	if u, err := usageOf(s.broker.cmd.Process.Pid); err == nil {
		s.note("broker's memory: %d MiB at most", u.peak>>20)
		if at.memory > 0 && u.peak>>20 > at.memory {
			res.fail("the broker took %d MiB, more than %d", u.peak>>20, at.memory)
		}
	}
	if at.after != nil {
		return at.after(ctx, s)
	}
	return nil
}

// meanwhile waits until the attack is through, and lets somebody new in.
func (at *attack) meanwhile(ctx context.Context, s *stage, a *attacking, lasting time.Duration) error {
	if err := a.under(ctx); err != nil {
		return err
	}
	if at.begun != nil {
		if err := at.begun(ctx, s); err != nil {
			return err
		}
	}
	if at.newcomer {
		took, err := s.newcomer(ctx, lasting*3/4)
		if err != nil {
			return fmt.Errorf("nobody new gets in: %w", err)
		}
		s.note("somebody new got in within %v", took.Round(time.Millisecond))
	}
	timer := time.NewTimer(lasting + 5*time.Second)
	defer timer.Stop()
	select {
	case <-a.exited:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// latency measures what the Go clients see while something goes on.
func (s *stage) latency(ctx context.Context, what func() error) (ledger.Summary, error) {
	var a clientsAnswer
	if err := s.clients.order(ctx, order{Do: "reset"}, &a); err != nil {
		return ledger.Summary{}, err
	}
	if err := what(); err != nil {
		return ledger.Summary{}, err
	}
	err := s.clients.order(ctx, order{Do: "fresh"}, &a)
	return a.Latency, err
}

// newcomer connects as somebody who was not there before, and returns how long it took to get an
// update.
func (s *stage) newcomer(ctx context.Context, within time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not within %v, while the attack goes on", within))
	defer cancel()
	begin := time.Now()
	got := make(chan struct{})
	var once sync.Once
	for {
		err := s.visit(ctx, func() { once.Do(func() { close(got) }) }, got)
		if err == nil {
			return time.Since(begin), nil
		}
		if wait(ctx, 200*time.Millisecond) != nil {
			return 0, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

func (s *stage) visit(ctx context.Context, update func(), got chan struct{}) error {
	c, err := client.Connect(ctx, client.Config{Addr: s.broker.url, AdapterSet: setID, DialContext: from(3, 1)})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Subscribe(ctx, client.Subscription{
		Mode: client.Raw, Items: []string{rawItem}, Fields: fields, OnUpdate: func(*client.Update) { update() },
	}); err != nil {
		return err
	}
	select {
	case <-got:
		return nil
	case <-c.Done():
		return c.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
