package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// recorder remembers the argument of each callback and answers with what the test sets.
type recorder struct {
	adapter.DefaultMetadata
	got     chan any
	err     error
	user    adapter.UserGrant
	session adapter.SessionGrant
	names   []string
	item    adapter.ItemData
	userIt  adapter.UserItemData
	tables  adapter.TablesGrant
}

func (r *recorder) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	r.got <- u
	return r.user, r.err
}

func (r *recorder) NotifyNewSession(_ context.Context, s adapter.Session) (adapter.SessionGrant, error) {
	r.got <- s
	return r.session, r.err
}

func (r *recorder) NotifySessionClose(_ context.Context, id string) error {
	r.got <- id
	return r.err
}

func (r *recorder) Items(_ context.Context, q adapter.ItemsRequest) ([]string, error) {
	r.got <- q
	return r.names, r.err
}

func (r *recorder) Schema(_ context.Context, q adapter.SchemaRequest) ([]string, error) {
	r.got <- q
	return r.names, r.err
}

func (r *recorder) ItemData(_ context.Context, item string) (adapter.ItemData, error) {
	r.got <- item
	return r.item, r.err
}

func (r *recorder) UserItemData(_ context.Context, user, item string) (adapter.UserItemData, error) {
	r.got <- user + "/" + item
	return r.userIt, r.err
}

func (r *recorder) NotifyUserMessage(_ context.Context, m adapter.UserMessage) error {
	r.got <- m
	return r.err
}

func (r *recorder) NotifyNewTables(_ context.Context, t adapter.NewTables) (adapter.TablesGrant, error) {
	r.got <- t
	return r.tables, r.err
}

func (r *recorder) NotifyTablesClose(_ context.Context, t adapter.TablesClose) error {
	r.got <- t
	return r.err
}

func (r *recorder) NotifyMPNDeviceAccess(_ context.Context, q adapter.MPNDeviceAccess) error {
	r.got <- q
	return r.err
}

func (r *recorder) NotifyMPNSubscriptionActivation(_ context.Context, q adapter.MPNSubscriptionActivation) error {
	r.got <- q
	return r.err
}

func (r *recorder) NotifyMPNDeviceTokenChange(_ context.Context, q adapter.MPNDeviceTokenChange) error {
	r.got <- q
	return r.err
}

var (
	credits  = &adapter.CreditsError{Message: "no credit", Code: -12, UserMessage: "pay + try|again"}
	conflict = &adapter.ConflictingSessionError{Message: "two", Code: -3, UserMessage: "one at a time", SessionID: "S|old+1"}
	access   = &adapter.AccessError{Message: "who?"}
	resource = &adapter.ResourceUnavailableError{Message: "busy"}
	notice   = &adapter.NotificationError{Message: "odd"}
	itemsErr = &adapter.ItemsError{Message: "no group"}
	schema   = &adapter.SchemaError{Message: "no schema"}

	creditsLine = "EC|no credit|-12|pay %2B try%7Cagain"
)

