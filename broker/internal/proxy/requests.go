package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// NotifyUser asks whether a user may come in: NUS, or NUA with a principal. While a robust proxy has no remote, the answer
// is the configured one.
func (m *Metadata) NotifyUser(ctx context.Context, u provider.User) (provider.UserGrant, error) {
	req := ari.NotifyUser{User: ari.Text(u.Name), Password: ari.Text(u.Password)}
	method := ari.NUS
	if u.Principal != nil {
		method, req.HasPrincipal, req.Principal = ari.NUA, true, ari.Text(*u.Principal)
	}
	for _, name := range slices.Sorted(maps.Keys(u.Headers)) {
		req.Headers = append(req.Headers, ari.Param{Name: name, Value: ari.T(u.Headers[name])})
	}
	reply, err := ask(ctx, m, m.current(), method, "", req.Append, ignoreVersion(ari.ParseUserReply), nil)
	if err != nil {
		return provider.UserGrant{}, m.whileDisconnected(err)
	}
	return provider.UserGrant{MaxBandwidth: m.limit(reply.MaxBandwidth, "bandwidth"), WantsTables: reply.WantsTables}, nil
}

// whileDisconnected replaces the error of NotifyUser when there is no remote.
func (m *Metadata) whileDisconnected(err error) error {
	var e *provider.Error
	c := m.current()
	if !m.link.cfg.Robust || c != nil && !c.ending.Load() || !errors.As(err, &e) || e.Kind != provider.Unavailable {
		return err
	}
	switch m.cfg.NotifyUserOnDisconnection {
	case ForceRetry:
		return &provider.Error{Kind: provider.Resource, Message: e.Message}
	case SendCode:
		return &provider.Error{Kind: provider.Credits, Message: e.Message, Code: m.cfg.DisconnectionCode, ClientMessage: provider.T(m.cfg.DisconnectionMessage)}
	case Fail:
	}
	return err
}

// NotifyNewSession tells of a session about to begin: NNS. What the adapter asks about the session from within is held until
// the answer.
func (m *Metadata) NotifyNewSession(ctx context.Context, user provider.Text, session string, info provider.SessionContext) (time.Duration, error) {
	req := ari.NotifyNewSession{User: ari.Text(user), Session: session}
	for _, f := range info {
		req.Context = append(req.Context, ari.Param{Name: f.Name, Value: ari.Text(f.Value)})
	}
	c := m.beginSession(session)
	ttl, err := ask(ctx, m, c, ari.NNS, session, req.Append, ignoreVersion(ari.ParseSessionReply), func() { m.sessionBegun(session) })
	return duration(ttl), err
}

// Items asks which items a group means: GIS.
func (m *Metadata) Items(ctx context.Context, user provider.Text, group, session string) ([]string, error) {
	req := ari.GetItems{User: ari.Text(user), Group: ari.T(group), Session: session}
	return ask(ctx, m, m.current(), ari.GIS, session, req.Append, ari.ParseNames, nil)
}

// Schema asks which fields a schema means: GSC.
func (m *Metadata) Schema(ctx context.Context, user provider.Text, group, schema, session string) ([]string, error) {
	req := ari.GetSchema{User: ari.Text(user), Group: ari.T(group), Schema: ari.T(schema), Session: session}
	return ask(ctx, m, m.current(), ari.GSC, session, req.Append, ari.ParseNames, nil)
}

// ItemData asks what holds for items whoever the user is: GIT. The answer has an element for each item. Items of which the
// adapter was asked not long ago are not asked about again.
func (m *Metadata) ItemData(ctx context.Context, items []string) ([]provider.ItemData, error) {
	return m.answers.items.through(items, func(items []string) ([]provider.ItemData, error) { return m.askItemData(ctx, items) })
}

func (m *Metadata) askItemData(ctx context.Context, items []string) ([]provider.ItemData, error) {
	list, err := ask(ctx, m, m.current(), ari.GIT, "", ari.GetItemData{Items: items}.Append, ignoreVersion(ari.ParseItemData), nil)
	if err != nil {
		return nil, err
	}
	if len(list) != len(items) {
		return nil, wrongLength(ari.GIT, len(list), len(items))
	}
	data := make([]provider.ItemData, len(list))
	for i, d := range list {
		data[i] = provider.ItemData{
			DistinctSnapshotLength: max(d.DistinctSnapshotLength, 0),
			MinSourceFrequency:     m.limit(d.MinSourceFrequency, "source frequency"),
			Modes:                  modes(d.Modes),
		}
	}
	return data, nil
}

