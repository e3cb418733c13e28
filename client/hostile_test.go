package client_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/client"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// allocated returns the bytes allocated while f ran, garbage included.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// live returns the bytes in use.
func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// ended waits for the end of a session and returns why it has ended.
func ended(t testing.TB, c *client.Client) error {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Fatal("the session goes on")
	}
	return c.Err()
}

// A first line that is no answer to the creation of a session ends the attempt, and nothing else:
// neither an empty session id nor a second CONOK ends the program.
func TestCONOKIsChecked(t *testing.T) {
	for _, said := range []string{
		"CONOK,,2,1,k", "CONOK,,2,1,k\r\nCONOK,,2,1,k", "CONOK,S1,-1,1,*", "CONOK,S1,99999999999,1,*", "CONOK", "CONOK,S\x01,50000,5000,*",
		"CONOK," + strings.Repeat("S", 2000) + ",50000,5000,*", "SUBOK,1,1,1", "LOOP,0", "PROG,0", "U,1,1,a", "REQOK,1", "REQERR,1,19,x", "MSGDONE,*,1,",
		"LOOP,0\r\n" + conok,
	} {
		s := serveScript(t, &scripted{socket: func(c *wsconn.Conn, _ int) {
			answer(c, func(request string) []string {
				if strings.HasPrefix(request, "create_session") {
					return []string{lines(said)}
				}
				return nil
			})
		}})
		c, err := client.Connect(t.Context(), s.config())
		if err == nil {
			err = ended(t, c)
		}
		if wrong, ok := errors.AsType[*client.ProtocolError](err); !ok || !errors.Is(err, client.ErrProtocol) || len(wrong.Line) > 100 {
			t.Errorf("%.40q: %v", said, err)
		}
	}
}

