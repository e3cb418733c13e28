package session

import (
	"testing"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// TestLostByTheAdapter: clients of RAW and DISTINCT get OV in the place where updates may be
// missing when the connection with their Data Adapter has broken, once however often that was;
// others get none.
func TestLostByTheAdapter(t *testing.T) {
	for _, tt := range []struct {
		mode string
		want []string
	}{
		{"RAW", []string{"U,1,1,1", "OV,1,1,1", "U,1,1,2"}},
		{"DISTINCT", []string{"U,1,1,1", "OV,1,1,1", "U,1,1,2"}},
		{"MERGE", []string{"U,1,1,1", "U,1,1,2"}},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{WantsTables: true}, nil }
				w.meta.tables = func(provider.Table) (provider.TablesGrant, error) { return provider.TablesGrant{FinalStats: true}, nil }
				c := w.create(ws, "LS_keepalive_millis=30000")
				w.ok(c.id(), add(1, tt.mode, "i", "a", ""))
				c.take()
				w.send("i", "a=1")
				got := c.take()
				w.feed.mu.Lock()
				s := w.feed.sinks["i"]
				w.feed.mu.Unlock()
				s.Lost(false)
				w.send("i", "a=2")
				expect(t, append(got, c.take()...), tt.want...)
				w.ok(c.id(), "LS_op=delete&LS_subId=1")
				if st := w.meta.closed[0].Stats[0]; st.Lost != int64(len(tt.want)-2) {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}
