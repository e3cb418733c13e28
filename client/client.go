package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// A Client is a session with a server. Its methods may be called from any goroutine, except where said otherwise.
type Client struct {
	cfg    Config
	log    *slog.Logger
	http   *http.Client
	ctx    context.Context // ends when nothing more is to be waited for
	cancel context.CancelFunc
	opened chan struct{} // closed when there is a session, or the client has ended without one
	done   chan struct{}
	once   sync.Once // for the farewell
	timer  *time.Timer

	updates    atomic.Int64
	recoveries atomic.Int64

	// Of the goroutine in run.
	phase      phase
	count      int64 // data notifications received
	recovering bool  // the lines are those of a recovery, which may begin with some received before
	skip       int64 // how many these are
	keepalive  time.Duration
	pause      time.Duration // the longest before the next attempt to recover

	mu       sync.Mutex
	session  string
	limit    int          // of a request
	conn     *wsconn.Conn // requests can be sent on it; nil while there is none
	closing  bool
	err      error // why the client has ended; set before done is closed
	held     int64 // bytes of values, of all subscriptions
	lastReq  int
	lastSub  int
	requests map[string]*request
	subs     map[int]*Subscribed
	progs    map[string]int // last number in each sequence
	outcomes map[outcomeKey]chan outcome
}

// Connect opens a session and returns when the server has accepted it. The error wraps a [*SessionError] if it was refused.
//
// The client lives until ctx ends, as by [Client.Close].
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	cfg, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, log: cfg.Logger, opened: make(chan struct{}), done: make(chan struct{}),
		requests: make(map[string]*request), subs: make(map[int]*Subscribed), progs: make(map[string]int),
		outcomes: make(map[outcomeKey]chan outcome),
		http: &http.Client{Transport: &http.Transport{DialContext: cfg.DialContext, TLSClientConfig: cfg.TLS.Clone(), DisableCompression: true},
			// A redirect would take the session id, and the headers, elsewhere; clients of the
			// protocol follow none.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.timer = time.AfterFunc(time.Hour, c.cancel)
	c.timer.Stop()
	stop := context.AfterFunc(ctx, c.farewell)
	go func() { // the client's goroutine; ends with the session
		err := c.run()
		stop()
		c.end(err)
	}()
	<-c.opened
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == "" {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("client: connecting to %s: %w", cfg.Addr, context.Cause(ctx))
		}
		return nil, fmt.Errorf("client: connecting to %s: %w", cfg.Addr, c.err)
	}
	return c, nil
}

// SessionID is the id of the session: what the Metadata Adapter knows it by. It is a secret, since it authorises requests.
func (c *Client) SessionID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Format implements fmt.Formatter: a Client shows the beginning of its session's id, and nothing
// else of what is in it.
func (c *Client) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "client %s", label(c.SessionID()))
}

// LogValue implements slog.LogValuer, likewise.
func (c *Client) LogValue() slog.Value { return slog.StringValue(label(c.SessionID())) }

// Done is closed when the session has ended and no callback will be called any more.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err tells, once Done is closed, why the session has ended: a [*SessionError], a [*ProtocolError],
// or [ErrLost] or [ErrLimit] with their causes. Nil before, and if the client was closed.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(c.err, ErrClosed) {
		return nil
	}
	return c.err
}

// Stats is what a client has received.
type Stats struct {
	Updates    int64 // of all subscriptions
	Recoveries int64 // of a lost connection that have succeeded
	ValueBytes int64 // memory for the current values, which Config.MaxValues bounds
}

// Stats returns what the client has received so far.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	held := c.held
	c.mu.Unlock()
	return Stats{Updates: c.updates.Load(), Recoveries: c.recoveries.Load(), ValueBytes: held}
}

// farewellTime is how long the server may take to end the session that the client has destroyed.
const farewellTime = time.Second

// Close ends the session and returns when that is done, a second later at most. It must not be called from a callback.
func (c *Client) Close() {
	c.farewell()
	<-c.done
}

// farewell has the server end the session, if it can be told. It does not wait for it.
func (c *Client) farewell() {
	c.once.Do(func() {
		c.mu.Lock()
		c.closing = true
		conn := c.conn
		c.timer.Reset(farewellTime)
		c.mu.Unlock()
		if conn == nil {
			c.cancel()
			return
		}
		destroy := tlcp.Control{ReqID: destroyID, Op: tlcp.OpDestroy, Destroy: &tlcp.Destroy{CloseSocket: true, Code: tlcp.CodeDestroyed, Cause: "api"}}
		if conn.WriteText(message(tlcp.NameControl, destroy.Append(nil))) != nil {
			c.cancel()
		}
	})
}

// end notes why the session has ended, and has everybody know who waits.
func (c *Client) end(err error) {
	c.cancel()
	c.timer.Stop()
	c.http.CloseIdleConnections()
	c.mu.Lock()
	if c.closing {
		err = ErrClosed
	}
	c.err = err
	c.conn = nil
	for _, r := range c.requests {
		r.answer <- err
	}
	clear(c.requests)
	for _, o := range c.outcomes {
		o <- outcome{err: err}
	}
	clear(c.outcomes)
	opened := c.session != ""
	c.mu.Unlock()
	if !opened {
		close(c.opened)
	}
	close(c.done)
}

// message puts the name of a request before its lines.
func message(name tlcp.Name, line []byte) []byte {
	return append(append([]byte(name.String()), tlcp.EOL...), line...)
}

// maxValue is Config.MaxValue as a length.
func (c *Client) maxValue() int { return int(min(c.cfg.MaxValue, math.MaxInt)) }
