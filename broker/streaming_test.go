package broker

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A stream over each kind of HTTP, as a POST and as a GET: lines come at once, also after silences longer than any time limit of requests.
func TestHTTPStreaming(t *testing.T) {
	helper := httptest.NewUnstartedServer(nil)
	helper.StartTLS() // for its certificate
	t.Cleanup(helper.Close)
	trust := helper.Client().Transport.(*http.Transport).TLSClientConfig
	cleartext2 := new(http.Protocols)
	cleartext2.SetUnencryptedHTTP2(true)
	for _, tt := range []struct {
		name      string
		tls       *tls.Config
		transport *http.Transport
		proto     int
	}{
		{"HTTP/1.1", nil, &http.Transport{}, 1},
		{"HTTP/2", nil, &http.Transport{Protocols: cleartext2}, 2},
		{"HTTP/1.1 over TLS", &tls.Config{Certificates: helper.TLS.Certificates}, &http.Transport{TLSClientConfig: trust.Clone()}, 1},
		{"HTTP/2 over TLS", &tls.Config{Certificates: helper.TLS.Certificates}, &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}, 2},
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			t.Run(tt.name+" "+method, func(t *testing.T) {
				t.Parallel()
				const limit = 3 * time.Second // for the handshake, too, of all these tests at a time
				d := startDemo(t, Config{TLSConfig: tt.tls, ReadTimeout: limit, IdleTimeout: limit, WriteTimeout: patience})
				transport := tt.transport.Clone()
				client := &http.Client{Transport: transport}
				defer transport.CloseIdleConnections()
				request := func(name, params string) *http.Response {
					t.Helper()
					url, body := d.URL()+"/lightstreamer/"+name+".txt?LS_protocol=TLCP-2.5.0", ""
					if method == http.MethodGet {
						url += "&" + params
					} else {
						body = params
					}
					req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					resp, err := client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { resp.Body.Close() })
					if resp.ProtoMajor != tt.proto {
						t.Errorf("it speaks %s", resp.Proto)
					}
					return resp
				}
				stream := bufio.NewScanner(request("create_session", "LS_adapter_set=DEMO&LS_send_sync=false").Body)
				next := func(prefix string) string {
					t.Helper()
					if !stream.Scan() || !strings.HasPrefix(stream.Text(), prefix) {
						t.Fatalf("got %q, %v; want %s", stream.Text(), stream.Err(), prefix)
					}
					return stream.Text()
				}
				session := strings.Split(next("CONOK,"), ",")[1]
				for _, prefix := range []string{"SERVNAME,", "CLIENTIP,", "CONS,"} {
					next(prefix)
				}
				answer := bufio.NewScanner(request("control", "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_group=raw1&LS_schema=a&LS_session="+session).Body)
				if !answer.Scan() || answer.Text() != "REQOK,1" {
					t.Fatalf("got %q", answer.Text())
				}
				next("SUBOK,")
				next("CONF,")
				for i := range 3 {
					if i == 1 {
						<-time.After(limit + limit/5)
					}
					d.data.update(t, "raw1", "a", fmt.Sprint(i))
					next(fmt.Sprintf("U,1,1,%d", i))
				}
			})
		}
	}
}
