package session

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// These tests have clients that want too much, with the figures of faults that were found.

// pausing is a Metadata Adapter that answers messages once it is let go, and counts what it has
// meanwhile.
type pausing struct {
	hold chan struct{}

	mu          sync.Mutex
	has, most   int
	done        int
	bytes, peak int
}

func (p *pausing) receive(ctx context.Context, text string) (string, error) {
	p.mu.Lock()
	p.has++
	p.bytes += len(text)
	p.most, p.peak = max(p.most, p.has), max(p.peak, p.bytes)
	p.mu.Unlock()
	select {
	case <-p.hold:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.has--
	p.bytes -= len(text)
	p.done++
	return "", ctx.Err()
}

// flood has the client of a WebSocket send messages one after the other, as its reader takes them.
func (w *world) flood(c *conn, messages int, text string) *atomic.Int64 {
	var taken atomic.Int64
	go func() { // ends when all are taken, or the session ends
		for n := range messages {
			answer := w.m.Message(w.t.Context(), ws, c.b.s, tlcp.Message{ReqID: "1", Text: text, Prog: n + 1}, nil)
			if string(answer) != "REQOK,1\r\n" {
				return
			}
			taken.Add(1)
		}
	}()
	return &taken
}

// 1,000 messages of 48 KB while the adapter pauses for 4 s: it has few of them at a time, the
// sender waits, memory is bounded, and another client is answered as soon as the adapter answers at
// all.
func TestMessagesWhileTheAdapterPauses(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		p := &pausing{hold: make(chan struct{})}
		w.meta.message = p.receive
		c, victim := w.create(ws, ""), w.create(ws, "")
		victim.take()
		taken := w.flood(c, 1000, strings.Repeat("x", 48<<10))
		synctest.Wait()
		if got := w.msg(victim.id(), "LS_message=hi&LS_msg_prog=1"); got != "REQOK,1" {
			t.Errorf("the other client is answered %s", got)
		}
		pass(4 * time.Second)
		if got := w.m.waiting.Used(); got > 1<<20+8<<10 {
			t.Errorf("%d bytes wait", got)
		}
		if n := taken.Load(); n > 22 {
			t.Errorf("%d messages were taken", n)
		}
		if p.most > 9 || p.peak > 9*48<<10 {
			t.Errorf("the adapter had %d messages with %d bytes at a time, want 8 of one client and 1 of the other", p.most, p.peak)
		}
		close(p.hold)
		expect(t, data(victim.take()), "MSGDONE,*,1,")
		if n := taken.Load(); n != 1000 || p.done != 1001 {
			t.Errorf("%d messages were taken in the end, and %d processed", n, p.done)
		}
		if got := w.m.waiting.Used(); got > 10<<10 { // numbers of messages
			t.Errorf("%d bytes are still taken", got)
		}
	})
}

// While its reader waits for room a client that has promised heartbeats is not taken for silent.
func TestHeldUpClientIsNotSilent(t *testing.T) {
	inWorld(t, Config{MaxMessages: 1}, func(t *testing.T, w *world) {
		p := &pausing{hold: make(chan struct{})}
		w.meta.message = p.receive
		c := w.create(ws, "LS_inactivity_millis=1000&LS_keepalive_millis=30000")
		c.take()
		w.flood(c, 2, "x")
		pass(time.Minute)
		if lines := c.take(); slices.Contains(lines, "LOOP,0") {
			t.Errorf("got %q", lines)
		}
		close(p.hold)
		pass(11 * time.Second)
		if lines := c.take(); !slices.Contains(lines, "LOOP,0") {
			t.Errorf("after a silence of its own: %q", lines)
		}
	})
}

