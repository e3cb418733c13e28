package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker"
)

// settings are what a person may choose about the broker. Each is a flag, an environment variable and a key of the configuration file,
// under the same name. The tag min is the least value there may be, file marks the path of a file or folder, origins a list
// of origins.
type settings struct {
	Adapters string `group:"Adapters:" file:"" placeholder:"DIR" help:"Folder with an adapters.xml, or with a folder for each Adapter Set. In these files $$env.NAME is replaced by the environment variable."`
	// AdapterHost is the default for proxies without the parameter interface.
	AdapterHost string        `group:"Adapters:" default:"127.0.0.1" help:"Where ports for Remote Adapters listen if adapters.xml names no interface; 0.0.0.0: on all."`
	Linger      time.Duration `group:"Adapters:" default:"5s" min:"0s" help:"How long an item stays subscribed after its last client has left; 0s: not at all."`

	HTTP           httpAddress `group:"Clients:" name:"http" default:"127.0.0.1:8080" help:"Where clients connect; port 0: a free one."`
	TLSCertificate string      `group:"Clients:" name:"tls-certificate" file:"" placeholder:"FILE" help:"Certificate chain (PEM): clients connect with TLS. Read again when it changes."`
	TLSKey         string      `group:"Clients:" name:"tls-key" file:"" placeholder:"FILE" help:"Private key of the certificate (PEM)."`
	AllowedOrigins []string    `group:"Clients:" origins:"" placeholder:"ORIGIN,..." help:"Origins (scheme://host:port) whose pages may connect; none: all."`
	ServerName     string      `group:"Clients:" default:"Lightstreamer HTTP Server" help:"Name that is told to clients."`
	Monitoring     bool        `group:"Clients:" default:"true" negatable:"" help:"Serve /healthz, /readyz and /metrics at the clients' address."`

	Keepalive       time.Duration `group:"Sessions:" default:"5s" min:"1ms" help:"Longest silence of a streaming connection if the client asks for none."`
	RebindTimeout   time.Duration `group:"Sessions:" default:"10s" min:"1ms" help:"How long a session waits for its next connection, besides the polling interval."`
	RecoveryTimeout time.Duration `group:"Sessions:" default:"20s" min:"1ms" help:"How long a session lives after its connection was lost."`
	HistoryTime     time.Duration `group:"Sessions:" default:"1m" min:"1ms" help:"How long what was sent is kept for a recovery."`
	ReadTimeout     time.Duration `group:"Sessions:" default:"20s" min:"1ms" help:"How long a request may take to arrive."`
	WriteTimeout    time.Duration `group:"Sessions:" default:"30s" min:"1ms" help:"How long a write to a client may take before its connection counts as lost."`
	IdleTimeout     time.Duration `group:"Sessions:" default:"1m" min:"1ms" help:"How long a connection may stay open without a request or a session."`

	MaxConnections      int `group:"Limits:" default:"10000" min:"0" help:"Connections of clients; more wait. 0: no bound."`
	MaxSessions         int `group:"Limits:" default:"10000" min:"1" help:"Sessions; more are refused."`
	MaxSubscriptions    int `group:"Limits:" default:"2000" min:"1" help:"Subscriptions of a session."`
	MaxPendingRequests  int `group:"Limits:" default:"2000" min:"1" help:"Control requests of a session that wait for the Metadata Adapter."`
	MaxPendingMessages  int `group:"Limits:" default:"1000" min:"1" help:"Messages of a session that wait to be processed."`
	MaxSequences        int `group:"Limits:" default:"1000" min:"1" help:"Message sequences of a session."`
	MaxRequestBytes     int `group:"Limits:" default:"50000" min:"500" help:"Size of a request."`
	MaxHeaderBytes      int `group:"Limits:" default:"65536" min:"1" help:"Size of the header of an HTTP request."`
	MaxBuffer           int `group:"Limits:" default:"1000" min:"1" help:"Updates that wait for an item where some may be merged or dropped."`
	MaxUnfilteredBuffer int `group:"Limits:" default:"10000" min:"1" help:"Updates that wait for an item where none may be lost in silence."`
	MaxQueueBytes       int `group:"Limits:" default:"4194304" min:"1" help:"About how much may wait for a session."`
	MaxHistoryBytes     int `group:"Limits:" default:"262144" min:"1" help:"About how much of what was sent to a session is kept for a recovery."`

	MaxAddressSessions     int `group:"Limits:" default:"1000" min:"0" help:"Sessions from one address (IPv6: one /64), loopback aside. 0: no bound."`
	MaxSessionRate         int `group:"Limits:" default:"100" min:"0" help:"Sessions created per second from one address, after ten times as many at once. 0: no bound."`
	MaxUserSessions        int `group:"Limits:" default:"0" min:"0" help:"Sessions of one user. 0: no bound."`
	MaxPendingCreations    int `group:"Limits:" default:"64" min:"1" help:"New sessions about which a Metadata Adapter is asked at a time."`
	MaxPendingMessageBytes int `group:"Limits:" default:"1048576" min:"1" help:"About how many bytes the messages of a session may have that wait to be processed."`
	MaxPendingRequestBytes int `group:"Limits:" default:"4194304" min:"1" help:"About how many bytes the control requests of a session may have that wait."`
	MaxPendingBytes        int `group:"Limits:" default:"67108864" min:"1" help:"About how many bytes messages and control requests may have that wait in all sessions."`
	MaxMessageCalls        int `group:"Limits:" default:"8" min:"1" help:"Messages of a session that the Metadata Adapter has at a time."`

	JSON bool `name:"json" help:"Write one JSON object a line, for scripts: listening, adapter, reload, problem, stopped."`
}

