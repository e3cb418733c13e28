package tlcp

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// Each line in both directions: what the appender writes, and what a client reads from it.
func TestLinesBothWays(t *testing.T) {
	tests := []struct {
		got  []byte
		wire string
		line Line
	}{
		{AppendCONOK(nil, "S27b83b41659be839T38954213", 50000, 5*time.Second, "*"), "CONOK,S27b83b41659be839T38954213,50000,5000,*",
			Line{Tag: TagCONOK, Session: "S27b83b41659be839T38954213", RequestLimit: 50000, Duration: 5 * time.Second, ControlLink: "*"}},
		{AppendCONERR(nil, -5, "credits, refused"), "CONERR,-5,credits%2C refused", Line{Tag: TagCONERR, Code: -5, Text: "credits, refused"}},
		{AppendSERVNAME(nil, "Lightstreamer HTTP Server"), "SERVNAME,Lightstreamer HTTP Server", Line{Tag: TagSERVNAME, Text: "Lightstreamer HTTP Server"}},
		{AppendCLIENTIP(nil, "::1"), "CLIENTIP,::1", Line{Tag: TagCLIENTIP, Text: "::1"}},
		{AppendCONS(nil, Bandwidth{}), "CONS,unlimited", Line{Tag: TagCONS}},
		{AppendCONS(nil, Bandwidth{Unmanaged: true}), "CONS,unmanaged", Line{Tag: TagCONS, Bandwidth: Bandwidth{Unmanaged: true}}},
		{AppendCONS(nil, Bandwidth{Limit: 40.5}), "CONS,40.5", Line{Tag: TagCONS, Bandwidth: Bandwidth{Limit: 40.5}}},
		{AppendPROG(nil, 1234), "PROG,1234", Line{Tag: TagPROG, Count: 1234}},
		{AppendNOOP(nil, "sending text"), "NOOP,sending text", Line{Tag: TagNOOP, Text: "sending text"}},
		{AppendPROBE(nil), "PROBE", Line{Tag: TagPROBE}},
		{AppendSYNC(nil, 61900*time.Millisecond), "SYNC,61", Line{Tag: TagSYNC, Duration: 61 * time.Second}},
		{AppendLOOP(nil, 1500*time.Millisecond), "LOOP,1500", Line{Tag: TagLOOP, Duration: 1500 * time.Millisecond}},
		{AppendEND(nil, 32, ""), "END,32,", Line{Tag: TagEND, Code: 32}},
		{AppendSUBOK(nil, 3, 1, 10), "SUBOK,3,1,10", Line{Tag: TagSUBOK, SubID: 3, Items: 1, Fields: 10}},
		{AppendSUBCMD(nil, 2, 1, 3, 1, 2), "SUBCMD,2,1,3,1,2", Line{Tag: TagSUBCMD, SubID: 2, Items: 1, Fields: 3, KeyPos: 1, CommandPos: 2}},
		{AppendCONF(nil, 1, Frequency{}), "CONF,1,unlimited,filtered", Line{Tag: TagCONF, SubID: 1}},
		{AppendCONF(nil, 1, Frequency{Unfiltered: true}), "CONF,1,unlimited,unfiltered", Line{Tag: TagCONF, SubID: 1, Frequency: Frequency{Unfiltered: true}}},
		{AppendCONF(nil, 3, Frequency{Limit: 2.5}), "CONF,3,2.5,filtered", Line{Tag: TagCONF, SubID: 3, Frequency: Frequency{Limit: 2.5}}},
		{AppendCONF(nil, 1, Frequency{Limit: 2}), "CONF,1,2.0,filtered", Line{Tag: TagCONF, SubID: 1, Frequency: Frequency{Limit: 2}}},
		{AppendUpdate(nil, 1, 2, nil, []Value{{S: "x,y"}, {Null: true}}), "U,1,2,x,y|#", Line{Tag: TagU, SubID: 1, Item: 2, Values: []byte("x,y|#")}},
		{AppendEOS(nil, 1, 2), "EOS,1,2", Line{Tag: TagEOS, SubID: 1, Item: 2}},
		{AppendCS(nil, 1, 2), "CS,1,2", Line{Tag: TagCS, SubID: 1, Item: 2}},
		{AppendOV(nil, 1, 2, 4), "OV,1,2,4", Line{Tag: TagOV, SubID: 1, Item: 2, Count: 4}},
		{AppendUNSUB(nil, 9), "UNSUB,9", Line{Tag: TagUNSUB, SubID: 9}},
		{AppendMSGDONE(nil, Latest, "seq1", 3, "done, with 100%"), "MSGDONE,seq1,3,done%2C with 100%25",
			Line{Tag: TagMSGDONE, Sequence: "seq1", Prog: 3, Text: "done, with 100%"}},
		{AppendMSGDONE(nil, Latest, "", 1, ""), "MSGDONE,*,1,", Line{Tag: TagMSGDONE, Prog: 1}},
		{AppendMSGDONE(nil, Version{2, 4, 0}, "q", 1, "lost"), "MSGDONE,q,1", Line{Tag: TagMSGDONE, Sequence: "q", Prog: 1}},
		{AppendMSGFAIL(nil, "seq1", 4, -7, "not, allowed"), "MSGFAIL,seq1,4,-7,not%2C allowed",
			Line{Tag: TagMSGFAIL, Sequence: "seq1", Prog: 4, Code: -7, Text: "not, allowed"}},
		{AppendMSGFAIL(nil, "", 8, 39, "2"), "MSGFAIL,*,8,39,2", Line{Tag: TagMSGFAIL, Prog: 8, Code: 39, Text: "2"}},
		{AppendREQOK(nil, "3"), "REQOK,3", Line{Tag: TagREQOK, ReqID: "3"}},
		{AppendREQOK(nil, ""), "REQOK", Line{Tag: TagREQOK}},
		{AppendREQERR(nil, "1", 21, "Bad Item Group name"), "REQERR,1,21,Bad Item Group name", Line{Tag: TagREQERR, ReqID: "1", Code: 21, Text: "Bad Item Group name"}},
		{AppendERROR(nil, 68, "Internal error"), "ERROR,68,Internal error", Line{Tag: TagERROR, Code: 68, Text: "Internal error"}},
		{AppendWSOK(nil), "WSOK", Line{Tag: TagWSOK}},
	}
	for _, tt := range tests {
		if string(tt.got) != tt.wire+"\r\n" {
			t.Errorf("got %q, want %q", tt.got, tt.wire+"\r\n")
		}
		for _, end := range []string{"", "\r"} {
			line, err := ParseLine([]byte(tt.wire + end))
			if err != nil || !reflect.DeepEqual(line, tt.line) {
				t.Errorf("%q: got %+v, %v; want %+v", tt.wire+end, line, err, tt.line)
			}
		}
		if got := tt.line.Tag.String(); !strings.HasPrefix(tt.wire, got) {
			t.Errorf("tag of %q is %q", tt.wire, got)
		}
	}
}

