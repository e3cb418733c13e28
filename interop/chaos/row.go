//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lightstreamer-go/lightstreamer/interop/internal/ledger"
)

// row is a fault, or an attack, and what is played around it.
type row struct {
	name, title string
	short       bool                        // it belongs to the short run
	possible    func(context.Context) error // nil: everywhere; else an errImpossible where it is not
	cfg         brokerConfig
	clients     int // Go clients, 0: as many as usual

	// fault happens, and returns when it is over. From then on the time to recovery counts.
	fault func(context.Context, *stage) error
	// attack, if it is not nil, is what somebody else does meanwhile: the others must not notice.
	attack *attack
}

// attack is a process that misbehaves.
type attack struct {
	kind string
	// lasting is how long it goes on, at most; until it is through if that is earlier.
	full, short time.Duration
	// before is done first; begun, when the attacker is in its place.
	before, begun func(context.Context, *stage) error
	// after finds out more, and returns what is wrong.
	after func(context.Context, *stage) error
	// memory is the most that the broker may take because of it, in MiB; 0: not looked at.
	memory int64
	// newcomer: somebody new has to get in meanwhile.
	newcomer bool
	// silences: the adapter stands still for a while, so that latencies tell nothing.
	silences bool
}

// steady is how long everything runs undisturbed before a fault, and after it.
const steady = 500 * time.Millisecond

// errImpossible is in the error of a fault that this machine does not allow.
var errImpossible = errors.New("not possible here")

// result is what a row has shown.
type result struct {
	Row     string   `json:"row"`
	Title   string   `json:"title"`
	Verdict string   `json:"verdict"` // ok, FAILED or impossible
	Wrong   []string `json:"wrong,omitempty"`
	Notes   []string `json:"notes,omitempty"`

	Counts map[string]map[ledger.Mode]*ledger.Count `json:"counts,omitempty"` // by client and mode
	// Unreported are the updates lost of which nobody told; of those of which the client was not
	// told, ByAdapter and ByMetrics are what the adapter's SDK and the broker's metrics did.
	Unreported int64   `json:"unreported"`
	ByAdapter  int64   `json:"byAdapter"`
	ByMetrics  float64 `json:"byMetrics"`

	Sessions int64            `json:"sessions"`
	Ended    int64            `json:"ended"`
	Why      map[string]int64 `json:"why,omitempty"`
	// AdapterAgain counts the connections that the adapter has made since the fault began.
	AdapterAgain int           `json:"adapterAgain"`
	Recovery     time.Duration `json:"recovery"`

	Before *ledger.Summary `json:"before,omitempty"` // latencies of the others
	During *ledger.Summary `json:"during,omitempty"`

	Took time.Duration `json:"took"`
}

func (r *result) fail(format string, args ...any) {
	r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
}

// run plays a row.
func (r *row) run(ctx context.Context, o *options) *result {
	begin := time.Now()
	res := &result{Row: r.name, Title: r.title}
	if err := r.play(ctx, o, res); errors.Is(err, errImpossible) {
		res.Verdict = "impossible"
		res.Notes = append(res.Notes, err.Error())
		res.Wrong = nil
	} else if err != nil {
		res.fail("%v", err)
	}
	if res.Verdict == "" {
		if res.Verdict = "ok"; len(res.Wrong) > 0 {
			res.Verdict = "FAILED"
		}
	}
	res.Took = time.Since(begin)
	return res
}

