package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

func TestCreateStreaming(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "LS_user=u&LS_password=p")
		expect(t, c.take(), "CONOK,"+c.id()+",50000,5000,*", "SERVNAME,test port", "CLIENTIP,10.0.0.7", "CONS,unlimited")
		expect(t, w.meta.take(), "NotifyUser u p", "NotifyNewSession u")
		w.ok(c.id(), "LS_op=destroy&LS_close_socket=true")
		if end := <-c.end; end != (End{Ended, true}) {
			t.Errorf("end %+v", end)
		}
		expect(t, c.take(), "END,31,Destroy invoked by client")
		expect(t, w.meta.take(), "NotifySessionClose")
		if st := w.m.Stats(); st.Sessions != 0 || st.Created != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestCreatePoll is how clients create every session over HTTP.
func TestCreatePoll(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(overHTTP, "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
		if end := <-c.end; end.Reason != Looped {
			t.Fatalf("end %+v", end)
		}
		expect(t, c.take(), "CONOK,"+c.id()+",50000,0,*", "SERVNAME,test port", "CLIENTIP,10.0.0.7", "CONS,unlimited", "LOOP,0")
		pass(10*time.Second - 1)
		c2 := w.bind(overHTTP, "LS_session="+c.id()+"&LS_content_length=50000000&LS_keepalive_millis=3000")
		expect(t, c2.take(), "CONOK,"+c.id()+",50000,3000,*", "SERVNAME,test port", "CLIENTIP,10.0.0.7", "CONS,unlimited", "PROG,0")
		if c2.cut().Reason != Lost {
			t.Error("a cut connection is not lost")
		}
	})
}

func TestReduceHead(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "LS_reduce_head=true")
		expect(t, c.take(), "CONOK,"+c.id()+",50000,5000,*")
		w.ok(c.id(), "LS_op=constrain&LS_requested_max_bandwidth=10")
		expect(t, c.take())
		c.cut()
		c = w.bind(ws, "LS_session="+c.id()+"&LS_reduce_head=true&LS_recovery_from=0")
		expect(t, c.take(), "PROG,0")
		c.cut()
	})
}

func TestCreateRefused(t *testing.T) {
	tests := []struct {
		name   string
		params string
		user   error
		sess   error
		want   string
	}{
		{"unknown set", "LS_adapter_set=NONE", nil, nil, "CONERR,2,Requested Adapter Set not available"},
		{"access", "", &provider.Error{Kind: provider.Access, Message: "secret"}, nil, "CONERR,1,User/password check failed"},
		{"resource", "", &provider.Error{Kind: provider.Resource}, nil, "CONERR,6,User/password check temporarily not available"},
		{"no adapter", "", &provider.Error{Kind: provider.Unavailable}, nil, "CONERR,6,User/password check temporarily not available"},
		{"credits", "", &provider.Error{Kind: provider.Credits, Code: -7, ClientMessage: provider.T("pay, please")}, nil, "CONERR,-7,pay%2C please"},
		{"credits without text", "", &provider.Error{Kind: provider.Credits, Code: 5, ClientMessage: provider.Null}, nil, "CONERR,0,"},
		{"generic", "", &provider.Error{Message: "secret"}, nil, "CONERR,66,Unexpected exception in the Metadata Adapter"},
		{"failure", "", fmt.Errorf("connection refused"), nil, "CONERR,66,Unexpected exception in the Metadata Adapter"},
		{"session credits", "", nil, &provider.Error{Kind: provider.Credits, Code: -1, ClientMessage: provider.T("no")}, "CONERR,-1,no"},
		{"session notification", "", nil, &provider.Error{Kind: provider.Notification}, "CONERR,66,Unexpected exception in the Metadata Adapter"},
		{"conflict with an unknown session", "", nil, &provider.Error{Kind: provider.ConflictingSession, Code: -3, ClientMessage: provider.T("one"), Session: "Sx"}, "CONERR,-3,one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{}, tt.user }
				w.meta.session = func(string, provider.SessionContext) (time.Duration, error) { return 0, tt.sess }
				params := defaults + tt.params
				if strings.Contains(tt.params, "LS_adapter_set") {
					params = tt.params
				}
				req, bad := tlcp.ParseCreateSession([]byte(params))
				if bad != nil {
					t.Fatal(bad)
				}
				_, err := w.m.Create(t.Context(), ws, req)
				if err == nil {
					t.Fatal("not refused")
				}
				if got := string(err.Append(nil)); got != tt.want+"\r\n" {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if st := w.m.Stats(); st.Sessions != 0 || st.Refused != 1 {
					t.Errorf("stats %+v", st)
				}
			})
		})
	}
}

