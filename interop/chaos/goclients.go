//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/client"
	"github.com/lightstreamer-go/lightstreamer/interop/internal/ledger"
)

// setID is the Adapter Set of the clients whose losses are counted.
const setID = "CHAOS"

// addresses is from how many addresses of the loopback network clients come: not all of them are
// to be one neighbour.
const addresses = 16

// from returns a dialer from an address of the loopback network, which all of 127.0.0.0/8 is.
func from(network, host int) func(context.Context, string, string) (net.Conn, error) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(network), byte(host))}, Timeout: 5 * time.Second}
	return dialer.DialContext
}

// runClients is the process of the Go clients. A client whose session has ended makes another one,
// as an application would.
func runClients(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("clients", flag.ContinueOnError)
	url := flags.String("url", "", "address of the broker")
	count := flags.Int("count", 1, "clients")
	seed := flags.Uint64("seed", 1, "of the pauses between attempts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	latency := new(ledger.Latency)
	victims := make([]*victim, *count)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for i := range victims {
		victims[i] = newVictim(latency)
		c := goClient{victim: victims[i], random: rand.New(rand.NewPCG(*seed, uint64(i))), cfg: client.Config{
			Addr: *url, AdapterSet: setID, Keepalive: time.Second, Patience: 2 * time.Second,
			DialContext: from(1, 1+i%addresses), Logger: slog.New(slog.DiscardHandler),
		}}
		running.Go(func() { c.run(ctx) })
	}
	err := obey(ctx, os.Stdin, os.Stdout, func(o order) (any, error) {
		a, ok := answerFor(victims, latency, o)
		if !ok {
			return nil, fmt.Errorf("unknown order %q", o.Do)
		}
		return a, nil
	})
	cancel()
	running.Wait()
	return err
}

// goClient is a client of package client.
type goClient struct {
	*victim
	random *rand.Rand
	cfg    client.Config
}

// run keeps the client in a session until ctx ends.
func (c *goClient) run(ctx context.Context) {
	for ctx.Err() == nil {
		session, err := client.Connect(ctx, c.cfg)
		begun := err == nil
		if begun {
			c.begun()
			if err = c.subscribe(ctx, session); err == nil {
				select {
				case <-session.Done():
					err = session.Err()
				case <-ctx.Done():
				}
			}
			session.Close()
		}
		if ctx.Err() != nil {
			return
		}
		c.finished(begun, reason(err))
		pause := time.NewTimer(50*time.Millisecond + time.Duration(c.random.Int64N(int64(450*time.Millisecond))))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// reason sorts an error into one of few.
func reason(err error) string {
	session, ended := errors.AsType[*client.SessionError](err)
	request, refused := errors.AsType[*client.RequestError](err)
	switch {
	case ended:
		return fmt.Sprintf("session: %d %s", session.Code, session.Message)
	case refused:
		return fmt.Sprintf("subscription: %d %s", request.Code, request.Message)
	case errors.Is(err, client.ErrProtocol):
		return err.Error()
	case errors.Is(err, client.ErrLost):
		return "connection lost"
	}
	return "no connection"
}

func (c *goClient) subscribe(ctx context.Context, session *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for _, mode := range ledger.Modes {
		l := c.ledgers[mode]
		wish := client.Subscription{
			Items: []string{itemOf[mode]}, Fields: fields, Snapshot: mode != ledger.Raw,
			OnUpdate:        func(u *client.Update) { c.update(mode, valueOf(u), u.Snapshot) },
			OnClearSnapshot: func(string, int) { l.Cleared() },
			OnLost:          func(_ string, _ int, n int64) { l.Lost(n) },
		}
		switch mode {
		case ledger.Raw:
			wish.Mode = client.Raw
		case ledger.Distinct:
			wish.Mode, wish.Unfiltered = client.Distinct, true
		case ledger.Command:
			wish.Mode, wish.Unfiltered = client.Command, true
			wish.Fields = append([]string{"key", "command"}, fields...)
		case ledger.Merge:
			wish.Mode = client.Merge
		}
		if _, err := session.Subscribe(ctx, wish); err != nil {
			return err
		}
	}
	return nil
}

func valueOf(u *client.Update) func(string) string {
	return func(field string) string {
		v, _ := u.Value(field)
		return v
	}
}
