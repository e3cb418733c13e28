package broker

import (
	"bufio"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

func TestResponseHeaders(t *testing.T) {
	d := startDemo(t, Config{})
	for _, name := range []string{"create_session", "bind_session", "control", "msg", "heartbeat"} {
		resp := postResponse(t, d, name, "", "LS_adapter_set=DEMO&LS_polling=true&LS_polling_millis=0&LS_session=S1")
		resp.Body.Close()
		for header, want := range map[string]string{
			"Content-Type": "text/enriched; charset=UTF-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store, no-transform, no-cache",
			"Pragma": "no-cache", "X-Accel-Buffering": "no", "Access-Control-Allow-Origin": "",
		} {
			if got := resp.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		if when, err := http.ParseTime(resp.Header.Get("Expires")); err != nil || when.Year() != 1970 {
			t.Errorf("%s: Expires %v, %v", name, when, err)
		}
	}
}

// Without a configuration only pages of the broker itself and of this machine may use it; cookies
// may be sent by configured pages only.
func TestOrigins(t *testing.T) {
	const page, other = "http://page.example:9999", "http://evil.example"
	for _, tt := range []struct {
		name    string
		allowed []string
		origin  string
		ok      bool
		cookies bool
	}{
		{name: "another", origin: other},
		{name: "another, none listed", allowed: []string{}, origin: other},
		{name: "listed", allowed: []string{page}, origin: page, ok: true, cookies: true},
		{name: "listed with the default port", allowed: []string{"http://EVIL.example:80"}, origin: other, ok: true, cookies: true},
		{name: "listed by another scheme", allowed: []string{"https://evil.example"}, origin: other},
		{name: "not listed", allowed: []string{page}, origin: other},
		{name: "all", allowed: []string{"*", page}, origin: other, ok: true},
		{name: "all, and listed", allowed: []string{"*", page}, origin: page, ok: true, cookies: true},
		{name: "no origin", allowed: []string{page}, ok: true},
		{name: "same", origin: "http://HOST", ok: true},
		{name: "same behind TLS", origin: "https://HOST", ok: true},
		{name: "localhost", origin: "http://localhost:3000", ok: true},
		{name: "below localhost", origin: "https://app.localhost", ok: true},
		{name: "loopback", origin: "http://127.9.9.9:1", ok: true},
		{name: "loopback of IPv6", origin: "https://[::1]:3000", ok: true},
		{name: "like localhost", origin: "http://localhost.evil.example"},
		{name: "like loopback", origin: "http://127.0.0.1.evil.example"},
		{name: "another scheme on this machine", origin: "capacitor://localhost"},
		{name: "null", origin: "null"},
		{name: "null, all", allowed: []string{"*"}, origin: "null", ok: true},
		{name: "null, listed", allowed: []string{"null"}, origin: "null", ok: true, cookies: true},
		{name: "no URL", origin: "://"},
		{name: "long", origin: "http://" + strings.Repeat("x", 10_000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := startDemo(t, Config{AllowedOrigins: tt.allowed})
			host := d.Addr().String()
			origin := strings.Replace(tt.origin, "HOST", host, 1)
			do := func(method, path string) *httptest.ResponseRecorder {
				req := httptest.NewRequest(method, "http://"+host+path, strings.NewReader("\r\n"))
				req.Header.Set("Access-Control-Request-Headers", "x-tok")
				if origin != "" {
					req.Header.Set("Origin", origin)
				}
				w := httptest.NewRecorder()
				d.front.ServeHTTP(w, req)
				return w
			}
			const heartbeat = "/lightstreamer/heartbeat.txt?LS_protocol=TLCP-2.5.0"
			w := do(http.MethodPost, heartbeat)
			body, echo, cookies := "", "", ""
			if tt.ok {
				body, echo = "REQOK\r\n", origin
			}
			if tt.cookies {
				cookies = "true"
			}
			if w.Code != http.StatusOK || w.Body.String() != body || w.Header().Get("Access-Control-Allow-Origin") != echo {
				t.Errorf("status %d, %q, %v", w.Code, w.Body, w.Header())
			}
			if w.Header().Get("Access-Control-Allow-Credentials") != cookies || origin != "" && w.Header().Get("Vary") != "Origin" {
				t.Errorf("header %v", w.Header())
			}
			w = do(http.MethodOptions, heartbeat)
			methods, headers := "", ""
			if tt.ok {
				methods, headers = "POST", "x-tok"
			}
			if w.Header().Get("Access-Control-Allow-Methods") != methods || w.Header().Get("Access-Control-Allow-Headers") != headers || w.Body.Len() > 0 {
				t.Errorf("preflight %v", w.Header())
			}
			if w = do(http.MethodGet, "/metrics"); tt.ok != (w.Code == http.StatusOK) {
				t.Errorf("monitoring: status %d", w.Code)
			}
			header := http.Header{}
			if origin != "" {
				header.Set("Origin", origin)
			}
			conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Subprotocol: tlcp.Latest.Subprotocol(), Header: header})
			if tt.ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "status 403") {
				t.Errorf("WebSocket: %v", err)
			}
			if err == nil {
				conn.CloseNow()
			}
			if refused := d.Stats().Front.Origins; tt.ok != (refused == 0) {
				t.Errorf("%d origins refused", refused)
			}
		})
	}
}