func TestUnsupportedVersion(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		old := ws
		old.Version = tlcp.Version{Major: 1}
		if _, err := w.tryCreate(old, ""); err == nil || err.Code != tlcp.CodeClientVersion {
			t.Errorf("create: %v", err)
		}
		if _, err := w.tryBind(old, "LS_session=S"); err == nil || err.Code != tlcp.CodeClientVersion {
			t.Errorf("bind: %v", err)
		}
	})
}

func TestMaxSessions(t *testing.T) {
	inWorld(t, Config{MaxSessions: 2}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.create(ws, "")
		if _, err := w.tryCreate(ws, ""); err == nil || err.Code != tlcp.CodeCheckUnavailable {
			t.Fatalf("third session: %v", err)
		}
		w.ok(c.id(), "LS_op=destroy")
		synctest.Wait()
		w.create(ws, "")
	})
}

// TestConflictingSession: the Metadata Adapter names the session that is in the way; it is closed and the question repeated.
func TestConflictingSession(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		first := w.create(ws, "LS_user=u")
		var ids, requests []string
		w.meta.session = func(id string, info provider.SessionContext) (time.Duration, error) {
			ids = append(ids, id)
			requests = append(requests, info[len(info)-1].Value.S)
			if len(ids) == 1 {
				return 0, &provider.Error{Kind: provider.ConflictingSession, Code: -2, Session: first.id()}
			}
			return 0, nil
		}
		second := w.create(ws, "LS_user=u")
		if end := <-first.end; end.Reason != Ended {
			t.Errorf("first session: %+v", end)
		}
		expect(t, first.take()[4:], "END,35,Another session was opened by the same user")
		if len(ids) != 2 || ids[0] == ids[1] || requests[0] != requests[1] || second.id() != ids[1] {
			t.Errorf("ids %q, requests %q, session %s", ids, requests, second.id())
		}
	})
}

// TestClientGoneDuringCreate: nobody will use the session, so it is closed again.
func TestClientGoneDuringCreate(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "", func(c *conn) { c.limit = -1; c.cancel() })
		if end := <-c.end; end.Reason != Lost {
			t.Errorf("end %+v", end)
		}
		synctest.Wait()
		if st := w.m.Stats(); st.Sessions != 0 {
			t.Errorf("%d sessions left", st.Sessions)
		}
		expect(t, w.meta.take(), "NotifyUser  ", "NotifyNewSession ", "NotifySessionClose")
	})
}

func TestKeepalive(t *testing.T) {
	tests := []struct {
		asked, granted int
	}{{0, 5000}, {200, 1000}, {2500, 2500}, {90000, 30000}}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.asked), func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				c := w.create(ws, fmt.Sprintf("LS_keepalive_millis=%d", tt.asked))
				if got := c.take()[0]; !strings.HasSuffix(got, fmt.Sprintf(",50000,%d,*", tt.granted)) {
					t.Errorf("head %q", got)
				}
				pass(time.Hour)
				probes := c.take()
				if want := int(time.Hour.Milliseconds()) / tt.granted; len(probes) != want || slices.ContainsFunc(probes, func(s string) bool { return s != "PROBE" }) {
					t.Errorf("%d lines in an hour, want %d PROBE: %.100q", len(probes), want, probes)
				}
			})
		})
	}
}

// TestKeepaliveOnlyInSilence: any line puts the PROBE off.
func TestKeepaliveOnlyInSilence(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "LS_keepalive_millis=1000")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		c.take()
		for i := range 10 {
			pass(999 * time.Millisecond)
			w.send("i", fmt.Sprint("a=", i))
		}
		for _, l := range c.take() {
			if l == "PROBE" {
				t.Error("a PROBE although there was traffic")
			}
		}
		pass(1000 * time.Millisecond)
		expect(t, c.take(), "PROBE")
	})
}

