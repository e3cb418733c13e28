package adaptersxml

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const literalClass = "com.lightstreamer.adapters.metadata.LiteralBasedProvider"

// classes are the adapter classes that stand for something outside of the JVM. The second and third values say on which
// side the class belongs.
var classes = map[string]struct {
	kind           Kind
	metadata, data bool
}{
	"PROXY_FOR_REMOTE_ADAPTER":                                                   {Basic, true, true},
	"ROBUST_PROXY_FOR_REMOTE_ADAPTER":                                            {Robust, true, true},
	"com.lightstreamer.adapters.remote.metadata.NetworkedMetadataProvider":       {Basic, true, false},
	"com.lightstreamer.adapters.remote.metadata.RobustNetworkedMetadataProvider": {Robust, true, false},
	"com.lightstreamer.adapters.remote.data.NetworkedDataProvider":               {Basic, false, true},
	"com.lightstreamer.adapters.remote.data.RobustNetworkedDataProvider":         {Robust, false, true},
	literalClass: {Literal, true, false},
}

var (
	bothElements     = []string{"install_dir", "adapter_class", "classloader", "param"}
	dataElements     = append([]string{"data_adapter_pool"}, bothElements...)
	metadataElements = append([]string{
		"authentication_pool", "messages_pool", "mpn_pool", "sequentialize_table_notifications",
		"support_TLCP26_subscriptions", "support_LiteralBased_subscriptions", "exit_on_failure",
	}, bothElements...)
)

// provider reads a metadata_provider or a data_provider.
func (r *reader) provider(n *node, setID string) Provider {
	p := Provider{Pos: n.pos, Metadata: n.name == "metadata_provider", InstallDir: "."}
	p.AuthenticationPool, p.MessagesPool = defaultCallPool, defaultCallPool
	if p.Metadata {
		r.attributes(n)
	} else {
		r.attributes(n, "name")
		p.Name = "DEFAULT"
		if name, ok := n.attr("name"); ok {
			if p.Name = strings.TrimSpace(name); p.Name == "" {
				r.errorf(n.pos, "data_provider with an empty name")
			}
		}
	}
	once := r.once()
	seen := map[string]Pos{}
	for _, c := range n.children {
		if c.name == "param" {
			r.param(&p, c)
			continue
		}
		if !once(c) {
			continue
		}
		seen[c.name] = c.pos
		r.element(&p, c)
	}
	r.class(&p, seen)
	switch p.Kind {
	case Basic, Robust:
		p.Proxy = r.proxy(&p, setID)
	case Literal:
		p.Literal = r.literal(&p)
	}
	return p
}

// element reads a child that is not a param.
func (r *reader) element(p *Provider, c *node) {
	text := func() string { r.attributes(c); return r.text(c, "<"+c.name+">") }
	switch {
	case c.name == "install_dir":
		p.InstallDir = text()
	case c.name == "adapter_class":
		p.Class = text()
	case c.name == "classloader":
		p.ClassLoader = r.parseChoice(c.pos, "<classloader>", text(), "", "common", "dedicated", "log-enabled")
	case !p.Metadata && c.name == "data_adapter_pool":
		p.DataPool = r.pool(c)
	case !p.Metadata:
		r.unknownElement(c, dataElements...)
	case c.name == "authentication_pool":
		p.AuthenticationPool = r.callPool(c)
	case c.name == "messages_pool":
		p.MessagesPool = r.callPool(c)
	case c.name == "mpn_pool":
		p.MPNPool = r.pool(c)
	case c.name == "sequentialize_table_notifications":
		p.SequentializeTableNotifications = r.boolean(c, false)
	case c.name == "support_TLCP26_subscriptions":
		p.SupportTLCP26Subscriptions = r.boolean(c, false)
	case c.name == "support_LiteralBased_subscriptions":
		p.SupportLiteralSubscriptions = r.boolean(c, false)
	case c.name == "exit_on_failure":
		p.ExitOnFailure = r.boolean(c, false)
	default:
		r.unknownElement(c, metadataElements...)
	}
}

