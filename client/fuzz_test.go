package client_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/client"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// hostileLimit bounds values in the tests with hostile servers.
const hostileLimit = 1 << 20

// facedWith runs a client against a server that says what a script holds, and reports why the
// session has ended. The client subscribes in all modes and sends messages.
//
// The parts of a script, separated by the byte 0, are what the connections carry, one after the
// other, WebSockets and recoveries. The parts of these, separated by the byte 1, are messages; a
// WebSocket sends one for each request that it gets.
func facedWith(t *testing.T, script []byte) (err error) {
	parts := bytes.Split(script, []byte{0})
	part := func(n int) [][]byte {
		if n >= len(parts) {
			return nil
		}
		return bytes.Split(parts[n], []byte{1})
	}
	synctest.Test(t, func(t *testing.T) {
		s := serveScript(t, &scripted{
			socket: func(c *wsconn.Conn, n int) {
				messages := part(2 * n)
				answer(c, func(request string) []string {
					if request == "wsok" || len(messages) == 0 {
						return nil
					}
					m := bytes.ToValidUTF8(messages[0], []byte("?"))
					if messages = messages[1:]; len(messages) == 0 {
						defer c.CloseNow()
					}
					if c.WriteText(m) != nil {
						return nil
					}
					return nil
				})
			},
			poll: func(w http.ResponseWriter, n int) {
				for _, m := range part(2*n + 1) {
					_, _ = w.Write(m)
				}
			},
		})
		cfg := s.config()
		cfg.RecoveryTimeout = 3 * time.Second
		cfg.MaxMessage, cfg.MaxValues = hostileLimit, 4*hostileLimit
		var c *client.Client
		if c, err = client.Connect(t.Context(), cfg); err != nil {
			return
		}
		done := make(chan struct{})
		go func() { // ends with the client
			defer close(done)
			for i, sub := range hostileSubscriptions() {
				_, _ = c.Subscribe(t.Context(), sub)
				_, _ = c.Send(t.Context(), client.Message{Text: "m", Sequence: strings.Repeat("s", i%2), NoOutcome: true})
			}
		}()
		select {
		case <-c.Done():
			err = c.Err()
		case <-time.After(time.Hour): // of a clock that moves when everybody waits
		}
		c.Close()
		<-done
	})
	return err
}

// hostileSubscriptions are what the client asks a hostile server for.
func hostileSubscriptions() []client.Subscription {
	subs := []client.Subscription{
		{Mode: client.Merge, Items: []string{"a", "b"}, Fields: []string{"x", "y"}, Snapshot: true},
		{Mode: client.Command, Group: "g", Schema: "s", Snapshot: true},
		{Mode: client.Distinct, Group: "g", Fields: []string{"x"}, Snapshot: true},
		{Mode: client.Raw, Items: []string{"a"}, Schema: "s"},
	}
	for i := range subs {
		subs[i].OnUpdate = func(u *client.Update) { // looks at everything
			n := len(u.Key()) + len(u.Command()) + len(u.Fields())
			for i := range u.Len() {
				v, _ := u.At(i)
				n += len(v)
				_ = u.ChangedAt(i)
			}
			if _, ok := u.Value("x"); ok && n == 0 {
				_ = u.Changed("x")
			}
		}
	}
	return subs
}

// expected reports whether an error is one that a client may give for a server that does not keep
// to the protocol.
func expected(err error) bool {
	_, refused := errors.AsType[*client.SessionError](err)
	return err == nil || refused || errors.Is(err, client.ErrProtocol) || errors.Is(err, client.ErrLimit) || errors.Is(err, client.ErrLost) ||
		strings.Contains(err.Error(), "broken") || strings.Contains(err.Error(), "wsconn")
}

const fuzzBegin = conok + "\r\n\x01REQOK,1\r\nSUBOK,1,2,2\r\n\x01REQOK,2\r\n\x01REQOK,3\r\nSUBCMD,2,3,3,1,2\r\n"

// Whatever a server says, the client ends with an error or goes on: no panic, no goroutine that
// stays, and no more memory than Config allows.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		conok, "CONOK,,2,1,k", "CONERR,1,no", fuzzBegin + "U,2,1,k|ADD|v\r\nU,2,1,|UPDATE|^Tab\r\nCS,2,1\r\nEOS,2,1\r\n",
		fuzzBegin + "U,1,1,a|b\r\nU,1,1,^1|c\x00" + conok + "\r\nPROG,1\r\nU,1,1,a|b\r\nLOOP,0\r\n\x00" + conok + "\r\nEND,31,bye",
		fuzzBegin + "SUBOK,1,2147483647,1\r\n", fuzzBegin + "U,1,1,^2147483646\r\n", fuzzBegin + "MSGFAIL,s,2147483647,39,2147483647\r\n",
		fuzzBegin + "LOOP,0\r\n\x01" + conok + "\r\nLOOP,0\r\n\x01", conok + "\x00LOOP,0\r\n\x00\x00" + conok, "CONOK,S,0,0,*\r\n\x01",
		fuzzBegin + "SUBOK,3,99999,1\r\nU,3,99999,x\r\nOV,3,1,999999999\r\nUNSUB,3\r\n\x01MSGDONE,*,1,\r\nMSGDONE,s,1,%41\r\nREQERR,4,19,x\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if err := facedWith(t, script); !expected(err) {
			t.Errorf("ended by %v", err)
		}
	})
}