func TestSync(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		req, _ := tlcp.ParseCreateSession([]byte("LS_adapter_set=DEMO&LS_keepalive_millis=30000"))
		b, err := w.m.Create(t.Context(), ws, req)
		if err != nil {
			t.Fatal(err)
		}
		c := w.serve(b)
		c.take()
		pass(61 * time.Second)
		expect(t, c.take(), "SYNC,20", "SYNC,40", "SYNC,60")
		release := c.stall()
		pass(50 * time.Second) // the SYNC of second 80 hangs, that of 100 is not made up for
		release()
		expect(t, c.take(), "SYNC,80", "SYNC,111")
		pass(9 * time.Second)
		expect(t, c.take(), "SYNC,120")
	})
}

func TestExpiry(t *testing.T) {
	tests := []struct {
		name string
		end  func(w *world, c *conn)
		live time.Duration
	}{
		{"after LOOP", func(w *world, c *conn) { w.ok(c.id(), "LS_op=force_rebind"); <-c.end }, 10 * time.Second},
		{"after a loss", func(_ *world, c *conn) { c.cut() }, 20 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				c := w.create(ws, "")
				w.ok(c.id(), add(1, "RAW", "i", "a", ""))
				tt.end(w, c)
				pass(tt.live - 1)
				c2 := w.bind(ws, "LS_session="+c.id())
				tt.end(w, c2)
				pass(tt.live - 1)
				if w.control(c.id(), "LS_op=delete&LS_subId=9") == "" {
					t.Error("no answer while unbound")
				}
				pass(2)
				if got := w.control(c.id(), "LS_op=delete&LS_subId=1"); got != "REQERR,1,20,Session not found" {
					t.Errorf("after the expiry: %s", got)
				}
				if _, err := w.tryBind(ws, "LS_session="+c.id()); err == nil || err.Code != tlcp.CodeSessionUnknown {
					t.Errorf("bind: %v", err)
				}
				if items := w.feed.items(); len(items) > 0 {
					t.Errorf("still subscribed: %v", items)
				}
			})
		})
	}
}

// TestRebindWhileBound: the old connection is abandoned and never written again, without LOOP or END.
func TestRebindWhileBound(t *testing.T) {
	for _, recovery := range []string{"", "&LS_recovery_from=3"} {
		inWorld(t, Config{}, func(t *testing.T, w *world) {
			c := w.create(ws, "")
			w.ok(c.id(), add(1, "RAW", "i", "a", ""))
			w.send("i", "a=1")
			c.take()
			c2 := w.bind(ws, "LS_session="+c.id()+recovery)
			if end := <-c.end; end != (End{Abandoned, true}) {
				t.Errorf("end %+v", end)
			}
			select {
			case <-c.b.Over():
			default:
				t.Error("Over is not closed")
			}
			w.send("i", "a=2")
			pass(time.Minute)
			expect(t, c.take())
			expect(t, data(c2.take()), "U,1,1,2")
		})
	}
}

// TestAbandonedWhileWriting: a connection that hangs in a write does not keep the next one from going on.
func TestAbandonedWhileWriting(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		c.take()
		gate := make(chan struct{})
		c.mu.Lock()
		c.gate = gate
		c.mu.Unlock()
		w.send("i", "a=1") // this write hangs
		synctest.Wait()
		w.send("i", "a=2")
		c2 := w.bind(ws, "LS_session="+c.id()+"&LS_recovery_from=2")
		expect(t, data(c2.take()), "U,1,1,1", "U,1,1,2")
		close(gate)
		if end := <-c.end; end.Reason != Abandoned {
			t.Errorf("end %+v", end)
		}
		expect(t, data(c.take()), "U,1,1,1")
	})
}

func TestForceRebind(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		c.take()
		w.ok(c.id(), "LS_op=force_rebind&LS_close_socket=true")
		if end := <-c.end; end != (End{Looped, true}) {
			t.Errorf("end %+v", end)
		}
		expect(t, c.take(), "LOOP,0")
		w.ok(c.id(), "LS_op=force_rebind") // nothing bound: nothing to do
		p := w.bind(ws, "LS_session="+c.id()+"&LS_polling=true&LS_polling_millis=0&LS_idle_millis=19000")
		w.ok(c.id(), "LS_op=force_rebind")
		if end := <-p.end; end != (End{Looped, false}) {
			t.Errorf("end %+v", end)
		}
	})
}

