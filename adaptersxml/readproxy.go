package adaptersxml

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// proxy reads the parameters of a remote adapter's proxy.
func (r *reader) proxy(p *Provider, setID string) *Proxy {
	rp := &params{r, p, map[string]bool{}}
	rp.misplaced()
	x := &Proxy{Name: setID}
	if !p.Metadata {
		x.Name = setID + "." + p.Name
	}
	if name := rp.text("name"); name != "" {
		x.Name = name
	}
	rp.connection(x)
	rp.timing(x)
	rp.tls(x)
	rp.credentials(x)
	rp.remoteParams(x)
	if p.Kind == Robust {
		first := 0
		if p.Metadata {
			first = -1
		}
		x.FirstConnectionTimeout = rp.millis("first_connection_timeout_millis", first)
		x.ConnectionRecoveryTimeout = rp.millis("connection_recovery_timeout_millis", -1)
	}
	if p.Metadata {
		rp.metadata(x)
	} else if p.Kind == Robust {
		x.EventsRecovery = EventsRecovery(rp.choice("events_recovery", string(LeaveHole), string(LeaveHole), string(UseSnapshot), string(EnforceSnapshot)))
		x.StatusItem = rp.text("status_item")
	}
	return x
}

// misplaced warns of unknown names, and makes void what is meant for another kind of proxy.
func (r *params) misplaced() {
	var me who
	switch {
	case r.p.Metadata && r.p.Kind == Basic:
		me = basicMetadata
	case r.p.Metadata:
		me = robustMetadata
	case r.p.Kind == Basic:
		me = basicData
	default:
		me = robustData
	}
	meant := func(name string) (who, bool) {
		if w, ok := proxyParams[name]; ok && !strings.HasSuffix(name, ".") {
			return w, true
		}
		for c, w := range proxyParams {
			if strings.HasSuffix(c, ".") && strings.HasPrefix(name, c) {
				return w, c != "auth.credentials." || strings.HasSuffix(name, ".user") || strings.HasSuffix(name, ".password")
			}
		}
		return 0, false
	}
	candidates := slices.Sorted(maps.Keys(proxyParams))
	r.unknownParams(func(name string) bool { _, ok := meant(name); return ok }, candidates)
	for _, p := range r.p.Params {
		w, ok := meant(p.Name)
		switch {
		case !ok || w&me != 0 || r.void[p.Name]:
		case p.Name == "notify_port":
			r.errorf(p.Pos, "notify_port is for data proxies; a metadata remote has one connection")
			r.void[p.Name] = true
		case w&me == 0 && w&sameSide(me) != 0:
			r.ignoreParam(p, "on a basic proxy; it needs ROBUST_PROXY_FOR_REMOTE_ADAPTER")
		case r.p.Metadata:
			r.ignoreParam(p, "on a metadata_provider")
		default:
			r.ignoreParam(p, "on a data_provider")
		}
	}
}

func sameSide(w who) who {
	if w&anyMetadata != 0 {
		return anyMetadata
	}
	return anyData
}

func (r *params) connection(x *Proxy) {
	port := func(name string) int {
		p, ok := r.get(name)
		if !ok {
			return 0
		}
		return r.parseInt(p.Pos, "parameter "+quote(name), p.Value, 0, 1, math.MaxUint16)
	}
	x.RequestReplyPort, x.NotifyPort = port("request_reply_port"), port("notify_port")
	x.RemoteHost = r.text("remote_host")
	r.require(r.has("request_reply_port"), "request_reply_port", "%s has no request_reply_port", r.p.label())
	if x.NotifyPort != 0 {
		r.require(x.RemoteHost == "", "notify_port", "notify_port does not go together with remote_host")
		r.require(x.NotifyPort != x.RequestReplyPort, "notify_port", "notify_port is the same as request_reply_port; for one connection leave it out")
	}
	if x.RemoteHost != "" {
		r.ignore("with remote_host", "interface", "remote_address_whitelist", "tls.enforce_server_cipher_suite_preference",
			"tls.enforce_server_cipher_suite_preference.order", "tls.force_client_auth")
	} else {
		r.ignore("without remote_host", "connection_retry_millis", "tls.skip_hostname_check")
	}
	x.Interface = r.text("interface")
	if list, ok := r.get("remote_address_whitelist"); ok {
		for host := range strings.SplitSeq(list.Value, ",") {
			if host = strings.TrimSpace(host); host != "" {
				x.Whitelist = append(x.Whitelist, host)
			}
		}
		r.require(x.Whitelist != nil, "remote_address_whitelist", "remote_address_whitelist is empty, so nobody could connect; leave it out to admit anyone")
	}
	r.require(r.boolean("init_remote", true), "init_remote", "init_remote false is not supported, as it is not by the server since 7.1")
}

