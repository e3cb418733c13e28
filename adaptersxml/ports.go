package adaptersxml

import (
	"errors"
	"fmt"
	"net/netip"
)

// CheckSets checks what has to hold between the sets of one server: ids are unique, and no two proxies listen on the same
// address and port. The error is like that of [Read].
func CheckSets(sets ...*Set) error {
	var mistakes []error
	ids := map[string]*Set{}
	for _, s := range sets {
		if first, dup := ids[s.ID]; dup {
			mistakes = append(mistakes, &Problem{File: s.File, Line: s.Pos.Line, Column: s.Pos.Column,
				Message: fmt.Sprintf("adapters_conf id %s is that of %s, too", quote(s.ID), first.File)})
			continue
		}
		ids[s.ID] = s
	}
	for _, c := range portClashes(sets...) {
		mistakes = append(mistakes, &Problem{File: c.file, Line: c.at.Line, Column: c.at.Column, Message: c.message})
	}
	return errors.Join(mistakes...)
}

// listener is a port that a proxy listens on.
type listener struct {
	set   *Set
	owner *Provider
	param string
	host  string
	port  int
	at    Pos
}

type clash struct {
	file    string
	at      Pos
	message string
}

func listeners(s *Set) []listener {
	var list []listener
	add := func(p *Provider) {
		if p.Proxy == nil || p.Proxy.RemoteHost != "" {
			return
		}
		for _, l := range []listener{{param: "request_reply_port", port: p.Proxy.RequestReplyPort}, {param: "notify_port", port: p.Proxy.NotifyPort}} {
			if l.port == 0 {
				continue
			}
			where, _ := p.Param(l.param)
			l.set, l.owner, l.host, l.at = s, p, p.Proxy.Interface, where.Pos
			list = append(list, l)
		}
	}
	add(&s.Metadata)
	for i := range s.Data {
		add(&s.Data[i])
	}
	return list
}

// portClashes finds the ports listened on twice; each is reported at the later one.
func portClashes(sets ...*Set) []clash {
	byPort := map[int][]listener{}
	var clashes []clash
	for _, s := range sets {
		for _, l := range listeners(s) {
			for _, first := range byPort[l.port] {
				if !overlap(first.host, l.host) || first.owner == l.owner {
					continue
				}
				where := fmt.Sprintf("line %d", first.at.Line)
				if first.set != l.set {
					where = fmt.Sprintf("%s:%d", first.set.File, first.at.Line)
				}
				clashes = append(clashes, clash{l.set.File, l.at, fmt.Sprintf("%s %d of %s is listened on by %s already (%s)",
					l.param, l.port, l.owner.label(), first.owner.label(), where)})
				break
			}
			byPort[l.port] = append(byPort[l.port], l)
		}
	}
	return clashes
}

// overlap says whether listening on one address rules out listening on the other. Names are not resolved, but for localhost.
func overlap(a, b string) bool {
	x, y := address(a), address(b)
	if x.IsUnspecified() || y.IsUnspecified() {
		return true
	}
	if !x.IsValid() || !y.IsValid() {
		return a == b
	}
	return x == y
}

func address(host string) netip.Addr {
	switch host {
	case "":
		return netip.IPv6Unspecified()
	case "localhost":
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	a, _ := netip.ParseAddr(host)
	return a.Unmap()
}