func TestOtherPaths(t *testing.T) {
	d := startDemo(t, Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "page "+r.URL.Path)
	})})
	for _, tt := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/", 200, "page /"},
		{"GET", "/index.html", 200, "page /index.html"},
		{"GET", "/lightstreamerx", 200, "page /lightstreamerx"},
		{"POST", "/lightstreamer/wsok.txt", 404, "no such request*"},
		{"POST", "/lightstreamer/control", 404, "no such request*"},
		{"POST", "/lightstreamer/fly.txt", 404, "no such request*"},
		{"PUT", "/lightstreamer/control.txt", 405, "want POST\n"},
		{"GET", "/lightstreamer", 400, "WebSocket subprotocol missing*"},
		{"GET", "/lightstreamer/heartbeat.txt?LS_protocol=TLCP-2.5.0", 200, "REQOK\r\n"},
		{"GET", "/lightstreamer/control.txt?LS_protocol=TLCP-2.5.0&LS_session=S1&LS_reqId=3&LS_op=destroy", 200, "REQERR,3,20,Session not found\r\n"},
	} {
		w := httptest.NewRecorder()
		d.front.ServeHTTP(w, httptest.NewRequest(tt.method, "http://localhost"+tt.path, nil))
		if w.Code != tt.code || !matches(w.Body.String(), tt.body) {
			t.Errorf("%s %s: status %d, %q", tt.method, tt.path, w.Code, w.Body)
		}
	}
}

