//go:build interop

package interop

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// goData is the Data Adapter of peers/README.md, written with our SDK.
type goData struct{ peer string }

func (d goData) Initialize(_ context.Context, in adapter.Init) error {
	if in.Params["remote:refuse"] == "data" {
		return &adapter.DataProviderError{Message: "data init refused"}
	}
	return nil
}

func (d goData) SnapshotAvailable(_ context.Context, item string) (bool, error) {
	return !strings.HasPrefix(item, "live"), nil
}

// row is an event whose fields have an order, as those of the peers have.
type row struct {
	schema *adapter.Schema
	values [][]byte
}

// fields makes a row of names and values in turn; values are texts or nil.
func fields(pairs ...any) row {
	var names []string
	var r row
	for i := 0; i < len(pairs); i += 2 {
		names = append(names, pairs[i].(string))
		value, isText := pairs[i+1].(string)
		if isText {
			r.values = append(r.values, append([]byte{}, value...))
		} else {
			r.values = append(r.values, nil)
		}
	}
	r.schema = adapter.NewSchema(names...)
	return r
}

func (d goData) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	snap := func(rows ...row) (err error) {
		for _, r := range rows {
			err = errors.Join(err, sub.Row(r.schema).SnapshotBytes(r.values...))
		}
		return errors.Join(err, sub.EndOfSnapshot())
	}
	live := func(rows ...row) (err error) {
		for _, r := range rows {
			err = errors.Join(err, sub.Row(r.schema).UpdateBytes(r.values...))
		}
		return err
	}
	if strings.HasPrefix(sub.Item(), "live") {
		return live(fields("value", "1"))
	}
	switch sub.Item() {
	case "merge":
		return errors.Join(snap(fields("name", "merge", "value", "1")), live(fields("value", "2")))
	case "values":
		var values []any
		for _, v := range specials {
			if v.name == "null" {
				values = append(values, v.name, nil)
			} else {
				values = append(values, v.name, v.value)
			}
		}
		return errors.Join(snap(fields(values...)), live(fields("empty", nil, "null", "")))
	case "clear":
		return errors.Join(snap(fields("value", "1")), sub.ClearSnapshot(), live(fields("value", "2")))
	case "distinct":
		return errors.Join(snap(fields("value", "1"), fields("value", "2"), fields("value", "3")), live(fields("value", "4")))
	case "command":
		return errors.Join(
			snap(fields("command", "ADD", "key", "k1", "value", "1"), fields("command", "ADD", "key", "k2", "value", "1")),
			live(fields("command", "UPDATE", "key", "k1", "value", "2"), fields("command", "DELETE", "key", "k2")))
	case "bytes":
		return snap(fields("value", "caf\u00e9 \x01")) // texts are UTF-8 here
	case "json":
		rest := `,"list":[` + strings.Repeat("1,", 50) + "1]}"
		return errors.Join(sub.DeclareFieldDiffOrder(adapter.FieldDiffOrder{"value": {adapter.JSONPatch}}),
			snap(fields("value", `{"a":1`+rest)), live(fields("value", `{"a":2`+rest)))
	case "suberror":
		return &adapter.SubscribeError{Message: "no such item"}
	case "subgeneric":
		return errors.New("boom")
	case "subfailure":
		if d.peer == "node" { // whose SDK has no failure in replies
			return errors.New("adapter failed")
		}
		return &adapter.FailureError{Message: "adapter failed"}
	}
	return nil
}

func (d goData) Unsubscribe(_ context.Context, sub *adapter.Subscription) error {
	if sub.Item() == "unsuberror" {
		return &adapter.SubscribeError{Message: "cannot leave"}
	}
	return nil
}

// goMetadata is the Metadata Adapter.
type goMetadata struct {
	adapter.DefaultMetadata
	peer string // whose limits it keeps to

	mu       sync.Mutex
	conflict string
}

func (m *goMetadata) java() bool { return m.peer == "java" }

func (m *goMetadata) Initialize(_ context.Context, in adapter.Init) error {
	if in.Params["remote:refuse"] == "metadata" {
		return &adapter.MetadataProviderError{Message: "metadata init refused"}
	}
	return nil
}

