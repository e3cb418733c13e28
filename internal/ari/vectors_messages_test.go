package ari

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
)

// decodeVector reads the line of v with the parsers of its direction and says what it means with the keys of the vectors.
func decodeVector(v vector) (object, error) {
	channel, kind := v.Decoded.str("channel"), v.Decoded.str("kind")
	o := object{"channel": channel, "kind": kind, "method": v.Decoded.str("method")}
	if kind == "keepalive" {
		if !IsKeepalive([]byte(v.Line)) {
			return nil, errors.New("no keepalive")
		}
		return o, nil
	}
	l, err := ParseLine([]byte(v.Line))
	if err != nil {
		return nil, err
	}
	if l.Method == Unknown || l.Method.String() != string(l.Name) || string(l.Name) != o.str("method") {
		return nil, fmt.Errorf("method %s %q", l.Method, l.Name)
	}
	if kind == "notification" || kind == "failure" && channel == "data" {
		o["time"], err = strconv.ParseInt(string(l.ID), 10, 64)
		if err != nil {
			return nil, err
		}
	} else {
		o["id"] = string(l.ID)
	}
	version := vectorVersion(v)
	f, isError, err := ParseError(l.Method, l.Body, version)
	if l.Method == FAL {
		// The one message that is no reply and yet has the tag of one.
		isError, err = false, nil
	}
	if isError != (kind == "error") {
		return nil, fmt.Errorf("read as error: %v", isError)
	}
	switch {
	case err != nil:
		return nil, err
	case isError:
		o["error"] = ofFailure(f)
	case kind == "reply":
		err = decodeReply(o, l, version)
	case kind == "request":
		err = decodeRequest(o, l, version)
	default:
		err = decodeNotice(o, l, version)
	}
	return o, err
}

func ofFailure(f Failure) object {
	o := object{"subtype": f.Kind.String(), "message": ofText(f.Message)}
	if f.Kind == KindCredits || f.Kind == KindConflictingSession {
		o["clientCode"], o["clientMessage"] = f.Code, ofText(f.ClientMessage)
	}
	if f.Kind == KindConflictingSession {
		o["conflictingSession"] = ofText(f.Session)
	}
	return o
}

func decodeReply(o object, l Line, v Version) (err error) {
	if string(l.Body) == "V" {
		o["void"] = true
	}
	switch l.Method {
	case DPI, MPI:
		var r InitReply
		if r, err = ParseInitReply(l.Body); err == nil && !r.Void {
			o["params"] = ofParams(r.Params)
		}
	case NUS, NUA:
		r, e := ParseUserReply(l.Body)
		o["maxBandwidth"], o["wantsTables"], err = ofDouble(r.MaxBandwidth), r.WantsTables, e
	case NNS:
		ttl, e := ParseSessionReply(l.Body)
		if err = e; !o.has("void") {
			o["ttl"] = ttl
		}
	case NNT:
		r, e := ParseTablesReply(l.Body)
		if err = e; !o.has("void") {
			o["unsubscribable"], o["finalStats"] = r.Unsubscribable, r.FinalStats
		}
	case GIS, GSC:
		names, e := ParseNames(l.Body, v)
		o[map[Method]string{GIS: "items", GSC: "fields"}[l.Method]], err = ofStrs(names), e
	case GIT, GUI:
		o["itemData"], err = decodeItemData(l)
	case FUS:
		o["done"], err = ParseForceUnsubscribeReply(l.Body)
	default:
		err = ParseVoidReply(l.Body)
	}
	return err
}

func decodeItemData(l Line) ([]object, error) {
	list := []object{}
	if l.Method == GIT {
		data, err := ParseItemData(l.Body)
		for _, d := range data {
			list = append(list, object{
				"snapshotLength": d.DistinctSnapshotLength, "minSourceFrequency": ofDouble(d.MinSourceFrequency),
				"modes": ofModes(d.Modes),
			})
		}
		return list, err
	}
	data, err := ParseUserItemData(l.Body)
	for _, d := range data {
		list = append(list, object{
			"bufferSize": d.BufferSize, "maxFrequency": ofDouble(d.MaxFrequency), "modes": ofModes(d.Modes),
		})
	}
	return list, err
}

func ofModes(s Modes) []any {
	list := []any{}
	for _, m := range modeOrder {
		if s.Has(m) {
			list = append(list, m.String())
		}
	}
	return list
}

