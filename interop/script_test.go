//go:build interop

package interop

import (
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// request makes one request of the script, in the encoding of the version agreed.
type request func(id string, v ari.Version) []byte

// step is one row of the script: requests sent together, and what has to come before the next step.
type step struct {
	row           string
	channel       ari.Channel
	requests      []request
	notifications int  // besides a reply to each request
	unsure        bool // a peer may leave requests without a reply
}

func sub(item string) request {
	return func(id string, v ari.Version) []byte { return ari.AppendSubscribe(nil, id, v, item) }
}

func usb(item string) request {
	return func(id string, v ari.Version) []byte { return ari.AppendUnsubscribe(nil, id, v, item) }
}

type appender interface {
	Append(dst []byte, id string, v ari.Version) []byte
}

func metadata(list ...appender) []request {
	var all []request
	for _, a := range list {
		all = append(all, func(id string, v ari.Version) []byte { return a.Append(nil, id, v) })
	}
	return all
}

func users(names ...string) []request {
	var all []request
	for _, name := range names {
		all = append(all, metadata(ari.NotifyUser{User: ari.T(name), Password: ari.T("p+|%"), Headers: []ari.Param{{Name: "host", Value: ari.T("x y")}, {Name: "REQUEST_ID", Value: ari.T("R1")}}})...)
	}
	return all
}

func newSession(user, id string) appender {
	return ari.NotifyNewSession{User: ari.T(user), Session: id, Context: []ari.Param{
		{Name: "REMOTE_IP", Value: ari.T("10.0.0.1")}, {Name: "USER_AGENT", Value: ari.T("a+b|c")}, {Name: "CLIENT_TYPE", Value: ari.Null}, {Name: "FORWARDING_INFO", Value: ari.T("")},
	}}
}

func table(selector ari.Text, stats bool) ari.Table {
	t := ari.Table{WinIndex: 3, Mode: ari.Merge, Group: ari.T("item1 item2"), DataAdapter: ari.T("LAB"), Schema: ari.T("f1 f2"), Min: 1, Max: 2, Selector: selector, Items: []string{"item1", "item2"}}
	if stats {
		t.Stats = []ari.TableStats{{Real: 1, Lost: 2, Filtered: 3}, {Real: 1 << 40}}
	}
	return t
}

func newTables(selectors ...ari.Text) []request {
	var all []request
	for _, s := range selectors {
		all = append(all, metadata(ari.NotifyNewTables{User: ari.T("ann"), Session: "S1", Tables: []ari.Table{table(s, false)}})...)
	}
	return all
}

func push(app string) []request {
	device := ari.Device{Platform: ari.Apple, App: app, Token: "8f+t|k%=="}
	return metadata(
		ari.NotifyDeviceAccess{User: ari.T("ann"), Session: "S1", Device: device},
		ari.NotifySubscriptionActivation{User: ari.Null, Session: "S1", Table: table(ari.Null, false), Device: device, Trigger: ari.T("${f1} > 5 | x"), Format: ari.T(`{"aps":"${f1}+%"}`)},
		ari.NotifyDeviceTokenChange{User: ari.T("ann"), Session: "S1", Device: device, NewToken: "new %"},
	)
}

// unknownMethod is the last row: it ends one of the peers.
const unknownMethod = "unknown method, and a request after it"

// script is what is played to each adapter, row by row.
func script() []step {
	data := func(row string, notifications int, requests ...request) step {
		return step{row: row, channel: ari.Data, requests: requests, notifications: notifications}
	}
	meta := func(row string, requests []request) step {
		return step{row: row, channel: ari.Metadata, requests: requests}
	}
	join := func(lists ...[]request) (all []request) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	groups := func(names ...string) (all []request) {
		for _, g := range names {
			all = append(all, metadata(ari.GetItems{User: ari.T("ann"), Group: ari.T(g), Session: "S1"})...)
		}
		return all
	}
	schemas := func(names ...string) (all []request) {
		for _, s := range names {
			all = append(all, metadata(ari.GetSchema{User: ari.Null, Group: ari.T("item1"), Schema: ari.T(s), Session: "S1"})...)
		}
		return all
	}
	messages := func(texts ...string) (all []request) {
		for _, m := range texts {
			all = append(all, metadata(ari.NotifyUserMessage{User: ari.T("ann"), Session: "S1", Message: ari.T(m)})...)
		}
		return all
	}
	return []step{
		data("SUB, snapshot, updates", 3, sub("merge"), sub("unsuberror")),
		data("SUB of an item without snapshot", 2, sub("live a+b|%")),
		data("null, empty and special values", 3, sub("values")),
		data("end of snapshot, clear snapshot", 4, sub("clear")),
		data("DISTINCT history, COMMAND rows", 10, sub("distinct"), sub("command")),
		data("SUB refused: own and generic errors", 0, sub("suberror"), sub("subgeneric")),
		data("SUB answered with a failure", 0, sub("subfailure")),
		data("USB, and SUB again", 3, usb("merge"), sub("merge")),
		data("USB after a refused SUB", 0, usb("suberror")),
		data("USB refused", 0, usb("unsuberror")),
		{row: "USB of an item never asked for", channel: ari.Data, requests: []request{usb("unknown")}, unsure: true},
		meta("NUS: admitted, bandwidth, tables", users("ann", "slow", "quiet", "b\u00f6b \U0001F600", "#", "$")),
		meta("NUS of nobody", metadata(ari.NotifyUser{User: ari.Null, Password: ari.Null}, ari.NotifyUser{User: ari.T(""), Password: ari.T("")})),
		meta("NUS refused: access, credits, generic", users("refused", "resource", "credits", "broken")),
		meta("NUA", metadata(
			ari.NotifyUser{User: ari.T("ann"), Password: ari.T("p"), HasPrincipal: true, Principal: ari.T("CN=x|y")},
			ari.NotifyUser{User: ari.T("slow"), Password: ari.Null, HasPrincipal: true, Principal: ari.Null})),
		meta("NNS, NSC", join(metadata(newSession("ann", "S1"), newSession("brief", "S2")), metadata(ari.NotifySessionClose{Session: "S2"}))),
		meta("NNS refused: credits, notification", metadata(newSession("nosession", "S3"), newSession("inconsistent", "S4"))),
		meta("NNS: first of two sessions", metadata(newSession("conflict", "S5"))),
		meta("NNS refused: conflicting session", metadata(newSession("conflict", "S6"))),
		meta("GIS", groups("item1", "item1 item2", "a+b|% c")),
		meta("GIS: no items", groups("nogroup")),
		meta("GIS refused: items, generic", groups("badgroup", "brokengroup")),
		meta("GSC", schemas("f1", "key command a+b|%")),
		meta("GSC refused: schema, items", schemas("badschema", "badgroupschema")),
		meta("GIT", metadata(ari.GetItemData{Items: []string{"item1", "mergeonly", "distinct", "slowsource"}})),
		meta("GUI", metadata(ari.GetUserItemData{User: ari.T("guest"), Items: []string{"item1", "secret", "limited", "buffered"}})),
		meta("NUM", messages("hello", "line1\r\nline2 + |%")),
		meta("NUM refused: credits, notification, generic", messages("credits", "inconsistent", "broken")),
		meta("NNT", newTables(ari.Null, ari.T("sel + |%"))),
		meta("NNT refused: credits, notification, generic", newTables(ari.T("credits"), ari.T("inconsistent"), ari.T("broken"))),
		meta("NTC", metadata(ari.NotifyTablesClose{Session: "S1", Tables: []ari.Table{table(ari.Null, false)}})),
		meta("NTC with statistics", metadata(ari.NotifyTablesClose{Session: "S1", Tables: []ari.Table{table(ari.T("x"), true)}})),
		meta("MDA, MSA, MDC", push("com.example.app")),
		meta("MDA, MSA, MDC refused", join(push("credits"), push("inconsistent"), push("broken"))),
		// After it, so that a late answer to the USB has come.
		data("SUB, while another item waits for its USB", 2, sub("live last")),
		{row: unknownMethod, channel: ari.Metadata, unsure: true, requests: append([]request{
			func(id string, _ ari.Version) []byte { return []byte(id + "|XYZ|S|x") },
		}, messages("still there?")...)},
	}
}

// intended are the differences from each SDK that are on purpose, with the reason, by peer and row. A row that is equal must not be
// here: the run fails then.
var intended = map[string]map[string]string{
	"python": {
		negotiation:                      "This SDK speaks 1.8.3 and goes down to 1.8.0 for metadata; ours speaks 1.9.1 and refuses what it does not speak, as Java's does.",
		"RAC":                            naming,
		"USB of an item never asked for": noReply,
	},
	"node": {
		negotiation:   "This SDK speaks 1.8.3, whatever is announced, and 1.8.0; ours speaks 1.9.1 and refuses what it does not speak, as Java's does.",
		"RAC":         naming,
		unknownMethod: "This SDK throws, which ends the process; ours ignores the line, as the others do, and goes on.",
	},
	"java": {
		"RAC":                            naming,
		"USB of an item never asked for": noReply,
	},
}

const (
	naming  = "Each SDK tells its own name in RAC."
	noReply = "Ours answers a USB that it cannot match with a void reply, so that the proxy need not wait for its time-out; this SDK leaves it without one."
)
