package ari

import "strconv"

// TableStats says what became of the updates of one item of a table.
type TableStats struct {
	Real, Lost, Filtered int64 // real-time updates sent, lost, filtered out
}

// Table describes a subscription of a client.
type Table struct {
	WinIndex    int  // the client's number for the subscription, in its session
	Mode        Mode // zero when the wire has a null
	Group       Text
	DataAdapter Text // not on the wire before 1.9.0, read as null there
	Schema      Text
	Min, Max    int          // first and last item of the group, from 1
	Selector    Text         // null if none; not in MSA, read as null there
	Items       []string     // the group's items from Min to Max; not on the wire before 1.9.0
	Stats       []TableStats // in NTC only and from 1.9.0 on, one for each item; nil when not asked for
}

// append appends the table as it stands in a message of method m.
func (t *Table) append(dst []byte, m Method, v Version) []byte {
	enc := m.Encoding(v)
	dst = appendMode(appendTaggedInt(dst, t.WinIndex), t.Mode)
	dst = appendTaggedText(dst, enc, t.Group)
	if v.AtLeast(V190) {
		dst = appendTaggedText(dst, enc, t.DataAdapter)
	}
	dst = appendTaggedText(dst, enc, t.Schema)
	dst = appendTaggedInt(appendTaggedInt(dst, t.Min), t.Max)
	if m != MSA {
		dst = appendTaggedText(dst, enc, t.Selector)
	}
	if v.AtLeast(V190) {
		dst = appendStrs(appendTaggedInt(dst, len(t.Items)), enc, t.Items)
		if m == NTC {
			dst = appendStats(dst, t.Stats)
		}
	}
	return dst
}

func appendStats(dst []byte, stats []TableStats) []byte {
	dst = appendTaggedInt(dst, len(stats))
	for _, s := range stats {
		dst = strconv.AppendInt(append(dst, "|L|"...), s.Real, 10)
		dst = strconv.AppendInt(append(dst, "|L|"...), s.Lost, 10)
		dst = strconv.AppendInt(append(dst, "|L|"...), s.Filtered, 10)
	}
	return dst
}

func appendTables(dst []byte, m Method, v Version, tables []Table) []byte {
	for i := range tables {
		dst = tables[i].append(dst, m, v)
	}
	return dst
}

// table takes a table as it stands in a message of method m.
func (p *parser) table(m Method, v Version) Table {
	t := Table{DataAdapter: Null, Selector: Null}
	t.WinIndex = p.int32("window index")
	t.Mode = p.mode("mode")
	t.Group = p.text("group")
	if v.AtLeast(V190) {
		t.DataAdapter = p.text("data adapter")
	}
	t.Schema = p.text("schema")
	t.Min = p.int32("first item")
	t.Max = p.int32("last item")
	if m != MSA {
		t.Selector = p.text("selector")
	}
	if v.AtLeast(V190) {
		for n := p.count("number of items"); n > 0 && p.err == nil; n-- {
			t.Items = append(t.Items, p.str("item"))
		}
		if m == NTC {
			t.Stats = p.stats()
		}
	}
	return t
}

func (p *parser) stats() []TableStats {
	var stats []TableStats
	for n := p.count("number of statistics"); n > 0 && p.err == nil; n-- {
		stats = append(stats, TableStats{
			Real:     p.int64("updates sent"),
			Lost:     p.int64("updates lost"),
			Filtered: p.int64("updates filtered"),
		})
	}
	return stats
}

func (p *parser) tables(m Method, v Version) []Table {
	var tables []Table
	for p.more() {
		tables = append(tables, p.table(m, v))
	}
	return tables
}

// NotifyNewTables is the request NNT: a client wants to subscribe. More than one table comes only from very old clients.
type NotifyNewTables struct {
	User    Text
	Session string
	Tables  []Table
}

// Append appends the request.
func (n NotifyNewTables) Append(dst []byte, id string, v Version) []byte {
	enc := NNT.Encoding(v)
	dst = appendTaggedText(appendHead(dst, id, NNT), enc, n.User)
	dst = appendStr(dst, enc, n.Session)
	return appendTables(dst, NNT, v, n.Tables)
}

// ParseNotifyNewTables reads the body of NNT.
func ParseNotifyNewTables(body []byte, v Version) (NotifyNewTables, error) {
	p := parser{method: "NNT", rest: body, body: body, enc: NNT.Encoding(v)}
	n := NotifyNewTables{User: p.text("user"), Session: p.str("session"), Tables: p.tables(NNT, v)}
	if err := p.done(); err != nil {
		return NotifyNewTables{}, err
	}
	return n, nil
}

// TablesReply answers NNT.
type TablesReply struct {
	Unsubscribable bool // FUS will be possible for the table
	FinalStats     bool // NTC should carry statistics
}

// Append appends the reply; before 1.9.0 the flags cannot be said and are dropped.
func (r TablesReply) Append(dst []byte, id string, v Version) []byte {
	if !v.AtLeast(V190) {
		return AppendVoidReply(dst, id, NNT)
	}
	return appendTaggedBool(appendTaggedBool(appendHead(dst, id, NNT), r.Unsubscribable), r.FinalStats)
}

// ParseTablesReply reads the body of a reply to NNT; in a void one, which is legal in every version, both flags are false.
func ParseTablesReply(body []byte) (TablesReply, error) {
	p := parser{method: "NNT reply", rest: body}
	if string(p.peek()) == "V" {
		return TablesReply{}, nil
	}
	r := TablesReply{Unsubscribable: p.boolean("unsubscribable"), FinalStats: p.boolean("final statistics")}
	if err := p.done(); err != nil {
		return TablesReply{}, err
	}
	return r, nil
}

// NotifyTablesClose is the request NTC: subscriptions have ended. The reply is void.
type NotifyTablesClose struct {
	Session string
	Tables  []Table
}

// Append appends the request.
func (n NotifyTablesClose) Append(dst []byte, id string, v Version) []byte {
	dst = appendStr(appendHead(dst, id, NTC), NTC.Encoding(v), n.Session)
	return appendTables(dst, NTC, v, n.Tables)
}

// ParseNotifyTablesClose reads the body of NTC.
func ParseNotifyTablesClose(body []byte, v Version) (NotifyTablesClose, error) {
	p := parser{method: "NTC", rest: body, body: body, enc: NTC.Encoding(v)}
	n := NotifyTablesClose{Session: p.str("session"), Tables: p.tables(NTC, v)}
	if err := p.done(); err != nil {
		return NotifyTablesClose{}, err
	}
	return n, nil
}
