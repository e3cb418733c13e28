package proxy_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

const racNotify = "1671795470123|RAC|S|enableClosePacket|S|true"

// twoPorts starts a data proxy whose remotes have two connections.
func twoPorts(t *testing.T, cfg proxy.DataConfig) (d *proxy.Data, main, notify *memListener) {
	t.Helper()
	notify = newMemListener()
	cfg.NotifyListener = notify
	d, main = startData(t, cfg)
	return d, main, notify
}

// pairUp connects a remote of ARI 1.8.3 to both ports, and initialises it.
func pairUp(t *testing.T, main, notify *memListener) (m, n *remote) {
	t.Helper()
	m, n = connect(t, main), connect(t, notify)
	n.say(racNotify)
	m.init(ari.Data, ari.V183)
	synctest.Wait()
	return m, n
}

func TestTwoConnections(t *testing.T) {
	for _, order := range []string{"main first", "notify first"} {
		t.Run(order, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, main, notify := twoPorts(t, proxy.DataConfig{Config: proxy.Config{Robust: true}})
				s := &sink{t: t}
				d.Subscribe("a b", "", s)
				s.expect("EOS") // there is no remote
				var m, n *remote
				if order == "main first" {
					m = connect(t, main)
					m.silent() // half a remote is not asked to initialise
					n = connect(t, notify)
				} else {
					n = connect(t, notify)
					n.silent()
					m = connect(t, main)
				}
				m.init(ari.Data, ari.V183)
				n.say(racNotify) // nothing orders the connections: after the init reply is good, too
				id := m.request("SUB|S|a+b")
				n.say("12|UD3|S|a+b|S|%s|B|0|S|f+1|S|v%%7C1|S|f2|Y|Y2Fm6Q==", id)
				s.expect("live f 1=v|1 f2=café")
				m.say("%s|SUB|V", id)
				n.say("13|CLS|S|a+b|S|%s", id)
				s.expect("CLS")
				d.Unsubscribe("a b")
				m.request("USB|S|a+b")
				n.silent()
				d.Close()
				m.expect("0|CLOSE|S|reason|S|the+server+is+shutting+down")
				m.gone()
				n.gone()
			})
		})
	}
}

// Each port takes one; of a pair, the loss of either is the loss of both, and another pair may come.
func TestPairs(t *testing.T) {
	for _, lost := range []string{"main", "notify"} {
		t.Run(lost, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, main, notify := twoPorts(t, proxy.DataConfig{Config: proxy.Config{Robust: true}, StatusItem: "state"})
				state := &sink{t: t}
				d.Subscribe("state", "", state)
				state.expect("snap status=connecting, EOS")
				m, n := pairUp(t, main, notify)
				state.expect("live status=connected")
				connect(t, main).gone()
				connect(t, notify).gone()
				s := &sink{t: t}
				d.Subscribe("i", "", s)
				first := m.request("SUB|S|i")
				if lost == "main" {
					m.nc.Close()
				} else {
					n.nc.Close()
					m.expect("0|CLOSE|S|reason|S|the+connection+for+notifications+was+lost")
				}
				m.gone()
				n.gone()
				state.expect("live status=reconnecting")
				m, n = pairUp(t, main, notify)
				second := m.request("SUB|S|i")
				n.say("1|UD3|S|i|S|%s|B|0|S|f|S|old", first)
				n.say("1|UD3|S|i|S|%s|B|0|S|f|S|new", second)
				s.expect("LOST, live f=new")
				if got := d.Stats(); got.Connections != 2 || got.Refused != 2 || got.Ignored != 1 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestNoMate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, main, notify := twoPorts(t, proxy.DataConfig{Config: proxy.Config{Robust: true, Timeout: 10 * time.Hour}})
		begin := time.Now()
		n := connect(t, notify)
		n.say(racNotify)
		n.gone() // alone it is dropped, and is no attempt of a remote
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("dropped after %v", took)
		}
		n = connect(t, notify)
		n.nc.Close() // its end is noticed: the next one gets the place
		synctest.Wait()
		m, n := pairUp(t, main, notify)
		m.nc.Close()
		n.gone()

		m = connect(t, main)
		m.say(rac)
		m.expect("0|CLOSE|S|reason|S|the+connection+for+notifications%2C+or+credentials%2C+did+not+come+in+time")
		m.gone()
		synctest.Wait()
		m, _ = pairUp(t, main, notify) // ConnectionRecovery is 0
		m.silent()
		d.Close()
		n = connectRefused(t, notify)
		if n != nil {
			t.Error("the port for notifications is open after Close")
		}
	})
}

// connectRefused dials, and returns nil if nobody listens.
func connectRefused(t *testing.T, ln *memListener) *remote {
	nc, err := ln.dial()
	if err != nil {
		return nil
	}
	return newRemote(t, nc)
}

// A basic proxy takes one pair in its life.
func TestBasicPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, main, notify := twoPorts(t, proxy.DataConfig{})
		_, n := pairUp(t, main, notify)
		if connectRefused(t, main) != nil || connectRefused(t, notify) != nil {
			t.Error("a basic proxy listens with its remote there")
		}
		n.nc.Close()
		<-d.Done()
		if !errors.Is(d.Err(), proxy.ErrLost) || !strings.Contains(d.Err().Error(), "on the connection for notifications") {
			t.Errorf("Err = %v", d.Err())
		}
	})
}

