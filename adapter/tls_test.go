package adapter_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = a.sign(template, nil, nil)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) issue(name string, lifetime time.Duration) tls.Certificate {
	cert, key := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lifetime),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func TestTLS(t *testing.T) {
	ca, otherCA := newAuthority(t), newAuthority(t)
	for _, tt := range []struct {
		name   string
		proxy  *tls.Config
		client *tls.Config
		want   string // error of the attempt; empty: it works
	}{
		{
			name:   "trusted authority, server name given",
			proxy:  &tls.Config{Certificates: []tls.Certificate{ca.issue("proxy.example.com", time.Hour)}},
			client: &tls.Config{RootCAs: ca.pool, ServerName: "proxy.example.com"},
		},
		{
			name:   "server name from the address",
			proxy:  &tls.Config{Certificates: []tls.Certificate{ca.issue("localhost", time.Hour)}},
			client: &tls.Config{RootCAs: ca.pool},
		},
		{
			name: "client certificate demanded and given",
			proxy: &tls.Config{
				Certificates: []tls.Certificate{ca.issue("localhost", time.Hour)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool,
			},
			client: &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{ca.issue("adapter", time.Hour)}},
		},
		{
			name:   "another name",
			proxy:  &tls.Config{Certificates: []tls.Certificate{ca.issue("elsewhere", time.Hour)}},
			client: &tls.Config{RootCAs: ca.pool},
			want:   "elsewhere",
		},
		{
			name:   "unknown authority",
			proxy:  &tls.Config{Certificates: []tls.Certificate{otherCA.issue("localhost", time.Hour)}},
			client: &tls.Config{RootCAs: ca.pool},
			want:   "unknown authority",
		},
		{
			name:   "expired",
			proxy:  &tls.Config{Certificates: []tls.Certificate{ca.issue("localhost", -time.Minute)}},
			client: &tls.Config{RootCAs: ca.pool},
			want:   "expired",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plain, port := listen(t)
			l := tls.NewListener(plain, tt.proxy)
			s := &adapter.DataServer{
				Provider: &provider{}, Addr: net.JoinHostPort("localhost", port), TLS: tt.client, Logger: testLogger(t), Reconnect: adapter.NoReconnect,
			}
			if tt.want != "" {
				go func() {
					if conn, err := l.Accept(); err == nil {
						_ = conn.(*tls.Conn).Handshake()
						_ = conn.Close()
					}
				}()
				err := start(t, s).wait()
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "data server localhost:"+port) {
					t.Errorf("Run returned %v, want an error with the server and %q", err, tt.want)
				}
				return
			}
			start(t, s)
			c := acceptPeer(t, l)
			if rac := c.next(); !strings.HasPrefix(rac, "1|RAC|") {
				t.Errorf("first line is %q", rac)
			}
			c.say("1|DPI|S|ARI.version|S|1.9.1")
			c.expect("1|DPI|S|ARI.version|S|1.9.1")
		})
	}
}

// A certificate that is renewed while the program runs is used at the next connection: the callbacks of tls.Config are kept.
func TestTLSReload(t *testing.T) {
	ca := newAuthority(t)
	old, renewed := ca.issue("adapter-old", time.Hour), ca.issue("adapter-new", time.Hour)
	var current atomic.Pointer[tls.Certificate]
	current.Store(&old)
	plain, port := listen(t)
	l := tls.NewListener(plain, &tls.Config{
		Certificates: []tls.Certificate{ca.issue("localhost", time.Hour)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool,
	})
	start(t, &adapter.DataServer{
		Provider: &provider{}, Addr: net.JoinHostPort("localhost", port), Logger: testLogger(t), Reconnect: &adapter.Backoff{Min: time.Millisecond},
		TLS: &tls.Config{RootCAs: ca.pool, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return current.Load(), nil }},
	})
	for _, want := range []string{"adapter-old", "adapter-new"} {
		c := acceptPeer(t, l)
		c.next()
		if got := c.conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("the adapter presented %q, want %q", got, want)
		}
		current.Store(&renewed)
		c.cut()
	}
}

func TestTLSWhenTheProxyDials(t *testing.T) {
	ca := newAuthority(t)
	l, port := listen(t)
	start(t, &adapter.DataServer{
		Provider: &provider{}, Listener: l, Logger: testLogger(t), TLS: &tls.Config{Certificates: []tls.Certificate{ca.issue("localhost", time.Hour)}},
	})
	// A stranger who speaks no TLS does not stop the server.
	stranger, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = stranger.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	_ = stranger.Close()
	conn, err := tls.Dial("tcp", net.JoinHostPort("localhost", port), &tls.Config{RootCAs: ca.pool})
	if err != nil {
		t.Fatal(err)
	}
	c := newPeer(t, conn)
	c.next()
	c.say("1|DPI|S|ARI.version|S|1.9.1")
	c.expect("1|DPI|S|ARI.version|S|1.9.1")
}

func TestListenerClosedByItsOwner(t *testing.T) {
	l, _ := listen(t)
	r := start(t, &adapter.DataServer{Provider: &provider{}, Listener: l, Logger: testLogger(t)})
	_ = l.Close()
	if err := r.wait(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run returned %v, want net.ErrClosed", err)
	}
}