// An HTTP request waits for room for a while, and is refused then, with a code of the request.
func TestMessageRefusedOverHTTP(t *testing.T) {
	var audit []Audit
	inWorld(t, Config{MaxMessageBytes: 10_000, Audit: func(a Audit) { audit = append(audit, a) }}, func(t *testing.T, w *world) {
		p := &pausing{hold: make(chan struct{})}
		w.meta.message = p.receive
		c := w.create(overHTTP, "")
		text := "LS_msg_prog=%d&LS_message=" + strings.Repeat("x", 4000)
		for n := range 2 {
			if got := w.msg(c.id(), fmt.Sprintf(text, n+1)); got != "REQOK,1" {
				t.Error(got)
			}
		}
		start := time.Now()
		for range 3 {
			if got := w.msg(c.id(), fmt.Sprintf(text, 3)); got != "REQERR,1,68,Too many messages waiting in the session" {
				t.Error(got)
			}
		}
		if waited := time.Since(start); waited != 3*RequestWait {
			t.Errorf("waited %v", waited)
		}
		time.AfterFunc(time.Second, func() { p.hold <- struct{}{} })
		if got := w.msg(c.id(), fmt.Sprintf(text, 3)); got != "REQOK,1" {
			t.Errorf("when there is room: %s", got)
		}
		close(p.hold)
		synctest.Wait()
		if n := len(audit); n != 2 || audit[1].Kind != MessageRefused || audit[1].Limit != "PendingMessages" || audit[1].Session != c.id()[:9] {
			t.Errorf("audited %+v", audit)
		}
	})
}

// 1,000 messages of 49 KB in each of 8 sessions, all without their predecessor, which took 597 MB:
// at most half of the room is for them, so that the predecessor finds some, and then all that were
// taken are processed.
func TestMessagesWithoutPredecessor(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		d := &desk{hold: map[string]chan struct{}{}}
		w.meta.message = d.receive
		text := strings.Repeat("x", 49<<10)
		var conns []*conn
		taken := 0
		for range 8 {
			c := w.create(ws, "LS_keepalive_millis=30000")
			conns = append(conns, c)
			for n := range 1000 {
				got := w.m.Message(t.Context(), ws, c.b.s, tlcp.Message{ReqID: "1", Text: text, Sequence: "s", Prog: n + 2}, nil)
				switch string(got) {
				case "REQOK,1\r\n":
					taken++
				case "REQERR,1,68,Too many messages waiting for those before them\r\n":
				default:
					t.Fatalf("got %q", got)
				}
			}
		}
		if used := w.m.waiting.Used(); used > 8<<19+8<<10 || taken != 8*10 {
			t.Errorf("%d messages were taken, with %d bytes", taken, used)
		}
		for _, c := range conns {
			if got := w.msg(c.id(), "LS_message=first&LS_sequence=s&LS_msg_prog=1"); got != "REQOK,1" {
				t.Errorf("the predecessor: %s", got)
			}
		}
		if n := len(d.take()); n != taken+8 {
			t.Errorf("%d were processed", n)
		}
		for _, c := range conns {
			w.ok(c.id(), "LS_op=destroy")
		}
		synctest.Wait()
		if used := w.m.waiting.Used(); used != 0 {
			t.Errorf("%d bytes are left", used)
		}
	})
}

// A reader that waits for room behind which the missing predecessor waits gets on when the adapter
// answers.
func TestPredecessorBehindFullRoom(t *testing.T) {
	inWorld(t, Config{MaxMessages: 10}, func(t *testing.T, w *world) {
		p := &pausing{hold: make(chan struct{})}
		w.meta.message = p.receive
		c := w.create(ws, "LS_keepalive_millis=30000")
		c.take()
		answers := make(chan string, 100)
		go func() { // the reader
			send := func(sequence string, n int) {
				answers <- string(w.m.Message(t.Context(), ws, c.b.s, tlcp.Message{ReqID: "1", Sequence: sequence, Prog: n, NoOutcome: true}, nil))
			}
			for n := range 6 { // the last one is refused
				send("s", n+2)
			}
			for n := range 10 { // which wait for the adapter, and behind them the reader
				send("", n+1)
			}
			send("s", 1)
			close(answers)
		}()
		pass(time.Second)
		if n := len(answers); n > 12 {
			t.Errorf("%d requests were read while there was no room", n)
		}
		close(p.hold)
		synctest.Wait()
		var refused int
		for a := range answers {
			if a != "REQOK,1\r\n" {
				refused++
			}
		}
		if refused != 1 || p.done != 16 {
			t.Errorf("%d were refused, %d processed", refused, p.done)
		}
		expect(t, data(c.take()))
	})
}