func (r *params) timing(x *Proxy) {
	if x.RemoteHost != "" {
		if x.ConnectionRetry = r.millis("connection_retry_millis", 10000); x.ConnectionRetry < 0 {
			r.errorf(r.at("connection_retry_millis"), "connection_retry_millis is negative")
		}
	}
	if x.Timeout = r.millis("timeout", 10000); x.Timeout == 0 {
		r.warnf(r.at("timeout"), "timeout 0 would fail every request; it is taken as no time-out, which is written -1")
		x.Timeout = -time.Millisecond
	}
	if x.KeepaliveTimeout = r.millis("keepalive_timeout_millis", -1); x.KeepaliveTimeout == 0 {
		x.KeepaliveTimeout = -time.Millisecond
	}
	hint := -time.Millisecond
	switch t := x.KeepaliveTimeout; {
	case t < 0:
	case t < 4*time.Second:
		hint = t / 2
	default:
		hint = t - 2*time.Second
	}
	if x.KeepaliveHint = hint; r.has("keepalive_hint_millis") {
		x.KeepaliveHint = r.millis("keepalive_hint_millis", -1)
	}
	if x.KeepaliveHint == 0 {
		x.KeepaliveHint = -time.Millisecond
	}
	if x.KeepaliveTimeout > 0 && x.KeepaliveHint >= x.KeepaliveTimeout {
		r.warnf(r.at("keepalive_hint_millis"), "keepalive_hint_millis is not below keepalive_timeout_millis; a quiet remote would be taken for a broken one")
	}
}

func (r *params) credentials(x *Proxy) {
	if x.Auth = r.boolean("auth", false); !x.Auth {
		r.ignore("without auth Y", "auth.credentials.")
		return
	}
	type pair struct {
		user, password *Param
		at             Pos
	}
	pairs := map[string]*pair{}
	var order []string
	list, suffixes := r.family("auth.credentials.")
	for i := range list {
		key, isUser := strings.CutSuffix(suffixes[i], ".user")
		if !isUser {
			var ok bool
			if key, ok = strings.CutSuffix(suffixes[i], ".password"); !ok {
				continue // misplaced has warned of it
			}
		}
		if pairs[key] == nil {
			pairs[key] = &pair{at: list[i].Pos}
			order = append(order, key)
		}
		if isUser {
			pairs[key].user = &list[i]
		} else {
			pairs[key].password = &list[i]
		}
	}
	for _, key := range order {
		switch c := pairs[key]; {
		case c.user == nil:
			r.errorf(c.at, "auth.credentials.%s.password has no auth.credentials.%[1]s.user", shorten(key))
		case c.password == nil:
			r.errorf(c.at, "auth.credentials.%s.user has no auth.credentials.%[1]s.password", shorten(key))
		default:
			x.Credentials = append(x.Credentials, Credential{c.user.Value, Secret(c.password.Value)})
		}
	}
	if len(order) == 0 {
		r.errorf(r.at("auth"), "auth is Y but there is no pair of auth.credentials.<x>.user and auth.credentials.<x>.password")
	}
}

func (r *params) remoteParams(x *Proxy) {
	prefix, ok := r.get("remote_params_prefix")
	if !ok {
		return
	}
	x.RemoteParamsPrefix = prefix.Value
	if !strings.Contains(prefix.Value, ":") {
		r.errorf(prefix.Pos, "remote_params_prefix is %s; it has to contain a colon", quote(prefix.Value))
		return
	}
	for i, p := range r.p.Params {
		if !strings.HasPrefix(p.Name, prefix.Value) || slices.ContainsFunc(r.p.Params[i+1:], func(q Param) bool { return q.Name == p.Name }) {
			continue
		}
		x.RemoteParams = append(x.RemoteParams, p)
	}
}

func (r *params) metadata(x *Proxy) {
	x.ClearOnSessionClose = r.boolean("clear_on_session_close", true)
	if !x.ClearOnSessionClose {
		r.ignore("with clear_on_session_close false", "user_data_timeout")
	}
	if x.UserDataTimeout = r.millis("user_data_timeout", 10000); x.UserDataTimeout < 0 {
		r.errorf(r.at("user_data_timeout"), "user_data_timeout is negative")
	}
	if r.p.Kind != Robust {
		return
	}
	x.CloseNotificationsRecovery = CloseNotificationsRecovery(r.choice("close_notifications_recovery", string(Pessimistic),
		string(Pessimistic), string(Optimistic), string(Unneeded)))
	x.ClearOnNewRemote = r.boolean("clear_on_new_remote", false)

	hasCode := r.has("notify_user_disconnection_code")
	def := FailUser
	if hasCode {
		def = SendCode
	}
	x.NotifyUserOnDisconnection = NotifyUserOnDisconnection(r.choice("notify_user_on_disconnection", string(def),
		string(FailUser), string(ForceRetry), string(SendCode)))
	switch {
	case x.NotifyUserOnDisconnection == SendCode:
		r.require(hasCode, "notify_user_on_disconnection", "notify_user_on_disconnection send_code needs notify_user_disconnection_code")
		if code := r.integer("notify_user_disconnection_code", 0, math.MinInt32, math.MaxInt32); code > 0 {
			r.errorf(r.at("notify_user_disconnection_code"), "notify_user_disconnection_code is %d; it has to be 0 or negative: positive codes are the server's own", code)
		} else {
			x.NotifyUserDisconnectionCode = code
		}
	case hasCode:
		r.errorf(r.at("notify_user_disconnection_code"), "notify_user_disconnection_code does not go together with notify_user_on_disconnection %s", x.NotifyUserOnDisconnection)
	}
	if !hasCode {
		r.ignore("without notify_user_disconnection_code", "notify_user_disconnection_msg")
	}
	x.NotifyUserDisconnectionMsg = r.text("notify_user_disconnection_msg")
}
