package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// maxNoise bounds what the lines of one connection can write into the log.
const maxNoise = 20

// conn is one connection with a remote.
type conn struct {
	link    *link
	nc, raw net.Conn // raw is nc, or what is below its TLS
	log     *slog.Logger
	stamp   string // second part of the ids of this connection's requests
	w       *writer
	pending *pending
	version ari.Version // set by the reader before attach

	user  string // of the reader: of the credentials, bounded
	lines int    // of the reader: read before init was answered, keepalives not counted

	inited atomic.Bool // version is known, and requests flow
	noisy  atomic.Int32
	ending atomic.Bool // fail was called

	// Guarded by link.mu.
	admitted bool      // its credentials were good, or are not checked
	mate     *notifier // the other connection of the pair, if remotes have two

	mu       sync.Mutex
	initID   string // "" until the init request is sent
	err      error
	mayClose bool // the remote understands CLOSE
	timer    *time.Timer
}

func newConn(l *link, nc, raw net.Conn) *conn {
	c := &conn{
		link: l, nc: nc, raw: raw, w: newWriter(l.cfg.MaxUnsent),
		stamp: fmt.Sprintf("%016x", time.Now().UnixMilli()),
		log:   l.log.With("peer", raw.RemoteAddr().String()),
	}
	c.pending = newPending(l.cfg.Timeout, l.cfg.MaxPending, l.bounds, c.w.line, func(err error) { c.fail(fmt.Errorf("%w: %w", ErrLost, err), "") })
	return c
}

// fail ends the connection: the first call counts. A reason is told to the remote, if it understands that; without one the
// connection is cut. It does not block, and calls nobody.
func (c *conn) fail(err error, reason string) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	tell := reason != "" && c.mayClose
	c.mu.Unlock()
	c.ending.Store(true)
	c.link.release(c)
	if !tell {
		c.w.finish(nil)
		_ = c.raw.Close()
		return
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(flushTime))
	c.w.finish(func(dst []byte) []byte { return ari.AppendClose(dst, reason) })
}

// reason returns why the connection has ended.
func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// write is the body of the writer's goroutine.
func (c *conn) write() {
	if err := c.w.run(c.nc); err != nil {
		c.fail(fmt.Errorf("%w: %w", ErrLost, err), "")
	} else if c.nc != c.raw {
		cut := time.AfterFunc(flushTime, func() { _ = c.raw.Close() })
		_ = c.nc.Close() // says good-bye in TLS, for which it would take its time
		cut.Stop()
	}
	_ = c.raw.Close()
}

// closeMate closes the other connection of the pair, and waits for the end of its goroutine.
func (c *conn) closeMate() {
	c.link.mu.Lock()
	n := c.mate
	c.link.mu.Unlock()
	if n != nil {
		_ = n.raw.Close()
		<-n.done
	}
}

// read is the reader, in the link's goroutine. It returns when the connection has ended.
func (c *conn) read() {
	if reason, err := c.link.readLines(c.nc, c.line, c.ending.Load, c.inited.Load); err != nil {
		c.fail(err, reason)
	}
	drain(c.nc)
}

// readLines hands the lines of nc to handle until the connection is lost, for which it returns what the remote is told of it and
// the cause, or until ending says so. watched says whether silence is limited by now.
func (l *link) readLines(nc net.Conn, handle func([]byte), ending, watched func() bool) (reason string, cause error) {
	buf := ari.NewLineBuffer(l.cfg.MaxLine)
	for {
		for !ending() {
			line, ok, err := buf.Next()
			if err != nil {
				return "line too long", fmt.Errorf("%w: %w", ErrLost, err)
			}
			if !ok {
				break
			}
			handle(line)
		}
		if ending() {
			return "", nil
		}
		if k := l.cfg.KeepaliveTimeout; k > 0 && watched() {
			_ = nc.SetReadDeadline(time.Now().Add(k))
		}
		n, err := nc.Read(buf.Space())
		buf.Advance(n)
		switch {
		case n > 0 || err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "keepalive timeout", fmt.Errorf("%w: nothing came for %v", ErrLost, l.cfg.KeepaliveTimeout)
		default:
			return "", fmt.Errorf("%w: %w", ErrLost, err)
		}
	}
}

// drain throws away what still comes while the farewell is being written: closing a TCP socket with unread bytes would cut
// the farewell off, and a peer that writes without reading would keep it from being sent.
func drain(nc net.Conn) {
	_ = nc.SetReadDeadline(time.Now().Add(2 * flushTime))
	junk := make([]byte, 4<<10)
	for {
		if _, err := nc.Read(junk); err != nil {
			return
		}
	}
}

