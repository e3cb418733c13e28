package adaptertest

import (
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// A Running is a server at work, see [Proxy.Run].
type Running struct {
	proxy  *Proxy
	label  string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid once done is closed
	taken  bool  // the test has asked for err
	ended  bool  // the end has been checked
}

// The key of the profiler label that all goroutines of a server bear, and the number of the last one.
const labelKey = "adaptertest"

var lastLabel atomic.Int64

// Run runs a server until the test ends, [Running.Stop] or its own end. What follows fails the test:
//
//   - Run returns an error, unless the test asks for it with [Running.Wait];
//   - Run does not return when it is told to stop;
//   - a goroutine started by the server or its provider, in whatever callback, is still there after that. Goroutines that the provider started before, in
//     its constructor for instance, are its own affair. Those started by a timer (time.AfterFunc) are not seen outside of a testing/synctest bubble, which
//     sees them itself.
//
// A *adapter.DataServer or *adapter.MetadataServer without Addr and Listener is given the proxy's Addr and Dial, and without a Logger one
// that writes to the test's log.
func (p *Proxy) Run(s adapter.Runner) *Running {
	p.tb.Helper()
	p.prepare(s)
	ctx, cancel := context.WithCancel(p.tb.Context())
	r := &Running{proxy: p, label: fmt.Sprint("server ", lastLabel.Add(1)), cancel: cancel, done: make(chan struct{})}
	go func() { // ends with the server
		defer close(r.done)
		pprof.Do(ctx, pprof.Labels(labelKey, r.label), func(ctx context.Context) { r.err = s.Run(ctx) })
	}()
	p.tb.Cleanup(r.Stop)
	return r
}

func (p *Proxy) prepare(s adapter.Runner) {
	switch s := s.(type) {
	case *adapter.DataServer:
		p.runs(DataAdapter)
		if s.Addr == "" && s.Listener == nil {
			s.Addr, s.Dial = p.Addr(), p.Dial
		}
		if s.Logger == nil {
			s.Logger = p.report.logger()
		}
	case *adapter.MetadataServer:
		p.runs(MetadataAdapter)
		if s.Addr == "" && s.Listener == nil {
			s.Addr, s.Dial = p.Addr(), p.Dial
		}
		if s.Logger == nil {
			s.Logger = p.report.logger()
		}
	}
}

func (p *Proxy) runs(kind AdapterKind) {
	p.mu.Lock()
	p.ran = kind
	p.mu.Unlock()
}

// Stop tells the server to stop and checks how it does, see [Proxy.Run]. It can be called again; the end of the test calls it too.
func (r *Running) Stop() {
	r.proxy.tb.Helper()
	if r.ended {
		return
	}
	r.ended = true
	r.cancel()
	if !r.wait() {
		r.proxy.report.errorf("Run does not return, %v after it was told to stop; its goroutines:\n%s", r.proxy.patience(), stacks(r.label))
		return
	}
	if r.err != nil && !r.taken {
		r.proxy.report.errorf("Run returned an error: %v", r.err)
	}
	r.leaks()
}

// Wait waits until Run ends by itself and returns what it returned.
func (r *Running) Wait() error {
	r.proxy.tb.Helper()
	if !r.wait() {
		r.proxy.report.fatalf("Run has not returned within %v", r.proxy.patience())
	}
	r.taken = true
	return r.err
}

func (r *Running) wait() bool {
	timer := time.NewTimer(r.proxy.patience())
	defer timer.Stop()
	select {
	case <-r.done:
		return true
	case <-timer.C:
		return false
	}
}

// leaks gives the goroutines of the server the time to end, and tells of those that do not.
func (r *Running) leaks() {
	deadline := time.Now().Add(r.proxy.patience())
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		left := r.leaked()
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			r.proxy.report.errorf("goroutines of the adapter are still there %v after Run has returned; they should end with sub.Context() or the callback's context:\n%s",
				r.proxy.patience(), left)
			return
		}
		timer := time.NewTimer(pause)
		<-timer.C
	}
}

func (r *Running) leaked() string {
	var left []string
	for _, stack := range splitStacks(stacks(r.label)) {
		if r.proxy.IgnoreLeak == nil || !r.proxy.IgnoreLeak(stack) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

// stacks returns the stacks of the goroutines that bear a label. Labels are inherited by the go statement, so these are what the
// server has started, directly or not, and no others, whatever else runs in the process; only what timers start has no label.
func stacks(label string) string {
	var profile strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return ""
	}
	// A record of the profile: "1 @ 0x47 0x48", "# labels: {…}", and lines "#<tab>0x47<tab>function+0x1<tab>file:line".
	var all []string
	for _, record := range strings.Split(profile.String(), "\n\n") {
		if !strings.Contains(record, fmt.Sprintf("%q:%q", labelKey, label)) {
			continue
		}
		count, rest, _ := strings.Cut(record, " @ ")
		if i := strings.LastIndexByte(count, '\n'); i >= 0 {
			count = count[i+1:] // the first record follows the title
		}
		_, frames, _ := strings.Cut(rest, "\n#\t")
		text := count + " goroutine(s):"
		for _, frame := range strings.Split(frames, "\n#\t") {
			if parts := strings.Split(frame, "\t"); len(parts) > 1 {
				text += "\n    " + strings.TrimSpace(strings.Join(parts[1:], " "))
			}
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n\n")
}

func splitStacks(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n\n")
}
