package tlcp

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func ptr[T any](v T) *T { return &v }

func TestCreateSession(t *testing.T) {
	tests := []struct {
		name, in string
		want     CreateSession
	}{
		{"WebSocket", "LS_adapter_set=DEMO&LS_cid=tqGko0tg4pkpW3EAM3O4hwLri8M4OC63i7x&LS_send_sync=false&LS_cause=api",
			CreateSession{AdapterSet: "DEMO", CID: "tqGko0tg4pkpW3EAM3O4hwLri8M4OC63i7x", ConnParams: ConnParams{NoSync: true, Cause: "api"}}},
		{"HTTP", "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0&LS_adapter_set=DEMO&LS_user=alice&LS_cause=api&LS_password=x",
			CreateSession{AdapterSet: "DEMO", User: ptr("alice"), Password: ptr("x"), ConnParams: ConnParams{Polling: true, Cause: "api"}}},
		{"nothing", "", CreateSession{AdapterSet: "DEFAULT"}},
		{"empty user is not no user", "LS_user=&LS_password=", CreateSession{AdapterSet: "DEFAULT", User: ptr(""), Password: ptr("")}},
		{"everything else",
			"LS_keepalive_millis=5000&LS_inactivity_millis=500&LS_content_length=1000&LS_requested_max_bandwidth=40.5&LS_reduce_head=true" +
				"&LS_supported_diffs=T,P,Q&LS_ttl_millis=unlimited&LS_old_session=S1&LS_unknown=1",
			CreateSession{
				AdapterSet: "DEFAULT", MaxBandwidth: 40.5, TTL: -1, OldSession: "S1",
				Diffs: Diffs{Restricted: true, JSONPatch: true, TLCPDiff: true},
				ConnParams: ConnParams{
					Keepalive: 5 * time.Second, Inactivity: 500 * time.Millisecond, ContentLength: 1000, ReduceHead: true,
				},
			}},
		{"no diffs", "LS_supported_diffs=&LS_ttl_millis=2500", CreateSession{
			AdapterSet: "DEFAULT", Diffs: Diffs{Restricted: true}, TTL: 2500 * time.Millisecond,
		}},
		{"unlimited bandwidth", "LS_requested_max_bandwidth=unlimited&LS_ttl_millis=unknown", CreateSession{AdapterSet: "DEFAULT"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, serr := ParseCreateSession([]byte(tt.in))
			if serr != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, serr, tt.want)
			}
			line := got.Append(nil)
			back, serr := ParseCreateSession(line)
			if serr != nil || !reflect.DeepEqual(back, got) {
				t.Errorf("%q reads back as %+v, %v", line, back, serr)
			}
		})
	}
}

func TestPasswordIsLast(t *testing.T) {
	req := CreateSession{User: ptr("u"), Password: ptr("p&w"), CID: "c", OldSession: "S"}
	if line := string(req.Append(nil)); !strings.HasSuffix(line, "&LS_password=p%26w") {
		t.Errorf("got %s", line)
	}
}

func TestSessionRequestFaults(t *testing.T) {
	for _, tt := range []struct {
		in   string
		code int
	}{
		{"LS_polling=yes", CodeSyntax},
		{"LS_polling=true", CodeMalformed}, // LS_polling_millis is required
		{"LS_polling=true&LS_polling_millis=NaN", CodeSyntax},
		{"LS_keepalive_millis=0x10", CodeSyntax},
		{"LS_keepalive_millis=soon", CodeSyntax},
		{"LS_content_length=1.5", CodeSyntax},
		{"LS_cause=100%", CodeSyntax},
	} {
		if _, err := ParseCreateSession([]byte(tt.in)); err == nil || err.Code != tt.code {
			t.Errorf("create_session %q: %v, want code %d", tt.in, err, tt.code)
		}
		if _, err := ParseBindSession([]byte(tt.in)); err == nil || err.Code != tt.code {
			t.Errorf("bind_session %q: %v, want code %d", tt.in, err, tt.code)
		}
	}
	for in, code := range map[string]int{
		"LS_requested_max_bandwidth=0":  CodeSyntax,
		"LS_requested_max_bandwidth=-3": CodeSyntax,
		"LS_ttl_millis=forever":         CodeSyntax,
	} {
		if _, err := ParseCreateSession([]byte(in)); err == nil || err.Code != code {
			t.Errorf("create_session %q: %v, want code %d", in, err, code)
		}
	}
	for _, n := range []string{"-1", "x", "99999999999999999999", "1e30"} { // the client gets a new session
		if b, err := ParseBindSession([]byte("LS_recovery_from=" + n)); err != nil || !b.Recovery || b.RecoveryFrom != maxCount {
			t.Errorf("recovery from %s: %+v, %v", n, b, err)
		}
	}
}

