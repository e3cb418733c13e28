package adapter

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// metadataHandler turns each request into one or more callbacks.
type metadataHandler struct {
	*link
	provider MetadataProvider
	message  func(context.Context, UserMessage) error
}

func (h *metadataHandler) initialize(ctx context.Context, in Init) error {
	return h.provider.Initialize(ctx, in)
}

func (h *metadataHandler) ended(error) {}

func (h *metadataHandler) request(t *turn, line ari.Line) task {
	switch line.Method {
	case ari.NUS, ari.NUA:
		return ask(h, t, line, &aboutUser)
	case ari.NNS:
		return ask(h, t, line, &aboutNewSession)
	case ari.NSC:
		return ask(h, t, line, &aboutSessionClose)
	case ari.GIS:
		return ask(h, t, line, &aboutItems)
	case ari.GSC:
		return ask(h, t, line, &aboutSchema)
	case ari.GIT:
		return ask(h, t, line, &aboutItemData)
	case ari.GUI:
		return ask(h, t, line, &aboutUserItemData)
	case ari.NUM:
		return ask(h, t, line, &aboutUserMessage)
	case ari.NNT:
		return ask(h, t, line, &aboutNewTables)
	case ari.NTC:
		return ask(h, t, line, &aboutTablesClose)
	case ari.MDA:
		return ask(h, t, line, &aboutDeviceAccess)
	case ari.MSA:
		return ask(h, t, line, &aboutSubscriptionActivation)
	case ari.MDC:
		return ask(h, t, line, &aboutDeviceTokenChange)
	}
	h.refuse(line, errors.New("not a request to a Metadata Adapter"))
	return nil
}

// about is how requests of one method, R on the wire, are put to the provider, and its answer A to the wire.
type about[R, A any] struct {
	parse  func(*metadataHandler, ari.Line) (R, error)
	ask    func(*metadataHandler, R) (A, error)
	append func(dst []byte, id string, m ari.Method, v ari.Version, answer A) []byte
}

var (
	aboutUser       = about[User, UserGrant]{(*metadataHandler).parseUser, (*metadataHandler).notifyUser, appendUserReply}
	aboutNewSession = about[Session, SessionGrant]{(*metadataHandler).parseSession, (*metadataHandler).notifyNewSession, appendSessionReply}

	aboutSessionClose = about[ari.NotifySessionClose, none]{parsed(ari.ParseNotifySessionClose), (*metadataHandler).notifySessionClose, appendVoid}

	aboutItems        = about[ari.GetItems, []string]{parsed(ari.ParseGetItems), (*metadataHandler).items, appendNames}
	aboutSchema       = about[ari.GetSchema, []string]{parsed(ari.ParseGetSchema), (*metadataHandler).schema, appendNames}
	aboutItemData     = about[ari.GetItemData, []ari.ItemData]{parsed(ari.ParseGetItemData), (*metadataHandler).itemData, appendItemData}
	aboutUserItemData = about[ari.GetUserItemData, []ari.UserItemData]{parsed(ari.ParseGetUserItemData), (*metadataHandler).userItemData, appendUserItemData}

	aboutUserMessage = about[ari.NotifyUserMessage, none]{parsed(ari.ParseNotifyUserMessage), (*metadataHandler).notifyUserMessage, appendVoid}
	aboutNewTables   = about[ari.NotifyNewTables, ari.TablesReply]{parsed(ari.ParseNotifyNewTables), (*metadataHandler).notifyNewTables, appendTablesReply}
	aboutTablesClose = about[ari.NotifyTablesClose, none]{parsed(ari.ParseNotifyTablesClose), (*metadataHandler).notifyTablesClose, appendVoid}

	aboutDeviceAccess           = about[ari.NotifyDeviceAccess, none]{parsed(ari.ParseNotifyDeviceAccess), (*metadataHandler).notifyDeviceAccess, appendVoid}
	aboutSubscriptionActivation = about[ari.NotifySubscriptionActivation, none]{
		parsed(ari.ParseNotifySubscriptionActivation), (*metadataHandler).notifySubscriptionActivation, appendVoid,
	}
	aboutDeviceTokenChange = about[ari.NotifyDeviceTokenChange, none]{
		parsed(ari.ParseNotifyDeviceTokenChange), (*metadataHandler).notifyDeviceTokenChange, appendVoid,
	}
)

