package adapter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A MetadataServer connects one Metadata Adapter to its Proxy Adapter in the server. Provider and one of Addr and Listener are needed, the
// zero value of the other fields is a good choice. The fields are read when Run starts; later changes have no effect on it. Those that
// [DataServer] has too mean the same.
type MetadataServer struct {
	_ struct{}

	// Provider is the Metadata Adapter.
	Provider     MetadataProvider
	Addr         string
	Listener     net.Listener
	TLS          *tls.Config
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error)
	Credentials  func(context.Context) (Credentials, error)
	Name         string
	Params       map[string]string
	ConfigFile   string
	Keepalive    time.Duration
	Reconnect    *Backoff
	MaxCallbacks int
	MaxLine      int
	StopTimeout  time.Duration
	Logger       *slog.Logger
	LogLines     LogCategories
	Events       *Events

	stats   stats
	running atomic.Bool
}

func (s *MetadataServer) settings() (*settings, error) {
	c := &settings{
		kind: ari.Metadata, name: s.Name, addr: s.Addr, listener: s.Listener, tls: s.TLS, dial: s.Dial, credentials: s.Credentials,
		params: s.Params, configFile: s.ConfigFile, keepalive: s.Keepalive, reconnect: s.Reconnect,
		maxCalls: s.MaxCallbacks, maxLine: s.MaxLine, stopTimeout: s.StopTimeout, log: s.Logger, categories: s.LogLines, events: s.Events, stats: &s.stats,
	}
	c.fillDefaults()
	err := c.validate()
	if s.Provider == nil {
		err = errors.Join(err, fmt.Errorf("adapter: %s: Provider is missing; DefaultMetadata will do", c.title()))
	}
	return c, err
}

// Validate tells what is wrong with the fields, all of it at once; nil if nothing is. Run begins with it.
func (s *MetadataServer) Validate() error {
	_, err := s.settings()
	return err
}

// Stats returns the counters. It can be called at any time, from any goroutine.
func (s *MetadataServer) Stats() Stats { return s.stats.snapshot() }

// Run connects to the proxy, answers its requests with the provider's callbacks, and connects again after a loss, until ctx ends; then it returns
// nil. For the errors see [DataServer.Run].
func (s *MetadataServer) Run(ctx context.Context) error {
	c, err := s.settings()
	if err != nil {
		return err
	}
	if !s.running.CompareAndSwap(false, true) {
		return fmt.Errorf("adapter: %s: %w", c.title(), ErrRunning)
	}
	defer s.running.Store(false)
	return run(ctx, c, func(l *link) handler { return &metadataHandler{l, s.Provider, messageCallback(s.Provider)} })
}

// messageCallback is the callback for user messages.
func messageCallback(p MetadataProvider) func(context.Context, UserMessage) error {
	r, ok := p.(MessageResponder)
	if !ok {
		return p.NotifyUserMessage
	}
	return func(ctx context.Context, m UserMessage) error {
		_, err := r.RespondToUserMessage(ctx, m) // the wire has no room for the response
		return err
	}
}

// metadataHandler turns each request into one or more callbacks, on a goroutine of its own.
type metadataHandler struct {
	*link
	provider MetadataProvider
	message  func(context.Context, UserMessage) error
}

func (h *metadataHandler) initialize(ctx context.Context, in Init) error {
	return h.provider.Initialize(ctx, in)
}

func (h *metadataHandler) ended(error) {}

// reply appends the rest of a reply line that has succeeded.
type reply func(dst []byte, id string) []byte

