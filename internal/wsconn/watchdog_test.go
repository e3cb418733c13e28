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
