// Package wsconn is the one place that knows the WebSocket library: text messages in both directions over one connection, as the
// server and as the client. It adds what a long-lived protocol connection needs: a bound on every write without an allocation, a bound
// on closing, and a bound on what a peer can make us read. Compression is never negotiated.
package wsconn

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Close codes of RFC 6455 that a caller may need.
const (
	CodeNormal      = int(websocket.StatusNormalClosure)
	CodeGoingAway   = int(websocket.StatusGoingAway)
	CodeUnsupported = int(websocket.StatusUnsupportedData)
	CodeNoStatus    = int(websocket.StatusNoStatusRcvd)
	CodePolicy      = int(websocket.StatusPolicyViolation)
	CodeTooBig      = int(websocket.StatusMessageTooBig)
	CodeTryAgain    = int(websocket.StatusTryAgainLater)
)

// forever is the context of every read and write: the library closes the connection when a context ends, and allocates to watch one.
var forever = context.Background() //nolint:forbidigo // no context of a caller may reach the library

// ErrTooBig is in the error of a read whose message is over the limit; the peer has been told with code 1009.
var ErrTooBig = errors.New("wsconn: message over the read limit")

// ErrNotText is in the error of a read that met a binary message; the peer has been told with code 1003.
var ErrNotText = errors.New("wsconn: message is not text")

// ErrWriteTimeout is in the error of a write that took longer than allowed; the connection is closed.
var ErrWriteTimeout = errors.New("wsconn: write timed out")

// ErrReadTimeout is in the error of a read whose message took longer than allowed to arrive; the
// connection is closed.
var ErrReadTimeout = errors.New("wsconn: message did not arrive in time")

// ErrNoRoom is in the error of a read whose message found no room in [Options].Buffers; the peer
// has been told with code 1013.
var ErrNoRoom = errors.New("wsconn: no memory left for a message")

// ErrFlood is in the error of a read after more pings and pongs than a peer may send; the
// connection is closed.
var ErrFlood = errors.New("wsconn: too many control frames")

// CloseError is in the error of a read after the peer has closed with a close frame.
type CloseError struct {
	Code   int // CodeNoStatus if the frame had none
	Reason string
}

// Error tells code and reason.
func (e *CloseError) Error() string {
	return fmt.Sprintf("wsconn: closed by the peer with code %d %q", e.Code, e.Reason)
}

// Options bound a connection. The zero value has the defaults named below; negative is no bound.
type Options struct {
	_ struct{}
	// ReadLimit is the largest message read, in bytes. Default 64 KiB.
	ReadLimit int64
	// WriteTimeout bounds each write, which may take up to a quarter longer. Default 10 s.
	WriteTimeout time.Duration
	// ReadTimeout bounds the arrival of a message from its first frame to its end, which may take
	// up to a quarter longer. Default 0: no bound.
	ReadTimeout time.Duration
	// Buffers is asked before memory is taken for a message of more than 16 KiB, and gets it back
	// afterwards; nil: memory is taken. Its methods must not block.
	Buffers Buffers
	// CloseTimeout bounds the closing handshake of Close. Default 1 s; it cannot be switched off.
	CloseTimeout time.Duration
}

// What a peer may send of pings and pongs: so many at once, and so many in a second.
const (
	controlBurst = 200
	controlRate  = 20
)

// control counts the pings and pongs of a peer. It belongs to the goroutine that reads.
type control struct {
	tokens  float64
	last    time.Time
	flooded bool
}

// controlled takes note of a ping or pong, and reports whether a ping is to be answered. The
// library reads on without returning as long as there is nothing but these, so the connection is
// cut here.
func (c *Conn) controlled() bool {
	now := time.Now()
	if c.control.last.IsZero() {
		c.control.tokens = controlBurst
	} else {
		c.control.tokens = min(controlBurst, c.control.tokens+now.Sub(c.control.last).Seconds()*controlRate)
	}
	c.control.last = now
	if c.control.tokens < 1 {
		c.control.flooded = true
		c.raw.Close()
		return false
	}
	c.control.tokens--
	return true
}

// Buffers is memory that several connections share.
type Buffers interface {
	Take(n int64) bool // takes n bytes, or reports that they are not to be had
	Add(n int64)       // gives bytes back: n is negative
}

func (o Options) withDefaults() Options {
	if o.ReadLimit == 0 {
		o.ReadLimit = 64 << 10
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 10 * time.Second
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = time.Second
	}
	return o
}