// What waits in all sessions is bounded, and a session in which nothing waits gets a small message
// in all the same.
func TestMessagesOfAllSessions(t *testing.T) {
	inWorld(t, Config{MaxWaiting: 2 << 20}, func(t *testing.T, w *world) {
		p := &pausing{hold: make(chan struct{})}
		w.meta.message = p.receive
		victim := w.create(ws, "LS_keepalive_millis=30000")
		victim.take()
		for range 10 {
			w.flood(w.create(ws, ""), 100, strings.Repeat("x", 40<<10))
		}
		pass(time.Second)
		if used := w.m.waiting.Used(); used > 2<<20 || used < 1<<20 {
			t.Errorf("%d bytes wait", used)
		}
		if got := w.msg(victim.id(), "LS_message=hi&LS_msg_prog=1"); got != "REQOK,1" {
			t.Errorf("another client is answered %s", got)
		}
		close(p.hold)
		pass(time.Second) // those that wait try again
		expect(t, data(victim.take()), "MSGDONE,*,1,")
		if p.done != 1001 {
			t.Errorf("%d were processed", p.done)
		}
	})
}

// However many sessions have messages, each gets its turn at the adapter.
func TestMessagesTakeTurns(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var order []string
		p := &pausing{hold: make(chan struct{})}
		w.meta.message = func(ctx context.Context, text string) (string, error) {
			response, err := p.receive(ctx, text)
			mu.Lock()
			order = append(order, text)
			mu.Unlock()
			return response, err
		}
		const attackers = 40
		for range attackers {
			w.flood(w.create(ws, ""), 500, "x")
		}
		synctest.Wait()
		if p.most > maxCalls {
			t.Errorf("the adapter had %d messages at a time", p.most)
		}
		victim := w.create(ws, "")
		w.msg(victim.id(), "LS_message=victim&LS_msg_prog=1")
		for range maxCalls + attackers + 10 {
			p.hold <- struct{}{}
			synctest.Wait()
		}
		if i := slices.Index(order, "victim"); i < 0 {
			t.Errorf("a message of another session is not among the %d that were answered", len(order))
		}
		close(p.hold)
		synctest.Wait()
		if p.done != 500*attackers+1 {
			t.Errorf("%d were processed", p.done)
		}
	})
}

// Control requests that wait for the adapter are bounded in bytes.
func TestRequestsAreBoundedInBytes(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		hold := make(chan struct{})
		w.meta.items = func(string) ([]string, error) { <-hold; return []string{"i"}, nil }
		c := w.create(ws, "")
		refused := 0
		answer := func(line []byte) {
			if bytes.HasPrefix(line, []byte("REQERR,1,68,Too many requests")) {
				refused++
			}
		}
		group := strings.Repeat("x", 48<<10)
		for n := range 2000 {
			w.m.Submit(ws, c.b.s, tlcp.Control{ReqID: "1", Op: tlcp.OpAdd, Add: &tlcp.Add{
				SubID: n + 1, Mode: tlcp.ModeRaw, Group: group, Schema: "a", DataAdapter: "DEFAULT",
			}}, answer)
		}
		if used := w.m.waiting.Used(); used > 4<<20+100<<10 || refused < 1900 {
			t.Errorf("%d bytes wait, %d were refused", used, refused)
		}
		w.ok(c.id(), "LS_op=destroy")
		close(hold)
		synctest.Wait()
		if used := w.m.waiting.Used(); used != 0 {
			t.Errorf("%d bytes are left", used)
		}
	})
}

// What is remembered of sessions that have ended does not grow with what their clients say.
func TestFarewellsAreBoundedInBytes(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		for range 10 {
			c := w.create(ws, "")
			w.ok(c.id(), "LS_op=destroy&LS_cause_code=-1&LS_cause_message="+strings.Repeat("x", 48<<10))
			synctest.Wait()
			if f := w.m.farewells[len(w.m.farewells)-1]; len(f.cause.text) > maxFarewell {
				t.Errorf("%d bytes are kept", len(f.cause.text))
			}
		}
	})
}

func from(ip string) Client {
	c := ws
	c.RemoteIP = ip
	return c
}

// attack creates sessions and says how many there were; those refused have to be told to come
// again.
func (w *world) attack(n int, ip func(n int) string) (created int) {
	for i := range n {
		b, no := w.tryCreate(from(ip(i)), "")
		switch {
		case no == nil:
			created++
			w.run(b)
		case no.Code != tlcp.CodeCheckUnavailable:
			w.t.Fatalf("refused with %v, which clients take for final", no)
		}
	}
	return created
}

