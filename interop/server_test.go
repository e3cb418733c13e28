//go:build interop

package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// plan is what a part of the lab wants of the broker and of the peer.
type plan struct {
	params         string // further <param> elements of both proxies
	metadataParams string
	dataParams     string
	folder         string // of the adapters.xml
	peer           settings
	waitNot        bool        // the peer will not be accepted
	clients        *tls.Config // of the port for clients
}

// server is a broker with a set LAB, and the peer behind it.
type server struct {
	t    *testing.T
	now  *testing.T // the capability at work
	name string
	r    *broker.Running
	url  string
	log  *logBuffer
	peer *process
	args settings
}

const adaptersXML = `<?xml version="1.0"?>
<adapters_conf id="LAB">
<metadata_provider>
	<adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
	<param name="request_reply_port">6663</param>
	<param name="connection_recovery_timeout_millis">200</param>
	<param name="notify_user_disconnection_code">-99</param>
	<param name="notify_user_disconnection_msg">come back later</param>
	<param name="remote_params_prefix">remote:</param><param name="remote:colour">a+b |%25</param>
	%s
</metadata_provider>
<data_provider name="LAB">
	<adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
	<param name="request_reply_port">6661</param>%s
	<param name="connection_recovery_timeout_millis">200</param>
	<param name="events_recovery">enforce_snapshot</param>
	<param name="status_item">lab_status</param>
	<param name="remote_params_prefix">remote:</param><param name="remote:colour">a+b |%%25</param>
	%s
</data_provider>
</adapters_conf>`

// startServer starts a broker and the peer, and waits until both adapters are initialised.
func startServer(t *testing.T, peer string, p plan) *server {
	t.Helper()
	notify := ""
	if peer == "node" { // a remote of ARI 1.8.3: two connections for data
		notify = `<param name="notify_port">6662</param>`
	}
	text := fmt.Sprintf(strings.Replace(adaptersXML, "a+b |%25<", "a+b |%%25<", 1), p.params+p.metadataParams, notify, p.params+p.dataParams)
	if p.folder == "" {
		p.folder = t.TempDir()
	}
	set, err := adaptersxml.Read(strings.NewReader(text), filepath.Join(p.folder, "adapters.xml"))
	if err != nil {
		t.Fatal(err)
	}
	// Any free ports.
	set.Metadata.Proxy.RequestReplyPort, set.Data[0].Proxy.RequestReplyPort = 0, 0
	if notify != "" {
		set.Data[0].Proxy.NotifyPort = -1
	}
	s := &server{t: t, now: t, name: peer, log: &logBuffer{}}
	s.r, err = broker.Start(t.Context(), broker.Config{
		Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}, Linger: -1, TLSConfig: p.clients,
		Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.url = s.r.URL()
	t.Cleanup(func() {
		s.r.Close()
		if t.Failed() {
			t.Logf("the broker's log:\n%s", tail(s.log.String()))
		}
	})
	s.args = p.peer
	for _, at := range s.r.Adapters() {
		if at.DataAdapter == "" {
			s.args.Metadata = address(at.Addr)
		} else {
			s.args.Data = address(at.Addr)
			if at.NotifyAddr != nil {
				s.args.Notify = address(at.NotifyAddr)[1].(int)
			}
		}
	}
	s.restart()
	if p.waitNot {
		return s
	}
	late := time.After(patience)
	for tries := 1; ; tries++ {
		select {
		case <-s.r.Ready():
			return s
		case <-late:
			t.Fatal("the adapters are not initialised")
		case <-s.peer.done:
			if tries == 3 || !s.peer.diedOfItsTLS() {
				t.Fatal("the peer has ended")
			}
			t.Logf("started the peer again: its TLS failed, as it does where CPython reads and writes at once")
			s.restart()
		}
	}
}

// diedOfItsTLS reports whether the peer, which has ended, is a Python process whose ssl module
// failed of itself. CPython's is not safe for a read in one thread and a write in another
// (issues 143756 and 151508 of CPython), which is how the SDK uses it: rarely, and with any server.
func (p *process) diedOfItsTLS() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peer == "python" && strings.Contains(p.stderr.String(), "[SSL] internal error (_ssl.c")
}

// restart starts the peer, at first or again.
func (s *server) restart() {
	s.t.Helper()
	s.peer = startPeer(s.t, s.name, s.args)
	s.peer.t = s.now
}

// logBuffer is a log to look into.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// count tells how often the log says something.
func (b *logBuffer) count(text string) int { return strings.Count(b.String(), text) }

// await waits for a text in the log; it has to come n times.
func (b *logBuffer) await(t *testing.T, text string, n int) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(patience)
	for b.count(text) < n {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("the log does not say %q %d times", text, n)
		}
	}
}

// certificate writes a key store for a proxy and the certificate to trust, and returns their paths.
func certificate(t *testing.T, folder string) (store, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	store, ca = filepath.Join(folder, "proxy.pem"), filepath.Join(folder, "ca.pem")
	for path, content := range map[string][]byte{store: append(cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...), ca: cert} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return store, ca
}
