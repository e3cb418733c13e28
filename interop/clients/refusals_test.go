//go:build interop

package clients

import (
	"slices"

	"github.com/lightstreamer-go/lightstreamer/interop/testset"
)

var refusals = slices.Concat(
	forEach(transports, "refused: unknown Adapter Set (2):", func(l *lab, transport string) {
		sessionRefused(l, "NO_SUCH_SET", transport, "", 2, "Requested Adapter Set not available")
	}),
	[]capability{
		{"refused: user and password (1)", func(l *lab) { sessionRefused(l, doorID, "", "nobody", 1, "User/password check failed") }},
		{"refused by the Metadata Adapter, with its code and text", func(l *lab) { sessionRefused(l, doorID, "", "credits", -7, "no credit left: 0 €") }},
		refused("unknown Data Adapter (17)", 17, "Data Adapter not found", "MERGE", "count", "count", "NO_SUCH_ADAPTER"),
		refused("mode (24)", 24, "Invalid mode for these items", "RAW", "count", "count", testset.Count),
		refused("group without items (21)", 21, "Bad Item Group name", "MERGE", testset.EmptyGroup, "count", testset.Count),
		refused("COMMAND without key (15)", 15, "", "COMMAND", testset.MultTableItem, "command value1", testset.MultTable),
		refused("COMMAND without command (16)", 16, "", "COMMAND", testset.MultTableItem, "key value1", testset.MultTable),
		{"refused: second level (17)", secondLevelRefused},
	},
)

func sessionRefused(l *lab, set, transport, user string, code int, text string) {
	c := l.clientOf(remote.URL, set)
	details := []any{}
	if transport != "" {
		details = append(details, "transport", transport)
	}
	if user != "" {
		details = append(details, "user", user, "password", "wrong")
	}
	c.do("connect", details...)
	if e := c.await("the refusal", func(e event) bool { return e.Event == "serverError" }); e.Code != code || e.Text != text {
		l.Errorf("%v, want %d %q", e, code, text)
	}
	c.next = 0
	c.await("the end", func(e event) bool { return e.Event == "status" && e.Status == "DISCONNECTED" })
}

// refused is the capability to tell why a subscription was refused, on WebSocket and HTTP. The session goes on.
func refused(what string, code int, text, mode, group, schema, adapter string) capability {
	return capability{"refused: " + what, func(l *lab) {
		for _, transport := range streaming {
			c := l.connected(remote.URL, transport)
			c.do("subscribe", "sub", "bad", "mode", mode, "group", group, "schema", schema, "fields", []string{"a"}, "adapter", adapter)
			if e := c.await("the refusal", isEvent("subscriptionError", "bad")); e.Code != code || text != "" && e.Text != text || e.Text == "" {
				l.Errorf("%v, want %d %q", e, code, text)
			}
			c.count()
			c.await("an update", isUpdate("count"))
		}
	}}
}

func secondLevelRefused(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	item := testset.TwoLevelPrefix + "_refused"
	c.subscribe(testset.TwoLevelCommand, "COMMAND", item, []string{"key", "command"}, "snapshot", "yes",
		"secondFields", []string{"count"}, "secondAdapter", "NO_SUCH_ADAPTER")
	if e := c.await("the refusal", isEvent("secondLevelError", item)); e.Code != 17 || e.Key != "count" {
		l.Errorf("%v", e)
	}
}
