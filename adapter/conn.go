package adapter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
	"github.com/lightstreamer-go/lightstreamer/internal/vanish"
)

// A link is one connection to a proxy, from its first line to its end. A reconnect makes a new one: nothing is shared between two.
//
// Goroutines: those that read and run short callbacks (turns), the workers that run the others (calls), and the one that writes (writer.run). No lock is
// held while user code runs.
type link struct {
	*settings
	info    ConnInfo
	conn    net.Conn
	user    *Credentials // nil: none to send
	out     *writer
	ctx     context.Context // what callbacks get; ends with the connection, after its subscriptions
	failure chan error      // the first reason to end the connection
	handler handler
	calls   *calls
	control Control
	turns   *turns

	asked   atomic.Bool               // the proxy has asked for the initialisation
	over    atomic.Bool               // it ends: requests that have arrived are not looked at any more
	refused atomic.Pointer[InitError] // the provider has refused the initialisation

	// Set by the goroutine of the initialisation before it replies.
	ready   atomic.Bool
	version ari.Version

	// Updates that were not written, and that may have been lost on their way; set when serve has
	// returned.
	unsent, maybeLost int64
}

const (
	// initTimeout is how long a proxy may take to ask for the initialisation. It does so at once;
	// this is for connections that lead nowhere.
	initTimeout = 30 * time.Second
	// maxInitLine is the longest line taken before the adapter is initialised: who sends it may be
	// anybody.
	maxInitLine = 256 << 10
	// readTimeout is how long the reader may take to find out what a proxy has said before writing
	// to it failed.
	readTimeout = time.Second
)

// handler is the part of a link that is different for data and metadata.
type handler interface {
	// initialize runs the provider's Initialize.
	initialize(ctx context.Context, in Init) error
	// request takes a request and returns what there is to do about it, if anything. It runs on the goroutine that has the turn and must not block. line is
	// valid during the call.
	request(t *turn, line ari.Line) task
	// ended is told, once, that nothing can be sent any more.
	ended(cause error)
}

// serve runs the connection until it is lost, the proxy closes it, or ctx ends; it returns nil only in the last case. Callbacks have
// returned then, or stopTimeout has passed.
func (l *link) serve(ctx context.Context) error {
	linkCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	l.ctx, l.failure, l.out = linkCtx, make(chan error, 1), newWriter(linkCtx, l.settings, l.conn)

	var wg sync.WaitGroup
	wg.Go(func() { // write
		// What the proxy said before it closed the connection, a CLOSE for instance, is still to be
		// read: the reader goes first.
		if err := l.out.run(); err != nil && expires(readTimeout, linkCtx.Done()) {
			l.fail(l.disconnected("write", err))
		}
	})
	l.hello() // before anything is read: an answer to the initialisation must not overtake it
	var first *turn
	// The order of requests for one item matters.
	l.turns, first = newTurns(l.calls, l.maxLine, l.kind == ari.Metadata)
	l.turns.begin = func(t *turn) {
		wg.Add(1) // for the turn, whoever has it
		l.turns.start(t)
	}
	l.turns.start = func(t *turn) { go t.hold(l.read, wg.Done) }
	l.stats.turns.Store(l.turns)
	l.turns.begin(first)

	// A connection on which nothing is asked is none: half open, or made by a stranger.
	wg.Go(func() {
		if expires(initTimeout, linkCtx.Done()) && !l.asked.Load() {
			l.fail(fmt.Errorf("%w: the proxy did not ask for the initialisation within %v", ErrDisconnected, initTimeout))
		}
	})
	if tcp := tcpOf(l.conn); tcp != nil && l.ackTimeout > 0 {
		wg.Go(func() {
			if vanish.Watch(tcp, l.ackTimeout, linkCtx.Done()) {
				l.fail(fmt.Errorf("%w: the proxy's host has acknowledged nothing for %v", ErrDisconnected, l.ackTimeout))
			}
		})
	}

	var err error
	select {
	case err = <-l.failure:
	case <-ctx.Done():
		err = ErrStopped
	}
	if refusal := l.refused.Load(); refusal != nil && !errors.Is(err, ErrStopped) {
		err = refusal
	}
	l.over.Store(true)
	l.out.ending(err)
	// Subscriptions end first: once its context is over, a Subscription must not take events any more.
	l.handler.ended(err)
	l.control.end(err)
	cancel(err)
	if errors.Is(err, ErrStopped) {
		l.flush()
	}
	l.out.close()
	var last int64 // bytes that the other host may not have got
	if tcp := tcpOf(l.conn); tcp != nil {
		last = vanish.Unacknowledged(tcp)
	}
	_ = l.conn.Close() // also ends the reader
	l.turns.hurry()
	wg.Wait()
	l.lost(err, last)
	l.waitCalls()
	if errors.Is(err, ErrStopped) {
		return nil
	}
	return err
}

