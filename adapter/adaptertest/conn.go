package adaptertest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A Conn is one connection of an adapter to a [Proxy], seen from the proxy. Each line that comes from the adapter is checked against the protocol as
// it arrives, whether the test looks at it or not; one that is wrong fails the test and the connection goes on.
//
// Methods that wait do so for the proxy's Patience and then fail the test with t.Fatal; they belong on the test's goroutine. The others can be
// called from any goroutine.
type Conn struct {
	proxy  *Proxy
	report *reporter
	socket *socket
	done   chan struct{} // closed when the reader has ended

	mu      sync.Mutex
	check   *checker
	news    chan struct{} // closed at the next change; nil: nobody waits for one
	log     transcript
	loose   []received // lines that belong to nothing made by a typed method
	unread  int        // events and loose lines that nobody has taken
	flooded bool
	keeps   int
	params  map[string]string // of RAC
	over    error             // why nothing more comes
	silence *time.Timer       // fires after timeout of silence; nil: nobody minds
	timeout time.Duration     // the proxy's KeepaliveTimeout
	stalled bool
}

// A connection on which so many events wait for a test to take them is a test gone wrong: it would fill the memory.
const mostUnread = 100_000

// errSilence is why a connection ended on which the adapter was silent for too long.
var errSilence = errors.New("keepalive timeout")

func newConn(p *Proxy, s *socket) *Conn {
	s.out.update(func() { s.out.limit = 0 }) // what a test sends is bounded by the test
	c := &Conn{proxy: p, report: p.report, socket: s, done: make(chan struct{}), check: newChecker(p.kind(), maps.Clone(p.Modes)), timeout: p.KeepaliveTimeout}
	go c.read()
	return c
}

// ----------------------------------------------------------------------------------------------------------------- waiting

// changed wakes those who wait. mu is held.
func (c *Conn) changed() {
	if c.news != nil {
		close(c.news)
		c.news = nil
	}
}

// errPatience is how await says that nothing came.
var errPatience = errors.New("nothing came")

// await waits until cond holds; nil then, else why it does not and will not. mu is held before and after, and when cond is called.
func (c *Conn) await(patience time.Duration, cond func() bool) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for expired := false; !cond(); {
		switch {
		case c.over != nil:
			return c.over
		case expired:
			return fmt.Errorf("%w within %v", errPatience, patience)
		}
		if c.news == nil {
			c.news = make(chan struct{})
		}
		news := c.news
		c.mu.Unlock()
		select {
		case <-news:
		case <-timer.C:
			expired = true
		}
		c.mu.Lock()
	}
	return nil
}

// fatal fails the test and shows the conversation. mu is not held.
func (c *Conn) fatal(format string, args ...any) {
	c.report.tb.Helper()
	c.mu.Lock()
	lines := c.log.String()
	c.mu.Unlock()
	c.report.fatalf("%s%s", fmt.Sprintf(format, args...), lines)
}

// ----------------------------------------------------------------------------------------------------------------- reading

// read takes lines until the connection ends.
func (c *Conn) read() {
	defer close(c.done)
	err := c.readLines()
	c.mu.Lock()
	if c.over == nil {
		c.over = err
	}
	if c.silence != nil {
		c.silence.Stop()
	}
	c.log.note(err.Error())
	c.changed()
	c.mu.Unlock()
	_ = c.socket.Close()
}

func (c *Conn) readLines() error {
	buf := ari.NewLineBuffer(64 << 20)
	var last byte
	for {
		space := buf.Space()
		n, err := c.socket.Read(space)
		bareLF := !endsAreCRLF(space[:n], &last)
		buf.Advance(n)
		for {
			line, ok, lineErr := buf.Next()
			if lineErr != nil {
				c.report.errorf("the adapter sent a line of more than 64 MiB")
				return lineErr
			}
			if !ok {
				break
			}
			c.line(line, bareLF)
			bareLF = false
		}
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("the adapter has closed the connection")
		case err != nil:
			return fmt.Errorf("the connection has ended: %w", err)
		}
	}
}

// endsAreCRLF tells whether each LF follows a CR; last is the byte before p, and after.
func endsAreCRLF(p []byte, last *byte) bool {
	good := true
	for _, b := range p {
		good = good && (b != '\n' || *last == '\r')
		*last = b
	}
	return good
}

// line takes one line to whom it concerns.
func (c *Conn) line(raw []byte, bareLF bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silence != nil && !c.stalled {
		c.silence.Reset(c.timeout)
	}
	r := c.check.received(raw)
	c.log.received(string(raw))
	if bareLF {
		r.wrong = joinWrong(r.wrong, "a line does not end with CR LF")
	}
	if r.wrong != "" {
		// The reporter's lock is a leaf: nothing is locked below it.
		c.report.errorf("the adapter breaks the protocol: %s\nline: %s%s", r.wrong, mask(string(raw)), &c.log)
	}
	c.deliver(r)
	c.changed()
}

