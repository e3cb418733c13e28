package adaptertest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// A remote is an adapter made by hand, which says what a test wants it to say.
type remote struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dialRemote(t testing.TB, p *Proxy) *remote {
	conn, err := p.Dial(t.Context(), "tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &remote{t: t, conn: conn, in: bufio.NewReader(conn)}
}

func (r *remote) say(lines ...string) {
	for _, line := range lines {
		if _, err := fmt.Fprintf(r.conn, "%s\r\n", line); err != nil {
			r.t.Logf("say %q: %v", line, err)
		}
	}
}

// id reads a request and returns its id.
func (r *remote) id() string {
	line, err := r.in.ReadString('\n')
	if err != nil {
		r.t.Errorf("no request: %v", err)
	}
	id, _, _ := strings.Cut(line, "|")
	return id
}

const goodRAC = "1|RAC|S|enableClosePacket|S|true|S|SDK|S|made+by+hand"

// open says RAC and answers the initialisation.
func (r *remote) open(method string) {
	r.say(goodRAC)
	r.say(r.id() + "|" + method + "|S|ARI.version|S|1.9.1")
}

// What an adapter can do wrong, and what the kit says of it.
func TestCheckerNoticesBrokenAdapters(t *testing.T) {
	modes := map[string]adapter.Mode{"raw": adapter.Raw, "merge": adapter.Merge, "distinct": adapter.Distinct, "command": adapter.Command}
	data := func(item string, lines ...string) func(c *Conn, r *remote) {
		// $ stands for the id of the subscription.
		return func(c *Conn, r *remote) {
			c.Subscribe(item)
			id := r.id()
			for _, line := range lines {
				r.say(strings.ReplaceAll(line, "$", id))
			}
		}
	}
	users := func(reply string) func(c *Conn, r *remote) {
		return func(c *Conn, r *remote) {
			c.Send("q|NUS|S|u|S|p")
			r.id()
			r.say(reply)
		}
	}
	for _, tt := range []struct {
		name   string
		kind   AdapterKind
		script func(c *Conn, r *remote)
		want   []string
	}{
		{"nothing wrong", DataAdapter, data("merge",
			"1|UD3|S|merge|S|$|B|1|S|f|S|x", "2|EOS|S|merge|S|$", "$|SUB|V", "KEEPALIVE", "3|UD3|S|merge|S|$|B|0|S|f|S|#", "4|CLS|S|merge|S|$",
			"5|DFD|S|merge|S|$|S|f|F|J"), nil},
		{"events before an error", DataAdapter, data("merge", "1|UD3|S|merge|S|$|B|1|S|f|S|x", "$|SUB|EU|no"), nil},
		{"rows", DataAdapter, data("command",
			"1|UD3|S|command|S|$|B|1|S|key|S|k|S|command|S|ADD", "2|EOS|S|command|S|$", "2|UD3|S|command|S|$|B|0|S|key|S|k|S|command|S|DELETE"), nil},
		{"history", DataAdapter, data("distinct",
			"1|UD3|S|distinct|S|$|B|1|S|f|S|1", "1|UD3|S|distinct|S|$|B|1|S|f|S|2", "2|EOS|S|distinct|S|$"), nil},

		{"late update", DataAdapter, func(c *Conn, r *remote) {
			it := c.Subscribe("i")
			sub := r.id()
			r.say(sub + "|SUB|V")
			it.Unsubscribe()
			r.say("1|UD3|S|i|S|"+sub+"|B|0|S|f|S|in time", r.id()+"|USB|V", "1|UD3|S|i|S|"+sub+"|B|0|S|f|S|late")
		}, []string{`UD3 for item "i" under the subscription "r2", which ended with the reply to USB "r3"`}},
		{"update after a refusal", DataAdapter, data("i", "$|SUB|EU|no", "1|EOS|S|i|S|$"), []string{`EOS for item "i" under the subscription "r2", which was refused`}},
		{"update of a replaced subscription", DataAdapter, func(c *Conn, r *remote) {
			c.Subscribe("i")
			first := r.id()
			c.Subscribe("i")
			r.say(first+"|SUB|V", r.id()+"|SUB|V", "1|CLS|S|i|S|"+first)
		}, []string{`which was replaced by SUB "r3"`}},
		{"update of nothing", DataAdapter, data("i", "1|UD3|S|i|S|77|B|0|S|f|S|x"), []string{`UD3 for the subscription "77", which was never made on this connection`}},
		{"wrong item", DataAdapter, data("i", "1|UD3|S|j|S|$|B|0|S|f|S|x"), []string{`UD3 for item "j" under the subscription "r2", which is that of item "i"`}},
		{"double reply", DataAdapter, data("i", "$|SUB|V", "$|SUB|V"), []string{`a second reply to the request "r2" (SUB); each gets exactly one`}},
		{"reply to nothing", DataAdapter, data("i", "99|SUB|V"), []string{`a reply to a request "99" (SUB) that was never sent`}},
		{"reply with another method", DataAdapter, data("i", "$|USB|V"), []string{`a reply says USB, but the request "r2" was SUB`}},
		{"reply of another form", DataAdapter, data("i", "$|SUB|B|1"), []string{"SUB"}},
		{"error of another kind", DataAdapter, data("i", "$|SUB|EA|no"), []string{"error EA does not belong in a reply to SUB"}},
		{"overtaking", DataAdapter, func(c *Conn, r *remote) {
			it := c.Subscribe("i")
			first := r.id()
			it.Unsubscribe()
			r.say(r.id()+"|USB|V", first+"|SUB|V")
		}, []string{`the reply to USB "r3" overtakes that to SUB "r2"`}},
		{"snapshot after its end", DataAdapter, data("i", "1|EOS|S|i|S|$", "1|UD3|S|i|S|$|B|1|S|f|S|x"), []string{"a snapshot event after the end of the snapshot"}},
		{"snapshot after a live event", DataAdapter, data("i", "1|UD3|S|i|S|$|B|0|S|f|S|x", "1|UD3|S|i|S|$|B|1|S|f|S|x"), []string{"a snapshot event after the end"}},
		{"snapshot after a clear", DataAdapter, data("i", "1|CLS|S|i|S|$", "1|UD3|S|i|S|$|B|1|S|f|S|x"), []string{"a snapshot event after the end"}},
		{"two ends of a snapshot", DataAdapter, data("i", "1|EOS|S|i|S|$", "1|EOS|S|i|S|$"), []string{"the end of a snapshot that has ended already"}},
		{"two snapshots in MERGE", DataAdapter, data("merge", "1|UD3|S|merge|S|$|B|1", "1|UD3|S|merge|S|$|B|1"), []string{"a second snapshot event: in MERGE mode"}},
		{"snapshot in RAW", DataAdapter, data("raw", "1|UD3|S|raw|S|$|B|1|S|f|S|x"), []string{"RAW mode, which has no snapshot"}},
		{"row without key", DataAdapter, data("command", "1|UD3|S|command|S|$|B|0|S|command|S|ADD"), []string{`needs the field "key"`}},
		{"row without command", DataAdapter, data("command", "1|UD3|S|command|S|$|B|0|S|key|S|k"), []string{`the field "command" is null`}},
		{"snapshot of a change", DataAdapter, data("command", "1|UD3|S|command|S|$|B|1|S|key|S|k|S|command|S|UPDATE"), []string{"made of ADD"}},
		{"field twice", DataAdapter, data("i", "1|UD3|S|i|S|$|B|0|S|f|S|1|S|f|S|2"), []string{"a field occurs twice"}},
		{"no time stamp", DataAdapter, data("i", "now|UD3|S|i|S|$|B|0|S|f|S|x"), []string{`UD3 begins with "now", not with a time stamp`}},
		{"bad escape", DataAdapter, data("i", "1|UD3|S|i|S|$|B|0|S|f|S|%zz"), []string{"UD3"}},
		{"unknown method", DataAdapter, data("i", "1|UPD|S|i"), []string{`unknown method "UPD"`}},
		{"no line", DataAdapter, data("i", "hello"), []string{"not a line of the protocol"}},
		{"empty line", DataAdapter, data("i", ""), []string{"not a line of the protocol"}},
		{"second RAC", DataAdapter, data("i", goodRAC), []string{"a second RAC"}},
		{"control of a Data Adapter", DataAdapter, data("i", "64|FST|S|S1|V"), []string{`a reply to a request "64" (FST) that was never sent`}},
		{"failure", DataAdapter, data("i", "1|FAL|E|feed lost"), []string{`the adapter has declared a failure: "feed lost"`}},
		{"failure without a stamp", DataAdapter, data("i", "x|FAL|E|feed lost"), []string{"FAL begins with", "declared a failure"}},
		{"bare LF", DataAdapter, func(c *Conn, r *remote) { fmt.Fprint(r.conn, "KEEPALIVE\n") }, []string{"a line does not end with CR LF"}},
		{"second answer to the initialisation", DataAdapter, func(c *Conn, r *remote) {
			c.Send("again|DPI|S|ARI.version|S|1.9.1")
			r.id()
			r.say("again|DPI|S|ARI.version|S|1.9.1")
		}, []string{`the request "again" (DPI) makes no sense here and was answered as if it did`}},

		{"nothing wrong with a user", MetadataAdapter, users("q|NUS|D|0.0|B|0"), nil},
		{"refused user", MetadataAdapter, users("q|NUS|EC|no|-3|go away"), nil},
		{"user answered in the wrong form", MetadataAdapter, users("q|NUS|V"), []string{"NUS"}},
		{"event of a Metadata Adapter", MetadataAdapter, users("1|EOS|S|i|S|q"), []string{"EOS from a Metadata Adapter"}},
		{"too few items", MetadataAdapter, func(c *Conn, r *remote) {
			c.Send("q|GIT|S|a|S|b")
			r.id()
			r.say("q|GIT|I|0|D|0.0|M|RMDC")
		}, []string{"GIT asked for 2 items, the reply tells of 1"}},
		{"control with a used id", MetadataAdapter, users("64|FST|S|S1|V\r\n64|FUS|S|S1|I|1"), []string{`FUS with the id "64", which an earlier request of the adapter had`}},
		{"bad control", MetadataAdapter, users("64|FUS|S|S1"), []string{"FUS"}},
		{"failure with another id", MetadataAdapter, users("3|FAL|E|x"), []string{`FAL of a Metadata Adapter has the id "3", not 2`, "declared a failure"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := record(t, func(tb testing.TB) {
					p := NewProxy(tb)
					p.Kind, p.Modes = tt.kind, modes
					r := dialRemote(tb, p)
					go r.open(map[AdapterKind]string{DataAdapter: "DPI", MetadataAdapter: "MPI"}[tt.kind])
					c := p.Accept()
					tt.script(c, r)
					synctest.Wait()
				})
				wantFailures(t, got, tt.want...)
			})
		})
	}
}

