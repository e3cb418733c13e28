package main

import (
	"fmt"
	"net/http"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// stater is what *adapter.DataServer and *adapter.MetadataServer have in common.
type stater interface{ Stats() adapter.Stats }

// probes returns the handler of the liveness and the readiness probe of some servers.
//
// The process is live as long as it answers: it connects again by itself, so a restart would not bring the server back any sooner; and
// when there is no point in going on, Run returns and the process ends. It is ready when every server is connected and
// initialised.
func probes(servers ...stater) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		for _, s := range servers {
			if stats := s.Stats(); !stats.Initialised {
				w.WriteHeader(http.StatusServiceUnavailable)
				fmt.Fprintf(w, "not ready: connected %t, connections %d, failures %d\n", stats.Connected, stats.Connections, stats.Failures)
				return
			}
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}