// 10,000 sessions at once from one address leave room for the others.
func TestSessionsOfOneAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg    Config
		ip     func(n int) string
		most   int
		victim string
	}{
		"IPv4":              {Config{}, func(int) string { return "192.0.2.1" }, 1000, "192.0.2.2"},
		"the /64 of one":    {Config{}, func(n int) string { return fmt.Sprintf("2001:db8::%x", n) }, 1000, "2001:db8:0:1::1"},
		"loopback":          {Config{}, func(int) string { return "127.0.0.1" }, 8000, "127.0.0.2"},
		"loopback, limited": {Config{LoopbackSessions: 100}, func(int) string { return "::1" }, 100, "127.0.0.1"},
		"rate only":         {Config{MaxAddressSessions: -1, SessionRate: 10}, func(int) string { return "192.0.2.1" }, 100, "192.0.2.2"},
		"neither":           {Config{MaxAddressSessions: -1, SessionRate: -1}, func(int) string { return "192.0.2.1" }, 8000, "192.0.2.2"},
		"one in IPv6 of IPv4": {Config{}, func(n int) string {
			return []string{"192.0.2.1", "::ffff:192.0.2.1"}[n%2]
		}, 1000, "192.0.2.2"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, tt.cfg, func(t *testing.T, w *world) {
				if n := w.attack(10_000, tt.ip); n != tt.most {
					t.Errorf("%d sessions, want %d", n, tt.most)
				}
				for range 10 {
					w.create(from(tt.victim), "")
				}
			})
		})
	}
}

// After a restart of the broker a thousand clients behind one address are back at once, and two
// thousand, who wait 4 s when they are told to, within seconds.
func TestClientsBehindOneAddressComeBack(t *testing.T) {
	inWorld(t, Config{MaxAddressSessions: 5000}, func(t *testing.T, w *world) {
		w.meta.user = func(provider.User) (provider.UserGrant, error) {
			<-time.After(20 * time.Millisecond)
			return provider.UserGrant{}, nil
		}
		start := time.Now()
		var mu sync.Mutex
		var took []time.Duration
		for range 2000 {
			go func() { // ends when it has a session
				for {
					b, no := w.tryCreate(from("192.0.2.1"), "")
					if no == nil {
						w.run(b)
						break
					}
					if no.Code != tlcp.CodeCheckUnavailable {
						t.Errorf("stopped by %v", no)
						break
					}
					<-time.After(4 * time.Second)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(start))
			}()
		}
		pass(time.Minute)
		if len(took) != 2000 || took[999] > time.Second || took[1999] > 15*time.Second {
			t.Errorf("%d are back, the first thousand after %v, all after %v", len(took), took[999], took[len(took)-1])
		}
	})
}

// However many sessions are created at once, the adapter is asked about some at a time, and one
// address has half of its attention at most.
func TestCreationsWaitForTheAdapter(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		hold := make(chan struct{})
		var asked, most atomic.Int64
		w.meta.user = func(u provider.User) (provider.UserGrant, error) {
			if n := asked.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer asked.Add(-1)
			if u.Name.S != "victim" {
				<-hold
			}
			return provider.UserGrant{}, nil
		}
		var refused, created atomic.Int64
		create := func(ip, params string) {
			b, no := w.tryCreate(from(ip), params)
			if no == nil {
				created.Add(1)
				w.run(b)
				return
			}
			if no.Code != tlcp.CodeCheckUnavailable {
				t.Errorf("stopped by %v", no)
			}
			refused.Add(1)
		}
		for range 1000 {
			go create("192.0.2.1", "")
		}
		go create("192.0.2.1", "LS_ttl_millis=unlimited")
		synctest.Wait()
		if n := asked.Load(); n != 32 {
			t.Errorf("asked about %d at a time of one address", n)
		}
		start := time.Now()
		w.create(from("192.0.2.2"), "LS_user=victim")
		if waited := time.Since(start); waited > 0 {
			t.Errorf("another client waited %v", waited)
		}
		for n := range 100 {
			go create(fmt.Sprintf("198.51.100.%d", n), "")
		}
		pass(3 * time.Second)
		// Those of the other addresses fill the rest of the places; one client waits for longer.
		if got := refused.Load(); got < 1000-32+100-32 || got > 1001-32+100-32 {
			t.Errorf("%d were told to come again", got)
		}
		if n := most.Load(); n > 64 {
			t.Errorf("asked about %d at a time", n)
		}
		close(hold)
		pass(time.Second)
		if n := created.Load(); n+refused.Load() != 1101 || n < 64 {
			t.Errorf("%d were created", n)
		}
		for _, as := range w.m.sets {
			if g := &as.creations; g.busy != 0 || g.waiting != 0 || len(g.lanes) != 0 || len(g.turns) != 0 {
				t.Errorf("left behind: %d, %d, %d, %d", g.busy, g.waiting, len(g.lanes), len(g.turns))
			}
		}
	})
}

