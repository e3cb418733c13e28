package session

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// play runs a scripted session whose flow has every kind of data notification and no merging.
func play(t *testing.T, w *world, id string) {
	t.Helper()
	unfiltered := "LS_snapshot=true&LS_requested_max_frequency=unfiltered"
	w.ok(id, add(1, "RAW", "r", "a b", ""))
	w.ok(id, add(2, "MERGE", "m", "a b", unfiltered))
	w.ok(id, add(3, "DISTINCT", "d", "a b", unfiltered))
	w.ok(id, add(4, "COMMAND", "c", "key command v", unfiltered))
	w.ok(id, add(5, "RAW", "r", "b", ""))
	send := func(item string, steps ...string) {
		for _, step := range steps {
			w.send(item, step)
			synctest.Wait() // for the flow to be the same whenever the connection works
		}
	}
	send("d", "S a=1 b=1", "S a=2 b=1", "EOS")
	send("c", "S key=x command=ADD v=1", "EOS")
	for i := range 4 {
		send("r", fmt.Sprintf("a=%d b=same", i))
		send("m", fmt.Sprintf("a=%d b=same", i))
		send("c", fmt.Sprintf("key=k%d command=ADD v=%d", i%2, i))
	}
	w.ok(id, "LS_op=delete&LS_subId=5")
	w.msg(id, "LS_message=m&LS_sequence=s&LS_msg_prog=1")
	synctest.Wait()
	send("c", "key=x command=DELETE")
	w.ok(id, "LS_op=reconf&LS_subId=1&LS_requested_max_frequency=5")
	send("d", "CS", "a=9 b=same")
}

// undisturbed returns the data notifications of the script on a connection that nothing happens to.
func undisturbed(t *testing.T) (lines []string) {
	t.Helper()
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		play(t, w, c.id())
		lines = data(c.take())
	})
	if len(lines) < 30 {
		t.Fatalf("the script has only %d lines: %q", len(lines), lines)
	}
	return lines
}

// recoverAll repeats recoveries, each of which breaks after step lines, until one comes to its LOOP.
func (w *world) recoverAll(id string, got []string, step int) []string {
	w.t.Helper()
	for looped := false; !looped; {
		var lines []string
		_, lines, looped = w.recovery(id, len(got), func(c *conn) { c.limit = step })
		got = append(got, lines...)
	}
	return got
}

// TestMuteEverywhere: the connection carries nothing any more after each data notification in turn, and the server does not notice.
// Then the recovery breaks after some lines, and the next one too. What the client gets in all is, line by line, what it would have
// got undisturbed.
func TestMuteEverywhere(t *testing.T) {
	want := undisturbed(t)
	for first := range want {
		for _, step := range []int{1, 2, 7, len(want)} {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				c := w.create(ws, "", func(c *conn) { c.limit, c.mute = first, true })
				play(t, w, c.id())
				got := w.recoverAll(c.id(), data(c.take()), step)
				if end := <-c.end; end.Reason != Abandoned {
					t.Errorf("mute connection: %+v", end)
				}
				c = w.bind(ws, "LS_session="+c.id())
				w.send("m", "a=z b=z")
				got = append(got, data(c.take())...)
				if w := append(slices.Clone(want), "U,2,1,z|z"); !slices.Equal(got, w) {
					t.Fatalf("mute after %d, then cut every %d lines\ngot  %q\nwant %q", first, step, got, w)
				}
			})
		}
	}
}

// TestCutEverywhere: the connection breaks instead. What follows is made while there is none, so its lines come in another order,
// but each item's events must be the same, and so must the outcome of the message.
func TestCutEverywhere(t *testing.T) {
	lines := undisturbed(t)
	want := newReplica(t)
	want.apply(lines)
	for first := range lines {
		for _, step := range []int{1, 2, 7, len(lines)} {
			for _, polling := range []bool{false, true} {
				inWorld(t, Config{}, func(t *testing.T, w *world) {
					c := w.create(overHTTP, "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
					<-c.end
					bind := "LS_session=" + c.id()
					if polling {
						play(t, w, c.id())
						bind += "&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0"
					}
					c = w.bind(ws, bind, func(c *conn) { c.limit = first })
					if !polling {
						play(t, w, c.id())
					}
					got := data(c.take())
					if end := <-c.end; end.Reason == Lost {
						got = w.recoverAll(c.id(), got, step)
					}
					r := newReplica(t)
					r.apply(got)
					r.equal(want, 5) // what was deleted while unbound may miss its last events
					if t.Failed() {
						t.Fatalf("polling %v, cut after %d, then every %d lines: %q", polling, first, step, got)
					}
				})
			}
		}
	}
}

// TestRecoveryRepeated: the answer of a recovery may be lost too. A plain bind confirms what was sent before the LOOP.
func TestRecoveryRepeated(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		w.send("i", "a=1", "a=2", "a=3")
		c.take()
		c.cut()
		w.send("i", "a=4")
		for range 3 {
			_, lines, _ := w.recovery(c.id(), 3)
			expect(t, lines, "U,1,1,2", "U,1,1,3", "U,1,1,4")
		}
		c = w.bind(ws, "LS_session="+c.id())
		w.send("i", "a=5")
		expect(t, data(c.take()), "U,1,1,5")
		// Still bound in the server's eyes, and the client recovers: only what the plain bind left in doubt is there.
		_, lines, _ := w.recovery(c.id(), 6)
		expect(t, lines, "U,1,1,5")
		if _, err := w.tryBind(overHTTP, "LS_session="+c.id()+"&LS_recovery_from=2"); err == nil || err.Code != tlcp.CodeRecoveryUnavailable {
			t.Errorf("from before the confirmed point: %v", err)
		}
	})
}

