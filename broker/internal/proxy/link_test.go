package proxy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// TestOneRemoteAtATime: while there is one, others are turned down; after it is lost, the next is taken.
func TestOneRemoteAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := newLog()
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true, Logger: log}})
		r := connectData(t, ln)
		connect(t, ln).gone()
		connect(t, ln).gone()
		synctest.Wait()
		if !strings.Contains(text.String(), "there is a remote adapter already") || d.Stats().Refused != 2 {
			t.Errorf("%+v\n%s", d.Stats(), text)
		}
		d.Subscribe("i", "", &sink{t: t})
		r.request("SUB|S|i") // the first is not disturbed
		r.nc.Close()
		synctest.Wait()
		connectData(t, ln).request("SUB|S|i")
	})
}

// TestFailedAttempts: a remote that refuses to initialise has failed, and not the proxy: its port
// stays, and the reason is told.
func TestFailedAttempts(t *testing.T) {
	for _, cfg := range []proxy.Config{
		{}, {Robust: true}, {Robust: true, ConnectionRecovery: -1}, {Robust: true, ConnectionRecovery: time.Minute},
	} {
		t.Run(fmt.Sprint(cfg.Robust, cfg.ConnectionRecovery), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, text := newLog()
				cfg.Logger = log
				d, ln := startData(t, proxy.DataConfig{Config: cfg})
				begin := time.Now()
				for range 100 {
					r := connect(t, ln)
					r.say(rac)
					id, _, _ := strings.Cut(r.next(), "|")
					r.say("%s|DPI|ED|no database", id)
					r.expect("0|CLOSE|S|reason|S|initialisation+failed")
					r.gone()
					synctest.Wait()
				}
				if got := d.Stats(); got.Probes != 100 || got.Refused != 100 || got.Connections != 0 || !strings.Contains(got.LastRefusal, "no database") {
					t.Errorf("%+v", got)
				}
				if n := strings.Count(text.String(), "level=ERROR"); n < 1 || n > 20 || !strings.Contains(text.String(), "no database") {
					t.Errorf("%d errors are logged:\n%s", n, text)
				}
				connectData(t, ln)
				<-d.Ready()
				if time.Since(begin) != 0 || d.Err() != nil {
					t.Errorf("ready after %v, %v", time.Since(begin), d.Err())
				}
			})
		})
	}
}

func TestWaitReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		robust, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true}})
		begin := time.Now()
		if err := robust.WaitReady(t.Context(), 0); err != nil || time.Since(begin) != 0 {
			t.Errorf("no wait: %v after %v", err, time.Since(begin))
		}
		if err := robust.WaitReady(t.Context(), time.Minute); err != nil || time.Since(begin) != time.Minute {
			t.Errorf("a minute: %v after %v", err, time.Since(begin))
		}
		if err := robust.WaitReady(cancelled(t), -1); !errors.Is(err, errStop) {
			t.Errorf("cancelled: %v", err)
		}
		waiting := background(func() error { return robust.WaitReady(t.Context(), -1) })
		pass(time.Hour)
		connectData(t, ln)
		if err := <-waiting; err != nil {
			t.Error(err)
		}

		basic, _ := startData(t, proxy.DataConfig{})
		waiting = background(func() error { return basic.WaitReady(t.Context(), 0) })
		pass(time.Hour)
		select {
		case err := <-waiting:
			t.Errorf("a basic proxy waits without limit; got %v", err)
		default:
		}
		basic.Close()
		if err := <-waiting; !errors.Is(err, proxy.ErrClosed) {
			t.Error(err)
		}
	})
}

// TestEndOfContext: the proxy lives as long as the context of its start.
func TestEndOfContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ln := newMemListener()
		m, err := proxy.StartMetadata(ctx, proxy.MetadataConfig{Config: proxy.Config{Set: "DEMO", Listener: ln, Robust: true}})
		if err != nil {
			t.Fatal(err)
		}
		r := connectMetadata(t, ln)
		waiting := background(func() error { _, err := m.NotifyUser(t.Context(), provider.User{}); return err })
		r.next()
		cancel()
		asError(t, <-waiting, provider.Unavailable)
		r.expect("0|CLOSE|S|reason|S|the+server+is+shutting+down")
		r.gone()
		<-m.Done()
		_, err = m.NotifyUser(t.Context(), provider.User{})
		asError(t, err, provider.Unavailable)
		m.Close()
		m.Close()
	})
}

// TestCloseWithStuckRemote: one that does not read holds up Close for the second it may take to read the farewell.
func TestCloseWithStuckRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{})
		nc, err := ln.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		buf := make([]byte, 1000)
		n, _ := nc.Read(buf)
		id, _, _ := strings.Cut(string(buf[:n]), "|")
		_, _ = nc.Write(append(ari.AppendInitReply(nil, id, ari.Data, ari.V191), '\n'))
		<-d.Ready()
		d.Subscribe("i", "", &sink{t: t}) // never read
		synctest.Wait()
		begin := time.Now()
		d.Close()
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

