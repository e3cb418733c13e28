package adaptersxml

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/secret"
)

// Set is one Adapter Set, with every default filled in.
type Set struct {
	File    string // as given to Read; relative paths in the file start at its folder
	FileTag string // "adapters_conf-APV-7.4.5" in the first comment, or ""
	Pos     Pos

	ID            string // adapters_conf id, by which clients choose the set
	Pool          *Pool  // adapter_set_pool; nil: the server's own pool serves the set
	MetadataFirst bool   // metadata_adapter_initialised_first: data sides start when the metadata side is initialised

	Metadata Provider
	Data     []Provider // at least one, names unique

	Warnings []*Problem
}

// Path returns where a path written in the file points to.
func (s *Set) Path(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(s.File), path)
}

// Kind is the way an adapter is run.
type Kind uint8

// The kinds of adapter.
const (
	Basic   Kind = iota + 1 // remote, behind a PROXY_FOR_REMOTE_ADAPTER
	Robust                  // remote, behind a ROBUST_PROXY_FOR_REMOTE_ADAPTER
	Literal                 // the server's own LiteralBasedProvider; Metadata Adapters only
)

// String returns basic, robust or literal.
func (k Kind) String() string {
	switch k {
	case Basic:
		return "basic"
	case Robust:
		return "robust"
	case Literal:
		return "literal"
	}
	return "unknown"
}

// Provider is one adapter of a set: metadata_provider or data_provider.
type Provider struct {
	Pos      Pos
	Metadata bool   // it is the metadata_provider
	Name     string // data_provider name, DEFAULT if absent; empty for the metadata_provider

	Class       string // adapter_class, as written
	Kind        Kind
	InstallDir  string // install_dir, "." if absent; without meaning outside the JVM
	ClassLoader string // classloader: common, dedicated or log-enabled; without meaning outside the JVM
	Params      []Param

	Proxy   *Proxy           // for Basic and Robust
	Literal *LiteralSettings // for Literal

	DataPool *Pool // data_adapter_pool; nil: the set's pool, else the server's

	// Of a metadata_provider only.

	AuthenticationPool CallPool // NUS and NUA
	MessagesPool       CallPool // NUM
	MPNPool            *Pool    // mpn_pool: MDA, MSA, MDC; nil: the set's pool, else the server's
	// SequentializeTableNotifications: within a session NNT and NTC never overlap.
	SequentializeTableNotifications bool
	SupportTLCP26Subscriptions      bool // support_TLCP26_subscriptions
	SupportLiteralSubscriptions     bool // support_LiteralBased_subscriptions
	// ExitOnFailure: a failure declared by the adapter ends the server. Proxies ignore it.
	ExitOnFailure bool
}

// Param returns the parameter of that name; the last one if it was given more than once.
func (p *Provider) Param(name string) (Param, bool) {
	for i := len(p.Params) - 1; i >= 0; i-- {
		if p.Params[i].Name == name {
			return p.Params[i], true
		}
	}
	return Param{}, false
}

// label names the provider in messages.
func (p *Provider) label() string {
	if p.Metadata {
		return "metadata_provider"
	}
	return "data_provider " + quote(p.Name)
}

// Param is one <param>, with its value after the expansion of $env.
type Param struct {
	Name, Value string
	Pos         Pos
}

// Secret reports whether the value is a password, a token or the like, by the parameter's name. It
// is generous: parameters for the remote have names of its author's making.
func (p Param) Secret() bool {
	name := strings.ToLower(p.Name)
	for _, word := range []string{"password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "api_key", "private_key"} {
		if strings.Contains(name, word) {
			return !strings.HasSuffix(name, ".user") && !strings.HasSuffix(name, "password.type")
		}
	}
	return false
}

// String returns name=value, with a secret masked.
func (p Param) String() string {
	value := p.Value
	if p.Secret() {
		value = Secret(value).String()
	}
	return p.Name + "=" + value
}

// Format implements fmt.Formatter, so that no verb shows a secret: each shows what String returns.
func (p Param) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, p.String()) }

// LogValue implements slog.LogValuer, likewise.
func (p Param) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText implements encoding.TextMarshaler, and with it what JSON shows, likewise.
func (p Param) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Secret is a password. It shows as *** in every form of printing, logging and marshalling;
// string(s) is the password.
type Secret = secret.Text

// Pool is a bound on threads; a proxy also takes MaxSize as the bound on requests pending at its remote.
type Pool struct {
	MaxSize int // at least 1
	MaxFree int // at least 0
}

// CallPool is the authentication_pool or the messages_pool, which always exist.
type CallPool struct {
	MaxSize                  int           // 1 if absent
	MaxFree                  int           // 1 if absent
	MaxPendingRequests       int           // of adapters inside the server; 0 or less: no bound
	MaxPendingRemoteRequests int           // of proxies: requests sent and not answered; 0 or less: no bound
	MaxQueue                 int           // own limit of the queue; -1 if absent
	TaskTimeout              time.Duration // of adapters inside the server; 0: none
}
