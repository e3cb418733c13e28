package broker

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// issuer is an authority of its own, whose certificate and key are in one PEM file, and a
// certificate for 127.0.0.1 as well.
type issuer struct {
	text []byte
	pair tls.Certificate
	pool *x509.CertPool
}

func newIssuer(t *testing.T, name string, end time.Time) issuer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	i := issuer{pool: x509.NewCertPool()}
	for _, b := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: key}} {
		i.text = append(i.text, pem.EncodeToMemory(b)...)
	}
	if i.pair, err = tls.X509KeyPair(i.text, i.text); err != nil {
		t.Fatal(err)
	}
	i.pool.AddCert(i.pair.Leaf)
	return i
}

func put(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// journal collects a log, and tells of more.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.more)
	j.more = make(chan struct{})
	return j.text.Write(b)
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (j *journal) state() (string, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String(), j.more
}

// await waits until a text has come so many times.
func (j *journal) await(t *testing.T, want string, times int) {
	t.Helper()
	late := time.After(patience)
	for {
		text, more := j.state()
		if strings.Count(text, want) >= times {
			return
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("no %q in\n%s", want, text)
		}
	}
}

// shown asks a port for its certificate, and whether it lets a peer with own in.
func shown(t *testing.T, addr string, own ...tls.Certificate) (name string, err error) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, Certificates: own})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	name = conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(make([]byte, 1)) // the port speaks first: the init request, or an alert
	return name, err
}

// The stores of an adapter's port are followed: a renewed certificate serves whoever connects from
// then on, a broken one changes nothing and is told once, and the adapter that is there stays.
func TestAdapterStoresAreFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys, trust := filepath.Join(dir, "keys.pem"), filepath.Join(dir, "trust.pem")
	end := time.Now().Add(100 * 24 * time.Hour).Truncate(time.Second)
	first, second := newIssuer(t, "first", end), newIssuer(t, "second", end.Add(time.Hour))
	one, two := newIssuer(t, "one", end), newIssuer(t, "two", end)
	put(t, keys, first.text)
	put(t, trust, one.text)
	params := append(keystore(keys), "tls.force_client_auth", "Y", "connection_recovery_timeout_millis", "10")
	log := newJournal()
	r, err := Start(t.Context(), Config{
		Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{tlsSet(t, append(params, truststore(trust)...)...)}, Logger: log.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	addr := r.Adapters()[0].Addr.String()
	stop := run(t, &adapter.DataServer{Provider: quotes{}, Addr: addr, TLS: &tls.Config{RootCAs: first.pool, Certificates: []tls.Certificate{one.pair}}})
	<-r.Ready()
	since := r.Stats().Adapters[0].Since

	put(t, keys, first.text[:100])
	log.await(t, "can't be used", 1)
	put(t, keys, second.text)
	log.await(t, "TLS files reloaded", 1)
	put(t, trust, two.text)
	log.await(t, "TLS files reloaded", 2)
	if text, _ := log.state(); strings.Count(text, "can't be used") != 1 || strings.Contains(text, "PRIVATE") {
		t.Errorf("the broken store is told otherwise than once:\n%s", text)
	}
	if a := r.Stats().Adapters[0]; !a.Since.Equal(since) {
		t.Error("the adapter has lost its connection")
	}
	seeQuote(t, &demo{Running: r})

	stop()
	refused := func(err error) bool { return err != nil && strings.Contains(err.Error(), "tls: ") }
	name, err := shown(t, addr, one.pair)
	for ; name == ""; name, err = shown(t, addr, one.pair) { // the port is the former adapter's still
	}
	if name != "second" || !refused(err) {
		t.Errorf("the former client's certificate: the port is %q, %v", name, err)
	}
	if name, err = shown(t, addr, two.pair); name != "second" || refused(err) {
		t.Errorf("the new client's certificate: the port is %q, %v", name, err)
	}
	s := r.Stats()
	if len(s.Certificates) != 2 || s.Certificates[0].Subject != "CN=second" || !s.Certificates[0].NotAfter.Equal(end.Add(time.Hour)) ||
		s.Certificates[1].Subject != "CN=two" || s.Adapters[0].TLSRefused == 0 {
		t.Errorf("stats: %+v", s)
	}
	want := fmt.Sprintf(`lightstreamer_broker_certificate_not_after_seconds{of="adapter",use="own",set="DEMO",data_adapter="QUOTES"} %d`, end.Add(time.Hour).Unix())
	if text := string(appendMetrics(nil, s)); !strings.Contains(text, want) {
		t.Errorf("metrics:\n%s\nwant %s", text, want)
	}
	r.Close()
	if left := r.adapters.certs.all(); len(left) != 0 {
		t.Errorf("%d sources are left", len(left))
	}
}

// A proxy that dials checks the remote by what its truststore holds at the moment.
func TestDialledStoresAreFollowed(t *testing.T) {
	t.Parallel()
	trust := filepath.Join(t.TempDir(), "trust.pem")
	end := time.Now().Add(100 * 24 * time.Hour)
	remote, other := newIssuer(t, "remote", end), newIssuer(t, "other", end)
	put(t, trust, other.text)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	set := tlsSet(t, append(truststore(trust), "remote_host", "127.0.0.1", "connection_retry_millis", "100")...)
	set.Data[0].Proxy.RequestReplyPort = listener.Addr().(*net.TCPAddr).Port
	log := newJournal()
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	run(t, &adapter.DataServer{Provider: quotes{}, Listener: tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{remote.pair}})})
	log.await(t, "unknown authority", 1)
	put(t, trust, remote.text)
	select {
	case <-r.Ready():
	case <-time.After(patience):
		t.Fatal("the remote is not trusted")
	}
}