// Servers that say lines of valid shape with extreme numbers, texts and repetitions, by the
// thousand: the client's memory stays within what its configuration allows.
func TestHostileServers(t *testing.T) {
	const servers, mostHeap = 80, 64 << 20
	random := rand.New(rand.NewPCG(1, 2))
	before, ends := live(), map[string]int{}
	for n := range servers {
		var err error
		script := hostileScript(random)
		used := allocated(func() { err = facedWith(t, script) })
		switch {
		case !expected(err):
			t.Fatalf("server %d: ended by %v", n, err)
		case used > 100*int64(len(script))+mostHeap:
			t.Errorf("server %d: %d bytes allocated for %d received", n, used, len(script))
		}
		switch {
		case errors.Is(err, client.ErrProtocol):
			ends["protocol"]++
		case errors.Is(err, client.ErrLimit):
			ends["limit"]++
		case errors.Is(err, client.ErrLost):
			ends["lost"]++
		default:
			ends["other"]++
		}
	}
	if used := live() - before; used > 16<<20 {
		t.Errorf("%d bytes are kept after all", used)
	}
	t.Logf("ended by: %v", ends)
}

// hostileScript makes lines of valid shape, most with numbers that fit, so that the client does not
// end at the first.
func hostileScript(r *rand.Rand) []byte {
	number := func(usual int) string {
		switch r.IntN(1000) {
		case 0:
			return strconv.Itoa(1<<31 - 1)
		case 1:
			return []string{"0", "-1", "99999999999999999999", "1e9", "", "4294967297", "9223372036854775807"}[r.IntN(7)]
		}
		return strconv.Itoa(1 + r.IntN(max(usual, 1)))
	}
	text := func() string {
		switch r.IntN(8) {
		case 0:
			return strings.Repeat("%C3%A8", r.IntN(2_000))
		case 1:
			return []string{"^Tadabc", "^Tadxyz", "^T" + number26(r.IntN(100_000)) + "dabc"}[r.IntN(100)/49]
		case 2:
			return []string{"#", "$", "^" + number(3)}[r.IntN(100)/49]
		case 3:
			return ""
		}
		return strings.Repeat("x", r.IntN(100))
	}
	values := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = text()
		}
		return strings.Join(list, "|")
	}
	line := func() string {
		switch r.IntN(16) {
		case 0:
			return []string{"SUBOK,1,2,2", "SUBCMD,2,3,3,1,2", "SUBOK,1," + number(1<<31) + ",1"}[r.IntN(200)/99]
		case 1:
			return "CONF," + number(4) + "," + number(1000) + ",filtered"
		case 2:
			return "OV," + number(4) + ",1," + number(1000)
		case 3:
			return []string{"EOS", "CS"}[r.IntN(2)] + ",2," + number(1)
		case 4:
			return "MSGFAIL,*," + number(1) + ",39," + number(2)
		case 5:
			return "MSGDONE,*," + number(1) + "," + strings.Repeat("y", r.IntN(1000))
		case 6:
			return []string{"REQOK,", "UNSUB,"}[r.IntN(100)/99] + number(3)
		case 7:
			return []string{"SYNC,", "X,", "NOOP,", "PROG,", "LOOP,"}[r.IntN(300)/74] + number(10)
		case 8, 9, 10, 11:
			return "U,2," + number(3) + "," + number(500) + "|" + []string{"ADD", "UPDATE", "DELETE"}[r.IntN(3)] + "|" + text()
		}
		return "U,1," + number(2) + "," + values(2)
	}
	var b strings.Builder
	b.WriteString(fuzzBegin)
	b.WriteString("U,1,1,a|b\r\nU,1,2,a|b\r\nU,2,1,k|ADD|v\r\nU,2,2,k|ADD|v\r\nU,2,3,k|ADD|v\r\n")
	for range r.IntN(200) {
		l := line()
		for range 1 + r.IntN(2)*r.IntN(20) {
			b.WriteString(l + "\r\n")
		}
		switch r.IntN(60) {
		case 0:
			b.WriteString("\x01")
		case 1:
			b.WriteString("\x00" + conok + "\r\n")
		}
	}
	return []byte(b.String())
}