// Credentials are checked on both connections.
func TestCredentialsOnBoth(t *testing.T) {
	const (
		good = "|RAC|S|user|S|u|S|password|S|secret|S|enableClosePacket|S|true"
		bad  = "|RAC|S|user|S|u|S|password|S|secret2|S|enableClosePacket|S|true"
		none = "|RAC|S|enableClosePacket|S|true"
	)
	for _, tt := range []struct{ name, main, notify string }{
		{"both good", good, good}, {"main bad", bad, good}, {"notify bad", good, bad}, {"notify without", good, none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, text := newLog()
				d, main, notify := twoPorts(t, proxy.DataConfig{Config: proxy.Config{Auth: true, Logger: log, Robust: true, ConnectionRecovery: -1,
					Credentials: []proxy.Credential{{User: "u", Password: "secret"}}}})
				m, n := connect(t, main), connect(t, notify)
				m.say("1%s", tt.main)
				if tt.main == good {
					m.silent() // half of it is not enough
				} else {
					m.expect("0|CLOSE|S|reason|S|wrong+user+or+password")
					m.gone()
					m = connect(t, main) // the other connection still waits for its own
					m.say("1%s", good)
				}
				n.say("1671795470123%s", tt.notify)
				if tt.notify != good {
					n.gone()
					m.silent() // for the same reason
					n = connect(t, notify)
					n.say("1671795470123%s", good)
				}
				if line := m.next(); !strings.Contains(line, "|DPI|") {
					t.Errorf("the proxy says %q", line)
				}
				if strings.Contains(text.String(), "secret") || d.Err() != nil {
					t.Errorf("a password is in the log, or %v:\n%s", d.Err(), text)
				}
			})
		})
	}
}

// A connection whose credentials are refused before there is a pair leaves its place.
func TestCredentialsBeforePair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, main, notify := twoPorts(t, proxy.DataConfig{Config: proxy.Config{Auth: true, Robust: true,
			Credentials: []proxy.Credential{{User: "u", Password: "p"}}}})
		n := connect(t, notify)
		n.say(racNotify)
		n.gone()
		m, n := connect(t, main), connect(t, notify)
		m.say("1|RAC|S|user|S|u|S|password|S|p")
		n.say("5|RAC|S|user|S|u|S|password|S|p")
		if line := m.next(); !strings.Contains(line, "|DPI|") {
			t.Errorf("the proxy says %q", line)
		}
	})
}

// Each connection has to show that it lives.
func TestKeepalivesOnBoth(t *testing.T) {
	for _, mute := range []string{"main", "notify", "neither"} {
		t.Run(mute, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, main, notify := twoPorts(t, proxy.DataConfig{Config: proxy.Config{KeepaliveTimeout: 3 * time.Second}})
				m, n := pairUp(t, main, notify)
				for range 10 {
					pass(time.Second)
					if mute != "main" {
						_, _ = m.nc.Write([]byte("KEEPALIVE\r\n")) // the end may come before
					}
					if mute != "notify" {
						_, _ = n.nc.Write([]byte("KEEPALIVE\r\n"))
					}
				}
				if mute == "neither" {
					m.silent()
					n.silent()
					return
				}
				m.expect("0|CLOSE|S|reason|S|keepalive+timeout")
				m.gone()
				n.gone()
			})
		})
	}
}

// TestNotifyErrors has what must not come on the connection for notifications.
func TestNotifyErrors(t *testing.T) {
	for _, tt := range []struct{ name, before, after, reason string }{
		{"line before the init reply", "1|UD3|S|i|S|1|B|0", "", "protocol+error%3A+line+before+the+init+reply"},
		{"malformed", "what", "", "protocol+error%3A+malformed+line+before+the+init+reply"},
		{"malformed RAC", "1|RAC|S|x", "", "protocol+error%3A+malformed+RAC"},
		{"failure before init", "1|FAL|E|broken", "", "the+adapter+has+failed"},
		{"RAC twice", "", racNotify + "\r\n" + racNotify, "protocol+error%3A+RAC+is+not+the+first+line"},
		{"failure", "", "1|FAL|E|broken", "the+adapter+has+failed"},
		{"long line", "", strings.Repeat("x", 2000), "line+too+long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, main, notify := twoPorts(t, proxy.DataConfig{Config: proxy.Config{MaxLine: 1000}})
				m, n := connect(t, main), connect(t, notify)
				if tt.before != "" {
					m.say(rac)
					m.next()
					synctest.Wait()
					n.say("%s", tt.before)
				} else {
					m.init(ari.Data, ari.V183)
					synctest.Wait()
					n.say("%s", tt.after)
				}
				m.expect("0|CLOSE|S|reason|S|" + tt.reason)
				m.gone()
				n.gone()
				if tt.before != "" {
					pairUp(t, main, notify) // which was no remote
					return
				}
				<-d.Done()
				if d.Err() == nil {
					t.Error("no error")
				}
			})
		})
	}
}

// What does not belong on the connection for notifications is ignored and counted.
func TestNotifyNoise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, main, notify := twoPorts(t, proxy.DataConfig{})
		m, n := pairUp(t, main, notify)
		n.say("garbage\r\n\r\nKEEPALIVE\r\n1|SUB|V\r\n1|DFD|S|i|S|1\r\n1|XYZ|V")
		m.silent()
		n.silent()
		if got := d.Stats().Malformed; got != 4 {
			t.Errorf("%d lines counted, want 4", got)
		}
	})
}

func TestTwoPortsOfTCP(t *testing.T) {
	d, err := proxy.StartData(t.Context(), proxy.DataConfig{Config: proxy.Config{Set: "DEMO", NotifyAddr: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var ends []*remote
	for _, at := range []net.Addr{d.Addr(), d.NotifyAddr()} {
		nc, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, newRemote(t, nc))
	}
	ends[0].init(ari.Data, ari.V182)
	<-d.Ready()
	d.Close()
	ends[0].gone()
	ends[1].gone()
}
