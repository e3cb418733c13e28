package broker

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// awaitEvent returns the next event of a kind.
func awaitEvent(t *testing.T, events <-chan AuditEvent, kind string) AuditEvent {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case e := <-events:
			if e.Event == kind {
				return e
			}
		case <-late:
			t.Fatalf("no %s", kind)
		}
	}
}

// Adapters that come, go and are refused are noted with where they come from and as whom.
func TestAuditOfAdapters(t *testing.T) {
	set := xmlSet(t, literalXML, strings.Replace(robustData, "</data_provider>", `<param name="auth">Y</param>
		<param name="auth.credentials.1.user">u</param><param name="auth.credentials.1.password">secret</param>
		<param name="connection_recovery_timeout_millis">0</param></data_provider>`, 1))
	events := make(chan AuditEvent, 100)
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}, Audit: func(e AuditEvent) { events <- e }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if e := awaitEvent(t, events, AuditStarted); e.Address != r.Addr().String() || e.Time.IsZero() {
		t.Errorf("started: %+v", e)
	}
	server := func(password adapter.Password) *adapter.DataServer {
		return &adapter.DataServer{
			Provider: quotes{}, Addr: r.Adapters()[0].Addr.String(),
			Credentials: adapter.StaticCredentials("u", password),
		}
	}
	check := func(e AuditEvent, user, text string) {
		t.Helper()
		if e.Set != "DEMO" || e.DataAdapter != "QUOTES" || e.User != user || !strings.HasPrefix(e.Address, "127.0.0.1:") || !strings.Contains(e.Text, text) {
			t.Errorf("got %+v", e)
		}
		if b, err := json.Marshal(e); err != nil || strings.Contains(string(b), "secret") || strings.Contains(string(b), "wrong-") {
			t.Errorf("as JSON: %s, %v", b, err)
		}
	}
	stop := run(t, server("secret"))
	check(awaitEvent(t, events, AuditAdapterConnected), "u", "")
	second, err := net.Dial("tcp", r.Adapters()[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	_, _ = io.Copy(io.Discard, second) // until it is closed
	check(awaitEvent(t, events, AuditAdapterRefused), "", "there is a remote adapter already")
	stop()
	check(awaitEvent(t, events, AuditAdapterLost), "u", "")
	run(t, server("wrong-one"))
	check(awaitEvent(t, events, AuditAdapterRefused), "u", "refused")
	r.Close()
	if e := awaitEvent(t, events, AuditStopped); e.Text != "" {
		t.Errorf("stopped: %+v", e)
	}
}

// A client without TLS at an address with TLS is noted with what is wrong.
func TestAuditOfHandshakes(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys.pem")
	put(t, keys, newIssuer(t, "server", time.Now().Add(time.Hour)).text)
	events := make(chan AuditEvent, 100)
	d := startDemo(t, Config{TLSFiles: &TLSFiles{Certificate: keys, Key: keys}, Audit: func(e AuditEvent) { events <- e }})
	if conn, err := tls.Dial("tcp", d.Addr().String(), &tls.Config{}); err == nil {
		conn.Close()
		t.Error("the certificate is trusted")
	}
	if e := awaitEvent(t, events, AuditClientRefused); !strings.HasPrefix(e.Address, "127.0.0.1:") || e.By != "tls" || !strings.Contains(e.Text, "certificate") {
		t.Errorf("got %+v", e)
	}
}

// Nobody waits for an audit log that is slow, or that hangs; what it has not got is counted.
func TestAuditNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []AuditEvent
		open := make(chan struct{})
		a := startAuditor(func(e AuditEvent) {
			<-open
			got = append(got, e)
		})
		long := strings.Repeat("x", 100_000)
		for range 5000 {
			a.put(AuditEvent{Event: AuditSessionEnded, User: long})
		}
		synctest.Wait()
		if n := a.lost(); n != 5000-auditRoom && n != 5000-auditRoom-1 {
			t.Errorf("%d of 5000 lost", n)
		}
		lost := a.lost()
		close(open)
		synctest.Wait()
		a.put(AuditEvent{Event: AuditStopped})
		a.close()
		a.put(AuditEvent{Event: AuditStopped}) // after the end
		var told int64
		for _, e := range got {
			told += e.Dropped
		}
		if last := got[len(got)-1]; last.Event != AuditStopped || told != lost || int64(len(got)) != 5001-lost || len(got[0].User) > 256 {
			t.Errorf("%d events, %d told as dropped of %d, the last %+v", len(got), told, lost, last)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		hanging := make(chan struct{})
		a := startAuditor(func(AuditEvent) { <-hanging })
		a.put(AuditEvent{Event: AuditStarted})
		begin := time.Now()
		a.close()
		if took := time.Since(begin); took > auditGrace {
			t.Errorf("the end took %v", took)
		}
		close(hanging)
	})
}

