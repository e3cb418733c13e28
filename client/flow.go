package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
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
		err := c.serve(conn)
		if !errors.Is(err, errBroken) || c.ctx.Err() != nil {
			return err
		}
		c.log.Info("client: connection lost", "error", err)
		c.mu.Lock()
		opened, closing := c.session != "", c.closing
		c.conn = nil
		c.mu.Unlock()
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
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return wsconn.Dial(ctx, c.cfg.Addr, wsconn.DialOptions{
		Options:     wsconn.Options{ReadLimit: c.cfg.MaxMessage},
		Subprotocol: tlcp.Latest.Subprotocol(), Header: c.cfg.Header, TLS: c.cfg.TLS, DialContext: c.cfg.DialContext,
	})
}

// greet sends the first messages on a socket.
func (c *Client) greet(conn *wsconn.Conn, request []byte) error {
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
	silence := time.AfterFunc(answerTime, conn.CloseNow)
	defer silence.Stop()
	for {
		m, err := conn.ReadText()
		if err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		silence.Stop() // callbacks take the time they take
		for raw := range tlcp.Lines(m) {
			line, err := tlcp.ParseLine(raw)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrProtocol, err)
			}
			if err := c.take(line); err != nil {
				return err
			}
			switch line.Tag {
			case tlcp.TagCONOK:
				c.keepalive = line.Duration
				if err := c.bound(conn); err != nil {
					return fmt.Errorf("%w: %w", errBroken, err)
				}
			case tlcp.TagLOOP:
				c.keepalive = 0
				if err := conn.WriteText(c.bind("loop")); err != nil {
					return fmt.Errorf("%w: %w", errBroken, err)
				}
			}
		}
		wait := answerTime
		if c.keepalive > 0 {
			wait = c.keepalive + c.cfg.Patience
		}
		silence.Reset(wait)
	}
}

// bind is the request that has the session go on on a socket.
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

// take handles one line, whichever way it came. An error ends the session.
func (c *Client) take(line tlcp.Line) error {
	if line.Tag.Data() {
		if c.skip > 0 {
			c.skip--
			return nil
		}
		c.count++
		return c.data(line)
	}
	switch line.Tag {
	case tlcp.TagCONOK:
		c.mu.Lock()
		first := c.session == ""
		c.session, c.limit = line.Session, line.RequestLimit
		c.mu.Unlock()
		if first {
			close(c.opened)
		}
	case tlcp.TagCONERR, tlcp.TagEND, tlcp.TagERROR:
		return &SessionError{Code: line.Code, Message: line.Text}
	case tlcp.TagPROG:
		if line.Count > c.count || line.Count < c.count && !c.recovering {
			return fmt.Errorf("%w: it goes on at notification %d, %d have come", ErrProtocol, line.Count, c.count)
		}
		c.skip = c.count - line.Count
	case tlcp.TagREQOK:
		c.answered(line.ReqID, nil)
	case tlcp.TagREQERR:
		c.answered(line.ReqID, &RequestError{Code: line.Code, Message: line.Text})
	}
	return nil
}

// recover gets what a broken connection has left out, over HTTP, and then a new socket, to which the session is being bound.
func (c *Client) recover(cause error) (*wsconn.Conn, error) {
	if c.cfg.RecoveryTimeout < 0 {
		return nil, fmt.Errorf("%w: %w", ErrLost, cause)
	}
	deadline := time.Now().Add(c.cfg.RecoveryTimeout)
	had := c.count
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		if c.count > had { // a part has come before it broke again
			had, pause, deadline = c.count, 100*time.Millisecond, time.Now().Add(c.cfg.RecoveryTimeout)
		}
		timer := time.NewTimer(rand.N(pause)) // many clients are not to come back at the same moment
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
					c.log.Info("client: connection recovered")
					return conn, nil
				}
				conn.CloseNow()
			}
		} else if !errors.Is(err, errBroken) {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%w: %w; not recovered within %v: %w", ErrLost, cause, c.cfg.RecoveryTimeout, err)
		}
	}
}

// recoveryPoll binds the session to an HTTP request, which carries what was not received and then ends.
func (c *Client) recoveryPoll() error {
	ctx, cancel := context.WithTimeout(c.ctx, answerTime)
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
	c.skip, c.recovering = 0, true
	defer func() { c.skip, c.recovering = 0, false }()
	lines := newLineReader(body, c.cfg.MaxMessage)
	for {
		raw, err := lines.next()
		if err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		line, err := tlcp.ParseLine(raw)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		if err := c.take(line); err != nil {
			return err
		}
		if line.Tag == tlcp.TagLOOP {
			return nil
		}
	}
}