func TestCombined(t *testing.T) {
	const add = "LS_op=add&LS_subId=1&LS_mode=RAW&LS_group=g&LS_schema=s"
	for body, want := range map[string][]Op{
		"":                nil,
		"LS_cid=x\r\n":    nil,
		"LS_cid=x&" + add: {OpAdd},
		"LS_cid=x\r\n" + add + "\r\n\r\nLS_op=constrain&LS_requested_max_bandwidth=5\r\n": {OpAdd, OpConstrain},
		add + "\r\nLS_op=delete&LS_subId=1":                                               {OpAdd, OpDelete},
	} {
		got, err := ParseCombined([]byte(body))
		var ops []Op
		for _, c := range got {
			ops = append(ops, c.Op)
		}
		if err != nil || !slices.Equal(ops, want) {
			t.Errorf("%q: %v, %v; want %v", body, ops, err, want)
		}
	}
	for _, body := range []string{"LS_cid=x\r\nLS_subId=1", "LS_op=add&LS_subId=1", "LS_cid=x\r\n%", "LS_cid=x\r\nLS_op=fly", add + "\r\nLS_op=add"} {
		if _, err := ParseCombined([]byte(body)); err == nil || err.Code != CodeCombinedFailed {
			t.Errorf("%q: %v, want code 64", body, err)
		}
	}
}

func TestBindSession(t *testing.T) {
	tests := []struct {
		name, in string
		want     BindSession
	}{
		{"recovery", "LS_session=S195f3e441ce32025T39089493&LS_recovery_from=5&LS_polling=true&LS_polling_millis=0&LS_idle_millis=0&LS_cause=ws.error",
			BindSession{
				Session: "S195f3e441ce32025T39089493", Recovery: true, RecoveryFrom: 5,
				ConnParams: ConnParams{Polling: true, Cause: "ws.error"},
			}},
		{"recovery from the beginning", "LS_session=S1&LS_recovery_from=0", BindSession{Session: "S1", Recovery: true}},
		{"HTTP streaming", "LS_session=S1&LS_content_length=50000000&LS_send_sync=false&LS_cause=http.loop",
			BindSession{Session: "S1", ConnParams: ConnParams{ContentLength: 50000000, NoSync: true, Cause: "http.loop"}}},
		{"second poll on a WebSocket", "LS_polling=true&LS_polling_millis=0&LS_idle_millis=19000",
			BindSession{ConnParams: ConnParams{Polling: true, Idle: 19 * time.Second}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, serr := ParseBindSession([]byte(tt.in))
			if serr != nil || got != tt.want {
				t.Fatalf("got %+v, %v; want %+v", got, serr, tt.want)
			}
			line := got.Append(nil)
			if back, serr := ParseBindSession(line); serr != nil || back != got {
				t.Errorf("%q reads back as %+v, %v", line, back, serr)
			}
		})
	}
}

