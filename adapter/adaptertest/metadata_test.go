package adaptertest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// club is a Metadata Adapter that answers with what it was asked, so that a test can see both ways.
type club struct {
	adapter.DefaultMetadata
	control chan *adapter.Control
	asked   chan any
}

func (c *club) Initialize(_ context.Context, in adapter.Init) error {
	if c.control != nil {
		c.control <- in.Control
	}
	return nil
}

func (c *club) ask(v any) {
	if c.asked != nil {
		c.asked <- v
	}
}

func (c *club) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	c.ask(u)
	switch u.Name {
	case "access":
		return adapter.UserGrant{}, &adapter.AccessError{Message: "who?"}
	case "resource":
		return adapter.UserGrant{}, &adapter.ResourceUnavailableError{Message: "busy"}
	case "credits":
		return adapter.UserGrant{}, &adapter.CreditsError{Message: "log", Code: -7, UserMessage: "pay"}
	case "generic":
		return adapter.UserGrant{}, errors.New("oops")
	case "panic":
		panic("boom")
	}
	return adapter.UserGrant{MaxBandwidth: 12.5, WantsTables: true}, nil
}

func (c *club) NotifyNewSession(_ context.Context, s adapter.Session) (adapter.SessionGrant, error) {
	c.ask(s)
	if s.User == "twice" {
		return adapter.SessionGrant{}, &adapter.ConflictingSessionError{Message: "log", Code: -1, UserMessage: "one only", SessionID: "S0"}
	}
	return adapter.SessionGrant{TimeToLive: time.Minute}, nil
}

func (c *club) NotifySessionClose(_ context.Context, id string) error {
	c.ask(id)
	return &adapter.NotificationError{Message: "unknown session"}
}

func (c *club) Items(_ context.Context, r adapter.ItemsRequest) ([]string, error) {
	c.ask(r)
	if r.Group == "" {
		return nil, &adapter.ItemsError{Message: "no group"}
	}
	return strings.Split(r.Group, "+"), nil
}

func (c *club) Schema(_ context.Context, r adapter.SchemaRequest) ([]string, error) {
	c.ask(r)
	if r.Schema == "" {
		return nil, &adapter.SchemaError{Message: "no schema"}
	}
	return strings.Split(r.Schema, "+"), nil
}

func (c *club) ItemData(_ context.Context, item string) (adapter.ItemData, error) {
	c.ask(item)
	if item == "" {
		return adapter.ItemData{}, errors.New("no item")
	}
	return adapter.ItemData{Modes: adapter.ModesOf(adapter.Raw, adapter.Distinct), DistinctSnapshotLength: len(item), MinSourceFrequency: 0.5}, nil
}

func (c *club) UserItemData(_ context.Context, user, item string) (adapter.UserItemData, error) {
	c.ask(user + "/" + item)
	if item == "" {
		return adapter.UserItemData{}, errors.New("no item")
	}
	return adapter.UserItemData{Modes: adapter.ModesOf(adapter.Merge, adapter.Command), BufferSize: len(item), MaxItemFrequency: 1.5}, nil
}

func (c *club) NotifyUserMessage(_ context.Context, m adapter.UserMessage) error {
	c.ask(m)
	return nil
}

func (c *club) NotifyNewTables(_ context.Context, t adapter.NewTables) (adapter.TablesGrant, error) {
	c.ask(t)
	if t.User == "" {
		return adapter.TablesGrant{}, &adapter.CreditsError{Message: "nobody"}
	}
	return adapter.TablesGrant{Unsubscribable: true, FinalStatistics: true}, nil
}

func (c *club) NotifyTablesClose(_ context.Context, t adapter.TablesClose) error {
	c.ask(t)
	return nil
}

func (c *club) NotifyMPNDeviceAccess(_ context.Context, r adapter.MPNDeviceAccess) error {
	c.ask(r)
	return nil
}

func (c *club) NotifyMPNSubscriptionActivation(_ context.Context, r adapter.MPNSubscriptionActivation) error {
	c.ask(r)
	return nil
}

func (c *club) NotifyMPNDeviceTokenChange(_ context.Context, r adapter.MPNDeviceTokenChange) error {
	c.ask(r)
	return &adapter.CreditsError{Message: "log", Code: -2, UserMessage: "no"}
}