// Each line is checked against what was asked, before any memory is taken by what it says.
func TestLinesAreChecked(t *testing.T) {
	list := client.Subscription{Mode: client.Merge, Items: []string{"a", "b"}, Fields: []string{"x", "y"}}
	group := client.Subscription{Mode: client.Merge, Group: "all", Schema: "some"}
	rows := client.Subscription{Mode: client.Command, Items: []string{"a"}, Fields: []string{"key", "command", "x"}, Snapshot: true}
	rowsOfGroup := client.Subscription{Mode: client.Command, Group: "all", Schema: "some"}
	distinct := client.Subscription{Mode: client.Distinct, Group: "all", Schema: "some"}
	for _, tt := range []struct {
		name   string
		sub    client.Subscription
		accept string
		then   string
		want   error
	}{
		{"more items", list, "SUBOK,1,2147483647,2", "", client.ErrProtocol},
		{"fewer items", list, "SUBOK,1,1,2", "", client.ErrProtocol},
		{"more fields", list, "SUBOK,1,2,2147483647", "", client.ErrProtocol},
		{"no item", list, "SUBOK,1,0,2", "", client.ErrProtocol},
		{"137 GB of items", group, "SUBOK,1,2147483647,1", "", client.ErrLimit},
		{"fields without end", group, "SUBOK,1,1,2147483647", "U,1,1,a|^2147483646", client.ErrLimit},
		{"many items of many fields", group, "SUBOK,1,5000000,50000", "", client.ErrLimit},
		{"other subscription", list, "SUBOK,2,2,2", "", client.ErrProtocol},
		{"other mode", list, "SUBCMD,1,2,2,1,2", "", client.ErrProtocol},
		{"not in COMMAND mode", rows, "SUBOK,1,1,3", "", client.ErrProtocol},
		{"key elsewhere", rows, "SUBCMD,1,1,3,2,1", "", client.ErrProtocol},
		{"key is command", rowsOfGroup, "SUBCMD,1,1,3,2,2", "", client.ErrProtocol},
		{"again with other counts", group, "SUBOK,1,2,2", "SUBOK,1,3,2", client.ErrProtocol},
		{"update before", list, "U,1,1,a|b", "", client.ErrProtocol},
		{"CONF before", list, "CONF,1,unlimited,filtered", "", client.ErrProtocol},
		{"EOS before", distinct, "EOS,1,1", "", client.ErrProtocol},
		{"item beyond", list, "SUBOK,1,2,2", "U,1,3,a|b", client.ErrProtocol},
		{"too many values", list, "SUBOK,1,2,2", "U,1,1,a|b|c", client.ErrProtocol},
		{"a run beyond the fields", list, "SUBOK,1,2,2", "U,1,1,a|^2147483646", client.ErrProtocol},
		{"unchanged at first", list, "SUBOK,1,2,2", "U,1,1,a|", client.ErrProtocol},
		{"diff that does not fit", list, "SUBOK,1,2,2", "U,1,1,a|b\r\nU,1,1,^Tz|", client.ErrProtocol},
		{"JSON Patch, not asked for", list, "SUBOK,1,2,2", "U,1,1,a|b\r\nU,1,1,^P[]|", client.ErrProtocol},
		{"EOS in MERGE mode", list, "SUBOK,1,2,2", "EOS,1,1", client.ErrProtocol},
		{"CS in MERGE mode", list, "SUBOK,1,2,2", "CS,1,1", client.ErrProtocol},
		{"key null", rows, "SUBCMD,1,1,3,1,2", "U,1,1,#|ADD|x", client.ErrProtocol},
		{"command unknown", rows, "SUBCMD,1,1,3,1,2", "U,1,1,k|FOO|x", client.ErrProtocol},
		{"frequency", list, "SUBOK,1,2,2", "CONF,1,99999999999999999999999e999,filtered", client.ErrProtocol},
		{"lost updates", list, "SUBOK,1,2,2", "OV,1,1,99999999999999999999", client.ErrProtocol},
		{"UNSUB of another", list, "SUBOK,1,2,2", "UNSUB,7", client.ErrProtocol},
		{"outcome of no message", list, "SUBOK,1,2,2", "MSGDONE,*,1,", client.ErrProtocol},
		{"failures of no messages", list, "SUBOK,1,2,2", "MSGFAIL,s,2147483647,39,2147483647", client.ErrProtocol},
		{"answer to no request", list, "SUBOK,1,2,2", "REQOK,77", client.ErrProtocol},
		{"answer without id", list, "SUBOK,1,2,2", "REQOK", client.ErrProtocol},
		{"refusal of no request", list, "SUBOK,1,2,2", "REQERR,x,19,", client.ErrProtocol},
		{"CONOK again", list, "SUBOK,1,2,2", conok, client.ErrProtocol},
		{"update between LOOP and CONOK", list, "SUBOK,1,2,2", "LOOP,0\r\nU,1,1,a|b", client.ErrProtocol},
		{"another session", list, "SUBOK,1,2,2", "LOOP,0\r\nCONOK,Sother,50000,5000,*", client.ErrProtocol},
		{"LOOP twice", list, "SUBOK,1,2,2", "LOOP,0\r\nLOOP,0", client.ErrProtocol},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveScript(t, &scripted{socket: afterSubscription(tt.accept, lines(tt.then))})
			var err error
			used := allocated(func() {
				c := connect(t, s.config())
				_, _ = c.Subscribe(t.Context(), tt.sub)
				err = ended(t, c)
			})
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(fmt.Sprint(err), "1234567890") {
				t.Errorf("the id of the session is shown: %v", err)
			}
			if used > 8<<20 {
				t.Errorf("%d bytes allocated", used)
			}
		})
	}
}

// What a server may say, though it need not, ends nothing.
func TestLinesThatAreTaken(t *testing.T) {
	s := serveScript(t, &scripted{socket: afterSubscription("SUBOK,1,1,1", lines("SUBOK,1,1,1", "CONF,1,2.5,filtered", "HELLO,you", "", "NOOP,,,", "PROBE",
		"SYNC,1", "SERVNAME,x", "CLIENTIP,::1", "CONS,unmanaged", "REQOK,1", "REQERR,1,19,twice", "WSOK", "OV,1,1,3", "U,1,1,a", "U,1,1,^1", "UNSUB,1", "U,1,1,b"))})
	c := connect(t, s.config())
	got := make(recorder, 10)
	if _, err := c.Subscribe(t.Context(), got.callbacks(client.Subscription{Mode: client.Raw, Items: []string{"i"}, Fields: []string{"x"}})); err != nil {
		t.Fatal(err)
	}
	got.expect(t, "lost i 1 3", "i a!", "i a", "unsubscribed")
	if err := c.Err(); err != nil {
		t.Error(err)
	}
	if n := c.Stats().ValueBytes; n != 0 {
		t.Errorf("%d bytes of values are kept of no subscription", n)
	}
}