func TestControl(t *testing.T) {
	tests := []struct {
		name, in string
		want     Control
	}{
		{"add", "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=MERGE&LS_group=item1%20item2&LS_schema=counter%20name" +
			"&LS_data_adapter=QUOTE_ADAPTER&LS_snapshot=true&LS_ack=false",
			Control{ReqID: "1", Op: OpAdd, OpName: "add", NoAck: true, Add: &Add{
				SubID: 1, Mode: ModeMerge, Group: "item1 item2", Schema: "counter name", DataAdapter: "QUOTE_ADAPTER",
				Snapshot: Snapshot{Requested: true},
			}}},
		{"add with everything", "LS_session=S1&LS_reqId=2&LS_op=add&LS_subId=7&LS_mode=DISTINCT&LS_group=&LS_schema=s&LS_selector=sel" +
			"&LS_snapshot=10&LS_requested_max_frequency=2.5&LS_requested_buffer_size=30",
			Control{Session: "S1", ReqID: "2", Op: OpAdd, OpName: "add", Add: &Add{
				SubID: 7, Mode: ModeDistinct, Schema: "s", DataAdapter: "DEFAULT", Selector: ptr("sel"),
				Snapshot: Snapshot{Requested: true, Length: 10}, MaxFrequency: Frequency{Limit: 2.5}, BufferSize: 30,
			}}},
		{"add unfiltered", "LS_reqId=3&LS_op=add&LS_subId=8&LS_mode=COMMAND&LS_group=g&LS_schema=key%20command&LS_snapshot=false" +
			"&LS_requested_max_frequency=unfiltered&LS_requested_buffer_size=unlimited",
			Control{ReqID: "3", Op: OpAdd, OpName: "add", Add: &Add{
				SubID: 8, Mode: ModeCommand, Group: "g", Schema: "key command", DataAdapter: "DEFAULT",
				MaxFrequency: Frequency{Unfiltered: true}, BufferSize: -1,
			}}},
		{"add raw", "LS_reqId=4&LS_op=add&LS_subId=9&LS_mode=RAW&LS_group=g&LS_schema=s&LS_requested_max_frequency=unlimited",
			Control{ReqID: "4", Op: OpAdd, OpName: "add", Add: &Add{
				SubID: 9, Mode: ModeRaw, Group: "g", Schema: "s", DataAdapter: "DEFAULT",
			}}},
		{"delete", "LS_reqId=2&LS_subId=99&LS_op=delete&LS_ack=false&LS_cause=zombie",
			Control{ReqID: "2", Op: OpDelete, OpName: "delete", NoAck: true, Delete: &Delete{SubID: 99, Cause: "zombie"}}},
		{"reconf", "LS_reqId=2&LS_subId=1&LS_op=reconf&LS_requested_max_frequency=2",
			Control{ReqID: "2", Op: OpReconf, OpName: "reconf", Reconf: &Reconf{SubID: 1, MaxFrequency: &Frequency{Limit: 2}}}},
		{"reconf to unlimited", "LS_reqId=2&LS_subId=1&LS_op=reconf&LS_requested_max_frequency=unlimited",
			Control{ReqID: "2", Op: OpReconf, OpName: "reconf", Reconf: &Reconf{SubID: 1, MaxFrequency: &Frequency{}}}},
		{"reconf without a change", "LS_reqId=2&LS_subId=1&LS_op=reconf",
			Control{ReqID: "2", Op: OpReconf, OpName: "reconf", Reconf: &Reconf{SubID: 1}}},
		{"constrain", "LS_reqId=3&LS_op=constrain&LS_requested_max_bandwidth=40.5",
			Control{ReqID: "3", Op: OpConstrain, OpName: "constrain", Constrain: &Constrain{MaxBandwidth: 40.5}}},
		{"constrain to unlimited", "LS_reqId=3&LS_op=constrain&LS_requested_max_bandwidth=unlimited",
			Control{ReqID: "3", Op: OpConstrain, OpName: "constrain", Constrain: &Constrain{}}},
		{"force_rebind", "LS_reqId=3&LS_op=force_rebind&LS_close_socket=true&LS_cause=http.streaming.unavailable",
			Control{ReqID: "3", Op: OpForceRebind, OpName: "force_rebind", ForceRebind: &ForceRebind{true, "http.streaming.unavailable"}}},
		{"destroy", "LS_reqId=3&LS_op=destroy&LS_close_socket=true&LS_cause=api",
			Control{ReqID: "3", Op: OpDestroy, OpName: "destroy", Destroy: &Destroy{
				CloseSocket: true, Code: 31, Message: "Destroy invoked by client", Cause: "api",
			}}},
		{"destroy with a cause", "LS_reqId=3&LS_op=destroy&LS_cause_code=-7&LS_cause_message=enough%2C+thanks",
			Control{ReqID: "3", Op: OpDestroy, OpName: "destroy", Destroy: &Destroy{Code: -7, Message: "enough, thanks"}}},
		{"destroy with a positive cause", "LS_reqId=3&LS_op=destroy&LS_cause_code=7",
			Control{ReqID: "3", Op: OpDestroy, OpName: "destroy", Destroy: &Destroy{}}},
		{"destroy with a message alone", "LS_reqId=3&LS_op=destroy&LS_cause_message=ignored",
			Control{ReqID: "3", Op: OpDestroy, OpName: "destroy", Destroy: &Destroy{Code: 31, Message: "Destroy invoked by client"}}},
		{"MPN", "LS_reqId=5&LS_op=register", Control{ReqID: "5", Op: OpMPN, OpName: "register"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, rerr := ParseControl([]byte(tt.in))
			if rerr != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, rerr, tt.want)
			}
			line := got.Append(nil)
			back, rerr := ParseControl(line)
			if rerr != nil || !reflect.DeepEqual(back, got) {
				t.Errorf("%q reads back as %+v, %v", line, back, rerr)
			}
		})
	}
}