// UserItemData asks what holds for items and a user: GUI. The answer has an element for each item. Items of which the
// adapter was asked not long ago, for that user, are not asked about again.
func (m *Metadata) UserItemData(ctx context.Context, user provider.Text, items []string) ([]provider.UserItemData, error) {
	keys := make([]userItem, len(items))
	for i, item := range items {
		keys[i] = userItem{user, item}
	}
	return m.answers.userItems.through(keys, func(keys []userItem) ([]provider.UserItemData, error) {
		missing := make([]string, len(keys))
		for i, k := range keys {
			missing[i] = k.item
		}
		return m.askUserItemData(ctx, user, missing)
	})
}

func (m *Metadata) askUserItemData(ctx context.Context, user provider.Text, items []string) ([]provider.UserItemData, error) {
	list, err := ask(ctx, m, m.current(), ari.GUI, "", ari.GetUserItemData{User: ari.Text(user), Items: items}.Append, ignoreVersion(ari.ParseUserItemData), nil)
	if err != nil {
		return nil, err
	}
	if len(list) != len(items) {
		return nil, wrongLength(ari.GUI, len(list), len(items))
	}
	data := make([]provider.UserItemData, len(list))
	for i, d := range list {
		data[i] = provider.UserItemData{
			BufferSize:   max(d.BufferSize, 0),
			MaxFrequency: m.limit(d.MaxFrequency, "item frequency"),
			Modes:        modes(d.Modes),
		}
	}
	return data, nil
}

// NotifyMessage passes on a message of a client: NUM. The response is always empty, as the wire has none.
func (m *Metadata) NotifyMessage(ctx context.Context, user provider.Text, session, message string) (string, error) {
	req := ari.NotifyUserMessage{User: ari.Text(user), Session: session, Message: ari.T(message)}
	_, err := ask(ctx, m, m.current(), ari.NUM, session, req.Append, parseVoid, nil)
	return "", err
}

// NotifyNewTables asks whether a client may subscribe: NNT. What the adapter asks about the tables from within is held until
// the answer.
func (m *Metadata) NotifyNewTables(ctx context.Context, user provider.Text, session string, tables []provider.Table) (provider.TablesGrant, error) {
	req := ari.NotifyNewTables{User: ari.Text(user), Session: session, Tables: ariTables(tables)}
	t := &turn{windows: windows(req.Tables)}
	if err := m.waitTurn(ctx, session, t); err != nil {
		return provider.TablesGrant{}, fmt.Errorf("proxy %s: %s: %w", m.link.cfg.Name, ari.NNT, err)
	}
	reply, err := ask(ctx, m, m.current(), ari.NNT, session, req.Append, ignoreVersion(ari.ParseTablesReply), func() { m.turnOver(session, t) })
	return provider.TablesGrant(reply), err
}

func ignoreVersion[T any](parse func([]byte) (T, error)) func([]byte, ari.Version) (T, error) {
	return func(body []byte, _ ari.Version) (T, error) { return parse(body) }
}

func parseVoid(body []byte, _ ari.Version) (struct{}, error) {
	return struct{}{}, ari.ParseVoidReply(body)
}

func wrongLength(method ari.Method, got, want int) error {
	return &provider.Error{Kind: provider.Generic, Message: fmt.Sprintf("%s: the remote adapter answered for %d items of %d", method, got, want)}
}

// limit makes a number that a platform may have written as infinite, negative or not a number into one the kernel can use;
// 0 is no limit.
func (m *Metadata) limit(f float64, what string) float64 {
	switch {
	case math.IsInf(f, 1):
		return 0
	case math.IsNaN(f), f < 0:
		m.oddOnce.Do(func() {
			m.log.Warn("the remote adapter gave a limit that is no number, or negative; taken as no limit, now and later", "limit", what, "value", f)
		})
		return 0
	}
	return f
}

var modePairs = []struct {
	wire ari.Mode
	mode provider.Mode
}{{ari.Raw, provider.Raw}, {ari.Merge, provider.Merge}, {ari.Distinct, provider.Distinct}, {ari.Command, provider.Command}}

func modes(set ari.Modes) provider.Modes {
	var s provider.Modes
	for _, p := range modePairs {
		if set.Has(p.wire) {
			s = s.With(p.mode)
		}
	}
	return s
}

func ariTables(tables []provider.Table) []ari.Table {
	list := make([]ari.Table, len(tables))
	for i, t := range tables {
		list[i] = ari.Table{
			WinIndex: t.WinIndex, Group: ari.T(t.Group), DataAdapter: ari.T(t.DataAdapter), Schema: ari.T(t.Schema),
			Min: t.Min, Max: t.Max, Selector: ari.Text(t.Selector), Items: t.Items,
		}
		for _, p := range modePairs {
			if p.mode == t.Mode {
				list[i].Mode = p.wire
			}
		}
		for _, s := range t.Stats {
			list[i].Stats = append(list[i].Stats, ari.TableStats(s))
		}
	}
	return list
}

func windows(tables []ari.Table) []int {
	list := make([]int, len(tables))
	for i, t := range tables {
		list[i] = t.WinIndex
	}
	return list
}
