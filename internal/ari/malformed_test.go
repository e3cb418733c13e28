package ari

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func messageNamed(t *testing.T, name string) message {
	t.Helper()
	i := slices.IndexFunc(messages, func(m message) bool { return m.name == name })
	if i < 0 {
		t.Fatalf("no message %q", name)
	}
	return messages[i]
}

func parseBody(msg message, m Method, v Version, body string) (any, error) {
	return msg.parse(Line{ID: []byte("7"), Method: m, Name: []byte(m.String()), Body: []byte(body)}, v)
}

func TestMalformed(t *testing.T) {
	tests := []struct {
		message string
		bodies  []string
	}{
		{"credentials", []string{"S|user", "S|user|S", "S|user|B|1", "S|#|S|x", "X|user|S|x", "S|a|S|b|S|c", "S|a|S|%1"}},
		{"init request", []string{"S|ARI.version", "V", "s|a|S|b"}},
		{"init reply", []string{"", "|", "S|ARI.version", "B|1", "E|m", "v"}},
		{"failure notice", []string{"", "E", "S|m", "EU|m", "E|%q1"}},
		{"void reply", []string{"", "|", "v", "VV", "S|x", "E|m"}},
		{"item request", []string{"", "S", "S|", "S|#", "V", "S1|x", "Sx", "B|1", "S|%"}},
		{"update", []string{
			"", "S|i", "S|i|S|7", "S|i|S|7|B", "S|i|S|7|B|2", "S|i|S|7|B|true", "S|#|S|7|B|0", "S|i|S|7|B|0|S", "S|i|S|7|B|0|S|f",
			"S|i|S|7|B|0|S|f|S", "S|i|S|7|B|0|S|f|Y|YQ==", "S|i|S|7|B|0|I|S|f|S|v", "S|i|S|7|B|0|S|f|I|1", "S|i|S|7|B|0|D|1",
		}},
		{"item event", []string{"", "S|i", "S|i|S", "S|#|S|7", "S|i|B|1"}},
		{"diff order", []string{"S|i", "S|i|S|7|S|f", "S|i|S|7|S|f|F", "S|i|S|7|S|f|F|X", "S|i|S|7|S|f|F|Jj", "S|i|S|7|S|f|S|J", "S|i|S|7|S|#|F|J"}},
		{"user request", []string{"", "S|u", "S|u|S", "S|u|S|p|S|h", "S|u|B|1", "S|u|S|p|S|#|S|v"}},
		{"user reply", []string{"", "V", "D|1", "D|1|B", "D|x|B|1", "D|1|B|x", "I|1|B|1"}},
		{"user message", []string{"S|u|S|s", "S|u|S|#|S|m", "S|u|S|s|B|1"}},
		{"new session", []string{"S|u", "S|u|S|#", "S|u|S|s|S|n"}},
		{"session reply", []string{"", "I", "B|1", "I|x", "E|m"}},
		{"session close", []string{"", "S", "S|#", "V"}},
		{"get items", []string{"S|u|S|g", "S|u|S|g|S|#", "S|u|S|g|V"}},
		{"get schema", []string{"S|u|S|g|S|s", "S|u|S|g|S|s|S|#"}},
		{"names", []string{"V", "S", "S|a|S", "S|#", "S|a|I|1", "E|m"}},
		{"get item data", []string{"S", "S|#", "V"}},
		{"item data", []string{"I|1", "I|1|D|1", "I|1|D|1|M", "I|1|D|1|M|X", "I|1|D|1|M|R|I|1", "D|1|I|1|M|R", "I|1|D|1|S|R", "V"}},
		{"get user item data", []string{"", "S|u|S", "S|u|S|#"}},
		{"user item data", []string{"I|1", "I|1|D|1|M|r", "I|1.5|D|1|M|R"}},
		{"new tables", []string{
			"S|u|S|s|I|3", "S|u|S|s|I|3|M|M|S|g|S|d|S|f|I|1|I|2|S|#", "S|u|S|s|I|3|M|M|S|g|S|d|S|f|I|1|I|2|S|#|I|-1",
			"S|u|S|s|I|3|M|M|S|g|S|d|S|f|I|1|I|2|S|#|I|2|S|a", "S|u|S|s|I|3|M|$|S|g|S|d|S|f|I|1|I|2|S|#|I|0",
			"S|u|S|s|I|3|M|RM|S|g|S|d|S|f|I|1|I|2|S|#|I|0", "S|u|S|s|I|3|M|M|S|g|S|d|S|f|I|1|I|2|S|#|I|1|S|#",
		}},
		{"tables reply", []string{"", "B|1", "B|1|B", "B|1|V", "v"}},
		{"tables close", []string{
			"S|s|I|3|M|M|S|g|S|d|S|f|I|1|I|2|S|#|I|0", "S|s|I|3|M|M|S|g|S|d|S|f|I|1|I|2|S|#|I|0|I|1|L|1|L|2",
			"S|s|I|3|M|M|S|g|S|d|S|f|I|1|I|2|S|#|I|0|I|1|I|1|I|2|I|3", "S|s|I|3|M|M|S|g|S|d|S|f|I|1|I|2|S|#|I|0|I|1|L|9223372036854775808|L|2|L|3",
		}},
		{"device access", []string{"S|u|S|s|P|A|S|a", "S|u|S|s|P|X|S|a|S|t", "S|u|S|s|P|$|S|a|S|t", "S|u|S|s|S|A|S|a|S|t", "S|u|S|s|P|A|S|#|S|t"}},
		{"subscription activation", []string{"S|u|S|s|I|7|M|M|S|g|S|d|S|f|I|1|I|2|I|0|P|A|S|a|S|t|S|#", "S|u|S|s|P|A|S|a|S|t|S|#|S|f"}},
		{"device token change", []string{"S|u|S|s|P|A|S|a|S|t", "S|u|S|s|P|A|S|a|S|t|S|#"}},
		{"force session", []string{"", "S|s", "S|s|I|1", "S|s|I|x|S|m", "S|s|S|m", "S|#|V"}},
		{"force unsubscribe", []string{"", "S|s", "S|s|I", "S|s|L|1", "S|#|I|1"}},
		{"force unsubscribe reply", []string{"", "V", "B", "B|2", "E|m"}},
	}
	for _, tt := range tests {
		msg := messageNamed(t, tt.message)
		for _, body := range tt.bodies {
			x, err := parseBody(msg, msg.methods[0], V191, body)
			if err == nil {
				t.Errorf("%s %q: %+v", tt.message, body, x)
				continue
			}
			checkMalformed(t, err, x)
		}
	}
}

