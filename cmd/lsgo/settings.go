package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker"
)

// settings are what a person may choose about the broker. Each is a flag, an environment variable
// and a key of the configuration file, under the same name. The tag min is the least value there
// may be, file marks the path of a file or folder, origins a list of origins, prefixes one of
// networks. The tag to names the field of broker.Config that gets the value; with off, 0 switches
// it off there.
type settings struct {
	Adapters string `group:"Adapters:" file:"" placeholder:"DIR" help:"Folder with an adapters.xml, or with a folder for each Adapter Set. In these files $$env.NAME is replaced by the environment variable."`
	// AdapterHost is the default for proxies without the parameter interface.
	AdapterHost string        `group:"Adapters:" to:"AdapterHost" default:"127.0.0.1" help:"Where ports for Remote Adapters listen if adapters.xml names no interface; 0.0.0.0: on all."`
	Linger      time.Duration `group:"Adapters:" to:"Linger" off:"" default:"5s" min:"0s" help:"How long an item stays subscribed after its last client has left; 0s: not at all."`

	HTTP           httpAddress `group:"Clients:" to:"Addr" name:"http" default:"127.0.0.1:8080" help:"Where clients connect; port 0: a free one."`
	TLSCertificate string      `group:"Clients:" name:"tls-certificate" file:"" placeholder:"FILE" help:"Certificate chain (PEM): clients connect with TLS. Read again when it changes."`
	TLSKey         string      `group:"Clients:" name:"tls-key" file:"" placeholder:"FILE" help:"Private key of the certificate (PEM)."`
	TLSClientCA    string      `group:"Clients:" name:"tls-client-ca" file:"" placeholder:"FILE" help:"Authorities (PEM) that have to have signed the certificates of clients. Read again when it changes."`
	TLSClientAuth  string      `group:"Clients:" name:"tls-client-auth" default:"require" enum:"require,request" help:"With --tls-client-ca: require a certificate of each client, or request one and let clients without in, too."`
	TLSMinVersion  string      `group:"Clients:" name:"tls-min-version" default:"1.2" enum:"1.2,1.3" help:"Oldest version of TLS that is spoken with clients: 1.2 or 1.3."`
	AllowedOrigins []string    `group:"Clients:" to:"AllowedOrigins" origins:"" placeholder:"ORIGIN,..." help:"Origins (scheme://host:port) of web pages that may connect besides those of this address and of this machine; *: all, without cookies; null: pages without one."`
	AllowedHosts   []string    `group:"Clients:" to:"AllowedHosts" placeholder:"HOST,..." help:"Host names, without ports, by which pages may reach the broker over the loopback interface besides localhost, such as those a proxy on this machine passes on; *: all."`
	TrustedProxies []string    `group:"Clients:" prefixes:"" to:"TrustedProxies" placeholder:"PREFIX,..." help:"Addresses of proxies in front (such as 10.0.0.0/8), whose X-Forwarded-For tells the addresses of clients."`
	ServerName     string      `group:"Clients:" to:"ServerName" default:"Lightstreamer HTTP Server" help:"Name that is told to clients."`
	MonitorAddr    string      `group:"Clients:" to:"MonitorAddr" placeholder:"HOST:PORT" help:"Serve /healthz, /readyz and /metrics at this address instead of the clients'."`
	Monitoring     bool        `group:"Clients:" default:"true" negatable:"" help:"Serve /healthz, /readyz and /metrics at the clients' address."`

	Keepalive       time.Duration `group:"Sessions:" to:"Keepalive" default:"5s" min:"1ms" help:"Longest silence of a streaming connection if the client asks for none."`
	RebindTimeout   time.Duration `group:"Sessions:" to:"RebindTimeout" default:"10s" min:"1ms" help:"How long a session waits for its next connection, besides the polling interval."`
	RecoveryTimeout time.Duration `group:"Sessions:" to:"RecoveryTimeout" default:"20s" min:"1ms" help:"How long a session lives after its connection was lost."`
	HistoryTime     time.Duration `group:"Sessions:" to:"Limits.HistoryTime" default:"1m" min:"1ms" help:"How long what was sent is kept for a recovery."`
	ReadTimeout     time.Duration `group:"Sessions:" to:"ReadTimeout" default:"20s" min:"1ms" help:"How long a request may take to arrive."`
	WriteTimeout    time.Duration `group:"Sessions:" to:"WriteTimeout" default:"30s" min:"1ms" help:"How long a write to a client may take before its connection counts as lost."`
	IdleTimeout     time.Duration `group:"Sessions:" to:"IdleTimeout" default:"1m" min:"1ms" help:"How long a connection may stay open without a request or a session."`

	MaxConnections         int `group:"Limits:" to:"Limits.Connections" off:"" default:"10000" min:"0" help:"Connections of clients; more are closed. 0: no bound."`
	MaxSessions            int `group:"Limits:" to:"Limits.Sessions" default:"10000" min:"1" help:"Sessions; clients of more are told to try again later."`
	MaxAddressConnections  int `group:"Limits:" to:"Limits.AddressConnections" off:"" default:"1000" min:"0" help:"Connections from one address (IPv6: one /64), loopback and trusted proxies aside; more are closed. 0: no bound."`
	MaxAddressRate         int `group:"Limits:" to:"Limits.AddressRate" off:"" default:"100" min:"0" help:"New connections per second from one such address, after as many at once as it may have. 0: no bound."`
	MaxLoopbackConnections int `group:"Limits:" to:"Limits.LoopbackConnections" default:"0" min:"0" help:"Connections from each loopback address, where proxies on the same machine come from. 0: no bound."`
	MaxRequestMemory       int `group:"Limits:" to:"Limits.RequestMemory" default:"0" min:"0" help:"About how many bytes requests may hold that are being read or answered. 0: 64 MiB, or 8 KiB for each of the connections."`
	MaxItems               int `group:"Limits:" to:"Limits.Items" default:"10000" min:"1" help:"Items of all subscriptions of a session."`
	MaxFields              int `group:"Limits:" to:"Limits.Fields" default:"1000" min:"1" help:"Fields of a subscription."`
	MaxSessionMemory       int `group:"Limits:" to:"Limits.SessionMemory" default:"16777216" min:"1" help:"About how much memory the subscriptions of a session may take, in bytes."`
	MaxMemory              int `group:"Limits:" to:"Limits.Memory" default:"0" min:"0" help:"About how much memory all sessions and items may take, in bytes. 0: half of GOMEMLIMIT, or 1 GiB without it."`
	MaxSubscriptions       int `group:"Limits:" to:"Limits.Subscriptions" default:"2000" min:"1" help:"Subscriptions of a session."`
	MaxPendingRequests     int `group:"Limits:" to:"Limits.PendingRequests" default:"2000" min:"1" help:"Control requests of a session that wait for the Metadata Adapter."`
	MaxPendingMessages     int `group:"Limits:" to:"Limits.PendingMessages" default:"1000" min:"1" help:"Messages of a session that wait to be processed."`
	MaxSequences           int `group:"Limits:" to:"Limits.Sequences" default:"1000" min:"1" help:"Message sequences of a session."`
	MaxRequestBytes        int `group:"Limits:" to:"Limits.Request" default:"50000" min:"500" help:"Size of a request."`
	MaxHeaderBytes         int `group:"Limits:" to:"Limits.Header" default:"65536" min:"1" help:"Size of the header of an HTTP request."`
	MaxBuffer              int `group:"Limits:" to:"Limits.Buffer" default:"1000" min:"1" help:"Updates that wait for an item where some may be merged or dropped."`
	MaxUnfilteredBuffer    int `group:"Limits:" to:"Limits.UnfilteredBuffer" default:"10000" min:"1" help:"Updates that wait for an item where none may be lost in silence."`
	MaxQueueBytes          int `group:"Limits:" to:"Limits.QueueBytes" default:"4194304" min:"1" help:"About how much may wait for a session."`
	MaxHistoryBytes        int `group:"Limits:" to:"Limits.HistoryBytes" default:"262144" min:"1" help:"About how much of what was sent to a session is kept for a recovery."`

	MaxAddressSessions     int `group:"Limits:" to:"Limits.AddressSessions" off:"" default:"1000" min:"0" help:"Sessions from one address (IPv6: one /64), loopback aside. 0: no bound."`
	MaxSessionRate         int `group:"Limits:" to:"Limits.SessionRate" off:"" default:"100" min:"0" help:"Sessions created per second from one address, after ten times as many at once. 0: no bound."`
	MaxUserSessions        int `group:"Limits:" to:"Limits.UserSessions" default:"0" min:"0" help:"Sessions of one user. 0: no bound."`
	MaxPendingCreations    int `group:"Limits:" to:"Limits.PendingCreations" default:"64" min:"1" help:"New sessions about which a Metadata Adapter is asked at a time."`
	MaxPendingMessageBytes int `group:"Limits:" to:"Limits.PendingMessageBytes" default:"1048576" min:"1" help:"About how many bytes the messages of a session may have that wait to be processed."`
	MaxPendingRequestBytes int `group:"Limits:" to:"Limits.PendingRequestBytes" default:"4194304" min:"1" help:"About how many bytes the control requests of a session may have that wait."`
	MaxPendingBytes        int `group:"Limits:" to:"Limits.PendingBytes" default:"67108864" min:"1" help:"About how many bytes messages and control requests may have that wait in all sessions."`
	MaxMessageCalls        int `group:"Limits:" to:"Limits.MessageCalls" default:"8" min:"1" help:"Messages of a session that the Metadata Adapter has at a time."`

	Audit string `file:"" placeholder:"FILE" help:"Append to FILE who came from where, was refused why and ended by whom, one JSON object a line; -: to the standard output. Opened again on SIGHUP, and when it was renamed."`
	JSON  bool   `name:"json" help:"Write one JSON object a line, for scripts: listening, adapter, reload, problem, stopped."`
}

