package broker

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/session"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// endpoint is the path below which everything is the client protocol.
const endpoint = "/lightstreamer"

// frontend serves the clients. Its methods run on the goroutines of the HTTP server, one for each
// request; the goroutine of a streaming response is the one that runs the session's binding.
type frontend struct {
	cfg      Config
	sessions *session.Manager
	gate     *gate
	access   *access
	n        *counters
	pages    map[string]page // for monitoring
	sockets  sockets
}

func (f *frontend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := connOf(r)
	if c != nil {
		c.handled()
	}
	if p := f.pages[r.URL.Path]; p != nil {
		f.servePage(w, r, p, c != nil && c.spare)
		return
	}
	if c != nil && c.spare {
		f.n.refusedLimit.Add(1)
		f.audit(r, f.peerOf(r), tooMany)
		f.refuse(w, r, http.StatusServiceUnavailable, tooMany)
		return
	}
	from := f.peerOf(r)
	held, why := f.hold(r, from)
	if why != "" {
		status := http.StatusServiceUnavailable
		if why == tooManyOfAddress {
			status = http.StatusTooManyRequests
		}
		f.audit(r, from, why)
		f.refuse(w, r, status, why)
		return
	}
	defer held.release()
	path, below := strings.CutPrefix(r.URL.Path, endpoint)
	if !below || path != "" && path[0] != '/' {
		f.serveOther(w, r)
		return
	}
	f.serveProtocol(w, r, path, from, held)
}

// audit notes that a limit has refused a request.
func (f *frontend) audit(r *http.Request, from peer, why string) {
	f.gate.audit.put(AuditEvent{
		Event: AuditClientRefused, Address: r.RemoteAddr, Forwarded: from.forwarding, Origin: r.Header.Get("Origin"), By: limits[why], Text: why,
	})
}

// serveProtocol serves what is below the endpoint.
func (f *frontend) serveProtocol(w http.ResponseWriter, r *http.Request, path string, from peer, held *holding) {
	if !f.access.host(r) {
		f.refuse(w, r, http.StatusForbidden, "host not allowed: "+forbiddenHost)
		return
	}
	origin := f.access.page(r)
	cors(w.Header(), origin)
	switch {
	case r.Method == http.MethodOptions:
		if origin.allowed {
			preflight(w.Header(), r)
		}
		f.linger(w, r)
		w.WriteHeader(http.StatusNoContent)
	case path == "" || path == "/":
		if !origin.allowed {
			f.refuse(w, r, http.StatusForbidden, "origin not allowed: "+forbiddenOrigin)
			return
		}
		f.serveSocket(w, r, from, held)
	default:
		f.serveRequest(w, r, path[1:], origin.allowed, from, held)
	}
}

const (
	forbiddenHost   = "the broker has to be started with this name among its allowed hosts (Config.AllowedHosts, lsgo --allowed-hosts)"
	forbiddenOrigin = "the broker has to be started with this origin among its allowed origins (Config.AllowedOrigins, lsgo --allowed-origins)"
)

// refuse answers a request whose body is of no interest. The connection is not used again if a body
// would have to be read for that.
func (f *frontend) refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	f.linger(w, r)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	http.Error(w, text, status)
}

// lingerTime is how long the body of a refused request is read, so that its sender sees the answer.
const lingerTime = 2 * time.Second

// linger bounds what is left of a request that needs no more than a short answer.
func (f *frontend) linger(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	now := time.Now()
	_ = rc.SetWriteDeadline(now.Add(f.cfg.WriteTimeout)) // not supported only in tests
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	_ = rc.SetReadDeadline(now.Add(min(lingerTime, f.cfg.ReadTimeout)))
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}

// serveOther has the application's handler serve a request, under deadlines that the handler may
// change by an [http.ResponseController].
func (f *frontend) serveOther(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	if r.Body == nil || r.Body == http.NoBody {
		_ = rc.SetReadDeadline(time.Time{}) // the handler may take its time
	} else {
		r.Body = &timedBody{r.Body, rc}
	}
	if r.ProtoMajor == 1 {
		f.cfg.Handler.ServeHTTP(w, r) // the connection bounds the writes
		return
	}
	timed := &timedWriter{w, rc, f.cfg.WriteTimeout}
	f.cfg.Handler.ServeHTTP(timed, r)
	_ = rc.SetWriteDeadline(time.Now().Add(f.cfg.WriteTimeout)) // for what is written when the handler has returned
}

