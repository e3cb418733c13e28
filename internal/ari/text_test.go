package ari

import (
	"testing"
	"unicode/utf8"
)

func TestStrings(t *testing.T) {
	tests := []struct {
		text          Text
		smart, legacy string
	}{
		{Null, "#", "#"},
		{T(""), "$", "$"},
		{T("#"), "%23", "%23"},
		{T("$"), "%24", "%24"},
		{T("##"), "##", "%23%23"},
		{T("$$"), "$$", "%24%24"},
		{T("$x"), "$x", "%24x"},
		{T("x#"), "x#", "x%23"},
		{T("a b"), "a b", "a+b"},
		{T(" "), " ", "+"},
		{T("  x "), "  x ", "++x+"},
		{T("a+b"), "a%2Bb", "a%2Bb"},
		{T("a|b"), "a%7Cb", "a%7Cb"},
		{T("|"), "%7C", "%7C"},
		{T("100%"), "100%25", "100%25"},
		{T("%41"), "%2541", "%2541"},
		{T("x\r\ny"), "x%0D%0Ay", "x%0D%0Ay"},
		{T("x\ty"), "x\ty", "x%09y"},
		{T("\x00"), "\x00", "%00"},
		{T("\x7f"), "\x7f", "%7F"},
		{T("café"), "café", "caf%C3%A9"},
		{T("\u0085\u2028\u2029"), "\u0085\u2028\u2029", "%C2%85%E2%80%A8%E2%80%A9"},
		{T("\U0001F600"), "\U0001F600", "%F0%9F%98%80"},
		{T("-._"), "-._", "-._"},
		{T("*"), "*", "%2A"},
		{T("~"), "~", "%7E"},
		{T("!'()"), "!'()", "%21%27%28%29"},
		{T("\"&,/:;<=>?@[\\]^`{}"), "\"&,/:;<=>?@[\\]^`{}", "%22%26%2C%2F%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7D"},
		{T("AZaz09"), "AZaz09", "AZaz09"},
	}
	for _, tt := range tests {
		for enc, want := range []string{Legacy: tt.legacy, Smart: tt.smart} {
			enc := Encoding(enc)
			if got := string(AppendText(nil, enc, tt.text)); got != want {
				t.Errorf("%s %v: %s, want %s", enc, tt.text, got, want)
			}
			got, err := ParseText([]byte(want), enc)
			if err != nil || got != tt.text {
				t.Errorf("%s %s: %v %v, want %v", enc, want, got, err, tt.text)
			}
		}
	}
}

func TestInvalidUTF8(t *testing.T) {
	tests := []struct{ in, want string }{
		{"\xff", "\uFFFD"},
		{"a\xffb", "a\uFFFDb"},
		{"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"}, // a surrogate
		{"\xe2\x82", "\uFFFD\uFFFD"},           // cut short
		{"é\x80é", "é\uFFFDé"},
		{"\xc0\xaf", "\uFFFD\uFFFD"},                     // overlong
		{"\xf4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"}, // beyond the last code point
	}
	for _, tt := range tests {
		if got := string(AppendString(nil, Smart, tt.in)); got != tt.want {
			t.Errorf("smart %q: %q, want %q", tt.in, got, tt.want)
		}
		legacy := string(AppendString(nil, Legacy, tt.want))
		if got := string(AppendString(nil, Legacy, []byte(tt.in))); got != legacy {
			t.Errorf("legacy %q: %q, want %q", tt.in, got, legacy)
		}
		if got, err := ParseText([]byte(tt.in), Smart); err != nil || got != T(tt.want) {
			t.Errorf("parse %q: %v %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

// Every pair of first bytes, with the bytes at the edges of what may follow, against the standard decoder.
func TestRuneLen(t *testing.T) {
	edges := []byte{0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF}
	for first := 0x80; first < 0x100; first++ {
		for second := range 0x100 {
			for _, third := range edges {
				for _, fourth := range edges {
					seq := []byte{byte(first), byte(second), third, fourth}
					for n := 1; n <= 4; n++ {
						r, size := utf8.DecodeRune(seq[:n])
						if r == utf8.RuneError && size == 1 {
							size = 0
						}
						if got := runeLen(seq[:n], 0); got != size {
							t.Fatalf("% x: %d, want %d", seq[:n], got, size)
						}
					}
				}
			}
		}
	}
}

func TestParseTextLenient(t *testing.T) {
	tests := []struct {
		enc  Encoding
		tok  string
		want string
	}{
		{Smart, "a+b", "a+b"},
		{Legacy, "a+b", "a b"},
		{Smart, "%e6%bc%a2+%41", "漢+A"},
		{Legacy, "%e6%BC%a2+%41", "漢 A"},
		{Legacy, "é~*!'()", "é~*!'()"},
		{Smart, "#x#", "#x#"},
		{Legacy, "$$", "$$"},
	}
	for _, tt := range tests {
		if got, err := ParseText([]byte(tt.tok), tt.enc); err != nil || got != T(tt.want) {
			t.Errorf("%s %s: %v %v, want %q", tt.enc, tt.tok, got, err, tt.want)
		}
	}
}

func TestParseTextMalformed(t *testing.T) {
	for _, tok := range []string{"%", "%4", "a%", "a%f", "%zz", "%4g", "%g4", "a%2", "%%41", "+%", "% 1", "%-1"} {
		for _, enc := range []Encoding{Legacy, Smart} {
			got, err := ParseText([]byte(tok), enc)
			if err == nil {
				t.Errorf("%s %q: %v", enc, tok, got)
				continue
			}
			checkMalformed(t, err, got)
		}
	}
}

func TestCountRawPlus(t *testing.T) {
	tests := []struct {
		body string
		want int
	}{
		{"S|a+b|S|c", 1},
		{"S|a%2Bb", 0},
		{"S|S|S|+|I|1|S|++", 3},
		{"D|1e+16|B|1", 0},
		{"S|x|V|S|+", 1},
		{"EC|a+b|1|c+d", 2},
		{"S|item|S|id|B|0|S|f+|S|v+", 2},
		{"", 0},
		{"S", 0},
		{"+", 0},
	}
	for _, tt := range tests {
		if got := CountRawPlus([]byte(tt.body), Smart); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.body, got, tt.want)
		}
		if got := CountRawPlus([]byte(tt.body), Legacy); got != 0 {
			t.Errorf("legacy %s: %d", tt.body, got)
		}
	}
}