// Addresses that come and go are forgotten, and of those that do not nobody can have too many.
func TestAddressesAreBounded(t *testing.T) {
	inWorld(t, Config{MaxSessions: 100}, func(t *testing.T, w *world) {
		w.meta.user = func(provider.User) (provider.UserGrant, error) {
			return provider.UserGrant{}, &provider.Error{Kind: provider.Access}
		}
		w.m.cfg.Sets = func(string) *provider.Set { return nil } // refused at once
		for n := range 30_000 {
			w.tryCreate(from(fmt.Sprintf("2001:db8:%x:%x::1", n>>8, n&255)), "")
		}
		if n := len(w.m.addresses); n > 100+spareAddresses {
			t.Errorf("%d addresses", n)
		}
		pass(time.Second)
		w.tryCreate(from("192.0.2.1"), "")
		if n := len(w.m.addresses); n > 2 {
			t.Errorf("%d addresses after a second", n)
		}
	})
}

// A user has a limit of sessions if there is one; who only claims to be that user takes nothing of
// it.
func TestSessionsOfOneUser(t *testing.T) {
	inWorld(t, Config{MaxUserSessions: 3}, func(t *testing.T, w *world) {
		w.meta.user = func(u provider.User) (provider.UserGrant, error) {
			if u.Password.S != "right" {
				return provider.UserGrant{}, &provider.Error{Kind: provider.Access}
			}
			return provider.UserGrant{}, nil
		}
		for range 100 {
			w.tryCreate(ws, "LS_user=u&LS_password=wrong")
		}
		var last *conn
		for range 3 {
			last = w.create(ws, "LS_user=u&LS_password=right")
		}
		if _, no := w.tryCreate(ws, "LS_user=u&LS_password=right"); no == nil || no.Code != tlcp.CodeCheckUnavailable {
			t.Errorf("a fourth one: %v", no)
		}
		w.create(ws, "LS_user=v&LS_password=right")
		w.create(ws, "LS_password=right")
		w.ok(last.id(), "LS_op=destroy")
		synctest.Wait()
		w.create(ws, "LS_user=u&LS_password=right")
		w.m.mu.Lock()
		all := slices.Collect(maps.Values(w.m.sessions))
		w.m.mu.Unlock()
		for _, s := range all {
			s.terminate(cause{})
		}
		synctest.Wait()
		w.m.mu.Lock()
		defer w.m.mu.Unlock()
		if len(w.m.users) != 0 || w.m.names.Used() != 0 {
			t.Errorf("left behind: %v, %d bytes", w.m.users, w.m.names.Used())
		}
	})
}

// A session that nobody has used yet is given up earlier when its connection is lost.
func TestUnusedSessionsAreShortLived(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		unused, used := w.create(ws, ""), w.create(ws, "")
		w.ok(used.id(), "LS_op=constrain&LS_requested_max_bandwidth=100")
		unused.cut()
		used.cut()
		pass(10*time.Second + time.Millisecond)
		if n := w.m.Stats().Sessions; n != 1 {
			t.Errorf("%d sessions after 10 s", n)
		}
		pass(10 * time.Second)
		if n := w.m.Stats().Sessions; n != 0 {
			t.Errorf("%d sessions after 20 s", n)
		}
	})
}