// timedBody lifts the deadline of a request when its body has arrived.
type timedBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// timedWriter bounds the writes of a handler over HTTP/2, where one stream may be stuck while the
// connection is not.
type timedWriter struct {
	http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

// Unwrap is for [http.ResponseController].
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *timedWriter) Write(p []byte) (n int, err error) {
	for first := true; err == nil && (first || n < len(p)); first = false {
		_ = w.rc.SetWriteDeadline(time.Now().Add(w.timeout))
		var m int
		m, err = w.ResponseWriter.Write(p[n:min(len(p), n+writeChunk)])
		n += m
	}
	_ = w.rc.SetWriteDeadline(time.Time{})
	return n, err
}

// Flush implements [http.Flusher].
func (w *timedWriter) Flush() {
	_ = w.rc.SetWriteDeadline(time.Now().Add(w.timeout))
	_ = w.rc.Flush()
	_ = w.rc.SetWriteDeadline(time.Time{})
}

// serveRequest serves one HTTP request of the protocol. Whatever the protocol can express has
// status 200: some clients do not look at any other.
func (f *frontend) serveRequest(w http.ResponseWriter, r *http.Request, file string, allowed bool, from peer, held *holding) {
	base, isText := strings.CutSuffix(file, ".txt")
	name, known := tlcp.ParseName([]byte(base))
	if !isText || !known || name == tlcp.NameWSOK {
		f.refuse(w, r, http.StatusNotFound, "no such request: want create_session, bind_session, control, msg or heartbeat with .txt")
		return
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		w.Header().Set("Allow", "POST, GET, OPTIONS")
		f.refuse(w, r, http.StatusMethodNotAllowed, "want POST")
		return
	}
	header := w.Header()
	// Browsers hold back the beginning of a text/plain response to guess its type; not of this one.
	header.Set("Content-Type", "text/enriched; charset=UTF-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store, no-transform, no-cache")
	header.Set("Pragma", "no-cache")
	header.Set("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")
	header.Set("X-Accel-Buffering", "no")
	if !allowed {
		f.linger(w, r)
		return // an empty body, as the original server answers other origins
	}
	out := newResponse(w, f.cfg.WriteTimeout)
	req, refusal := f.readRequest(r, name, out, from, held)
	switch {
	case held.short:
		f.n.requestMemory.Add(1)
		f.refuse(w, r, http.StatusServiceUnavailable, noMemory)
	case refusal != nil:
		f.linger(w, r)
		out.answer(refusal)
	case name == tlcp.NameCreateSession || name == tlcp.NameBindSession:
		f.serveStream(r, req, out, held)
	default:
		out.answer(f.answers(r.Context(), req))
	}
}

// request is one HTTP request of the protocol.
type request struct {
	name    tlcp.Name
	client  session.Client
	body    []byte
	session string // the default for lines that name none
}

// readRequest reads query and body. If that fails, refusal is the answer.
func (f *frontend) readRequest(r *http.Request, name tlcp.Name, out *response, from peer, held *holding) (req request, refusal []byte) {
	query, err := tlcp.ParseParams([]byte(r.URL.RawQuery))
	version, verr := tlcp.ParseVersion(query.String("LS_protocol", ""))
	switch {
	case err != nil:
		return request{}, refuse(name, tlcp.CodeSyntax, "query: "+strings.TrimPrefix(err.Error(), "tlcp: "))
	case verr != nil:
		return request{}, refuse(name, tlcp.CodeMalformed, "LS_protocol missing or malformed")
	case !version.Supported():
		return request{}, refuse(name, tlcp.CodeClientVersion, "protocol version not supported: want TLCP-2.1.0 to "+tlcp.Latest.String())
	}
	req = request{name: name, client: f.client(r, version, from), session: query.String("LS_session", "")}
	if req.body, err = f.readBody(r, out, held); err != nil {
		return request{}, refuse(name, tlcp.CodeMalformed, "the body of the request did not arrive")
	}
	if r.Method == http.MethodGet {
		req.body = []byte(r.URL.RawQuery) // bounded with the header
	}
	return req, nil
}

// Clients stay within the request limit, except with a single request that is larger by itself. That one is to be refused under its id,
// so the body is kept up to tolerance times the limit; and it is read further, up to maxDrain, since a client that cannot get rid of
// its request does not see the answer, and sends it again.
const (
	tolerance = 4
	maxDrain  = 8 << 20
)

