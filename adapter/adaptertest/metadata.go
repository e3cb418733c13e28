package adaptertest

import (
	"maps"
	"slices"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// The methods of this file are the requests of a server to a Metadata Adapter, by the names of the callbacks that answer them. Each waits for
// the reply.

// NotifyUser asks whether a user may come in. An Anonymous user has a null name, and a null password if Password is empty. Wire: NUS; NUA if
// HasPrincipal, with an empty Principal as null.
func (c *Conn) NotifyUser(u adapter.User) (adapter.UserGrant, *Refusal) {
	c.report.tb.Helper()
	q := ari.NotifyUser{
		User: ari.T(u.Name), Password: ari.T(string(u.Password)),
		HasPrincipal: u.HasPrincipal, Principal: orNull(u.Principal), Headers: wireParams(u.Headers),
	}
	if u.Anonymous {
		q.User, q.Password = ari.Null, orNull(string(u.Password))
	}
	m := ari.NUS
	if u.HasPrincipal {
		m = ari.NUA
	}
	body, refusal := c.wait(c.begin(m, q.Append))
	if refusal != nil {
		return adapter.UserGrant{}, refusal
	}
	r, _ := ari.ParseUserReply(body) // the checker has said what is wrong with it
	return adapter.UserGrant{MaxBandwidth: r.MaxBandwidth, WantsTables: r.WantsTables}, nil
}

// NotifyNewSession tells of a new session. Wire: NNS.
func (c *Conn) NotifyNewSession(s adapter.Session) (adapter.SessionGrant, *Refusal) {
	c.report.tb.Helper()
	q := ari.NotifyNewSession{User: ari.T(s.User), Session: s.ID, Context: wireParams(s.Context)}
	if s.Anonymous {
		q.User = ari.Null
	}
	body, refusal := c.wait(c.begin(ari.NNS, q.Append))
	if refusal != nil {
		return adapter.SessionGrant{}, refusal
	}
	seconds, _ := ari.ParseSessionReply(body)
	return adapter.SessionGrant{TimeToLive: time.Duration(max(seconds, 0)) * time.Second}, nil
}

// NotifySessionClose tells of the end of a session. Wire: NSC.
func (c *Conn) NotifySessionClose(sessionID string) *Refusal {
	c.report.tb.Helper()
	return c.void(ari.NSC, ari.NotifySessionClose{Session: sessionID}.Append)
}

// Items asks for the items of a group. Wire: GIS.
func (c *Conn) Items(r adapter.ItemsRequest) ([]string, *Refusal) {
	c.report.tb.Helper()
	return c.names(ari.GIS, ari.GetItems{User: ari.T(r.User), Session: r.SessionID, Group: ari.T(r.Group)}.Append)
}

// Schema asks for the fields of a schema. Wire: GSC.
func (c *Conn) Schema(r adapter.SchemaRequest) ([]string, *Refusal) {
	c.report.tb.Helper()
	q := ari.GetSchema{User: ari.T(r.User), Session: r.SessionID, Group: ari.T(r.Group), Schema: ari.T(r.Schema)}
	return c.names(ari.GSC, q.Append)
}

// ItemData asks what holds for items whoever subscribes to them; there must be at least one. The result has as many elements. Wire: GIT.
func (c *Conn) ItemData(items ...string) ([]adapter.ItemData, *Refusal) {
	c.report.tb.Helper()
	body, refusal := c.wait(c.begin(ari.GIT, ari.GetItemData{Items: items}.Append))
	if refusal != nil {
		return nil, refusal
	}
	wire, _ := ari.ParseItemData(body)
	data := make([]adapter.ItemData, len(items))
	for i, d := range wire[:min(len(wire), len(items))] {
		data[i] = adapter.ItemData{Modes: modesOf(d.Modes), DistinctSnapshotLength: d.DistinctSnapshotLength, MinSourceFrequency: d.MinSourceFrequency}
	}
	return data, nil
}

// UserItemData asks what holds for a user and items, of which there must be at least one. The result has as many elements. Wire: GUI.
func (c *Conn) UserItemData(user string, items ...string) ([]adapter.UserItemData, *Refusal) {
	c.report.tb.Helper()
	body, refusal := c.wait(c.begin(ari.GUI, ari.GetUserItemData{User: ari.T(user), Items: items}.Append))
	if refusal != nil {
		return nil, refusal
	}
	wire, _ := ari.ParseUserItemData(body)
	data := make([]adapter.UserItemData, len(items))
	for i, d := range wire[:min(len(wire), len(items))] {
		data[i] = adapter.UserItemData{Modes: modesOf(d.Modes), BufferSize: d.BufferSize, MaxItemFrequency: d.MaxFrequency}
	}
	return data, nil
}

// NotifyUserMessage delivers a client's message. Wire: NUM.
func (c *Conn) NotifyUserMessage(m adapter.UserMessage) *Refusal {
	c.report.tb.Helper()
	return c.void(ari.NUM, ari.NotifyUserMessage{User: ari.T(m.User), Session: m.SessionID, Message: ari.T(m.Message)}.Append)
}

// NotifyNewTables tells of a subscription about to start. Wire: NNT.
func (c *Conn) NotifyNewTables(t adapter.NewTables) (adapter.TablesGrant, *Refusal) {
	c.report.tb.Helper()
	q := ari.NotifyNewTables{User: ari.T(t.User), Session: t.SessionID, Tables: wireTables(t.Tables)}
	body, refusal := c.wait(c.begin(ari.NNT, q.Append))
	if refusal != nil {
		return adapter.TablesGrant{}, refusal
	}
	r, _ := ari.ParseTablesReply(body)
	return adapter.TablesGrant{Unsubscribable: r.Unsubscribable, FinalStatistics: r.FinalStats}, nil
}

// NotifyTablesClose tells of subscriptions that have ended. Wire: NTC.
func (c *Conn) NotifyTablesClose(t adapter.TablesClose) *Refusal {
	c.report.tb.Helper()
	return c.void(ari.NTC, ari.NotifyTablesClose{Session: t.SessionID, Tables: wireTables(t.Tables)}.Append)
}

// NotifyMPNDeviceAccess asks whether a device may get push notifications. Wire: MDA.
func (c *Conn) NotifyMPNDeviceAccess(r adapter.MPNDeviceAccess) *Refusal {
	c.report.tb.Helper()
	return c.void(ari.MDA, ari.NotifyDeviceAccess{User: ari.T(r.User), Session: r.SessionID, Device: wireDevice(r.Device)}.Append)
}

// NotifyMPNSubscriptionActivation asks whether a subscription may send push notifications. Wire: MSA.
func (c *Conn) NotifyMPNSubscriptionActivation(r adapter.MPNSubscriptionActivation) *Refusal {
	c.report.tb.Helper()
	return c.void(ari.MSA, ari.NotifySubscriptionActivation{
		User: ari.T(r.User), Session: r.SessionID, Table: wireTable(r.Table), Device: wireDevice(r.Subscription.Device),
		Trigger: orNull(r.Subscription.Trigger), Format: ari.T(r.Subscription.NotificationFormat),
	}.Append)
}

// NotifyMPNDeviceTokenChange asks whether a device may take a new token. Wire: MDC.
func (c *Conn) NotifyMPNDeviceTokenChange(r adapter.MPNDeviceTokenChange) *Refusal {
	c.report.tb.Helper()
	return c.void(ari.MDC, ari.NotifyDeviceTokenChange{
		User: ari.T(r.User), Session: r.SessionID, Device: wireDevice(r.Device), NewToken: r.NewToken,
	}.Append)
}

type encoder = func(dst []byte, id string, v ari.Version) []byte

func (c *Conn) void(m ari.Method, encode encoder) *Refusal {
	c.report.tb.Helper()
	_, refusal := c.wait(c.begin(m, encode))
	return refusal
}

func (c *Conn) names(m ari.Method, encode encoder) ([]string, *Refusal) {
	c.report.tb.Helper()
	body, refusal := c.wait(c.begin(m, encode))
	if refusal != nil {
		return nil, refusal
	}
	names, _ := ari.ParseNames(body, c.check.version)
	return names, nil
}

func orNull(s string) ari.Text { return ari.Text{S: s, Null: s == ""} }

func wireParams(m map[string]string) []ari.Param {
	params := make([]ari.Param, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		params = append(params, ari.Param{Name: name, Value: ari.T(m[name])})
	}
	return params
}

func modesOf(w ari.Modes) adapter.Modes {
	var modes []adapter.Mode
	for _, m := range [...]adapter.Mode{adapter.Raw, adapter.Merge, adapter.Distinct, adapter.Command} {
		if w.Has(ari.Mode(m)) {
			modes = append(modes, m)
		}
	}
	return adapter.ModesOf(modes...)
}

func wireTables(tables []adapter.TableInfo) []ari.Table {
	wire := make([]ari.Table, len(tables))
	for i, t := range tables {
		wire[i] = wireTable(t)
	}
	return wire
}

func wireTable(t adapter.TableInfo) ari.Table {
	wire := ari.Table{
		WinIndex: t.WinIndex, Mode: ari.Mode(t.Mode), Group: ari.T(t.Group), DataAdapter: ari.T(t.DataAdapter), Schema: ari.T(t.Schema),
		Min: t.Min, Max: t.Max, Selector: orNull(t.Selector), Items: t.Items,
	}
	for _, s := range t.Statistics {
		wire.Stats = append(wire.Stats, ari.TableStats{Real: s.RealTime, Lost: s.Lost, Filtered: s.Filtered})
	}
	return wire
}

func wireDevice(d adapter.MPNDeviceInfo) ari.Device {
	return ari.Device{Platform: ari.Platform(d.Platform), App: d.ApplicationID, Token: d.DeviceToken}
}
