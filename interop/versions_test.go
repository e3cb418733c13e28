//go:build interop

package interop

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// announced are the versions that a proxy may name in the init request; empty: none, which means 1.8.0.
var announced = []string{"", "1.8.0", "1.8.1", "1.8.3", "1.9.0", "1.9.1", "2.0.0"}

const negotiation = "init: versions announced, answered"

// negotiate has an adapter started for each version, on each side, and writes down what it answers: a version, or the kind of
// error. The text of a refusal is each SDK's own.
func negotiate(t *testing.T, ports int, start func(t *testing.T, ch ari.Channel, at []net.Listener)) []string {
	t.Helper()
	var answers []string
	for _, ch := range []ari.Channel{ari.Metadata, ari.Data} {
		for _, version := range announced {
			t.Run(fmt.Sprint(ch, " ", version), func(t *testing.T) {
				n := 1
				if ch == ari.Data {
					n = ports
				}
				at := listenForPeer(t, n)
				start(t, ch, at)
				w := acceptPeer(t, ch, at)
				params := []ari.Param{{Name: ari.ParamAdaptersConfID, Value: ari.T("LAB")}}
				if version != "" {
					params = append(params, ari.Param{Name: ari.ParamVersion, Value: ari.T(version)})
				}
				w.send(ari.AppendInit(nil, initID, ch, params))
				answers = append(answers, fmt.Sprintf("%v %q: %s", ch, version, w.initAnswer()))
			})
		}
	}
	return answers
}

// initAnswer is what the adapter makes of the init request.
func (w *wire) initAnswer() string {
	w.t.Helper()
	var reply string
	w.await("init", func(lines []string) bool {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, initID+"|") })
		if i >= 0 {
			reply = lines[i]
		}
		return i >= 0
	})
	l, err := ari.ParseLine([]byte(reply))
	if err != nil {
		w.t.Fatal(err)
	}
	if f, refused, err := ari.ParseError(l.Method, l.Body, 0); refused || err != nil {
		return fmt.Sprintf("refused, kind %q (%v)", f.Kind, err)
	}
	r, err := ari.ParseInitReply(l.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := ari.Accept(r)
	return fmt.Sprint(v, " ", err)
}

// negotiated is the row of the transcripts that is about versions.
func negotiated(t *testing.T, peer string, o *outcome) {
	ports := 1
	if peer == "node" {
		ports = 2
	}
	their := negotiate(t, ports, func(t *testing.T, ch ari.Channel, at []net.Listener) {
		var s settings
		if ch == ari.Metadata {
			s.Metadata = address(at[0].Addr())
		} else {
			s.Data = address(at[0].Addr())
		}
		if len(at) > 1 {
			s.Notify = address(at[1].Addr())[1].(int)
		}
		startPeer(t, peer, s)
	})
	our := negotiate(t, 1, func(t *testing.T, ch ari.Channel, at []net.Listener) {
		var server adapter.Runner = &adapter.DataServer{Provider: goData{peer}, Addr: at[0].Addr().String(), Reconnect: adapter.NoReconnect}
		if ch == ari.Metadata {
			server = &adapter.MetadataServer{Provider: &goMetadata{peer: peer}, Addr: at[0].Addr().String(), Reconnect: adapter.NoReconnect}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		t.Cleanup(func() { cancel(); running.Wait() })
		running.Go(func() { _ = server.Run(ctx) }) // a refusal is its end
	})
	compare(t, o, intended[peer][negotiation], their, our, ari.Latest, ari.Latest)
}