// user is what a client of the broker's address is taken for.
func (d *demo) principal(t *testing.T, tlsConfig *tls.Config) (string, error) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Post(d.URL()+"/lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0", "text/plain",
		strings.NewReader("LS_adapter_set=DEMO&LS_polling=true&LS_polling_millis=0&LS_cid=mgQkwtwdysogQz2BJ4Ji%20kOj2Bg"))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.ProtoMajor != 2 {
		t.Errorf("the answer is %s", resp.Proto)
	}
	d.metadata.mu.Lock()
	defer d.metadata.mu.Unlock()
	p := d.metadata.users[len(d.metadata.users)-1].Principal
	switch {
	case p == nil:
		return "not asked", nil
	case p.Null:
		return "none", nil
	}
	return p.S, nil
}

// Clients are asked for certificates of an authority that is followed, too, and their subjects
// reach the Metadata Adapter.
func TestClientCertificatesFromFiles(t *testing.T) {
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.pem")
	end := time.Now().Add(100 * 24 * time.Hour)
	server, ann, bob := newIssuer(t, "server", end), newIssuer(t, "ann", end), newIssuer(t, "bob", end)
	put(t, keys, server.text)
	for _, tt := range []struct {
		auth    tls.ClientAuthType
		without string // what a client without a certificate is taken for; empty: refused
	}{{0, ""}, {tls.RequireAndVerifyClientCert, ""}, {tls.VerifyClientCertIfGiven, "none"}} {
		t.Run(tt.auth.String(), func(t *testing.T) {
			t.Parallel()
			trust := filepath.Join(t.TempDir(), "trust.pem")
			put(t, trust, ann.text)
			reloads := make(chan error, 10)
			d := startDemo(t, Config{TLSFiles: &TLSFiles{
				Certificate: keys, Key: keys, ClientCA: trust, ClientAuth: tt.auth, MinVersion: tls.VersionTLS13, Reloaded: func(err error) { reloads <- err },
			}})
			with := func(certs ...tls.Certificate) *tls.Config {
				return &tls.Config{RootCAs: server.pool, Certificates: certs}
			}
			if got, err := d.principal(t, with(ann.pair)); got != "CN=ann" {
				t.Errorf("ann is taken for %q, %v", got, err)
			}
			if got, err := d.principal(t, with()); got != tt.without || (err == nil) != (tt.without != "") {
				t.Errorf("without a certificate: %q, %v", got, err)
			}
			old := with(ann.pair)
			old.MaxVersion = tls.VersionTLS12
			if _, err := d.principal(t, old); err == nil {
				t.Error("TLS 1.2 is spoken")
			}
			put(t, trust, []byte("nothing"))
			if err := <-reloads; err == nil || !strings.Contains(err.Error(), trust) {
				t.Errorf("a broken file: %v", err)
			}
			if got, err := d.principal(t, with(ann.pair)); got != "CN=ann" {
				t.Errorf("ann is taken for %q, %v", got, err)
			}
			put(t, trust, bob.text)
			if err := <-reloads; err != nil {
				t.Error(err)
			}
			if got, err := d.principal(t, with(bob.pair)); got != "CN=bob" {
				t.Errorf("bob is taken for %q, %v", got, err)
			}
			refused := d.Stats().TLSRefused
			if _, err := d.principal(t, &tls.Config{RootCAs: ann.pool}); err == nil { // who does not trust the server
				t.Error("the server is trusted")
			}
			for d.Stats().TLSRefused == refused { // counted when the server has seen the alert
				select {
				case <-time.After(time.Millisecond):
				case <-t.Context().Done():
					t.Fatal("not counted")
				}
			}
			if s := d.Stats(); len(s.Certificates) != 2 || s.Certificates[0].Trusted || s.Certificates[1].Subject != "CN=bob" || !s.Certificates[1].Trusted {
				t.Errorf("stats: %+v", s.Certificates)
			}
		})
	}
}

