//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// faultRows are the fault matrix.
func faultRows(o *options) []row {
	lasting := o.lasting
	return []row{
		{name: "none", title: "nothing happens", short: false, fault: func(ctx context.Context, _ *stage) error {
			return wait(ctx, lasting(5*time.Second, time.Second))
		}},
		{name: "adapter-kill", title: "adapter: kill -9, and a new process", short: true, fault: func(_ context.Context, s *stage) error {
			return s.restartFeed()
		}},
		{name: "adapter-pause", title: "adapter: SIGSTOP for longer than its keepalive", short: true, fault: func(ctx context.Context, s *stage) error {
			return pause(ctx, s.feed, lasting(time.Minute, 5*time.Second))
		}},
		{name: "adapter-blink", title: "adapter: SIGSTOP for less than its keepalive", fault: func(ctx context.Context, s *stage) error {
			return pause(ctx, s.feed, lasting(1500*time.Millisecond, time.Second))
		}},
		{name: "adapter-loop", title: "adapter: killed again and again", short: true, fault: adapterLoop},
		{name: "broker-kill", title: "broker: kill -9 with all clients", short: true, clients: o.many, fault: func(ctx context.Context, s *stage) error {
			return s.restartBroker(ctx)
		}},
		{name: "broker-pause", title: "broker: SIGSTOP for 15 s, longer than all keepalives (V12)", short: true, fault: func(ctx context.Context, s *stage) error {
			return pause(ctx, s.broker.child, lasting(15*time.Second, 5*time.Second))
		}},
		{name: "clients-pause", title: "clients: SIGSTOP for 15 s (V12)", fault: func(ctx context.Context, s *stage) error {
			return pause(ctx, s.clients, lasting(15*time.Second, 5*time.Second))
		}},
		wireRow("adapter", "delayed by 200 ms", "delay", false, delayed),
		wireRow("adapter", "cut anywhere, again and again (V25)", "cut", true, cutOften),
		wireRow("adapter", "half closed, by either side", "half", false, halfClosed),
		wireRow("adapter", "in pieces of 1 to 7 bytes", "pieces", false, inPieces),
		wireRow("adapter", "holds everything for 20 s, then goes on", "hole", false, held),
		wireRow("adapter", "swallows everything for 20 s, then is reset (V25)", "swallow", false, swallowed),
		wireRow("client", "delayed by 200 ms", "delay", false, delayed),
		wireRow("client", "cut anywhere, again and again", "cut", true, cutOften),
		wireRow("client", "half closed, by either side", "half", false, halfClosed),
		wireRow("client", "in pieces of 1 to 7 bytes", "pieces", true, inPieces),
		wireRow("client", "holds everything for 20 s, then goes on", "hole", false, held),
		wireRow("client", "swallows everything for 20 s, then is reset", "swallow", false, swallowed),
		{
			name: "descriptors", title: "descriptors: clients take all, and the adapter comes again (V15)", short: true,
			cfg: brokerConfig{before: []string{"sh", "-c", `ulimit -n 256; exec "$@"`, "sh"}}, fault: descriptors,
		},
		{
			name: "memory", title: "memory: a limit of 200 MiB, and greedy clients that do not read", fault: memory,
			cfg: brokerConfig{env: []string{fmt.Sprintf("GOMEMLIMIT=%dMiB", memoryLimit)}},
		},
		{
			name: "disk-full", title: "disk: full where the log goes", short: true, fault: somethingOfEach,
			cfg: brokerConfig{stderr: "/dev/full", flags: []string{"--log=debug"}, optional: []string{"--audit-log=/dev/full"}},
		},
		{
			name: "clock", title: "clock: the broker's began 400 days ahead of the others', in another time zone", fault: clock, possible: timeNamespaces,
			cfg: brokerConfig{
				before: []string{"unshare", "-T", "--monotonic", "34560000", "--boottime", "34560000"}, env: []string{"TZ=Pacific/Kiritimati"},
			},
		},
		{
			name: "one-processor", title: "GOMAXPROCS=1", short: true, fault: somethingOfEach,
			cfg: brokerConfig{env: []string{"GOMAXPROCS=1"}},
		},
		{name: "port-probed", title: "adapter's port probed, before and after its adapter has died (V5)", short: true, fault: probed},
		{name: "second-adapter", title: "a second process of the adapter comes (V22)", fault: secondAdapter},
	}
}

