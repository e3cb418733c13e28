package adaptertest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// runnerFunc makes a server of a function.
type runnerFunc func(ctx context.Context) error

func (f runnerFunc) Run(ctx context.Context) error { return f(ctx) }

func TestRunTellsOfUncleanEnds(t *testing.T) {
	release := func() (chan struct{}, func()) {
		c := make(chan struct{})
		return c, func() { close(c); synctest.Wait() }
	}
	t.Run("an error", func(t *testing.T) {
		got := record(t, func(tb testing.TB) {
			NewProxy(tb).Run(runnerFunc(func(context.Context) error { return errors.New("oops") }))
		})
		wantFailures(t, got, "Run returned an error: oops")
	})
	t.Run("an error that is waited for", func(t *testing.T) {
		oops := errors.New("oops")
		wantFailures(t, record(t, func(tb testing.TB) {
			r := NewProxy(tb).Run(runnerFunc(func(context.Context) error { return oops }))
			if err := r.Wait(); !errors.Is(err, oops) {
				t.Errorf("Wait returned %v", err)
			}
			r.Stop()
			r.Stop()
		}))
	})
	t.Run("no end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			forever, end := release()
			defer end()
			got := record(t, func(tb testing.TB) {
				NewProxy(tb).Run(runnerFunc(func(context.Context) error { <-forever; return nil }))
			})
			wantFailures(t, got, "Run does not return, 1m0s after it was told to stop")
			if !strings.Contains(got[0], "run_test.go") {
				t.Errorf("the stack does not tell where it hangs:\n%s", got[0])
			}
		})
	})
	t.Run("no end, waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			wantFailures(t, record(t, func(tb testing.TB) {
				NewProxy(tb).Run(runnerFunc(func(ctx context.Context) error { <-ctx.Done(); return nil })).Wait()
			}), "Run has not returned within 1m0s")
		})
	})
	leaky := func(forever chan struct{}) adapter.DataProvider {
		return subscribe(func(sub *adapter.Subscription) error {
			go func() { <-forever }()
			return sub.Update(nil)
		})
	}
	t.Run("a goroutine left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			forever, end := release()
			defer end()
			got := record(t, func(tb testing.TB) {
				p := NewProxy(tb)
				p.Run(&adapter.DataServer{Provider: leaky(forever)})
				p.Subscribe("i").Expect(Update())
				p.Subscribe("j").Expect(Update())
			})
			wantFailures(t, got, "goroutines of the adapter are still there 1m0s after Run has returned")
			if !strings.Contains(got[0], "2 goroutine(s):") || !strings.Contains(got[0], "run_test.go") {
				t.Errorf("the stacks do not tell who it is:\n%s", got[0])
			}
		})
	})
	t.Run("a goroutine that may stay", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			forever, end := release()
			defer end()
			wantFailures(t, record(t, func(tb testing.TB) {
				p := NewProxy(tb)
				p.IgnoreLeak = func(stack string) bool { return strings.Contains(stack, "run_test.go") }
				p.Run(&adapter.DataServer{Provider: leaky(forever)})
				p.Subscribe("i").Expect(Update())
			}))
		})
	})
	t.Run("a goroutine that takes its time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			wantFailures(t, record(t, func(tb testing.TB) {
				p := NewProxy(tb)
				p.Run(&adapter.DataServer{Provider: subscribe(func(sub *adapter.Subscription) error {
					go func() {
						<-sub.Context().Done()
						time.Sleep(10 * time.Second) //nolint:forbidigo // virtual
					}()
					return nil
				})})
				p.Subscribe("i").Expect(Subscribed())
			}))
		})
	})
}

// Goroutines of other tests and servers are not taken for this one's.
func TestLeaksOfOthersDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		other := NewProxy(t)
		other.Run(&adapter.DataServer{Provider: counter})
		other.Subscribe("i").Expect(Subscribed())
		go func() { <-forever }()
		wantFailures(t, record(t, func(tb testing.TB) {
			p := NewProxy(tb)
			p.Run(&adapter.DataServer{Provider: counter})
			p.Subscribe("i").Expect(Subscribed())
		}))
		close(forever)
	})
}
