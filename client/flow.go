package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// A phase is a state of a connection.
type phase uint8

const (
	binding phase = iota // a creation or a bind was sent, and CONOK has not come
	head                 // CONOK has come, and no data notification yet
	flowing
)

// run opens the session and serves its connections until it has ended, and returns why.
func (c *Client) run() error {
	conn, err := c.dial(c.ctx)
	if err != nil {
		return err
	}
	create := c.createSession()
	if err := c.greet(conn, message(tlcp.NameCreateSession, create.Append(nil))); err != nil {
		conn.CloseNow()
		return err
	}
	for {
		had, since := c.count, time.Now()
		err := c.serve(conn)
		if !errors.Is(err, errBroken) || c.ctx.Err() != nil {
			return err
		}
		if c.count > had || time.Since(since) > answerTime {
			c.pause = firstPause // the connection was good for something
		}
		c.mu.Lock()
		opened, closing := c.session != "", c.closing
		c.conn = nil
		c.mu.Unlock()
		c.log.Info("client: connection lost", "session", label(c.SessionID()), "error", err)
		if !opened || closing {
			return err
		}
		if conn, err = c.recover(err); err != nil {
			return err
		}
	}
}

// errBroken is in the error of a connection that has failed, while the session may go on.
var errBroken = errors.New("broken")

func (c *Client) createSession() tlcp.CreateSession {
	req := tlcp.CreateSession{
		ConnParams: c.params(), AdapterSet: c.cfg.AdapterSet, MaxBandwidth: c.cfg.MaxBandwidth,
		// JSON Patches would need a JSON of the sender's making to apply to.
		Diffs: tlcp.Diffs{Restricted: true, TLCPDiff: true},
	}
	if c.cfg.User != "" || c.cfg.Password != "" {
		user, password := c.cfg.User, string(c.cfg.Password)
		req.User, req.Password = &user, &password
	}
	req.Cause = "api"
	return req
}

func (c *Client) params() tlcp.ConnParams {
	return tlcp.ConnParams{Keepalive: c.cfg.Keepalive, NoSync: true}
}

func (c *Client) dial(ctx context.Context) (*wsconn.Conn, error) {
	ctx, cancel := within(ctx, answerTime)
	defer cancel()
	conn, err := wsconn.Dial(ctx, c.cfg.Addr, wsconn.DialOptions{
		Options:     wsconn.Options{ReadLimit: c.cfg.MaxMessage},
		Subprotocol: tlcp.Latest.Subprotocol(), Header: c.cfg.Header, TLS: c.cfg.TLS, DialContext: c.cfg.DialContext,
	})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return conn, err
}

// greet sends the first messages on a socket.
func (c *Client) greet(conn *wsconn.Conn, request []byte) error {
	c.phase = binding
	if err := conn.WriteText([]byte("wsok")); err != nil {
		return err
	}
	return conn.WriteText(request)
}

// answerTime is how long the server may take to answer a connection, a bind or a recovery.
const answerTime = 10 * time.Second

