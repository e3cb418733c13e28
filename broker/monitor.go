package broker

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
)

// page is a page for monitoring.
type page func() (status int, text []byte)

// pages are those that machines ask a server for, by their paths.
func (r *Running) pages() map[string]page {
	return map[string]page{
		"/healthz": func() (int, []byte) { return http.StatusOK, []byte("ok\n") },
		"/readyz":  r.readiness,
		"/metrics": func() (int, []byte) { return http.StatusOK, appendMetrics(nil, r.Stats()) },
	}
}

// servePage answers with a page for monitoring; last says that the connection is to end with it.
func (f *frontend) servePage(w http.ResponseWriter, r *http.Request, p page, last bool) {
	f.linger(w, r)
	if last && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	if !f.access.host(r) {
		f.refuse(w, r, http.StatusForbidden, "host not allowed: "+forbiddenHost)
		return
	}
	if r.Header.Get("Origin") != "" { // without one nothing is told to the page that asks
		origin := f.access.page(r)
		cors(w.Header(), origin)
		if !origin.allowed {
			f.refuse(w, r, http.StatusForbidden, "origin not allowed: "+forbiddenOrigin)
			return
		}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		f.refuse(w, r, http.StatusMethodNotAllowed, "want GET")
		return
	}
	status, text := p()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone asks again
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
	one("gauge", "goroutines", "Goroutines of the process.", int64(runtime.NumGoroutine()))
	one("gauge", "pending_bytes", "What waits of messages and control requests of clients.", s.PendingBytes)
	one("gauge", "memory_bytes", "About what sessions and items hold in memory.", s.Memory)
	one("gauge", "memory_limit_bytes", "How much of it there may be.", s.MemoryLimit)
	one("counter", "subscriptions_shed_total", "Subscriptions ended for want of memory.", s.Shed)
	one("counter", "sessions_created_total", "Sessions created.", s.Created)
	one("counter", "sessions_refused_total", "Sessions refused.", s.Refused)
	one("counter", "lines_total", "Data notifications written to clients.", s.Lines)
	one("counter", "updates_sent_total", "Updates written to clients.", s.Sent)
	one("counter", "updates_filtered_total", "Updates merged or dropped as subscriptions allow.", s.Filtered)
	one("counter", "updates_lost_total", "Updates dropped for want of room.", s.Lost)
	one("counter", "messages_total", "Messages of clients accepted.", s.Messages)
	b = s.Front.appendMetrics(b)
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
	adapters("counter", "adapter_tls_refused_total", "TLS handshakes with peers at the adapter's port that failed.", func(a *AdapterStats) float64 { return float64(a.TLSRefused) })
	one("counter", "audit_dropped_total", "Events that the audit log did not get.", s.AuditDropped)
	one("counter", "tls_refused_total", "TLS handshakes of clients that failed.", s.TLSRefused)
	if len(s.Certificates) > 0 {
		family("gauge", "certificate_not_after_seconds", "When a certificate in use ends, in seconds of Unix time; of those trusted for a purpose the first end.")
	}
	for i := range s.Certificates {
		c := &s.Certificates[i]
		b = fmt.Appendf(b, "lightstreamer_broker_certificate_not_after_seconds{of=\"%s\",use=\"%s\",set=\"%s\",data_adapter=\"%s\"} %d\n",
			c.of(), c.use(), label(c.Set), label(c.DataAdapter), c.NotAfter.Unix())
	}
	return bytes.ToValidUTF8(b, []byte("\uFFFD"))
}

// appendMetrics writes what the front has refused, by reasons.
func (s *FrontStats) appendMetrics(b []byte) []byte {
	one := func(kind, name, help string, value int64) {
		b = fmt.Appendf(b, "# HELP lightstreamer_broker_%s %s\n# TYPE lightstreamer_broker_%s %s\nlightstreamer_broker_%s %d\n",
			name, help, name, kind, name, value)
	}
	type reason struct {
		name  string
		count int64
	}
	many := func(name, help string, reasons ...reason) {
		b = fmt.Appendf(b, "# HELP lightstreamer_broker_%s %s\n# TYPE lightstreamer_broker_%s counter\n", name, help, name)
		for _, r := range reasons {
			b = fmt.Appendf(b, "lightstreamer_broker_%s{reason=\"%s\"} %d\n", name, r.name, r.count)
		}
	}
	one("gauge", "client_connections", "Connections of clients that are open.", s.Open)
	many("client_connections_refused_total", "Connections of clients refused, by reason.",
		reason{"address", s.RefusedByAddress}, reason{"rate", s.RefusedByRate}, reason{"limit", s.RefusedByLimit},
		reason{"descriptors", s.RefusedByDescriptors})
	one("counter", "accept_failures_total", "Failures of the system to accept a client.", s.AcceptFailures)
	many("requests_refused_total", "Requests of clients refused, by reason.",
		reason{"origin", s.Origins}, reason{"host", s.Hosts}, reason{"address", s.RequestsByAddress},
		reason{"memory", s.RequestsByMemory}, reason{"body", s.RequestsByBody},
		reason{"given_up", s.RequestsGivenUp})
	many("client_timeouts_total", "Requests that did not arrive in time, and writes that were not read in time.",
		reason{"request", s.RequestTimeouts}, reason{"write", s.WriteTimeouts})
	one("counter", "sockets_cut_total", "WebSockets cut for what was sent on them, or not read.", s.Sockets)
	return b
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// label escapes the value of a label.
func label(s string) string { return labelEscapes.Replace(s) }