func (r *row) play(ctx context.Context, o *options, res *result) error {
	if r.possible != nil {
		if err := r.possible(ctx); err != nil {
			return err
		}
	}
	clients := r.clients
	if clients == 0 {
		clients = o.clients
	}
	if o.short {
		clients = min(clients, o.shortClients)
	}
	s, err := openStage(ctx, o, r.cfg, clients, o.nodes)
	if err != nil {
		return err
	}
	defer s.close()
	endedBefore, err := s.ended(ctx)
	if err != nil {
		return err
	}
	first, err := s.broker.metrics(ctx)
	if err != nil {
		return err
	}
	brokers := s.brokers
	if err = wait(ctx, steady); err != nil {
		return err
	}
	if r.attack != nil {
		err = r.attack.run(ctx, s, res)
	} else {
		err = r.fault(ctx, s)
	}
	res.Notes = s.notes
	if err != nil {
		return err
	}
	recovering, cancel := context.WithTimeoutCause(ctx, o.patience, fmt.Errorf("not within %v", o.patience))
	since := time.Now()
	res.Recovery, err = s.awaitFresh(recovering, since)
	cancel()
	if err != nil {
		res.fail("no recovery: %v", err)
		if s.node != nil {
			s.notes = append(s.notes, s.node.stuck(since.UnixMicro())...)
		}
	}
	if err = wait(ctx, steady); err != nil {
		return err
	}
	if !s.broker.alive() {
		return fmt.Errorf("the broker has ended: %w", s.broker.death())
	}
	if !s.feed.alive() {
		return fmt.Errorf("the adapter has ended: %w", s.feed.death())
	}
	out, err := s.finish(ctx)
	if err != nil {
		return err
	}
	res.Ended = out.ended - endedBefore
	if res.AdapterAgain = out.connections; s.brokers == brokers {
		res.AdapterAgain -= first.adapterConnections()
	}
	res.Notes = s.notes
	res.judge(out)
	if r.attack != nil {
		res.judgeOthers(o)
	}
	return nil
}

// ended is how many sessions have ended so far that should not.
func (s *stage) ended(ctx context.Context) (n int64, err error) {
	for _, c := range s.crowds() {
		a, err := c.ask(ctx, order{Do: "fresh"})
		if err != nil {
			return 0, err
		}
		n += a.Ended
	}
	return n, nil
}

// judge says what is wrong with the counts.
func (r *result) judge(out *outcome) {
	r.Counts, r.Sessions, r.Why = out.counts, out.sessions, out.why
	r.Unreported, r.ByAdapter, r.ByMetrics = attribute(out)
	var doubled, reordered, torn, wrong int64
	for _, modes := range out.counts {
		for _, c := range modes {
			doubled += c.Doubled
			reordered += c.Reordered
			torn += c.Torn
			wrong += c.Wrong
		}
	}
	for _, one := range []struct {
		n    int64
		what string
	}{
		{r.Unreported, "updates lost that nobody told of"},
		{doubled, "updates doubled"},
		{reordered, "updates in the wrong order"},
		{torn, "updates with fields of mixed age"},
		{wrong, "states wrong at the end"},
	} {
		if one.n > 0 {
			r.fail("%d %s", one.n, one.what)
		}
	}
	if out.reached != nil && len(r.Wrong) == 0 {
		r.Notes = append(r.Notes, out.reached.Error())
	}
}

// attribute says how many updates were lost that neither the clients were told of, nor the adapter
// by its SDK, nor the operator by the broker's metrics. Both of these count an update once, however
// many clients have missed it: they have to account for the most that a client has missed.
func attribute(out *outcome) (unreported, byAdapter int64, byMetrics float64) {
	var untold, most int64
	worst := make(map[ledger.Mode]int64)
	for _, modes := range out.counts {
		for mode, c := range modes {
			untold += c.Untold
			worst[mode] = max(worst[mode], c.MostUntold)
		}
	}
	for _, n := range worst {
		most += n
	}
	switch {
	case untold == 0:
		return 0, 0, 0
	case out.adapter >= most:
		return 0, untold, 0
	case out.metrics >= float64(most):
		return 0, 0, float64(untold)
	}
	return untold, 0, 0
}

// The latency of others may grow by half under an attack; below the floor it is noise, as is what
// differs between two times without an attack, the worse of which is the measure.
const (
	ratioLimit = 1.5
	ratioFloor = 10 * time.Millisecond
)

// judgeOthers says what the others have noticed of an attack.
func (r *result) judgeOthers(o *options) {
	if r.Ended > 0 {
		r.fail("%d sessions of others ended", r.Ended)
	}
	if r.AdapterAgain > 0 {
		r.fail("the others' adapter had to connect again %d times", r.AdapterAgain)
	}
	if b, d := r.Before, r.During; b != nil && d != nil && o.latencyDecides && slower(*b, *d) {
		r.fail("p99 of the others %v instead of %v", d.P99, b.P99)
	}
}

func slower(before, during ledger.Summary) bool {
	return float64(during.P99) > ratioLimit*float64(before.P99) && during.P99 > before.P99+ratioFloor
}

// sortedWhy lists reasons and how often there was each.
func sortedWhy(why map[string]int64) (list []string) {
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		list = append(list, fmt.Sprintf("%s ×%d", reason, why[reason]))
	}
	return list
}