// What the Metadata Adapter learns of a client.
func TestClientData(t *testing.T) {
	d := startDemo(t, Config{})
	conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{
		Subprotocol: tlcp.Latest.Subprotocol(), Header: http.Header{"X-Tok": {"abc", "def"}, "User-Agent": {"test/1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.WriteText([]byte("create_session\r\nLS_adapter_set=DEMO&LS_user=Ann+B&LS_password=p%2Bw"))
	if m, err := conn.ReadText(); err != nil || !strings.HasPrefix(string(m), "CONOK,") {
		t.Fatalf("got %q, %v", m, err)
	}
	d.metadata.mu.Lock()
	defer d.metadata.mu.Unlock()
	if len(d.metadata.users) != 1 {
		t.Fatalf("%d users", len(d.metadata.users))
	}
	u := d.metadata.users[0]
	if u.Name.S != "Ann B" || u.Password.S != "p+w" || u.Headers["x-tok"] != "abc, def" || u.Headers["user-agent"] != "test/1" ||
		u.Headers["host"] != d.Addr().String() || u.Headers["REQUEST_ID"] == "" || u.Principal != nil {
		t.Errorf("got %+v", u)
	}
}

// On an address that asks for client certificates the Metadata Adapter learns whose it is, or that there was none.
func TestPrincipal(t *testing.T) {
	helper := httptest.NewUnstartedServer(nil)
	helper.StartTLS() // for its certificate
	defer helper.Close()
	trust := helper.Client().Transport.(*http.Transport).TLSClientConfig
	cert, pool := clientCertificate(t)
	d := startDemo(t, Config{TLSConfig: &tls.Config{
		Certificates: helper.TLS.Certificates, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool,
	}})
	principal := func(certs ...tls.Certificate) *provider.Text {
		t.Helper()
		config := trust.Clone()
		config.Certificates = certs
		conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Subprotocol: tlcp.Latest.Subprotocol(), TLS: config})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		conn.WriteText([]byte("create_session\r\nLS_adapter_set=DEMO"))
		if _, err := conn.ReadText(); err != nil {
			t.Fatal(err)
		}
		d.metadata.mu.Lock()
		defer d.metadata.mu.Unlock()
		return d.metadata.users[len(d.metadata.users)-1].Principal
	}
	if p := principal(); p == nil || !p.Null {
		t.Errorf("without a certificate: %+v", p)
	}
	if p := principal(cert); p == nil || p.Null || p.S != "CN=ann" {
		t.Errorf("with a certificate: %+v", p)
	}
}

// clientCertificate makes a certificate, and the pool that trusts it.
func clientCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ann"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}

func TestURL(t *testing.T) {
	r, err := Start(t.Context(), Config{Addr: ":0"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if want := fmt.Sprintf("http://localhost:%d", r.Addr().(*net.TCPAddr).Port); r.URL() != want {
		t.Errorf("got %s, want %s", r.URL(), want)
	}
}

// HTTP/2 without TLS, and HTTP/1.1 and WebSocket with it.
func TestProtocols(t *testing.T) {
	const create = "LS_adapter_set=DEMO&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0"
	check := func(t *testing.T, d *demo, client *http.Client, proto int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL()+"/lightstreamer/create_session.txt?LS_protocol=TLCP-2.5.0", strings.NewReader(create))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.ProtoMajor != proto || !strings.HasPrefix(string(body), "CONOK,") || !strings.HasSuffix(string(body), "LOOP,0\r\n") {
			t.Errorf("%s: %q, %v", resp.Proto, body, err)
		}
	}
	t.Run("cleartext", func(t *testing.T) {
		d := startDemo(t, Config{})
		h2 := new(http.Protocols)
		h2.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: h2}
		defer transport.CloseIdleConnections()
		check(t, d, &http.Client{Transport: transport}, 2)
		check(t, d, http.DefaultClient, 1)
	})
	t.Run("TLS", func(t *testing.T) {
		helper := httptest.NewUnstartedServer(nil)
		helper.StartTLS() // for its certificate
		defer helper.Close()
		own := &tls.Config{Certificates: helper.TLS.Certificates}
		d := startDemo(t, Config{TLSConfig: own})
		if !strings.HasPrefix(d.URL(), "https://127.0.0.1:") {
			t.Errorf("URL %s", d.URL())
		}
		defer func() {
			if own.NextProtos != nil || own.CipherSuites != nil {
				t.Errorf("the broker has changed a configuration that is not its own: %q", own.NextProtos)
			}
		}()
		trust := helper.Client().Transport.(*http.Transport).TLSClientConfig
		for proto, h2 := range map[int]bool{1: false, 2: true} {
			transport := &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: h2}
			defer transport.CloseIdleConnections()
			check(t, d, &http.Client{Transport: transport}, proto)
		}
		conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Subprotocol: tlcp.Latest.Subprotocol(), TLS: trust.Clone()})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		conn.WriteText([]byte("wsok"))
		if m, err := conn.ReadText(); err != nil || string(m) != "WSOK\r\n" {
			t.Errorf("got %q, %v", m, err)
		}
	})
}

// The flow over HTTP ends with LOOP when the content length is reached, and goes on after the next bind without a gap.
func TestContentLength(t *testing.T) {
	d := startDemo(t, Config{})
	created := post(t, d, "create_session", "", "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0&LS_adapter_set=DEMO")
	session := strings.Split(created, ",")[1]
	if got := post(t, d, "control", "&LS_session="+session, "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_group=raw1&LS_schema=a"); got != "REQOK,1\r\n" {
		t.Fatalf("got %q", got)
	}
	const total = 100
	go func() {
		for i := range total {
			d.data.update(t, "raw1", "a", fmt.Sprintf("%090d", i))
		}
	}()
	for next := 0; next < total; {
		// The last bodies would not fill up: a poll takes what is left.
		mode := "&LS_content_length=1500&LS_send_sync=false"
		if next > total-20 {
			mode = "&LS_polling=true&LS_polling_millis=0&LS_idle_millis=10000"
		}
		body := post(t, d, "bind_session", "", "LS_session="+session+mode)
		if !strings.HasSuffix(body, "\r\nLOOP,0\r\n") || next <= total-20 && len(body) > 1500 {
			t.Fatalf("a body of %d bytes: %q", len(body), body)
		}
		for line := range strings.SplitSeq(body, "\r\n") {
			if !strings.HasPrefix(line, "U,") {
				continue
			}
			if want := fmt.Sprintf("U,1,1,%090d", next); line != want {
				t.Fatalf("got %q, want %q", line, want)
			}
			next++
		}
	}
}

