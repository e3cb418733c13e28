package adaptersxml

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func (r *params) tls(x *Proxy) {
	if !r.boolean("tls", false) {
		r.ignore("without tls Y", "tls.")
		return
	}
	t := &TLS{PreferenceOrder: "JVM"}
	x.TLS = t
	dialing := x.RemoteHost != ""

	t.Keystore = r.store("keystore")
	r.require(t.Keystore != nil || dialing, "tls", "tls needs tls.keystore.keystore_file")
	t.ForceClientAuth = r.boolean("tls.force_client_auth", false)
	t.Truststore = r.store("truststore")
	r.require(t.Truststore != nil || !t.ForceClientAuth, "tls.force_client_auth", "tls.force_client_auth needs tls.truststore.truststore_file")
	t.SkipHostnameCheck = r.boolean("tls.skip_hostname_check", false)

	t.EnforceServerPreference = r.boolean("tls.enforce_server_cipher_suite_preference", true)
	t.PreferenceOrder = r.choice("tls.enforce_server_cipher_suite_preference.order", "JVM", "JVM", "config")

	t.AllowCipherSuites = r.allowed("tls.allow_cipher_suite.", t.PreferenceOrder == "config")
	t.RemoveCipherSuites = r.removed("tls.remove_cipher_suites.")
	t.AllowProtocols = r.allowed("tls.allow_protocol.", false)
	t.RemoveProtocols = r.removed("tls.remove_protocols.")
	r.exclusive("tls.allow_cipher_suite.", "tls.remove_cipher_suites.")
	r.exclusive("tls.allow_protocol.", "tls.remove_protocols.")
	r.require(t.PreferenceOrder != "config" || len(t.AllowCipherSuites) > 0, "tls.enforce_server_cipher_suite_preference.order",
		"tls.enforce_server_cipher_suite_preference.order config needs a list of tls.allow_cipher_suite.<n>")
}

// store reads the keystore or the truststore; nil when there is none.
func (r *params) store(kind string) *Store {
	base := "tls." + kind + "."
	password := base + kind + "_password"
	s := &Store{
		Type: r.choice(base+"type", "JKS", "JKS", "PKCS12", "PKCS11", "PEM"),
		File: r.text(base + kind + "_file"),
	}
	if r.choice(password+".type", "text", "text", "file") == "file" {
		s.PasswordFile = r.text(password)
	} else {
		s.Password = Secret(r.text(password))
	}
	if s.File == "" && s.Type != "PKCS11" {
		r.ignore("without "+base+kind+"_file", base+"type", password, password+".type")
		return nil
	}
	r.require(r.has(password) || s.Type == "PEM" || s.Type == "PKCS11", base+kind+"_file", "%s%s_file needs %s", base, kind, password)
	return s
}

// allowed returns the values of a repeated parameter; by the number in the suffix if the order counts.
func (r *params) allowed(prefix string, ordered bool) []string {
	list, suffixes := r.family(prefix)
	type entry struct {
		n     int
		value string
	}
	var entries []entry
	for i, p := range list {
		e := entry{value: p.Value}
		if ordered {
			n, err := strconv.Atoi(suffixes[i])
			if err != nil {
				r.errorf(p.Pos, "parameter %s has to end in a number, as the order is that of the configuration", quote(p.Name))
				continue
			}
			e.n = n
		}
		if p.Value == "" {
			r.errorf(p.Pos, "parameter %s is empty", quote(p.Name))
			continue
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.n, b.n) })
	var values []string
	for _, e := range entries {
		values = append(values, e.value)
	}
	return values
}

func (r *params) removed(prefix string) []*regexp.Regexp {
	var patterns []*regexp.Regexp
	list, _ := r.family(prefix)
	for _, p := range list {
		if re := r.pattern(p, func(s string) string { return s }); re != nil {
			patterns = append(patterns, re)
		}
	}
	return patterns
}

// exclusive refuses two families of parameters that rule each other out.
func (r *params) exclusive(a, b string) {
	first := func(prefix string) *Param {
		for i, p := range r.p.Params {
			if strings.HasPrefix(p.Name, prefix) && !r.void[p.Name] {
				return &r.p.Params[i]
			}
		}
		return nil
	}
	if x, y := first(a), first(b); x != nil && y != nil {
		r.errorf(y.Pos, "%s does not go together with %s", quote(y.Name), quote(x.Name))
	}
}
