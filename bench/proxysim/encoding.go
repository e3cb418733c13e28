//go:build linux

package main

import (
	"bytes"
	"net/url"
	"strings"
)

// encoder encodes texts for the version that the adapter asked for.
type encoder struct{ old bool }

func (e encoder) text(s string) string {
	switch {
	case s == "":
		return "$"
	case e.old:
		return url.QueryEscape(s)
	}
	return smart.Replace(s)
}

var smart = strings.NewReplacer("|", "%7C", "%", "%25", "+", "%2B", "\r", "%0D", "\n", "%0A")

// params encodes a list of texts as they follow the name of a request.
func (e encoder) params(all ...string) string {
	var b strings.Builder
	for _, s := range all {
		b.WriteString("|S|" + e.text(s))
	}
	return b.String()
}

// decode accepts what any of the versions produces.
func decode(b []byte) string {
	if bytes.IndexByte(b, '%') < 0 && bytes.IndexByte(b, '+') < 0 {
		return string(b)
	}
	s, err := url.QueryUnescape(string(b))
	if err != nil {
		return string(b)
	}
	return s
}