// check finds what concerns more than one setting.
func (s *settings) check() error {
	if (s.TLSCertificate == "") != (s.TLSKey == "") {
		return errors.New("--tls-certificate and --tls-key go together: give both, or none")
	}
	if s.TLSClientCA != "" && s.TLSCertificate == "" {
		return errors.New("--tls-client-ca needs --tls-certificate and --tls-key: without TLS clients have no certificates")
	}
	return nil
}

// config is the part of the broker's configuration that is plain data: the settings with the tag
// to.
func (s *settings) config() broker.Config {
	cfg := broker.Config{NoMonitoring: !s.Monitoring}
	from := reflect.ValueOf(s).Elem()
	for i := range from.NumField() {
		tag := from.Type().Field(i).Tag
		to := reflect.ValueOf(&cfg).Elem()
		for name := range strings.SplitSeq(tag.Get("to"), ".") {
			if name != "" {
				to = to.FieldByName(name)
			}
		}
		_, off := tag.Lookup("off")
		switch v := from.Field(i); {
		case tag.Get("to") == "":
		case off && v.IsZero():
			to.SetInt(-1) // the broker's word for it: 0 is the default there
		case to.Type() == reflect.TypeFor[[]netip.Prefix]():
			list, _ := prefixes(v.Interface().([]string)) // they have been checked
			to.Set(reflect.ValueOf(list))
		case v.Kind() == reflect.Slice:
			to.Set(v.Convert(to.Type()))
		default:
			to.Set(v.Convert(to.Type()))
		}
	}
	return cfg
}

