package broker

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/session"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// sockets are the open WebSockets: the HTTP server has no hold on them any more.
type sockets struct {
	mu     sync.Mutex
	open   map[*socket]struct{}
	closed bool
	wg     sync.WaitGroup // one for each socket, until its handler returns
}

func (s *sockets) add(sock *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.open == nil {
		s.open = make(map[*socket]struct{})
	}
	s.open[sock] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *sockets) remove(sock *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sock)
	s.wg.Done()
}

// close refuses new sockets, waits for those there are until ctx ends, cuts the rest, and waits for their handlers.
func (s *sockets) close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last socket
		defer close(done)
		s.wg.Wait()
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	left := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, sock := range left {
		sock.conn.CloseNow()
	}
	<-done
}

// socket is one WebSocket. Its messages are processed in order by the goroutine that reads (the HTTP server's, in serveSocket).
// Beside it there is one goroutine while a session is bound, which writes the flow, and one while answers wait to be written.
type socket struct {
	f      *frontend
	conn   *wsconn.Conn
	client session.Client
	answer answers
	idle   *time.Timer // closes a socket that has no session bound for too long
	wg     sync.WaitGroup

	// Of the reading goroutine.
	session *session.Session // last bound
	flow    *flow            // the last one; it may be over
}

// flow is a session bound to the socket: it implements session.Writer.
type flow struct {
	conn    *wsconn.Conn
	session *session.Session
	started chan struct{} // closed when the head has been written, or never will be
	looped  chan struct{} // closed when LOOP is about to be written: the client may bind again from then on
	done    chan struct{} // closed when the binding is over
	start   sync.Once
	// rebinding says that a bind on this same socket is taking the session over, so that the socket stays.
	rebinding atomic.Bool
}

