package ari

import (
	"errors"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for _, v := range allVersions {
		got, ok := ParseVersion(v.String())
		if !ok || got != v {
			t.Errorf("%s: %s %v", v, got, ok)
		}
	}
	for _, s := range []string{"", "1.8.1", "1.8", "1.9", "1.9.2", "2.0.0", "none", " 1.9.1", "1.9.1 "} {
		if v, ok := ParseVersion(s); ok || v != 0 {
			t.Errorf("%q: %s", s, v)
		}
	}
}

func TestVersionEncoding(t *testing.T) {
	for v, want := range map[Version]Encoding{0: Legacy, V180: Legacy, V182: Legacy, V183: Legacy, V190: Smart, V191: Smart} {
		if got := v.Encoding(); got != want {
			t.Errorf("%s: %s, want %s", v, got, want)
		}
		for m := Unknown; m <= lastMethod; m++ {
			want := want
			switch m {
			case RAC, CLOSE, DPI, MPI:
				want = Legacy
			}
			if got := m.Encoding(v); got != want {
				t.Errorf("%s %s: %s, want %s", v, m, got, want)
			}
		}
	}
	if Version(0).AtLeast(V180) || !V190.AtLeast(V190) || V183.AtLeast(V190) || !Latest.AtLeast(V191) {
		t.Error("order of versions")
	}
}

func TestAnswer(t *testing.T) {
	tests := []struct {
		announced      string
		data, metadata Version // 0: refused
	}{
		{"", 0, 0},
		{"1.8.0", 0, 0},
		{"1.8.1", 0, 0},
		{"1.8.2", 0, 0},
		{"1.8.3", 0, 0},
		{"1.8.9", 0, 0},
		{"1.9.0", 0, V191},
		{"1.9.1", V191, V191},
		{"1.9.2", V191, V191},
		{"2.0.0", V191, V191},
		{"whatever", V191, V191},
	}
	for _, tt := range tests {
		for ch, want := range map[Channel]Version{Data: tt.data, Metadata: tt.metadata} {
			got, err := Answer(ch, tt.announced)
			if got != want || (err != nil) != (want == 0) {
				t.Errorf("%s %q: %s %v, want %s", ch, tt.announced, got, err, want)
			}
			if e, ok := errors.AsType[*VersionError](err); err != nil && (!ok || e.Version != tt.announced || e.Channel != ch) {
				t.Errorf("%s %q: %#v", ch, tt.announced, err)
			}
		}
	}
}

func TestAccept(t *testing.T) {
	tests := []struct {
		body string
		want Version // 0: refused
	}{
		{"V", V180},
		{"S|ARI.version|S|1.8.2", V182},
		{"S|ARI.version|S|1.8.3", V183},
		{"S|ARI.version|S|1.9.0", V190},
		{"S|ARI.version|S|1.9.1", V191},
		{"S|other|S|x|S|ARI.version|S|1.9.1|S|more|S|#", V191},
		{"S|ARI.version|S|1.8.0", 0},
		{"S|ARI.version|S|1.8.1", 0},
		{"S|ARI.version|S|1.9.2", 0},
		{"S|ARI.version|S|#", 0},
		{"S|ARI.version|S|$", 0},
		{"S|other|S|1.9.1", 0},
	}
	for _, tt := range tests {
		r, err := ParseInitReply([]byte(tt.body))
		if err != nil {
			t.Errorf("%s: %v", tt.body, err)
			continue
		}
		got, err := Accept(r)
		if _, ok := errors.AsType[*VersionError](err); got != tt.want || ok != (tt.want == 0) {
			t.Errorf("%s: %s %v, want %s", tt.body, got, err, tt.want)
		}
	}
}
