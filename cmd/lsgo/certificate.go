package main

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

// certificate is a pair of PEM files that may be replaced while connections are accepted.
type certificate struct {
	certFile, keyFile string
	watch             settled
	current           atomic.Pointer[tls.Certificate]
}

// loadCertificate reads the files for the first time.
func loadCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	c.watch.done = stampOf(certFile, keyFile)
	return c, c.load()
}

func readPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := files.Read(certFile, files.MaxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := files.Read(keyFile, files.MaxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// load reads the files. After an error the former certificate stays.
func (c *certificate) load() error {
	pair, err := readPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("--tls-certificate %s, --tls-key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	return nil
}

// step looks at the files once, and reads them when they have changed and come to rest. It tells whether it has.
func (c *certificate) step() (bool, error) {
	if !c.watch.changed(stampOf(c.certFile, c.keyFile)) {
		return false, nil
	}
	return true, c.load()
}

// config is for the clients' address.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}
