package broker

import (
	"fmt"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// withoutEffect warns of what Lightstreamer Server honours and this broker does not. What the server itself would ignore is among
// the set's own warnings.
func withoutEffect(x *adaptersxml.Set) []*adaptersxml.Problem {
	w := &warner{set: x}
	w.metadata(&x.Metadata)
	for i := range x.Data {
		w.provider(&x.Data[i])
	}
	return w.found
}

type warner struct {
	set   *adaptersxml.Set
	found []*adaptersxml.Problem
}

func (w *warner) warn(at adaptersxml.Pos, format string, args ...any) {
	w.found = append(w.found, &adaptersxml.Problem{
		File: w.set.File, Line: at.Line, Column: at.Column, Severity: adaptersxml.SeverityWarning,
		Message: fmt.Sprintf(format, args...),
	})
}

// param warns of a parameter, if it was given.
func (w *warner) param(p *adaptersxml.Provider, name, why string) {
	if given, ok := p.Param(name); ok {
		w.warn(given.Pos, "parameter %q has no effect in this broker: %s", name, why)
	}
}

// element warns of a child of the provider, at whose line it is reported: the set does not tell lines of elements.
func (w *warner) element(p *adaptersxml.Provider, given bool, name, why string) {
	if given {
		w.warn(p.Pos, "<%s> has no effect in this broker: %s", name, why)
	}
}

// provider warns of what both kinds of adapter may have.
func (w *warner) provider(p *adaptersxml.Provider) {
	if p.Proxy == nil {
		return
	}
	if p.Proxy.TLS != nil && p.Proxy.RemoteHost == "" {
		const why = "Go's TLS chooses the order of cipher suites itself"
		w.param(p, "tls.enforce_server_cipher_suite_preference", why)
		w.param(p, "tls.enforce_server_cipher_suite_preference.order", why)
	}
	if !p.Metadata && p.Kind == adaptersxml.Robust && p.Proxy.FirstConnectionTimeout != 0 {
		w.param(p, "first_connection_timeout_millis", "its start does not wait for the remotes of Data Adapters")
	}
}

func (w *warner) metadata(p *adaptersxml.Provider) {
	w.provider(p)
	w.element(p, p.SupportTLCP26Subscriptions, "support_TLCP26_subscriptions", "it speaks TLCP up to 2.5")
	w.element(p, p.SupportLiteralSubscriptions, "support_LiteralBased_subscriptions", "it speaks TLCP up to 2.5")
	if p.Proxy == nil {
		return
	}
	w.element(p, p.MPNPool != nil, "mpn_pool", "it has no push notifications")
	const queue = "requests above max_pending_remote_requests wait no longer than their timeout"
	w.element(p, p.AuthenticationPool.MaxQueue >= 0, "authentication_pool/max_queue", queue)
	w.element(p, p.MessagesPool.MaxQueue >= 0, "messages_pool/max_queue", queue)
	const kept = "what an adapter says of a user is kept by each session for itself, until its end"
	if !p.Proxy.ClearOnSessionClose {
		w.param(p, "clear_on_session_close", kept)
	} else {
		w.param(p, "user_data_timeout", kept)
	}
}
