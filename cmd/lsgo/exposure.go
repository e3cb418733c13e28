package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// exposed returns what is wrong with the addresses of clients and of monitoring, if others than
// this machine can reach them: no TLS, no origins, no limits. Each names the flag that mends it.
func exposed(s *settings) []*adaptersxml.Problem {
	var found []*adaptersxml.Problem
	warn := func(format string, args ...any) {
		found = append(found, &adaptersxml.Problem{Severity: adaptersxml.SeverityWarning, Message: fmt.Sprintf(format, args...)})
	}
	if beyondLoopback(string(s.HTTP)) {
		if s.TLSCertificate == "" {
			warn("--http %s: others than this machine can connect, and whatever they send can be read on the way: "+
				"give --tls-certificate and --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS", s.HTTP)
		}
		for _, origin := range s.AllowedOrigins {
			if origin == "*" {
				warn("--allowed-origins *: the page of any web site may connect: name the origins of yours")
			}
		}
		for _, limit := range []struct {
			name string
			n    int
		}{
			{"--max-connections", s.MaxConnections}, {"--max-address-connections", s.MaxAddressConnections}, {"--max-address-rate", s.MaxAddressRate},
			{"--max-address-sessions", s.MaxAddressSessions}, {"--max-session-rate", s.MaxSessionRate},
		} {
			if limit.n == 0 {
				warn("%s 0: one client can take what others need: set a limit", limit.name)
			}
		}
		if s.Monitoring && s.MonitorAddr == "" {
			warn("/metrics can be read by whoever can connect to --http %s: give --monitor-addr 127.0.0.1:PORT, or --no-monitoring", s.HTTP)
		}
	}
	if beyondLoopback(s.MonitorAddr) {
		warn("--monitor-addr %s: others than this machine can read the figures, which have no access control and no TLS", s.MonitorAddr)
	}
	return found
}

// exposedPorts returns what is wrong with ports for Remote Adapters that others than this machine
// can reach, at their lines. Ids are those of the sets that are looked at; nil: all.
func exposedPorts(sets []*adaptersxml.Set, adapters []broker.AdapterAddr, ids []string) []*adaptersxml.Problem {
	var found []*adaptersxml.Problem
	for _, set := range sets {
		if ids != nil && !slices.Contains(ids, set.ID) {
			continue
		}
		for _, p := range providers(set) {
			if p.Proxy == nil || p.Proxy.RemoteHost != "" || !reachable(adapters, set.ID, p.Name) {
				continue
			}
			warn := func(text string) {
				found = append(found, &adaptersxml.Problem{
					File: set.File, Line: p.Pos.Line, Column: p.Pos.Column, Severity: adaptersxml.SeverityWarning, Message: text,
				})
			}
			if p.Proxy.TLS == nil {
				warn(`others than this machine can connect to the port of this adapter, without TLS: set the parameter "tls" to Y, or "interface" to 127.0.0.1`)
			}
			if !p.Proxy.Auth && (p.Proxy.TLS == nil || !p.Proxy.TLS.ForceClientAuth) {
				warn(`whoever can connect to the port of this adapter can be the adapter: set the parameter "auth" to Y with credentials, or "tls.force_client_auth" to Y`)
			}
		}
	}
	return found
}

// providers returns all providers of a set.
func providers(set *adaptersxml.Set) []*adaptersxml.Provider {
	all := []*adaptersxml.Provider{&set.Metadata}
	for i := range set.Data {
		all = append(all, &set.Data[i])
	}
	return all
}

// reachable reports whether an adapter's port can be reached from elsewhere.
func reachable(adapters []broker.AdapterAddr, set, name string) bool {
	for _, a := range adapters {
		if a.Set == set && a.DataAdapter == name && a.Addr != nil {
			return beyondLoopback(a.Addr.String())
		}
	}
	return false
}

// beyondLoopback reports whether an address to listen on can be reached from other machines. A name
// that is not localhost is taken for one that can.
func beyondLoopback(addr string) bool {
	if addr == "" {
		return false
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}

// onTheServer returns what Lightstreamer Server takes more strictly than this broker does.
func onTheServer(set *adaptersxml.Set) []*adaptersxml.Problem {
	var found []*adaptersxml.Problem
	for _, p := range providers(set) {
		if p.Proxy == nil || p.Kind != adaptersxml.Robust || p.Proxy.ConnectionRecoveryTimeout >= 0 {
			continue
		}
		found = append(found, &adaptersxml.Problem{
			File: set.File, Line: p.Pos.Line, Column: p.Pos.Column, Severity: adaptersxml.SeverityWarning,
			Message: `without "connection_recovery_timeout_millis" Lightstreamer Server closes this port for good after one connection that ` +
				`fails before it is initialised, a port scan for instance; set it to a pause in milliseconds (this broker keeps the port open in any case)`,
		})
	}
	return found
}
