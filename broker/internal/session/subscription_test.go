package session

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// TestModesOnTheWire: the lines of the four modes, with and without snapshot.
func TestModesOnTheWire(t *testing.T) {
	tests := []struct {
		name, add string
		early     []string // events before the subscription: somebody else has the item
		steps     []string
		want      []string
	}{
		{"merge", add(1, "MERGE", "i", "a b", "LS_snapshot=true"), nil, []string{"S a=1 b=x", "EOS", "a=2", "c=3", "b=#", "CS"},
			[]string{"SUBOK,1,1,2", "CONF,1,unlimited,filtered", "U,1,1,1|x", "U,1,1,2|", "U,1,1,|#", "U,1,1,#|"}},
		{"merge late", add(1, "MERGE", "i", "a b", "LS_snapshot=true"), []string{"S a=1 b=x", "a=5"}, []string{"b="},
			[]string{"SUBOK,1,1,2", "CONF,1,unlimited,filtered", "U,1,1,5|x", "U,1,1,|$"}},
		{"merge late and quiet", add(1, "MERGE", "i", "a", "LS_snapshot=true"), []string{"a=5"}, nil, []string{"SUBOK,1,1,1", "CONF,1,unlimited,filtered", "U,1,1,5"}},
		{"merge without snapshot", add(1, "MERGE", "i", "a b", ""), []string{"S a=1 b=x"}, []string{"a=2"},
			[]string{"SUBOK,1,1,2", "CONF,1,unlimited,filtered", "U,1,1,2|x"}},
		{"distinct", add(1, "DISTINCT", "i", "a b", "LS_snapshot=2"), nil, []string{"S a=1", "S a=2", "S a=3", "EOS", "a=3 b=4", "CS", "a=1"},
			[]string{"SUBOK,1,1,2", "CONF,1,unlimited,filtered", "U,1,1,2|#", "U,1,1,3|", "EOS,1,1", "U,1,1,|4", "CS,1,1", "U,1,1,1|#"}},
		{"distinct without snapshot", add(1, "DISTINCT", "i", "a", ""), nil, []string{"S a=1", "EOS", "a=2"},
			[]string{"SUBOK,1,1,1", "CONF,1,unlimited,filtered", "U,1,1,2"}},
		{"command", add(1, "COMMAND", "i", "v command key", "LS_snapshot=true"), nil,
			[]string{"S key=k1 command=ADD v=x", "EOS", "key=k2 command=ADD v=x", "key=k1 command=UPDATE v=x", "CS", "key=k1 command=ADD v=z", "key=k1 command=DELETE v=q"},
			[]string{"SUBCMD,1,1,3,3,2", "CONF,1,unlimited,filtered", "U,1,1,x|ADD|k1", "EOS,1,1", "U,1,1,||k2", "U,1,1,|UPDATE|k1", "CS,1,1", "U,1,1,z|ADD|", "U,1,1,#|DELETE|"}},
		{"command without snapshot", add(1, "COMMAND", "i", "key command v", ""), []string{"key=a command=ADD v=1", "key=b command=ADD v=2"},
			[]string{"key=b command=DELETE", "key=a command=UPDATE v=3", "key=a command=DELETE"},
			[]string{"SUBCMD,1,1,3,1,2", "CONF,1,unlimited,filtered", "U,1,1,a|ADD|3", "U,1,1,|DELETE|#"}},
		{"raw", add(1, "RAW", "i", "a b", "LS_snapshot=true"), nil, []string{"S a=0", "EOS", "a=1", "b=2", "CS"},
			[]string{"SUBOK,1,1,2", "CONF,1,unlimited,filtered", "U,1,1,1|#", "U,1,1,#|2"}},
		{"special characters", add(1, "MERGE", "i", "a", ""), nil, []string{"a=#tag|%,"}, []string{"SUBOK,1,1,1", "CONF,1,unlimited,filtered", "U,1,1,%23tag%7C%25,"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				if tt.early != nil {
					other := w.create(ws, "")
					w.ok(other.id(), tt.add)
					w.send("i", tt.early...)
				}
				c := w.create(ws, "")
				c.take()
				w.ok(c.id(), tt.add)
				for _, s := range tt.steps {
					w.send("i", s)
					synctest.Wait()
				}
				expect(t, c.take(), tt.want...)
				w.ok(c.id(), "LS_op=delete&LS_subId=1")
				expect(t, c.take(), "UNSUB,1")
			})
		})
	}
}

