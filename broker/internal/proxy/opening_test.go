package proxy_test

import (
	"crypto/tls"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

func TestInitRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := proxy.Config{ServerInstanceID: "SRV", ProxyInstanceID: "PRX"}
		robust := base
		robust.Robust = true
		robust.KeepaliveTimeout = 10 * time.Second
		robust.RemoteParams = []provider.Field{{Name: "remote:a b", Value: provider.T("c+d|e%f")}}
		short := base
		short.KeepaliveTimeout = 3 * time.Second
		asked := base
		asked.KeepaliveTimeout, asked.KeepaliveHint = 10*time.Second, 700*time.Millisecond
		none := base
		none.KeepaliveTimeout, none.KeepaliveHint = 10*time.Second, -1
		for name, tt := range map[string]struct {
			cfg  proxy.Config
			want string
		}{
			"basic":  {base, "DPI|S|ARI.version|S|1.9.1|S|adapters_conf.id|S|DEMO|S|data_provider.name|S|QUOTES|S|server.instance_id|S|SRV"},
			"robust": {robust, "DPI|S|ARI.version|S|1.9.1|S|keepalive_hint.millis|S|8000|S|adapters_conf.id|S|DEMO|S|data_provider.name|S|QUOTES|S|server.instance_id|S|SRV|S|proxy.instance_id|S|PRX|S|remote%3Aa+b|S|c%2Bd%7Ce%25f"},
			"short":  {short, "DPI|S|ARI.version|S|1.9.1|S|keepalive_hint.millis|S|1500|S|adapters_conf.id|S|DEMO|S|data_provider.name|S|QUOTES|S|server.instance_id|S|SRV"},
			"asked":  {asked, "DPI|S|ARI.version|S|1.9.1|S|keepalive_hint.millis|S|700|S|adapters_conf.id|S|DEMO|S|data_provider.name|S|QUOTES|S|server.instance_id|S|SRV"},
			"none":   {none, "DPI|S|ARI.version|S|1.9.1|S|adapters_conf.id|S|DEMO|S|data_provider.name|S|QUOTES|S|server.instance_id|S|SRV"},
		} {
			d, ln := startData(t, proxy.DataConfig{Config: tt.cfg, DataProvider: "QUOTES"})
			r := connect(t, ln)
			id := r.request(tt.want)
			// Counter and time of the connection, which the bubble's clock fixes.
			if id != "1000000dc6acfac00" {
				t.Errorf("%s: id %s", name, id)
			}
			r.silent()
			d.Close()
		}
		m, ln := startMetadata(t, proxy.MetadataConfig{Config: base})
		connect(t, ln).request("MPI|S|ARI.version|S|1.9.1|S|adapters_conf.id|S|DEMO|S|server.instance_id|S|SRV")
		m.Close()
	})
}

func TestInstanceIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pattern := regexp.MustCompile(`server\.instance_id\|S\|(\w+)\|S\|proxy\.instance_id\|S\|(\w+)$`)
		var server, prox []string
		for range 2 {
			d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true}})
			m := pattern.FindStringSubmatch(connect(t, ln).next())
			if m == nil {
				t.Fatal("ids missing")
			}
			server, prox = append(server, m[1]), append(prox, m[2])
			d.Close()
		}
		if server[0] != server[1] || prox[0] == prox[1] {
			t.Errorf("server ids %v, proxy ids %v", server, prox)
		}
	})
}

// TestVersions has a row for each answer a remote may give.
func TestVersions(t *testing.T) {
	tests := []struct {
		answer string // what follows the id
		sub    string // the SUB of item "a b", "" if the remote is refused
		close  bool   // CLOSE is sent at the end
	}{
		{"DPI|V", "SUB|S|a+b", false},
		{"DPI|S|ARI.version|S|1.8.2", "SUB|S|a+b", false},
		{"DPI|S|ARI.version|S|1.8.3", "SUB|S|a+b", true},
		{"DPI|S|ARI.version|S|1.9.0", "SUB|S|a b", true},
		{"DPI|S|ARI.version|S|1.9.1", "SUB|S|a b", true},
		{"DPI|S|x|S|y|S|ARI.version|S|1.9.1", "SUB|S|a b", true},
		{"DPI|S|ARI.version|S|1.8.0", "", true},
		{"DPI|S|ARI.version|S|1.8.1", "", true},
		{"DPI|S|ARI.version|S|1.9.2", "", true},
		{"DPI|S|ARI.version|S|2.0.0", "", true},
		{"DPI|S|other|S|1.9.1", "", true},
		{"DPI|S|ARI.version|S|#", "", true},
		{"DPI|ED|cannot+start%3A+100%25", "", true},
		{"DPI|E|Unsupported+Proxy+Adapter+version", "", true},
		{"DPI|B|1", "", true},
		{"DPI|S", "", true},
		{"MPI|S|ARI.version|S|1.9.1", "", true},
		{"FAL|E|broken", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.answer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, ln := startData(t, proxy.DataConfig{})
				d.Subscribe("a b", "", &sink{t: t})
				r := connect(t, ln)
				r.say(rac)
				id := strings.SplitN(r.next(), "|", 2)[0]
				r.say("%s|%s", id, tt.answer)
				if tt.sub == "" {
					if line := r.next(); !strings.HasPrefix(line, "0|CLOSE|S|reason|S|") {
						t.Errorf("the proxy says %q, want CLOSE", line)
					}
					r.gone()
					synctest.Wait()
					if got := d.Stats(); d.Err() != nil || got.Probes != 1 || got.LastRefusal == "" && !strings.HasPrefix(tt.answer, "MPI") {
						t.Errorf("Err = %v, %+v", d.Err(), got)
					}
					connectData(t, ln).request("SUB|S|a b")
					return
				}
				r.request(tt.sub)
				<-d.Ready()
				d.Close()
				if tt.close {
					r.expect("0|CLOSE|S|reason|S|the+server+is+shutting+down")
				}
				r.gone()
				if d.Err() != nil {
					t.Errorf("Err = %v", d.Err())
				}
			})
		})
	}
}

func TestNoCloseUnlessAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{})
		r := connect(t, ln) // no RAC: legal where no credentials are checked
		id := strings.SplitN(r.next(), "|", 2)[0]
		r.say("%s|DPI|E|no", id)
		r.gone()
		connectData(t, ln)
		<-d.Ready()
	})
}

func TestCredentials(t *testing.T) {
	const accept, refuse = "accept", "refuse"
	tests := []struct{ name, first, want string }{
		{"good", "1|RAC|S|user|S|user1|S|password|S|secret|S|enableClosePacket|S|true", accept},
		{"second", "1|RAC|S|password|S|$|S|user|S|user2|S|enableClosePacket|S|true", accept},
		{"without CLOSE", "1|RAC|S|user|S|user1|S|password|S|secret", accept},
		{"wrong password", "1|RAC|S|user|S|user1|S|password|S|Secret|S|enableClosePacket|S|true", refuse},
		{"password of another", "1|RAC|S|user|S|user1|S|password|S|$|S|enableClosePacket|S|true", refuse},
		{"unknown user", "1|RAC|S|user|S|user3|S|password|S|secret|S|enableClosePacket|S|true", refuse},
		{"half", "1|RAC|S|user|S|user2|S|enableClosePacket|S|true", refuse},
		{"null", "1|RAC|S|user|S|user2|S|password|S|#|S|enableClosePacket|S|true", refuse},
		{"none", rac, refuse},
		{"none, no CLOSE", "1|RAC|S|SDK|S|old", "cut"},
		{"no RAC", "1|SUB|V", "cut"},
		{"keepalive first", "KEEPALIVE\r\n1|RAC|S|user|S|user1|S|password|S|secret", accept},
		{"malformed", "1|RAC|S|user", "cut"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, text := newLog()
				m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{Auth: true, Logger: log,
					Credentials: []proxy.Credential{{User: "user1", Password: "secret"}, {User: "user2", Password: ""}}}})
				r := connect(t, ln)
				r.silent() // the init request waits for credentials
				r.say("%s", tt.first)
				switch tt.want {
				case accept:
					if line := r.next(); !strings.Contains(line, "|MPI|") {
						t.Errorf("the proxy says %q", line)
					}
					return
				case refuse:
					r.expect("0|CLOSE|S|reason|S|wrong+user+or+password")
				}
				r.gone()
				synctest.Wait()
				if got := m.Stats(); got.Probes != 1 || m.Err() != nil {
					t.Errorf("%+v, %v", got, m.Err())
				}
				r = connect(t, ln)
				r.say("1|RAC|S|user|S|user1|S|password|S|secret")
				if line := r.next(); !strings.Contains(line, "|MPI|") {
					t.Errorf("the proxy says %q to the next one", line)
				}
				if strings.Contains(strings.ToLower(text.String()), "secret") {
					t.Errorf("a password is in the log:\n%s", text)
				}
			})
		})
	}
}

func TestCredentialsDoNotShow(t *testing.T) {
	c := proxy.Credential{User: "u", Password: "hunter2"}
	if s := c.String() + c.GoString(); strings.Contains(s, "hunter2") {
		t.Error(s)
	}
}

// TestOpeningErrors has what must not come before the init reply.
func TestOpeningErrors(t *testing.T) {
	tests := []struct{ name, said string }{
		{"RAC twice", rac + "\r\n" + rac},
		{"other line", rac + "\r\n5|SUB|V"},
		{"notification", rac + "\r\n5|UD3|S|i|S|1|B|0"},
		{"unknown method", rac + "\r\n5|XYZ|V"},
		{"not ARI", rac + "\r\nGET / HTTP/1.1"},
		{"failure", rac + "\r\n123|FAL|E|broken"},
		{"wrong id", rac + "\r\nx|DPI|V"},
		{"malformed RAC after", rac + "\r\n1|RAC|X"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, ln := startData(t, proxy.DataConfig{})
				r := connect(t, ln)
				r.next()
				r.say("%s", tt.said)
				if line := r.next(); !strings.HasPrefix(line, "0|CLOSE|S|reason|S|") {
					t.Errorf("the proxy says %q, want CLOSE", line)
				}
				r.gone()
				connectData(t, ln)
				<-d.Ready()
			})
		})
	}
}

