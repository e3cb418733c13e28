package broker

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/sample"
)

// access decides which web pages may use the broker, and under which host names it may be reached.
// Both concern browsers only: they run programs of strangers, and tell in the header Origin whose.
type access struct {
	any     bool                // every origin
	origins map[string]struct{} // configured
	anyHost bool
	hosts   map[string]struct{} // configured
	local   netip.Addr          // of the listener, if a connection does not tell its own
	n       *counters
	log     *sample.Log
	audit   *auditor // nil without
}

func (r *Running) newAccess(local net.Addr) *access {
	cfg := &r.cfg
	a := &access{
		origins: make(map[string]struct{}), hosts: make(map[string]struct{}), local: addrOf(local), n: r.counters,
		log: r.webPages, audit: r.audit,
	}
	for _, o := range cfg.AllowedOrigins {
		if o == "*" {
			a.any = true
			continue
		}
		a.origins[plainOrigin(o)] = struct{}{}
	}
	for _, h := range cfg.AllowedHosts {
		if h == "*" {
			a.anyHost = true
			continue
		}
		a.hosts[plainHost(h)] = struct{}{}
	}
	return a
}

// verdict is what access decides on a request.
type verdict struct {
	allowed     bool
	credentials bool   // with cookies
	origin      string // as the browser has written it; empty for none
}

// page decides whether a request may come from the page it comes from.
func (a *access) page(r *http.Request) verdict {
	v := verdict{origin: r.Header.Get("Origin")}
	if v.origin == "" {
		// Browsers name no origin when a page loads a script or a picture, but tell that it is
		// not ours.
		site := r.Header.Get("Sec-Fetch-Site")
		v.allowed = a.any || site != "cross-site" && site != "same-site"
		if !v.allowed {
			a.refuseOrigin(r, "a page of another site, which sent no Origin")
		}
		return v
	}
	origin := plainOrigin(v.origin)
	_, v.credentials = a.origins[origin]
	v.allowed = v.credentials || a.any || a.sameOrigin(r, origin) || a.overLoopback(r) && fromLoopback(origin)
	if !v.allowed {
		a.refuseOrigin(r, v.origin)
	}
	return v
}

func (a *access) refuseOrigin(r *http.Request, origin string) {
	a.n.origins.Add(1)
	a.audit.put(AuditEvent{Event: AuditClientRefused, Address: r.RemoteAddr, Origin: origin, By: "AllowedOrigins"})
	a.log.Warn("origin "+short(origin), "broker: a web page may not use the broker; if it should, allow its origin"+
		" (Config.AllowedOrigins, lsgo --allowed-origins)", "origin", short(origin))
}

// short bounds what is logged of a peer's text.
func short(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

func (a *access) sameOrigin(r *http.Request, origin string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	// A proxy in front may have taken the TLS off, so that the scheme is not ours to compare.
	return ok && (scheme == "http" || scheme == "https") && r.Host != "" &&
		host == withoutPort(strings.ToLower(r.Host), defaultPort(scheme))
}

// overLoopback reports whether a request came over the loopback interface.
func (a *access) overLoopback(r *http.Request) bool { return a.localAddr(r).IsLoopback() }

func (a *access) localAddr(r *http.Request) netip.Addr {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return addrOf(local)
	}
	return a.local
}

func fromLoopback(origin string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	return ok && (scheme == "http" || scheme == "https") && isLoopback(plainHost(host))
}

// isLoopback reports whether a host in its plain form is this machine, whatever a name server says.
func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// host reports whether a request is for a host that the broker is. A page of a stranger whose name
// has come to mean this machine (DNS rebinding) is of the same origin: only its Host gives it away.
// That concerns the loopback interface, which strangers do not reach otherwise, and whoever has
// configured names.
func (a *access) host(r *http.Request) bool {
	if r.Host == "" || a.anyHost || !a.overLoopback(r) && len(a.hosts) == 0 {
		return true
	}
	host := plainHost(r.Host)
	if _, ok := a.hosts[host]; ok {
		return true
	}
	local := a.localAddr(r)
	if local.IsLoopback() && isLoopback(host) {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil && (plain(ip) == local || plain(ip) == a.local) {
		return true
	}
	a.n.hosts.Add(1)
	a.audit.put(AuditEvent{Event: AuditClientRefused, Address: r.RemoteAddr, Origin: r.Header.Get("Origin"), By: "AllowedHosts", Text: r.Host})
	a.log.Warn("host "+short(host), "broker: refused a request for another host; if the broker is to be reached by"+
		" this name, allow it (Config.AllowedHosts, lsgo --allowed-hosts)", "host", short(host))
	return false
}

// plainOrigin returns an origin in lower case and without the default port of its scheme.
func plainOrigin(origin string) string {
	origin = strings.ToLower(origin)
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok {
		return origin
	}
	return scheme + "://" + withoutPort(host, defaultPort(scheme))
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return ":80"
	case "https":
		return ":443"
	}
	return ":"
}

func withoutPort(host, port string) string { return strings.TrimSuffix(host, port) }

// plainHost returns a host as it may be compared: without a port, brackets or the dot of the root,
// and in lower case.
func plainHost(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimPrefix(strings.TrimSuffix(host, "]"), "[")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// cors sets what a page of another origin needs to read the response. Naming the origin instead of
// * also serves clients that send cookies, if they may.
func cors(header http.Header, v verdict) {
	if v.origin == "" {
		return
	}
	header.Add("Vary", "Origin")
	if !v.allowed {
		return
	}
	header.Set("Access-Control-Allow-Origin", v.origin)
	if v.credentials {
		header.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight answers a browser that asks before it sends a request with headers of the application.
func preflight(header http.Header, r *http.Request) {
	header.Set("Access-Control-Allow-Methods", "POST")
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		header.Set("Access-Control-Allow-Headers", names)
	}
	header.Set("Access-Control-Max-Age", "3600")
}

// checkAccess finds mistakes in the lists of a configuration.
func checkAccess(cfg *Config) []error {
	var errs []error
	for _, o := range cfg.AllowedOrigins {
		scheme, host, ok := strings.Cut(o, "://")
		if o != "*" && o != "null" && (!ok || scheme == "" || host == "" || strings.ContainsAny(host, "/?#@ ")) {
			errs = append(errs, fmt.Errorf("broker: AllowedOrigins: %q is no origin: want scheme://host[:port], null or *", o))
		}
	}
	for _, h := range cfg.AllowedHosts {
		if h == "" || strings.ContainsAny(h, "/?#@ ") {
			errs = append(errs, fmt.Errorf("broker: AllowedHosts: %q is no host name: want a name or an address, or *", h))
		}
	}
	return errs
}