// Conn is a WebSocket connection. One goroutine may read while others write and close. Somebody must always be reading, or pings and
// the peer's close are not answered.
type Conn struct {
	ws       *websocket.Conn
	raw      net.Conn // under ws (and under TLS on the client side): closing it ends whatever ws is waiting for
	opts     Options
	buf      []byte       // of ReadText
	got      atomic.Int64 // bytes of messages that ReadText has taken from the network
	held     atomic.Int64 // of opts.Buffers
	arrivals *watchdog    // nil: the time of a message is not bounded
	control  control

	// turn is held during a write: it is the wire's own order, and the watchdog has one write to watch. Nothing else is under it.
	turn     sync.Mutex
	watchdog *watchdog // nil: writes are not bounded
}

func newConn(ws *websocket.Conn, raw net.Conn, opts Options) *Conn {
	c := &Conn{}
	c.start(ws, raw, opts)
	return c
}

func (c *Conn) start(ws *websocket.Conn, raw net.Conn, opts Options) {
	c.ws, c.raw, c.opts = ws, raw, opts
	if opts.ReadTimeout > 0 {
		c.arrivals = newWatchdog(raw, opts.ReadTimeout)
	}
	ws.SetReadLimit(max(opts.ReadLimit, -1))
	if opts.WriteTimeout > 0 {
		c.watchdog = newWatchdog(raw, opts.WriteTimeout)
	}
}

// Accept upgrades a request, echoing the subprotocol if it is not empty; the caller has chosen it among those the client offers. It
// does not look at the Origin: that is the caller's too. On an error the response has been written. The request's context has no
// say over the connection afterwards.
func Accept(w http.ResponseWriter, r *http.Request, subprotocol string, opts Options) (*Conn, error) {
	opts = opts.withDefaults()
	c := &Conn{}
	accept := &websocket.AcceptOptions{
		InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled,
		OnPingReceived: func(context.Context, []byte) bool { return c.controlled() },
		OnPongReceived: func(context.Context, []byte) { c.controlled() },
	}
	if subprotocol != "" {
		accept.Subprotocols = []string{subprotocol}
	}
	capture := &hijackCapture{ResponseWriter: w}
	ws, err := websocket.Accept(capture, r, accept)
	if err != nil {
		return nil, fmt.Errorf("wsconn: accept from %s: %w", r.RemoteAddr, err)
	}
	c.start(ws, capture.conn, opts)
	return c, nil
}

// hijackCapture keeps the connection that the library takes over, to be able to cut it.
type hijackCapture struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijackCapture) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, rw, err
}

// DialOptions are what a client may set. The zero value dials without TLS configuration, header or proxy.
type DialOptions struct {
	Options
	Subprotocol string      // asked for; the dial fails if the server does not echo it
	Header      http.Header // added to the handshake
	TLS         *tls.Config // for wss addresses; nil: the defaults
	// DialContext opens the TCP connection; nil: a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Dial connects to a ws or wss address (http and https mean the same). The context bounds the handshake only.
func Dial(ctx context.Context, url string, opts DialOptions) (*Conn, error) {
	bounds := opts.withDefaults()
	dial := opts.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	var raw net.Conn
	transport := &http.Transport{
		TLSClientConfig: opts.TLS,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			raw = c
			return c, err
		},
	}
	// Whatever is not the WebSocket itself (a refused handshake's connection) must not linger in the pool.
	defer transport.CloseIdleConnections()
	dialOpts := &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a redirect would leave two connections, and clients of the protocol follow none
		}},
		HTTPHeader:      opts.Header,
		CompressionMode: websocket.CompressionDisabled,
	}
	if opts.Subprotocol != "" {
		dialOpts.Subprotocols = []string{opts.Subprotocol}
	}
	ws, resp, err := websocket.Dial(ctx, url, dialOpts) //nolint:bodyclose // by its documentation the body need not be closed
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("wsconn: dial %s: status %d: %w", url, resp.StatusCode, err)
		}
		return nil, fmt.Errorf("wsconn: dial %s: %w", url, err)
	}
	c := newConn(ws, raw, bounds)
	if got := ws.Subprotocol(); got != opts.Subprotocol {
		c.CloseNow()
		return nil, fmt.Errorf("wsconn: dial %s: server answered subprotocol %q, want %q", url, got, opts.Subprotocol)
	}
	return c, nil
}

