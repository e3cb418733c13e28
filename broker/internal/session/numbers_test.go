package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// extremes are numbers that clients write by mistake or on purpose.
var extremes = []string{
	"0", "-0", "1", "-1", "0.0", "1e-38", "1E-400", "1e400", "-1e400", "1.5", "5e3", "2147483647", "2147483648", "-2147483649", "4294967296",
	"9223372036854775807", "9223372036854775808", "-9223372036854775809", "1e18", "1e19", "1" + strings.Repeat("0", 300), strings.Repeat("9", 5000),
	"0." + strings.Repeat("0", 37) + "1", "NaN", "Inf", "-Infinity", "0x10", "1_000", "", " 1", "1.2.3", "--1", "1e", "e5", "+5",
}

// A bandwidth too low to be granted is raised to the least there is, and holds. As the client asked
// for it, it overflowed a time, and there was no limit at all.
func TestLowestBandwidth(t *testing.T) {
	for _, set := range []string{"creation", "constrain"} {
		for _, kbps := range []string{"1e-38", "0." + strings.Repeat("0", 37) + "1", "1e-400"} {
			t.Run(set+" "+kbps, func(t *testing.T) {
				inWorld(t, Config{}, func(t *testing.T, w *world) {
					params := ""
					if set == "creation" {
						params = "&LS_requested_max_bandwidth=" + kbps
					}
					c := w.create(ws, "LS_keepalive_millis=30000"+params)
					if set == "constrain" {
						w.ok(c.id(), "LS_op=constrain&LS_requested_max_bandwidth="+kbps)
					}
					if lines := c.take(); lines[len(lines)-1] != "CONS,0.1" {
						t.Errorf("got %q", lines)
					}
					w.ok(c.id(), add(1, "RAW", "i", "a", ""))
					for range 1000 {
						w.send("i", "a="+strings.Repeat("x", 100))
						pass(100 * time.Millisecond)
					}
					bytes := 0
					for _, line := range data(c.take()) {
						bytes += len(line) + 2
					}
					if bytes > 100*13+200 || bytes < 500 { // 100 s, and one line is begun
						t.Errorf("%d bytes of data in 100 s at 0.1 kbit/s", bytes)
					}
				})
			})
		}
	}
}

// A low frequency holds as well.
func TestLowestFrequency(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "LS_keepalive_millis=30000")
		w.ok(c.id(), add(1, "MERGE", "i", "a", "LS_requested_max_frequency=1e-38"))
		if lines := c.take(); lines[len(lines)-1] != "CONF,1,0.0001,filtered" {
			t.Errorf("got %q", lines)
		}
		for i := range 100 {
			w.send("i", fmt.Sprint("a=", i))
			pass(10 * time.Minute)
		}
		if lines := data(c.take()); len(lines) != 6 && len(lines) != 7 { // 60,000 s
			t.Errorf("%d updates: %q", len(lines), lines)
		}
	})
}

// Whatever number stands in whatever parameter of whatever request: the session lives on, and
// answers.
func TestExtremeNumbers(t *testing.T) {
	requests := []struct{ kind, params, param string }{
		{"bind", "", "LS_content_length"},
		{"bind", "", "LS_keepalive_millis"},
		{"bind", "", "LS_inactivity_millis"},
		{"bind", "LS_polling=true&LS_idle_millis=0", "LS_polling_millis"},
		{"bind", "LS_polling=true&LS_polling_millis=0", "LS_idle_millis"},
		{"bind", "", "LS_recovery_from"},
		{"control", "LS_op=constrain", "LS_requested_max_bandwidth"},
		{"control", "LS_op=add&LS_mode=RAW&LS_group=i&LS_schema=a", "LS_subId"},
		{"control", "LS_op=add&LS_subId=%d&LS_mode=MERGE&LS_group=i&LS_schema=a", "LS_requested_max_frequency"},
		{"control", "LS_op=add&LS_subId=%d&LS_mode=MERGE&LS_group=i&LS_schema=a", "LS_requested_buffer_size"},
		{"control", "LS_op=add&LS_subId=%d&LS_mode=DISTINCT&LS_group=d&LS_schema=a", "LS_snapshot"},
		{"control", "LS_op=reconf&LS_subId=1", "LS_requested_max_frequency"},
		{"control", "LS_op=reconf&LS_requested_max_frequency=1", "LS_subId"},
		{"control", "LS_op=delete", "LS_subId"},
		{"control", "LS_op=force_rebind", "LS_polling_millis"},
		{"msg", "LS_message=x&LS_outcome=false", "LS_msg_prog"},
		{"msg", "LS_message=x&LS_sequence=s%d", "LS_msg_prog"},
		{"msg", "LS_message=x&LS_sequence=s%d&LS_msg_prog=2", "LS_max_wait"},
	}
	for _, cl := range []Client{ws, overHTTP} {
		for _, r := range requests {
			t.Run(fmt.Sprintf("%s %s %t", r.kind, r.param, cl.WebSocket), func(t *testing.T) {
				inWorld(t, Config{}, func(t *testing.T, w *world) {
					e := &extreme{w: w, cl: cl, c: w.create(cl, "")}
					e.session = e.c.id()
					w.ok(e.session, add(1, "MERGE", "first", "a", ""))
					for i, n := range extremes {
						params := r.params
						if strings.Contains(params, "%d") {
							params = fmt.Sprintf(params, 100+i)
						}
						e.request(r.kind, strings.TrimPrefix(params+"&"+r.param+"="+n, "&"))
						e.alive(r.param + "=" + n)
					}
				})
			})
		}
	}
}

