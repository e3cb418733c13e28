package session

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// An adapter may want to end what it has accepted just now, before the session knows of its answer.
func TestControlOfWhatIsJustBeginning(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		ctl := w.m.ControlOf("DEMO")
		w.meta.session = func(id string, _ provider.SessionContext) (time.Duration, error) {
			if err := ctl.ForceSessionTermination(id, &provider.Cause{Code: -4, Message: provider.T("not today")}); err != nil {
				t.Error(err)
			}
			return 0, nil
		}
		c := w.create(ws, "")
		lines := c.take()
		if n := len(lines); n == 0 || lines[n-1] != "END,-4,not today" || slices.Contains(lines[:n-1], lines[n-1]) {
			t.Errorf("got %q, want the head and the end", lines)
		}

		w.meta.session = nil
		w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{WantsTables: true}, nil }
		c = w.create(ws, "")
		c.take()
		ended := make(chan bool, 1)
		w.meta.tables = func(tb provider.Table) (provider.TablesGrant, error) {
			go func() { // as the proxy does, which waits for the answer and no longer
				ok, err := ctl.ForceUnsubscription(c.id(), tb.WinIndex)
				if err != nil {
					t.Error(err)
				}
				ended <- ok
			}()
			return provider.TablesGrant{Unsubscribable: true}, nil
		}
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		synctest.Wait()
		if !<-ended {
			t.Error("the table that was declared unsubscribable a moment ago was not")
		}
		if lines := c.take(); !slices.Contains(lines, "UNSUB,1") {
			t.Errorf("got %q, want UNSUB", lines)
		}
	})
}