// fail ends the connection, unless something else has done so already.
func (l *link) fail(err error) {
	select {
	case l.failure <- err:
	default:
	}
}

// disconnected makes an error of what reading or writing met. A connection that ends before the
// proxy has asked for anything was not wanted. err is nil for the end of what the proxy sends.
func (l *link) disconnected(what string, err error) error {
	if err == nil {
		err = errors.New(what)
	} else {
		err = fmt.Errorf("%s: %w", what, err)
	}
	timeout, ok := errors.AsType[net.Error](err)
	if timedOut := ok && timeout.Timeout(); !timedOut && !l.asked.Load() {
		return fmt.Errorf("%w: %w: %w", ErrDisconnected, ErrTurnedAway, err)
	}
	return fmt.Errorf("%w: %w", ErrDisconnected, err)
}

// lost counts what a connection that has ended leaves undone.
func (l *link) lost(cause error, last int64) {
	unsent, maybe := l.out.losses(last)
	if errors.Is(cause, ErrStopped) && unsent == 0 {
		maybe = 0 // all is written, and on its way
	}
	l.unsent, l.maybeLost = unsent, maybe
	l.stats.lostUnsent.Add(unsent)
	l.stats.maybeLost.Add(maybe)
	if unsent+maybe == 0 {
		return
	}
	say := l.log.Warn
	if _, closed := errors.AsType[*CloseError](cause); closed {
		say = l.log.Info // the proxy has ended it in order, for a reason that is logged as well
	}
	say("updates lost with the connection", "unsent", unsent, "maybe_lost", maybe)
}

// flush gives what is pending a last chance to leave, bounded by the time to stop.
func (l *link) flush() {
	drained := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if expires(l.stopTimeout, drained) {
			_ = l.conn.SetWriteDeadline(time.Unix(1, 0)) // ends the write that does not return
		}
	})
	l.out.drain()
	close(drained)
	wg.Wait()
}

func (l *link) waitCalls() {
	if hanging := l.calls.stop(l.stopTimeout); len(hanging) > 0 {
		l.log.Error("callbacks do not return; left behind", "callbacks", hanging)
	}
}

// hello sends the credentials, which have to be the first line.
func (l *link) hello() {
	var params []ari.Param
	if l.user != nil && !l.user.NoUser {
		params = append(params, ari.Param{Name: "user", Value: ari.T(l.user.User)})
	}
	if l.user != nil && !l.user.NoPassword {
		params = append(params, ari.Param{Name: "password", Value: ari.T(string(l.user.Password))})
	}
	params = append(params,
		ari.Param{Name: "enableClosePacket", Value: ari.T("true")},
		ari.Param{Name: "SDK", Value: ari.T("Go Adapter SDK " + Version)})
	l.out.line(func(b []byte) []byte { return ari.AppendRAC(b, "1", params) })
	l.out.setKeepalive(ari.KeepaliveInterval(l.keepalive, 0, false))
}

