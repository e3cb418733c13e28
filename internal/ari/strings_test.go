package ari

import (
	"fmt"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		value fmt.Stringer
		want  string
	}{
		{Data, "data"}, {Metadata, "metadata"}, {Channel(0), "unknown"},
		{Legacy, "legacy"}, {Smart, "smart"},
		{Version(0), "none"}, {Version(99), "none"}, {V182, "1.8.2"},
		{Unknown, "UNKNOWN"}, {Method(200), "UNKNOWN"}, {UD3, "UD3"},
		{KindGeneric, ""}, {KindCredits, "C"},
		{Raw, "RAW"}, {Merge, "MERGE"}, {Distinct, "DISTINCT"}, {Command, "COMMAND"}, {Mode(0), "NONE"}, {Mode('x'), "NONE"},
		{AllModes, "RMDC"}, {Modes(0), ""}, {Modes(0).With(Command).With(Raw), "RC"}, {Modes(0).With('x'), ""},
		{JSONPatch, "JSONPATCH"}, {DiffMatchPatch, "DIFF_MATCH_PATCH"}, {DiffAlgorithm('x'), "UNKNOWN"},
		{Apple, "Apple"}, {Google, "Google"}, {Platform(0), "none"},
	} {
		if got := tt.value.String(); got != tt.want {
			t.Errorf("%T: %q, want %q", tt.value, got, tt.want)
		}
	}
	for m := Unknown + 1; m <= lastMethod; m++ {
		if got := ParseMethod([]byte(m.String())); got != m {
			t.Errorf("%s: %s", m, got)
		}
	}
	for _, m := range modeOrder {
		if s := Modes(0).With(m); !s.Has(m) || s == 0 || s.Has('x') || s.Has(0) {
			t.Errorf("%s: %s", m, s)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	user := NotifyUser{User: T("joe"), Password: T("secret"), Headers: []Param{{"cookie", T("secret")}}}
	params := []Param{{ParamUser, T("joe")}, {ParamPassword, T("secret")}, {"other", Null}}
	for _, text := range []string{
		fmt.Sprint(user), fmt.Sprintf("%+v", &user), fmt.Sprint(NotifyUser{User: Null, Password: T("secret")}),
		fmt.Sprint(params), fmt.Sprintf("%+v", InitReply{Params: params}),
	} {
		if strings.Contains(text, "secret") || !strings.Contains(text, "***") {
			t.Error(text)
		}
	}
	if got, want := fmt.Sprint(params), `[user="joe" password=*** other=null]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, err := range []error{
		&VersionError{Data, "1.8.0", "too old"}, &VersionError{Reason: "nothing"}, &MalformedError{Method: "NUS", Reason: "bad"},
	} {
		if got := err.Error(); !strings.HasPrefix(got, "ari: ") {
			t.Error(got)
		}
	}
}
