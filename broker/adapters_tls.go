package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// adapterTLS reads the TLS files of a proxy; nil for plain TCP. The provider's name is empty for
// the Metadata Adapter.
func adapterTLS(set *adaptersxml.Set, name string, p *adaptersxml.Proxy) (*tlsSource, error) {
	x := p.TLS
	if x == nil {
		return nil, nil //nolint:nilnil // no TLS is a valid answer, spelled out above
	}
	s := &tlsSource{
		label: p.Name, owner: set, set: set.ID, dataAdapter: name, dials: p.RemoteHost != "", base: &tls.Config{MinVersion: tls.VersionTLS12},
		certWhat: "tls.keystore", caWhat: "tls.truststore",
	}
	if err := versions(s.base, x); err != nil {
		return nil, err
	}
	if err := cipherSuites(s.base, x); err != nil {
		return nil, err
	}
	var err error
	if s.certFile, err = store(set, "keystore", x.Keystore); err != nil {
		return nil, err
	}
	s.keyFile = s.certFile
	if s.caFile, err = store(set, "truststore", x.Truststore); err != nil {
		return nil, err
	}
	if x.ForceClientAuth && !s.dials {
		s.base.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return s, s.read()
}

// store is the path of a store, which has to be PEM: nothing else can be read with what Go brings
// along. It is empty for no store.
func store(set *adaptersxml.Set, what string, s *adaptersxml.Store) (string, error) {
	if s == nil {
		return "", nil
	}
	if s.Type != "PEM" {
		return "", fmt.Errorf("tls.%s of type %s is not supported: convert it to PEM and set tls.%s.type to PEM", what, s.Type, what)
	}
	return set.Path(s.File), nil
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