// What goes wrong before an adapter is ready.
func TestCheckerNoticesBrokenOpenings(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script func(r *remote)
		want   []string
	}{
		{"no RAC", func(r *remote) { r.say("r1|DPI|S|ARI.version|S|1.9.1") }, []string{"the first line is not RAC", "a connection without RAC"}},
		{"keepalive first", func(r *remote) { r.say("KEEPALIVE"); r.open("DPI") }, []string{"a keepalive before RAC"}},
		{"silence", func(*remote) {}, []string{"a connection without RAC: nothing came within 1m0s"}},
		{"id of RAC", func(r *remote) { r.say("5" + goodRAC[1:]); r.say(r.id() + "|DPI|S|ARI.version|S|1.9.1") }, []string{`RAC has the id "5", not 1`}},
		{"closed", func(r *remote) { r.say(goodRAC); _ = r.conn.Close() }, []string{"no reply to DPI: the adapter has closed the connection"}},
		{"event too early", func(r *remote) { r.say(goodRAC, "1|EOS|S|i|S|1"); r.say(r.id() + "|DPI|S|ARI.version|S|1.9.1") },
			[]string{"EOS before the reply to the initialisation"}},
		{"refusal", func(r *remote) { r.say(goodRAC); r.say(r.id() + "|DPI|ED|no feed") },
			[]string{`the adapter refuses to be initialised: DPI refused with a DataProviderError: "no feed"`}},
		{"unknown version", func(r *remote) { r.say(goodRAC); r.say(r.id() + "|DPI|S|ARI.version|S|7") }, []string{"7"}},
		{"wrong user", func(r *remote) { r.say("1|RAC|S|user|S|bob|S|password|S|tiger1") }, []string{`the adapter sent the user "bob", want "ann"`}},
		{"wrong password", func(r *remote) { r.say("1|RAC|S|user|S|ann|S|password|S|tiger1") }, []string{`the adapter sent a wrong password for user "ann"`}},
		{"no password", func(r *remote) { r.say("1|RAC|S|user|S|ann") }, []string{`the adapter sent no password`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := record(t, func(tb testing.TB) {
					p := NewProxy(tb)
					if strings.Contains(tt.name, "user") || strings.Contains(tt.name, "password") {
						p.Credentials = &adapter.Credentials{User: "ann", Password: "tiger2"}
					}
					go tt.script(dialRemote(tb, p))
					p.Accept()
				})
				wantFailures(t, got, tt.want...)
				if text := strings.Join(got, ""); strings.Contains(text, "tiger") {
					t.Errorf("a password shows:\n%s", text)
				}
			})
		})
	}
}

func TestKeepaliveTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed string
		got := record(t, func(tb testing.TB) {
			p := NewProxy(tb)
			p.KeepaliveTimeout = 5 * time.Second
			r := dialRemote(tb, p)
			go r.open("DPI")
			c := p.Accept()
			time.Sleep(4 * time.Second) //nolint:forbidigo // virtual
			r.say("KEEPALIVE")
			time.Sleep(4 * time.Second) //nolint:forbidigo // virtual
			c.Stall()                   // a proxy that does not read can't complain
			time.Sleep(time.Hour)       //nolint:forbidigo // virtual
			c.Resume()
			r.say("KEEPALIVE")
			c.ExpectClosed()
			closed, _ = r.in.ReadString('\n')
		})
		wantFailures(t, got, "the adapter was silent for 5s; it has to send keepalives")
		if closed != "0|CLOSE|S|reason|S|keepalive+timeout\r\n" {
			t.Errorf("the adapter was told %q", closed)
		}
	})
}

// A failure shows the conversation, without secrets.
func TestTranscript(t *testing.T) {
	var s transcript
	for n := range 100 {
		s.sent(fmt.Sprintf("%d|SUB|S|i", n))
	}
	s.received("1|RAC|S|user|S|ann|S|password|S|tiger|S|SDK|S|x")
	s.sent("7|NUS|S|scott|S|tiger|S|cookie|S|tiger")
	s.sent("8|NUA|S|scott|S|tiger|S|CN=x")
	s.received("7|NUS|D|0.0|B|1")
	s.received("7|NUS|EC|too|1|many\x00 tokens\x1b" + strings.Repeat("x", 1000))
	text := s.String()
	if strings.Contains(text, "tiger") || strings.ContainsAny(text, "\x00\x1b") {
		t.Errorf("secrets or control characters show:\n%s", text)
	}
	for _, want := range []string{
		"\n  > 99|SUB|S|i", "\n  < 1|RAC|S|user|S|ann|S|password|S|***|S|SDK|S|x", "\n  > 7|NUS|S|scott|S|***…", "\n  < 7|NUS|D|0.0|B|1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if lines := strings.Count(text, "\n"); lines != shownLines+1 || len(text) > 3000 {
		t.Errorf("%d lines, %d bytes", lines, len(text))
	}
}