func (h *metadataHandler) request(_ *link, line ari.Line) {
	m, v := line.Method, h.version
	switch m {
	case ari.NUS, ari.NUA:
		parse := func(body []byte, v ari.Version) (ari.NotifyUser, error) { return ari.ParseNotifyUser(m, body, v) }
		serve(h, line, parse, func(r ari.NotifyUser) (reply, error) { return h.notifyUser(m, r) })
	case ari.NNS:
		serve(h, line, ari.ParseNotifyNewSession, h.notifyNewSession)
	case ari.NSC:
		serve(h, line, ari.ParseNotifySessionClose, func(r ari.NotifySessionClose) (reply, error) {
			return void(m), h.provider.NotifySessionClose(h.ctx, r.Session)
		})
	case ari.GIS:
		serve(h, line, ari.ParseGetItems, func(r ari.GetItems) (reply, error) {
			names, err := h.provider.Items(h.ctx, ItemsRequest{User: r.User.S, SessionID: r.Session, Group: r.Group.S})
			return func(b []byte, id string) []byte { return ari.AppendNames(b, id, m, v, names) }, err
		})
	case ari.GSC:
		serve(h, line, ari.ParseGetSchema, func(r ari.GetSchema) (reply, error) {
			names, err := h.provider.Schema(h.ctx, SchemaRequest{User: r.User.S, SessionID: r.Session, Group: r.Group.S, Schema: r.Schema.S})
			return func(b []byte, id string) []byte { return ari.AppendNames(b, id, m, v, names) }, err
		})
	case ari.GIT:
		serve(h, line, ari.ParseGetItemData, h.itemData)
	case ari.GUI:
		serve(h, line, ari.ParseGetUserItemData, h.userItemData)
	case ari.NUM:
		serve(h, line, ari.ParseNotifyUserMessage, func(r ari.NotifyUserMessage) (reply, error) {
			return void(m), h.message(h.ctx, UserMessage{User: r.User.S, SessionID: r.Session, Message: r.Message.S})
		})
	case ari.NNT:
		serve(h, line, ari.ParseNotifyNewTables, h.notifyNewTables)
	case ari.NTC:
		serve(h, line, ari.ParseNotifyTablesClose, func(r ari.NotifyTablesClose) (reply, error) {
			return void(m), h.provider.NotifyTablesClose(h.ctx, TablesClose{SessionID: r.Session, Tables: tableInfos(r.Tables)})
		})
	case ari.MDA:
		serve(h, line, ari.ParseNotifyDeviceAccess, func(r ari.NotifyDeviceAccess) (reply, error) {
			return void(m), h.provider.NotifyMPNDeviceAccess(h.ctx, MPNDeviceAccess{User: r.User.S, SessionID: r.Session, Device: deviceInfo(r.Device)})
		})
	case ari.MSA:
		serve(h, line, ari.ParseNotifySubscriptionActivation, func(r ari.NotifySubscriptionActivation) (reply, error) {
			return void(m), h.provider.NotifyMPNSubscriptionActivation(h.ctx, MPNSubscriptionActivation{
				User: r.User.S, SessionID: r.Session, Table: tableInfo(r.Table),
				Subscription: MPNSubscriptionInfo{Device: deviceInfo(r.Device), Trigger: r.Trigger.S, NotificationFormat: r.Format.S},
			})
		})
	case ari.MDC:
		serve(h, line, ari.ParseNotifyDeviceTokenChange, func(r ari.NotifyDeviceTokenChange) (reply, error) {
			return void(m), h.provider.NotifyMPNDeviceTokenChange(h.ctx, MPNDeviceTokenChange{
				User: r.User.S, SessionID: r.Session, Device: deviceInfo(r.Device), NewToken: r.NewToken,
			})
		})
	default:
		h.refuse(line, errors.New("not a request to a Metadata Adapter"))
	}
}

// serve parses the request on the reader and has it answered by a goroutine of its own.
func serve[R any](h *metadataHandler, line ari.Line, parse func([]byte, ari.Version) (R, error), answer func(R) (reply, error)) {
	r, err := parse(line.Body, h.version)
	if err != nil {
		h.refuse(line, err)
		return
	}
	id, m, arrived := string(line.ID), line.Method, time.Now()
	h.calls.start(m.String(), "", func() {
		var appendReply reply
		err := protect(h.log, m.String(), func() (err error) {
			appendReply, err = answer(r)
			return err
		})
		defer h.answered(m, arrived, err)
		if err != nil {
			h.log.Debug("request refused", "method", m.String(), "err", err)
			h.replyError(id, m, failureOf(err))
			return
		}
		h.out.reply(func(b []byte) []byte { return appendReply(b, id) })
	})
}

func void(m ari.Method) reply {
	return func(b []byte, id string) []byte { return ari.AppendVoidReply(b, id, m) }
}