// A client that has lost the answer to a bind, and whose network layer has sent the bind again, learns that the flow goes on further than it knows.
func TestLostAnswer(t *testing.T) {
	for _, mode := range []string{"&LS_polling=true&LS_polling_millis=0&LS_idle_millis=10000", "&LS_send_sync=false", "&LS_reduce_head=true&LS_send_sync=false"} {
		t.Run(strings.TrimPrefix(mode, "&"), func(t *testing.T) {
			d := startDemo(t, Config{})
			created := post(t, d, "create_session", "", "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0&LS_adapter_set=DEMO")
			if strings.Contains(created, "PROG") {
				t.Errorf("the creation answered %q", created)
			}
			session := strings.Split(created, ",")[1]
			if got := post(t, d, "control", "&LS_session="+session, "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_group=raw1&LS_schema=a"); got != "REQOK,1\r\n" {
				t.Fatalf("got %q", got)
			}
			next := func(answer *bufio.Scanner) string {
				t.Helper()
				for answer.Scan() {
					line, err := tlcp.ParseLine(answer.Bytes())
					if err != nil {
						t.Fatal(err)
					}
					if line.Tag == tlcp.TagPROG || line.Tag.Data() {
						return answer.Text()
					}
				}
				t.Fatalf("the answer has ended: %v", answer.Err())
				return ""
			}
			bind := func() *bufio.Scanner {
				resp := postResponse(t, d, "bind_session", "", "LS_session="+session+mode)
				t.Cleanup(func() { resp.Body.Close() })
				return bufio.NewScanner(resp.Body)
			}
			got := bind()
			expectLines(t, "the first answer", []string{next(got), next(got), next(got)}, "PROG,0", "SUBOK,1,1,1", "CONF,1,unlimited,filtered")
			for i, want := range []string{"PROG,2", "PROG,3", "PROG,4"} { // to a client that has received 2 notifications
				got := bind()
				head := next(got)
				d.data.update(t, "raw1", "a", fmt.Sprint(i))
				expectLines(t, fmt.Sprint("answer ", i), []string{head, next(got)}, want, fmt.Sprintf("U,1,1,%d", i))
			}
		})
	}
}

var errSlow = errors.New("slow")

// A write that fails is a lost connection, and deadlines are taken back after each write.
func TestResponseDeadlines(t *testing.T) {
	w := &deadlineWriter{ResponseRecorder: httptest.NewRecorder()}
	r := newResponse(w, patience)
	if err := r.WriteLines([]byte("PROBE\r\n")); err != nil || w.Body.String() != "PROBE\r\n" || !w.Flushed {
		t.Errorf("%q, %v", w.Body, err)
	}
	if w.set != 2 || !w.cleared {
		t.Errorf("%d deadlines, cleared at the end: %v", w.set, w.cleared)
	}
	w.err = errSlow
	if err := r.WriteLines([]byte("PROBE\r\n")); !errors.Is(err, errSlow) {
		t.Errorf("got %v", err)
	}
	if err := newResponse(httptest.NewRecorder(), patience).WriteLines([]byte("x")); err != nil {
		t.Errorf("a writer without deadlines: %v", err)
	}
}

type deadlineWriter struct {
	*httptest.ResponseRecorder
	set     int
	cleared bool
	err     error
}

func (w *deadlineWriter) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	return w.ResponseRecorder.Write(b)
}

func (w *deadlineWriter) SetWriteDeadline(d time.Time) error {
	w.set++
	w.cleared = d.IsZero()
	return nil
}
