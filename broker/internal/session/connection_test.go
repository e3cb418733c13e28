package session

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

func TestPolling(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(overHTTP, "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
		<-c.end
		w.ok(c.id(), add(1, "MERGE", "i", "a", "LS_snapshot=true"))
		poll := func(params string) *conn {
			return w.bind(overHTTP, "LS_session="+c.id()+"&LS_polling=true&"+params)
		}

		// What waits is sent at once.
		p := poll("LS_polling_millis=500&LS_idle_millis=19000")
		<-p.end
		expect(t, p.take()[4:], "PROG,0", "SUBOK,1,1,1", "CONF,1,unlimited,filtered", "LOOP,500")

		// Nothing waits: the poll waits for the first thing, a request by itself is none.
		p = poll("LS_polling_millis=0&LS_idle_millis=19000")
		if head := p.take(); len(head) != 5 || head[0] != "CONOK,"+c.id()+",50000,19000,*" || head[4] != "PROG,2" {
			t.Errorf("head %q", head)
		}
		pass(18 * time.Second)
		w.ok(c.id(), "LS_op=constrain&LS_requested_max_bandwidth=unlimited")
		expect(t, p.take(), "CONS,unlimited")
		w.send("i", "a=1")
		<-p.end
		expect(t, p.take(), "U,1,1,1", "LOOP,0")

		// Nothing comes.
		p = poll("LS_polling_millis=0&LS_idle_millis=19000")
		p.take()
		start := time.Now()
		<-p.end
		if d := time.Since(start); d != 19*time.Second {
			t.Errorf("waited %v", d)
		}
		expect(t, p.take(), "LOOP,0")

		// The limits: idle time 30 s, interval 15 s; and the session waits that much longer.
		p = poll("LS_polling_millis=90000&LS_idle_millis=90000")
		start = time.Now()
		<-p.end
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("waited %v", d)
		}
		if lines := p.take(); lines[0] != "CONOK,"+c.id()+",50000,30000,*" || lines[5] != "LOOP,15000" {
			t.Errorf("lines %q", lines)
		}
		pass(25*time.Second - 1)
		p = poll("LS_polling_millis=0&LS_idle_millis=0")
		<-p.end
		pass(10*time.Second + 1)
		if _, err := w.tryBind(overHTTP, "LS_session="+c.id()); err == nil || err.Code != tlcp.CodeSessionUnknown {
			t.Errorf("bind of an expired session: %v", err)
		}
	})
}

// TestWSPolling: the socket stays, and so does the session, over many polls.
func TestWSPolling(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(overHTTP, "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
		<-c.end
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		var got []string
		for i := range 5 {
			req, _ := tlcp.ParseBindSession([]byte("LS_polling=true&LS_polling_millis=0&LS_idle_millis=19000"))
			b, err := w.m.Bind(t.Context(), ws, req, c.b.s) // no LS_session: the default of the socket
			if err != nil {
				t.Fatal(err)
			}
			p := w.serve(b)
			if i > 0 {
				w.send("i", fmt.Sprint("a=", i))
			}
			if end := <-p.end; end != (End{Looped, false}) {
				t.Errorf("end %+v", end)
			}
			got = append(got, data(p.take())...)
		}
		expect(t, got, "SUBOK,1,1,1", "CONF,1,unlimited,filtered", "U,1,1,1", "U,1,1,2", "U,1,1,3", "U,1,1,4")
	})
}

// TestContentLength: before a line would exceed the length comes LOOP; the flow goes on with the next bind, relative to the last
// line sent.
func TestContentLength(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(overHTTP, "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0")
		<-c.end
		w.ok(c.id(), add(1, "RAW", "i", "a b", ""))
		var got []string
		n := 0
		for range 6 {
			c := w.bind(overHTTP, "LS_session="+c.id()+"&LS_content_length=10")
			for more := true; more; {
				select {
				case end := <-c.end:
					if more = false; end.Reason != Looped {
						t.Fatalf("end %+v", end)
					}
				default:
					w.send("i", fmt.Sprintf("a=%d b=x", n))
					n++
					synctest.Wait()
				}
			}
			if size := c.text.Len(); size > 1000 || size < 900 {
				t.Errorf("%d bytes on the connection, the least length is 1000", size)
			}
			got = append(got, data(c.take())...)
		}
		for i, l := range got[2:] {
			want := fmt.Sprintf("U,1,1,%d|", i)
			if i == 0 {
				want = "U,1,1,0|x"
			}
			if l != want {
				t.Fatalf("line %d is %q, want %q", i, l, want)
			}
		}
		if len(got)-2 < n-1 {
			t.Errorf("%d of %d updates came", len(got)-2, n)
		}
	})
}

// TestLongLine: a single line longer than the content length still gets through.
func TestLongLine(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		c := w.create(ws, "")
		w.ok(c.id(), add(1, "RAW", "i", "a", ""))
		c.take()
		c.cut()
		long := strings.Repeat("x", 40000)
		w.send("i", "a="+long, "a=y")
		c2 := w.bind(overHTTP, "LS_session="+c.id()+"&LS_recovery_from=2&LS_content_length=1000")
		<-c2.end
		expect(t, data(c2.take()), "U,1,1,"+long)
		c3 := w.bind(overHTTP, "LS_session="+c.id()+"&LS_content_length=1000")
		expect(t, data(c3.take()), "U,1,1,y")
	})
}