// read takes lines until the turn is over, or a callback has cost it (false). It goes on where the last one who had the turn has stopped.
func (l *link) read(t *turn) (kept bool) {
	for {
		if kept, err := l.lines(t); !kept || err != nil {
			if err != nil {
				l.fail(err)
			}
			return kept
		}
		t.flush(l.out, true)
		l.out.owe(t.due)
		t.due = 0
		if !t.reads {
			return true
		}
		space := t.in.Space()
		n, err := l.conn.Read(space)
		t.in.Advance(n)
		l.stats.bytesRead.Add(int64(n))
		switch {
		case n > 0: // an error will come again
			if t.flooded = n == len(space); t.flooded {
				t.share()
			}
		case errors.Is(err, io.EOF):
			l.fail(l.disconnected("closed by the proxy", nil))
			return true
		case err != nil:
			l.fail(l.disconnected("read", err))
			return true
		}
	}
}

// lines takes the lines that have arrived. An error says that the connection has to end.
func (l *link) lines(t *turn) (kept bool, err error) {
	t.flush(l.out, false) // what a callback that has cost the turn had held up
	for !l.over.Load() {
		line, ok, err := t.in.Next()
		if err != nil {
			return true, fmt.Errorf("%w: the proxy sent more than %d bytes without an end of line", ErrLineTooLong, l.maxLine)
		}
		if !ok {
			return true, nil
		}
		f, err := l.line(t, line)
		if err != nil {
			return true, err
		}
		b := t.behind()
		if b != plenty { // a counter that two processors touch all the time is a brake
			l.stats.requests.Add(t.counted)
			t.counted = 0
		}
		if f != nil && !t.run(f, b) {
			return false, nil
		}
	}
	return true, nil
}

// line returns what there is to do about a line, or an error if the connection has to end.
func (l *link) line(t *turn, raw []byte) (task, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > maxInitLine && !l.ready.Load() {
		return nil, fmt.Errorf("%w: %d bytes before the initialisation", ErrLineTooLong, len(raw))
	}
	if l.tracer != nil {
		l.tracer.received(raw)
	}
	line, err := ari.ParseLine(raw)
	if err != nil {
		l.protocolError("line ignored", err, raw)
		return nil, nil
	}
	switch {
	case line.Method == ari.CLOSE:
		reason, err := ari.ParseClose(line)
		if err != nil {
			l.protocolError("CLOSE ignored", err, raw)
			return nil, nil
		}
		before := !l.asked.Load()
		return nil, &CloseError{
			Reason: cut(reason, maxReason), BeforeInit: before, Occupied: before && strings.HasPrefix(reason, ari.ReasonOccupied),
		}
	case line.Method == ari.FST || line.Method == ari.FUS:
		l.control.answered(line)
	case l.asked.Load() && (line.Method == ari.DPI || line.Method == ari.MPI):
		l.protocolError("second initialisation ignored", errors.New("initialised already"), raw)
	case line.Method == ari.DPI || line.Method == ari.MPI:
		t.due += requestCost(line)
		l.initRequest(line)
	case line.Method == ari.Unknown:
		l.protocolError("line ignored", fmt.Errorf("unknown method %q", line.Name[:min(len(line.Name), 20)]), raw)
	case !l.ready.Load():
		t.due += requestCost(line)
		l.refuse(line, errors.New("request before the initialisation"))
	default:
		t.due += requestCost(line)
		t.counted++
		return l.handler.request(t, line), nil
	}
	return nil, nil
}

// protocolError tells of a line that could not be understood. Only its beginning is shown: it can be long, or hold secrets.
func (l *link) protocolError(what string, err error, raw []byte) {
	l.log.Warn("protocol error: "+what, "err", err, "bytes", len(raw))
	l.countProtocolError(err)
}

func (l *link) countProtocolError(err error) {
	l.stats.protocolErrors.Add(1)
	if l.events.ProtocolError != nil {
		l.events.ProtocolError(err)
	}
}

// refuse answers a request that the proxy should not have sent, or that is malformed: silence would only let it time out.
func (l *link) refuse(line ari.Line, err error) {
	l.log.Warn("protocol error: request refused", "method", line.Method.String(), "err", err)
	l.countProtocolError(err)
	l.replyError(string(line.ID), requestCost(line), line.Method, ari.Failure{Kind: ari.KindGeneric, Message: ari.T(err.Error())})
}

