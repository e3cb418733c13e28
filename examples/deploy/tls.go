// Package deploy holds what docs/deploy.md shows, to be compiled, tested and copied.
package deploy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"
)

// A KeyPair is a certificate and its key in PEM files, which may be renewed at any time: they are read again when they have changed.
type KeyPair struct {
	CertFile, KeyFile string

	mu     sync.Mutex
	read   time.Time // of the change that has been read
	loaded *tls.Certificate
}

// Certificate returns the pair as it is now. If it cannot be read, which happens between the renewals of the two files, it returns the one before.
func (k *KeyPair) Certificate() (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Stat(k.CertFile)
	if err == nil && (k.loaded == nil || !info.ModTime().Equal(k.read)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(k.CertFile, k.KeyFile); err == nil {
			k.loaded, k.read = &pair, info.ModTime()
		}
	}
	if k.loaded == nil {
		return nil, err
	}
	return k.loaded, nil
}

// Authorities reads the certificates of those whose signature is trusted.
func Authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// Dialing is for an adapter that dials: proxy is the name in the proxy's certificate, empty if it is the host of Addr. own is for a proxy with
// tls.force_client_auth, else nil.
func Dialing(proxy string, authorities *x509.CertPool, own *KeyPair) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: proxy,
		RootCAs:    authorities,
	}
	if own != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.Certificate() }
	}
	return config
}

// Listening is for an adapter that is dialed (remote_host): own is shown to the proxy; with authorities, the proxy has to show a certificate of
// theirs (tls.keystore of the proxy).
func Listening(own *KeyPair, authorities *x509.CertPool) *tls.Config {
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.Certificate() },
	}
	if authorities != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, authorities
	}
	return config
}