func TestControlFaults(t *testing.T) {
	const add = "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=MERGE&LS_group=g&LS_schema=s"
	tests := []struct{ name, in, want string }{
		{"empty", "", "ERROR,67,parameter LS_reqId: missing\r\n"},
		{"no id", "LS_op=destroy", "ERROR,67,parameter LS_reqId: missing\r\n"},
		{"id that would break the answer", "LS_reqId=a%0D%0AEND%2C1%2C&LS_op=destroy", "ERROR,65,parameter LS_reqId: want letters and digits\r\n"},
		{"no operation", "LS_reqId=7", "REQERR,7,68,parameter LS_op: missing\r\n"},
		{"unknown operation", "LS_reqId=7&LS_op=fly", "REQERR,7,68,parameter LS_op: unknown operation\r\n"},
		{"bad escape", add + "&LS_selector=%", "REQERR,1,68,parameter LS_selector: percent sign without two hex digits\r\n"},
		{"bad flag", add + "&LS_ack=no", "REQERR,1,68,parameter LS_ack: want true or false\r\n"},
		{"no subscription", "LS_reqId=1&LS_op=delete", "REQERR,1,68,parameter LS_subId: missing\r\n"},
		{"subscription 0", "LS_reqId=1&LS_op=delete&LS_subId=0", "REQERR,1,68,parameter LS_subId: want an integer from 1 to 2147483647\r\n"},
		{"no mode", "LS_reqId=1&LS_op=add&LS_subId=1&LS_group=g&LS_schema=s", "REQERR,1,68,parameter LS_mode: missing\r\n"},
		{"bad mode", "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=merge&LS_group=g&LS_schema=s", "REQERR,1,68,parameter LS_mode: want MERGE%2C DISTINCT%2C COMMAND or RAW\r\n"},
		{"no group", "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_schema=s", "REQERR,1,68,parameter LS_group: missing\r\n"},
		{"no schema", "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_group=s", "REQERR,1,68,parameter LS_schema: missing\r\n"},
		{"snapshot length in MERGE", add + "&LS_snapshot=5", "REQERR,1,68,parameter LS_snapshot: want true or false\r\n"},
		{"bad frequency", add + "&LS_requested_max_frequency=fast", "REQERR,1,68,parameter LS_requested_max_frequency: want a positive decimal number\r\n"},
		{"bad buffer", add + "&LS_requested_buffer_size=0", "REQERR,1,68,parameter LS_requested_buffer_size: want a positive integer\r\n"},
		{"reconf to unfiltered", "LS_reqId=1&LS_op=reconf&LS_subId=1&LS_requested_max_frequency=unfiltered",
			"REQERR,1,68,parameter LS_requested_max_frequency: want a decimal number or unlimited\r\n"},
		{"constrain without a value", "LS_reqId=1&LS_op=constrain", "REQERR,1,68,parameter LS_requested_max_bandwidth: missing\r\n"},
		{"bad cause code", "LS_reqId=1&LS_op=destroy&LS_cause_code=x", "REQERR,1,68,parameter LS_cause_code: want an integer\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, rerr := ParseControl([]byte(tt.in))
			if rerr == nil {
				t.Fatalf("got %+v, want an error", c)
			}
			if got := string(rerr.Append(nil)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestMessage(t *testing.T) {
	tests := []struct {
		name, in string
		want     Message
	}{
		{"ordered with listener", "LS_reqId=1&LS_message=ordered%2Blistener&LS_sequence=seq1&LS_msg_prog=1&LS_max_wait=3000",
			Message{ReqID: "1", Text: "ordered+listener", Sequence: "seq1", Prog: 1, MaxWait: 3 * time.Second}},
		{"ordered without", "LS_reqId=2&LS_message=ordered%20no%20listener&LS_outcome=false&LS_sequence=seq1&LS_msg_prog=2",
			Message{ReqID: "2", Text: "ordered no listener", NoOutcome: true, Sequence: "seq1", Prog: 2}},
		{"unordered with listener", "LS_reqId=3&LS_message=x&LS_msg_prog=1", Message{ReqID: "3", Text: "x", Prog: 1}},
		{"fire and forget", "LS_reqId=4&LS_message=fire%20and%20forget&LS_outcome=false&LS_ack=false",
			Message{ReqID: "4", Text: "fire and forget", NoOutcome: true, NoAck: true}},
		{"empty text", "LS_reqId=5&LS_message=&LS_outcome=false", Message{ReqID: "5", NoOutcome: true}},
		{"line breaks", "LS_session=S1&LS_reqId=5&LS_message=a%0D%0Ab&LS_outcome=false", Message{Session: "S1", ReqID: "5", Text: "a\r\nb", NoOutcome: true}},
		{"no wait", "LS_reqId=1&LS_message=m&LS_sequence=s&LS_msg_prog=2&LS_max_wait=0",
			Message{ReqID: "1", Text: "m", Sequence: "s", Prog: 2, MaxWait: -1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, rerr := ParseMessage([]byte(tt.in))
			if rerr != nil || got != tt.want {
				t.Fatalf("got %+v, %v; want %+v", got, rerr, tt.want)
			}
			line := got.Append(nil)
			if back, rerr := ParseMessage(line); rerr != nil || back != got {
				t.Errorf("%q reads back as %+v, %v", line, back, rerr)
			}
		})
	}
}

func TestMessageFaults(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", "ERROR,67,parameter LS_reqId: missing\r\n"},
		{"LS_reqId=1&LS_outcome=false", "REQERR,1,68,parameter LS_message: missing\r\n"},
		{"LS_reqId=1&LS_message=m", "REQERR,1,68,parameter LS_msg_prog: missing\r\n"},
		{"LS_reqId=1&LS_message=m&LS_sequence=s&LS_outcome=false", "REQERR,1,68,parameter LS_msg_prog: missing\r\n"},
		{"LS_reqId=1&LS_message=m&LS_msg_prog=0", "REQERR,1,68,parameter LS_msg_prog: want an integer from 1 to 2147483647\r\n"},
		{"LS_reqId=1&LS_message=m&LS_msg_prog=1&LS_sequence=", "REQERR,1,68,parameter LS_sequence: want letters%2C digits and underscores\r\n"},
		{"LS_reqId=1&LS_message=m&LS_msg_prog=1&LS_sequence=a%2Cb", "REQERR,1,68,parameter LS_sequence: want letters%2C digits and underscores\r\n"},
		{"LS_reqId=1&LS_message=m&LS_msg_prog=1&LS_sequence=UNORDERED_MESSAGES", "REQERR,1,68,parameter LS_sequence: the name UNORDERED_MESSAGES is reserved\r\n"},
	} {
		_, rerr := ParseMessage([]byte(tt.in))
		if rerr == nil {
			t.Errorf("%q: no error", tt.in)
		} else if got := string(rerr.Append(nil)); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	for in, want := range map[string]string{"": "", "LS_session=S1": "S1", "&": ""} {
		h, rerr := ParseHeartbeat([]byte(in))
		if rerr != nil || h.Session != want {
			t.Errorf("%q: %+v, %v", in, h, rerr)
		}
		if back, rerr := ParseHeartbeat(h.Append(nil)); rerr != nil || back != h {
			t.Errorf("%q reads back as %+v, %v", in, back, rerr)
		}
	}
	if _, rerr := ParseHeartbeat([]byte("LS_session=%")); rerr == nil || !strings.HasPrefix(string(rerr.Append(nil)), "ERROR,65,") {
		t.Errorf("bad escape: %v", rerr)
	}
}