// serveSocket upgrades the request and serves the socket until it is closed.
func (f *frontend) serveSocket(w http.ResponseWriter, r *http.Request, from peer, held *holding) {
	version, subprotocol, err := chooseSubprotocol(r.Header.Values("Sec-WebSocket-Protocol"))
	if err != nil {
		f.refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	f.linger(w, r) // if it is refused; an upgrade lifts the deadlines
	conn, err := wsconn.Accept(w, r, subprotocol, wsconn.Options{
		ReadLimit: int64(tolerance * f.cfg.Limits.Request), WriteTimeout: f.cfg.WriteTimeout, CloseTimeout: 500 * time.Millisecond,
		ReadTimeout: f.cfg.ReadTimeout, Buffers: held.memory,
	})
	if err != nil {
		return // the response has been written
	}
	if c := connOf(r); c != nil {
		c.upgrade()
	}
	s := &socket{f: f, conn: conn, client: f.client(r, version, from)}
	s.client.WebSocket = true
	s.answer.init(conn, &f.n.sockets)
	if !f.sockets.add(s) {
		conn.CloseNow()
		return
	}
	defer f.sockets.remove(s)
	s.serve(r.Context())
}

// chooseSubprotocol takes the first one offered that the broker can serve. Clients drop a connection whose subprotocol is not echoed,
// so without one there is nothing to upgrade to.
func chooseSubprotocol(offers []string) (tlcp.Version, string, error) {
	for _, header := range offers {
		for offer := range strings.SplitSeq(header, ",") {
			offer = strings.TrimSpace(offer)
			if v, err := tlcp.ParseSubprotocol(offer); err == nil && v.Supported() {
				return v, offer, nil
			}
		}
	}
	return tlcp.Version{}, "", errors.New("WebSocket subprotocol missing or not supported: want " + tlcp.Latest.Subprotocol())
}

func (s *socket) serve(ctx context.Context) {
	// The request's context does not notice that the client has gone once the connection is taken over; its end does.
	ctx, cancel := context.WithCancel(ctx)
	s.idle = time.AfterFunc(s.f.cfg.IdleTimeout, func() { s.conn.Close(wsconn.CodeGoingAway, "idle") })
	for {
		message, err := s.conn.ReadText()
		if err != nil {
			s.f.countEnd(err)
			break
		}
		if !s.process(ctx, message) {
			break
		}
		s.answer.wait()
	}
	cancel()
	s.conn.CloseNow()
	s.wg.Wait()
	s.answer.close()
	s.idle.Stop()
}

// countEnd counts the ends of sockets that are faults of their clients.
func (f *frontend) countEnd(err error) {
	switch {
	case errors.Is(err, wsconn.ErrReadTimeout):
		f.n.requestTimeouts.Add(1)
	case errors.Is(err, wsconn.ErrTooBig):
		f.n.requestBody.Add(1)
	case errors.Is(err, wsconn.ErrNoRoom):
		f.n.requestMemory.Add(1)
	case errors.Is(err, wsconn.ErrFlood):
		f.n.sockets.Add(1)
	}
}

// process does what one message asks; false if the socket is to be closed.
func (s *socket) process(ctx context.Context, message []byte) bool {
	name, body, ok := tlcp.SplitMessage(message)
	if !ok {
		s.answer.add(tlcp.AppendERROR(nil, tlcp.CodeMalformed, "unknown request name"))
		return true
	}
	switch name {
	case tlcp.NameWSOK:
		// Not in the queue of answers: nothing may overtake it.
		return s.conn.WriteText(tlcp.AppendWSOK(nil)) == nil
	case tlcp.NameCreateSession, tlcp.NameBindSession:
		return s.bind(ctx, name, body)
	}
	eachLine(body, func(line []byte) { s.request(ctx, name, body, line) })
	return true
}

// request executes one line of control, msg or heartbeat.
func (s *socket) request(ctx context.Context, name tlcp.Name, body, line []byte) {
	switch name {
	case tlcp.NameControl:
		c, refusal := tlcp.ParseControl(line)
		if refusal = s.f.checkLength(body, refusal, c.ReqID); refusal != nil {
			s.answer.add(refusal.Append(nil))
			return
		}
		answer := s.answer.add
		if c.Op == tlcp.OpDestroy || c.Op == tlcp.OpForceRebind {
			answer = s.answer.now // before the END or LOOP that the request causes
		}
		s.f.sessions.Submit(s.client, s.session, c, answer)
		if c.Destroy != nil && c.Destroy.CloseSocket && s.flow.over() {
			s.hangUp() // with a session bound, its end does it
		}
	case tlcp.NameMsg:
		m, refusal := tlcp.ParseMessage(line)
		if refusal = s.f.checkLength(body, refusal, m.ReqID); refusal != nil {
			s.answer.add(refusal.Append(nil))
			return
		}
		s.answer.add(s.f.sessions.Message(ctx, s.client, s.session, m, nil))
	default:
		h, refusal := tlcp.ParseHeartbeat(line)
		if refusal != nil {
			s.answer.add(refusal.Append(nil))
			return
		}
		s.f.sessions.Heartbeat(h.Session, s.session) // on a WebSocket it has no answer
	}
}

// bind creates or binds a session and starts its flow; false if the socket is to be closed.
func (s *socket) bind(ctx context.Context, name tlcp.Name, body []byte) bool {
	if refusal := s.busy(name, body); refusal != nil {
		return s.conn.WriteText(refusal.Append(nil)) == nil
	}
	if s.flow != nil {
		s.flow.rebinding.Store(true)
	}
	binding, refusal := s.f.open(ctx, s.client, name, body, s.session)
	if refusal != nil {
		if s.flow != nil {
			s.flow.rebinding.Store(false)
		}
		return s.conn.WriteText(refusal.Append(nil)) == nil
	}
	if s.flow != nil {
		<-s.flow.done // it is over, or about to be: the session has been taken away from it
	}
	s.idle.Stop()
	if bound := binding.Session(); bound != nil {
		s.session = bound
	}
	s.flow = &flow{
		conn: s.conn, session: binding.Session(), started: make(chan struct{}), looped: make(chan struct{}), done: make(chan struct{}),
	}
	s.wg.Go(func() { s.run(ctx, binding, s.flow) })
	// What follows on the socket may refer to the session, and is to be answered after CONOK.
	<-s.flow.started
	return true
}

// busy refuses a session while another one is bound to the socket.
func (s *socket) busy(name tlcp.Name, body []byte) *tlcp.SessionError {
	if s.flow.over() {
		return nil
	}
	if name == tlcp.NameBindSession {
		line, _ := soleLine(body)
		req, refusal := tlcp.ParseBindSession(line)
		if refusal != nil {
			return refusal
		}
		if req.Session == "" || s.session != nil && req.Session == s.session.ID() {
			return nil
		}
	}
	return tlcp.NewSessionError(tlcp.CodeStreamingBusy)
}

// run is the goroutine of a flow.
func (s *socket) run(ctx context.Context, binding *session.Binding, fl *flow) {
	end := binding.Run(ctx, fl)
	fl.begin()
	hangUp := end.CloseSocket && (end.Reason != session.Abandoned || !fl.rebinding.Load())
	if !hangUp {
		s.idle.Reset(s.f.cfg.IdleTimeout) // the reader stops it when it starts the next flow, after this one is done
	}
	close(fl.done)
	if hangUp {
		s.hangUp()
	}
}

// hangUp closes the socket in order, after the answers that wait. It runs beside the reader, which then ends.
func (s *socket) hangUp() {
	s.answer.flush()
	s.conn.Close(wsconn.CodeNormal, "")
}

// over says whether nothing is bound: from the moment LOOP is on its way the client may bind again.
func (fl *flow) over() bool {
	if fl == nil {
		return true
	}
	select {
	case <-fl.looped:
	case <-fl.done:
	default:
		return false
	}
	return true
}

func (fl *flow) begin() { fl.start.Do(func() { close(fl.started) }) }

// WriteLines sends lines as one message.
func (fl *flow) WriteLines(lines []byte) error {
	if endsWithLoop(lines) {
		close(fl.looped) // LOOP is the last line of a flow
	}
	err := fl.conn.WriteText(lines)
	fl.begin()
	return err
}

func endsWithLoop(lines []byte) bool {
	last := bytes.TrimSuffix(lines, []byte(tlcp.EOL))
	return bytes.HasPrefix(last[bytes.LastIndexByte(last, '\n')+1:], []byte("LOOP,"))
}
