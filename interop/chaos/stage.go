//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lightstreamer-go/lightstreamer/interop/internal/ledger"
)

// stage is what a row plays on: a broker, an adapter, clients of both kinds, and wires between
// them.
type stage struct {
	o    *options
	cfg  brokerConfig
	dir  string
	seed uint64
	log  *tail // the broker's

	httpPort, metadataPort, dataPort int
	otherPort                        int // of the adapter of the set besides
	adapterWire, clientWire          *wire

	broker  *broker
	brokers int
	feed    *child
	life    int64
	clients *child
	node    *nodeClients
	others  []*child // to be ended with the stage
	notes   []string // what is worth to be told in the row
}

// openStage starts everything, and returns when every client gets updates in every mode.
func openStage(ctx context.Context, o *options, cfg brokerConfig, goClients, nodeClients int) (_ *stage, err error) {
	s := &stage{o: o, cfg: cfg, seed: o.seed, log: new(tail)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "chaos-"); err != nil {
		return nil, err
	}
	for _, port := range []*int{&s.httpPort, &s.metadataPort, &s.dataPort, &s.otherPort} {
		if *port, err = freePort(); err != nil {
			return nil, err
		}
	}
	s.adapterWire, s.clientWire = newWire(s.seed), newWire(s.seed+1)
	if err = errors.Join(s.adapterWire.to(s.metadataPort), s.adapterWire.to(s.dataPort), s.clientWire.to(s.httpPort), s.writeAdapters()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.patience, fmt.Errorf("nothing within %v", o.patience))
	defer cancel()
	if err = s.startBroker(ctx); err != nil {
		return nil, err
	}
	if err = s.startFeed(); err != nil {
		return nil, err
	}
	if err = s.broker.awaitAdapters(ctx); err != nil {
		return nil, fmt.Errorf("the adapter does not connect: %w", err)
	}
	if goClients > 0 {
		args := []string{o.self, "clients", "-url", "http://" + s.clientWire.addr(s.httpPort), fmt.Sprint("-count=", goClients), fmt.Sprint("-seed=", s.seed)}
		if s.clients, err = o.children.start(spec{name: "go clients", args: args}); err != nil {
			return nil, err
		}
	}
	if nodeClients > 0 {
		if err = s.startNode(nodeClients); err != nil {
			return nil, err
		}
	}
	if _, err = s.awaitFresh(ctx, time.Now()); err != nil {
		return nil, fmt.Errorf("the clients do not get what they want, before any fault: %w; the broker says:\n%s", err, s.log.last())
	}
	return s, nil
}

