//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"
)

// attacker is the process of an attack. All of its connections come from one address, which nobody
// else uses, and end with it.
type attacker struct {
	url     string // of the broker
	adapter string // address of a port for adapters
	dial    func(context.Context, string, string) (net.Conn, error)
}

// attacks are bounded by the time given, and each by a number of requests.
var attacks = map[string]func(*attacker, context.Context) error{
	"names":       (*attacker).manyNames,
	"fields":      (*attacker).manyFields,
	"rows":        (*attacker).manyRows,
	"bodies":      (*attacker).slowBodies,
	"messages":    (*attacker).manyMessages,
	"creations":   (*attacker).manySessions,
	"log":         (*attacker).badRequests,
	"connections": (*attacker).manyConnections,
	"greedy":      (*attacker).greedyReaders,
	"adapter":     (*attacker).hostileAdapter,
	"none":        (*attacker).nothing,
}

// runAttack is the process.
func runAttack(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("attack", flag.ContinueOnError)
	kind := flags.String("kind", "", "what to do")
	a := new(attacker)
	flags.StringVar(&a.url, "url", "", "address of the broker")
	flags.StringVar(&a.adapter, "adapter", "", "address of a port for adapters")
	lasting := flags.Duration("lasting", time.Second, "how long")
	if err := flags.Parse(args); err != nil {
		return err
	}
	do := attacks[*kind]
	if do == nil {
		return fmt.Errorf("unknown attack %q", *kind)
	}
	a.dial = from(66, 1)
	ctx, cancel := context.WithTimeout(ctx, *lasting)
	defer cancel()
	err := do(a, ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// tell says how far the attack is. begun: what matters is there.
func (a *attacker) tell(begun bool, format string, args ...any) {
	// Where nobody listens any more, the harness has gone.
	_ = json.NewEncoder(os.Stdout).Encode(attackEvent{begun, fmt.Sprintf(format, args...)})
}

// nothing is for what is done by others.
func (a *attacker) nothing(ctx context.Context) error {
	return a.untilDone(ctx, func() string { return "of others" })
}
