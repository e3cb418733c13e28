package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

// adapterTLS builds the TLS configuration of a proxy; nil for plain TCP.
func adapterTLS(set *adaptersxml.Set, p *adaptersxml.Proxy) (*tls.Config, error) {
	x := p.TLS
	if x == nil {
		return nil, nil //nolint:nilnil // no TLS is a valid answer, spelled out above
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if err := versions(cfg, x); err != nil {
		return nil, err
	}
	if err := cipherSuites(cfg, x); err != nil {
		return nil, err
	}
	if x.Keystore != nil {
		pem, err := readStore(set, "keystore", x.Keystore)
		if err != nil {
			return nil, err
		}
		cert, err := tls.X509KeyPair(pem, pem)
		if err != nil {
			return nil, fmt.Errorf("tls.keystore %s: %w", x.Keystore.File, err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	var pool *x509.CertPool
	if x.Truststore != nil {
		pem, err := readStore(set, "truststore", x.Truststore)
		if err != nil {
			return nil, err
		}
		pool = x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.truststore %s: no certificate found", x.Truststore.File)
		}
	}
	if p.RemoteHost != "" {
		cfg.ServerName, cfg.RootCAs = p.RemoteHost, pool
		if x.SkipHostnameCheck {
			skipHostname(cfg)
		}
		return cfg, nil
	}
	if cfg.ClientCAs = pool; x.ForceClientAuth {
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return cfg, nil
}

// readStore reads a store, which has to be PEM: nothing else can be read with what Go brings along.
func readStore(set *adaptersxml.Set, what string, s *adaptersxml.Store) ([]byte, error) {
	if s.Type != "PEM" {
		return nil, fmt.Errorf("tls.%s of type %s is not supported: convert it to PEM and set tls.%s.type to PEM", what, s.Type, what)
	}
	pem, err := files.Read(set.Path(s.File), files.MaxPEM)
	if err != nil {
		return nil, fmt.Errorf("tls.%s: %w", what, err)
	}
	return pem, nil
}

// skipHostname checks the remote's certificate without comparing it with the host name.
func skipHostname(cfg *tls.Config) {
	cfg.InsecureSkipVerify = true // asked for; the chain is verified below
	roots := cfg.RootCAs
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return errors.New("the remote sent no certificate")
		}
		opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range cs.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		_, err := cs.PeerCertificates[0].Verify(opts)
		return err
	}
}

// protocols are the versions that can be spoken, by Java's names, oldest first.
var protocols = []struct {
	name    string
	version uint16
}{{"TLSv1.2", tls.VersionTLS12}, {"TLSv1.3", tls.VersionTLS13}}

// versions narrows the protocol versions. There are two, so that whatever is left is a range.
func versions(cfg *tls.Config, x *adaptersxml.TLS) error {
	cfg.MinVersion, cfg.MaxVersion = 0, 0
	for _, p := range protocols {
		if x.AllowProtocols != nil && !slices.Contains(x.AllowProtocols, p.name) {
			continue
		}
		removed := false
		for _, re := range x.RemoveProtocols {
			removed = removed || re.MatchString(p.name)
		}
		if removed {
			continue
		}
		if cfg.MinVersion == 0 {
			cfg.MinVersion = p.version
		}
		cfg.MaxVersion = p.version
	}
	if cfg.MinVersion == 0 {
		return errors.New("tls: no protocol version is left: TLSv1.2 and TLSv1.3 are supported")
	}
	return nil
}

// cipherSuites narrows the suites of TLS 1.2; those of TLS 1.3 cannot be chosen in Go.
func cipherSuites(cfg *tls.Config, x *adaptersxml.TLS) error {
	if x.AllowCipherSuites == nil && len(x.RemoveCipherSuites) == 0 {
		return nil
	}
	var unknown []string
	for _, name := range x.AllowCipherSuites {
		if !slices.ContainsFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool { return s.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("tls.allow_cipher_suite: not supported: %s", strings.Join(unknown, ", "))
	}
	left := 0
	for _, s := range tls.CipherSuites() {
		keep := x.AllowCipherSuites == nil || slices.Contains(x.AllowCipherSuites, s.Name)
		for _, re := range x.RemoveCipherSuites {
			keep = keep && !re.MatchString(s.Name)
		}
		if !keep {
			continue
		}
		left++
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			cfg.CipherSuites = append(cfg.CipherSuites, s.ID)
		}
	}
	switch {
	case left == 0:
		return errors.New("tls: no cipher suite is left")
	case cfg.CipherSuites == nil && cfg.MinVersion == tls.VersionTLS12:
		// A nil list would mean all of them. Without any for TLS 1.2 only TLS 1.3 is left.
		cfg.MinVersion = tls.VersionTLS13
		if cfg.MaxVersion < cfg.MinVersion {
			return errors.New("tls: no cipher suite is left for TLSv1.2")
		}
	}
	return nil
}