func TestTLSFilesAreChecked(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys.pem")
	put(t, keys, newIssuer(t, "server", time.Now().Add(time.Hour)).text)
	for want, cfg := range map[string]Config{
		"want Certificate and Key": {TLSFiles: &TLSFiles{Certificate: keys}},
		"needs ClientCA":           {TLSFiles: &TLSFiles{Certificate: keys, Key: keys, ClientAuth: tls.RequireAndVerifyClientCert}},
		"want RequireAndVerify":    {TLSFiles: &TLSFiles{Certificate: keys, Key: keys, ClientCA: keys, ClientAuth: tls.RequestClientCert}},
		"want TLS 1.2":             {TLSFiles: &TLSFiles{Certificate: keys, Key: keys, MinVersion: tls.VersionTLS11}},
		"both set":                 {TLSFiles: &TLSFiles{Certificate: keys, Key: keys}, TLSConfig: &tls.Config{Certificates: make([]tls.Certificate, 1)}},
		"no such file":             {TLSFiles: &TLSFiles{Certificate: keys, Key: keys + "x"}},
		"not a regular file":       {TLSFiles: &TLSFiles{Certificate: "/dev/zero", Key: keys}},
	} {
		cfg.Addr = "127.0.0.1:0"
		if r, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
			if err == nil {
				r.Close()
			}
		}
	}
}

// The end of a certificate is announced a fortnight before, once a day.
func TestCertificateExpiryIsTold(t *testing.T) {
	now := time.Now()
	keys := filepath.Join(t.TempDir(), "keys.pem")
	put(t, keys, newIssuer(t, "server", now.Add(15*24*time.Hour)).text)
	source, err := (&TLSFiles{Certificate: keys, Key: keys}).source()
	if err != nil {
		t.Fatal(err)
	}
	log := newJournal()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := newTLSWatch(ctx, log.logger())
	w.sources = append(w.sources, source)
	for hour := 0; hour <= 16*24; hour += 6 {
		w.expiry(now.Add(time.Duration(hour) * time.Hour))
	}
	text, _ := log.state()
	if soon, over := strings.Count(text, "ends soon"), strings.Count(text, "has ended"); soon != 14 || over != 2 {
		t.Errorf("told %d times before and %d times after the end:\n%s", soon, over, text)
	}
	put(t, keys, newIssuer(t, "server", now.Add(100*24*time.Hour)).text)
	if err := source.read(); err != nil {
		t.Fatal(err)
	}
	w.expiry(now.Add(24 * 24 * time.Hour))
	if after, _ := log.state(); after != text {
		t.Errorf("told of the renewed one: %s", after[len(text):])
	}
}