// Every request of the wire: what the callback gets, and what becomes of its answers.
func TestMetadataRequests(t *testing.T) {
	table := adapter.TableInfo{
		WinIndex: 3, Mode: adapter.Merge, Group: "item1 item2", Schema: "f1 f2", DataAdapter: "QUOTES", Min: 1, Max: 2, Items: []string{"item1", "item2"},
	}
	device := adapter.MPNDeviceInfo{Platform: adapter.Apple, ApplicationID: "com.example.app", DeviceToken: "8fac+tok|en=="}
	closed := table
	closed.Selector = "my selector"
	closed.Statistics = []adapter.TableStatistics{{RealTime: 9223372036854775807, Lost: 0, Filtered: 3}, {RealTime: 1, Lost: 2, Filtered: 4294967296}}
	for _, tt := range []struct {
		request string
		want    any
		answer  recorder
		reply   string
		errors  map[error]string // what NUS etc. become of other results
	}{
		{
			request: "NUS|S|u ser|S|p%7Cw|S|host|S|push.example.com|S|x-empty|S|$|S|none|S|#",
			want: adapter.User{Name: "u ser", Password: "p|w",
				Headers: map[string]string{"host": "push.example.com", "x-empty": ""}},
			answer: recorder{user: adapter.UserGrant{MaxBandwidth: 40.5, WantsTables: true}},
			reply:  "NUS|D|40.5|B|1",
			errors: map[error]string{access: "EA|who?", resource: "ER|busy", credits: creditsLine, notice: "E|odd", errors.New("x"): "E|x"},
		},
		{
			request: "NUS|S|#|S|#",
			want:    adapter.User{Anonymous: true, Headers: map[string]string{}},
			reply:   "NUS|D|0.0|B|0",
		},
		{
			request: "NUA|S|u|S|p|S|CN=J. O'Neil, O=A%2BB|S|host|S|h",
			want:    adapter.User{Name: "u", Password: "p", HasPrincipal: true, Principal: "CN=J. O'Neil, O=A+B", Headers: map[string]string{"host": "h"}},
			reply:   "NUA|D|0.0|B|0",
			errors:  map[error]string{access: "EA|who?"},
		},
		{
			request: "NNS|S|user1|S|S1|S|REMOTE_IP|S|10.0.0.7|S|CLIENT_TYPE|S|#|S|REQUEST_ID|S|R1",
			want:    adapter.Session{User: "user1", ID: "S1", Context: map[string]string{"REMOTE_IP": "10.0.0.7", "REQUEST_ID": "R1"}},
			answer:  recorder{session: adapter.SessionGrant{TimeToLive: 1500 * time.Millisecond}},
			reply:   "NNS|I|2",
			errors: map[error]string{
				notice: "EN|odd", credits: creditsLine, conflict: "EX|two|-3|one at a time|S%7Cold%2B1", access: "E|who?",
				&adapter.CreditsError{Message: "positive", Code: 5}: "EC|positive|0|$",
			},
		},
		{request: "NSC|S|S1", want: "S1", reply: "NSC|V", errors: map[error]string{notice: "EN|odd", credits: "E|no credit"}},
		{
			request: "GIS|S|u|S|item1 item2|S|S1",
			want:    adapter.ItemsRequest{User: "u", SessionID: "S1", Group: "item1 item2"},
			answer:  recorder{names: []string{"item1", "i|2"}},
			reply:   "GIS|S|item1|S|i%7C2",
			errors:  map[error]string{itemsErr: "EI|no group", schema: "E|no schema"},
		},
		{
			request: "GSC|S|u|S|item1|S|f1 f2|S|S1",
			want:    adapter.SchemaRequest{User: "u", SessionID: "S1", Group: "item1", Schema: "f1 f2"},
			answer:  recorder{names: []string{"key", "last price"}},
			reply:   "GSC|S|key|S|last price",
			errors:  map[error]string{itemsErr: "EI|no group", schema: "ES|no schema"},
		},
		{request: "GIS|S|u|S|g|S|S1", want: adapter.ItemsRequest{User: "u", SessionID: "S1", Group: "g"}, reply: "GIS"},
		{
			request: "GIT|S|i%7C1",
			want:    "i|1",
			answer:  recorder{item: adapter.ItemData{DistinctSnapshotLength: 10, MinSourceFrequency: 1.5, Modes: adapter.ModesOf(adapter.Distinct, adapter.Raw)}},
			reply:   "GIT|I|10|D|1.5|M|RD",
			errors:  map[error]string{itemsErr: "E|no group"},
		},
		{
			request: "GUI|S|u ser|S|i1",
			want:    "u ser/i1",
			answer:  recorder{userIt: adapter.UserItemData{BufferSize: 30, MaxItemFrequency: 2.25}},
			reply:   "GUI|I|30|D|2.25|M|$",
		},
		{
			request: "NUM|S|u|S|S1|S|line1%0D%0Aline2",
			want:    adapter.UserMessage{User: "u", SessionID: "S1", Message: "line1\r\nline2"},
			reply:   "NUM|V",
			errors:  map[error]string{credits: creditsLine, conflict: "EC|two|-3|one at a time", notice: "EN|odd"},
		},
		{
			request: "NNT|S|u|S|S1|I|3|M|M|S|item1 item2|S|QUOTES|S|f1 f2|I|1|I|2|S|#|I|2|S|item1|S|item2",
			want:    adapter.NewTables{User: "u", SessionID: "S1", Tables: []adapter.TableInfo{table}},
			answer:  recorder{tables: adapter.TablesGrant{Unsubscribable: true, FinalStatistics: true}},
			reply:   "NNT|B|1|B|1",
			errors:  map[error]string{credits: creditsLine, notice: "EN|odd"},
		},
		{
			request: "NTC|S|S1|I|3|M|M|S|item1 item2|S|QUOTES|S|f1 f2|I|1|I|2|S|my selector|I|2|S|item1|S|item2|I|2|L|9223372036854775807|L|0|L|3|L|1|L|2|L|4294967296",
			want:    adapter.TablesClose{SessionID: "S1", Tables: []adapter.TableInfo{closed}},
			reply:   "NTC|V",
			errors:  map[error]string{notice: "EN|odd"},
		},
		{
			request: "MDA|S|u|S|S1|P|A|S|com.example.app|S|8fac%2Btok%7Cen==",
			want:    adapter.MPNDeviceAccess{User: "u", SessionID: "S1", Device: device},
			reply:   "MDA|V",
			errors:  map[error]string{credits: creditsLine, notice: "EN|odd"},
		},
		{
			request: "MSA|S|u|S|S1|I|3|M|M|S|item1 item2|S|QUOTES|S|f1 f2|I|1|I|2|I|2|S|item1|S|item2|P|A|S|com.example.app|S|8fac%2Btok%7Cen==|S|${f1} > 5|S|{\"aps\":1}",
			want: adapter.MPNSubscriptionActivation{User: "u", SessionID: "S1", Table: table,
				Subscription: adapter.MPNSubscriptionInfo{Device: device, Trigger: "${f1} > 5", NotificationFormat: `{"aps":1}`}},
			reply:  "MSA|V",
			errors: map[error]string{credits: creditsLine, notice: "EN|odd"},
		},
		{
			request: "MDC|S|#|S|S1|P|A|S|com.example.app|S|8fac%2Btok%7Cen==|S|new %25token",
			want:    adapter.MPNDeviceTokenChange{SessionID: "S1", Device: device, NewToken: "new %token"},
			reply:   "MDC|V",
			errors:  map[error]string{credits: creditsLine, notice: "EN|odd"},
		},
	} {
		t.Run(tt.request[:3], func(t *testing.T) {
			p := newProxy(t)
			r := &tt.answer
			r.got = make(chan any, 1)
			start(t, metadataServer(t, p, r))
			c := p.acceptMetadata()
			c.say("a1|" + tt.request)
			if got := <-r.got; !reflect.DeepEqual(got, tt.want) {
				t.Errorf("the callback got\n  %+v\nwant\n  %+v", got, tt.want)
			}
			c.expect("a1|" + tt.reply)
			for err, want := range tt.errors {
				r.err = err
				c.say("a2|" + tt.request)
				<-r.got
				c.expect("a2|" + tt.request[:3] + "|" + want)
			}
		})
	}
}

