package wsconn

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A write is cut when it has lasted as long as allowed, however many there were before, and hardly later; the timer sleeps meanwhile.
func TestWatchdog(t *testing.T) {
	const allowed = 8 * time.Second
	synctest.Test(t, func(t *testing.T) {
		raw, peer := net.Pipe()
		d := newWatchdog(raw, allowed)
		for range 50 {
			d.begin()
			<-time.After(allowed - time.Second)
			d.end()
			<-time.After(300 * time.Millisecond)
		}
		<-time.After(allowed)
		synctest.Wait()
		if d.awake.Load() || d.barked.Load() {
			t.Errorf("awake: %v, barked: %v", d.awake.Load(), d.barked.Load())
		}
		d.begin()
		start := time.Now()
		if _, err := peer.Read(make([]byte, 1)); err == nil {
			t.Error("read something")
		}
		if cut := time.Since(start); cut < allowed || cut > allowed+allowed/looks || !d.barked.Load() {
			t.Errorf("cut after %v", cut)
		}
		d.end()
	})
}

// Looks that come late are not counted: the process was stopped, and the network may have taken the
// write meanwhile.
func TestWatchdogAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw, _ := net.Pipe()
		d := newWatchdog(raw, 8*time.Second)
		d.begin()
		defer d.end()
		now := time.Now()
		look := func(late time.Duration) {
			now = now.Add(d.period + late)
			d.lookAt(now)
		}
		look(0) // finds the write
		for range 3 {
			look(0)
		}
		for range 10 {
			look(15 * time.Second)
		}
		if d.barked.Load() {
			t.Fatal("a pause of the process counts as a write that takes too long")
		}
		look(0)
		if !d.barked.Load() {
			t.Error("the write is not cut")
		}
	})
}
