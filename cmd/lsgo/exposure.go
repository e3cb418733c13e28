package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// exposed returns what is wrong with a broker that others than this machine can reach: addresses
// beyond loopback without TLS, credentials, origins or limits. Each names the flag or parameter that
// mends it.
func exposed(s *settings, sets []*adaptersxml.Set, adapters []broker.AdapterAddr) []*adaptersxml.Problem {
	var found []*adaptersxml.Problem
	warn := func(at *adaptersxml.Problem, format string, args ...any) {
		p := &adaptersxml.Problem{Severity: adaptersxml.SeverityWarning, Message: fmt.Sprintf(format, args...)}
		if at != nil {
			p.File, p.Line, p.Column = at.File, at.Line, at.Column
		}
		found = append(found, p)
	}
	if beyondLoopback(string(s.HTTP)) {
		if s.TLSCertificate == "" {
			warn(nil, "--http %s: others than this machine can connect, and whatever they send can be read on the way: "+
				"give --tls-certificate and --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS", s.HTTP)
		}
		for _, origin := range s.AllowedOrigins {
			if origin == "*" {
				warn(nil, "--allowed-origins *: the page of any web site may connect: name the origins of yours")
			}
		}
		for name, off := range map[string]bool{
			"--max-connections": s.MaxConnections == 0, "--max-address-connections": s.MaxAddressConnections == 0,
			"--max-address-sessions": s.MaxAddressSessions == 0,
		} {
			if off {
				warn(nil, "%s 0: one client can take what others need: set a limit", name)
			}
		}
		if s.Monitoring && s.MonitorAddr == "" {
			warn(nil, "/metrics can be read by whoever can connect to --http %s: give --monitor-addr 127.0.0.1:PORT, or --no-monitoring", s.HTTP)
		}
	}
	if beyondLoopback(s.MonitorAddr) {
		warn(nil, "--monitor-addr %s: others than this machine can read the figures, which have no access control and no TLS", s.MonitorAddr)
	}
	for _, set := range sets {
		for _, p := range providers(set) {
			if p.Proxy == nil || p.Proxy.RemoteHost != "" || !reachable(adapters, set.ID, p.Name) {
				continue
			}
			at := &adaptersxml.Problem{File: set.File, Line: p.Pos.Line, Column: p.Pos.Column}
			if p.Proxy.TLS == nil {
				warn(at, `others than this machine can connect to the port of this adapter, without TLS: set the parameter "tls" to Y, or "interface" to 127.0.0.1`)
			}
			if !p.Proxy.Auth && (p.Proxy.TLS == nil || !p.Proxy.TLS.ForceClientAuth) {
				warn(at, `whoever can connect to the port of this adapter can be the adapter: set the parameter "auth" to Y with credentials, or "tls.force_client_auth" to Y`)
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
