package adaptertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// MetadataConformance puts a Metadata Adapter through everything that a server may ask, with texts that clients may make up, and fails the test where
// the provider does not bear it. A refusal is always a good answer. Each of these is a subtest with a server of its own:
//
//	requests        each request gets exactly one reply, and one that belongs to it
//	hostile texts   the same with users, passwords, groups, messages that are null, empty, huge, not ASCII, or try to break the protocol
//	concurrent      many requests at a time, about the same users and sessions and about others
//	reconnect       cut in the midst of requests: the provider is initialised again and answers
//	stop            with requests at work: Run returns nil
//
// In all of them a panic of the provider is a failure that shows its stack, the lines on the wire are checked as [Proxy] does, and a
// goroutine that outlives its server is a failure.
//
// The provider has to be able to serve again after its server has stopped.
func MetadataConformance(t *testing.T, provider adapter.MetadataProvider) {
	t.Helper()
	metadataConformance(testRunner{t: t}, provider)
}

func metadataConformance(run runner, provider adapter.MetadataProvider) {
	for _, test := range []struct {
		name string
		run  func(*metaSuite)
	}{
		{"requests", (*metaSuite).requests},
		{"hostile texts", (*metaSuite).hostile},
		{"concurrent", (*metaSuite).concurrent},
		{"reconnect", (*metaSuite).reconnect},
		{"stop", (*metaSuite).stop},
	} {
		run.sub(test.name, func(tb testing.TB) { test.run(newMetaSuite(tb, provider)) })
	}
}

type metaSuite struct {
	testing.TB
	proxy *Proxy
	run   *Running
}

func newMetaSuite(tb testing.TB, provider adapter.MetadataProvider) *metaSuite {
	tb.Helper()
	s := &metaSuite{TB: tb, proxy: NewProxy(tb)}
	logger := slog.New(&panicHandler{Handler: s.proxy.report.logger().Handler(), report: s.proxy.report, seen: &seenPanics{}})
	s.run = s.proxy.Run(&adapter.MetadataServer{Provider: provider, Logger: logger})
	return s
}

// A panicHandler fails the test when a panic of the provider is logged: the SDK makes an error reply of it, so that the server would not
// notice.
type panicHandler struct {
	slog.Handler
	report *reporter
	seen   *seenPanics
}

// seenPanics are the texts of panics that the test was told of: each is told once.
type seenPanics struct {
	mu    sync.Mutex
	texts map[string]bool
}

func (s *seenPanics) first(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts[text] {
		return false
	}
	if s.texts == nil {
		s.texts = make(map[string]bool)
	}
	s.texts[text] = true
	return true
}