// 48,000 messages that are refused, of three requests, and other faults of clients, leave a handful
// of lines in the log, none of them long, and the last ones tell how many there were.
func TestLogsThatClientsCause(t *testing.T) {
	var out bytes.Buffer
	inWorld(t, Config{Logger: slog.New(slog.NewTextHandler(&out, nil))}, func(t *testing.T, w *world) {
		evil := strings.Repeat("\n\x1b", 20_000)
		w.meta.message = func(_ context.Context, text string) (string, error) {
			return "", &provider.Error{Kind: provider.Notification, Message: "bad message " + evil}
		}
		w.meta.items = func(group string) ([]string, error) {
			return nil, &provider.Error{Kind: provider.Items, Message: "no group " + group}
		}
		c := w.create(ws, "LS_keepalive_millis=30000")
		for range 48_000 {
			w.m.Message(t.Context(), ws, c.b.s, tlcp.Message{ReqID: "1", Text: "x", NoOutcome: true}, nil)
		}
		for range 1000 {
			w.m.Control(t.Context(), ws, c.b.s, tlcp.Control{ReqID: "1", Op: tlcp.OpAdd, Add: &tlcp.Add{SubID: 1, Group: evil, Schema: "a", DataAdapter: "DEFAULT"}}, nil)
			w.m.Create(t.Context(), ws, tlcp.CreateSession{AdapterSet: evil, ConnParams: tlcp.ConnParams{Cause: evil}})
			w.m.Bind(t.Context(), ws, tlcp.BindSession{Session: c.id(), Recovery: true, RecoveryFrom: 1 << 40, ConnParams: tlcp.ConnParams{Cause: evil}}, nil)
		}
		pass(sampleTime)
	})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) > 60 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if len(line) > 2500 {
			t.Errorf("a line of %d bytes: %.200s", len(line), line)
		}
	}
	for _, want := range []string{
		`msg="session: message refused by the Metadata Adapter" left_out=47990 in=10s`, "subscription refused by the Metadata Adapter\" left_out=990",
		"creation refused\" left_out=990", "bind refused\" left_out=990",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line with %s in %s", want, &out)
		}
	}
}

// The audit log gets who came, who was refused by whom, and who has ended what, and no session id.
func TestAudit(t *testing.T) {
	var mu sync.Mutex
	var got []string
	var ids []string
	cfg := Config{MaxSessions: 4, Audit: func(a Audit) {
		mu.Lock()
		defer mu.Unlock()
		for _, id := range ids {
			if strings.Contains(fmt.Sprintf("%+v", a), id) {
				t.Errorf("a session id in %+v", a)
			}
		}
		kinds := [...]string{"", "created", "refused", "ended", "message", "subscription"}
		got = append(got, fmt.Sprintf("%s %s %s %s by %s %s %d", kinds[a.Kind], a.Set, a.User.S, a.RemoteIP, a.By, a.Limit, a.Code))
	}}
	inWorld(t, cfg, func(t *testing.T, w *world) {
		w.meta.user = func(u provider.User) (provider.UserGrant, error) {
			if u.Name.S == "mallory" {
				return provider.UserGrant{}, &provider.Error{Kind: provider.Access}
			}
			return provider.UserGrant{}, nil
		}
		check := func(want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			expect(t, got, want...)
			got = nil
		}
		a := w.create(ws, "LS_user=a")
		mu.Lock()
		ids = append(ids, a.id())
		mu.Unlock()
		check("created DEMO a 10.0.0.7 by   0")
		w.tryCreate(ws, "LS_user=mallory")
		check("refused DEMO mallory 10.0.0.7 by adapter  1")
		w.m.Create(t.Context(), ws, tlcp.CreateSession{AdapterSet: "NONE"})
		check("refused NONE  10.0.0.7 by client  2")
		w.ok(a.id(), "LS_op=destroy")
		check("ended DEMO a 10.0.0.7 by client  31")
		b := w.create(ws, "LS_user=b")
		w.m.ControlOf("DEMO").ForceSessionTermination(b.id(), nil)
		synctest.Wait()
		c := w.create(ws, "LS_user=c")
		c.cut()
		check("created DEMO b 10.0.0.7 by   0", "ended DEMO b 10.0.0.7 by adapter  32", "created DEMO c 10.0.0.7 by   0")
		pass(time.Minute)
		check("ended DEMO c 10.0.0.7 by expiry  32")
		d := w.create(ws, "LS_user=d")
		w.create(ws, "LS_user=e&LS_old_session="+d.id())
		check("created DEMO d 10.0.0.7 by   0", "created DEMO e 10.0.0.7 by   0", "ended DEMO d 10.0.0.7 by replaced  35")
		for range 3 {
			w.create(ws, "")
		}
		w.tryCreate(ws, "LS_user=f")
		mu.Lock()
		got = got[3:]
		mu.Unlock()
		check("refused DEMO f 10.0.0.7 by limit Sessions 6")
		if err := w.m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(got) != 4 || !strings.HasSuffix(got[0], "by server  48") {
			t.Errorf("at the end: %q", got)
		}
	})
}

