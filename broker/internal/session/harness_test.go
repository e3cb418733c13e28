package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// The tests run in synctest bubbles: time is virtual, and a goroutine left behind fails the test.

// world is a manager between an Adapter Set in memory and connections in memory.
type world struct {
	t    *testing.T
	m    *Manager
	meta *metadata
	feed *feed
	set  *provider.Set
}

func inWorld(t *testing.T, cfg Config, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, meta: &metadata{}, feed: &feed{t: t, sinks: map[string]provider.Sink{}}}
		w.set = &provider.Set{ID: "DEMO", Metadata: w.meta, Data: map[string]provider.Data{"DEFAULT": w.feed, "OTHER": &feed{t: t, sinks: map[string]provider.Sink{}}}}
		cfg.Sets = func(id string) *provider.Set {
			if id == "DEMO" {
				return w.set
			}
			return nil
		}
		if cfg.Linger == 0 {
			cfg.Linger = -1
		}
		w.m = NewManager(cfg)
		f(t, w)
		if err := w.m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(w.feed.sinks); n > 0 {
			t.Errorf("%d items are still subscribed", n)
		}
		w.meta.balanced(t)
		if used, names := w.m.waiting.Used(), w.m.names.Used(); used != 0 || names != 0 || len(w.m.users) != 0 {
			t.Errorf("left behind: %d bytes that wait, %d of names, users %v", used, names, w.m.users)
		}
		if n := w.m.mem.Used(); n != 0 {
			t.Errorf("%d bytes of memory are still accounted for", n)
		}
		for addr, a := range w.m.addresses {
			if a.sessions != 0 {
				t.Errorf("left behind: %d sessions from %v", a.sessions, addr)
			}
		}
	})
}

// pass lets virtual time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// metadata is a Metadata Adapter: groups and schemas are lists, everything is allowed, unless a hook says otherwise. It checks
// that what is opened is closed, once.
type metadata struct {
	user     func(u provider.User) (provider.UserGrant, error)
	session  func(id string, info provider.SessionContext) (time.Duration, error)
	items    func(group string) ([]string, error)
	schema   func(group, schema string) ([]string, error)
	itemData func(item string) provider.ItemData
	userData func(item string) provider.UserItemData
	tables   func(t provider.Table) (provider.TablesGrant, error)
	message  func(ctx context.Context, text string) (string, error)

	mu     sync.Mutex
	calls  []string
	open   map[string]map[int]bool // sessions and their tables
	closed []provider.Table
}

func (md *metadata) log(format string, args ...any) {
	md.mu.Lock()
	defer md.mu.Unlock()
	md.calls = append(md.calls, fmt.Sprintf(format, args...))
}

func (md *metadata) balanced(t *testing.T) {
	md.mu.Lock()
	defer md.mu.Unlock()
	for id, tables := range md.open {
		t.Errorf("session %s was never closed; its tables: %v", id, tables)
	}
}

func (md *metadata) take() []string {
	md.mu.Lock()
	defer md.mu.Unlock()
	c := md.calls
	md.calls = nil
	return c
}

func (md *metadata) NotifyUser(_ context.Context, u provider.User) (provider.UserGrant, error) {
	md.log("NotifyUser %s %s", u.Name.S, u.Password.S)
	if md.user == nil {
		return provider.UserGrant{}, nil
	}
	return md.user(u)
}

func (md *metadata) NotifyNewSession(_ context.Context, user provider.Text, id string, info provider.SessionContext) (time.Duration, error) {
	md.log("NotifyNewSession %s", user.S)
	var ttl time.Duration
	if md.session != nil {
		var err error
		if ttl, err = md.session(id, info); err != nil {
			return 0, err
		}
	}
	md.mu.Lock()
	defer md.mu.Unlock()
	if md.open == nil {
		md.open = map[string]map[int]bool{}
	}
	md.open[id] = map[int]bool{}
	return ttl, nil
}

func (md *metadata) Items(_ context.Context, _ provider.Text, group, _ string) ([]string, error) {
	md.log("Items %s", group)
	if md.items != nil {
		return md.items(group)
	}
	return strings.Fields(group), nil
}

func (md *metadata) Schema(_ context.Context, _ provider.Text, group, schema, _ string) ([]string, error) {
	md.log("Schema %s", schema)
	if md.schema != nil {
		return md.schema(group, schema)
	}
	return strings.Fields(schema), nil
}

func (md *metadata) ItemData(_ context.Context, items []string) ([]provider.ItemData, error) {
	md.log("ItemData %s", strings.Join(items, " "))
	out := make([]provider.ItemData, len(items))
	for i, name := range items {
		out[i] = provider.ItemData{Modes: provider.AllModes, DistinctSnapshotLength: 10}
		if md.itemData != nil {
			out[i] = md.itemData(name)
		}
	}
	return out, nil
}

