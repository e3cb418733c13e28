package broker

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// monitor serves what machines ask of a server, besides what next does.
func (r *Running) monitor(next http.Handler) http.Handler {
	if r.cfg.NoMonitoring {
		return next
	}
	pages := map[string]func() (int, []byte){
		"/healthz": func() (int, []byte) { return http.StatusOK, []byte("ok\n") },
		"/readyz":  r.readiness,
		"/metrics": func() (int, []byte) { return http.StatusOK, appendMetrics(nil, r.Stats()) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		page := pages[req.URL.Path]
		if page == nil {
			next.ServeHTTP(w, req)
			return
		}
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "want GET", http.StatusMethodNotAllowed)
			return
		}
		status, text := page()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		w.WriteHeader(status)
		_, _ = w.Write(text) // a client that has gone asks again
	})
}

// readiness answers whether clients find everything: every proxy has its remote adapter at present.
func (r *Running) readiness() (int, []byte) {
	select {
	case <-r.stopping:
		return http.StatusServiceUnavailable, []byte("stopping\n")
	default:
	}
	var missing []byte
	for _, a := range r.adapters.stats() {
		if !a.Connected {
			missing = fmt.Appendf(missing, "not connected: Adapter Set %s, %s\n", a.Set, a.name())
		}
	}
	if missing != nil {
		return http.StatusServiceUnavailable, missing
	}
	return http.StatusOK, []byte("ready\n")
}

func (a *AdapterStats) name() string {
	if a.DataAdapter == "" {
		return "Metadata Adapter"
	}
	return "Data Adapter " + a.DataAdapter
}

// appendMetrics writes Stats in the text format of Prometheus. The only labels are the names of adapters, of which there are as many as the
// configuration has.
func appendMetrics(b []byte, s Stats) []byte {
	family := func(kind, name, help string) {
		b = fmt.Appendf(b, "# HELP lightstreamer_broker_%s %s\n# TYPE lightstreamer_broker_%s %s\n", name, help, name, kind)
	}
	one := func(kind, name, help string, value int64) {
		family(kind, name, help)
		b = fmt.Appendf(b, "lightstreamer_broker_%s %d\n", name, value)
	}
	one("gauge", "sessions", "Sessions there are.", int64(s.Sessions))
	one("gauge", "connections", "Stream connections with a session bound to them.", int64(s.Connections))
	one("gauge", "subscriptions", "Subscriptions there are.", int64(s.Subscriptions))
	one("gauge", "items", "Items subscribed with the Data Adapters.", int64(s.Items))
	one("gauge", "queue_bytes", "About how much waits to be sent to clients.", int64(s.QueueBytes))
	one("gauge", "history_bytes", "Lines kept for recoveries.", int64(s.HistoryBytes))
	one("counter", "sessions_created_total", "Sessions created.", s.Created)
	one("counter", "sessions_refused_total", "Sessions refused.", s.Refused)
	one("counter", "lines_total", "Data notifications written to clients.", s.Lines)
	one("counter", "updates_sent_total", "Updates written to clients.", s.Sent)
	one("counter", "updates_filtered_total", "Updates merged or dropped as subscriptions allow.", s.Filtered)
	one("counter", "updates_lost_total", "Updates dropped for want of room.", s.Lost)
	one("counter", "messages_total", "Messages of clients accepted.", s.Messages)
	adapters := func(kind, name, help string, value func(*AdapterStats) float64) {
		if len(s.Adapters) == 0 {
			return
		}
		family(kind, name, help)
		for i := range s.Adapters {
			a := &s.Adapters[i]
			b = fmt.Appendf(b, "lightstreamer_broker_%s{set=\"%s\",data_adapter=\"%s\"} %s\n", name, label(a.Set), label(a.DataAdapter),
				strconv.FormatFloat(value(a), 'f', -1, 64))
		}
	}
	adapters("gauge", "adapter_connected", "1 if the adapter is connected; data_adapter is empty for the Metadata Adapter.", func(a *AdapterStats) float64 {
		if a.Connected {
			return 1
		}
		return 0
	})
	adapters("gauge", "adapter_connected_since_seconds", "When the adapter was initialised, in seconds of Unix time; 0 if it is not connected.", func(a *AdapterStats) float64 {
		if !a.Connected {
			return 0
		}
		return float64(a.Since.UnixMilli()) / 1000
	})
	adapters("counter", "adapter_connections_total", "Connections of the adapter.", func(a *AdapterStats) float64 { return float64(a.Connections) })
	adapters("counter", "adapter_requests_total", "Requests sent to the adapter.", func(a *AdapterStats) float64 { return float64(a.Requests) })
	adapters("counter", "adapter_timeouts_total", "Requests not answered in time.", func(a *AdapterStats) float64 { return float64(a.TimedOut) })
	adapters("gauge", "adapter_waiting_requests", "Requests that wait to be sent.", func(a *AdapterStats) float64 { return float64(a.Waiting) })
	adapters("counter", "adapter_probes_total", "Peers at the adapter's port that were no adapter.", func(a *AdapterStats) float64 { return float64(a.Probes) })
	adapters("counter", "adapter_second_remotes_total", "Adapters turned down because one was connected.", func(a *AdapterStats) float64 { return float64(a.SecondRemotes) })
	adapters("counter", "adapter_maybe_lost_total", "Items whose clients were told that updates may be missing.", func(a *AdapterStats) float64 { return float64(a.MaybeLost) })
	adapters("counter", "adapter_notifications_total", "Events of items got from the adapter.", func(a *AdapterStats) float64 { return float64(a.Notifications) })
	return bytes.ToValidUTF8(b, []byte("\uFFFD"))
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// label escapes the value of a label.
func label(s string) string { return labelEscapes.Replace(s) }
