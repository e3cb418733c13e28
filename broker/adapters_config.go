package broker

import (
	"fmt"
	"net"
	"strconv"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/literal"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
)

// metadataConfig converts the settings of a Metadata Adapter and opens its port.
func (a *adapters) metadataConfig(x *adaptersxml.Set, p *adaptersxml.Provider) (proxy.MetadataConfig, error) {
	common, err := a.proxyConfig(x, p)
	if err != nil {
		return proxy.MetadataConfig{}, err
	}
	cfg := proxy.MetadataConfig{
		Config:               common,
		DisconnectionCode:    p.Proxy.NotifyUserDisconnectionCode,
		DisconnectionMessage: p.Proxy.NotifyUserDisconnectionMsg,

		SequentializeTableNotifications: p.SequentializeTableNotifications,
		ClearOnNewRemote:                p.Proxy.ClearOnNewRemote,

		MaxPendingUsers:    p.AuthenticationPool.MaxPendingRemoteRequests,
		MaxPendingMessages: p.MessagesPool.MaxPendingRemoteRequests,
		MaxPendingTables:   tablesBound(x),
		MaxPendingSessions: setBound(x),
	}
	switch p.Proxy.CloseNotificationsRecovery {
	case adaptersxml.Optimistic:
		cfg.CloseNotificationsRecovery = proxy.Optimistic
	case adaptersxml.Unneeded:
		cfg.CloseNotificationsRecovery = proxy.Unneeded
	}
	switch p.Proxy.NotifyUserOnDisconnection {
	case adaptersxml.ForceRetry:
		cfg.NotifyUserOnDisconnection = proxy.ForceRetry
	case adaptersxml.SendCode:
		cfg.NotifyUserOnDisconnection = proxy.SendCode
	}
	return cfg, nil
}

// dataConfig converts the settings of a Data Adapter and opens its port.
func (a *adapters) dataConfig(x *adaptersxml.Set, p *adaptersxml.Provider) (proxy.DataConfig, error) {
	common, err := a.proxyConfig(x, p)
	if err != nil {
		return proxy.DataConfig{}, err
	}
	cfg := proxy.DataConfig{Config: common, DataProvider: p.Name, StatusItem: p.Proxy.StatusItem, MaxPendingRequests: dataBound(x, p)}
	switch p.Proxy.EventsRecovery {
	case adaptersxml.UseSnapshot:
		cfg.EventsRecovery = proxy.UseSnapshot
	case adaptersxml.EnforceSnapshot:
		cfg.EventsRecovery = proxy.EnforceSnapshot
	}
	return cfg, nil
}

// proxyConfig converts what both kinds of adapter have, and opens the port.
func (a *adapters) proxyConfig(x *adaptersxml.Set, p *adaptersxml.Provider) (proxy.Config, error) {
	s := p.Proxy
	if s == nil {
		return proxy.Config{}, fmt.Errorf("adapter_class %s cannot run in this broker", p.Class)
	}
	cfg := proxy.Config{
		Set: x.ID, Name: s.Name, Robust: p.Kind == adaptersxml.Robust,
		ConnectionRetry: s.ConnectionRetry, Whitelist: s.Whitelist,
		Timeout: s.Timeout, KeepaliveTimeout: s.KeepaliveTimeout, KeepaliveHint: s.KeepaliveHint,
		Auth: s.Auth, ConnectionRecovery: s.ConnectionRecoveryTimeout, Logger: a.cfg.Logger.With("adapter", s.Name),
	}
	cfg.Peers = a.audit.peers(x.ID, p.Name)
	for _, c := range s.Credentials {
		cfg.Credentials = append(cfg.Credentials, proxy.Credential{User: c.User, Password: string(c.Password)})
	}
	for _, rp := range s.RemoteParams {
		cfg.RemoteParams = append(cfg.RemoteParams, provider.Field{Name: rp.Name, Value: provider.T(rp.Value)})
	}
	source, err := adapterTLS(x, p.Name, s)
	if err != nil {
		return proxy.Config{}, err
	}
	if err := a.listen(&cfg, p); err != nil {
		return proxy.Config{}, err
	}
	if source != nil {
		cfg.TLS = source.server()
		if source.dials {
			cfg.TLS = source.client(s.RemoteHost, s.TLS.SkipHostnameCheck)
		}
		a.certs.add(source)
	}
	return cfg, nil
}

// listen opens the ports of a proxy, or says where it dials.
func (a *adapters) listen(cfg *proxy.Config, p *adaptersxml.Provider) error {
	if p.Proxy.RemoteHost != "" {
		cfg.RemoteAddr = net.JoinHostPort(p.Proxy.RemoteHost, strconv.Itoa(p.Proxy.RequestReplyPort))
		return nil
	}
	var err error
	if cfg.Listener, err = a.listenOn(p, p.Proxy.RequestReplyPort); err != nil {
		return fmt.Errorf("request_reply_port: %w", err)
	}
	if p.Proxy.NotifyPort != 0 {
		if cfg.NotifyListener, err = a.listenOn(p, p.Proxy.NotifyPort); err != nil {
			closeListener(cfg.Listener)
			return fmt.Errorf("notify_port: %w", err)
		}
	}
	return nil
}

func (a *adapters) listenOn(p *adaptersxml.Provider, port int) (net.Listener, error) {
	host := p.Proxy.Interface
	if host == "" {
		host = a.cfg.AdapterHost
	}
	// Config.Sets may ask for any free port with 0; for the second one that is -1, as 0 means that there is none.
	return new(net.ListenConfig).Listen(a.ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(max(port, 0))))
}

func literalMetadata(s *adaptersxml.LiteralSettings) provider.Metadata {
	c := literal.Config{
		AllowedUsers: s.AllowedUsers, MaxBandwidth: s.MaxBandwidth, MaxFrequency: s.MaxFrequency, BufferSize: s.BufferSize,
		PrefilterFrequency: s.PrefilterFrequency, DistinctSnapshotLength: s.DistinctSnapshotLength,
	}
	for _, f := range s.Families {
		family := literal.Family{Pattern: f.Pattern, DataAdapter: f.DataAdapter}
		for _, name := range f.Modes {
			for m := provider.Raw; m <= provider.Command; m++ {
				if m.String() == name {
					family.Modes = family.Modes.With(m)
				}
			}
		}
		c.Families = append(c.Families, family)
	}
	return literal.New(c)
}