func (md *metadata) UserItemData(_ context.Context, _ provider.Text, items []string) ([]provider.UserItemData, error) {
	md.log("UserItemData %s", strings.Join(items, " "))
	out := make([]provider.UserItemData, len(items))
	for i, name := range items {
		out[i] = provider.UserItemData{Modes: provider.AllModes}
		if md.userData != nil {
			out[i] = md.userData(name)
		}
	}
	return out, nil
}

func (md *metadata) NotifyNewTables(_ context.Context, _ provider.Text, session string, tables []provider.Table) (provider.TablesGrant, error) {
	md.log("NotifyNewTables %d", tables[0].WinIndex)
	var g provider.TablesGrant
	if md.tables != nil {
		var err error
		if g, err = md.tables(tables[0]); err != nil {
			return g, err
		}
	}
	md.mu.Lock()
	defer md.mu.Unlock()
	if md.open[session][tables[0].WinIndex] {
		md.calls = append(md.calls, "opened twice")
	}
	md.open[session][tables[0].WinIndex] = true
	return g, nil
}

func (md *metadata) NotifyMessage(ctx context.Context, _ provider.Text, _, text string) (string, error) {
	if md.message != nil {
		return md.message(ctx, text)
	}
	return "", nil
}

func (md *metadata) NotifyTablesClose(session string, tables []provider.Table) {
	md.log("NotifyTablesClose %d", tables[0].WinIndex)
	md.mu.Lock()
	defer md.mu.Unlock()
	if !md.open[session][tables[0].WinIndex] {
		md.calls = append(md.calls, "closed twice")
	}
	delete(md.open[session], tables[0].WinIndex)
	md.closed = append(md.closed, tables...)
}

func (md *metadata) NotifySessionClose(session string) {
	md.log("NotifySessionClose")
	md.mu.Lock()
	defer md.mu.Unlock()
	if len(md.open[session]) > 0 {
		md.calls = append(md.calls, "tables still open")
		return
	}
	delete(md.open, session)
}

// feed is a Data Adapter.
type feed struct {
	t     *testing.T
	mu    sync.Mutex
	sinks map[string]provider.Sink
}

func (f *feed) Share(string, string) {}

func (f *feed) Subscribe(item, _ string, s provider.Sink) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sinks[item] != nil {
		f.t.Errorf("item %q subscribed twice", item)
	}
	f.sinks[item] = s
}

func (f *feed) Unsubscribe(item string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sinks[item] == nil {
		f.t.Errorf("item %q unsubscribed twice", item)
	}
	delete(f.sinks, item)
}

func (f *feed) items() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.sinks))
}

// send plays steps on an item: "EOS", "CS", or an update as "a=1 b=#" (null), a snapshot with the word "S".
func (w *world) send(item string, steps ...string) {
	w.t.Helper()
	w.feed.mu.Lock()
	s := w.feed.sinks[item]
	w.feed.mu.Unlock()
	if s == nil {
		w.t.Fatalf("item %q is not subscribed", item)
	}
	for _, step := range steps {
		switch step {
		case "EOS":
			s.EndOfSnapshot()
		case "CS":
			s.ClearSnapshot()
		default:
			s.Update(update(step))
		}
	}
}

func update(step string) provider.Update {
	var u provider.Update
	for word := range strings.FieldsSeq(step) {
		name, v, ok := strings.Cut(word, "=")
		switch {
		case !ok:
			u.Snapshot = true
		case v == "#":
			u.Fields = append(u.Fields, provider.Field{Name: name, Value: provider.Null})
		default:
			u.Fields = append(u.Fields, provider.Field{Name: name, Value: provider.T(v)})
		}
	}
	return u
}

// conn is a connection: it keeps the lines written to it, with the virtual time.
type conn struct {
	t      *testing.T
	b      *Binding
	start  time.Time
	cancel context.CancelFunc
	end    chan End

	mu    sync.Mutex
	gate  chan struct{} // if not nil, each write waits for one
	limit int           // data notifications let through; then the connection breaks; negative: no limit
	mute  bool          // it does not break at the limit, it only carries nothing any more
	text  strings.Builder
	count int // data notifications let through
	seen  int // bytes of text taken
	sizes []int
	times []time.Duration
	over  bool
}

var errCut = errors.New("connection cut")

func (c *conn) WriteLines(p []byte) error {
	c.mu.Lock()
	gate := c.gate
	c.mu.Unlock()
	if gate != nil {
		<-gate
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		c.t.Errorf("written after Run returned: %q", p)
	}
	if len(p) == 0 || p[len(p)-1] != '\n' {
		c.t.Errorf("not whole lines: %q", p)
	}
	c.sizes = append(c.sizes, len(p))
	for line := range strings.Lines(string(p)) {
		l, err := tlcp.ParseLine([]byte(strings.TrimSuffix(line, "\n")))
		if err != nil || l.Tag == 0 {
			c.t.Errorf("bad line %q: %v", line, err)
		}
		if l.Tag.Data() {
			if c.count == c.limit && !c.mute {
				return errCut
			}
			if c.count == c.limit {
				return nil
			}
			c.count++
		}
		c.text.WriteString(line)
		c.times = append(c.times, time.Since(c.start))
	}
	return nil
}

