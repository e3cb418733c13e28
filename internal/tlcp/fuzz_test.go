package tlcp

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// oneLine says whether b is exactly one line with its end.
func oneLine(b []byte) bool {
	body, ok := bytes.CutSuffix(b, []byte(EOL))
	return ok && !bytes.ContainsAny(body, "\r\n")
}

func FuzzParams(f *testing.F) {
	for _, s := range []string{
		"", "a=1&b=2", "LS_message=a%20b+c%2B", "%", "a=%", "&&=&", "a=%FF%00", strings.Repeat("a=1&", 120), "LS_reqId=1&LS_op=add",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		ps, err := ParseParams(line)
		if len(ps) > MaxParams {
			t.Fatalf("%d parameters", len(ps))
		}
		var again []byte
		for _, p := range ps {
			if !utf8.ValidString(p.Name) || !utf8.ValidString(p.Value) {
				t.Fatalf("%q is not UTF-8", p)
			}
			again = appendParam(again, 0, p.Name, p.Value)
		}
		// A value survives being sent again, provided its name is one that can be sent.
		if err == nil && !slices.ContainsFunc(ps, func(p Param) bool { return p.Name == "" }) {
			if back, err := ParseParams(again); err != nil || !slices.Equal(back, ps) {
				t.Fatalf("%q reads back as %q, %v", ps, back, err)
			}
		}
	})
}

func FuzzRequests(f *testing.F) {
	for _, s := range []string{
		"wsok", "heartbeat\r\n\r\n",
		"create_session\r\nLS_adapter_set=DEMO&LS_user=u&LS_polling=true&LS_polling_millis=0&LS_password=p%2Bw",
		"create_session\r\nLS_adapter_set=", "control\r\nLS_reqId=1&LS_op=add&LS_subId=1&LS_mode=RAW&LS_group=g&LS_schema=s&LS_data_adapter=",
		"create_session\r\nLS_adapter_set=DEMO\r\nLS_op=add&LS_subId=1&LS_mode=RAW&LS_group=g&LS_schema=s\r\nLS_op=constrain&LS_requested_max_bandwidth=4",
		"bind_session\r\nLS_session=S1&LS_recovery_from=5&LS_content_length=50000000&LS_send_sync=false",
		"control\r\nLS_reqId=1&LS_op=add&LS_subId=1&LS_mode=DISTINCT&LS_group=g&LS_schema=s&LS_snapshot=3&LS_requested_max_frequency=2.5",
		"control\r\nLS_reqId=1&LS_op=reconf&LS_subId=1&LS_requested_max_frequency=unlimited\r\nLS_reqId=2&LS_op=destroy&LS_cause_code=-1",
		"control\r\nLS_reqId=1&LS_op=constrain&LS_requested_max_bandwidth=40.5",
		"msg\r\nLS_reqId=1&LS_message=m%0D%0A&LS_sequence=q&LS_msg_prog=1&LS_max_wait=0",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		name, body, ok := SplitMessage(message)
		if !ok && name != 0 {
			t.Fatal("a name without being one")
		}
		for line := range Lines(body) {
			checkRequestLine(t, line)
		}
		if _, serr := ParseCombined(body); serr != nil && (serr.Code != CodeCombinedFailed || !oneLine(serr.Append(nil))) {
			t.Fatalf("answer %q", serr.Append(nil))
		}
	})
}

// checkRequestLine feeds a line to every parser: what is taken reads back the same after being sent again, what is refused gives
// exactly one line of answer.
func checkRequestLine(t *testing.T, line []byte) {
	t.Helper()
	if req, serr := ParseCreateSession(line); serr == nil {
		if back, serr := ParseCreateSession(req.Append(nil)); serr != nil {
			t.Fatalf("%+v: %v", req, serr)
		} else if reqPolling(&req.ConnParams, &back.ConnParams); !reflect.DeepEqual(back, req) {
			t.Fatalf("%+v reads back as %+v", req, back)
		}
	} else if !oneLine(serr.Append(nil)) {
		t.Fatalf("answer %q", serr.Append(nil))
	}
	if req, serr := ParseBindSession(line); serr == nil {
		if back, serr := ParseBindSession(req.Append(nil)); serr != nil {
			t.Fatalf("%+v: %v", req, serr)
		} else if reqPolling(&req.ConnParams, &back.ConnParams); back != req {
			t.Fatalf("%+v reads back as %+v", req, back)
		}
	} else if !oneLine(serr.Append(nil)) {
		t.Fatalf("answer %q", serr.Append(nil))
	}
	if req, rerr := ParseControl(line); rerr == nil {
		if back, rerr := ParseControl(req.Append(nil)); rerr != nil || !reflect.DeepEqual(back, req) {
			t.Fatalf("%+v reads back as %+v, %v", req, back, rerr)
		}
	} else if !oneLine(rerr.Append(nil)) {
		t.Fatalf("answer %q", rerr.Append(nil))
	}
	if req, rerr := ParseMessage(line); rerr == nil {
		if back, rerr := ParseMessage(req.Append(nil)); rerr != nil || back != req {
			t.Fatalf("%+v reads back as %+v, %v", req, back, rerr)
		}
	} else if !oneLine(rerr.Append(nil)) {
		t.Fatalf("answer %q", rerr.Append(nil))
	}
	if _, rerr := ParseHeartbeat(line); rerr != nil && !oneLine(rerr.Append(nil)) {
		t.Fatalf("answer %q", rerr.Append(nil))
	}
}

