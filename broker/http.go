package broker

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/session"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// endpoint is the path below which everything is the client protocol.
const endpoint = "/lightstreamer"

// frontend serves the clients. Its methods run on the goroutines of the HTTP server, one for each request; the goroutine of a
// streaming response is the one that runs the session's binding.
type frontend struct {
	cfg      Config
	sessions *session.Manager
	other    http.Handler // for what is not the protocol
	sockets  sockets
}

func (f *frontend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, below := strings.CutPrefix(r.URL.Path, endpoint)
	if !below || path != "" && path[0] != '/' {
		f.other.ServeHTTP(w, r)
		return
	}
	allowed := f.cors(w.Header(), r.Header.Get("Origin"))
	switch {
	case r.Method == http.MethodOptions:
		if allowed {
			preflight(w.Header(), r)
		}
		w.WriteHeader(http.StatusNoContent)
	case path == "" || path == "/":
		if !allowed {
			http.Error(w, "origin not allowed", http.StatusForbidden)
			return
		}
		f.serveSocket(w, r)
	default:
		f.serveRequest(w, r, path[1:], allowed)
	}
}

// serveRequest serves one HTTP request of the protocol. Whatever the protocol can express has status 200: some clients do not look
// at any other.
func (f *frontend) serveRequest(w http.ResponseWriter, r *http.Request, file string, allowed bool) {
	base, isText := strings.CutSuffix(file, ".txt")
	name, known := tlcp.ParseName([]byte(base))
	if !isText || !known || name == tlcp.NameWSOK {
		http.Error(w, "no such request: want create_session, bind_session, control, msg or heartbeat with .txt", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		w.Header().Set("Allow", "POST, GET, OPTIONS")
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
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
		return // an empty body, as the original server answers other origins
	}
	out := newResponse(w, f.cfg.WriteTimeout)
	req, refusal := f.readRequest(r, name, out)
	switch {
	case refusal != nil:
		out.answer(refusal)
	case name == tlcp.NameCreateSession || name == tlcp.NameBindSession:
		f.serveStream(r, req, out)
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
func (f *frontend) readRequest(r *http.Request, name tlcp.Name, out *response) (req request, refusal []byte) {
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
	req = request{name: name, client: f.client(r, version), session: query.String("LS_session", "")}
	if r.Method == http.MethodGet {
		req.body = []byte(r.URL.RawQuery) // bounded with the header
		return req, nil
	}
	if req.body, err = f.readBody(r, out); err != nil {
		return request{}, refuse(name, tlcp.CodeMalformed, "the body of the request did not arrive")
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

// readBody reads the body, or as much of it as tells what to answer.
func (f *frontend) readBody(r *http.Request, out *response) ([]byte, error) {
	// This deadline is set here rather than for the server: that one would go on while a stream is written.
	if err := out.rc.SetReadDeadline(time.Now().Add(f.cfg.ReadTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(tolerance*f.cfg.Limits.Request)))
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r.Body, maxDrain); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := out.rc.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	return body, nil
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
func (f *frontend) serveStream(r *http.Request, req request, out *response) {
	binding, refusal := f.open(r.Context(), req.client, req.name, req.body, nil)
	if refusal != nil {
		out.answer(refusal.Append(nil))
		return
	}
	binding.Run(r.Context(), out)
}

// client gathers what the session is to know of the connection.
func (f *frontend) client(r *http.Request, version tlcp.Version) session.Client {
	c := session.Client{
		Version: version, UserAgent: r.UserAgent(), Forwarding: strings.Join(r.Header.Values("X-Forwarded-For"), ", "),
		ServerName: f.cfg.ServerName, Headers: make(map[string]string, len(r.Header)+1),
	}
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.RemoteIP, c.RemotePort = addr.Addr().Unmap().WithZone("").String(), int(addr.Port())
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

// answer is the whole of a response. Whether it arrives is the client's concern, who repeats what got no answer.
func (r *response) answer(lines []byte) {
	r.w.Header().Set("Content-Length", strconv.Itoa(len(lines)))
	_ = r.WriteLines(lines)
}