func (l *link) replyError(id string, cost int, m ari.Method, f ari.Failure) {
	l.stats.refused.Add(1)
	v := ari.Latest
	if l.ready.Load() { // before that it may be just being written
		v = l.version
	}
	f.Kind = ari.AllowedIn(f.Kind, m, v)
	l.out.reply(cost, func(b []byte) []byte { return ari.AppendError(b, id, m, v, f) })
}

// arrival is when a request has arrived, if anybody will want to know.
func (l *link) arrival() (t time.Time) {
	if l.events.Request != nil {
		t = time.Now()
	}
	return t
}

// answered tells of a request that has been replied to.
func (l *link) answered(m ari.Method, arrived time.Time, err error) {
	if l.events.Request != nil {
		l.events.Request(RequestInfo{Method: m.String(), Duration: time.Since(arrived), Err: err})
	}
}

// ---------------------------------------------------------------------------------------------------------- initialisation

func (l *link) initMethod() ari.Method {
	if l.kind == ari.Metadata {
		return ari.MPI
	}
	return ari.DPI
}

func (l *link) initRequest(line ari.Line) {
	if line.Method != l.initMethod() {
		l.refuse(line, fmt.Errorf("this is a %s: is the proxy's port that of the other kind of adapter?", l.title()))
		return
	}
	l.asked.Store(true)
	params, err := ari.ParseParams(line.Body)
	// By a worker, so that the end of the connection is noticed meanwhile.
	l.calls.start(&initCall{link: l, id: string(line.ID), cost: requestCost(line), params: params, err: err})
}

// initCall is the task of the initialisation.
type initCall struct {
	link   *link
	id     string
	cost   int
	params []ari.Param
	err    error
}

func (c *initCall) name() (what, item string) { return "Initialize", "" }
func (c *initCall) recycle(*turn)             {}

func (c *initCall) run(place) bool {
	if c.err == nil {
		c.err = c.link.initialize(c)
	}
	if c.err != nil {
		c.link.initFailed(c)
	}
	return false
}

func (l *link) initFailed(c *initCall) {
	refusal := &InitError{Err: c.err}
	l.refused.Store(refusal) // the proxy may close the connection as soon as it has the reply, and that is not why it ends
	l.replyError(c.id, c.cost, l.initMethod(), failureOf(c.err))
	l.flush()
	l.fail(refusal)
}

func (l *link) initialize(c *initCall) error {
	params := c.params
	announced, _ := ari.Lookup(params, ari.ParamVersion)
	version, err := ari.Answer(l.kind, announced.S)
	if err != nil {
		return err
	}
	l.version = version
	hint, hasHint := l.keepaliveHint(params)
	given := make(map[string]string, len(params)+len(l.params))
	for _, p := range params {
		if p.Name != ari.ParamVersion && p.Name != ari.ParamKeepaliveHint {
			given[p.Name] = p.Value.S
		}
	}
	maps.Copy(given, l.params)
	err = protect(l.log, "Initialize", func() error {
		return l.handler.initialize(l.ctx, Init{Params: given, ConfigFile: l.configFile, Protocol: version.String(), Control: &l.control})
	})
	if err != nil {
		return err
	}
	l.out.setKeepalive(ari.KeepaliveInterval(l.keepalive, hint, hasHint))
	l.log.Info("initialised", "protocol", version.String())
	l.stats.initialised.Store(true)
	if l.events.Initialised != nil {
		info := l.info
		info.Protocol = version.String()
		l.events.Initialised(info)
	}
	// Requests may follow the reply at once, so all is ready before it leaves.
	l.ready.Store(true)
	l.out.reply(c.cost, func(b []byte) []byte { return ari.AppendInitReply(b, c.id, l.kind, version) })
	return nil
}

// keepaliveHint returns the interval that the proxy would like, if it tells one.
func (l *link) keepaliveHint(params []ari.Param) (time.Duration, bool) {
	text, ok := ari.Lookup(params, ari.ParamKeepaliveHint)
	if !ok {
		return 0, false
	}
	hint, ok := ari.ParseKeepaliveHint(text)
	if !ok {
		l.log.Warn("parameter of the proxy is not an integer; ignored", "parameter", ari.ParamKeepaliveHint, "value", cut(text.S, maxShown))
	}
	return hint, ok
}