// freePort finds a port that is free, and that the system does not give to connections by itself: a
// broker that is started again needs the same one.
func freePort() (int, error) {
	var err error
	for range 50 {
		port := 18_000 + rand.IntN(14_000)
		var l net.Listener
		if l, err = listen(port); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port: %w", err)
}

// close ends everything that the stage has started.
func (s *stage) close() {
	for _, p := range append(s.others, s.clients, s.feed) {
		if p != nil {
			p.kill()
		}
	}
	if s.node != nil {
		s.node.child.kill()
	}
	if s.broker != nil {
		s.broker.kill()
	}
	for _, w := range []*wire{s.adapterWire, s.clientWire} {
		if w != nil {
			w.close()
		}
	}
	_ = os.RemoveAll(s.dir) // of temporary files
}

// note adds something to be told in the row.
func (s *stage) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (s *stage) journal(life int64) string { return filepath.Join(s.dir, fmt.Sprint("journal-", life)) }

// startFeed starts a process of the adapter: its next life.
func (s *stage) startFeed() (err error) {
	s.life++
	s.feed, err = s.o.children.start(spec{name: "adapter", args: []string{
		s.o.self, "adapter", "-metadata", s.adapterWire.addr(s.metadataPort), "-data", s.adapterWire.addr(s.dataPort),
		"-journal", s.journal(s.life), fmt.Sprint("-life=", s.life), fmt.Sprint("-rate=", s.o.rate),
	}})
	return err
}

// restartFeed kills the adapter and starts it again.
func (s *stage) restartFeed() error {
	s.feed.kill()
	return s.startFeed()
}

// restartBroker kills the broker and starts it again.
func (s *stage) restartBroker(ctx context.Context) error {
	s.broker.kill()
	return s.startBroker(ctx)
}

// pause stops a process for a time.
func pause(ctx context.Context, p *child, d time.Duration) error {
	if err := p.signal(stopSignal); err != nil {
		return err
	}
	err := wait(ctx, d)
	return errors.Join(err, p.signal(syscall.SIGCONT))
}

// wait lets time pass, in which a fault holds.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// crowd is the clients of one library.
type crowd struct {
	kind string
	ask  func(context.Context, order) (clientsAnswer, error)
}

func (s *stage) crowds() (all []crowd) {
	if s.clients != nil {
		all = append(all, crowd{"Go", func(ctx context.Context, o order) (a clientsAnswer, err error) {
			err = s.clients.order(ctx, o, &a)
			return a, err
		}})
	}
	if s.node != nil {
		all = append(all, crowd{"Node", s.node.order})
	}
	return all
}

const askEvery = 100 * time.Millisecond

// await asks all clients until what is asked is true for each of them.
func (s *stage) await(ctx context.Context, o order) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		good, text := true, ""
		for _, c := range s.crowds() {
			a, err := c.ask(context.WithoutCancel(ctx), o)
			if err != nil {
				return err
			}
			good = good && a.Good == a.Clients
			text += fmt.Sprintf(" %d of %d %s clients", a.Good, a.Clients, c.kind)
		}
		if good {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %s by%s", context.Cause(ctx), o.Do, text)
		}
	}
}

// awaitFresh waits until every client has got an update, in every mode, that was made after a time.
// It returns how long after.
func (s *stage) awaitFresh(ctx context.Context, since time.Time) (time.Duration, error) {
	err := s.await(ctx, order{Do: "fresh", Since: since.UnixMicro()})
	return time.Since(since), err
}

// outcome is what is known of a row when its fault is over.
type outcome struct {
	counts   map[string]map[ledger.Mode]*ledger.Count // by the kind of the clients
	sessions int64
	ended    int64
	why      map[string]int64
	adapter  int64   // updates told to be lost by the adapter's SDK
	metrics  float64 // likewise by the broker's metrics
	reached  error   // nil: everything there is has come

	connections int // of the adapter, to the broker at the end
}

// finish ends the counting, lets everything arrive, and counts.
func (s *stage) finish(ctx context.Context) (*outcome, error) {
	var stopped feedAnswer
	if err := s.feed.order(ctx, order{Do: "stop"}, &stopped); err != nil {
		return nil, err
	}
	o := order{Do: "reached", Finals: make(map[ledger.Mode]ledger.Finals), Rows: stopped.Rows}
	for life := int64(1); life <= s.life; life++ {
		numbers, err := readJournal(s.journal(life))
		if err != nil {
			return nil, err
		}
		for mode, n := range numbers {
			if o.Finals[mode] == nil {
				o.Finals[mode] = make(ledger.Finals)
			}
			o.Finals[mode][life] = n
		}
	}
	out := &outcome{counts: make(map[string]map[ledger.Mode]*ledger.Count), why: make(map[string]int64), adapter: stopped.Reported}
	arriving, cancel := context.WithTimeoutCause(ctx, s.o.arrival, fmt.Errorf("not everything has arrived within %v", s.o.arrival))
	out.reached = s.await(arriving, o)
	cancel()
	o.Do = "report"
	for _, c := range s.crowds() {
		a, err := c.ask(ctx, o)
		if err != nil {
			return nil, err
		}
		out.counts[c.kind] = a.Counts
		out.sessions += a.Sessions
		out.ended += a.Ended
		for why, n := range maps.All(a.Why) {
			out.why[c.kind+": "+why] += n
		}
	}
	if m, err := s.broker.metrics(ctx); err == nil {
		out.metrics, out.connections = m.lostFromAdapters(), m.adapterConnections()
	} else {
		s.note("/metrics: %v", err)
	}
	return out, nil
}