func adapterLoop(ctx context.Context, s *stage) error {
	n := 10
	if s.o.short {
		n = 4
	}
	for range n {
		if err := s.restartFeed(); err != nil {
			return err
		}
		if err := wait(ctx, 700*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// wireRow is one about a wire: what happens is the same on that of the adapter and on that of the
// clients.
func wireRow(which, title, name string, short bool, what func(context.Context, *stage, *wire) error) row {
	return row{
		name: which + "-wire-" + name, title: "wire of the " + which + ": " + title, short: short,
		fault: func(ctx context.Context, s *stage) error {
			w := s.clientWire
			if which == "adapter" {
				w = s.adapterWire
			}
			return what(ctx, s, w)
		},
	}
}

func delayed(ctx context.Context, s *stage, w *wire) error {
	w.set(fault{delay: 200 * time.Millisecond})
	defer w.set(fault{})
	return wait(ctx, s.o.lasting(10*time.Second, 2*time.Second))
}

func inPieces(ctx context.Context, s *stage, w *wire) error {
	w.set(fault{pieces: 7})
	defer w.set(fault{})
	return wait(ctx, s.o.lasting(10*time.Second, 2*time.Second))
}

// cutOften cuts in the midst of the lines of servers and, for the adapter's wire, of nothing but
// requests: there it is cut in the midst of the adapter's updates, which are upstream, by a
// swallow that is reset.
func cutOften(ctx context.Context, s *stage, w *wire) error {
	n := 8
	if s.o.short {
		n = 3
	}
	for range n {
		if w == s.adapterWire {
			w.set(fault{swallow: true})
			err := wait(ctx, time.Duration(100+w.intN(400))*time.Millisecond)
			w.set(fault{})
			if err != nil {
				return err
			}
		} else if err := w.cutAfter(ctx, w.intN(3000)); err != nil {
			return err
		}
		if err := wait(ctx, 700*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func halfClosed(ctx context.Context, s *stage, w *wire) error {
	for _, towardsServer := range []bool{true, false} {
		w.halfClose(towardsServer)
		if err := wait(ctx, s.o.lasting(8*time.Second, 3*time.Second)); err != nil {
			return err
		}
	}
	w.reset() // what is left of them
	return nil
}

func held(ctx context.Context, s *stage, w *wire) error {
	w.set(fault{hold: make(chan struct{})})
	defer w.set(fault{})
	return wait(ctx, s.o.lasting(20*time.Second, 5*time.Second))
}

func swallowed(ctx context.Context, s *stage, w *wire) error {
	w.set(fault{swallow: true})
	defer w.set(fault{})
	return wait(ctx, s.o.lasting(20*time.Second, 5*time.Second))
}

// somethingOfEach loses the adapter, the clients' connections and a moment of the broker.
func somethingOfEach(ctx context.Context, s *stage) error {
	if err := s.restartFeed(); err != nil {
		return err
	}
	if err := wait(ctx, time.Second); err != nil {
		return err
	}
	if err := s.clientWire.cutAfter(ctx, s.clientWire.intN(3000)); err != nil {
		return err
	}
	return pause(ctx, s.broker.child, 300*time.Millisecond)
}

// descriptors: the adapter has to find a place while clients hold every connection they can get.
func descriptors(ctx context.Context, s *stage) error {
	a, err := s.startAttack("connections", s.o.lasting(time.Minute, 30*time.Second))
	if err != nil {
		return err
	}
	defer a.kill()
	if err = a.under(ctx); err != nil {
		return err
	}
	// What the adapter gives back, the clients take.
	s.feed.kill()
	if err = wait(ctx, 2*time.Second); err != nil {
		return err
	}
	if err = s.startFeed(); err != nil {
		return err
	}
	// It is no recovery if it takes the end of the attack. Clients may have to wait for a place
	// only if they lose theirs, which nothing here makes them do.
	recovering, cancel := context.WithTimeoutCause(ctx, s.o.lasting(20*time.Second, 10*time.Second), errors.New("not while clients hold all descriptors"))
	defer cancel()
	took, err := s.awaitFresh(recovering, time.Now())
	if err != nil {
		return fmt.Errorf("the adapter has not come back: %w", err)
	}
	s.note("the adapter was back after %v, with %s", took.Round(time.Millisecond), a.said())
	return nil
}

// memoryLimit is the broker's GOMEMLIMIT, in MiB.
const memoryLimit = 200

func memory(ctx context.Context, s *stage) error {
	a, err := s.startAttack("greedy", s.o.lasting(20*time.Second, 5*time.Second))
	if err != nil {
		return err
	}
	defer a.kill()
	if err := a.under(ctx); err != nil {
		return err
	}
	if err := wait(ctx, s.o.lasting(15*time.Second, 3*time.Second)); err != nil {
		return err
	}
	if u, err := usageOf(s.broker.cmd.Process.Pid); err == nil {
		s.note("%s; broker's memory: %d MiB now, %d MiB at most", a.said(), u.RSS>>20, u.peak>>20)
		if u.peak>>20 > 2*memoryLimit { // the runtime's limit is a soft one
			return fmt.Errorf("the broker took %d MiB, with a limit of %d", u.peak>>20, memoryLimit)
		}
	}
	return nil
}

// clock needs a time namespace; the time of day cannot be shifted for one process alone.
func clock(ctx context.Context, s *stage) error {
	s.note("the time of day can only be set for the whole machine, which is not done")
	return somethingOfEach(ctx, s)
}

// timeNamespaces returns an error where there are none, or none for this user.
func timeNamespaces(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, "unshare", "-T", "--monotonic", "1000", "true").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: time namespaces: %w: %s", errImpossible, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// probed is what port scans and health checks do to a port, whether an adapter is there or not.
func probed(ctx context.Context, s *stage) error {
	probes := []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00", "1|RAC|S|user|S|x|S|password|S|wrong\r\n"}
	probe := func() error {
		for _, port := range []int{s.metadataPort, s.dataPort} {
			for _, text := range probes {
				conn, err := from(66, 2)(ctx, "tcp", fmt.Sprint("127.0.0.1:", port))
				if errors.Is(err, syscall.ECONNREFUSED) {
					s.note("port %d refuses connections", port)
					break
				}
				if err != nil {
					return err
				}
				_, _ = conn.Write([]byte(text))
				_ = conn.Close()
			}
		}
		return nil
	}
	if err := probe(); err != nil {
		return err
	}
	s.feed.kill()
	if err := wait(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	if err := probe(); err != nil {
		return err
	}
	// A peer that says nothing, and stays.
	for _, port := range []int{s.metadataPort, s.dataPort} {
		conn, err := from(66, 2)(ctx, "tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			defer func(c net.Conn) { _ = c.Close() }(conn)
		}
	}
	if err := s.startFeed(); err != nil {
		return err
	}
	recovering, cancel := context.WithTimeoutCause(ctx, s.o.lasting(30*time.Second, 15*time.Second), errors.New("not while a silent peer stays"))
	defer cancel()
	took, err := s.awaitFresh(recovering, time.Now())
	if err != nil {
		return fmt.Errorf("the adapter has not come back: %w", err)
	}
	s.note("the adapter was back after %v", took.Round(time.Millisecond))
	return nil
}

// secondAdapter starts another process of the adapter, as after a deployment that forgot the first.
func secondAdapter(ctx context.Context, s *stage) error {
	first := s.feed
	if err := s.startFeed(); err != nil {
		return err
	}
	second := s.feed
	s.feed = first
	defer second.kill()
	return wait(ctx, s.o.lasting(10*time.Second, 3*time.Second))
}