// readBody reads the body, or as much of it as tells what to answer. It has come within the time
// that the server allows a request; with its end that time is over, since a response may take long.
func (f *frontend) readBody(r *http.Request, out *response, held *holding) ([]byte, error) {
	body, err := held.readAll(io.LimitReader(r.Body, int64(tolerance*f.cfg.Limits.Request)))
	if err != nil {
		return nil, f.bodyError(r, err)
	}
	if len(body) > f.cfg.Limits.Request {
		f.n.requestBody.Add(1)
	}
	switch _, err := io.CopyN(io.Discard, r.Body, maxDrain); {
	case errors.Is(err, io.EOF):
		return body, out.setReadDeadline(time.Time{})
	case err != nil:
		return nil, f.bodyError(r, err)
	}
	// There is more of it, which the server reads or not, under the same deadline.
	if r.ProtoMajor == 1 {
		out.w.Header().Set("Connection", "close")
	}
	return body, nil
}

func (f *frontend) bodyError(r *http.Request, err error) error {
	if r.ProtoMajor == 2 && errors.Is(err, os.ErrDeadlineExceeded) {
		f.n.requestTimeouts.Add(1) // over HTTP/1 the connection counts it
	}
	return err
}

func (f *frontend) tooLong() string {
	return "request larger than the limit of " + strconv.Itoa(f.cfg.Limits.Request) + " bytes"
}

// refuse answers a request that was not understood as far as its lines.
func refuse(name tlcp.Name, code int, text string) []byte {
	if name == tlcp.NameCreateSession || name == tlcp.NameBindSession {
		return tlcp.AppendCONERR(nil, code, text)
	}
	return tlcp.AppendERROR(nil, code, text)
}

// serveStream creates or binds a session, and sends its flow until the response is over.
//
// A request that its client has given up while it waited, in a broker that was stopped for a while
// for instance, gets nothing: it would take the session, and what is to be sent, away from the
// request that the client has made in its place.
func (f *frontend) serveStream(r *http.Request, req request, out *response, held *holding) {
	if c := connOf(r); r.Context().Err() != nil || c != nil && r.ProtoMajor == 1 && departed(c.Conn) {
		f.n.requestsGivenUp.Add(1)
		return
	}
	binding, refusal := f.open(r.Context(), req.client, req.name, req.body, nil)
	held.releaseBody()
	if refusal != nil {
		out.answer(refusal.Append(nil))
		return
	}
	binding.Run(r.Context(), out)
}

// client gathers what the session is to know of the connection.
func (f *frontend) client(r *http.Request, version tlcp.Version, from peer) session.Client {
	c := session.Client{
		Version: version, UserAgent: r.UserAgent(), Forwarding: from.forwarding, RemotePort: from.port,
		ServerName: f.cfg.ServerName, Headers: make(map[string]string, len(r.Header)+1),
	}
	if from.addr.IsValid() {
		c.RemoteIP = from.addr.String()
	}
	for name, values := range r.Header {
		c.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	c.Headers["host"] = r.Host
	if r.TLS != nil && f.cfg.TLSConfig != nil && f.cfg.TLSConfig.ClientAuth != tls.NoClientCert {
		c.Principal = &provider.Text{Null: true}
		if len(r.TLS.VerifiedChains) > 0 {
			c.Principal = &provider.Text{S: r.TLS.VerifiedChains[0][0].Subject.String()}
		}
	}
	return c
}

// response is an HTTP response that carries lines. It implements session.Writer.
type response struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

func newResponse(w http.ResponseWriter, timeout time.Duration) *response {
	return &response{w, http.NewResponseController(w), timeout}
}

// WriteLines passes lines on at once. The deadline is taken back after each write: over HTTP/2 it would otherwise end a quiet stream,
// and over HTTP/1.1 the next request of the connection.
func (r *response) WriteLines(lines []byte) error {
	if err := r.rc.SetWriteDeadline(time.Now().Add(r.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := r.w.Write(lines); err != nil { //nolint:gosec // the type of the response and nosniff keep it from being taken for a page
		return err
	}
	if err := r.rc.Flush(); err != nil {
		return err
	}
	if err := r.rc.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

func (r *response) setReadDeadline(t time.Time) error {
	if err := r.rc.SetReadDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// answer is the whole of a response. Whether it arrives is the client's concern, who repeats what got no answer.
func (r *response) answer(lines []byte) {
	r.w.Header().Set("Content-Length", strconv.Itoa(len(lines)))
	_ = r.WriteLines(lines)
}