// TestLostLoop: the client has not seen the last poll, nor its LOOP, and not the first recovery either; a stray plain bind in between
// must not make lines vanish.
func TestLostLoop(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		c.take()
		w.ok(c.id(), "LS_op=force_rebind")
		<-c.end
		w.send("i", "a=1", "a=2")
		p := w.bind(overHTTP, "LS_session="+c.id()+"&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0", func(c *conn) { c.mute, c.limit = true, 0 })
		if end := <-p.end; end.Reason != Looped {
			t.Fatalf("end %+v", end)
		}
		if _, err := w.tryBind(overHTTP, "LS_session="+c.id()+"&LS_recovery_from=2&LS_polling=true&LS_polling_millis=0"); err != nil {
			t.Fatal(err)
		} else {
			w.m.wg.Done() // in place of its Run
		}
		c = w.bind(ws, "LS_session="+c.id())
		expect(t, data(c.take()), "U,1,1,1", "U,1,1,2")
	})
}

// TestLostAnswer: the answer to a plain bind over HTTP is lost before its head was read, and the network layer of the client sends the bind again
// by itself. What the lost answer carried is taken for received, so the head has to tell the client that the flow goes on further than it knows.
func TestLostAnswer(t *testing.T) {
	for name, mode := range map[string]string{
		"polling":      "&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0",
		"streaming":    "",
		"reduced head": "&LS_reduce_head=true",
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				c := w.create(overHTTP, "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
				id := c.id()
				w.ok(id, add(1, "RAW", "i", "a", ""))
				synctest.Wait()
				w.send("i", "a=1")
				bind := "LS_session=" + id + mode
				c = w.bind(overHTTP, bind)
				w.progs(c, "PROG,0", "SUBOK,1,1,1", "CONF,1,unlimited,filtered", "U,1,1,1")
				w.ok(id, "LS_op=force_rebind") // which ends the stream
				<-c.end
				w.send("i", "a=2", "a=3")
				lost := w.bind(overHTTP, bind) // the client goes on from 3
				w.progs(lost, "PROG,3", "U,1,1,2", "U,1,1,3")
				if name == "polling" {
					w.send("i", "a=4") // in time for a poll that does not wait
				}
				again := w.bind(overHTTP, bind) // the client still goes on from 3
				if name != "polling" {
					w.send("i", "a=4") // not before: the lost stream would carry it
				}
				w.progs(again, "PROG,5", "U,1,1,4")
			})
		})
	}
}

// progs checks what a connection has carried: PROG and the data notifications.
func (w *world) progs(c *conn, want ...string) {
	w.t.Helper()
	expect(w.t, slices.DeleteFunc(c.take(), func(s string) bool {
		l, _ := tlcp.ParseLine([]byte(s))
		return !l.Tag.Data() && l.Tag != tlcp.TagPROG
	}), want...)
}

// TestRecoveriesGivenUp: a client asks for a recovery again and again, and listens to one of the
// answers only, which may not be the last one given. What the others have carried is taken for
// received: the next head tells so, on a WebSocket, too.
func TestRecoveriesGivenUp(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(overHTTP, "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
		id := c.id()
		w.ok(id, add(1, "RAW", "i", "a", ""))
		synctest.Wait()
		recovery := "LS_session=" + id + "&LS_recovery_from=0&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0"
		w.progs(w.bind(overHTTP, recovery), "PROG,0", "SUBOK,1,1,1", "CONF,1,unlimited,filtered") // what the client hears
		w.send("i", "a=1")
		w.progs(w.bind(overHTTP, recovery), "PROG,0", "SUBOK,1,1,1", "CONF,1,unlimited,filtered", "U,1,1,1")
		c = w.bind(ws, "LS_session="+id)
		w.progs(c, "PROG,3")
		w.ok(id, "LS_op=force_rebind")
		<-c.end
		w.progs(w.bind(ws, "LS_session="+id)) // it has stayed, so all is well
	})
}

// TestNoProgress: PROG is in the head of no creation, and of no plain bind on a WebSocket, whose requests nobody repeats.
func TestNoProgress(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(overHTTP, "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
		w.progs(c)
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		synctest.Wait()
		w.progs(w.bind(ws, "LS_session="+c.id()), "SUBOK,1,1,1", "CONF,1,unlimited,filtered")
		w.progs(w.create(overHTTP, ""))
		w.progs(w.create(ws, ""))
	})
}

