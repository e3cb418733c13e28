package broker

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

// TLSFiles are the files of the clients' TLS, in PEM. They are read again when they change: new
// connections get what is new, open ones go on. If something is wrong with a new file, all stays as
// it is, and the log says why, once.
type TLSFiles struct {
	_ struct{}

	// Certificate is the chain, the server's own certificate first; Key is its private key. Both
	// may name the same file.
	Certificate, Key string
	// ClientCA holds the certificates that the ones of clients have to be signed by. Empty: clients
	// are asked for none.
	ClientCA string
	// ClientAuth, with ClientCA, is tls.RequireAndVerifyClientCert, which is the default, or
	// tls.VerifyClientCertIfGiven. The subject of a client's certificate is the Principal that the
	// Metadata Adapter gets.
	ClientAuth tls.ClientAuthType
	// MinVersion is tls.VersionTLS12, which is the default, or tls.VersionTLS13.
	MinVersion uint16
	// Reloaded, if not nil, is called after the files have changed: with nil if they are in use,
	// else with what is wrong with them. The calls come one at a time, from a goroutine of the
	// broker's that does nothing else.
	Reloaded func(error)
}

func (f *TLSFiles) check() error {
	var errs []error
	if f.Certificate == "" || f.Key == "" {
		errs = append(errs, errors.New("broker: TLSFiles: want Certificate and Key"))
	}
	switch f.ClientAuth {
	case tls.NoClientCert:
	case tls.VerifyClientCertIfGiven, tls.RequireAndVerifyClientCert:
		if f.ClientCA == "" {
			errs = append(errs, fmt.Errorf("broker: TLSFiles.ClientAuth %v needs ClientCA", f.ClientAuth))
		}
	default:
		errs = append(errs, fmt.Errorf("broker: TLSFiles.ClientAuth %v: want RequireAndVerifyClientCert or VerifyClientCertIfGiven", f.ClientAuth))
	}
	switch f.MinVersion {
	case 0, tls.VersionTLS12, tls.VersionTLS13:
	default:
		errs = append(errs, fmt.Errorf("broker: TLSFiles.MinVersion %s: want TLS 1.2 or TLS 1.3", tls.VersionName(f.MinVersion)))
	}
	return errors.Join(errs...)
}

// source reads the files for the first time.
func (f *TLSFiles) source() (*tlsSource, error) {
	base := &tls.Config{
		MinVersion: cmp.Or(f.MinVersion, tls.VersionTLS12),
		NextProtos: []string{"h2", "http/1.1"}, // the HTTP server adds them to its own configuration only
	}
	if f.ClientCA != "" {
		base.ClientAuth = cmp.Or(f.ClientAuth, tls.RequireAndVerifyClientCert)
	}
	s := &tlsSource{
		label: "clients", base: base, certFile: f.Certificate, keyFile: f.Key, caFile: f.ClientCA,
		certWhat: "certificate", caWhat: "CA of clients", changed: f.Reloaded,
	}
	return s, s.read()
}

// tlsSource is a TLS configuration that follows its files. Its configuration may be used by any
// goroutine, the rest by one at a time.
type tlsSource struct {
	label            string           // in the log
	owner            *adaptersxml.Set // nil for the clients
	set, dataAdapter string           // of an adapter
	base             *tls.Config
	dials            bool // it is the client's side

	certFile, keyFile string // empty: there is no certificate
	caFile            string // empty: there is none
	certWhat, caWhat  string // what they are, in errors
	changed           func(error)

	watch   files.Watch
	current atomic.Pointer[tlsState]
}

// tlsState is what was read.
type tlsState struct {
	config *tls.Config
	certs  []CertificateStats
}

func (s *tlsSource) names() []string {
	var names []string
	for _, name := range []string{s.certFile, s.keyFile, s.caFile} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// read reads the files. After an error all is as before.
func (s *tlsSource) read() error {
	if s.watch.Done == nil { // for the first time
		s.watch.Done = files.StampOf(s.names()...)
	}
	state := &tlsState{config: s.base.Clone()}
	if s.certFile != "" {
		cert, err := readPair(s.certFile, s.keyFile)
		if err != nil {
			return fmt.Errorf("%s: %w", s.certWhat, err)
		}
		state.config.Certificates = []tls.Certificate{cert}
		state.add(s, "own", cert.Leaf)
	}
	if s.caFile != "" {
		pool, certs, err := readPool(s.caFile)
		if err != nil {
			return fmt.Errorf("%s: %w", s.caWhat, err)
		}
		if s.dials {
			state.config.RootCAs = pool
		} else {
			state.config.ClientCAs = pool
		}
		for _, c := range certs {
			state.add(s, "trusted", c)
		}
	}
	s.current.Store(state)
	return nil
}

// add notes a certificate. Of those that are trusted only the one that ends first counts.
func (t *tlsState) add(s *tlsSource, use string, c *x509.Certificate) {
	one := CertificateStats{
		Set: s.set, DataAdapter: s.dataAdapter, Adapter: s.owner != nil, Trusted: use == "trusted",
		Subject: bounded(c.Subject.String()), NotAfter: c.NotAfter,
	}
	for i := range t.certs {
		if was := &t.certs[i]; was.Trusted == one.Trusted {
			if one.NotAfter.Before(was.NotAfter) {
				*was = one
			}
			return
		}
	}
	t.certs = append(t.certs, one)
}

// readPair reads a certificate and its key, which may be in one file.
func readPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := files.Read(certFile, files.MaxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	key := cert
	if keyFile != certFile {
		if key, err = files.Read(keyFile, files.MaxPEM); err != nil {
			return tls.Certificate{}, err
		}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", certFile, err)
	}
	return pair, nil
}

// readPool reads certificates, of which there has to be one.
func readPool(file string) (*x509.CertPool, []*x509.Certificate, error) {
	text, err := files.Read(file, files.MaxPEM)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	var certs []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue // as the system's own lists are read
		}
		pool.AddCert(cert)
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, nil, fmt.Errorf("%s: no certificate found", file)
	}
	return pool, certs, nil
}

// server is for who accepts connections.
func (s *tlsSource) server() *tls.Config {
	c := s.base.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().config, nil }
	return c
}

// client is for who dials. The peer's certificate is verified against what is trusted at the
// moment: the configuration itself can't change its authorities.
func (s *tlsSource) client(host string, skipHostname bool) *tls.Config {
	c := s.base.Clone()
	c.ServerName = host
	c.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		for _, own := range s.current.Load().config.Certificates {
			if info.SupportsCertificate(&own) == nil {
				return &own, nil
			}
		}
		return new(tls.Certificate), nil
	}
	c.InsecureSkipVerify = true // verified below
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return errors.New("the remote sent no certificate")
		}
		opts := x509.VerifyOptions{Roots: s.current.Load().config.RootCAs, Intermediates: x509.NewCertPool()}
		if !skipHostname {
			opts.DNSName = host
		}
		for _, c := range cs.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		_, err := cs.PeerCertificates[0].Verify(opts)
		return err
	}
	return c
}