func TestMetadataCalls(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{WantsTables: true}, nil }
		w.meta.tables = func(tb provider.Table) (provider.TablesGrant, error) {
			return provider.TablesGrant{Unsubscribable: true, FinalStats: tb.WinIndex == 1}, nil
		}
		c := w.create(ws, "LS_user=u&LS_password=p")
		w.ok(c.id(), add(1, "MERGE", "i1 i2", "a", "LS_selector=sel"))
		w.ok(c.id(), add(2, "RAW", "i1", "a", ""))
		w.send("i1", "a=1", "a=2")
		synctest.Wait()
		w.ok(c.id(), "LS_op=delete&LS_subId=1")
		w.ok(c.id(), "LS_op=destroy")
		<-c.end
		synctest.Wait()
		expect(t, w.meta.take(), "NotifyUser u p", "NotifyNewSession u",
			"Items i1 i2", "Schema a", "ItemData i1 i2", "UserItemData i1 i2", "NotifyNewTables 1",
			"Items i1", "Schema a", "ItemData i1", "UserItemData i1", "NotifyNewTables 2",
			"NotifyTablesClose 1", "NotifyTablesClose 2", "NotifySessionClose")
		first, second := w.meta.closed[0], w.meta.closed[1]
		if len(first.Stats) != 2 || first.Stats[0].Real+first.Stats[0].Filtered != 2 || first.Stats[1] != (provider.TableStats{}) {
			t.Errorf("statistics %+v", first.Stats)
		}
		if second.Stats != nil {
			t.Errorf("statistics nobody asked for: %+v", second.Stats)
		}
		if first.Selector != provider.T("sel") || second.Selector != provider.Null || first.Max != 2 || first.Min != 1 || first.DataAdapter != "DEFAULT" {
			t.Errorf("table %+v", first)
		}
	})
}

// The statistics of a table count real-time updates: what a client got as the snapshot is none.
func TestStatisticsLeaveTheSnapshotOut(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{WantsTables: true}, nil }
		w.meta.tables = func(provider.Table) (provider.TablesGrant, error) { return provider.TablesGrant{FinalStats: true}, nil }
		c := w.create(ws, "")
		c.take()
		w.ok(c.id(), add(1, "MERGE", "i", "a", "LS_snapshot=true"))
		w.send("i", "S a=1")
		expect(t, c.take(), "SUBOK,1,1,1", "CONF,1,unlimited,filtered", "U,1,1,1")
		w.send("i", "a=2")
		expect(t, c.take(), "U,1,1,2")
		w.ok(c.id(), "LS_op=delete&LS_subId=1")
		synctest.Wait()
		if got := w.meta.closed[0].Stats; len(got) != 1 || got[0] != (provider.TableStats{Real: 1}) {
			t.Errorf("statistics %+v, want one update", got)
		}
	})
}