func TestItemDataOfSeveralItems(t *testing.T) {
	p := newProxy(t)
	start(t, metadataServer(t, p, &adapter.LiteralMetadata{}))
	c := p.acceptMetadata()
	c.say("2|GIT|S|i1|S|i2", "3|GUI|S|u|S|i1|S|i2")
	c.expectSet("2|GIT|I|10|D|0.0|M|RMDC|I|10|D|0.0|M|RMDC", "3|GUI|I|0|D|0.0|M|RMDC|I|0|D|0.0|M|RMDC")
}

func TestDefaults(t *testing.T) {
	p := newProxy(t)
	start(t, metadataServer(t, p, adapter.DefaultMetadata{}))
	c := p.acceptMetadata()
	for request, reply := range map[string]string{
		"NUS|S|#|S|#":                      "NUS|D|0.0|B|0",
		"NNS|S|#|S|S1":                     "NNS|I|0",
		"NSC|S|S1":                         "NSC|V",
		"GIS|S|u|S| a  b c |S|S1":          "GIS|S|a|S|b|S|c",
		"GSC|S|u|S|g|S|a\u00a0b\tc d|S|S1": "GSC|S|a\u00a0b\tc|S|d",
		"GIT|S|i":                          "GIT|I|0|D|0.0|M|RMDC",
		"GUI|S|u|S|i":                      "GUI|I|0|D|0.0|M|RMDC",
		"NUM|S|u|S|S1|S|hello":             "NUM|EC|Unsupported function|0|Unsupported function",
		"NNT|S|u|S|S1|I|1|M|R|S|g|S|D|S|s|I|1|I|1|S|#|I|1|S|g":                  "NNT|B|0|B|0",
		"NTC|S|S1|I|1|M|R|S|g|S|D|S|s|I|1|I|1|S|#|I|1|S|g|I|0":                  "NTC|V",
		"MDA|S|u|S|S1|P|G|S|a|S|t":                                              "MDA|V",
		"MDC|S|u|S|S1|P|G|S|a|S|t|S|n":                                          "MDC|V",
		"MSA|S|u|S|S1|I|1|M|M|S|g|S|D|S|s|I|1|I|1|I|1|S|g|P|G|S|a|S|t|S|#|S|{}": "MSA|V",
	} {
		c.say("a|" + request)
		c.expect("a|" + reply)
	}
}