func TestMalformedClose(t *testing.T) {
	for _, line := range []string{"1|CLOSE|S|reason|S|x", "00|CLOSE|S|reason|S|x", "0|CLOSE|S|reason", "0|CLOSE|S|reason|S|%"} {
		l, err := ParseLine([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		reason, err := ParseClose(l)
		if err == nil {
			t.Errorf("%s: %q", line, reason)
			continue
		}
		checkMalformed(t, err, reason)
	}
	for line, want := range map[string]string{
		"0|CLOSE": "", "0|CLOSE|": "", "0|CLOSE|S|other|S|x": "", "0|CLOSE|S|reason|S|#": "",
		"0|CLOSE|S|other|S|#|S|reason|S|keepalive+timeout": "keepalive timeout",
	} {
		l, err := ParseLine([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if reason, err := ParseClose(l); err != nil || reason != want {
			t.Errorf("%s: %q %v, want %q", line, reason, err, want)
		}
	}
}

func TestParseLine(t *testing.T) {
	tests := []struct {
		line     string
		id, name string
		method   Method
		body     string
	}{
		{"2000001853ec66d38|SUB|S|item1", "2000001853ec66d38", "SUB", SUB, "S|item1"},
		{"1|GIS", "1", "GIS", GIS, ""},
		{"1|GIS|", "1", "GIS", GIS, ""},
		{"1|XYZ|S|a", "1", "XYZ", Unknown, "S|a"},
		{"1|sub|S|a", "1", "sub", Unknown, "S|a"},
		{" 1 | SUB |S| a ", " 1 ", " SUB ", Unknown, "S| a "},
		{"1||SUB|S|a", "1", "SUB", SUB, "S|a"},
		{"1|UNKNOWN", "1", "UNKNOWN", Unknown, ""},
	}
	for _, tt := range tests {
		l, err := ParseLine([]byte(tt.line))
		if err != nil || string(l.ID) != tt.id || string(l.Name) != tt.name || l.Method != tt.method || string(l.Body) != tt.body {
			t.Errorf("%q: %q %q %s %q %v", tt.line, l.ID, l.Name, l.Method, l.Body, err)
		}
	}
	for _, line := range []string{"", "|", "||", "KEEPALIVE", "x|", "|x"} {
		if l, err := ParseLine([]byte(line)); err == nil {
			t.Errorf("%q: %q %q", line, l.ID, l.Name)
		} else {
			checkMalformed(t, err, l)
		}
	}
	if !IsKeepalive([]byte(KeepaliveLine)) || IsKeepalive([]byte("KEEPALIVE ")) || IsKeepalive(nil) {
		t.Error("keepalive")
	}
}

// What follows the last token a parser knows is ignored, and empty tokens are skipped wherever they stand. Lists have no
// last token.
func TestLenient(t *testing.T) {
	tests := []struct {
		message string
		body    string
		version Version
		want    any
	}{
		{"item request", "S|i|S|more|X", V191, "i"},
		{"item request", "||S||i|", V191, "i"},
		{"void reply", "V|x|y", V191, struct{}{}},
		{"init reply", "V|S|x", V191, InitReply{Void: true}},
		{"failure notice", "E|m|x", V191, T("m")},
		{"user reply", "D|1|B|1|S|x", V191, UserReply{1, true}},
		{"session reply", "I|5|X", V191, int32(5)},
		{"session reply", "V", V191, int32(0)},
		{"tables reply", "V", V191, TablesReply{}},
		{"tables reply", "B|0|B|1|B|1", V191, TablesReply{FinalStats: true}},
		{"session close", "S|s|S|x", V191, NotifySessionClose{"s"}},
		{"get items", "S|#|S|$|S|s|S|x", V191, GetItems{Null, T(""), "s"}},
		{"item event", "S|i|S|7|B|1", V191, event{Item: "i", SubID: "7"}},
		{"names", "", V191, []string(nil)},
		{"names", "|", V191, []string(nil)},
		{"names", "S|a||S|b|", V191, []string{"a", "b"}},
		{"item data", "I|#|D|#|M|#", V191, []ItemData{{}}},
		{"item data", "I|1|D|2|M|CR", V191, []ItemData{{1, 2, Modes(0).With(Raw).With(Command)}}},
		{"device access", "S|u|S|s|P|#|S|a|S|t", V191, NotifyDeviceAccess{T("u"), "s", Device{0, "a", "t"}}},
		{"force session", "S|s|V|x", V191, ForceSession{Session: "s"}},
		{"force unsubscribe reply", "B|1|x", V191, true},
		{"update", "S|i|S|7|B|1|", V191, Update{Item: "i", SubID: "7", Snapshot: true}},
		{"update", "S|i|S|7|B|0|I|0|S|#|S|x|I|1|S|f|S|#", V191, Update{Item: "i", SubID: "7", Fields: []Field{{"f", Null}}}},
		{"update", "S|i|S|7|B|0|S|f|Y||S|g|Y|#|S|h|Y|$|S|k|Y|4Q==", V183, Update{
			Item: "i", SubID: "7", Fields: []Field{{"f", T("")}, {"g", Null}, {"h", T("")}, {"k", T("á")}},
		}},
		{"update", "S|i|S|7|B|0|S|f|Y|", V183, Update{Item: "i", SubID: "7", Fields: []Field{{"f", T("")}}}},
	}
	for _, tt := range tests {
		msg := messageNamed(t, tt.message)
		got, err := parseBody(msg, msg.methods[0], tt.version, tt.body)
		if err != nil || !same(got, tt.want) {
			t.Errorf("%s %q: %#v %v, want %#v", tt.message, tt.body, got, err, tt.want)
		}
	}
	if _, err := parseBody(messageNamed(t, "update"), UD3, V183, "S|i|S|7|B|0|S|f|Y"); err == nil {
		t.Error("bytes missing at the end of the line are no empty bytes")
	}
	for _, bad := range []string{"YQ", "Y Q=", "*"} {
		if _, err := parseBody(messageNamed(t, "update"), UD3, V183, "S|i|S|7|B|0|S|f|Y|"+bad); err == nil {
			t.Errorf("%q is no base64", bad)
		}
	}
}

// A count says nothing about what is there: memory must follow the tokens.
func TestHugeCounts(t *testing.T) {
	const table = "|I|3|M|M|S|g|S|d|S|f|I|1|I|2"
	for _, tt := range []struct {
		message string
		body    string
	}{
		{"new tables", "S|u|S|s" + table + "|S|#|I|2147483647|S|a"},
		{"tables close", "S|s" + table + "|S|#|I|0|I|2147483647|L|1|L|2|L|3"},
		{"subscription activation", "S|u|S|s" + table + "|I|2147483647|S|a"},
	} {
		msg := messageNamed(t, tt.message)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := parseBody(msg, msg.methods[0], V191, tt.body)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", tt.message)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes allocated for a body of %d", tt.message, n, len(tt.body))
		}
	}
}

func TestMalformedErrorText(t *testing.T) {
	_, err := ParseNotifyUser(NUS, []byte("S|user|S|secret%zz|S|h|S|v"), V191)
	e, ok := errors.AsType[*MalformedError](err)
	if !ok || e.Method != "NUS" || e.Field != "password" || e.Token != 4 {
		t.Fatalf("%#v", err)
	}
	const want = "ari: malformed NUS: password (token 4): % not followed by two hexadecimal digits"
	if err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	for _, body := range []string{"S|user|S|secret|S", "S|user|secret|S|x", "S|user|S|secret|secret", "S|user|S|#|secret|S|x"} {
		_, err := ParseNotifyUser(NUS, []byte(body), V191)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", body, err)
		}
	}
}