func TestRACAfterInit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{})
		r := connectData(t, ln)
		r.say(rac)
		r.expect("0|CLOSE|S|reason|S|protocol+error%3A+RAC+is+not+the+first+line")
		r.gone()
		<-d.Done()
		if !errors.Is(d.Err(), proxy.ErrLost) {
			t.Errorf("Err = %v", d.Err())
		}
	})
}

// TestKeepalivesBeforeInit: they may come at any time after RAC, and empty lines are nothing.
func TestKeepalivesBeforeInit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{})
		r := connect(t, ln)
		r.say(rac + "\r\nKEEPALIVE\n\n\r\nKEEPALIVE")
		id := strings.SplitN(r.next(), "|", 2)[0]
		r.say("%s", ari.AppendInitReply(nil, id, ari.Data, ari.V191))
		<-d.Ready()
		r.silent()
	})
}

// TestOpeningTime has how long a peer may take over what comes before requests.
func TestOpeningTime(t *testing.T) {
	auth := proxy.Config{Timeout: 10 * time.Hour, Auth: true, Credentials: []proxy.Credential{{User: "u"}}}
	tls := proxy.Config{Timeout: -1, TLS: &tls.Config{}}
	for _, tt := range []struct {
		name string
		cfg  proxy.Config
		said string // each second
		want time.Duration
	}{
		{"silence", proxy.Config{Timeout: 10 * time.Hour}, "", 10 * time.Second},
		{"silence, no time-out", proxy.Config{Timeout: -1}, "", 10 * time.Second},
		{"a byte now and then", proxy.Config{Timeout: 10 * time.Hour}, "1", 10 * time.Second},
		{"no credentials", auth, "", 10 * time.Second},
		{"keepalives in place of credentials", auth, "KEEPALIVE\r\n", 10 * time.Second},
		{"no TLS", tls, "", 10 * time.Second},
		{"a slow initialisation", proxy.Config{Timeout: time.Minute}, "KEEPALIVE\r\n", time.Minute},
		{"silence, short time-out", proxy.Config{Timeout: 3 * time.Second}, "", 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, ln := startData(t, proxy.DataConfig{Config: tt.cfg})
				begin := time.Now()
				r := connect(t, ln)
				over := make(chan struct{})
				go func() {
					defer close(over)
					for range r.lines { // until the end of the connection
					}
				}()
				for tick := time.NewTicker(time.Second); ; {
					select {
					case <-over:
						if took := time.Since(begin); took != tt.want || d.Err() != nil {
							t.Errorf("ended after %v, %v", took, d.Err())
						}
						return
					case <-tick.C:
						_ = r.nc.SetWriteDeadline(time.Now().Add(time.Millisecond))
						_, _ = r.nc.Write([]byte(tt.said))
					}
				}
			})
		})
	}
	t.Run("none", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Timeout: -1}})
			r := connect(t, ln)
			r.say(rac)
			id := strings.SplitN(r.next(), "|", 2)[0]
			pass(time.Hour)
			r.say("%s", ari.AppendInitReply(nil, id, ari.Data, ari.V191))
			<-d.Ready()
		})
	})
}

func TestStartErrors(t *testing.T) {
	for name, cfg := range map[string]proxy.DataConfig{
		"no set":          {},
		"notify address":  {Config: proxy.Config{Set: "S", NotifyAddr: "nowhere"}},
		"notify, dialing": {Config: proxy.Config{Set: "S", NotifyAddr: "127.0.0.1:0", RemoteAddr: "127.0.0.1:1"}},
		"no credentials":  {Config: proxy.Config{Set: "S", Auth: true}},
		"address":         {Config: proxy.Config{Set: "S", Addr: "nowhere"}},
		"remote address":  {Config: proxy.Config{Set: "S", RemoteAddr: "nowhere"}},
	} {
		if d, err := proxy.StartData(t.Context(), cfg); err == nil || !strings.HasPrefix(err.Error(), "proxy") {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
	for name, cfg := range map[string]proxy.MetadataConfig{
		"positive code": {Config: proxy.Config{Set: "S"}, DisconnectionCode: 1},
		"notify port":   {Config: proxy.Config{Set: "S", NotifyAddr: "127.0.0.1:0"}},
	} {
		if m, err := proxy.StartMetadata(t.Context(), cfg); err == nil {
			t.Error(name, "accepted:", m)
		}
	}
}