// deliver hands a line over. mu is held.
func (c *Conn) deliver(r received) {
	switch {
	case r.method == ari.Unknown:
		if ari.IsKeepalive([]byte(r.text)) {
			c.keeps++
			return
		}
	case r.method == ari.RAC:
		if c.params == nil {
			c.params = paramsOf(r.body)
		}
		return
	case r.request != nil && r.request.owner != nil:
		r.request.owner.finish(r)
		return
	case r.sub != nil && r.sub.owner != nil:
		r.sub.owner.add(r)
		return
	}
	if c.count(1) {
		c.loose = append(c.loose, r)
	}
}

// count tells whether one more event may be kept. mu is held.
func (c *Conn) count(n int) bool {
	if c.unread += n; c.unread <= mostUnread {
		return true
	}
	c.unread -= n
	if !c.flooded {
		c.flooded = true
		c.report.errorf("more than %d events wait for the test to take them; later ones are lost. Take them, or call Discard of the items that do not matter%s",
			mostUnread, &c.log)
	}
	return false
}

func paramsOf(body []byte) map[string]string {
	params, _ := ari.ParseParams(body)
	m := make(map[string]string, len(params))
	for _, p := range params {
		if !p.Value.Null {
			m[p.Name] = p.Value.S
		}
	}
	return m
}

// ----------------------------------------------------------------------------------------------------------------- opening

// greet waits for RAC and looks at the credentials.
func (c *Conn) greet() {
	c.report.tb.Helper()
	c.mu.Lock()
	err := c.await(c.proxy.patience(), func() bool { return c.params != nil })
	params := c.params
	c.mu.Unlock()
	if err != nil {
		c.fatal("a connection without RAC: %v", err)
	}
	want := c.proxy.Credentials
	if want == nil {
		return
	}
	got := c.Credentials()
	switch {
	case got.NoUser || got.NoPassword:
		c.fatal("the adapter sent no %s; want those of user %q", missing(got), want.User)
	case got.User != want.User:
		c.fatal("the adapter sent the user %q, want %q", params[ari.ParamUser], want.User)
	case got.Password != want.Password:
		c.fatal("the adapter sent a wrong password for user %q", want.User)
	}
}

func missing(c adapter.Credentials) string {
	if c.NoUser {
		return "user"
	}
	return "password"
}

// Credentials returns the user and password of RAC.
func (c *Conn) Credentials() adapter.Credentials {
	c.mu.Lock()
	defer c.mu.Unlock()
	user, hasUser := c.params[ari.ParamUser]
	password, hasPassword := c.params[ari.ParamPassword]
	return adapter.Credentials{User: user, Password: adapter.Password(password), NoUser: !hasUser, NoPassword: !hasPassword}
}

// Init sends the initialisation request, with the Version, Params and KeepaliveHint of the proxy, and waits for the reply: nil for a
// success. [Proxy.Accept] has done it already; it is for connections from [Proxy.AcceptRaw].
func (c *Conn) Init() *Refusal {
	c.report.tb.Helper()
	m := ari.DPI
	ch := ari.Data
	if c.proxy.kind() == MetadataAdapter {
		m, ch = ari.MPI, ari.Metadata
	}
	params := c.proxy.initParams()
	_, refusal := c.wait(c.begin(m, func(dst []byte, id string, _ ari.Version) []byte { return ari.AppendInit(dst, id, ch, params) }))
	if refusal == nil {
		c.watchSilence()
	}
	return refusal
}

// Protocol returns the version of ARI agreed, "1.9.1" for instance; "none" before the initialisation.
func (c *Conn) Protocol() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.check.version.String()
}

// ----------------------------------------------------------------------------------------------------------------- requests

// A pending is a request made by a typed method.
type pending struct {
	method  ari.Method
	done    bool
	body    []byte
	refusal *Refusal
	item    *Item // of SUB and USB
}

// finish takes the reply. The lock of the connection is held.
func (p *pending) finish(r received) {
	p.done, p.body, p.refusal = true, r.body, r.refusal
}

// begin sends a request.
func (c *Conn) begin(m ari.Method, encode func(dst []byte, id string, v ari.Version) []byte) *pending {
	p := &pending{method: m}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ask(p, encode)
	return p
}

// ask sends a request. mu is held.
func (c *Conn) ask(p *pending, encode func(dst []byte, id string, v ari.Version) []byte) *request {
	v := c.check.version
	if v == 0 {
		v = ari.Latest
	}
	r := c.send(encode(nil, c.proxy.nextID(), v))
	if r != nil {
		r.owner = p
	}
	return r
}