func TestSubscribeRefused(t *testing.T) {
	fail := func(kind provider.ErrorKind) error {
		return &provider.Error{Kind: kind, Message: "secret", Code: -9, ClientMessage: provider.T("for you, alone")}
	}
	tests := []struct {
		name    string
		prepare func(md *metadata)
		add     string
		want    string
	}{
		{"unknown adapter", nil, add(1, "MERGE", "i", "a", "LS_data_adapter=NONE"), "17,Data Adapter not found"},
		{"bad group", func(md *metadata) { md.items = func(string) ([]string, error) { return nil, fail(provider.Items) } }, add(1, "MERGE", "i", "a", ""), "21,Bad Item Group name"},
		{"empty group", func(md *metadata) { md.items = func(string) ([]string, error) { return nil, nil } }, add(1, "MERGE", "i", "a", ""), "21,Bad Item Group name"},
		{"items fail", func(md *metadata) { md.items = func(string) ([]string, error) { return nil, fail(provider.Generic) } }, add(1, "MERGE", "i", "a", ""), "66,Unexpected exception in the Metadata Adapter"},
		{"group wrong for schema", func(md *metadata) {
			md.schema = func(string, string) ([]string, error) { return nil, fail(provider.Items) }
		}, add(1, "MERGE", "i", "a", ""), "22,Bad Item Group name for this Field Schema"},
		{"bad schema", func(md *metadata) {
			md.schema = func(string, string) ([]string, error) { return nil, fail(provider.Schema) }
		}, add(1, "MERGE", "i", "a", ""), "23,Bad Field Schema name"},
		{"empty schema", func(md *metadata) { md.schema = func(string, string) ([]string, error) { return nil, nil } }, add(1, "MERGE", "i", "a", ""), "23,Bad Field Schema name"},
		{"no key", nil, add(1, "COMMAND", "i", "command a", ""), "15,Invalid schema for COMMAND mode: key field missing"},
		{"no command", nil, add(1, "COMMAND", "i", "key a", ""), "16,Invalid schema for COMMAND mode: command field missing"},
		{"mode not for the item", func(md *metadata) {
			md.itemData = func(string) provider.ItemData { return provider.ItemData{Modes: provider.Modes(0).With(provider.Raw)} }
		}, add(1, "MERGE", "i", "a", ""), "24,Invalid mode for these items"},
		{"mode not for the user", func(md *metadata) {
			md.userData = func(string) provider.UserItemData {
				return provider.UserItemData{Modes: provider.Modes(0).With(provider.Raw)}
			}
		}, add(1, "MERGE", "i", "a", ""), "24,Invalid mode for these items"},
		{"unfiltered but limited", func(md *metadata) {
			md.userData = func(string) provider.UserItemData {
				return provider.UserItemData{Modes: provider.AllModes, MaxFrequency: 1}
			}
		}, add(1, "MERGE", "i", "a", "LS_requested_max_frequency=unfiltered"), "26,Unfiltered dispatching not allowed for an item%2C because a frequency limit is set"},
		{"credits", func(md *metadata) {
			md.tables = func(provider.Table) (provider.TablesGrant, error) {
				return provider.TablesGrant{}, fail(provider.Credits)
			}
		}, add(1, "MERGE", "i", "a", ""), "-9,for you%2C alone"},
		{"notification", func(md *metadata) {
			md.tables = func(provider.Table) (provider.TablesGrant, error) {
				return provider.TablesGrant{}, fail(provider.Notification)
			}
		}, add(1, "MERGE", "i", "a", ""), "66,Unexpected exception in the Metadata Adapter"},
		{"conflicting mode", nil, add(1, "COMMAND", "taken", "key command", ""), "24,Invalid mode for these items"},
		{"second item conflicts", nil, add(1, "COMMAND", "free taken", "key command", ""), "24,Invalid mode for these items"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{WantsTables: true}, nil }
				other := w.create(ws, "")
				w.ok(other.id(), add(1, "MERGE", "taken", "a", ""))
				if tt.prepare != nil {
					tt.prepare(w.meta)
				}
				c := w.create(ws, "")
				c.take()
				if got := w.control(c.id(), tt.add+"&LS_ack=false"); got != "REQERR,1,"+tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				expect(t, c.take())
				expect(t, w.feed.items(), "taken")
				if got := w.control(c.id(), "LS_op=delete&LS_subId=1"); got != "REQERR,1,19,Specified subscription not found" {
					t.Errorf("delete: %s", got)
				}
			})
		})
	}
}