// check finds what concerns more than one setting.
func (s *settings) check() error {
	if (s.TLSCertificate == "") != (s.TLSKey == "") {
		return errors.New("--tls-certificate and --tls-key go together: give both, or none")
	}
	return nil
}

// config is the part of the broker's configuration that is plain data.
func (s *settings) config() broker.Config {
	cfg := broker.Config{
		Addr: string(s.HTTP), AdapterHost: s.AdapterHost, ServerName: s.ServerName, NoMonitoring: !s.Monitoring,
		Linger: orOff(s.Linger), Keepalive: s.Keepalive, RebindTimeout: s.RebindTimeout, RecoveryTimeout: s.RecoveryTimeout,
		ReadTimeout: s.ReadTimeout, WriteTimeout: s.WriteTimeout, IdleTimeout: s.IdleTimeout,
		Limits: broker.Limits{
			Request: s.MaxRequestBytes, Header: s.MaxHeaderBytes, Connections: orOff(s.MaxConnections), Sessions: s.MaxSessions,
			Subscriptions: s.MaxSubscriptions, PendingRequests: s.MaxPendingRequests, PendingMessages: s.MaxPendingMessages,
			Sequences: s.MaxSequences, Buffer: s.MaxBuffer, UnfilteredBuffer: s.MaxUnfilteredBuffer, QueueBytes: s.MaxQueueBytes,
			HistoryBytes: s.MaxHistoryBytes, HistoryTime: s.HistoryTime,
			AddressSessions: orOff(s.MaxAddressSessions), SessionRate: orOff(s.MaxSessionRate), UserSessions: s.MaxUserSessions,
			PendingCreations: s.MaxPendingCreations, PendingMessageBytes: s.MaxPendingMessageBytes, PendingRequestBytes: s.MaxPendingRequestBytes,
			PendingBytes: s.MaxPendingBytes, MessageCalls: s.MaxMessageCalls,
		},
	}
	if len(s.AllowedOrigins) > 0 {
		cfg.AllowedOrigins = s.AllowedOrigins
	}
	return cfg
}

// orOff says in the broker's words that 0 means off, and not the default.
func orOff[T int | time.Duration](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

// checkOrigins refuses what no browser sends, which would let nobody in.
func checkOrigins(list []string) error {
	for _, text := range list {
		u, err := url.Parse(text)
		if err != nil {
			return errors.New("an origin is no URL: want scheme://host or scheme://host:port")
		}
		if u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != text {
			return fmt.Errorf("%q is no origin: want scheme://host or scheme://host:port, and no slash at the end", u.Redacted())
		}
	}
	return nil
}
