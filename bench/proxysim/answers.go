//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// answers sends a series of SUB or USB requests whose ids follow one another, and checks the replies: each has to come, once.
type answers struct {
	verb   string
	base   int64
	suffix []byte
	seen   []bool
	got    int
	at     int64 // when the last one came
}

const (
	subBase = 0x10000000000
	usbBase = 0x20000000000
	idLen   = 11 // of the ids of both series
)

func newAnswers(verb string, base int64, n int) *answers {
	return &answers{verb: verb, base: base, suffix: []byte("|" + verb + "|V"), seen: make([]bool, n)}
}

// requests returns all requests.
func (a *answers) requests() []byte {
	req := make([]byte, 0, 40*len(a.seen))
	for i := range len(a.seen) {
		req = strconv.AppendInt(req, a.base+int64(i), 16)
		req = append(req, "|"+a.verb+"|S|item-"...) // needs no escapes in any version
		req = strconv.AppendInt(req, int64(i), 10)
		req = append(req, "\r\n"...)
	}
	return req
}

// send writes requests from a goroutine, since the replies have to be read meanwhile. The channel gets the outcome.
func send(l *link, req []byte) <-chan error {
	written := make(chan error, 1)
	go func() { written <- l.write(req) }()
	return written
}

// take checks a line that came at the time now. It tells whether the line is a reply of the kind.
func (a *answers) take(line []byte, now int64) (mine bool, err error) {
	if !bytes.HasSuffix(line, a.suffix) {
		return false, nil
	}
	id, err := strconv.ParseInt(string(line[:len(line)-len(a.suffix)]), 16, 64)
	k := id - a.base
	if err != nil || k < 0 || k >= int64(len(a.seen)) || a.seen[k] {
		return true, fmt.Errorf("unexpected reply %.200q", line)
	}
	a.seen[k] = true
	a.got++
	a.at = now
	return true, nil
}

func (a *answers) complete() bool { return a.got == len(a.seen) }
