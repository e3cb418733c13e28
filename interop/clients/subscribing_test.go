//go:build interop

package clients

import (
	"slices"
	"strconv"
	"time"

	"github.com/lightstreamer-go/lightstreamer/interop/testset"
)

var subscribing = slices.Concat(
	[]capability{
		{"MERGE: snapshot, updates, changed fields", mergeMode},
		{"MERGE without snapshot", mergeWithoutSnapshot},
		{"DISTINCT: snapshot, its end, updates", distinctMode},
		{"DISTINCT: length of the snapshot", distinctLength},
		{"COMMAND: rows added, changed, deleted", commandMode},
		{"RAW", rawMode},
		{"unsubscribe one of two", unsubscribeOne},
		{"item group and field schema by name", groupAndSchema},
		{"two-level COMMAND", twoLevels},
		{"strange names of items and fields", strangeNames},
		{"clear snapshot: DISTINCT", clearDistinct},
		{"clear snapshot: COMMAND", clearCommand},
		{"end of snapshot: COMMAND", endOfSnapshot},
	},
	forEach([]string{"WS-STREAMING", "HTTP-STREAMING", "HTTP-POLLING"}, "overflow: lost updates are told:", overflow),
)

// subscribe subscribes to one item; more details can follow.
func (c *client) subscribe(adapter, mode, item string, fields []string, more ...any) {
	c.t.Helper()
	c.do("subscribe", slices.Concat([]any{"sub", item, "mode", mode, "items", []string{item}, "fields", fields, "adapter", adapter}, more)...)
}

func mergeMode(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	// One of the names does not exist: its field is null for ever, and never changes.
	c.subscribe(testset.Count, "MERGE", testset.CountItem, []string{"count", "no_such_field"}, "snapshot", "yes")
	last := -1
	for n := range 6 {
		e := c.await("an update", isUpdate(testset.CountItem))
		if e.Snapshot != (n == 0) {
			l.Errorf("update %d: %v", n, e)
		}
		if e.Item != testset.CountItem || e.Pos != 1 || e.Values["no_such_field"] != nil {
			l.Errorf("update %d: %v", n, e)
		}
		if n > 0 && !slices.Equal(e.Changed, []string{"count"}) {
			l.Errorf("changed fields: %v", e)
		}
		if value := c.number(e, "count"); value <= last {
			l.Errorf("%d after %d", value, last)
		} else {
			last = value
		}
	}
}

func mergeWithoutSnapshot(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	c.count("snapshot", "no")
	for range 3 {
		if e := c.await("an update", isUpdate("count")); e.Snapshot {
			l.Errorf("a snapshot that was not asked for: %v", e)
		}
	}
}

func distinctMode(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	item := testset.EndOfSnapshotItem
	c.subscribe(testset.EndOfSnapshot, "DISTINCT", item, []string{"value"}, "snapshot", "yes")
	last := 0
	next := func(what string, snapshot bool) {
		e := c.await(what, func(e event) bool { return e.Event == "update" || e.Event == "endOfSnapshot" })
		if e.Event != "update" || e.Snapshot != snapshot {
			l.Fatalf("waiting for %s: %v", what, e)
		}
		if value := c.number(e, "value"); last != 0 && value != last+1 {
			l.Errorf("%d after %d", value, last)
		} else {
			last = value
		}
	}
	// The item may be subscribed to already, and then its history is longer.
	for next("the snapshot", true); ; {
		mark := c.next
		if e := c.await("the end of the snapshot", func(e event) bool { return e.Event == "update" || e.Event == "endOfSnapshot" }); e.Event == "endOfSnapshot" {
			if e.Item != item || e.Pos != 1 {
				l.Errorf("%v", e)
			}
			break
		}
		c.next = mark
		next("the snapshot", true)
	}
	for range 4 {
		next("an update", false)
	}
}

func distinctLength(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	item := testset.EndOfSnapshotItem
	c.subscribe(testset.EndOfSnapshot, "DISTINCT", item, []string{"value"}, "snapshot", "2")
	c.await("the end of the snapshot", isEvent("endOfSnapshot", item))
	snapshot := 0
	for _, e := range c.since(0)[:c.next] {
		if e.Event == "update" {
			snapshot++
		}
	}
	if snapshot > 2 {
		l.Errorf("the snapshot has %d events, at most 2 were asked for", snapshot)
	}
}

