package testset

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"io"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// TestStart has a client of the protocol, as plain as can be, poll once: both kinds of connection work, and end.
func TestStart(t *testing.T) {
	for name, inProcess := range map[string]bool{"TCP": false, "in process": true} {
		t.Run(name, func(t *testing.T) {
			r, err := Start(t.Context(), Config{InProcess: inProcess, More: map[string]adapter.Set{"MORE": {Metadata: &adapter.LiteralMetadata{}}}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			stats := r.Broker.Stats().Adapters
			if len(stats) != 11 { // ours are ten
				t.Errorf("%d adapters", len(stats))
			}
			for _, a := range stats {
				if !a.Connected || a.InProcess != (inProcess || a.Set == "MORE") {
					t.Errorf("%+v", a)
				}
			}
			for set, want := range map[string]string{ID: "CONOK,", "MORE": "CONOK,", "NONE": "CONERR,2,"} {
				form := url.Values{"LS_adapter_set": {set}, "LS_polling": {"true"}, "LS_polling_millis": {"0"}, "LS_idle_millis": {"0"}, "LS_cid": {"test"}}
				response, err := http.PostForm(r.URL+"/lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0", form)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || !strings.HasPrefix(string(body), want) {
					t.Errorf("a session of %s begins with %q, %v", set, body, err)
				}
			}
			r.Close()
			<-r.Broker.Done()
			r.Close() // once more does no harm
		})
	}
}

func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Start(t.Context(), Config{Addr: taken.Addr().String()}); err == nil {
		t.Error("started at an address that is taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	switch r, err := Start(ctx, Config{}); {
	case err == nil:
		r.Close() // it was quicker than the look at the context
	case !errors.Is(err, context.Canceled):
		t.Errorf("the error does not tell of the context: %v", err)
	}
}
