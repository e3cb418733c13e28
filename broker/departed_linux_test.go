package broker

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
)

// lateListener accepts a connection for each token.
type lateListener struct {
	net.Listener
	tokens chan struct{}
}

func (l *lateListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		<-l.tokens
	}
	return c, err
}

// A bind that its client has given up before the broker came to it takes nothing away from the one
// that the client has made in its place.
func TestBindsGivenUp(t *testing.T) {
	for name, more := range map[string]string{"plain": "", "recovery": "&LS_recovery_from=0"} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			late := &lateListener{ln, make(chan struct{}, 100)}
			d := startDemo(t, Config{Listener: late})
			t.Cleanup(func() { close(late.tokens) })
			late.tokens <- struct{}{}
			created := post(t, d, "create_session", "", "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0&LS_adapter_set=DEMO")
			session := strings.Split(created, ",")[1]
			if got := post(t, d, "control", "&LS_session="+session, "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_group=raw1&LS_schema=a"); got != "REQOK,1\r\n" {
				t.Fatalf("got %q", got)
			}
			const givenUp = 4
			body := "LS_session=" + session + "&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0"
			for range givenUp {
				conn, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(conn, "POST /lightstreamer/bind_session.txt?LS_protocol=TLCP-2.5.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s",
					len(body+more), body+more)
				conn.Close()
			}
			for range givenUp {
				late.tokens <- struct{}{}
			}
			for d.Stats().Front.RequestsGivenUp < givenUp {
				runtime.Gosched()
			}
			d.data.update(t, "raw1", "a", "1")
			got := post(t, d, "bind_session", "", body)
			for _, want := range []string{"PROG,0\r\n", "SUBOK,1,1,1\r\n", "U,1,1,1\r\n"} {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in %q", want, got)
				}
			}
		})
	}
}