// Values have bounds that differences, rows and items cannot pass.
func TestValuesAreBounded(t *testing.T) {
	const limit = 1 << 20
	big := strings.Repeat("x", 1<<16)
	for _, tt := range []struct {
		name string
		sub  client.Subscription
		ok   string
		next func(i int) string
		want string
	}{
		{"a value that grows by differences", client.Subscription{Mode: client.Raw, Items: []string{"a"}, Fields: []string{"x"}}, "SUBOK,1,1,1",
			func(i int) string {
				if i == 0 {
					return "U,1,1," + big
				}
				return "U,1,1,^T" + number26(i*len(big)) + number26(len(big)) + big
			}, "MaxValue"},
		{"items", client.Subscription{Mode: client.Raw, Group: "g", Schema: "s"}, "SUBOK,1,10000,1",
			func(i int) string { return fmt.Sprintf("U,1,%d,%s", i+1, big) }, "MaxValues"},
		{"rows", client.Subscription{Mode: client.Command, Group: "g", Schema: "s"}, "SUBCMD,1,1,3,1,2",
			func(i int) string { return fmt.Sprintf("U,1,1,%d|ADD|%s", i, big) }, "MaxValues"},
		{"many small rows", client.Subscription{Mode: client.Command, Group: "g", Schema: "s"}, "SUBCMD,1,1,2,1,2",
			func(i int) string {
				var b strings.Builder
				for j := range 1000 {
					fmt.Fprintf(&b, "U,1,1,%d|ADD\r\n", 1000*i+j)
				}
				return b.String()
			}, "MaxValues"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveScript(t, &scripted{socket: func(c *wsconn.Conn, _ int) {
				answer(c, func(request string) []string {
					switch {
					case strings.HasPrefix(request, "create_session"):
						return []string{lines(conok)}
					case strings.Contains(request, "LS_op=add"):
						text := lines("REQOK,1", tt.ok)
						for i := 0; c.WriteText([]byte(text)) == nil; i++ {
							text = lines(tt.next(i))
						}
					}
					return nil
				})
			}})
			cfg := s.config()
			cfg.MaxValue, cfg.MaxValues = limit, 4*limit
			before := live()
			c := connect(t, cfg)
			_, _ = c.Subscribe(t.Context(), tt.sub)
			err := ended(t, c)
			if !errors.Is(err, client.ErrLimit) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
			if used := live() - before; used > 8*limit {
				t.Errorf("%d bytes are kept", used)
			}
			if n := c.Stats().ValueBytes; n > 5*limit {
				t.Errorf("%d bytes of values are accounted for", n)
			}
		})
	}
}

// number26 is a number of a TLCP-diff.
func number26(n int) string {
	text := string(rune('a' + n%26))
	for n /= 26; n > 0; n /= 26 {
		text = string(rune('A'+n%26)) + text
	}
	return text
}

// Rows that come and go give their memory back.
func TestValuesAreGivenBack(t *testing.T) {
	var flow []string
	for i := range 100 {
		for j := range 50 {
			flow = append(flow, fmt.Sprintf("U,1,1,k%d|ADD|y%s", j, strings.Repeat("x", i*10)))
		}
		for j := range 50 {
			flow = append(flow, fmt.Sprintf("U,1,1,k%d|DELETE|", j))
		}
		flow = append(flow, "U,1,1,k|ADD|y", "CS,1,1")
	}
	flow = append(flow, "UNSUB,1")
	s := serveScript(t, &scripted{socket: afterSubscription("SUBCMD,1,1,3,1,2", lines(flow...))})
	cfg := s.config()
	cfg.MaxValues = 200_000
	c := connect(t, cfg)
	gone := make(chan struct{})
	if _, err := c.Subscribe(t.Context(), client.Subscription{
		Mode: client.Command, Items: []string{"i"}, Fields: []string{"key", "command", "x"}, OnUnsubscribed: func() { close(gone) },
	}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-c.Done():
		t.Fatal(c.Err())
	}
	if n := c.Stats().ValueBytes; n != 0 {
		t.Errorf("%d bytes of values are kept", n)
	}
}