func commandMode(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	item := testset.MultTableItem
	c.subscribe(testset.MultTable, "COMMAND", item, []string{"key", "value1", "value2", "command"}, "snapshot", "yes")
	rows, seen, ended := make(map[string]bool), make(map[string]int), false
	for range 45 {
		e := c.await("a row", func(e event) bool { return e.Event == "update" || e.Event == "endOfSnapshot" })
		if e.Event == "endOfSnapshot" {
			ended = true
			continue
		}
		key, command := e.value("key"), e.value("command")
		if e.Snapshot == ended || !ended && command != "ADD" {
			l.Errorf("snapshot ended: %v, and %v", ended, e)
		}
		seen[command]++
		if rows[key] == (command == "ADD") {
			l.Fatalf("%v does not follow from the rows %v", e, rows)
		}
		rows[key] = command != "DELETE"
		if command == "DELETE" {
			if e.Values["value1"] != nil || e.Values["value2"] != nil {
				l.Errorf("values of a deleted row: %v", e)
			}
			continue
		}
		row, err := strconv.Atoi(key)
		if err != nil || c.number(e, "value2") != row*c.number(e, "value1") {
			l.Errorf("wrong row: %v", e)
		}
	}
	if !ended || seen["UPDATE"] == 0 || seen["DELETE"] == 0 {
		l.Errorf("end of snapshot %v, commands %v", ended, seen)
	}
}

func rawMode(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	item := "raw_of_" + l.peer.id
	c.subscribe(testset.StrangeNames, "RAW", item, []string{"f"})
	c.await("the subscription", isEvent("subscribed", item))
	first := 0
	for n := range 5 {
		e := c.await("an event", isUpdate(item))
		if e.Snapshot {
			l.Errorf("a snapshot in RAW mode: %v", e)
		}
		if n == 0 {
			for first = 1; first < 20 && e.value("f") != testset.StrangeValue(item, "f", first); first++ {
			}
		}
		if e.value("f") != testset.StrangeValue(item, "f", first+n) {
			l.Errorf("event %d is %v", n, e)
		}
	}
}

func unsubscribeOne(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	c.count()
	c.count("sub", "other")
	c.await("an update", isUpdate("count"))
	c.await("an update of the other", isUpdate("other"))
	c.do("unsubscribe", "sub", "count")
	c.await("the end of the subscription", isEvent("unsubscribed", "count"))
	ended := c.next
	for range 5 {
		c.await("an update of the other", isUpdate("other"))
	}
	for _, e := range c.since(ended) {
		if e.Sub == "count" {
			l.Errorf("after the end of the subscription: %v", e)
		}
	}
}

func groupAndSchema(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	one, two := "one_of_"+l.peer.id, "two_of_"+l.peer.id
	c.do("subscribe", "sub", "group", "mode", "MERGE", "group", one+" "+two, "schema", "a b", "fields", []string{"a", "b"},
		"adapter", testset.StrangeNames, "snapshot", "yes")
	for pos, item := range []string{one, two} {
		e := c.await("the snapshot", isUpdate("group", func(e event) bool { return e.Pos == pos+1 }))
		if !e.Snapshot || e.Item != "" || e.value("a") != testset.StrangeValue(item, "a", 1) || e.value("b") != testset.StrangeValue(item, "b", 1) {
			l.Errorf("item %d: %v", pos+1, e)
		}
	}
}

func twoLevels(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	item := testset.TwoLevelPrefix + l.peer.id
	c.subscribe(testset.TwoLevelCommand, "COMMAND", item, []string{"key", "command"}, "snapshot", "yes",
		"secondFields", []string{"count"}, "secondAdapter", testset.Count)
	if e := c.await("the row", isUpdate(item)); e.value("key") != "count" || e.value("command") != "ADD" {
		l.Errorf("the row: %v", e)
	}
	last := -1
	for range 5 {
		e := c.await("a value of the second level", isUpdate(item, func(e event) bool { return e.Values["count"] != nil }))
		if e.value("key") != "count" || e.value("command") != "UPDATE" || !slices.Contains(e.Changed, "count") {
			l.Errorf("the levels are not joined: %v", e)
		}
		if value := c.number(e, "count"); value <= last {
			l.Errorf("%d after %d", value, last)
		} else {
			last = value
		}
	}
	c.do("unsubscribe", "sub", item)
	c.await("the end of the subscription", isEvent("unsubscribed", item))
}