func TestAcknowledgement(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		if got := w.control(c.id(), add(1, "RAW", "i", "a", "LS_ack=false")); got != "" {
			t.Errorf("WebSocket with LS_ack=false: %q", got)
		}
		if got := w.controlOn(overHTTP, c.id(), add(2, "RAW", "i", "a", "LS_ack=false")); got != "REQOK,1" {
			t.Errorf("HTTP with LS_ack=false: %q", got)
		}
		if got := w.control("Sunknown", add(2, "RAW", "i", "a", "LS_ack=false")); got != "REQERR,1,20,Session not found" {
			t.Errorf("unknown session: %q", got)
		}
	})
}

// TestRepeatedAdd: clients repeat an add whose answer they missed. It is answered again, and nothing else happens.
func TestRepeatedAdd(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		c.take()
		w.ok(c.id(), add(1, "MERGE", "i", "a", "LS_snapshot=true&LS_selector=s"))
		w.ok(c.id(), add(1, "MERGE", "i", "a", "LS_snapshot=true&LS_selector=s"))
		expect(t, c.take(), "SUBOK,1,1,1", "CONF,1,unlimited,filtered")
		if got := w.control(c.id(), add(1, "MERGE", "j", "a", "")); got != "REQERR,1,68,LS_subId is in use by another subscription of the session" {
			t.Error(got)
		}
		expect(t, c.take())
		w.ok(c.id(), "LS_op=delete&LS_subId=1")
		w.ok(c.id(), add(1, "MERGE", "j", "a", ""))
		expect(t, c.take(), "UNSUB,1", "SUBOK,1,1,1", "CONF,1,unlimited,filtered")
	})
}

// TestRequestsInOrder: requests wait for an add that waits for the Metadata Adapter; what is urgent does not.
func TestRequestsInOrder(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		slow := make(chan struct{})
		w.meta.items = func(g string) ([]string, error) { <-slow; return []string{g}, nil }
		c := w.create(ws, "")
		c.take()
		answers := make(chan string, 10)
		submit := func(id int, params string) {
			req, err := tlcp.ParseControl(fmt.Appendf(nil, "LS_reqId=%d&%s", id, params))
			if err != nil {
				t.Fatal(err)
			}
			w.m.Submit(ws, c.b.s, req, func(line []byte) { answers <- string(line) })
		}
		submit(1, add(1, "RAW", "i", "a", ""))
		submit(2, "LS_op=reconf&LS_subId=1&LS_requested_max_frequency=1")
		submit(3, "LS_op=delete&LS_subId=1")
		submit(4, "LS_op=constrain&LS_requested_max_bandwidth=unlimited")
		synctest.Wait()
		if got := <-answers; got != "REQOK,4\r\n" {
			t.Errorf("first answer %q", got)
		}
		expect(t, c.take(), "CONS,unlimited")
		close(slow)
		synctest.Wait()
		for i := range 3 {
			if got, want := <-answers, fmt.Sprintf("REQOK,%d\r\n", i+1); got != want {
				t.Errorf("answer %q, want %q", got, want)
			}
		}
		expect(t, c.take(), "SUBOK,1,1,1", "CONF,1,unlimited,filtered", "CONF,1,unlimited,filtered", "UNSUB,1")
	})
}

// TestSessionEndsDuringAdd: the request is answered, and nothing stays open.
func TestSessionEndsDuringAdd(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{WantsTables: true}, nil }
		slow := make(chan struct{})
		w.meta.tables = func(provider.Table) (provider.TablesGrant, error) { <-slow; return provider.TablesGrant{}, nil }
		c := w.create(ws, "")
		answer, second := make(chan string, 1), make(chan string, 1)
		req, _ := tlcp.ParseControl([]byte("LS_reqId=1&" + add(1, "RAW", "i", "a", "")))
		w.m.Submit(ws, c.b.s, req, func(line []byte) { answer <- string(line) })
		w.m.Submit(ws, c.b.s, req, func(line []byte) { second <- string(line) })
		synctest.Wait()
		w.ok(c.id(), "LS_op=destroy")
		close(slow)
		for _, ch := range []chan string{answer, second} {
			if got := <-ch; got != "REQERR,1,20,Session not found\r\n" {
				t.Error(got)
			}
		}
		synctest.Wait()
		expect(t, w.feed.items())
	})
}

