package session

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// createCombined creates a session together with control requests.
func (w *world) createCombined(cl Client, controls ...string) (*Binding, *tlcp.SessionError) {
	w.t.Helper()
	req, refusal := tlcp.ParseCreateSession([]byte(defaults))
	if refusal != nil {
		w.t.Fatal(refusal)
	}
	body := defaults
	for _, c := range controls {
		body += tlcp.EOL + c
	}
	all, refusal := tlcp.ParseCombined([]byte(body))
	if refusal != nil {
		w.t.Fatal(refusal)
	}
	return w.m.Create(w.t.Context(), cl, req, all...)
}

// What comes with the creation is done when the session begins: no answer but what the requests cause, behind the head.
func TestCombinedCreation(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		b, err := w.createCombined(ws, add(1, "RAW", "i", "a", ""), add(2, "MERGE", "j", "a", ""), "LS_op=delete&LS_subId=2",
			"LS_op=constrain&LS_requested_max_bandwidth=40")
		if err != nil {
			t.Fatal(err)
		}
		c := w.serve(b)
		w.feed.sinks["i"].Update(update("a=1"))
		pass(time.Second) // at 40 kbit/s
		lines := c.take()
		from := slices.Index(lines, "SUBOK,1,1,1")
		if from < 0 || !slices.Contains(lines[:from], "CONS,40.0") {
			t.Fatalf("got %q", lines)
		}
		want := []string{"SUBOK,1,1,1", "CONF,1,unlimited,filtered", "SUBOK,2,1,1", "CONF,2,unlimited,filtered", "UNSUB,2", "U,1,1,1"}
		if got := lines[from:]; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// If one of the requests fails there is no session: the adapter is told of its end, and nothing stays subscribed.
func TestCombinedCreationFails(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.meta.tables = func(tb provider.Table) (provider.TablesGrant, error) {
			if tb.WinIndex == 2 {
				return provider.TablesGrant{}, &provider.Error{Kind: provider.Credits, Code: -9, ClientMessage: provider.T("no more, sorry")}
			}
			return provider.TablesGrant{}, nil
		}
		w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{WantsTables: true}, nil }
		_, err := w.createCombined(ws, add(1, "RAW", "i", "a", ""), add(2, "RAW", "j", "a", ""), add(3, "RAW", "k", "a", ""))
		if err == nil || err.Code != tlcp.CodeCombinedFailed || err.Message != "no more, sorry" {
			t.Fatalf("got %v", err)
		}
		for _, c := range []string{"LS_op=delete&LS_subId=1", "LS_op=destroy", "LS_op=force_rebind", "LS_op=register"} {
			if _, err := w.createCombined(ws, c); err == nil || err.Code != tlcp.CodeCombinedFailed {
				t.Errorf("%s: %v", c, err)
			}
		}
		synctest.Wait()
		if st := w.m.Stats(); st.Sessions != 0 || st.Subscriptions != 0 || st.Items != 0 || st.Refused != 5 {
			t.Errorf("left behind: %+v", st)
		}
	})
}
