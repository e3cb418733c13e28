package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
)

// TestBounds has a row for each bound on the requests of the metadata side: of three at a time two are sent, the third when
// one is answered; other requests are not held up.
func TestBounds(t *testing.T) {
	user := func(ctx context.Context, m *proxy.Metadata, i int) error {
		_, err := m.NotifyUser(ctx, provider.User{Name: provider.T(fmt.Sprint("u", i)), Password: provider.T("p")})
		return err
	}
	message := func(ctx context.Context, m *proxy.Metadata, i int) error {
		_, err := m.NotifyMessage(ctx, provider.T("u"), "S", fmt.Sprint("m", i))
		return err
	}
	items := func(ctx context.Context, m *proxy.Metadata, i int) error {
		_, err := m.Items(ctx, provider.T("u"), fmt.Sprint("g", i), "S")
		return err
	}
	session := func(ctx context.Context, m *proxy.Metadata, i int) error {
		_, err := m.NotifyNewSession(ctx, provider.T("u"), fmt.Sprint("S", i), nil)
		return err
	}
	for _, tt := range []struct {
		name           string
		cfg            proxy.MetadataConfig
		call, other    func(context.Context, *proxy.Metadata, int) error
		request, reply string
	}{
		{"users", proxy.MetadataConfig{MaxPendingUsers: 2}, user, message, "NUS|S|u%d|S|p", "NUS|D|0|B|0"},
		{"messages", proxy.MetadataConfig{MaxPendingMessages: 2}, message, items, "NUM|S|u|S|S|S|m%d", "NUM|V"},
		{"tables", proxy.MetadataConfig{MaxPendingTables: 2}, items, session, "GIS|S|u|S|g%d|S|S", "GIS|S|i"},
		{"sessions", proxy.MetadataConfig{MaxPendingSessions: 2}, session, user, "NNS|S|u|S|S%d", "NNS|I|0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, ln := startMetadata(t, tt.cfg)
				r := connectMetadata(t, ln)
				var done []<-chan error
				for i := range 4 {
					done = append(done, background(func() error { return tt.call(t.Context(), m, i) }))
					synctest.Wait()
				}
				ids := []string{r.request(fmt.Sprintf(tt.request, 0)), r.request(fmt.Sprintf(tt.request, 1))}
				r.silent()
				background(func() error { return tt.other(t.Context(), m, 0) })
				r.next()
				r.say("%s|%s", ids[1], tt.reply)
				ids = append(ids, r.request(fmt.Sprintf(tt.request, 2)))
				r.silent()
				for i, id := range []string{ids[0], ids[2]} {
					r.say("%s|%s", id, tt.reply)
					if i == 0 {
						r.say("%s|%s", r.request(fmt.Sprintf(tt.request, 3)), tt.reply)
					}
				}
				for _, d := range done {
					if err := <-d; err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// A request waits for its turn no longer than for an answer, and not at all when its caller is gone.
func TestBoundTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{MaxPendingMessages: 1, Config: proxy.Config{Timeout: 5 * time.Second}})
		r := connectMetadata(t, ln)
		begin := time.Now()
		call := func(ctx context.Context, text string) <-chan error {
			done := background(func() error { _, err := m.NotifyMessage(ctx, provider.T("u"), "S", text); return err })
			synctest.Wait()
			return done
		}
		first := call(t.Context(), "first")
		pass(2 * time.Second)
		impatient, cancel := context.WithCancelCause(t.Context())
		gone := call(impatient, "gone")
		second := call(t.Context(), "second")
		cancel(errStop)
		if err := <-gone; !errors.Is(err, errStop) {
			t.Errorf("got %v", err)
		}
		id := r.request("NUM|S|u|S|S|S|first")
		r.silent()
		asError(t, <-first, provider.Unavailable) // after 5 s
		late := r.request("NUM|S|u|S|S|S|second")
		r.say("%s|NUM|V", id) // too late, and gives no place away
		third := call(t.Context(), "third")
		asError(t, <-second, provider.Unavailable) // after 7 s: its time in the queue counts
		if took := time.Since(begin); took != 7*time.Second {
			t.Errorf("timed out after %v", took)
		}
		r.say("%s|NUM|V", late)
		r.say("%s|NUM|V", r.request("NUM|S|u|S|S|S|third"))
		if err := <-third; err != nil {
			t.Error(err)
		}
		if got := m.Stats(); got.TimedOut != 2 || got.LateReplies != 2 {
			t.Errorf("%+v", got)
		}
		fourth, fifth := call(t.Context(), "fourth"), call(t.Context(), "fifth")
		r.request("NUM|S|u|S|S|S|fourth")
		r.nc.Close()
		asError(t, <-fourth, provider.Unavailable)
		asError(t, <-fifth, provider.Unavailable)
	})
}

// The time of a notification of the end of a session begins when it is sent.
func TestBoundedClosings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{MaxPendingSessions: 1, Config: proxy.Config{Timeout: 5 * time.Second}})
		r := connectMetadata(t, ln)
		for i := range 3 {
			m.NotifySessionClose(fmt.Sprint("S", i))
		}
		r.request("NSC|S|S0")
		r.silent()
		for i := 1; i < 3; i++ {
			pass(4999 * time.Millisecond)
			r.silent()
			pass(time.Millisecond)
			r.request(fmt.Sprintf("NSC|S|S%d", i))
			r.silent()
		}
	})
}

func TestBoundedSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{MaxPendingRequests: 2, Config: proxy.Config{Timeout: 5 * time.Second}})
		r := connectData(t, ln)
		sinks := make(map[string]*sink)
		sub := func(item string) {
			sinks[item] = &sink{t: t}
			d.Subscribe(item, "", sinks[item])
		}
		unsub := func(item string) {
			d.Unsubscribe(item)
			sinks[item].ended.Store(true)
		}
		for _, item := range []string{"a", "b", "c", "d", "e"} {
			sub(item)
		}
		a, b := r.request("SUB|S|a"), r.request("SUB|S|b")
		r.silent()
		unsub("c") // never asked for
		unsub("a") // waits for its turn
		sub("a")
		r.say("%s|SUB|V", b)
		dID := r.request("SUB|S|d")
		r.silent()
		r.say("%s|SUB|V", a)
		e := r.request("SUB|S|e")
		r.say("%s|SUB|V\r\n%s|SUB|V", dID, e)
		usb := r.request("USB|S|a")
		again := r.request("SUB|S|a")
		r.say("7|UD3|S|a|S|%s|B|0|S|f|S|old", a)
		r.say("7|UD3|S|a|S|%s|B|0|S|f|S|new", again)
		sinks["a"].expect("live f=new")

		// What waits has no time-out, which begins with the sending.
		sub("f")
		unsub("b")
		unsub("e")
		r.silent()
		pass(4999 * time.Millisecond)
		r.silent()
		pass(time.Millisecond) // usb and again are over
		f := r.request("SUB|S|f")
		r.request("USB|S|b")
		r.silent()
		r.say("%s|USB|V\r\n%s|SUB|V", usb, again) // late, and give no place away
		r.silent()
		r.say("%s|SUB|V", f)
		r.request("USB|S|e")
		r.silent()
		if got := d.Stats(); got.Ignored != 1 || got.TimedOut != 2 || got.Waiting != 0 {
			t.Errorf("%+v", got)
		}
	})
}