// What arrives in a text or a name must never become another line or another argument.
func TestTextsCannotBreakLines(t *testing.T) {
	const hostile = "a\r\nEND,32,\nb,c%d\x00\xff"
	for _, line := range [][]byte{
		AppendCONERR(nil, 1, hostile), AppendEND(nil, 1, hostile), AppendERROR(nil, 1, hostile),
		AppendREQERR(nil, hostile, 1, hostile), AppendREQOK(nil, hostile), AppendCONOK(nil, hostile, 1, 1, hostile),
		AppendSERVNAME(nil, hostile), AppendCLIENTIP(nil, hostile), AppendNOOP(nil, hostile),
		AppendMSGDONE(nil, Latest, hostile, 1, hostile), AppendMSGFAIL(nil, hostile, 1, 1, hostile),
		AppendUpdate(nil, 1, 1, nil, []Value{{S: hostile}, {S: hostile}}),
	} {
		body, ok := strings.CutSuffix(string(line), "\r\n")
		if !ok || strings.ContainsAny(body, "\r\n") {
			t.Errorf("broken line %q", line)
		}
		l, err := ParseLine([]byte(body))
		if err != nil || l.Tag == 0 {
			t.Errorf("%q: %+v, %v", line, l, err)
		}
		if l.Text != "" && l.Tag != TagSERVNAME && l.Tag != TagCLIENTIP && l.Tag != TagNOOP {
			if want := strings.ToValidUTF8(hostile, "\uFFFD"); l.Text != want {
				t.Errorf("%q: text %q, want %q", line, l.Text, want)
			}
		}
	}
}

func TestParseLineFaults(t *testing.T) {
	for _, in := range []string{
		"END,32", "CONERR,1", "CONOK,S1,50000,5000", "CONOK,S1,x,5000,*", "CONOK,S1,50000,-1,*", "SUBOK,1,1", "SUBOK,0,1,1", "SUBOK,1,0,1",
		"SUBCMD,1,1,2,1,3", "SUBCMD,1,1,2,0,1", "CONF,1,fast,filtered", "CONF,1,2.0,maybe", "U,1", "U,1,1", "U,x,1,a", "U,1,0,a", "EOS,1",
		"OV,1,1", "OV,1,1,-4", "UNSUB", "UNSUB,", "MSGFAIL,q,1,38", "MSGDONE,q", "MSGDONE,q,x,", "REQERR,1,20", "LOOP", "LOOP,soon", "PROG,-1",
		"SYNC,99999999999999999999", "CONS,-1", "CONS,wide", "CONERR,1,100%", "CONERR,1,%zz", "UNSUB,9999999999",
	} {
		if line, err := ParseLine([]byte(in)); err == nil {
			t.Errorf("%q: got %+v, want an error", in, line)
		} else if !strings.HasPrefix(err.Error(), "tlcp: line "+strings.Split(in, ",")[0]+":") {
			t.Errorf("%q: error %q does not name the line", in, err)
		}
	}
}

func TestParseLineTolerance(t *testing.T) {
	for _, in := range []string{"", "HELLO,unknown,tag", "UX,1,1,a", "u,1,1,a", "\x00\xff"} {
		if line, err := ParseLine([]byte(in)); err != nil || line.Tag != 0 {
			t.Errorf("%q: got %+v, %v; want no tag and no error", in, line, err)
		}
	}
	// Clients cut a text at a raw comma.
	if line, err := ParseLine([]byte("REQERR,1,-1,one, two")); err != nil || line.Text != "one" {
		t.Errorf("got %+v, %v", line, err)
	}
}

// The tags the two sides count for recovery, from the table of lines.
func TestDataTags(t *testing.T) {
	data := "SUBOK SUBCMD CONF U EOS CS OV UNSUB MSGDONE MSGFAIL"
	for tag := TagCONOK; tag <= TagWSOK; tag++ {
		want := strings.Contains(" "+data+" ", " "+tag.String()+" ")
		if tag.Data() != want {
			t.Errorf("%v: data %v", tag, tag.Data())
		}
	}
}
