package session

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// A set that goes out of service takes its sessions and items along, and nothing of another set.
func TestRelease(t *testing.T) {
	inWorld(t, Config{Linger: time.Hour}, func(t *testing.T, w *world) {
		other := &provider.Set{ID: "OTHER", Metadata: w.meta, Data: map[string]provider.Data{"DEFAULT": &feed{t: t, sinks: map[string]provider.Sink{}}}}
		sets := []*provider.Set{w.set, other}
		w.m.cfg.Sets = func(id string) *provider.Set {
			if i := slices.IndexFunc(sets, func(s *provider.Set) bool { return s.ID == id }); i >= 0 {
				return sets[i]
			}
			return nil
		}
		c := w.create(ws, "")
		b, refusal := w.m.Create(t.Context(), ws, tlcp.CreateSession{AdapterSet: "OTHER"})
		if refusal != nil {
			t.Fatal(refusal)
		}
		stays := w.serve(b)
		w.ok(c.id(), add(1, "RAW", "item1", "a", ""))
		w.ok(c.id(), add(2, "MERGE", "lingers", "a", ""))
		w.ok(c.id(), "LS_op=delete&LS_subId=2")
		if items := w.feed.items(); len(items) != 2 {
			t.Fatalf("items %v", items)
		}
		sets = []*provider.Set{other}
		c.take()
		if err := w.m.Release(t.Context(), w.set); err != nil {
			t.Error(err)
		}
		if items := w.feed.items(); len(items) != 0 {
			t.Errorf("items %v are still subscribed", items)
		}
		synctest.Wait()
		expect(t, c.take(), "END,32,"+tlcp.SessionText(tlcp.CodeClosedByServer))
		expect(t, w.bind(ws, "LS_session="+c.id()).take(), "END,32,"+tlcp.SessionText(tlcp.CodeClosedByServer))
		if _, err := w.tryCreate(ws, ""); err == nil || err.Code != tlcp.CodeAdapterSetUnknown {
			t.Errorf("a new session of the set: %v", err)
		}
		w.ok(stays.id(), add(1, "RAW", "item1", "a", ""))
		if err := w.m.Release(t.Context(), w.set); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}

// A session whose creation is under way when its set goes does not come to be.
func TestReleaseDuringCreate(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		asked := make(chan struct{})
		w.meta.user = func(provider.User) (provider.UserGrant, error) {
			<-asked
			return provider.UserGrant{}, nil
		}
		refusal := make(chan *tlcp.SessionError)
		go func() {
			_, err := w.tryCreate(ws, "")
			refusal <- err
		}()
		synctest.Wait()
		if err := w.m.Release(t.Context(), w.set); err != nil {
			t.Error(err)
		}
		close(asked)
		if err := <-refusal; err == nil || err.Code != tlcp.CodeAdapterSetUnknown {
			t.Errorf("got %v", err)
		}
	})
}

// Release does not wait for ever for an adapter that holds a message.
func TestReleaseGivesUpWaiting(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		hold := make(chan struct{})
		w.meta.message = func(context.Context, string) (string, error) { <-hold; return "", nil }
		c := w.create(ws, "")
		w.msg(c.id(), "LS_message=x&LS_msg_prog=1")
		synctest.Wait() // the adapter has it
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.m.Release(ctx, w.set); err == nil {
			t.Error("it returned while a message is at work")
		}
		close(hold)
		synctest.Wait()
		if n := w.m.Stats().Sessions; n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// What was counted stays counted when subscription and session have ended.
func TestStatsOfUpdates(t *testing.T) {
	inWorld(t, Config{MaxUnfiltered: 2}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "MERGE", "m", "a", "LS_requested_max_frequency=1"))
		w.ok(c.id(), add(2, "RAW", "r", "a", ""))
		for _, step := range []string{"a=1", "a=2", "a=3", "a=4"} {
			w.send("m", step) // the first is sent, the next waits for its turn, the others are merged into it
			synctest.Wait()
		}
		c.cut()
		w.send("r", "a=1", "a=2", "a=3", "a=4") // of which two may wait
		check := func(when string, sent int64) {
			t.Helper()
			if st := w.m.Stats(); st.Sent != sent || st.Filtered != 2 || st.Lost != 2 {
				t.Errorf("%s: %d sent, %d filtered, %d lost", when, st.Sent, st.Filtered, st.Lost)
			}
		}
		check("waiting", 1)
		if n := w.m.Stats().Items; n != 2 {
			t.Errorf("%d items", n)
		}
		next := w.bind(ws, "LS_session="+c.id())
		check("rebound", 3)
		w.ok(c.id(), "LS_op=delete&LS_subId=1")
		check("one subscription less", 3)
		w.ok(c.id(), "LS_op=destroy")
		<-next.end
		synctest.Wait()
		check("session over", 3)
		if n := w.m.Stats().Items; n != 0 {
			t.Errorf("%d items", n)
		}
	})
}