// Whoever fills the line of those who wait for the adapter holds up nobody whose line is shorter.
func TestLongLinesGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		g.init(2, maxQueue)
		var refused atomic.Int64
		enter := func(ip string) {
			if no := g.enter(t.Context(), addressOf(ip), time.Hour); no != nil {
				refused.Add(1)
				return
			}
			<-time.After(time.Minute)
			g.leave(addressOf(ip))
		}
		for n := range 3000 {
			go enter(fmt.Sprintf("192.0.2.%d", n%3))
			synctest.Wait()
		}
		if n := refused.Load(); n != 3000-2-maxQueue {
			t.Errorf("%d were refused", n)
		}
		start := time.Now()
		enter("198.51.100.1")
		if waited := time.Since(start); waited > 4*time.Minute {
			t.Errorf("the one of another address waited %v", waited)
		}
		pass(48 * time.Hour)
		if n := refused.Load(); n < 3000-1-maxQueue || g.busy != 0 || g.waiting != 0 || len(g.lanes) != 0 || len(g.turns) != 0 {
			t.Errorf("%d were refused; left behind: %d, %d, %d, %d", n, g.busy, g.waiting, len(g.lanes), len(g.turns))
		}
	})
}

// Outcomes that wait for a bind, which is behind the messages on the same WebSocket, do not hold up
// its reader: a message is refused when too many of them wait.
func TestOutcomesOfAnUnboundSession(t *testing.T) {
	withDesk(t, Config{MaxMessages: 3}, func(t *testing.T, w *world, _ *desk, c *conn) {
		w.ok(c.id(), "LS_op=force_rebind")
		<-c.end
		start := time.Now()
		for n := range 5 {
			got := w.m.Message(t.Context(), ws, c.b.s, tlcp.Message{ReqID: "1", Text: "x", Prog: n + 1}, nil)
			synctest.Wait()
			want := "REQOK,1\r\n"
			if n >= 3 {
				want = "REQERR,1,68,Too many notifications waiting in the session\r\n"
			}
			if string(got) != want {
				t.Errorf("message %d: %q", n+1, got)
			}
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("the reader was held up for %v", waited)
		}
		expect(t, data(w.bind(ws, "LS_session="+c.id()).take()), "MSGDONE,*,1,", "MSGDONE,*,2,", "MSGDONE,*,3,")
	})
}

// 500 sessions that subscribe at once, with 48 KB each, while the adapter pauses: it is asked about
// some at a time, with few bytes, and about those of another address as soon as it answers.
func TestSubscriptionsWhileTheAdapterPauses(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		p := &pausing{hold: make(chan struct{})}
		w.meta.items = func(group string) ([]string, error) {
			_, err := p.receive(t.Context(), group)
			return []string{"i"}, err
		}
		var answered atomic.Int64
		group := strings.Repeat("x", 48<<10)
		for range 500 {
			c := w.create(from("192.0.2.1"), "")
			w.m.Submit(ws, c.b.s, tlcp.Control{ReqID: "1", Op: tlcp.OpAdd, Add: &tlcp.Add{
				SubID: 1, Mode: tlcp.ModeRaw, Group: group, Schema: "a", DataAdapter: "DEFAULT",
			}}, func([]byte) { answered.Add(1) })
		}
		victim := w.create(from("192.0.2.2"), "")
		w.m.Submit(ws, victim.b.s, tlcp.Control{ReqID: "1", Op: tlcp.OpAdd, Add: &tlcp.Add{
			SubID: 1, Mode: tlcp.ModeRaw, Group: "i", Schema: "a", DataAdapter: "DEFAULT",
		}}, func(line []byte) {
			if string(line) != "REQOK,1\r\n" || answered.Load() > 200 {
				t.Errorf("another client is answered %q after %d", line, answered.Load())
			}
		})
		pass(4 * time.Second)
		if p.most > maxAsks || p.peak > maxCallBytes {
			t.Errorf("the adapter was asked about %d subscriptions with %d bytes at a time", p.most, p.peak)
		}
		close(p.hold)
		synctest.Wait()
		if n := answered.Load(); n != 500 {
			t.Errorf("%d were answered", n)
		}
	})
}
