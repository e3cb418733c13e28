package prometheus_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/metrics/prometheus"
)

// Two servers are watched by one Collector; an HTTP handler tells what they do. In a program the servers then run, and the handler is
// at /metrics.
func Example() {
	feed := adapter.DataProviderFunc(func(context.Context, *adapter.Subscription) error { return nil })
	data := &adapter.DataServer{Provider: feed, Addr: "localhost:8001"}
	metadata := &adapter.MetadataServer{Provider: adapter.DefaultMetadata{}, Addr: "localhost:8003"}

	metrics := prometheus.NewCollector()
	for _, server := range []adapter.Runner{data, metadata} {
		if err := metrics.Watch("quotes", server); err != nil {
			fmt.Println(err)
			return
		}
	}
	registry := client.NewRegistry()
	registry.MustRegister(metrics)
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})

	page := httptest.NewRecorder()
	handler.ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(page.Body.String()) {
		if strings.HasPrefix(line, "lightstreamer_adapter_connected{") {
			fmt.Print(line)
		}
	}
	// Output:
	// lightstreamer_adapter_connected{adapter="quotes",kind="data"} 0
	// lightstreamer_adapter_connected{adapter="quotes",kind="metadata"} 0
}