// extreme is a session that gets requests with extreme numbers.
type extreme struct {
	w       *world
	cl      Client
	session string
	c       *conn
}

func (e *extreme) request(kind, params string) {
	t := e.w.t
	t.Helper()
	line := []byte("LS_reqId=1&LS_session=" + e.session + "&" + params)
	var answer string
	switch kind {
	case "bind":
		req, refusal := tlcp.ParseBindSession(line)
		if refusal == nil {
			var b *Binding
			if b, refusal = e.w.m.Bind(t.Context(), e.cl, req, nil); refusal == nil {
				e.c = e.w.serve(b)
			}
		}
		if refusal != nil && refusal.Code != tlcp.CodeSyntax && refusal.Code != tlcp.CodeRecoveryUnavailable {
			t.Errorf("%s: %v", params, refusal)
		}
		return
	case "control":
		if req, refusal := tlcp.ParseControl(line); refusal != nil {
			answer = string(refusal.Append(nil))
		} else {
			answer = string(e.w.m.Control(t.Context(), e.cl, nil, req, nil))
		}
	case "msg":
		if req, refusal := tlcp.ParseMessage(line); refusal != nil {
			answer = string(refusal.Append(nil))
		} else {
			answer = string(e.w.m.Message(t.Context(), e.cl, nil, req, nil))
		}
	}
	code := strings.Split(answer, ",")
	if answer != "REQOK,1\r\n" && (code[0] != "REQERR" || slices.Contains([]string{"11", "20", "65", "67"}, code[2])) {
		t.Errorf("%.200s: %q", params, answer)
	}
}

// alive checks that the session still has all it had, after a time in which nothing may be due.
func (e *extreme) alive(after string) {
	t := e.w.t
	t.Helper()
	pass(time.Second)
	select {
	case end := <-e.c.end:
		if end.Reason != Looped {
			t.Errorf("after %.200s: %+v", after, end)
		}
		e.c = e.w.bind(e.cl, "LS_session="+e.session)
	default:
	}
	if got := e.w.control(e.session, "LS_op=reconf&LS_subId=1"); got != "REQOK,1" && !strings.HasPrefix(got, "REQERR,1,19") {
		t.Fatalf("after %.200s the session answers %q", after, got)
	}
	synctest.Wait()
	if lines := e.c.take(); len(lines) > 100 {
		t.Errorf("after %.200s: %d lines in a second", after, len(lines))
	}
}

// A session is created with any number that can be one; what is none is refused.
func TestExtremeNumbersAtCreation(t *testing.T) {
	for _, param := range []string{
		"LS_content_length", "LS_keepalive_millis", "LS_inactivity_millis", "LS_requested_max_bandwidth", "LS_ttl_millis", "LS_polling=true&LS_polling_millis",
		"LS_polling=true&LS_polling_millis=0&LS_idle_millis",
	} {
		t.Run(param, func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				for _, n := range extremes {
					req, refusal := tlcp.ParseCreateSession([]byte(defaults + param + "=" + n))
					if refusal != nil {
						if refusal.Code != tlcp.CodeSyntax || len(refusal.Message) > 200 {
							t.Errorf("%.50s: %.200v", n, refusal)
						}
						continue
					}
					b, refusal := w.m.Create(t.Context(), overHTTP, req)
					if refusal != nil {
						t.Fatalf("%.50s: %v", n, refusal)
					}
					c := w.serve(b)
					pass(10 * time.Second)
					if lines := c.take(); len(lines) > 30 {
						t.Errorf("%.50s: %d lines in 10 s", n, len(lines))
					}
				}
			})
		})
	}
}