func (m *goMetadata) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	if !u.HasPrincipal {
		switch {
		case u.Name == "resource" && m.java():
			return adapter.UserGrant{}, &adapter.ResourceUnavailableError{Message: "busy"}
		case u.Name == "refused", u.Name == "resource":
			return adapter.UserGrant{}, &adapter.AccessError{Message: "wrong password"}
		case u.Name == "credits":
			return adapter.UserGrant{}, &adapter.CreditsError{Message: "no credit", Code: -12, UserMessage: "pay + try|again"}
		case u.Name == "broken":
			return adapter.UserGrant{}, errors.New("boom")
		}
	}
	grant := adapter.UserGrant{WantsTables: u.Name != "quiet"}
	if u.Name == "slow" {
		grant.MaxBandwidth = 12.5
	}
	return grant, nil
}

func (m *goMetadata) NotifyNewSession(_ context.Context, s adapter.Session) (grant adapter.SessionGrant, err error) {
	switch s.User {
	case "nosession":
		err = &adapter.CreditsError{Message: "no session", Code: -20, UserMessage: "not now"}
	case "inconsistent":
		err = &adapter.NotificationError{Message: "inconsistent"}
	case "conflict":
		m.mu.Lock()
		defer m.mu.Unlock()
		earlier := m.conflict
		m.conflict = s.ID
		if earlier != "" {
			m.conflict = ""
			err = &adapter.ConflictingSessionError{Message: "two", Code: -30, UserMessage: "one at a time", SessionID: earlier}
		}
	case "brief":
		if m.java() {
			grant.TimeToLive = 1e9
		}
	}
	return grant, err
}

func (m *goMetadata) Items(_ context.Context, r adapter.ItemsRequest) ([]string, error) {
	switch r.Group {
	case "badgroup":
		return nil, &adapter.ItemsError{Message: "bad group"}
	case "brokengroup":
		return nil, errors.New("boom")
	case "nogroup":
		return []string{}, nil
	}
	return strings.Split(r.Group, " "), nil
}

func (m *goMetadata) Schema(_ context.Context, r adapter.SchemaRequest) ([]string, error) {
	switch r.Schema {
	case "badschema":
		return nil, &adapter.SchemaError{Message: "bad schema"}
	case "badgroupschema":
		return nil, &adapter.ItemsError{Message: "bad group for schema"}
	}
	return strings.Split(r.Schema, " "), nil
}

func (m *goMetadata) ItemData(_ context.Context, item string) (adapter.ItemData, error) {
	d := adapter.ItemData{Modes: adapter.AllModes}
	switch item {
	case "mergeonly":
		d.Modes = adapter.ModesOf(adapter.Merge)
	case "distinct":
		d.DistinctSnapshotLength = 2
	case "slowsource":
		d.MinSourceFrequency = 0.5
	}
	return d, nil
}

func (m *goMetadata) UserItemData(_ context.Context, user, item string) (adapter.UserItemData, error) {
	d := adapter.UserItemData{Modes: adapter.AllModes}
	switch item {
	case "secret":
		if user == "guest" {
			d.Modes = adapter.ModesOf()
			if m.peer == "node" {
				d.Modes = adapter.ModesOf(adapter.Raw)
			}
		}
	case "limited":
		d.MaxItemFrequency = 2
	case "buffered":
		d.BufferSize = 3
	}
	return d, nil
}

func judge(text string, code int, userMessage string) error {
	switch text {
	case "credits":
		return &adapter.CreditsError{Message: "not allowed", Code: code, UserMessage: userMessage}
	case "inconsistent":
		return &adapter.NotificationError{Message: "inconsistent"}
	case "broken":
		return errors.New("boom")
	}
	return nil
}

func (m *goMetadata) NotifyUserMessage(_ context.Context, msg adapter.UserMessage) error {
	return judge(msg.Message, -123, "test error")
}

func (m *goMetadata) NotifyNewTables(_ context.Context, t adapter.NewTables) (adapter.TablesGrant, error) {
	return adapter.TablesGrant{Unsubscribable: m.java(), FinalStatistics: m.java()}, judge(t.Tables[0].Selector, -40, "no table")
}

func (m *goMetadata) NotifyMPNDeviceAccess(_ context.Context, r adapter.MPNDeviceAccess) error {
	return judge(r.Device.ApplicationID, -50, "no push")
}

func (m *goMetadata) NotifyMPNSubscriptionActivation(_ context.Context, r adapter.MPNSubscriptionActivation) error {
	return judge(r.Subscription.Device.ApplicationID, -50, "no push")
}

func (m *goMetadata) NotifyMPNDeviceTokenChange(_ context.Context, r adapter.MPNDeviceTokenChange) error {
	return judge(r.Device.ApplicationID, -50, "no push")
}
