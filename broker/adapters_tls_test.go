package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// certificates are a server's, for 127.0.0.1 and example.com, and a client's.
type certificates struct {
	server, client           tls.Certificate
	trust                    *tls.Config // of clients, in the server
	serverStore, clientStore string      // PEM files; the first has the key, too
}

func makeCertificates(t *testing.T) certificates {
	t.Helper()
	helper := httptest.NewUnstartedServer(nil)
	helper.StartTLS() // for its certificate
	defer helper.Close()
	c := certificates{server: helper.TLS.Certificates[0], trust: helper.Client().Transport.(*http.Transport).TLSClientConfig}
	c.client, _ = clientCertificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(c.server.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, blocks ...*pem.Block) string {
		var text []byte
		for _, b := range blocks {
			text = append(text, pem.EncodeToMemory(b)...)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	c.serverStore = write("server.pem", &pem.Block{Type: "CERTIFICATE", Bytes: c.server.Certificate[0]}, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
	c.clientStore = write("client.pem", &pem.Block{Type: "CERTIFICATE", Bytes: c.client.Certificate[0]})
	return c
}

// tlsSet has a Data Adapter with TLS and further parameters.
func tlsSet(t *testing.T, params ...string) *adaptersxml.Set {
	t.Helper()
	var text strings.Builder
	for i := 0; i < len(params); i += 2 {
		fmt.Fprintf(&text, `<param name="%s">%s</param>`, params[i], params[i+1])
	}
	return xmlSet(t, literalXML, `<data_provider name="QUOTES"><adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
		<classloader>log-enabled</classloader><param name="request_reply_port">8001</param><param name="tls">Y</param>`+text.String()+`</data_provider>`)
}

func keystore(file string) []string {
	return []string{"tls.keystore.type", "PEM", "tls.keystore.keystore_file", file, "tls.keystore.keystore_password", "x"}
}

func truststore(file string) []string {
	return []string{"tls.truststore.type", "PEM", "tls.truststore.truststore_file", file, "tls.truststore.truststore_password", "x"}
}

func startSet(t *testing.T, set *adaptersxml.Set) *Running {
	t.Helper()
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestAdapterTLS(t *testing.T) {
	certs := makeCertificates(t)
	r := startSet(t, tlsSet(t, append(keystore(certs.serverStore), "auth", "Y", "auth.credentials.1.user", "u", "auth.credentials.1.password", "secret")...))
	run(t, &adapter.DataServer{
		Provider: quotes{}, Addr: r.Adapters()[0].Addr.String(), TLS: certs.trust.Clone(),
		Credentials: func(context.Context) (adapter.Credentials, error) {
			return adapter.Credentials{User: "u", Password: "secret"}, nil
		},
	})
	<-r.Ready()
	seeQuote(t, &demo{Running: r})
}

// A proxy that demands certificates accepts those in its trust store, and no remote without.
func TestAdapterClientCertificate(t *testing.T) {
	certs := makeCertificates(t)
	params := append(keystore(certs.serverStore), "tls.force_client_auth", "Y")
	r := startSet(t, tlsSet(t, append(params, truststore(certs.clientStore)...)...))
	addr := r.Adapters()[0].Addr.String()
	stranger, _ := clientCertificate(t)
	for name, own := range map[string][]tls.Certificate{"none": nil, "a stranger's": {stranger}} {
		cfg := certs.trust.Clone()
		cfg.Certificates = own
		conn, err := tls.Dial("tcp", addr, cfg)
		if err != nil {
			continue // refused at once, with TLS 1.2
		}
		conn.SetDeadline(time.Now().Add(patience))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil || !strings.Contains(err.Error(), "tls: ") {
			t.Errorf("certificate: %s; it was let in: %d bytes, %v", name, n, err)
		}
		conn.Close()
	}
	cfg := certs.trust.Clone()
	cfg.Certificates = []tls.Certificate{certs.client}
	run(t, &adapter.DataServer{Provider: quotes{}, Addr: addr, TLS: cfg})
	<-r.Ready()
	seeQuote(t, &demo{Running: r})
}

// A proxy that dials wants a certificate of its trust store, for the name it has dialled unless that is not to be looked at.
func TestAdapterTLSDialled(t *testing.T) {
	certs := makeCertificates(t)
	for _, tt := range []struct {
		name, host, skip, trust string
		good                    bool
	}{
		{"right name", "127.0.0.1", "N", certs.serverStore, true},
		{"wrong name", "localhost", "N", certs.serverStore, false},
		{"wrong name, not looked at", "localhost", "Y", certs.serverStore, true},
		{"not trusted", "127.0.0.1", "N", certs.clientStore, false},
		{"not trusted, name not looked at", "localhost", "Y", certs.clientStore, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
			params := append(truststore(tt.trust), "remote_host", tt.host, "tls.skip_hostname_check", tt.skip)
			set := tlsSet(t, params...)
			set.Data[0].Proxy.RequestReplyPort = listener.Addr().(*net.TCPAddr).Port
			refused := make(chan error, 1)
			watched := &handshakes{Listener: listener, cfg: &tls.Config{Certificates: []tls.Certificate{certs.server}}, failed: refused}
			r := startSet(t, set)
			run(t, &adapter.DataServer{Provider: quotes{}, Listener: watched})
			select {
			case <-r.Ready():
				if !tt.good {
					t.Error("it was trusted")
				}
			case err := <-refused:
				if tt.good {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Error("neither trusted nor refused")
			}
		})
	}
}

// handshakes is a listener with TLS that tells of the first failure.
type handshakes struct {
	net.Listener
	cfg    *tls.Config
	failed chan error
}

func (h *handshakes) Accept() (net.Conn, error) {
	raw, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := tls.Server(raw, h.cfg)
	if err := conn.Handshake(); err != nil {
		h.tell(err)
	}
	return &toldConn{conn, h}, nil
}

func (h *handshakes) tell(err error) {
	select {
	case h.failed <- err:
	default:
	}
}

// toldConn tells of what the peer makes of the certificate, which with TLS 1.3 comes with the first read.
type toldConn struct {
	net.Conn
	h *handshakes
}

func (c *toldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && strings.Contains(err.Error(), "tls: ") {
		c.h.tell(err)
	}
	return n, err
}