func TestRecoveryRefused(t *testing.T) {
	inWorld(t, Config{HistoryBytes: 10_000, HistoryTime: 5 * time.Second}, func(t *testing.T, w *world) {
		c := w.create(ws, "LS_keepalive_millis=30000")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		c.take()
		from := func(n int) *tlcp.SessionError {
			_, err := w.tryBind(overHTTP, fmt.Sprintf("LS_session=%s&LS_recovery_from=%d", c.id(), n))
			return err
		}
		if err := from(3); err == nil || err.Code != tlcp.CodeRecoveryUnavailable {
			t.Errorf("more than was sent: %v", err)
		}
		for i := range 3000 {
			w.send("i", fmt.Sprint("a=", i))
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if got := w.m.Stats().HistoryBytes; got > 10_000+chunkSize+batch {
			t.Errorf("history of %d bytes, want about 10000", got)
		}
		if err := from(1); err == nil || err.Code != tlcp.CodeRecoveryUnavailable {
			t.Errorf("older than the history in bytes: %v", err)
		}
		expect(t, w.m.boundReasons(), "") // a refused recovery leaves the connection as it is
		n := len(data(c.take())) + 2
		pass(6 * time.Second)
		w.send("i", "a=x")
		synctest.Wait()
		w.send("i", "a=y")
		c.take()
		pass(6 * time.Second)
		w.send("i", "a=z")
		c.take()
		if err := from(n); err == nil || err.Code != tlcp.CodeRecoveryUnavailable {
			t.Errorf("older than the history in time: %v", err)
		}
		_, lines, _ := w.recovery(c.id(), n+2)
		expect(t, lines, "U,1,1,z")
		if _, err := w.tryBind(overHTTP, "LS_session=Sunknown&LS_recovery_from=0"); err == nil || err.Code != tlcp.CodeSessionUnknown {
			t.Errorf("unknown session: %v", err)
		}
	})
}

// boundReasons says for each session without a connection that it has none.
func (m *Manager) boundReasons() []string {
	var out []string
	for _, s := range m.sessions {
		s.mu.Lock()
		if s.bound == nil {
			out = append(out, "unbound")
		} else {
			out = append(out, "")
		}
		s.mu.Unlock()
	}
	return out
}

// TestLoopInsideRecovery: when a recovery does not fit into its response, the plain bind after the LOOP goes on with it.
func TestLoopInsideRecovery(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		var want []string
		for i := range 500 {
			w.send("i", fmt.Sprint("a=", i))
			want = append(want, fmt.Sprint("U,1,1,", i))
		}
		c.take()
		c.cut()
		r := w.bind(overHTTP, "LS_session="+c.id()+"&LS_recovery_from=2&LS_content_length=1000")
		<-r.end
		got := data(r.take())
		for len(got) < len(want) {
			r = w.bind(overHTTP, "LS_session="+c.id()+"&LS_content_length=1000")
			lines := data(r.take())
			if len(lines) == 0 {
				break
			}
			got = append(got, lines...)
			select {
			case <-r.end:
			default:
				r.cut()
			}
		}
		expect(t, got, want...)
	})
}

func TestHistory(t *testing.T) {
	var h history
	now := time.Now()
	if !h.covers(0) || h.covers(1) {
		t.Error("an empty history covers nothing but its beginning")
	}
	for i := range 3000 {
		h.add(fmt.Appendf(nil, "line %d\r\nsecond %d\r\n", i, i), 2, now.Add(time.Duration(i)*time.Millisecond))
	}
	got, n := h.appendAfter([]byte("x"), 5997, 1<<20)
	if string(got) != "xsecond 2998\r\nline 2999\r\nsecond 2999\r\n" || n != 3 {
		t.Errorf("%q %d", got, n)
	}
	got, n = h.appendAfter(nil, 0, 20)
	if string(got) != "line 0\r\nsecond 0\r\n" || n != 2 {
		t.Errorf("%q %d", got, n)
	}
	got, n = h.appendAfter(nil, 0, 1)
	if string(got) != "line 0\r\n" || n != 1 {
		t.Errorf("one line always fits: %q %d", got, n)
	}
	h.confirm(3000)
	if h.covers(0) || !h.covers(3000) || !h.covers(6000) || h.covers(6001) {
		t.Error("confirm drops too much or too little")
	}
	h.trim(1, time.Hour, now)
	if len(h.chunks) != 1 || h.bytes != len(h.chunks[0].data) || !h.covers(6000) {
		t.Errorf("%d chunks left, %d bytes", len(h.chunks), h.bytes)
	}
	h.confirm(6000)
	if len(h.chunks) != 0 || h.bytes != 0 || !h.covers(6000) || h.covers(5999) {
		t.Error("a confirmed history is not empty")
	}
}
