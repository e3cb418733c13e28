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

// conn is one connection with a remote, or with a peer that may become one.
type conn struct {
	peer
	link    *link
	nc      net.Conn // raw, or the TLS above it; set by the goroutine that reads, before it reads
	log     *slog.Logger
	stamp   string // second part of the ids of this connection's requests
	w       *writer
	pending *pending
	version ari.Version // set by the reader before attach

	// Of the reader.
	lines int    // read before init was answered, keepalives not counted
	sdk   string // that of RAC

	inited atomic.Bool // version is known, and requests flow
	noisy  atomic.Int32
	ending atomic.Bool // fail was called

	gone chan struct{} // closed when it has ended and its side has been detached

	// Guarded by link.mu.
	admitted bool      // its credentials were good, or are not checked
	late     bool      // there is a remote already: it is only told so
	mate     *notifier // the other connection of the pair, if remotes have two

	mu       sync.Mutex
	initID   string // "" until the init request is sent
	err      error
	parting  bool        // it is counted in link.parting
	mayClose bool        // the remote understands CLOSE
	opened   *time.Timer // limits the opening phase
	timer    *time.Timer // limits the wait for the init reply
	again    *time.Timer // looks for the other connection of the pair once more
}

func newConn(l *link, raw net.Conn) *conn {
	c := &conn{
		link: l, nc: raw, w: newWriter(l.cfg.MaxUnsent), gone: make(chan struct{}),
		stamp: fmt.Sprintf("%016x", time.Now().UnixMilli()),
		log:   l.log.With("peer", raw.RemoteAddr().String()),
	}
	c.peer = newPeer(l.ctx, raw, func(why error) { c.fail(fmt.Errorf("%w: %w", ErrInit, why), "") })
	c.conn = c
	c.pending = newPending(l.cfg.Timeout, l.cfg.MaxPending, l.bounds, c.w, &l.stats.waiting)
	c.w.drained = c.pending.drained
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
	if tell && !c.inited.Load() {
		tell = c.link.parting.Add(1) <= maxParting
		c.parting = true
	}
	c.mu.Unlock()
	c.ending.Store(true)
	c.cancel()
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

// read is the reader, in the connection's goroutine. It returns when the connection has ended.
func (c *conn) read() {
	if reason, err := c.link.readLines(c.nc, c.line, c.ending.Load, c.inited.Load); err != nil {
		c.fail(err, reason)
	}
	drain(c.nc)
}

// readLines hands the lines of nc to handle until the connection is lost, for which it returns what
// the remote is told of it and the cause, or until ending reports true. inited reports whether the
// remote is initialised: then its silence is limited, and its lines may be long.
func (l *link) readLines(nc net.Conn, handle func([]byte), ending, inited func() bool) (reason string, cause error) {
	buf := ari.NewLineBuffer(min(maxOpeningLine, l.cfg.MaxLine))
	in := reader{nc: nc}
	for opening := true; ; {
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
		space := buf.Space()
		if opening && inited() {
			opening = false
			long := ari.NewLineBuffer(l.cfg.MaxLine)
			buf.Split(long)
			buf = long
			in.silence = l.cfg.KeepaliveTimeout
			_ = nc.SetReadDeadline(time.Time{}) // that of watchMate
			space = buf.Space()
		} else if opening {
			space = space[:min(len(space), openingRead)]
		}
		n, err := in.read(space)
		buf.Advance(n)
		switch {
		case n > 0 || err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && opening:
			// watchMate has woken the reader.
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "keepalive timeout", fmt.Errorf("%w: nothing came for %v", ErrLost, l.cfg.KeepaliveTimeout)
		default:
			return "", fmt.Errorf("%w: %w", ErrLost, err)
		}
	}
}

// openingRead is how much is read at a time before the init reply, so that a long line that follows
// it is not taken for one of the opening.
const openingRead = 4 << 10

// reader reads from a connection whose silence may be limited.
type reader struct {
	nc      net.Conn
	silence time.Duration // 0: no limit
}

// read reads what there is, or waits for it. Silence is not judged by the time that has passed
// alone: a process that was itself stopped finds its deadline past and the data waiting. So the
// last part of the time is a second look, and a deadline that is noticed late is followed by
// another one.
func (r *reader) read(into []byte) (int, error) {
	if r.silence <= 0 {
		return r.nc.Read(into)
	}
	look := min(lateTimer, r.silence/2)
	deadline := time.Now().Add(r.silence - look)
	for again := true; ; {
		_ = r.nc.SetReadDeadline(deadline)
		n, err := r.nc.Read(into)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		switch now := time.Now(); {
		case now.Before(deadline): // watchMate was late
		case now.Sub(deadline) > lateTimer && look < catchUp:
			look = catchUp // once
			deadline, again = now.Add(look), false
		case again:
			deadline, again = now.Add(look), false
		default:
			return 0, err
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
	if len(line) == 0 {
		return
	}
	if ari.IsKeepalive(line) {
		if !c.inited.Load() && !c.link.cfg.Auth {
			c.identified()
		}
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

// request sends a request of an owner, or has it wait for its turn, at least until behind, which
// may be nil, has left. done is called once, later or at once, unless an error is returned, which
// tells why the connection has ended.
func (c *conn) request(m ari.Method, owner string, behind *request, encode func(dst []byte, id string) []byte,
	done func(body []byte, err error)) (*request, error) {
	id := c.link.nextID(c.stamp)
	r := &request{id: id, method: m, owner: owner, encode: func(dst []byte) []byte { return encode(dst, id) }, done: done}
	if err := c.pending.add(r, behind); err != nil {
		return nil, err
	}
	c.link.stats.requests.Add(1)
	return r, nil
}

// send sends a line that nobody waits for: an answer to the remote.
func (c *conn) send(encode func(dst []byte) []byte) {
	if err := c.w.reply(encode); err != nil {
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
