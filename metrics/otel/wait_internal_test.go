package otel

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c waitClock
		if c.total() != 0 {
			t.Fatalf("a new clock tells %v", c.total())
		}
		c.count(true)
		pass(time.Second)
		c.count(true) // two wait
		pass(3 * time.Second)
		if got := c.total(); got != 7*time.Second { // 1 + 2*3
			t.Errorf("total is %v, want 7 s", got)
		}
		c.count(false)
		pass(time.Second)
		c.count(false)
		pass(time.Hour)
		if got := c.total(); got != 8*time.Second || c.now() != 0 {
			t.Errorf("total is %v with %d waiting, want 8 s and none", got, c.now())
		}
	})
}

func pass(d time.Duration) { <-time.After(d) }