// serve reads a socket on which a session was asked for, until it breaks (errBroken) or the session has ended.
func (c *Client) serve(conn *wsconn.Conn) error {
	defer conn.CloseNow()
	stop := context.AfterFunc(c.ctx, conn.CloseNow)
	defer stop()
	// One for the answer to a bind, in place of which nothing else counts, and one for the silence
	// afterwards.
	answer, silence := newWatch(nil, conn.CloseNow), newWatch(conn.Received, conn.CloseNow)
	defer answer.disarm()
	defer silence.disarm()
	answer.arm(answerTime)
	for {
		m, err := conn.ReadText()
		silence.disarm() // callbacks take the time they take
		if err != nil {
			if errors.Is(err, wsconn.ErrTooBig) {
				return fmt.Errorf("%w: a message of more than %d bytes (Config.MaxMessage)", ErrLimit, c.cfg.MaxMessage)
			}
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		for raw := range tlcp.Lines(m) {
			tag, err := c.handle(raw)
			if err != nil {
				return err
			}
			switch tag {
			case tlcp.TagCONOK:
				answer.disarm()
				if err := c.bound(conn); err != nil {
					return fmt.Errorf("%w: %w", errBroken, err)
				}
			case tlcp.TagLOOP:
				c.phase = binding
				answer.arm(answerTime)
				if err := conn.WriteText(c.bind("loop")); err != nil {
					return fmt.Errorf("%w: %w", errBroken, err)
				}
			}
		}
		if c.phase != binding {
			silence.arm(c.tolerated())
		}
	}
}

// tolerated is how long a connection may be silent.
func (c *Client) tolerated() time.Duration {
	if c.keepalive == 0 {
		return answerTime
	}
	return c.keepalive + min(c.cfg.Patience, math.MaxInt64-c.keepalive)
}

// handle reads and takes one line, whichever way it came. An error ends the session.
func (c *Client) handle(raw []byte) (tlcp.Tag, error) {
	line, err := tlcp.ParseLine(raw)
	if err == nil {
		err = c.take(line)
	}
	if err == nil {
		return line.Tag, nil
	}
	if _, ended := errors.AsType[*SessionError](err); ended || errors.Is(err, ErrLimit) {
		return 0, err
	}
	return 0, protocolError(raw, err)
}

// bind is the request that continues the session on another socket.
func (c *Client) bind(cause string) []byte {
	req := tlcp.BindSession{ConnParams: c.params(), Session: c.SessionID()}
	req.Cause = cause
	return message(tlcp.NameBindSession, req.Append(nil))
}

// bound makes a socket the one for requests, and sends those that were not answered on another one before.
func (c *Client) bound(conn *wsconn.Conn) error {
	for {
		c.mu.Lock()
		waiting := c.unsent(conn)
		if len(waiting) == 0 {
			c.conn = conn
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		for _, m := range waiting {
			if err := conn.WriteText(m); err != nil {
				return err
			}
		}
	}
}

// take handles one line. An error ends the session: a *SessionError, one with ErrLimit, or what is
// wrong with the line.
func (c *Client) take(line tlcp.Line) error {
	if line.Tag.Data() {
		if c.phase == binding {
			return errors.New("notification before CONOK")
		}
		c.phase = flowing
		if c.skip > 0 {
			c.skip--
			return nil
		}
		c.count++
		return c.data(line)
	}
	switch line.Tag {
	case tlcp.TagCONOK:
		return c.accepted(line)
	case tlcp.TagCONERR, tlcp.TagEND, tlcp.TagERROR:
		return &SessionError{Code: line.Code, Message: line.Text}
	case tlcp.TagPROG:
		return c.progress(line.Count)
	case tlcp.TagLOOP:
		if c.phase == binding {
			return errors.New("LOOP before CONOK")
		}
	case tlcp.TagREQOK:
		return c.answered(line.ReqID, nil)
	case tlcp.TagREQERR:
		return c.answered(line.ReqID, &RequestError{Code: line.Code, Message: line.Text})
	}
	return nil
}

// maxSessionID bounds the id of a session, in bytes.
const maxSessionID = 1000

// accepted handles CONOK.
func (c *Client) accepted(line tlcp.Line) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch id := line.Session; {
	case c.phase != binding:
		return errors.New("second CONOK for one request")
	case c.session != "" && id != c.session:
		return fmt.Errorf("another session than %s, which was asked for", label(c.session))
	case id == "" || len(id) > maxSessionID || strings.ContainsFunc(id, unicode.IsControl):
		return fmt.Errorf("session id of %d bytes; want up to %d printable characters", len(id), maxSessionID)
	}
	c.phase = head
	if !c.recovering {
		c.keepalive = line.Duration
	}
	c.limit = line.RequestLimit
	if c.session == "" {
		c.session = line.Session
		close(c.opened)
	}
	return nil
}

// progress handles PROG. In the head of a recovery it says where the server begins: at what was
// asked for or before, what is repeated is skipped. Elsewhere the counts have to agree.
func (c *Client) progress(count int64) error {
	switch {
	case c.phase == binding:
		return errors.New("PROG before CONOK")
	case c.recovering && c.phase == head && c.skip == 0 && count <= c.count:
		c.skip = c.count - count
		return nil
	case count != c.count-c.skip:
		return fmt.Errorf("%d notifications have come", c.count-c.skip)
	}
	return nil
}

// Pauses before attempts to recover grow from the one to the other, unless a connection was good
// for something.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// recover gets what a broken connection has left out, over HTTP, and then a new socket, to which the session is being bound.
func (c *Client) recover(cause error) (*wsconn.Conn, error) {
	if c.cfg.RecoveryTimeout < 0 {
		return nil, fmt.Errorf("%w: %w", ErrLost, cause)
	}
	spent := startStopwatch()
	defer spent.stop()
	for had := c.count; ; c.pause = min(2*c.pause, lastPause) {
		if c.count > had || c.pause == 0 { // a part has come before it broke again
			had, c.pause = c.count, firstPause
			spent.reset()
		}
		timer := time.NewTimer(rand.N(c.pause)) // many clients are not to come back at the same moment
		select {
		case <-timer.C:
		case <-c.ctx.Done():
			timer.Stop()
			return nil, ErrClosed
		}
		err := c.recoveryPoll()
		if err == nil {
			var conn *wsconn.Conn
			if conn, err = c.dial(c.ctx); err == nil {
				if err = c.greet(conn, c.bind("recovery")); err == nil {
					c.recoveries.Add(1)
					c.log.Info("client: connection recovered", "session", label(c.SessionID()))
					c.pause = min(2*c.pause, lastPause)
					return conn, nil
				}
				conn.CloseNow()
			}
		} else if !errors.Is(err, errBroken) {
			return nil, err
		}
		if spent.read() > c.cfg.RecoveryTimeout {
			return nil, fmt.Errorf("%w: %w; not recovered within %v: %w", ErrLost, cause, c.cfg.RecoveryTimeout, err)
		}
	}
}

// recoveryPoll binds the session to an HTTP request, which carries what was not received and then ends.
func (c *Client) recoveryPoll() error {
	ctx, cancel := within(c.ctx, answerTime)
	defer cancel()
	bind := tlcp.BindSession{Session: c.SessionID(), Recovery: true, RecoveryFrom: c.count, ConnParams: tlcp.ConnParams{Polling: true, Cause: "ws.error"}}
	url := c.cfg.Addr + "/" + tlcp.NameBindSession.String() + ".txt?LS_protocol=" + tlcp.Latest.String()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(string(bind.Append(nil))))
	if err != nil {
		return err
	}
	for name, values := range c.cfg.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: the recovery was answered with status %d", errBroken, resp.StatusCode)
	}
	return c.recovered(resp.Body)
}

// recovered handles the lines of a recovery. It returns nil when they have come to their end, LOOP.
func (c *Client) recovered(body io.Reader) error {
	c.phase, c.skip, c.recovering = binding, 0, true
	defer func() { c.skip, c.recovering = 0, false }()
	lines := newLineReader(body, c.cfg.MaxMessage)
	for {
		raw, err := lines.next()
		if errors.Is(err, ErrLimit) {
			return err
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		tag, err := c.handle(raw)
		if err != nil {
			return err
		}
		if tag == tlcp.TagLOOP {
			return nil
		}
	}
}