// What a typed method sends reaches the callback unchanged, and what the callback answers comes back.
func TestMetadataMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan any, 10)
		p := NewProxy(t)
		p.Run(&adapter.MetadataServer{Provider: &club{asked: asked}})
		c := p.Accept()
		same := func(what string, got, want any) {
			t.Helper()
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, want %+v", what, got, want)
			}
		}
		check := func(what string, sent, got, want any, refusal, wantRefusal *Refusal) {
			t.Helper()
			same(what+": the callback's argument", <-asked, sent)
			same(what+": the answer", got, want)
			same(what+": the refusal", refusal, wantRefusal)
		}
		headers := map[string]string{"host": "h|1", "x": "", "REQUEST_ID": "R1"}
		for _, u := range []adapter.User{
			{Name: "ann", Password: "tiger", Headers: headers},
			{Anonymous: true, Headers: map[string]string{}},
			{Name: "ann", HasPrincipal: true, Principal: "CN=ann", Headers: map[string]string{}},
			{Name: "ann", HasPrincipal: true, Headers: headers},
		} {
			grant, refusal := c.NotifyUser(u)
			check("NotifyUser", u, grant, adapter.UserGrant{MaxBandwidth: 12.5, WantsTables: true}, refusal, nil)
		}
		for _, want := range []Refusal{
			{Kind: AccessError, Message: "who?"},
			{Kind: ResourceUnavailableError, Message: "busy"},
			{Kind: CreditsError, Message: "log", Code: -7, UserMessage: "pay"},
			{Kind: GenericError, Message: "oops"},
			{Kind: GenericError, Message: "panic in NUS: boom"},
		} {
			want.Request = "NUS"
			name := map[string]string{"who?": "access", "busy": "resource", "log": "credits", "oops": "generic"}[want.Message]
			if name == "" {
				name = "panic"
			}
			u := adapter.User{Name: name, Headers: map[string]string{}}
			grant, refusal := c.NotifyUser(u)
			check("NotifyUser "+name, u, grant, adapter.UserGrant{}, refusal, &want)
		}
		session := adapter.Session{User: "ann", ID: "S1", Context: headers}
		s, refusal := c.NotifyNewSession(session)
		check("NotifyNewSession", session, s, adapter.SessionGrant{TimeToLive: time.Minute}, refusal, nil)
		session = adapter.Session{User: "twice", ID: "S1", Context: map[string]string{}}
		s, refusal = c.NotifyNewSession(session)
		check("NotifyNewSession", session, s, adapter.SessionGrant{}, refusal,
			&Refusal{Request: "NNS", Kind: ConflictingSessionError, Message: "log", Code: -1, UserMessage: "one only", SessionID: "S0"})
		session = adapter.Session{Anonymous: true, ID: "S1", Context: map[string]string{}}
		_, _ = c.NotifyNewSession(session)
		same("anonymous session", <-asked, session)
		check("NotifySessionClose", "S1", nil, nil, c.NotifySessionClose("S1"), &Refusal{Request: "NSC", Kind: NotificationError, Message: "unknown session"})

		items := adapter.ItemsRequest{User: "u", SessionID: "S1", Group: "a+b|c"}
		names, refusal := c.Items(items)
		check("Items", items, names, []string{"a", "b|c"}, refusal, nil)
		names, refusal = c.Items(adapter.ItemsRequest{})
		check("Items", adapter.ItemsRequest{}, names, []string(nil), refusal, &Refusal{Request: "GIS", Kind: ItemsError, Message: "no group"})
		schema := adapter.SchemaRequest{User: "u", SessionID: "S1", Group: "g", Schema: "f+g"}
		names, refusal = c.Schema(schema)
		check("Schema", schema, names, []string{"f", "g"}, refusal, nil)
		names, refusal = c.Schema(adapter.SchemaRequest{})
		check("Schema", adapter.SchemaRequest{}, names, []string(nil), refusal, &Refusal{Request: "GSC", Kind: SchemaError, Message: "no schema"})

		data, refusal := c.ItemData("i", "item")
		same("first item", <-asked, "i")
		check("ItemData", "item", data, []adapter.ItemData{
			{Modes: adapter.ModesOf(adapter.Raw, adapter.Distinct), DistinctSnapshotLength: 1, MinSourceFrequency: 0.5},
			{Modes: adapter.ModesOf(adapter.Raw, adapter.Distinct), DistinctSnapshotLength: 4, MinSourceFrequency: 0.5},
		}, refusal, nil)
		data, refusal = c.ItemData("")
		check("ItemData", "", data, []adapter.ItemData(nil), refusal, &Refusal{Request: "GIT", Kind: GenericError, Message: "no item"})
		user, refusal := c.UserItemData("ann", "i")
		check("UserItemData", "ann/i", user, []adapter.UserItemData{
			{Modes: adapter.ModesOf(adapter.Merge, adapter.Command), BufferSize: 1, MaxItemFrequency: 1.5},
		}, refusal, nil)
		user, refusal = c.UserItemData("ann", "")
		check("UserItemData", "ann/", user, []adapter.UserItemData(nil), refusal, &Refusal{Request: "GUI", Kind: GenericError, Message: "no item"})

		message := adapter.UserMessage{User: "ann", SessionID: "S1", Message: "a\r\nb"}
		check("NotifyUserMessage", message, nil, nil, c.NotifyUserMessage(message), nil)
		table := adapter.TableInfo{
			WinIndex: 3, Mode: adapter.Command, Group: "g", Schema: "s", DataAdapter: "D", Min: 1, Max: 2, Selector: "x", Items: []string{"a", "b"},
		}
		tables := adapter.NewTables{User: "ann", SessionID: "S1", Tables: []adapter.TableInfo{table}}
		grant, refusal := c.NotifyNewTables(tables)
		check("NotifyNewTables", tables, grant, adapter.TablesGrant{Unsubscribable: true, FinalStatistics: true}, refusal, nil)
		tables.User = ""
		grant, refusal = c.NotifyNewTables(tables)
		check("NotifyNewTables", tables, grant, adapter.TablesGrant{}, refusal, &Refusal{Request: "NNT", Kind: CreditsError, Message: "nobody"})
		closed := adapter.TablesClose{SessionID: "S1", Tables: []adapter.TableInfo{table}}
		closed.Tables[0].Statistics = []adapter.TableStatistics{{RealTime: 1, Lost: 2, Filtered: 3}, {}}
		check("NotifyTablesClose", closed, nil, nil, c.NotifyTablesClose(closed), nil)
		device := adapter.MPNDeviceInfo{Platform: adapter.Google, ApplicationID: "app", DeviceToken: "token"}
		access := adapter.MPNDeviceAccess{User: "ann", SessionID: "S1", Device: device}
		check("NotifyMPNDeviceAccess", access, nil, nil, c.NotifyMPNDeviceAccess(access), nil)
		table.Selector, table.Statistics = "", nil
		activation := adapter.MPNSubscriptionActivation{
			User: "ann", SessionID: "S1", Table: table,
			Subscription: adapter.MPNSubscriptionInfo{Device: device, Trigger: "t", NotificationFormat: "{}"},
		}
		check("NotifyMPNSubscriptionActivation", activation, nil, nil, c.NotifyMPNSubscriptionActivation(activation), nil)
		change := adapter.MPNDeviceTokenChange{User: "ann", SessionID: "S1", Device: device, NewToken: "new"}
		check("NotifyMPNDeviceTokenChange", change, nil, nil, c.NotifyMPNDeviceTokenChange(change),
			&Refusal{Request: "MDC", Kind: CreditsError, Message: "log", Code: -2, UserMessage: "no"})
	})
}

func TestControlRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewProxy(t)
		provider := &club{control: make(chan *adapter.Control, 1)}
		p.Run(&adapter.MetadataServer{Provider: provider})
		c := p.Accept()
		control := <-provider.control
		type result struct {
			done bool
			err  error
		}
		got := make(chan result)
		terminate := func(cause *adapter.Cause) {
			go func() { got <- result{err: control.ForceSessionTermination(t.Context(), "S|1", cause)} }()
		}
		unsubscribe := func() {
			go func() {
				done, err := control.ForceUnsubscription(t.Context(), "S2", 5)
				got <- result{done, err}
			}()
		}
		terminate(&adapter.Cause{Code: -3, Message: "bye"})
		q := c.NextControl()
		if q.Method != "FST" || q.SessionID != "S|1" || *q.Cause != (adapter.Cause{Code: -3, Message: "bye"}) || q.String() != `FST session "S|1"` {
			t.Errorf("got %+v", q)
		}
		q.Done()
		if r := <-got; r.err != nil {
			t.Error(r.err)
		}
		terminate(nil)
		if q = c.NextControl(); q.Cause != nil {
			t.Errorf("cause %v", q.Cause)
		}
		q.Refuse("not now")
		var remote *adapter.RemoteError
		if r := <-got; !errors.As(r.err, &remote) || remote.Message != "not now" {
			t.Errorf("err = %v", r.err)
		}
		unsubscribe()
		if q = c.NextControl(); q.Method != "FUS" || q.SessionID != "S2" || q.WinIndex != 5 || q.String() != `FUS session "S2" table 5` {
			t.Errorf("got %+v", q)
		}
		q.Done()
		if r := <-got; r.err != nil || !r.done {
			t.Errorf("got %v", r)
		}
		unsubscribe()
		c.NextControl().NotEnabled()
		if r := <-got; r.err != nil || r.done {
			t.Errorf("got %v", r)
		}
		if err := control.Failure("cannot go on"); err != nil {
			t.Error(err)
		}
		if message := c.ExpectFailure(); message != "cannot go on" {
			t.Errorf("failure %q", message)
		}
	})
	wantFailures(t, record(t, func(tb testing.TB) {
		p := NewProxy(tb)
		p.Kind = MetadataAdapter
		r := dialRemote(tb, p)
		go func() {
			r.open("MPI")
			r.say("64|FST|S|S1|V")
		}()
		p.Accept().NextControl().NotEnabled()
	}), "NotEnabled is no answer to FST")
}

func TestErrorKinds(t *testing.T) {
	for k := range errorKinds {
		if name := ErrorKind(k).String(); name == "" || strings.HasPrefix(name, "ErrorKind") {
			t.Errorf("kind %d has the name %q", k, name)
		}
	}
	r := Refusal{Request: "NNS", Kind: ConflictingSessionError, Message: "log", Code: -1, UserMessage: "one only", SessionID: "S0"}
	if want := `NNS refused with a ConflictingSessionError: "log", code -1, for the user "one only", because of session "S0"`; r.Error() != want {
		t.Errorf("Error() = %s", r.Error())
	}
}