// tlsFiles are those of the clients' address; nil without TLS.
func (s *settings) tlsFiles(reloaded func(error)) *broker.TLSFiles {
	if s.TLSCertificate == "" {
		return nil
	}
	f := &broker.TLSFiles{
		Certificate: s.TLSCertificate, Key: s.TLSKey, ClientCA: s.TLSClientCA, MinVersion: tls.VersionTLS12, Reloaded: reloaded,
	}
	if s.TLSMinVersion == "1.3" {
		f.MinVersion = tls.VersionTLS13
	}
	if s.TLSClientCA != "" && s.TLSClientAuth == "request" {
		f.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return f
}

// checkOrigins refuses what no browser sends, which would let nobody in.
func checkOrigins(list []string) error {
	for _, text := range list {
		if text == "*" || text == "null" {
			continue
		}
		u, err := url.Parse(text)
		if err != nil {
			return errors.New("an origin is no URL: want scheme://host or scheme://host:port")
		}
		if u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != text {
			return fmt.Errorf("%q is no origin: want scheme://host or scheme://host:port, and no slash at the end; or *, or null", u.Redacted())
		}
	}
	return nil
}

// prefixes reads networks such as 10.0.0.0/8; an address is a network of its own.
func prefixes(list []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			addr, aerr := netip.ParseAddr(text)
			if aerr != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("%q is no network: want an address, or one with a length such as 10.0.0.0/8", text)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		all = append(all, p.Masked())
	}
	return all, nil
}