// none is the answer of requests that are just done.
type none struct{}

func parsed[R any](parse func([]byte, ari.Version) (R, error)) func(*metadataHandler, ari.Line) (R, error) {
	return func(h *metadataHandler, line ari.Line) (R, error) { return parse(line.Body, h.version) }
}

// question is a request that waits for the provider's answer.
type question[R, A any] struct {
	h       *metadataHandler
	about   *about[R, A]
	id      string
	cost    int
	method  ari.Method
	arrived time.Time
	r       R
}

// ask makes a question of a request. One that cannot be parsed is refused, and nil returned.
func ask[R, A any](h *metadataHandler, t *turn, line ari.Line, how *about[R, A]) task {
	r, err := how.parse(h, line)
	if err != nil {
		h.refuse(line, err)
		return nil
	}
	q, ok := t.spare[line.Method].(*question[R, A])
	if !ok {
		q = new(question[R, A])
	}
	t.spare[line.Method] = nil
	*q = question[R, A]{h, how, string(line.ID), requestCost(line), line.Method, h.arrival(), r}
	return q
}

func (q *question[R, A]) name() (what, item string) { return q.method.String(), "" }

func (q *question[R, A]) run(p place) (kept bool) {
	h := q.h
	p.begin(q)
	var answer A
	err := protect(h.log, q.method.String(), func() (err error) {
		answer, err = q.about.ask(h, q.r)
		return err
	})
	kept = p.end()
	if err != nil {
		h.log.Debug("request refused", "method", q.method.String(), "err", err)
		h.replyError(q.id, q.cost, q.method, failureOf(err))
	} else {
		p.reply(h.out, q.cost, func(dst []byte) []byte { return q.about.append(dst, q.id, q.method, h.version, answer) })
	}
	h.answered(q.method, q.arrived, err)
	return kept
}

// recycle keeps q for the turn's next request of its method. It must not hold on to passwords.
func (q *question[R, A]) recycle(t *turn) {
	m := q.method
	*q = question[R, A]{}
	t.spare[m] = q
}

func (h *metadataHandler) parseUser(line ari.Line) (User, error) {
	var r ari.NotifyUser
	headers, err := r.ParseMap(line.Method, line.Body, h.version)
	return User{
		Name: r.User.S, Anonymous: r.User.Null, Password: Password(r.Password.S),
		HasPrincipal: r.HasPrincipal, Principal: r.Principal.S, Headers: headers,
	}, err
}

func (h *metadataHandler) notifyUser(u User) (UserGrant, error) {
	return h.provider.NotifyUser(h.ctx, u)
}

func appendUserReply(dst []byte, id string, m ari.Method, _ ari.Version, grant UserGrant) []byte {
	return ari.UserReply{MaxBandwidth: grant.MaxBandwidth, WantsTables: grant.WantsTables}.Append(dst, id, m)
}

func (h *metadataHandler) parseSession(line ari.Line) (Session, error) {
	var r ari.NotifyNewSession
	about, err := r.ParseMap(line.Body, h.version)
	return Session{User: r.User.S, Anonymous: r.User.Null, ID: r.Session, Context: about}, err
}

func (h *metadataHandler) notifyNewSession(s Session) (SessionGrant, error) {
	return h.provider.NotifyNewSession(h.ctx, s)
}

func appendSessionReply(dst []byte, id string, _ ari.Method, v ari.Version, grant SessionGrant) []byte {
	return ari.AppendSessionReply(dst, id, v, wholeSeconds(grant.TimeToLive))
}

// wholeSeconds rounds up, lest a short life become an unlimited one.
func wholeSeconds(d time.Duration) int32 {
	if d <= 0 {
		return 0
	}
	return int32(min((d+time.Second-1)/time.Second, math.MaxInt32))
}

func (h *metadataHandler) notifySessionClose(r ari.NotifySessionClose) (none, error) {
	return none{}, h.provider.NotifySessionClose(h.ctx, r.Session)
}

