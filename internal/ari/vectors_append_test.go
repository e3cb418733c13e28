package ari

import "fmt"

// encodeVector appends the line that says o, with the function of the direction, kind and method of v.
func encodeVector(v vector, o object) ([]byte, error) {
	m, version, id := vectorMethod(v), vectorVersion(v), o.str("id")
	switch o.str("kind") {
	case "keepalive":
		return []byte(KeepaliveLine), nil
	case "credentials":
		return AppendRAC(nil, id, o.params("params")), nil
	case "failure":
		ch, millis := Metadata, int64(0)
		if o.str("channel") == "data" {
			ch, millis = Data, o.int64("time")
		}
		return AppendFailureNotice(nil, ch, version, millis, o.text("message")), nil
	case "error":
		e := o.object("error")
		f := Failure{Message: e.text("message")}
		if s := e.str("subtype"); s != "" {
			f.Kind = ErrorKind(s[0])
		}
		if e.has("clientCode") {
			f.Code, f.ClientMessage = e.int("clientCode"), e.text("clientMessage")
		}
		if e.has("conflictingSession") {
			f.Session = e.text("conflictingSession")
		}
		return AppendError(nil, id, m, version, f), nil
	case "notification":
		return encodeNotification(m, version, o)
	case "reply":
		return encodeReply(id, m, version, o)
	case "request":
		return encodeRequest(id, m, version, o)
	}
	return nil, fmt.Errorf("no such kind: %s", o.str("kind"))
}

func encodeNotification(m Method, v Version, o object) ([]byte, error) {
	millis, enc := o.int64("time"), v.Encoding()
	head := AppendItemHead(nil, v, o.str("item"), o.str("subscription"))
	switch m {
	case EOS:
		return AppendEndOfSnapshot(nil, millis, head), nil
	case CLS:
		return AppendClearSnapshot(nil, millis, head), nil
	case DFD:
		var order []FieldDiff
		for _, e := range o["algorithms"].([]any) {
			p := e.([]any)
			d := FieldDiff{Field: p[0].(string), None: p[1] == nil}
			names, _ := p[1].([]any)
			for _, n := range names {
				d.Algorithms = append(d.Algorithms, map[any]DiffAlgorithm{"JSONPATCH": JSONPatch, "DIFF_MATCH_PATCH": DiffMatchPatch}[n])
			}
			order = append(order, d)
		}
		return AppendDiffOrder(nil, millis, head, enc, order), nil
	case UD3:
		dst := AppendUpdateHead(nil, millis, head, o.boolean("snapshot"))
		for _, e := range o["fields"].([]any) {
			p := e.([]any)
			name := p[0].(string)
			if b, ok := bytesOf(p[1]); ok {
				dst = AppendBytesField(dst, enc, name, b)
			} else if t := textOf(p[1]); t.Null {
				dst = AppendNullField(dst, enc, name)
			} else {
				dst = AppendField(dst, enc, name, t.S)
			}
		}
		return dst, nil
	}
	return nil, fmt.Errorf("no such notification: %s", m)
}

func encodeReply(id string, m Method, v Version, o object) ([]byte, error) {
	if o.boolean("void") {
		// NNS and NNT have a void form of their own in the versions before 1.9.0.
		switch {
		case m == NNS && !v.AtLeast(V190):
			return AppendSessionReply(nil, id, v, 5), nil
		case m == NNT && !v.AtLeast(V190):
			return TablesReply{Unsubscribable: true}.Append(nil, id, v), nil
		case m == DPI:
			return AppendInitReply(nil, id, Data, V180), nil
		case m == MPI:
			return AppendInitReply(nil, id, Metadata, V180), nil
		}
		return AppendVoidReply(nil, id, m), nil
	}
	switch m {
	case DPI, MPI:
		params := o.params("params")
		answer, ok := ParseVersion(params[0].Value.S)
		if len(params) != 1 || params[0].Name != ParamVersion || !ok {
			return nil, fmt.Errorf("no way to answer %v", params)
		}
		return AppendInitReply(nil, id, map[Method]Channel{DPI: Data, MPI: Metadata}[m], answer), nil
	case NUS, NUA:
		return UserReply{o.double("maxBandwidth"), o.boolean("wantsTables")}.Append(nil, id, m), nil
	case NNS:
		return AppendSessionReply(nil, id, v, int32(o.int("ttl"))), nil
	case NNT:
		return TablesReply{o.boolean("unsubscribable"), o.boolean("finalStats")}.Append(nil, id, v), nil
	case GIS:
		return AppendNames(nil, id, m, v, o.strs("items")), nil
	case GSC:
		return AppendNames(nil, id, m, v, o.strs("fields")), nil
	case GIT:
		var data []ItemData
		for _, d := range o.objects("itemData") {
			data = append(data, ItemData{d.int("snapshotLength"), d.double("minSourceFrequency"), modesOf(d)})
		}
		return AppendItemData(nil, id, data), nil
	case GUI:
		var data []UserItemData
		for _, d := range o.objects("itemData") {
			data = append(data, UserItemData{d.int("bufferSize"), d.double("maxFrequency"), modesOf(d)})
		}
		return AppendUserItemData(nil, id, data), nil
	case FUS:
		return AppendForceUnsubscribeReply(nil, id, o.boolean("done")), nil
	}
	return nil, fmt.Errorf("no such reply: %s", m)
}