// Who has himself refused all the time does not fill a disk, nor hide what others do.
func TestAuditBoundsRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []AuditEvent
		a := startAuditor(func(e AuditEvent) { got = append(got, e) })
		for range 10 {
			for range 10_000 {
				a.put(AuditEvent{Event: AuditClientRefused})
			}
			a.put(AuditEvent{Event: AuditSessionCreated})
			<-time.After(time.Second)
		}
		a.close()
		created := 0
		for _, e := range got {
			if e.Event == AuditSessionCreated {
				created++
				if e.Dropped != 10_000-auditRefusals {
					t.Errorf("%d dropped", e.Dropped)
				}
			}
		}
		if created != 10 || len(got) != 10*(auditRefusals+1) {
			t.Errorf("%d events, %d created", len(got), created)
		}
	})
}

// Sessions are noted with who they are of and what became of them, and never with what would take
// them over.
func TestAuditOfSessions(t *testing.T) {
	events := make(chan AuditEvent, 100)
	d := startDemo(t, Config{Audit: func(e AuditEvent) { events <- e }, Limits: Limits{Sessions: 1}})
	create := func(user string) string {
		t.Helper()
		resp, err := http.Post(d.URL()+"/lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0", "text/plain",
			strings.NewReader("LS_adapter_set=DEMO&LS_polling=true&LS_polling_millis=0&LS_cid=mgQkwtwdysogQz2BJ4Ji%20kOj2Bg&LS_password=hunter2&LS_user="+user))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	check := func(kind string, want AuditEvent, secrets ...string) {
		t.Helper()
		e := awaitEvent(t, events, kind)
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range append(secrets, "hunter2") {
			if strings.Contains(string(text), secret) {
				t.Errorf("the secret %q is in %s", secret, text)
			}
		}
		if !strings.HasPrefix(e.Address, "127.0.0.1:") || e.Time.IsZero() || want.Code != 0 && e.Text == "" {
			t.Errorf("got %+v", e)
		}
		e.Time, e.Address, e.Text = time.Time{}, "", ""
		if want.Event = kind; e != want {
			t.Errorf("got  %+v\nwant %+v", e, want)
		}
	}
	create("mallory")
	check(AuditSessionRefused, AuditEvent{User: "mallory", Set: "DEMO", By: "adapter", Code: 1})
	conok := create("ann")
	id := strings.Split(conok, ",")[1]
	check(AuditSessionCreated, AuditEvent{User: "ann", Set: "DEMO", Session: id[:9]}, id)
	create("bob")
	check(AuditSessionRefused, AuditEvent{User: "bob", Set: "DEMO", By: "Sessions", Code: 6})
	resp, err := http.Post(d.URL()+"/lightstreamer/control.txt?LS_protocol=TLCP-2.5.0", "text/plain",
		strings.NewReader("LS_op=destroy&LS_reqId=1&LS_session="+id))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	check(AuditSessionEnded, AuditEvent{User: "ann", Set: "DEMO", Session: id[:9], By: "client", Code: 31}, id)
}

// What the front refuses is noted with the limit or the rule that has refused it.
func TestAuditOfTheFront(t *testing.T) {
	events := make(chan AuditEvent, 100)
	d := startDemo(t, Config{
		Audit: func(e AuditEvent) { events <- e }, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Limits: Limits{AddressConnections: 1},
	})
	ask := func(headers ...string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL()+"/lightstreamer/heartbeat.txt?LS_protocol=TLCP-2.5.0", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		if headers[0] == "Host" {
			req.Host = headers[1]
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	check := func(want AuditEvent) {
		t.Helper()
		e := awaitEvent(t, events, AuditClientRefused)
		if !strings.HasPrefix(e.Address, "127.0.0.1:") || want.Text != "" && !strings.Contains(e.Text, want.Text) {
			t.Errorf("got %+v", e)
		}
		if e.By != want.By || e.Origin != want.Origin || e.Forwarded != want.Forwarded {
			t.Errorf("got  %+v\nwant %+v", e, want)
		}
	}
	ask("Origin", "https://evil.example")
	check(AuditEvent{By: "AllowedOrigins", Origin: "https://evil.example"})
	ask("Host", "evil.example")
	check(AuditEvent{By: "AllowedHosts", Text: "evil.example"})

	// One request of the address behind the proxy is held up by its body.
	body, rest := io.Pipe()
	defer rest.Close()
	held, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL()+"/lightstreamer/control.txt?LS_protocol=TLCP-2.5.0", body)
	if err != nil {
		t.Fatal(err)
	}
	held.Header.Set("X-Forwarded-For", "192.0.2.1")
	go func() { // ends when the body does
		if resp, err := http.DefaultClient.Do(held); err == nil {
			resp.Body.Close()
		}
	}()
	if _, err := rest.Write([]byte("LS_op=")); err != nil { // the request is on its way
		t.Fatal(err)
	}
	refused := d.Stats().Front.RequestsByAddress
	for late := time.After(patience); d.Stats().Front.RequestsByAddress == refused; {
		ask("X-Forwarded-For", "192.0.2.1")
		select {
		case <-late:
			t.Fatal("nothing is refused")
		default:
		}
	}
	check(AuditEvent{By: "AddressConnections", Forwarded: "192.0.2.1", Text: "too many"})
}
