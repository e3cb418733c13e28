package tlcp

import "testing"

func TestParseVersion(t *testing.T) {
	tests := []struct {
		in                         string
		ok, supported, diffs, resp bool
	}{
		{"TLCP-2.5.0", true, true, true, true},
		{"TLCP-2.5.7", true, true, true, true},
		{"TLCP-2.4.0", true, true, true, false},
		{"TLCP-2.3.0", true, true, false, false},
		{"TLCP-2.1.0", true, true, false, false},
		{"TLCP-2.0.0", true, false, false, false},
		{"TLCP-2.6.0", true, false, true, true},
		{"TLCP-3.0.0", true, false, true, true},
		{"TLCP-2.5", false, false, false, false},
		{"TLCP-2.5.0.0", false, false, false, false},
		{"TLCP-2.-5.0", false, false, false, false},
		{"TLCP-2.99999999999.0", false, false, false, false},
		{"tlcp-2.5.0", false, false, false, false},
		{"", false, false, false, false},
	}
	for _, tt := range tests {
		v, err := ParseVersion(tt.in)
		if (err == nil) != tt.ok {
			t.Errorf("ParseVersion(%q): %v", tt.in, err)
			continue
		}
		if v.Supported() != tt.supported || v.HasDiffs() != tt.diffs || v.HasMessageResponse() != tt.resp {
			t.Errorf("%q: supported %v, diffs %v, response %v", tt.in, v.Supported(), v.HasDiffs(), v.HasMessageResponse())
		}
		if tt.ok && v.String() != tt.in {
			t.Errorf("%q reads back as %q", tt.in, v)
		}
	}
}

func TestSubprotocol(t *testing.T) {
	const text = "TLCP-2.5.0.lightstreamer.com"
	v, err := ParseSubprotocol(text)
	if err != nil || v != Latest || v.Subprotocol() != text {
		t.Errorf("%v %v, back as %q", v, err, v.Subprotocol())
	}
	for _, bad := range []string{"", "TLCP-2.5.0", "chat", "js.lightstreamer.com"} {
		if v, err := ParseSubprotocol(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, v)
		}
	}
}

func TestNamesAndModes(t *testing.T) {
	for n := NameCreateSession; n <= NameWSOK; n++ {
		if got, ok := ParseName([]byte(n.String())); !ok || got != n {
			t.Errorf("name %v reads back as %v, %v", n, got, ok)
		}
	}
	for _, bad := range []string{"", "Control", "unknown", "control.txt"} {
		if n, ok := ParseName([]byte(bad)); ok {
			t.Errorf("ParseName(%q) = %v", bad, n)
		}
	}
	for m := ModeRaw; m <= ModeCommand; m++ {
		if got, ok := ParseMode(m.String()); !ok || got != m {
			t.Errorf("mode %v reads back as %v, %v", m, got, ok)
		}
	}
	for _, bad := range []string{"", "merge", "NONE"} {
		if m, ok := ParseMode(bad); ok {
			t.Errorf("ParseMode(%q) = %v", bad, m)
		}
	}
}