// wait returns the reply to a request.
func (c *Conn) wait(p *pending) ([]byte, *Refusal) {
	c.report.tb.Helper()
	c.mu.Lock()
	err := c.await(c.proxy.patience(), func() bool { return p.done })
	c.mu.Unlock()
	if err != nil {
		c.fatal("no reply to %s: %v", p.method, err)
	}
	return p.body, p.refusal
}

// send writes a line. mu is held; writing does not wait, since this direction has no limit.
func (c *Conn) send(line []byte) *request {
	r := c.check.sent(line)
	c.log.sent(string(line))
	_, _ = c.socket.Write(append(line, ari.EOL...)) // a broken connection is noticed by the reader
	return r
}

// AwaitReplies waits until every request sent so far has its reply.
func (c *Conn) AwaitReplies() {
	c.report.tb.Helper()
	c.mu.Lock()
	err := c.await(c.proxy.patience(), func() bool { return c.check.unanswered() == 0 })
	left := c.check.unanswered()
	c.mu.Unlock()
	if err != nil {
		c.fatal("%d requests have no reply: %v", left, err)
	}
}

// --------------------------------------------------------------------------------------------------------------- raw lines

// Send sends lines as they are, each with an end of line. The checker reads along: requests among them must be answered like those of the typed
// methods. Their replies, and the notifications of subscriptions made so, are for [Conn.ExpectLine].
func (c *Conn) Send(lines ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range lines {
		c.send([]byte(line))
	}
}

// SendBytes sends bytes as they are, without an end of line and unseen by the checker, which from then on does not mind answers to what it does
// not know.
func (c *Conn) SendBytes(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.check.blind = true
	c.log.note(fmt.Sprintf("%d raw bytes sent", len(p)))
	_, _ = c.socket.Write(p)
}

// ExpectLine takes the next lines that belong to nothing made by a typed method, and fails the test if they are others. Time stamps of
// notifications are left out: "UD3|S|item|S|2|B|0|S|field|S|value". Keepalives and RAC are passed over.
func (c *Conn) ExpectLine(lines ...string) {
	c.report.tb.Helper()
	for _, want := range lines {
		if got := c.NextLine(); got != want {
			c.fatal("got the line\n  %s\nwant\n  %s", mask(got), mask(want))
		}
	}
}

// NextLine takes the next of the lines that [Conn.ExpectLine] is about.
func (c *Conn) NextLine() string {
	c.report.tb.Helper()
	r, err := c.takeLoose(func(*received) bool { return true })
	if err != nil {
		c.fatal("no line: %v", err)
	}
	return r.text
}

// takeLoose waits for a loose line that fits and takes it.
func (c *Conn) takeLoose(fits func(*received) bool) (r received, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.await(c.proxy.patience(), func() bool {
		i := slices.IndexFunc(c.loose, func(r received) bool { return fits(&r) })
		if i < 0 {
			return false
		}
		r = c.loose[i]
		c.loose = slices.Delete(c.loose, i, i+1)
		c.unread--
		return true
	})
	return r, err
}

// ExpectFailure takes the adapter's declaration that it can no longer work (FAL) and returns its message. One that nobody takes fails the
// test in the end.
func (c *Conn) ExpectFailure() string {
	c.report.tb.Helper()
	r, err := c.takeLoose(func(r *received) bool { return r.method == ari.FAL })
	if err != nil {
		c.fatal("no FAL: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return failureText(r, c.check.version)
}

func failureText(r received, v ari.Version) string {
	if v == 0 {
		v = ari.Latest
	}
	message, _ := ari.ParseFailureNotice(r.body, v)
	return message.S
}

// Keepalives returns how many keepalives have come.
func (c *Conn) Keepalives() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keeps
}

// ExpectClosed waits for the end of the connection, whoever brings it about.
func (c *Conn) ExpectClosed() {
	c.report.tb.Helper()
	c.mu.Lock()
	err := c.await(c.proxy.patience(), func() bool { return c.over != nil })
	c.mu.Unlock()
	if err != nil {
		c.fatal("the connection is still open: %v", err)
	}
	<-c.done
}

// ------------------------------------------------------------------------------------------------------------ the other end

// RemoteAddr returns the address of the adapter's end.
func (c *Conn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }

// leftovers tells of what a test should not have overlooked.
func (c *Conn) leftovers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.loose {
		if r.method == ari.FAL {
			c.report.errorf("the adapter has declared a failure: %q; take it with ExpectFailure if it was meant to%s",
				failureText(r, c.check.version), &c.log)
		}
	}
}

func showValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("%q", clip(v, 100))
	}
	return fmt.Sprint(v)
}

func showFields(f adapter.Fields) string {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%s=%s", name, showValue(f[name]))
	}
	return strings.Join(parts, ", ")
}
