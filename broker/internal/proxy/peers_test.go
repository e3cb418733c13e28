package proxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// TestProbes: a peer that is no remote does not close the port, of basic and robust proxies, with a
// remote there and without; a thousand of them are a few lines of the log.
func TestProbes(t *testing.T) {
	say := func(text string) func(*remote) {
		return func(r *remote) { r.say("%s", text); r.drainLines() }
	}
	probes := map[string]func(*remote){
		"TCP probe":      func(r *remote) { r.nc.Close(); r.drainLines() },
		"GET /":          say("GET / HTTP/1.1\r\nHost: x\r\n"),
		"wrong password": say("1|RAC|S|user|S|u|S|password|S|wrong|S|enableClosePacket|S|true"),
		"silence":        (*remote).drainLines,
		"huge line":      func(r *remote) { _, _ = r.nc.Write([]byte(strings.Repeat("x", 1<<20))); r.drainLines() },
		"failure":        say("1|RAC|S|user|S|u|S|password|S|p\r\n1|FAL|E|broken"),
	}
	for name, probe := range probes {
		for _, robust := range []bool{false, true} {
			t.Run(fmt.Sprint(name, robust), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					log, text := newLog()
					d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{
						Robust: robust, ConnectionRecovery: -1, Timeout: 10 * time.Hour, Logger: log,
						Auth: true, Credentials: []proxy.Credential{{User: "u", Password: "p"}},
					}})
					for range 1000 {
						probe(connect(t, ln))
					}
					pass(5 * time.Second) // what is being turned down
					if got := d.Stats(); got.Probes != 1000 || got.Connections != 0 || d.Err() != nil {
						t.Fatalf("%+v, %v", got, d.Err())
					}
					if n := strings.Count(text.String(), "\n"); n > 20 && name != "silence" {
						t.Errorf("%d lines are logged", n)
					}
					begin := time.Now()
					r := connect(t, ln)
					r.say("1|RAC|S|user|S|u|S|password|S|p|S|enableClosePacket|S|true")
					r.say("%s", ari.AppendInitReply(nil, strings.SplitN(r.next(), "|", 2)[0], ari.Data, ari.Latest))
					<-d.Ready()
					if took := time.Since(begin); took != 0 {
						t.Errorf("a remote had to wait for %v", took)
					}
				})
			})
		}
	}
}

// drainLines reads until the end of the connection.
func (r *remote) drainLines() {
	for range r.lines {
	}
}

// TestSilentPeers: they hold no place, whether they come from one address or from many, before a
// remote or after one that takes long to initialise.
func TestSilentPeers(t *testing.T) {
	for _, addresses := range []int{1, 4, 1000} {
		t.Run(fmt.Sprint(addresses), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Timeout: 10 * time.Hour}})
				flood := func() {
					for i := range 200 {
						connectFrom(t, ln, fmt.Sprintf("10.0.%d.1:%d", i%addresses, i))
					}
				}
				flood()
				slow := connectFrom(t, ln, "10.9.9.9:1")
				slow.say(rac)
				id := strings.SplitN(slow.next(), "|", 2)[0]
				for range 5 {
					flood()
					pass(time.Second)
				}
				pass(time.Hour)
				flood()
				slow.say("%s", ari.AppendInitReply(nil, id, ari.Data, ari.Latest))
				<-d.Ready()
				d.Subscribe("i", "", &sink{t: t})
				slow.request("SUB|S|i")
			})
		})
	}
}

// TestFirstToInitialise: of remotes that are being initialised at the same time the first to answer
// is taken. The others are told, and so are those that come later.
func TestFirstToInitialise(t *testing.T) {
	const taken = "0|CLOSE|S|reason|S|there+is+a+remote+adapter+already"
	synctest.Test(t, func(t *testing.T) {
		log, text := newLog()
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true, Logger: log}})
		first, second, mute := connect(t, ln), connect(t, ln), connect(t, ln)
		for _, r := range []*remote{first, second} {
			r.say(rac)
		}
		first.next()
		mute.next()
		second.say("%s", ari.AppendInitReply(nil, strings.SplitN(second.next(), "|", 2)[0], ari.Data, ari.Latest))
		first.expect(taken)
		first.gone()
		begin := time.Now()
		mute.gone() // nothing is known of what it understands
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("closed after %v", took)
		}
		for range 1000 {
			r := connect(t, ln)
			r.say(rac)
			r.expect(taken)
			r.gone()
		}
		d.Subscribe("i", "", &sink{t: t})
		second.request("SUB|S|i")
		synctest.Wait()
		if got := d.Stats(); got.Seconds != 1001 || got.Probes != 1 || got.Connections != 1 {
			t.Errorf("%+v", got)
		}
		if n := strings.Count(text.String(), "a second remote adapter was refused"); n < 1 || n > 20 {
			t.Errorf("%d lines are logged", n)
		}
	})
}