// Lines and messages have a bound; nothing is kept of lines that nobody knows.
func TestFloodOfUnknownLines(t *testing.T) {
	const each, count = 1 << 20, 100
	done := make(chan struct{})
	s := serveScript(t, &scripted{socket: func(c *wsconn.Conn, _ int) {
		answer(c, func(request string) []string {
			if !strings.HasPrefix(request, "create_session") {
				return nil
			}
			_ = c.WriteText([]byte(lines(conok)))
			flood := []byte(strings.Repeat("HELLO,"+strings.Repeat("x", 250)+"\r\n", each/258))
			for range count {
				if c.WriteText(flood) != nil {
					return nil
				}
			}
			close(done)
			_ = c.WriteText([]byte(strings.Repeat("x", each+1)))
			return nil
		})
	}})
	cfg := s.config()
	cfg.MaxMessage = each
	before := live()
	c := connect(t, cfg)
	select {
	case <-done:
	case <-c.Done():
		t.Fatal(c.Err())
	}
	if used := live() - before; used > 8*each {
		t.Errorf("%d bytes are kept", used)
	}
	if err := ended(t, c); !errors.Is(err, client.ErrLimit) || !strings.Contains(err.Error(), "MaxMessage") {
		t.Errorf("got %v", err)
	}
}

// Events that come faster than the application takes them wait in the server, not in the client.
func TestEventsWaitForTheApplication(t *testing.T) {
	written := make(chan int)
	s := serveScript(t, &scripted{socket: func(c *wsconn.Conn, _ int) {
		answer(c, func(request string) []string {
			switch {
			case strings.HasPrefix(request, "create_session"):
				return []string{lines(conok)}
			case strings.Contains(request, "LS_op=add"):
				text := lines("REQOK,1", "SUBOK,1,1,1")
				for n := 0; c.WriteText([]byte(text)) == nil; n++ {
					written <- n
					text = lines("U,1,1," + strings.Repeat("x", 10_000))
				}
				close(written)
			}
			return nil
		})
	}})
	c := connect(t, s.config())
	in, out := make(chan struct{}), make(chan struct{})
	go func() { // ends with the subscription's answer
		_, _ = c.Subscribe(t.Context(), client.Subscription{
			Mode: client.Raw, Items: []string{"i"}, Fields: []string{"x"},
			OnUpdate: func(*client.Update) { in <- struct{}{}; <-out },
		})
	}()
	<-written // the answer to the subscription
	ahead := 0
	for seen := 0; seen < 100; {
		select {
		case <-written:
			ahead++
		case <-in:
			seen++
			ahead--
			out <- struct{}{}
		}
		if ahead > 3 { // one is at the application, one is read, one is being written
			t.Fatalf("%d messages are ahead of the application", ahead)
		}
	}
	go func() { // ends with the client
		for {
			select {
			case <-in:
				out <- struct{}{}
			case <-c.Done():
				return
			}
		}
	}()
	go func() { // ends with the server
		for range written {
		}
	}()
	c.Close()
}

// What is there when the silence is judged, because this process was late itself, is read first. A
// server that stays silent is given up a moment later.
func TestSilenceIsJudgedAfterReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveScript(t, &scripted{socket: func(c *wsconn.Conn, n int) {
			if n > 0 {
				return
			}
			go func() { // ends with the connection
				<-time.After(5*time.Second + 5*time.Second + 500*time.Millisecond)
				_ = c.WriteText([]byte(lines("PROBE")))
			}()
			answer(c, func(request string) []string {
				if strings.HasPrefix(request, "create_session") {
					return []string{lines(conok)}
				}
				return nil
			})
		}})
		start := time.Now()
		c := connect(t, s.config())
		<-c.Done()
		err := c.Err()
		// 10.5 s to PROBE, 11 s of silence, 15 s of recovery at least.
		if lasted := time.Since(start); !errors.Is(err, client.ErrLost) || lasted < 36*time.Second || lasted > 40*time.Second {
			t.Errorf("after %v: %v", lasted, err)
		}
	})
}

// A server that sends anything but the answer to a bind is given up in the time for the answer.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveScript(t, &scripted{socket: func(c *wsconn.Conn, _ int) {
			go answer(c, func(string) []string { return nil })
			for c.WriteText([]byte(lines("PROBE"))) == nil {
				<-time.After(time.Second)
			}
		}})
		start := time.Now()
		if _, err := client.Connect(t.Context(), s.config()); err == nil || time.Since(start) != 11*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