func appendVoid(dst []byte, id string, m ari.Method, _ ari.Version, _ none) []byte {
	return ari.AppendVoidReply(dst, id, m)
}

func (h *metadataHandler) items(r ari.GetItems) ([]string, error) {
	return h.provider.Items(h.ctx, ItemsRequest{User: r.User.S, SessionID: r.Session, Group: r.Group.S})
}

func (h *metadataHandler) schema(r ari.GetSchema) ([]string, error) {
	return h.provider.Schema(h.ctx, SchemaRequest{User: r.User.S, SessionID: r.Session, Group: r.Group.S, Schema: r.Schema.S})
}

func appendNames(dst []byte, id string, m ari.Method, v ari.Version, names []string) []byte {
	return ari.AppendNames(dst, id, m, v, names)
}

func (h *metadataHandler) itemData(r ari.GetItemData) ([]ari.ItemData, error) {
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
	return data, nil
}

func appendItemData(dst []byte, id string, _ ari.Method, _ ari.Version, data []ari.ItemData) []byte {
	return ari.AppendItemData(dst, id, data)
}

func (h *metadataHandler) userItemData(r ari.GetUserItemData) ([]ari.UserItemData, error) {
	data := make([]ari.UserItemData, 0, len(r.Items))
	for _, item := range r.Items {
		d, err := h.provider.UserItemData(h.ctx, r.User.S, item)
		if err != nil {
			return nil, err
		}
		data = append(data, ari.UserItemData{BufferSize: d.BufferSize, MaxFrequency: d.MaxItemFrequency, Modes: wireModes(d.Modes)})
	}
	return data, nil
}

func appendUserItemData(dst []byte, id string, _ ari.Method, _ ari.Version, data []ari.UserItemData) []byte {
	return ari.AppendUserItemData(dst, id, data)
}

func (h *metadataHandler) notifyUserMessage(r ari.NotifyUserMessage) (none, error) {
	return none{}, h.message(h.ctx, UserMessage{User: r.User.S, SessionID: r.Session, Message: r.Message.S})
}

func (h *metadataHandler) notifyNewTables(r ari.NotifyNewTables) (ari.TablesReply, error) {
	grant, err := h.provider.NotifyNewTables(h.ctx, NewTables{User: r.User.S, SessionID: r.Session, Tables: tableInfos(r.Tables)})
	return ari.TablesReply{Unsubscribable: grant.Unsubscribable && len(r.Tables) == 1, FinalStats: grant.FinalStatistics}, err
}

func appendTablesReply(dst []byte, id string, _ ari.Method, v ari.Version, answer ari.TablesReply) []byte {
	return answer.Append(dst, id, v)
}

func (h *metadataHandler) notifyTablesClose(r ari.NotifyTablesClose) (none, error) {
	return none{}, h.provider.NotifyTablesClose(h.ctx, TablesClose{SessionID: r.Session, Tables: tableInfos(r.Tables)})
}

func (h *metadataHandler) notifyDeviceAccess(r ari.NotifyDeviceAccess) (none, error) {
	return none{}, h.provider.NotifyMPNDeviceAccess(h.ctx, MPNDeviceAccess{User: r.User.S, SessionID: r.Session, Device: deviceInfo(r.Device)})
}

func (h *metadataHandler) notifySubscriptionActivation(r ari.NotifySubscriptionActivation) (none, error) {
	return none{}, h.provider.NotifyMPNSubscriptionActivation(h.ctx, MPNSubscriptionActivation{
		User: r.User.S, SessionID: r.Session, Table: tableInfo(r.Table),
		Subscription: MPNSubscriptionInfo{Device: deviceInfo(r.Device), Trigger: r.Trigger.S, NotificationFormat: r.Format.S},
	})
}

func (h *metadataHandler) notifyDeviceTokenChange(r ari.NotifyDeviceTokenChange) (none, error) {
	return none{}, h.provider.NotifyMPNDeviceTokenChange(h.ctx, MPNDeviceTokenChange{
		User: r.User.S, SessionID: r.Session, Device: deviceInfo(r.Device), NewToken: r.NewToken,
	})
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