func TestLiteralMetadata(t *testing.T) {
	for _, tt := range []struct {
		params  map[string]string
		initErr string
		want    map[string]string
	}{
		{
			params: nil,
			want:   map[string]string{"NUS|S|anyone|S|#": "NUS|D|0.0|B|0", "NUS|S|#|S|#": "NUS|D|0.0|B|0", "GIT|S|i": "GIT|I|10|D|0.0|M|RMDC"},
		},
		{
			params: map[string]string{
				"allowed_users": "ann,bob, eve", "max_bandwidth": "40.5", "max_frequency": "2", "buffer_size": "7", "distinct_snapshot_length": "0",
			},
			want: map[string]string{
				"NUS|S|bob|S|#": "NUS|D|40.5|B|0", "NUS|S|eve|S|#": "NUS|EA|Unauthorized user", "NUS|S|#|S|#": "NUS|EA|Unauthorized user",
				"GIT|S|i": "GIT|I|0|D|0.0|M|RMDC", "GUI|S|u|S|i": "GUI|I|7|D|2.0|M|RMDC",
			},
		},
		{params: map[string]string{"buffer_size": "many"}, initErr: "buffer_size"},
		{params: map[string]string{"max_bandwidth": "-1"}, initErr: "max_bandwidth"},
		{params: map[string]string{"max_frequency": "NaN"}, initErr: "max_frequency"},
		{params: map[string]string{"distinct_snapshot_length": "1.5"}, initErr: "distinct_snapshot_length"},
	} {
		t.Run(fmt.Sprint(tt.params), func(t *testing.T) {
			p := newProxy(t)
			s := metadataServer(t, p, &adapter.LiteralMetadata{})
			s.Params = tt.params
			start(t, s)
			c := p.accept()
			c.say("1|MPI|S|ARI.version|S|1.9.1")
			if tt.initErr != "" {
				if got := c.next(); !strings.HasPrefix(got, "1|MPI|EM|parameter+"+tt.initErr) {
					t.Errorf("got %q, want a metadata provider error about %s", got, tt.initErr)
				}
				return
			}
			c.expect("1|MPI|S|ARI.version|S|1.9.1")
			for request, reply := range tt.want {
				c.say("a|" + request)
				c.expect("a|" + reply)
			}
		})
	}
}

// blocking holds NotifyNewSession until told.
type blocking struct {
	adapter.DefaultMetadata
	goOn chan struct{}
}

func (b *blocking) NotifyNewSession(context.Context, adapter.Session) (adapter.SessionGrant, error) {
	<-b.goOn
	return adapter.SessionGrant{}, nil
}

func (b *blocking) NotifyUserMessage(_ context.Context, m adapter.UserMessage) error {
	panic(m.Message)
}

func TestMetadataRequestsAreIndependent(t *testing.T) {
	p := newProxy(t)
	b := &blocking{goOn: make(chan struct{})}
	start(t, metadataServer(t, p, b))
	c := p.acceptMetadata()
	c.say("2|NNS|S|u|S|S1", "3|NSC|S|S1")
	c.expect("3|NSC|V")
	c.say("4|NUM|S|u|S|S1|S|boom")
	c.expect("4|NUM|E|panic in NUM: boom")
	close(b.goOn)
	c.expect("2|NNS|I|0")
}

// controller hands out its Control.
type controller struct {
	adapter.DefaultMetadata
	control chan *adapter.Control
}