// Subprotocol returns the negotiated subprotocol; empty for none.
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// ReadText blocks for the next message and returns it; the bytes are valid until the next call. It
// answers pings meanwhile. Any error is the end of the connection: a *CloseError if the peer closed
// in order, else [ErrTooBig], [ErrNotText], [ErrReadTimeout], [ErrNoRoom], [ErrFlood] or what the
// network says.
func (c *Conn) ReadText() ([]byte, error) {
	if cap(c.buf) > keptBuffer {
		c.buf = nil // one large message must not pin its size for the life of the connection
		c.release()
	}
	typ, r, err := c.ws.Reader(forever)
	if err != nil {
		return nil, c.readError(err)
	}
	if typ != websocket.MessageText {
		c.Close(CodeUnsupported, "only text messages")
		return nil, ErrNotText
	}
	if c.arrivals != nil {
		c.arrivals.begin()
		defer c.arrivals.end()
	}
	c.buf = c.buf[:0]
	for {
		if len(c.buf) == cap(c.buf) && !c.grow() {
			c.Close(CodeTryAgain, "no memory left for requests")
			c.CloseNow()
			return nil, ErrNoRoom
		}
		n, err := r.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		c.got.Add(int64(n))
		if errors.Is(err, io.EOF) {
			return c.buf, nil
		}
		if err != nil {
			return nil, c.readError(err)
		}
	}
}

// Received is the number of bytes of messages that have come so far, incomplete messages included:
// what a caller judges the silence of the peer by. Pings and other control frames do not count.
func (c *Conn) Received() int64 { return c.got.Load() }

// keptBuffer is the capacity up to which the read buffer is kept between messages.
const keptBuffer = 16 << 10

// grow makes the read buffer larger, or reports that there is no memory for that.
func (c *Conn) grow() bool {
	size := max(512, 2*cap(c.buf))
	if size > keptBuffer && c.opts.Buffers != nil {
		n := int64(size) - c.held.Load()
		if !c.opts.Buffers.Take(n) {
			return false
		}
		c.held.Add(n)
	}
	c.buf = append(make([]byte, 0, size), c.buf...)
	return true
}

// release gives the memory of the read buffer back.
func (c *Conn) release() {
	if n := c.held.Swap(0); n != 0 {
		c.opts.Buffers.Add(-n)
	}
}

func (c *Conn) readError(err error) error {
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		// What the peer is still sending has to be read, or the reset it would cause could overtake the close frame.
		c.Close(CodeTooBig, "message too big")
		c.CloseNow()
		return ErrTooBig
	case c.control.flooded:
		c.CloseNow()
		return ErrFlood
	}
	c.CloseNow() // after an error the library may leave the connection to its finalizer
	if ce, ok := errors.AsType[websocket.CloseError](err); ok {
		return &CloseError{Code: int(ce.Code), Reason: ce.Reason}
	}
	if c.arrivals != nil && c.arrivals.barked.Load() {
		return ErrReadTimeout
	}
	return fmt.Errorf("wsconn: read: %w", err)
}

// WriteText sends one message and returns when the network has taken it, or with an error after which the connection is closed. It
// does not keep the bytes, which must be UTF-8. Concurrent writes take turns.
func (c *Conn) WriteText(message []byte) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.watchdog != nil {
		c.watchdog.begin()
	}
	err := c.ws.Write(forever, websocket.MessageText, message)
	if c.watchdog != nil {
		c.watchdog.end()
	}
	if err == nil {
		return nil
	}
	_ = c.ws.CloseNow()
	if c.watchdog != nil && c.watchdog.barked.Load() {
		return ErrWriteTimeout
	}
	return fmt.Errorf("wsconn: write: %w", err)
}

// Close sends a close frame, waits for the peer's up to the close timeout, and closes. The reader, if any, comes back with an error.
// The reason is at most 123 bytes. Further calls wait for the first.
func (c *Conn) Close(code int, reason string) error {
	cut := time.AfterFunc(c.opts.CloseTimeout, func() { c.raw.Close() })
	defer cut.Stop()
	if err := c.ws.Close(websocket.StatusCode(code), reason); err != nil {
		return fmt.Errorf("wsconn: close: %w", err)
	}
	return nil
}

// CloseNow closes without a closing handshake: the peer sees a broken connection. It may be called at any time and more than once.
func (c *Conn) CloseNow() {
	c.raw.Close()
	_ = c.ws.CloseNow()
	c.release()
}