// TestPlaceOfAnEndingRemote: the next one is initialised when the last one has been told, and not
// before.
func TestPlaceOfAnEndingRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true}, StatusItem: "state"})
		nc := deaf(t, ln, ari.Data)
		<-d.Ready()
		d.Subscribe("i", "", &sink{t: t})
		state := &sink{t: t}
		d.Subscribe("state", "", state)
		_, _ = nc.Write([]byte("1|FAL|E|x\n")) // and does not read the farewell
		begin := time.Now()
		r := connect(t, ln).init(ari.Data, ari.Latest)
		r.request("SUB|S|i")
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("after %v", took)
		}
		state.expect("snap status=connected, EOS, live status=reconnecting, live status=connected")
	})
}

// TestSilentTLS: who does not get on with the handshake holds up nobody.
func TestSilentTLS(t *testing.T) {
	cert, pool := certificate(t)
	d, err := proxy.StartData(t.Context(), proxy.DataConfig{Config: proxy.Config{Set: "DEMO", TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 20 {
		nc, err := net.Dial("tcp", d.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	nc, err := tls.Dial("tcp", d.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "remote.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	newRemote(t, nc).init(ari.Data, ari.Latest)
	<-d.Ready()
}

// TestPairing: the two connections of a remote find each other by address and user. What else
// connects takes nothing away.
func TestPairing(t *testing.T) {
	const here, there = "10.0.0.1:1", "10.0.0.2:1"
	type stray struct{ at, addr, says string }
	for _, tt := range []struct {
		name   string
		strays []stray
		rac    bool // the remote sends RAC
		auth   bool
	}{
		{"alone", nil, true, false},
		{"alone, without RAC", nil, false, false},
		{"a probe at the other port", []stray{{"notify", here, ""}}, true, false},
		{"a probe at the first port", []stray{{"main", here, ""}}, true, false},
		{"probes, without RAC", []stray{{"notify", here, ""}, {"main", here, ""}}, false, false},
		{"another's connection", []stray{{"notify", there, racNotify}, {"main", there, rac}}, true, false},
		{"another user's", []stray{{"notify", here, "1|RAC|S|user|S|v|S|password|S|q"}}, true, true},
		{"a probe where credentials are checked", []stray{{"notify", here, ""}, {"main", here, ""}}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := proxy.Config{Robust: true, Auth: tt.auth, Timeout: 10 * time.Hour}
				if tt.auth {
					cfg.Credentials = []proxy.Credential{{User: "u", Password: "p"}, {User: "v", Password: "q"}}
				}
				d, main, notify := twoPorts(t, proxy.DataConfig{Config: cfg})
				ports := map[string]*memListener{"main": main, "notify": notify}
				for _, s := range tt.strays {
					if r := connectFrom(t, ports[s.at], s.addr); s.says != "" {
						r.say("%s", s.says)
					}
				}
				pass(3 * time.Second)
				m, n := connectFrom(t, main, here), connectFrom(t, notify, here)
				if tt.rac {
					n.say("5|RAC|S|user|S|u|S|password|S|p")
					m.say("1|RAC|S|user|S|u|S|password|S|p")
				}
				m.say("%s", ari.AppendInitReply(nil, strings.SplitN(m.next(), "|", 2)[0], ari.Data, ari.V183))
				<-d.Ready()
				s := &sink{t: t}
				d.Subscribe("i", "", s)
				id := m.request("SUB|S|i")
				n.say("1|UD3|S|i|S|%s|B|0|S|f|S|v", id)
				s.expect("live f=v")
			})
		})
	}
}

// stopped is a connection of a process that is stopped from a moment on: reads and deadlines are
// found out about when it goes on, and a deadline that has passed is noticed before what has come.
type stopped struct {
	net.Conn
	from, to time.Time
	deadline time.Time
}

func (c *stopped) SetReadDeadline(at time.Time) error {
	c.deadline = at
	return c.Conn.SetReadDeadline(at)
}

func (c *stopped) Read(b []byte) (int, error) {
	late := c.deadline.After(c.from) && c.deadline.Before(c.to)
	n, err := c.Conn.Read(b)
	if late && n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		pass(time.Until(c.to))
	}
	return n, err
}

// TestStoppedProcess: silence is not judged by a process that was itself stopped before it has read
// what is there.
func TestStoppedProcess(t *testing.T) {
	for _, alive := range []bool{true, false} {
		t.Run(fmt.Sprint(alive), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				ours, theirs := net.Pipe()
				once := make(chan net.Conn, 1)
				once <- &stopped{Conn: theirs, from: begin, to: begin.Add(15 * time.Second)}
				cfg := proxy.Config{Robust: true, KeepaliveTimeout: 5 * time.Second, RemoteAddr: "remote:1"}
				cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					select {
					case nc := <-once:
						return nc, nil
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				}
				d, _ := startData(t, proxy.DataConfig{Config: cfg})
				r := newRemote(t, ours).init(ari.Data, ari.Latest)
				<-d.Ready()
				if alive {
					pass(15 * time.Second)
					for range 5 { // a pipe holds no data: they are what has waited
						r.say(ari.KeepaliveLine)
						pass(4 * time.Second)
					}
					r.silent()
					return
				}
				r.expect("0|CLOSE|S|reason|S|keepalive+timeout")
				if took := time.Since(begin); took < 15*time.Second || took > 18*time.Second {
					t.Errorf("closed after %v", took)
				}
			})
		})
	}
}