var modeNames = map[string]Mode{"RAW": Raw, "MERGE": Merge, "DISTINCT": Distinct, "COMMAND": Command}

func modesOf(o object) Modes {
	var s Modes
	for _, name := range o.strs("modes") {
		s = s.With(modeNames[name])
	}
	return s
}

func encodeRequest(id string, m Method, v Version, o object) ([]byte, error) {
	user, session := o.text("user"), o.str("session")
	switch m {
	case DPI:
		return AppendInit(nil, id, Data, o.params("params")), nil
	case MPI:
		return AppendInit(nil, id, Metadata, o.params("params")), nil
	case CLOSE:
		reason, _ := Lookup(o.params("params"), ParamReason)
		return AppendClose(nil, reason.S), nil
	case SUB:
		return AppendSubscribe(nil, id, v, o.str("item")), nil
	case USB:
		return AppendUnsubscribe(nil, id, v, o.str("item")), nil
	case NUS, NUA:
		n := NotifyUser{User: user, Password: o.text("password"), HasPrincipal: m == NUA, Headers: o.params("headers")}
		if n.HasPrincipal {
			n.Principal = o.text("principal")
		}
		return n.Append(nil, id, v), nil
	case NNS:
		return NotifyNewSession{user, session, o.params("context")}.Append(nil, id, v), nil
	case NSC:
		return NotifySessionClose{session}.Append(nil, id, v), nil
	case GIS:
		return GetItems{user, o.text("group"), session}.Append(nil, id, v), nil
	case GSC:
		return GetSchema{user, o.text("group"), o.text("schema"), session}.Append(nil, id, v), nil
	case GIT:
		return GetItemData{o.strs("items")}.Append(nil, id, v), nil
	case GUI:
		return GetUserItemData{user, o.strs("items")}.Append(nil, id, v), nil
	case NUM:
		return NotifyUserMessage{user, session, o.text("message")}.Append(nil, id, v), nil
	case NNT:
		return NotifyNewTables{user, session, tablesOf(o.objects("tables"))}.Append(nil, id, v), nil
	case NTC:
		return NotifyTablesClose{session, tablesOf(o.objects("tables"))}.Append(nil, id, v), nil
	case FST:
		f := ForceSession{Session: session}
		if c := o.object("cause"); c != nil {
			f.HasCause, f.Code, f.Message = true, c.int("code"), c.text("message")
		}
		return f.Append(nil, id, v), nil
	case FUS:
		return ForceUnsubscribe{session, o.int("win")}.Append(nil, id, v), nil
	}
	return encodePush(id, m, v, o)
}

func encodePush(id string, m Method, v Version, o object) ([]byte, error) {
	user, session, d := o.text("user"), o.str("session"), o.object("device")
	device := Device{map[string]Platform{"Apple": Apple, "Google": Google}[d.str("platform")], d.str("app"), d.str("token")}
	switch m {
	case MDA:
		return NotifyDeviceAccess{user, session, device}.Append(nil, id, v), nil
	case MSA:
		table := tablesOf([]object{o.object("table")})[0]
		return NotifySubscriptionActivation{user, session, table, device, o.text("trigger"), o.text("format")}.Append(nil, id, v), nil
	case MDC:
		return NotifyDeviceTokenChange{user, session, device, o.str("newToken")}.Append(nil, id, v), nil
	}
	return nil, fmt.Errorf("no such request: %s", m)
}

func tablesOf(list []object) []Table {
	var tables []Table
	for _, o := range list {
		t := Table{
			WinIndex: o.int("win"), Mode: modeNames[o.str("mode")], Group: o.text("group"), DataAdapter: o.text("dataAdapter"),
			Schema: o.text("schema"), Min: o.int("min"), Max: o.int("max"), Selector: o.text("selector"), Items: o.strs("items"),
		}
		for _, s := range o.objects("stats") {
			t.Stats = append(t.Stats, TableStats{s.int64("realTime"), s.int64("lost"), s.int64("filtered")})
		}
		tables = append(tables, t)
	}
	return tables
}
