package tlcp

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseParams(t *testing.T) {
	tests := []struct {
		name, in string
		want     Params
	}{
		{"empty", "", nil},
		{"one", "LS_op=add", Params{{"LS_op", "add"}}},
		{"as sent by the Node client", "LS_reqId=1&LS_op=add&LS_group=item1%20item2&LS_ack=false",
			Params{{"LS_reqId", "1"}, {"LS_op", "add"}, {"LS_group", "item1 item2"}, {"LS_ack", "false"}}},
		{"credentials", "LS_user=al%26ice&LS_password=p%2Bw%3Dd%20%25",
			Params{{"LS_user", "al&ice"}, {"LS_password", "p+w=d %"}}},
		{"raw plus is a space", "LS_message=a+b", Params{{"LS_message", "a b"}}},
		{"raw space, comma, semicolon", "LS_message=a b,c;d", Params{{"LS_message", "a b,c;d"}}},
		{"raw non-ASCII", "LS_message=è☃😀", Params{{"LS_message", "è☃😀"}}},
		{"encoded non-ASCII, either case", "LS_message=%C3%a8", Params{{"LS_message", "è"}}},
		{"characters the Node client leaves", "LS_message=-_.!~*'()", Params{{"LS_message", "-_.!~*'()"}}},
		{"line breaks", "LS_message=a%0D%0Ab", Params{{"LS_message", "a\r\nb"}}},
		{"NUL", "LS_message=a%00b", Params{{"LS_message", "a\x00b"}}},
		{"encoded bytes that are not UTF-8", "LS_message=a%FFb", Params{{"LS_message", "a\uFFFDb"}}},
		{"raw bytes that are not UTF-8", "LS_message=a\xC3", Params{{"LS_message", "a\uFFFD"}}},
		{"equals sign in a value", "a=b=c", Params{{"a", "b=c"}}},
		{"stray ampersands", "&a=1&&b=2&", Params{{"a", "1"}, {"b", "2"}}},
		{"no equals sign", "a&b=", Params{{"a", ""}, {"b", ""}}},
		{"repeated", "a=1&a=2", Params{{"a", "1"}, {"a", "2"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseParams([]byte(tt.in))
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestParseParamsFaults(t *testing.T) {
	for _, tt := range []struct{ in, param string }{
		{"LS_reqId=1&LS_message=100%", "LS_message"},
		{"LS_reqId=1&LS_message=%4", "LS_message"},
		{"LS_reqId=1&LS_message=%zz", "LS_message"},
		{"LS_reqId=1&LS_message=%-1", "LS_message"},
		{"LS_reqId=1" + strings.Repeat("&x=y", MaxParams), "list"},
	} {
		ps, err := ParseParams([]byte(tt.in))
		var pe *ParamError
		if !errors.As(err, &pe) || pe.Param != tt.param {
			t.Errorf("%.40q: error %v, want one for %s", tt.in, err, tt.param)
		}
		if id := ps.String("LS_reqId", ""); id != "1" {
			t.Errorf("%.40q: the request id is lost: %q", tt.in, id)
		}
		if len(ps) > MaxParams {
			t.Errorf("%.40q: %d parameters", tt.in, len(ps))
		}
	}
}

func TestParamErrorHidesTheValue(t *testing.T) {
	_, err := ParseCreateSession([]byte("LS_password=hunter2%"))
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Message, "LS_password") {
		t.Errorf("got %v", err)
	}
}

func TestLookups(t *testing.T) {
	ps, err := ParseParams([]byte("t=true&f=false&n=42&d=2.5&w=unlimited&bad=x&neg=-1&exp=1e3&dots=1.2.3&a=1&a=2&zero=0"))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := ps.Bool("t", false); !v || err != nil {
		t.Error(v, err)
	}
	if v, err := ps.Bool("f", true); v || err != nil {
		t.Error(v, err)
	}
	if v, err := ps.Bool("none", true); !v || err != nil {
		t.Error(v, err)
	}
	if _, err := ps.Bool("n", true); err == nil {
		t.Error("42 taken for a bool")
	}
	if v, err := ps.Int("n", 0, 1, 42); v != 42 || err != nil {
		t.Error(v, err)
	}
	if _, err := ps.Int("n", 0, 1, 41); err == nil {
		t.Error("42 within 1 to 41")
	}
	if _, err := ps.Int("bad", 0, 1, 41); err == nil {
		t.Error("x is an integer")
	}
	if v, err := ps.Decimal("d", 0); v != 2.5 || err != nil {
		t.Error(v, err)
	}
	if v, err := ps.Decimal("w", 7, "unlimited"); v != 0 || err != nil {
		t.Error(v, err)
	}
	if v, err := ps.Decimal("exp", 0); v != 1000 || err != nil {
		t.Error(v, err)
	}
	for _, name := range []string{"w", "bad", "neg", "dots", "zero"} {
		if v, err := ps.Decimal(name, 7); err == nil {
			t.Errorf("%s is the decimal %v", name, v)
		}
	}
	if v := ps.String("a", ""); v != "1" {
		t.Errorf("the first of two is %q", v)
	}
}

func TestSplitMessageAndLines(t *testing.T) {
	tests := []struct {
		in    string
		name  Name
		ok    bool
		lines []string
	}{
		{"wsok", NameWSOK, true, nil},
		{"heartbeat\r\n\r\n", NameHeartbeat, true, []string{""}},
		{"control\r\na=1", NameControl, true, []string{"a=1"}},
		{"control\r\na=1\r\nb=2\r\n", NameControl, true, []string{"a=1", "b=2"}},
		{"msg\na=1\nb=2", NameMsg, true, []string{"a=1", "b=2"}},
		{"control\r\na=1\r\n\r\nb=2", NameControl, true, []string{"a=1", "", "b=2"}},
		{"nothing\r\na=1", 0, false, []string{"a=1"}},
		{"", 0, false, nil},
	}
	for _, tt := range tests {
		name, body, ok := SplitMessage([]byte(tt.in))
		var lines []string
		for l := range Lines(body) {
			lines = append(lines, string(l))
		}
		if name != tt.name || ok != tt.ok || !slices.Equal(lines, tt.lines) {
			t.Errorf("%q: %v %v %q", tt.in, name, ok, lines)
		}
	}
	for range Lines([]byte("a\r\nb")) {
		break // a consumer may stop early
	}
}