// line handles one line of the remote.
func (c *conn) line(line []byte) {
	if len(line) == 0 || ari.IsKeepalive(line) {
		return
	}
	l, err := ari.ParseLine(line)
	if !c.inited.Load() {
		c.opening(l, err)
		return
	}
	if err != nil {
		c.noise("malformed line ignored", err)
		return
	}
	data := c.link.channel == ari.Data
	modern := c.version.AtLeast(ari.V190)
	switch l.Method {
	case ari.RAC:
		c.protocolError("RAC is not the first line")
	case ari.FAL:
		if !data && !modern {
			c.unexpected(l)
			return
		}
		c.failure(l, c.version)
	case ari.UD3, ari.EOS, ari.CLS:
		if !data {
			c.unexpected(l)
			return
		}
		c.link.side.event(c, l)
	case ari.DFD:
		if !data || !modern {
			c.unexpected(l)
			return
		}
		c.link.side.event(c, l)
	case ari.FST, ari.FUS:
		if data || !modern {
			c.unexpected(l)
			return
		}
		c.link.side.event(c, l)
	case ari.Unknown, ari.CLOSE:
		c.unexpected(l)
	default:
		c.reply(l)
	}
}

// failure handles FAL: the remote is detached.
func (c *conn) failure(l ari.Line, v ari.Version) {
	message, err := ari.ParseFailureNotice(l.Body, v)
	if err != nil {
		c.noise("unreadable message of a failure", err)
	}
	c.fail(fmt.Errorf("%w: %s", ErrFailure, bounded(message.S)), "the adapter has failed")
}

// reply hands a reply to whoever asked.
func (c *conn) reply(l ari.Line) {
	r := c.pending.take(l.ID)
	if r == nil {
		c.link.stats.lateReplies.Add(1)
		c.noise("reply ignored: nobody waits for it", nil, "method", l.Method.String())
		return
	}
	if r.method != l.Method {
		c.link.stats.malformed.Add(1)
		r.done(nil, fmt.Errorf("%s answered as %s", r.method, l.Method))
		return
	}
	f, isError, err := ari.ParseError(l.Method, l.Body, c.version)
	switch {
	case isError:
		if err != nil {
			c.noise("error reply not wholly understood", err)
		}
		r.done(nil, &refusal{r.method, f})
	case err != nil:
		c.link.stats.malformed.Add(1)
		r.done(nil, err)
	default:
		r.done(l.Body, nil)
	}
}

// refusal is an error reply.
type refusal struct {
	method ari.Method
	ari.Failure
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s refused by the remote adapter: %s", r.method, bounded(r.Message.S))
}

// request sends a request, or has it wait for its turn. done is called once, later or at once, unless an error is returned,
// which says that the connection has ended.
func (c *conn) request(m ari.Method, encode func(dst []byte, id string) []byte, done func(body []byte, err error)) (*request, error) {
	id := c.link.nextID(c.stamp)
	r := &request{id: id, method: m, encode: func(dst []byte) []byte { return encode(dst, id) }, done: done}
	err := c.pending.add(r)
	switch reason := c.reason(); {
	case err == nil:
		c.link.stats.requests.Add(1)
		return r, nil
	case reason != nil:
		return nil, reason
	case errors.Is(err, errTooManyPending):
		err = fmt.Errorf("%w: %w", ErrLost, err)
		c.fail(err, "too many requests without an answer")
	default:
		err = fmt.Errorf("%w: %w", ErrLost, err)
		c.fail(err, "")
	}
	return nil, err
}

// send sends a line that nobody waits for.
func (c *conn) send(encode func(dst []byte) []byte) {
	if err := c.w.line(encode); err != nil {
		c.fail(fmt.Errorf("%w: %w", ErrLost, err), "")
	}
}

// protocolError ends the connection for what the remote did.
func (c *conn) protocolError(what string) {
	reason := ErrLost
	if !c.inited.Load() {
		reason = ErrInit
	}
	c.fail(fmt.Errorf("%w: protocol error: %s", reason, what), "protocol error: "+what)
}

func (c *conn) unexpected(l ari.Line) {
	c.noise("line ignored: its method is not known here", nil, "method", bounded(string(l.Name[:min(len(l.Name), 2*maxShown)])))
}

// noise logs and counts a line that is ignored; past a bound it only counts.
func (c *conn) noise(what string, err error, attrs ...any) {
	c.link.stats.malformed.Add(1)
	noisy := c.noisy.Add(1)
	if noisy > maxNoise {
		return
	}
	if err != nil {
		attrs = append(attrs, "error", err)
	}
	c.log.Warn(what, attrs...)
	if noisy == maxNoise {
		c.log.Warn("further ignored lines of this connection are counted, not logged")
	}
}

const maxShown = 200

// bounded makes a remote's text fit for errors and logs.
func bounded(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "..."
	}
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
