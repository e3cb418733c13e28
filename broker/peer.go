package broker

import (
	"net/http"
	"net/netip"
	"strings"
)

// peer is whom a request comes from.
type peer struct {
	addr       netip.Addr // the zero Addr if it is not known
	port       int        // 0 if it is not known
	forwarding string     // the addresses that proxies have reported
	proxied    bool       // a trusted proxy has passed the request on
}

// peerOf finds out whom a request comes from. What X-Forwarded-For has counts if a trusted proxy
// has sent it, and of it only the part that trusted proxies have added.
func (f *frontend) peerOf(r *http.Request) peer {
	var p peer
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		p.addr, p.port = plain(ap.Addr()), int(ap.Port())
	}
	trusted := contains(f.cfg.TrustedProxies, p.addr)
	if trusted || len(f.cfg.TrustedProxies) == 0 {
		p.forwarding = strings.Join(r.Header.Values("X-Forwarded-For"), ", ")
	}
	if !trusted {
		return p
	}
	for rest := p.forwarding; rest != ""; {
		last := rest
		if i := strings.LastIndexByte(rest, ','); i >= 0 {
			rest, last = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		addr, ok := parseForwarded(strings.TrimSpace(last))
		if !ok {
			break
		}
		p.addr, p.port, p.proxied = addr, 0, true
		if !contains(f.cfg.TrustedProxies, addr) {
			break
		}
	}
	return p
}

// parseForwarded reads an address as proxies write it, some of them with a port.
func parseForwarded(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr()), true
	}
	addr, err := netip.ParseAddr(strings.TrimPrefix(strings.TrimSuffix(s, "]"), "["))
	return plain(addr), err == nil
}
