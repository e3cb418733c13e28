package broker

import (
	"errors"
	"fmt"
	"net"
	"slices"
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
	if p.Proxy.NotifyPort != 0 {
		return proxy.DataConfig{}, errors.New("notify_port is not supported: use remotes of ARI 1.9.1, which need one connection, and leave it out")
	}
	common, err := a.proxyConfig(x, p)
	if err != nil {
		return proxy.DataConfig{}, err
	}
	cfg := proxy.DataConfig{Config: common, DataProvider: p.Name, StatusItem: p.Proxy.StatusItem}
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
	for _, c := range s.Credentials {
		cfg.Credentials = append(cfg.Credentials, proxy.Credential{User: c.User, Password: string(c.Password)})
	}
	// Their type is of the adapter wire, which is the proxy's business.
	cfg.RemoteParams = slices.Grow(cfg.RemoteParams, len(s.RemoteParams))[:len(s.RemoteParams)]
	for i, rp := range s.RemoteParams {
		cfg.RemoteParams[i].Name, cfg.RemoteParams[i].Value.S = rp.Name, rp.Value
	}
	var err error
	if cfg.TLS, err = adapterTLS(x, s); err != nil {
		return proxy.Config{}, err
	}
	cfg.Listener, cfg.RemoteAddr, err = a.listen(x, p)
	return cfg, err
}

// listen opens the port of a proxy, and tells where it is; nil for a proxy that dials.
func (a *adapters) listen(x *adaptersxml.Set, p *adaptersxml.Provider) (l net.Listener, dial string, err error) {
	port := strconv.Itoa(p.Proxy.RequestReplyPort)
	where := AdapterAddr{Set: x.ID}
	if !p.Metadata {
		where.DataAdapter = p.Name
	}
	if p.Proxy.RemoteHost != "" {
		where.RemoteAddr = net.JoinHostPort(p.Proxy.RemoteHost, port)
	} else {
		host := p.Proxy.Interface
		if host == "" {
			host = a.cfg.AdapterHost
		}
		l, err = new(net.ListenConfig).Listen(a.ctx, "tcp", net.JoinHostPort(host, port))
		if err != nil {
			return nil, "", fmt.Errorf("request_reply_port: %w", err)
		}
		where.Addr = l.Addr()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addrs = append(a.addrs, where)
	a.missing++
	return l, where.RemoteAddr, nil
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
