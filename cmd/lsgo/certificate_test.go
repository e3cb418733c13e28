package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newCertificate makes a self-signed certificate for 127.0.0.1, in PEM.
func newCertificate(t *testing.T, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "lsgo test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8)
}

// serial asks a server for its certificate, which must be the one given.
func serial(t *testing.T, url, cert string) int64 {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(cert))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.ProtoMajor != 2 || response.StatusCode != http.StatusOK {
		t.Errorf("the answer is %s %s", response.Proto, response.Status)
	}
	return response.TLS.PeerCertificates[0].SerialNumber.Int64()
}

func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "adapters.xml"), setXML("MINE", freePort(t)))
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, key := newCertificate(t, 1)
	writeFile(t, certFile, cert)
	writeFile(t, keyFile, key)
	p, listening := startServe(t, dir, "--tls-certificate", certFile, "--tls-key", keyFile)
	if !strings.HasPrefix(listening.URL, "https://127.0.0.1:") {
		t.Errorf("clients connect to %s", listening.URL)
	}
	if n := serial(t, listening.URL, cert); n != 1 {
		t.Errorf("the certificate is number %d", n)
	}

	// The certificate comes first, and its key after a while: until then the former pair serves.
	newCert, newKey := newCertificate(t, 2)
	writeFile(t, certFile, newCert)
	problem, at := p.awaitEvent("the pair that does not match", 1, isJSON("problem", nil))
	if !strings.Contains(problem.Message, certFile) || !strings.Contains(problem.Message, "stays in use") || strings.Contains(problem.Message, "PRIVATE") {
		t.Errorf("the problem is %+v", problem)
	}
	if n := serial(t, listening.URL, cert); n != 1 {
		t.Errorf("the certificate is number %d", n)
	}
	writeFile(t, keyFile, newKey)
	p.awaitEvent("the new pair", at, isJSON("reload", func(e jsonEvent) bool { return e.What == "certificate" }))
	if n := serial(t, listening.URL, newCert); n != 2 {
		t.Errorf("the certificate is number %d", n)
	}
	p.stop()
}

// With an authority for clients nobody gets in without a certificate of its making.
func TestServeClientCertificates(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "adapters.xml"), setXML("MINE", freePort(t)))
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, key := newCertificate(t, 1)
	writeFile(t, certFile, cert)
	writeFile(t, keyFile, key)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	p, listening := startServe(t, dir, "--tls-certificate", certFile, "--tls-key", keyFile, "--tls-client-ca", certFile, "--tls-min-version", "1.3")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(cert))
	for _, own := range [][]tls.Certificate{nil, {pair}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: own}}
		response, err := (&http.Client{Transport: transport}).Get(listening.URL + "/healthz")
		if err == nil {
			response.Body.Close()
		}
		if (err == nil) != (own != nil) {
			t.Errorf("with %d certificates: %v", len(own), err)
		}
		transport.CloseIdleConnections()
	}
	p.stop()
	for _, args := range [][]string{{"--tls-client-ca", certFile}, {"--tls-certificate", certFile}} {
		var out, said bytes.Buffer
		if status := run(t.Context(), append([]string{"serve", "--adapters", dir}, args...), &out, &said); status != exitUsage || !strings.Contains(said.String(), args[0]) {
			t.Errorf("%v: status %d, %s", args, status, &said)
		}
	}
}