func TestDestroy(t *testing.T) {
	tests := []struct{ params, want string }{
		{"", "END,31,Destroy invoked by client"},
		{"&LS_cause_code=-4&LS_cause_message=bye, all", "END,-4,bye%2C all"},
		{"&LS_cause_code=7", "END,0,"},
	}
	for _, tt := range tests {
		inWorld(t, Config{}, func(t *testing.T, w *world) {
			c := w.create(ws, "")
			c.take()
			w.ok(c.id(), "LS_op=destroy"+tt.params)
			<-c.end
			expect(t, c.take(), tt.want)
			// While unbound: whoever binds later is told.
			c = w.create(ws, "")
			c.cut()
			w.ok(c.id(), "LS_op=destroy"+tt.params)
			synctest.Wait()
			c2 := w.bind(ws, "LS_session="+c.id())
			if end := <-c2.end; end != (End{Ended, true}) {
				t.Errorf("end %+v", end)
			}
			expect(t, c2.take(), tt.want)
		})
	}
}

func TestTimeToLive(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.meta.session = func(string, provider.SessionContext) (time.Duration, error) { return time.Minute, nil }
		c := w.create(ws, "LS_keepalive_millis=30000")
		c.take()
		pass(time.Minute)
		<-c.end
		lines := c.take()
		expect(t, lines[len(lines)-1:], "END,48,Maximum session duration reached")
	})
}

func TestOldSession(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		c.cut()
		w.create(ws, "LS_old_session="+c.id())
		synctest.Wait()
		if n := w.m.Stats().Sessions; n != 1 {
			t.Errorf("%d sessions, want the new one only", n)
		}
	})
}

// TestInactivity: a client that promised requests and sends none is looped; a heartbeat or any request keeps the promise.
func TestInactivity(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "LS_inactivity_millis=500&LS_keepalive_millis=30000")
		c.take()
		for range 100 {
			pass(10 * time.Second)
			w.m.Heartbeat(c.id(), nil)
		}
		w.m.Heartbeat("unknown", nil)
		start := time.Now()
		if end := <-c.end; end.Reason != Looped {
			t.Errorf("end %+v", end)
		}
		if d := time.Since(start); d != 10500*time.Millisecond {
			t.Errorf("looped after %v", d)
		}
	})
}

func TestForceSessionTermination(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		ctl := w.m.ControlOf("DEMO")
		c := w.create(ws, "")
		c.take()
		if err := w.m.ControlOf("ANOTHER").ForceSessionTermination(c.id(), nil); err != nil {
			t.Error(err)
		}
		expect(t, c.take())
		if err := ctl.ForceSessionTermination(c.id(), &provider.Cause{Code: -3, Message: provider.T("custom cause")}); err != nil {
			t.Error(err)
		}
		<-c.end
		expect(t, c.take(), "END,-3,custom cause")
		c = w.create(ws, "")
		c.take()
		_ = ctl.ForceSessionTermination(c.id(), nil)
		<-c.end
		expect(t, c.take(), "END,32,Session closed by the server")
		if err := ctl.ForceSessionTermination("gone", nil); err != nil {
			t.Errorf("unknown session: %v", err)
		}
	})
}

func TestCloseTellsClients(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		lost := w.create(ws, "")
		lost.cut()
		c.take()
		if err := w.m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if end := <-c.end; end.Reason != Ended {
			t.Errorf("end %+v", end)
		}
		expect(t, c.take(), "END,48,Server is closing")
		if _, err := w.tryCreate(ws, ""); err == nil || err.Code != tlcp.CodeCheckUnavailable {
			t.Errorf("create after Close: %v", err)
		}
		late := w.bind(ws, "LS_session="+lost.id())
		if end := <-late.end; end.Reason != Ended {
			t.Errorf("bind after Close: %+v", end)
		}
		expect(t, late.take(), "END,48,Server is closing")
		if got := w.control(c.id(), "LS_op=destroy"); got != "REQERR,1,20,Session not found" {
			t.Error(got)
		}
	})
}