func TestForceUnsubscription(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{WantsTables: true}, nil }
		w.meta.tables = func(tb provider.Table) (provider.TablesGrant, error) {
			return provider.TablesGrant{Unsubscribable: tb.WinIndex == 1}, nil
		}
		ctl := w.m.ControlOf("DEMO")
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		w.ok(c.id(), add(2, "RAW", "j", "a", ""))
		c.take()
		if ok, err := ctl.ForceUnsubscription(c.id(), 1); !ok || err != nil {
			t.Errorf("declared unsubscribable: %v %v", ok, err)
		}
		if ok, err := ctl.ForceUnsubscription(c.id(), 2); ok || err != nil {
			t.Errorf("not declared unsubscribable: %v %v", ok, err)
		}
		expect(t, c.take(), "UNSUB,1")
		expect(t, w.feed.items(), "j")
		if _, err := ctl.ForceUnsubscription(c.id(), 7); err == nil {
			t.Error("no error for an unknown table")
		}
		if _, err := ctl.ForceUnsubscription("S", 1); err == nil {
			t.Error("no error for an unknown session")
		}
	})
}

func TestLimits(t *testing.T) {
	inWorld(t, Config{MaxSubscriptions: 2, MaxRequests: 1}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		w.ok(c.id(), add(2, "RAW", "i", "a", ""))
		if got := w.control(c.id(), add(3, "RAW", "i", "a", "")); got != "REQERR,1,68,Too many subscriptions in the session" {
			t.Error(got)
		}
		w.ok(c.id(), "LS_op=delete&LS_subId=1")
		slow := make(chan struct{})
		w.meta.items = func(g string) ([]string, error) { <-slow; return []string{g}, nil }
		var last string
		for i := range 3 {
			req, _ := tlcp.ParseControl([]byte("LS_reqId=1&" + add(5+i, "RAW", "i", "a", "")))
			w.m.Submit(ws, c.b.s, req, func(line []byte) { last = string(line) })
			synctest.Wait()
		}
		if last != "REQERR,1,68,Too many requests waiting in the session\r\n" {
			t.Errorf("%q", last)
		}
		close(slow)
		synctest.Wait()
	})
}

func TestMPNDisabled(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		for _, op := range []string{"register", "activate", "pn_reconf", "deactivate", "reset_badge"} {
			if got := w.control(c.id(), "LS_op="+op); got != "REQERR,1,40,MPN Module is disabled" {
				t.Errorf("%s: %s", op, got)
			}
		}
	})
}

// TestSlowMetadataHoldsNobodyElse: while one session waits for the Metadata Adapter, others work.
func TestSlowMetadataHoldsNobodyElse(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		slow := make(chan struct{})
		w.meta.items = func(g string) ([]string, error) {
			if g == "slow" {
				<-slow
			}
			return []string{g}, nil
		}
		a, b := w.create(ws, ""), w.create(ws, "")
		req, _ := tlcp.ParseControl([]byte("LS_reqId=1&" + add(1, "RAW", "slow", "a", "")))
		w.m.Submit(ws, a.b.s, req, func([]byte) {})
		w.ok(b.id(), add(1, "RAW", "i", "a", ""))
		w.send("i", "a=1")
		expect(t, data(b.take()), "SUBOK,1,1,1", "CONF,1,unlimited,filtered", "U,1,1,1")
		pass(7 * time.Second)
		a.take()
		close(slow)
	})
}