func strangeNames(l *lab) {
	for _, transport := range []string{"WS-STREAMING", "HTTP-STREAMING"} {
		c := l.connected(remote.URL, transport)
		item := "strange:àìùòlè_🌐&+=%|,\r\n_of_" + l.peer.id + transport
		fields := []string{"value🌐-", "value&+=\r\n%", "a,b|c", "^x$#"}
		c.subscribe(testset.StrangeNames, "MERGE", item, fields, "snapshot", "yes")
		for n := 1; n <= 3; n++ {
			e := c.await("an update", isUpdate(item))
			if e.Item != item {
				l.Errorf("the item is %q", e.Item)
			}
			for _, field := range fields {
				// Filtered updates may be merged, when the machine is slow: the number can be higher.
				if want := testset.StrangeValue(item, field, n); len(e.value(field)) < len(want) || e.value(field)[:len(want)-1] != want[:len(want)-1] {
					l.Errorf("%q is %q, want %q", field, e.value(field), want)
				}
			}
		}
	}
}

func clearDistinct(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	item := testset.ClearSnapshotItem
	c.subscribe(testset.ClearSnapshot, "DISTINCT", item, []string{"dummy"}, "snapshot", "yes")
	for range 2 {
		if e := c.await("the item to be cleared", isEvent("clearSnapshot", item)); e.Item != item || e.Pos != 1 {
			l.Errorf("%v", e)
		}
		c.await("an update", isUpdate(item))
	}
}

// clearCommand: when the rows are gone the next ones are new again.
func clearCommand(l *lab) {
	c := l.connected(inProcess.URL, "WS-STREAMING") // the other broker, since the other one may have the item in DISTINCT mode
	item := testset.ClearSnapshotItem
	c.subscribe(testset.ClearSnapshot, "COMMAND", item, []string{"key", "command", "dummy"}, "snapshot", "yes")
	for range 2 {
		c.await("the item to be cleared", isEvent("clearSnapshot", item))
		for _, key := range []string{"row1", "row2", "row3"} {
			if e := c.await("a row", isUpdate(item)); e.value("key") != key || e.value("command") != "ADD" {
				l.Errorf("%v is not a new row %s", e, key)
			}
		}
	}
}

func endOfSnapshot(l *lab) {
	c := l.connected(inProcess.URL, "WS-STREAMING")
	item := testset.EndOfSnapshotItem
	c.subscribe(testset.EndOfSnapshot, "COMMAND", item, []string{"key", "command", "value"}, "snapshot", "yes")
	if e := c.await("the end of the snapshot", isEvent("endOfSnapshot", item)); e.Item != item || e.Pos != 1 {
		l.Errorf("%v", e)
	}
	var keys []string
	for _, e := range c.since(0)[:c.next] {
		if e.Event == "update" && e.Snapshot && e.value("command") == "ADD" {
			keys = append(keys, e.value("key"))
		}
	}
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"row1", "row2", "row3"}) {
		l.Errorf("the snapshot has the rows %q", keys)
	}
	if e := c.await("an update", isUpdate(item)); e.Snapshot || e.value("command") != "UPDATE" || e.value("key") != "row1" {
		l.Errorf("the update is %v", e)
	}
}

// overflow floods a session with less bandwidth than that: what is lost is told, and as many as are told are missing.
func overflow(l *lab, transport string) {
	c := l.client(remote.URL)
	c.do("bandwidth", "value", "20")
	c.do("connect", "transport", transport)
	c.await("the connection", isStatus("CONNECTED:"+transport))
	item := testset.OverflowItem
	c.subscribe(testset.Overflow, "MERGE", item, []string{"value"}, "snapshot", "yes", "frequency", "unfiltered")
	last, lost, told := 0, 0, 0
	begin := time.Now()
	for told < 2 {
		e := c.await("lost updates", func(e event) bool { return e.Event == "update" || e.Event == "lost" })
		if e.Event == "lost" {
			told++
			lost += e.Lost
			if e.Item != item || e.Pos != 1 || e.Lost < 1 {
				l.Errorf("%v", e)
			}
			continue
		}
		value := overflowNumber(c, e)
		if last != 0 && value != last+lost+1 {
			l.Fatalf("%d after %d, with %d lost in between", value, last, lost)
		}
		last, lost = value, 0
		if time.Since(begin) > patience {
			l.Fatalf("no updates are lost")
		}
	}
	c.do("unsubscribe", "sub", item)
	c.await("the end of the subscription", isEvent("unsubscribed", item))
}