// Handle takes a log record.
func (h *panicHandler) Handle(ctx context.Context, r slog.Record) error {
	var what, stack string
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "panic":
			what = a.Value.String()
		case "stack":
			stack = a.Value.String()
		}
		return true
	})
	if stack != "" && h.seen.first(r.Message+what) {
		h.report.errorf("conformance: %s: %s\n%s", r.Message, what, stack)
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs returns a handler that still looks for panics.
func (h *panicHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &panicHandler{Handler: h.Handler.WithAttrs(attrs), report: h.report, seen: h.seen}
}

// WithGroup returns a handler that still looks for panics.
func (h *panicHandler) WithGroup(name string) slog.Handler {
	return &panicHandler{Handler: h.Handler.WithGroup(name), report: h.report, seen: h.seen}
}

// texts are what one round of requests is made of.
type texts struct {
	user, password, principal ari.Text
	session                   string
	group, schema, message    ari.Text
	item                      string
}

func plainTexts(n int) texts {
	return texts{
		user: ari.T(fmt.Sprint("user", n%7)), password: ari.T("password"), principal: ari.T("CN=somebody"), session: fmt.Sprint("S", n%11),
		group: ari.T("item1 item2"), schema: ari.T("field1 field2"), message: ari.T("hello"), item: "item1",
	}
}

// sameText uses a text wherever there can be one.
func sameText(t ari.Text) texts {
	return texts{user: t, password: t, principal: t, session: t.S, group: t, schema: t, message: t, item: t.S}
}

// hostileTexts are what clients, or what stands between them and the server, may send in place of names.
func hostileTexts() []ari.Text {
	return []ari.Text{
		ari.Null, ari.T(""), ari.T(" "), ari.T("   a   b   "), ari.T("#"), ari.T("$"), ari.T("|"), ari.T("a|b|c"), ari.T("%"), ari.T("%zz%0"),
		ari.T("a+b%20c"), ari.T("1\r\n2|NUS|S|x|S|y"), ari.T("\x00"), ari.T("\x00\x01\x02\x1b[31m\x7f"), ari.T("é€𝄞"), ari.T("e\u0301"), ari.T("\u202eabc\u202c"),
		ari.T("\ufeffx"), ari.T("\ufffd"), ari.T("ﷺ"), ari.T("ÅÄÖ\u0085\u2028\u2029"), ari.T("-1"), ari.T("0"), ari.T("99999999999999999999"), ari.T("NaN"), ari.T("1e400"),
		ari.T("../../../../etc/passwd"), ari.T("' OR '1'='1"), ari.T("<script>alert(1)</script>"), ari.T("${x}"), ari.T("{{.}}"), ari.T("%s%n%d"), ari.T("\\"), ari.T(`"`),
		ari.T(strings.Repeat("x", 1<<16)), ari.T(strings.Repeat("a b ", 1<<12)), ari.T(strings.Repeat("€", 1<<14)), ari.T(strings.Repeat("(", 1<<14)),
	}
}

// round begins one request of each kind.
func (s *metaSuite) round(c *Conn, x texts) []*pending {
	table := ari.Table{
		WinIndex: 1, Mode: ari.Merge, Group: x.group, DataAdapter: ari.T("DEFAULT"), Schema: x.schema, Min: 1, Max: 2, Selector: x.message,
		Items: []string{x.item, "item2"},
	}
	closed := table
	closed.Stats = []ari.TableStats{{Real: 1}, {Lost: 1, Filtered: 1 << 40}}
	device := ari.Device{Platform: ari.Apple, App: x.item, Token: x.item}
	params := []ari.Param{{Name: "host", Value: x.message}, {Name: "REQUEST_ID", Value: ari.T("R1")}, {Name: x.item, Value: ari.Null}}
	google := device
	google.Platform = ari.Google
	return []*pending{
		c.begin(ari.NUS, ari.NotifyUser{User: x.user, Password: x.password, Headers: params}.Append),
		c.begin(ari.NUA, ari.NotifyUser{User: x.user, Password: x.password, HasPrincipal: true, Principal: x.principal, Headers: params}.Append),
		c.begin(ari.NNS, ari.NotifyNewSession{User: x.user, Session: x.session, Context: params}.Append),
		c.begin(ari.GIS, ari.GetItems{User: x.user, Group: x.group, Session: x.session}.Append),
		c.begin(ari.GSC, ari.GetSchema{User: x.user, Group: x.group, Schema: x.schema, Session: x.session}.Append),
		c.begin(ari.GIT, ari.GetItemData{Items: []string{x.item, "item2", x.item}}.Append),
		c.begin(ari.GUI, ari.GetUserItemData{User: x.user, Items: []string{x.item, "item2", x.item}}.Append),
		c.begin(ari.NUM, ari.NotifyUserMessage{User: x.user, Session: x.session, Message: x.message}.Append),
		c.begin(ari.NNT, ari.NotifyNewTables{User: x.user, Session: x.session, Tables: []ari.Table{table}}.Append),
		c.begin(ari.NTC, ari.NotifyTablesClose{Session: x.session, Tables: []ari.Table{closed}}.Append),
		c.begin(ari.MDA, ari.NotifyDeviceAccess{User: x.user, Session: x.session, Device: device}.Append),
		c.begin(ari.MSA, ari.NotifySubscriptionActivation{
			User: x.user, Session: x.session, Table: table, Device: google, Trigger: x.message, Format: x.message,
		}.Append),
		c.begin(ari.MDC, ari.NotifyDeviceTokenChange{User: x.user, Session: x.session, Device: device, NewToken: x.item}.Append),
		c.begin(ari.NSC, ari.NotifySessionClose{Session: x.session}.Append),
	}
}

// answered waits for the replies. What they say is up to the provider; that they can be read, the checker sees to.
func (s *metaSuite) answered(c *Conn, all []*pending) {
	s.Helper()
	for _, p := range all {
		_, _ = c.wait(p)
	}
	c.AwaitReplies()
}

func (s *metaSuite) requests() {
	c := s.proxy.Accept()
	for n := range 3 {
		s.answered(c, s.round(c, plainTexts(n)))
	}
}

func (s *metaSuite) hostile() {
	c := s.proxy.Accept()
	for _, text := range hostileTexts() {
		s.answered(c, s.round(c, sameText(text)))
	}
}

func (s *metaSuite) concurrent() {
	c := s.proxy.Accept()
	var all []*pending
	for n := range 50 {
		all = append(all, s.round(c, plainTexts(n))...)
	}
	s.answered(c, all)
}

func (s *metaSuite) reconnect() {
	c := s.proxy.Accept()
	for n, err := range []error{nil, io.ErrUnexpectedEOF} {
		s.round(c, plainTexts(n))
		c.Cut(err)
		c = s.proxy.Accept()
		s.answered(c, s.round(c, plainTexts(n)))
	}
}

func (s *metaSuite) stop() {
	c := s.proxy.Accept()
	s.answered(c, s.round(c, plainTexts(0)))
	s.round(c, plainTexts(1))
	s.run.Stop()
	c.ExpectClosed()
}