func decodeRequest(o object, l Line, v Version) (err error) {
	set := func(key string, value any) { o[key] = value }
	switch l.Method {
	case DPI, MPI:
		params, e := ParseParams(l.Body)
		o["params"], err = ofParams(params), e
	case CLOSE:
		params, e := ParseParams(l.Body)
		o["params"] = ofParams(params)
		reason, e2 := ParseClose(l)
		want, _ := Lookup(params, ParamReason)
		if err = errors.Join(e, e2); err == nil && reason != want.S {
			err = fmt.Errorf("reason %q, want %q", reason, want.S)
		}
	case SUB, USB:
		o["item"], err = ParseItem(l.Body, v)
	case NUS, NUA:
		n, e := ParseNotifyUser(l.Method, l.Body, v)
		o["user"], o["password"], o["headers"], err = ofText(n.User), ofText(n.Password), ofParams(n.Headers), e
		if l.Method == NUA {
			o["principal"] = ofText(n.Principal)
		}
	case NNS:
		n, e := ParseNotifyNewSession(l.Body, v)
		o["user"], o["session"], o["context"], err = ofText(n.User), n.Session, ofParams(n.Context), e
	case NSC:
		n, e := ParseNotifySessionClose(l.Body, v)
		o["session"], err = n.Session, e
	case GIS:
		g, e := ParseGetItems(l.Body, v)
		o["user"], o["group"], o["session"], err = ofText(g.User), ofText(g.Group), g.Session, e
	case GSC:
		g, e := ParseGetSchema(l.Body, v)
		o["user"], o["group"], o["schema"], o["session"], err = ofText(g.User), ofText(g.Group), ofText(g.Schema), g.Session, e
	case GIT:
		g, e := ParseGetItemData(l.Body, v)
		o["items"], err = ofStrs(g.Items), e
	case GUI:
		g, e := ParseGetUserItemData(l.Body, v)
		o["user"], o["items"], err = ofText(g.User), ofStrs(g.Items), e
	case NUM:
		n, e := ParseNotifyUserMessage(l.Body, v)
		o["user"], o["session"], o["message"], err = ofText(n.User), n.Session, ofText(n.Message), e
	case NNT:
		n, e := ParseNotifyNewTables(l.Body, v)
		o["user"], o["session"], o["tables"], err = ofText(n.User), n.Session, ofTables(n.Tables, NNT, v), e
	case NTC:
		n, e := ParseNotifyTablesClose(l.Body, v)
		o["session"], o["tables"], err = n.Session, ofTables(n.Tables, NTC, v), e
	case MDA, MSA, MDC:
		err = decodePush(set, l, v)
	case FST:
		f, e := ParseForceSession(l.Body, v)
		o["session"], o["cause"], err = f.Session, nil, e
		if f.HasCause {
			o["cause"] = object{"code": f.Code, "message": ofText(f.Message)}
		}
	case FUS:
		f, e := ParseForceUnsubscribe(l.Body, v)
		o["session"], o["win"], err = f.Session, f.WinIndex, e
	default:
		err = errors.New("no such request")
	}
	return err
}

func decodePush(set func(string, any), l Line, v Version) error {
	device := func(d Device) object {
		return object{"platform": d.Platform.String(), "app": d.App, "token": d.Token}
	}
	switch l.Method {
	case MDA:
		n, err := ParseNotifyDeviceAccess(l.Body, v)
		set("user", ofText(n.User))
		set("session", n.Session)
		set("device", device(n.Device))
		return err
	case MDC:
		n, err := ParseNotifyDeviceTokenChange(l.Body, v)
		set("user", ofText(n.User))
		set("session", n.Session)
		set("device", device(n.Device))
		set("newToken", n.NewToken)
		return err
	}
	n, err := ParseNotifySubscriptionActivation(l.Body, v)
	set("user", ofText(n.User))
	set("session", n.Session)
	set("device", device(n.Device))
	set("table", ofTables([]Table{n.Table}, MSA, v)[0])
	set("trigger", ofText(n.Trigger))
	set("format", ofText(n.Format))
	return err
}

func ofTables(tables []Table, m Method, v Version) []object {
	list := []object{}
	for _, t := range tables {
		o := object{
			"win": t.WinIndex, "mode": t.Mode.String(), "group": ofText(t.Group), "schema": ofText(t.Schema),
			"min": t.Min, "max": t.Max,
		}
		if m != MSA {
			o["selector"] = ofText(t.Selector)
		}
		if v.AtLeast(V190) {
			o["dataAdapter"], o["items"] = ofText(t.DataAdapter), ofStrs(t.Items)
			if m == NTC {
				o["stats"] = ofStats(t.Stats)
			}
		}
		list = append(list, o)
	}
	return list
}

func ofStats(stats []TableStats) any {
	if stats == nil {
		return nil
	}
	list := []object{}
	for _, s := range stats {
		list = append(list, object{"realTime": s.Real, "lost": s.Lost, "filtered": s.Filtered})
	}
	return list
}

// decodeNotice reads what a remote sends without being asked and without a reply.
func decodeNotice(o object, l Line, v Version) (err error) {
	switch l.Method {
	case RAC:
		params, e := ParseParams(l.Body)
		o["params"], err = ofParams(params), e
	case FAL:
		message, e := ParseFailureNotice(l.Body, v)
		o["message"], err = ofText(message), e
	case EOS, CLS:
		o["item"], o["subscription"], err = pair(ParseItemEvent(l.Body, v))
	case DFD:
		item, sub, order, e := ParseDiffOrder(l.Body, v)
		o["item"], o["subscription"], o["algorithms"], err = item, sub, ofOrder(order), e
	case UD3:
		u, e := ParseUpdate(l.Body, v)
		o["item"], o["subscription"], o["snapshot"], err = u.Item, u.SubID, u.Snapshot, e
		o["fields"] = ofFields(u.Fields)
		if u.Indexed {
			o["indexed"] = true
		}
	default:
		err = errors.New("no such notification")
	}
	return err
}

func pair(a, b string, err error) (any, any, error) { return a, b, err }

func ofOrder(order []FieldDiff) []any {
	list := []any{}
	for _, d := range order {
		var algorithms any
		if !d.None {
			names := []any{}
			for _, a := range d.Algorithms {
				names = append(names, a.String())
			}
			algorithms = names
		}
		list = append(list, []any{d.Field, algorithms})
	}
	return list
}

func ofFields(fields []Field) []any {
	list := []any{}
	for _, f := range fields {
		list = append(list, []any{f.Name, ofText(f.Value)})
	}
	return list
}

// bytesOf returns the value of a field given as {"bytes": base64}.
func bytesOf(v any) ([]byte, bool) {
	m, _ := v.(map[string]any)
	text, ok := m["bytes"].(string)
	if !ok {
		return nil, false
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b, true
}

func latin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}