func (h *metadataHandler) notifyUser(m ari.Method, r ari.NotifyUser) (reply, error) {
	grant, err := h.provider.NotifyUser(h.ctx, User{
		Name: r.User.S, Anonymous: r.User.Null, Password: Password(r.Password.S),
		HasPrincipal: r.HasPrincipal, Principal: r.Principal.S, Headers: paramMap(r.Headers),
	})
	answer := ari.UserReply{MaxBandwidth: grant.MaxBandwidth, WantsTables: grant.WantsTables}
	return func(b []byte, id string) []byte { return answer.Append(b, id, m) }, err
}

func (h *metadataHandler) notifyNewSession(r ari.NotifyNewSession) (reply, error) {
	grant, err := h.provider.NotifyNewSession(h.ctx, Session{
		User: r.User.S, Anonymous: r.User.Null, ID: r.Session, Context: paramMap(r.Context),
	})
	return func(b []byte, id string) []byte {
		return ari.AppendSessionReply(b, id, h.version, wholeSeconds(grant.TimeToLive))
	}, err
}

// wholeSeconds rounds up, lest a short life become an unlimited one.
func wholeSeconds(d time.Duration) int32 {
	if d <= 0 {
		return 0
	}
	return int32(min((d+time.Second-1)/time.Second, math.MaxInt32))
}

func (h *metadataHandler) itemData(r ari.GetItemData) (reply, error) {
	data := make([]ari.ItemData, 0, len(r.Items))
	for _, item := range r.Items {
		d, err := h.provider.ItemData(h.ctx, item)
		if err != nil {
			return nil, err
		}
		data = append(data, ari.ItemData{
			DistinctSnapshotLength: d.DistinctSnapshotLength, MinSourceFrequency: d.MinSourceFrequency, Modes: wireModes(d.Modes),
		})
	}
	return func(b []byte, id string) []byte { return ari.AppendItemData(b, id, data) }, nil
}

func (h *metadataHandler) userItemData(r ari.GetUserItemData) (reply, error) {
	data := make([]ari.UserItemData, 0, len(r.Items))
	for _, item := range r.Items {
		d, err := h.provider.UserItemData(h.ctx, r.User.S, item)
		if err != nil {
			return nil, err
		}
		data = append(data, ari.UserItemData{BufferSize: d.BufferSize, MaxFrequency: d.MaxItemFrequency, Modes: wireModes(d.Modes)})
	}
	return func(b []byte, id string) []byte { return ari.AppendUserItemData(b, id, data) }, nil
}

func (h *metadataHandler) notifyNewTables(r ari.NotifyNewTables) (reply, error) {
	grant, err := h.provider.NotifyNewTables(h.ctx, NewTables{User: r.User.S, SessionID: r.Session, Tables: tableInfos(r.Tables)})
	answer := ari.TablesReply{Unsubscribable: grant.Unsubscribable && len(r.Tables) == 1, FinalStats: grant.FinalStatistics}
	return func(b []byte, id string) []byte { return answer.Append(b, id, h.version) }, err
}

func wireModes(s Modes) ari.Modes {
	var w ari.Modes
	for _, m := range [...]Mode{Raw, Merge, Distinct, Command} {
		if s.Has(m) {
			w = w.With(ari.Mode(m))
		}
	}
	return w
}

func paramMap(params []ari.Param) map[string]string {
	m := make(map[string]string, len(params))
	for _, p := range params {
		if !p.Value.Null {
			m[p.Name] = p.Value.S
		}
	}
	return m
}

func tableInfos(tables []ari.Table) []TableInfo {
	infos := make([]TableInfo, len(tables))
	for i, t := range tables {
		infos[i] = tableInfo(t)
	}
	return infos
}

func tableInfo(t ari.Table) TableInfo {
	info := TableInfo{
		WinIndex: t.WinIndex, Mode: Mode(t.Mode), Group: t.Group.S, Schema: t.Schema.S, DataAdapter: t.DataAdapter.S,
		Min: t.Min, Max: t.Max, Selector: t.Selector.S, Items: t.Items,
	}
	for _, s := range t.Stats {
		info.Statistics = append(info.Statistics, TableStatistics{RealTime: s.Real, Lost: s.Lost, Filtered: s.Filtered})
	}
	return info
}

func deviceInfo(d ari.Device) MPNDeviceInfo {
	return MPNDeviceInfo{Platform: MPNPlatform(d.Platform), ApplicationID: d.App, DeviceToken: d.Token}
}
