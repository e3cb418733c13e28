package deploy

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = a.newKey()
	der := a.sign(a.cert, &a.key.PublicKey)
	a.write("ca.pem", "CERTIFICATE", der)
	a.cert, _ = x509.ParseCertificate(der)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) sign(cert *x509.Certificate, key *ecdsa.PublicKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue writes a certificate of a name and with a serial number, as if it had been changed at that second.
func (a *authority) issue(name string, serial int64) *KeyPair {
	key := a.newKey()
	der := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, &key.PublicKey)
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	pair := &KeyPair{CertFile: a.write(name+".crt", "CERTIFICATE", der), KeyFile: a.write(name+".key", "EC PRIVATE KEY", secret)}
	changed := time.Unix(serial, 0)
	if err := os.Chtimes(pair.CertFile, changed, changed); err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func (a *authority) pool() *x509.CertPool {
	pool, err := Authorities(filepath.Join(a.dir, "ca.pem"))
	if err != nil {
		a.t.Fatal(err)
	}
	return pool
}

// talk takes a connection's first line, RAC, which comes when the handshake has succeeded, and returns the serial number of the other end's certificate.
func talk(t *testing.T, conn *tls.Conn) int64 {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "|RAC|") {
		t.Fatalf("the first line is %q, %v", line, err)
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func provider(context.Context, *adapter.Subscription) error { return nil }

func start(t *testing.T, server adapter.Runner) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestDialing(t *testing.T) {
	a := newAuthority(t)
	proxy, own := a.issue("push.example.com", 10), a.issue("adapter.example.com", 20)
	l, err := tls.Listen("tcp", "127.0.0.1:0", Listening(proxy, a.pool()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start(t, &adapter.DataServer{
		Provider: adapter.DataProviderFunc(provider), Addr: l.Addr().String(), TLS: Dialing("push.example.com", a.pool(), own), Reconnect: &adapter.Backoff{Min: time.Millisecond},
	})
	for _, serial := range []int64{20, 21} {
		a.issue("adapter.example.com", serial) // the second time it is renewed while the program runs
		var shown []int64
		// One connection may have been under way when the certificate was renewed.
		for len(shown) < 3 && (len(shown) == 0 || shown[len(shown)-1] != serial) {
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			shown = append(shown, talk(t, conn.(*tls.Conn)))
			conn.Close()
		}
		if shown[len(shown)-1] != serial {
			t.Errorf("the adapter shows certificates %d, want %d", shown, serial)
		}
	}
}

func TestListening(t *testing.T) {
	a := newAuthority(t)
	proxy, own := a.issue("push.example.com", 10), a.issue("adapter.example.com", 20)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start(t, &adapter.DataServer{Provider: adapter.DataProviderFunc(provider), Listener: l, TLS: Listening(own, a.pool()), Reconnect: &adapter.Backoff{Min: time.Millisecond}})
	for _, serial := range []int64{20, 21} {
		a.issue("adapter.example.com", serial)
		conn, err := tls.Dial("tcp", l.Addr().String(), Dialing("adapter.example.com", a.pool(), proxy))
		if err != nil {
			t.Fatal(err)
		}
		if got := talk(t, conn); got != serial {
			t.Errorf("the adapter shows certificate %d, want %d", got, serial)
		}
		conn.Close()
	}
}

func TestKeyPairSurvivesBadFiles(t *testing.T) {
	a := newAuthority(t)
	pair := &KeyPair{CertFile: filepath.Join(a.dir, "none.crt"), KeyFile: filepath.Join(a.dir, "none.key")}
	if _, err := pair.Certificate(); err == nil {
		t.Error("no error without files")
	}
	pair = a.issue("adapter.example.com", 20)
	if _, err := pair.Certificate(); err != nil {
		t.Fatal(err)
	}
	a.write("adapter.example.com.crt", "CERTIFICATE", []byte("half a file"))
	if cert, err := pair.Certificate(); err != nil || cert.Leaf.SerialNumber.Int64() != 20 {
		t.Errorf("with a half written file: %v, %v", cert, err)
	}
}

func TestFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	credentials := FromFile("user1", file)
	if _, err := credentials(t.Context()); err == nil {
		t.Error("no error without a file")
	}
	for _, password := range []string{"one", "two"} {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := credentials(t.Context()); err != nil || c.User != "user1" || c.Password != adapter.Password(password) {
			t.Errorf("%v, %v", c, err)
		}
	}
}