// take returns the lines since the last take, without CR-LF.
func (c *conn) take() []string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.text.String()[c.seen:]
	c.seen = c.text.Len()
	return split(s)
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\r\n"), "\r\n")
}

// data returns only the data notifications among lines.
func data(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(s string) bool {
		l, _ := tlcp.ParseLine([]byte(s))
		return !l.Tag.Data()
	})
}

// cut breaks the connection from outside.
func (c *conn) cut() End {
	c.cancel()
	return <-c.end
}

func (c *conn) id() string { return c.b.s.id }

var ws = Client{Version: tlcp.Latest, WebSocket: true, RemoteIP: "10.0.0.7", RemotePort: 5000, ServerName: "test port"}

var overHTTP = Client{Version: tlcp.Latest, RemoteIP: "10.0.0.7", ServerName: "test port"}

// serve runs a binding on a new connection and waits until the head is written.
func (w *world) serve(b *Binding, prepare ...func(*conn)) *conn {
	c := w.run(b, prepare...)
	synctest.Wait()
	return c
}

func (w *world) run(b *Binding, prepare ...func(*conn)) *conn {
	ctx, cancel := context.WithCancel(w.t.Context())
	c := &conn{t: w.t, b: b, start: time.Now(), cancel: cancel, end: make(chan End, 1), limit: -1}
	for _, p := range prepare {
		p(c)
	}
	go func() { // ends with Run; Close of the manager waits for it
		defer cancel()
		end := b.Run(ctx, c)
		c.mu.Lock()
		c.over = true
		c.mu.Unlock()
		c.end <- end
	}()
	return c
}

// connect is create for clients among others: it waits for the head only, without which there would be no session.
func (w *world) connect(cl Client) *conn {
	b, err := w.tryCreate(cl, "")
	if err != nil {
		w.t.Error(err)
	}
	c := w.run(b)
	<-time.After(time.Millisecond)
	return c
}

const defaults = "LS_adapter_set=DEMO&LS_send_sync=false&"

// create makes a session with the given parameters besides the usual ones, and serves its first connection.
func (w *world) create(cl Client, params string, prepare ...func(*conn)) *conn {
	w.t.Helper()
	b, err := w.tryCreate(cl, params)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.serve(b, prepare...)
}

func (w *world) tryCreate(cl Client, params string) (*Binding, *tlcp.SessionError) {
	w.t.Helper()
	req, err := tlcp.ParseCreateSession([]byte(defaults + params))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.m.Create(w.t.Context(), cl, req)
}

func (w *world) bind(cl Client, params string, prepare ...func(*conn)) *conn {
	w.t.Helper()
	b, err := w.tryBind(cl, params)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.serve(b, prepare...)
}

func (w *world) tryBind(cl Client, params string) (*Binding, *tlcp.SessionError) {
	w.t.Helper()
	req, err := tlcp.ParseBindSession([]byte("LS_send_sync=false&" + params))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.m.Bind(w.t.Context(), cl, req, nil)
}

// recover binds with the synchronous poll that clients use for a recovery, and returns the data notifications and whether the
// connection came to its LOOP.
func (w *world) recovery(session string, from int, prepare ...func(*conn)) (*conn, []string, bool) {
	w.t.Helper()
	c := w.bind(overHTTP, fmt.Sprintf("LS_session=%s&LS_recovery_from=%d&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0", session, from), prepare...)
	end := <-c.end
	lines := c.take()
	if !slices.Contains(lines, fmt.Sprint("PROG,", from)) {
		w.t.Errorf("no PROG,%d in %q", from, lines)
	}
	return c, data(lines), end.Reason == Looped
}

// control executes a request and returns its answer.
func (w *world) control(session, params string) string {
	w.t.Helper()
	return w.controlOn(ws, session, params)
}

func (w *world) controlOn(cl Client, session, params string) string {
	w.t.Helper()
	req, err := tlcp.ParseControl([]byte("LS_reqId=1&LS_session=" + session + "&" + params))
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSuffix(string(w.m.Control(w.t.Context(), cl, nil, req, nil)), "\r\n")
}

func (w *world) ok(session, params string) {
	w.t.Helper()
	if got := w.control(session, params); got != "REQOK,1" {
		w.t.Fatalf("%s: %s", params, got)
	}
}

func (w *world) msg(session, params string) string {
	w.t.Helper()
	req, err := tlcp.ParseMessage([]byte("LS_reqId=1&LS_session=" + session + "&" + params))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), RequestWait)
	defer cancel()
	return strings.TrimSuffix(string(w.m.Message(ctx, ws, nil, req, nil)), "\r\n")
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func add(id int, mode, group, schema, more string) string {
	s := fmt.Sprintf("LS_op=add&LS_subId=%d&LS_mode=%s&LS_group=%s&LS_schema=%s", id, mode, group, schema)
	if more != "" {
		s += "&" + more
	}
	return s
}