// reqPolling levels what is not sent again: the times of polling in a streaming request, where they have no meaning.
func reqPolling(a, b *ConnParams) {
	if !a.Polling {
		a.PollingInterval, a.Idle, b.PollingInterval, b.Idle = 0, 0, 0, 0
	}
}

func FuzzLine(f *testing.F) {
	for _, s := range []string{
		"CONOK,S1,50000,5000,*", "CONERR,1,a%2Cb", "SUBCMD,2,1,3,1,2", "CONF,1,2.5,filtered", "U,1,1,a|^2|#|$", "MSGDONE,*,1,", "MSGFAIL,q,1,38,x",
		"REQOK", "REQERR,1,20,no", "OV,1,1,4", "HELLO", "U,1,1,^Tbdzap|^P[]", "SYNC,9", "CONS,unmanaged", "NOOP,a,b",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		line, err := ParseLine(b)
		if err != nil {
			if line.Tag != 0 {
				t.Fatalf("a line with the error %v", err)
			}
			return
		}
		if !utf8.ValidString(line.Text + line.Session + line.ReqID + line.Sequence) {
			t.Fatalf("%+v is not UTF-8", line)
		}
		if line.Tag != TagU {
			return
		}
		for _, fields := range []int{0, 1, 3, 1000} {
			elements, err := AppendElements(nil, line.Values, fields)
			if err == nil && len(elements) != fields || err != nil && len(elements) != 0 {
				t.Fatalf("%d elements for %d fields, %v", len(elements), fields, err)
			}
			if err == nil {
				r, _ := Merge(make([]Value, fields), elements)
				if len(r) != fields {
					t.Fatalf("a row of %d", len(r))
				}
			}
		}
	})
}

// Whatever the values, a client that follows the lines has the rows the server had. The input is cut into two rows of the same
// length, at NUL bytes; \x01 is null.
func FuzzUpdateBothWays(f *testing.F) {
	f.Add("a\x00b\x00\x01", "a\x00c\x00")
	f.Add("|%\r\n\x00#\x00$\x00^4\x00\x00", "x\x00#\x00$\x00^4\x00")
	f.Add("\xff\x00^Tb\x00è", "\xff\x00^Pb\x00☃")
	f.Fuzz(func(t *testing.T, a, b string) {
		first, second := fuzzRow(a), fuzzRow(b)
		n := min(len(first), len(second))
		first, second = first[:n], second[:n]
		var client, sent []Value
		for _, next := range [][]Value{first, second, second, first} {
			wire := AppendUpdate(nil, 7, 3, sent, next)
			if !oneLine(wire) || !utf8.Valid(wire) {
				t.Fatalf("%q is no line", wire)
			}
			sent = next
			line, err := ParseLine(bytes.TrimSuffix(wire, []byte(EOL)))
			if err != nil || line.Tag != TagU || line.SubID != 7 || line.Item != 3 {
				t.Fatalf("%q: %+v, %v", wire, line, err)
			}
			elements, err := AppendElements(nil, line.Values, n)
			if err != nil {
				t.Fatalf("%q: %v", wire, err)
			}
			if client, err = Merge(client, elements); err != nil {
				t.Fatalf("%q: %v", wire, err)
			}
			for i := range next {
				// What is no UTF-8 cannot travel: U+FFFD takes its place.
				if got := client[i]; got.Null != next[i].Null || utf8.ValidString(next[i].S) && got != next[i] {
					t.Fatalf("%q: field %d is %+v, want %+v", wire, i, got, next[i])
				}
			}
		}
	})
}

func fuzzRow(s string) []Value {
	var r []Value
	for part := range strings.SplitSeq(s, "\x00") {
		r = append(r, Value{S: part})
		if part == "\x01" {
			r[len(r)-1] = Value{Null: true}
		}
	}
	return r
}

func FuzzApplyDiff(f *testing.F) {
	f.Add("foobar", "bdzapcd")
	f.Add("è☃", "bb☃ab")
	f.Add("", "ZZZZZZZZZz")
	f.Fuzz(func(t *testing.T, old, diff string) {
		if got, err := ApplyDiff(old, diff); err == nil && len(got) > len(old)+len(diff) {
			t.Fatalf("%d bytes out of %d and %d", len(got), len(old), len(diff))
		}
	})
}