// TestDialing: with RemoteAddr the proxy is the one that connects.
func TestDialing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var dials []time.Duration
		begin := time.Now()
		remotes := newMemListener()
		up := make(chan struct{})
		cfg := proxy.Config{Robust: true, RemoteAddr: "remote.example.com:6661", ConnectionRetry: 5 * time.Second}
		cfg.Dial = func(_ context.Context, network, addr string) (net.Conn, error) {
			if network != "tcp" || addr != "remote.example.com:6661" {
				t.Errorf("dials %s %s", network, addr)
			}
			mu.Lock()
			dials = append(dials, time.Since(begin))
			mu.Unlock()
			select {
			case <-up:
				return remotes.dial()
			default:
				return nil, errors.New("connection refused")
			}
		}
		d, _ := startData(t, proxy.DataConfig{Config: cfg})
		if d.Addr() != nil {
			t.Error("it listens")
		}
		pass(11 * time.Second)
		synctest.Wait()
		mu.Lock()
		if len(dials) != 3 || dials[2] != 10*time.Second {
			t.Errorf("dials at %v", dials)
		}
		mu.Unlock()
		close(up)
		accept := func() *remote {
			nc, err := remotes.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return newRemote(t, nc).init(ari.Data, ari.Latest)
		}
		r := accept()
		<-d.Ready()
		d.Subscribe("i", "", &sink{t: t})
		r.request("SUB|S|i")
		pass(time.Hour)
		at := time.Since(begin)
		r.nc.Close()
		accept().request("SUB|S|i")
		if again := time.Since(begin) - at; again != 0 {
			t.Errorf("dialed again after %v", again)
		}
	})
}

func TestWhitelist(t *testing.T) {
	for _, tt := range []struct {
		list []string
		want bool
	}{{nil, true}, {[]string{"10.1.2.3", "127.0.0.1"}, true}, {[]string{"localhost"}, true}, {[]string{"10.1.2.3"}, false}, {[]string{}, false}} {
		d, err := proxy.StartData(t.Context(), proxy.DataConfig{Config: proxy.Config{Set: "DEMO", Whitelist: tt.list}})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("tcp", d.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		n, _ := nc.Read(make([]byte, 100))
		if (n > 0) != tt.want {
			t.Errorf("whitelist %v admits: %v", tt.list, n > 0)
		}
		nc.Close()
		d.Close()
	}
	synctest.Test(t, func(t *testing.T) {
		_, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Whitelist: []string{"127.0.0.1"}}})
		connect(t, ln).gone() // an address that is none cannot be in the list
	})
}

// certificate makes a certificate for remote.example.com, and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"remote.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	d, err := proxy.StartData(t.Context(), proxy.DataConfig{Config: proxy.Config{Set: "DEMO", TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	plain, err := net.Dial("tcp", d.Addr().String()) // no attempt of a remote: the proxy goes on
	if err != nil {
		t.Fatal(err)
	}
	_, _ = plain.Write([]byte(rac + "\r\n"))
	_, _ = plain.Read(make([]byte, 1))
	plain.Close()
	nc, err := tls.Dial("tcp", d.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "remote.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRemote(t, nc).init(ari.Data, ari.Latest)
	<-d.Ready()
	d.Subscribe("i", "", &sink{t: t})
	r.request("SUB|S|i")
	d.Close()
	r.expect("0|CLOSE|S|reason|S|the+server+is+shutting+down")
	r.gone()
}

func TestTLSDialing(t *testing.T) {
	cert, pool := certificate(t)
	for _, tt := range []struct {
		host string
		cfg  *tls.Config
		good bool
	}{
		{"remote.example.com:1", &tls.Config{RootCAs: pool}, true},
		{"other.example.com:1", &tls.Config{RootCAs: pool}, false},
		{"other.example.com:1", &tls.Config{InsecureSkipVerify: true}, true},
	} {
		ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
		if err != nil {
			t.Fatal(err)
		}
		d, err := proxy.StartData(t.Context(), proxy.DataConfig{Config: proxy.Config{Set: "DEMO", RemoteAddr: tt.host, TLS: tt.cfg,
			Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, ln.Addr().String())
			}}})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		herr := nc.(*tls.Conn).HandshakeContext(t.Context())
		n := 0
		if herr == nil {
			n, _ = nc.Read(make([]byte, 10)) // the init request, or the alert of a refusal
		}
		if (n > 0) != tt.good {
			t.Errorf("%s: read %d bytes after %v", tt.host, n, herr)
		}
		nc.Close()
		d.Close()
		ln.Close()
	}
}
