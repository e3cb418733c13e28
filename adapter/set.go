package adapter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// A Set is an Adapter Set whose connections are described by the adapters.xml that configures the server: ports, TLS, credentials and the direction
// of connecting are taken from there.
//
//	set := adapter.Set{Metadata: Auth{}, Data: map[string]adapter.DataProvider{"QUOTES": quotes}}
//	err := set.Run(ctx, "adapters/adapters.xml")
type Set struct {
	_ struct{}

	// Metadata is the Metadata Adapter. It must be nil if the file's metadata_provider is not a proxy (the server's own LiteralBasedProvider).
	Metadata MetadataProvider
	// Data are the Data Adapters by the names of their data_provider elements; a data_provider without a name is "DEFAULT".
	Data map[string]DataProvider

	// Host is where the server's proxies listen. Default: "localhost".
	Host string
	// ListenHost is the address on which to wait for proxies that dial (remote_host). Default: "localhost".
	ListenHost string
	// TLS is for the proxies with tls: the authorities to trust if they are not the system's, and a certificate if the proxy demands
	// one (tls.force_client_auth) or dials. nil: none of it.
	TLS *tls.Config
	// Credentials replaces the first of the file's pairs (auth.credentials).
	Credentials func(context.Context) (Credentials, error)
	// Params are given to every Initialize, over those of the proxy.
	Params Params
	// Reconnect, Logger, LogLines and Events are those of every server. Its name in logs is that of its proxy.
	Reconnect *Backoff
	Logger    *slog.Logger
	LogLines  LogCategories
	Events    *Events
}

// Run reads the file and runs a server for each of its proxies until ctx ends, then returns nil; see [Run] and [DataServer.Run]. Mistakes of the file
// are told all at once, each with its line and column, before anything is started ([adaptersxml.Problems]).
func (s Set) Run(ctx context.Context, filename string) error {
	file, err := adaptersxml.ReadFile(filename)
	if err != nil {
		return err
	}
	for _, w := range file.Warnings {
		if s.Logger != nil {
			s.Logger.Warn(w.Error())
		}
	}
	servers, err := s.Servers(ctx, file)
	if err != nil {
		return err
	}
	return Run(ctx, servers...)
}

// Servers returns the servers that Run runs, each a [*MetadataServer] or [*DataServer], to be changed before they are run. Those for proxies that dial
// listen already, until ctx ends.
func (s Set) Servers(ctx context.Context, file *adaptersxml.Set) ([]Runner, error) {
	var servers []Runner
	var errs []error
	bad := func(p *adaptersxml.Provider, format string, args ...any) {
		errs = append(errs, fmt.Errorf("adapter: set %s: "+format+" (line %d)", slices.Concat([]any{file.ID}, args, []any{p.Pos.Line})...))
	}
	m := &file.Metadata
	switch remote := m.Proxy != nil; {
	case remote && s.Metadata == nil:
		bad(m, "the metadata_provider is a proxy: set Metadata; DefaultMetadata will do")
	case !remote && s.Metadata != nil:
		bad(m, "the metadata_provider is no proxy, so nobody would ask Metadata")
	case remote:
		server := &MetadataServer{
			Provider: s.Metadata, Name: m.Proxy.Name, Params: s.Params, Reconnect: s.Reconnect, Logger: s.Logger, LogLines: s.LogLines, Events: s.Events,
		}
		var err error
		server.Addr, server.Listener, server.TLS, server.Credentials, err = s.connection(ctx, m.Proxy)
		if err != nil {
			bad(m, "metadata_provider: %w", err)
		}
		servers = append(servers, server)
	}
	missing := maps.Clone(s.Data)
	for i := range file.Data {
		d := &file.Data[i]
		delete(missing, d.Name)
		provider := s.Data[d.Name]
		if provider == nil || d.Proxy == nil {
			bad(d, "no Data for the data_provider %q, or it is no proxy", d.Name)
			continue
		}
		server := &DataServer{
			Provider: provider, Name: d.Proxy.Name, Params: s.Params, Reconnect: s.Reconnect, Logger: s.Logger, LogLines: s.LogLines, Events: s.Events,
		}
		var err error
		server.Addr, server.Listener, server.TLS, server.Credentials, err = s.connection(ctx, d.Proxy)
		if err != nil {
			bad(d, "data_provider %q: %w", d.Name, err)
		}
		servers = append(servers, server)
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		bad(m, "the file has no data_provider %q; it has %s", name, dataNames(file))
	}
	return servers, errors.Join(errs...)
}

func dataNames(file *adaptersxml.Set) string {
	var names []string
	for _, d := range file.Data {
		names = append(names, strconv.Quote(d.Name))
	}
	return strings.Join(names, ", ")
}

// connection tells how to reach the remote end of a proxy.
func (s Set) connection(ctx context.Context, p *adaptersxml.Proxy) (addr string, l net.Listener, tc *tls.Config, credentials func(context.Context) (Credentials, error), err error) {
	dialed := p.RemoteHost != ""
	if p.TLS != nil {
		tc = &tls.Config{MinVersion: tls.VersionTLS12}
		if s.TLS != nil {
			tc = s.TLS.Clone()
		}
		certified := len(tc.Certificates) > 0 || tc.GetCertificate != nil || tc.GetClientCertificate != nil || tc.GetConfigForClient != nil
		if (dialed || p.TLS.ForceClientAuth) && !certified {
			return "", nil, nil, nil, errors.New("the proxy wants a certificate from the adapter: set TLS with one")
		}
	}
	credentials = s.Credentials
	if credentials == nil && p.Auth && len(p.Credentials) > 0 {
		c := p.Credentials[0]
		credentials = StaticCredentials(c.User, c.Password)
	}
	port := strconv.Itoa(p.RequestReplyPort)
	if !dialed {
		return net.JoinHostPort(or(s.Host, "localhost"), port), nil, tc, credentials, nil
	}
	l, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(or(s.ListenHost, "localhost"), port))
	if err != nil {
		return "", nil, nil, nil, fmt.Errorf("wait for the proxy to dial: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	return "", l, tc, credentials, nil
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
