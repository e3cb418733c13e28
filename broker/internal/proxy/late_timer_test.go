package proxy

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// TestLateTimer: a timer that fires long after its time was held up together with the process, and
// so was the reader. It gets time to read the replies that are there before requests are failed.
func TestLateTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waiting atomic.Int64
		bounds := []bound{{methods: []ari.Method{ari.SUB}}}
		p := newPending(10*time.Second, 100, bounds, newWriter(1000), &waiting)
		over := make(map[string]error)
		for _, id := range []string{"answered", "not"} {
			r := &request{id: id, method: ari.SUB, encode: func(b []byte) []byte { return b }, done: func(_ []byte, err error) { over[id] = err }}
			if err := p.add(r, nil); err != nil {
				t.Fatal(err)
			}
		}
		p.mu.Lock()
		p.armed = p.armed.Add(-15 * time.Second) // the process was stopped for that time
		p.mu.Unlock()
		<-time.After(10 * time.Second)
		synctest.Wait()
		r := p.take([]byte("answered"))
		if len(over) != 0 || r == nil {
			t.Fatalf("failed before the reader could read: %v", over)
		}
		<-time.After(catchUp)
		synctest.Wait()
		if len(over) != 1 || over["not"] == nil {
			t.Errorf("over are %v, want the one without an answer", over)
		}
		p.close(ErrClosed)
	})
}