// class settles the kind, and checks what the kind rules out. Kind stays 0 for a class that cannot be used.
func (r *reader) class(p *Provider, seen map[string]Pos) {
	at, ok := seen["adapter_class"]
	if !ok || p.Class == "" {
		if !ok {
			at = p.Pos
		}
		r.errorf(at, "%s has no adapter_class", p.label())
		return
	}
	class, ok := classes[p.Class]
	switch {
	case !ok:
		r.errorf(at, "adapter_class %s runs inside the server's JVM and cannot be run outside of it; use ROBUST_PROXY_FOR_REMOTE_ADAPTER or PROXY_FOR_REMOTE_ADAPTER%s",
			quote(p.Class), didYouMean(p.Class, []string{"ROBUST_PROXY_FOR_REMOTE_ADAPTER", "PROXY_FOR_REMOTE_ADAPTER", literalClass}))
		return
	case p.Metadata && !class.metadata:
		r.errorf(at, "adapter_class %s is for a data_provider", quote(p.Class))
		return
	case !p.Metadata && !class.data:
		r.errorf(at, "adapter_class %s is for a metadata_provider", quote(p.Class))
		return
	}
	p.Kind = class.kind
	loaderAt, hasLoader := seen["classloader"]
	switch {
	case p.Kind == Literal:
	case p.ClassLoader == "common":
		r.errorf(loaderAt, "classloader common is not allowed for a proxy; use log-enabled")
	case !hasLoader:
		r.warnf(p.Pos, "%s has no classloader; Lightstreamer Server needs log-enabled for a proxy", p.label())
	}
	if p.ClassLoader == "" {
		p.ClassLoader = "common"
	}
}

func (r *reader) param(p *Provider, n *node) {
	r.attributes(n, "name")
	name, ok := n.attr("name")
	if name = strings.TrimSpace(name); !ok || name == "" {
		r.errorf(n.pos, "<param> without a name")
		return
	}
	if first, dup := p.Param(name); dup {
		r.warnf(n.pos, "parameter %s is given again; this one counts, that of line %d does not", quote(name), first.Pos.Line)
	}
	p.Params = append(p.Params, Param{Name: name, Value: r.text(n, "parameter "+quote(name)), Pos: n.pos})
}

func (r *reader) pool(n *node) *Pool {
	r.attributes(n)
	pool := &Pool{}
	once := r.once()
	var hasSize, hasFree bool
	for _, c := range n.children {
		if !once(c) {
			continue
		}
		switch c.name {
		case "max_size":
			hasSize, pool.MaxSize = true, r.integer(c, 1, 1)
		case "max_free":
			hasFree, pool.MaxFree = true, r.integer(c, 0, 0)
		default:
			r.unknownElement(c, "max_size", "max_free")
		}
	}
	if !hasSize {
		r.errorf(n.pos, "<%s> has no max_size", n.name)
	}
	if !hasFree {
		r.errorf(n.pos, "<%s> has no max_free", n.name)
	}
	return pool
}

var defaultCallPool = CallPool{MaxSize: 1, MaxFree: 1, MaxQueue: -1}

func (r *reader) callPool(n *node) CallPool {
	r.attributes(n)
	pool := defaultCallPool
	once := r.once()
	for _, c := range n.children {
		if !once(c) {
			continue
		}
		switch c.name {
		case "max_size":
			pool.MaxSize = r.integer(c, 1, 1)
		case "max_free":
			pool.MaxFree = r.integer(c, 1, 0)
		case "max_pending_requests":
			pool.MaxPendingRequests = r.integer(c, 0, math.MinInt32)
		case "max_pending_remote_requests":
			pool.MaxPendingRemoteRequests = r.integer(c, 0, math.MinInt32)
		case "max_queue":
			pool.MaxQueue = r.integer(c, -1, 0)
		case "task_timeout_millis":
			pool.TaskTimeout = time.Duration(r.integer(c, 0, 0)) * time.Millisecond
		default:
			r.unknownElement(c, "max_size", "max_free", "max_pending_requests", "max_pending_remote_requests", "max_queue", "task_timeout_millis")
		}
	}
	return pool
}

// integer reads an element that holds a number.
func (r *reader) integer(n *node, def, least int) int {
	r.attributes(n)
	what := fmt.Sprintf("<%s>", n.name)
	return r.parseInt(n.pos, what, r.text(n, what), def, least, math.MaxInt32)
}