func (c *controller) Initialize(_ context.Context, in adapter.Init) error {
	c.control <- in.Control
	return nil
}

func TestControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		provider := &controller{control: make(chan *adapter.Control, 2)}
		start(t, metadataServer(t, p, provider))
		c := p.acceptMetadata()
		control := <-provider.control

		type result struct {
			done bool
			err  error
		}
		results := make(chan result, 1)
		terminate := func(session string, cause *adapter.Cause) {
			go func() {
				results <- result{err: control.ForceSessionTermination(t.Context(), session, cause)}
			}()
		}
		unsubscribe := func(ctx context.Context) {
			go func() {
				done, err := control.ForceUnsubscription(ctx, "S|1", 3)
				results <- result{done, err}
			}()
		}
		terminate("S1", nil)
		c.expect("64|FST|S|S1|V")
		c.say("64|FST|V")
		if r := <-results; r.err != nil {
			t.Error(r.err)
		}
		terminate("S1", &adapter.Cause{Code: -7, Message: "bye | now"})
		c.expect("65|FST|S|S1|I|-7|S|bye %7C now")
		c.say("99|FST|V", "65|FST|E|too late")
		var remote *adapter.RemoteError
		if r := <-results; !errors.As(r.err, &remote) || remote.Message != "too late" {
			t.Errorf("got %v, want a RemoteError", r.err)
		}
		for _, want := range []bool{true, false} {
			unsubscribe(t.Context())
			line := c.next()
			id, rest, _ := strings.Cut(line, "|")
			if rest != "FUS|S|S%7C1|I|3" {
				t.Errorf("got %q", line)
			}
			c.say(id + "|FUS|B|" + map[bool]string{true: "1", false: "0"}[want])
			if r := <-results; r.err != nil || r.done != want {
				t.Errorf("got %v, want %v", r, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		unsubscribe(ctx)
		c.next()
		if r := <-results; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the context", r.err)
		}
		if err := control.ForceSessionTermination(t.Context(), "S1", &adapter.Cause{Code: 1}); err == nil {
			t.Error("a positive code was taken")
		}
		if err := control.Failure("100% | feed lost"); err != nil {
			t.Error(err)
		}
		c.expect("2|FAL|E|100%25 %7C feed lost")
		unsubscribe(t.Context())
		c.next()
		c.cut()
		if r := <-results; !errors.Is(r.err, adapter.ErrDisconnected) {
			t.Errorf("got %v, want ErrDisconnected", r.err)
		}
		if err := control.Failure("again"); !errors.Is(err, adapter.ErrDisconnected) {
			t.Errorf("got %v, want ErrDisconnected", err)
		}
		unsubscribe(t.Context())
		if r := <-results; !errors.Is(r.err, adapter.ErrDisconnected) {
			t.Errorf("got %v, want ErrDisconnected", r.err)
		}
	})
}

func TestControlOfADataAdapter(t *testing.T) {
	p := newProxy(t)
	controls := make(chan *adapter.Control, 1)
	start(t, dataServer(t, p, &provider{initialize: func(_ context.Context, in adapter.Init) error {
		controls <- in.Control
		return nil
	}}))
	c := p.acceptData()
	control := <-controls
	if err := control.ForceSessionTermination(t.Context(), "S1", nil); err == nil {
		t.Error("a Data Adapter terminated a session")
	}
	if err := control.Failure("feed lost"); err != nil {
		t.Error(err)
	}
	c.expect("FAL|E|feed lost")
}

// responder answers messages with a text, which the wire has no room for.
type responder struct{ adapter.DefaultMetadata }

func (responder) RespondToUserMessage(_ context.Context, m adapter.UserMessage) (string, error) {
	if m.Message == "refuse" {
		return "not seen", &adapter.CreditsError{Message: "no", Code: -4, UserMessage: m.User + ", no"}
	}
	return "not seen", nil
}

func TestResponsesAreDropped(t *testing.T) {
	p := newProxy(t)
	start(t, metadataServer(t, p, responder{}))
	c := p.acceptMetadata()
	c.say("2|NUM|S|u|S|S1|S|hello")
	c.expect("2|NUM|V")
	c.say("3|NUM|S|u|S|S1|S|refuse")
	c.expect("3|NUM|EC|no|-4|u, no")
}
