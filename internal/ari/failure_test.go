package ari

import (
	"errors"
	"testing"
)

func TestAllowedIn(t *testing.T) {
	// The letters that belong to the replies of each method, 1.9.0 on.
	allowed := map[Method]string{
		DPI: "D", MPI: "M", SUB: "UF", USB: "UF", NUS: "ARC", NUA: "ARC", NNS: "CXN", NSC: "N", GIS: "I", GSC: "IS",
		GIT: "", GUI: "", NUM: "CN", NNT: "CN", NTC: "N", MDA: "CN", MSA: "CN", MDC: "CN", FST: "", FUS: "",
	}
	if len(allowed) != len(repliedMethods) {
		t.Fatal("a method is missing")
	}
	has := func(m Method, k ErrorKind) bool {
		for _, c := range allowed[m] {
			if ErrorKind(c) == k {
				return true
			}
		}
		return false
	}
	for m := range allowed {
		for _, k := range allKinds {
			for _, v := range allVersions {
				want := KindGeneric
				switch {
				case k == KindResource && !v.AtLeast(V190):
					if has(m, KindAccess) {
						want = KindAccess
					}
				case has(m, k):
					want = k
				case k == KindConflictingSession && has(m, KindCredits):
					want = KindCredits
				}
				if got := AllowedIn(k, m, v); got != want {
					t.Errorf("%q in %s, %s: %q, want %q", k, m, v, got, want)
				}
			}
		}
	}
	if got := AllowedIn('?', NUS, V191); got != KindGeneric {
		t.Errorf("unknown kind: %q", got)
	}
}

func TestParseError(t *testing.T) {
	tests := []struct {
		method  Method
		version Version
		body    string
		want    Failure
	}{
		{SUB, V191, "EU|a%7Cb%2Bc%25 é%0D%0A", Failure{Kind: KindSubscription, Message: T("a|b+c% é\r\n")}},
		{SUB, V183, "EU|bad+item", Failure{Kind: KindSubscription, Message: T("bad item")}},
		{DPI, V191, "ED|cannot+start", Failure{Kind: KindDataProvider, Message: T("cannot start")}},
		{NUS, V191, "E|#", Failure{Message: Null}},
		{NUS, V191, "EC|m|0|#", Failure{Kind: KindCredits, Message: T("m"), ClientMessage: Null}},
		{NUS, V191, "EC|m|#|$", Failure{Kind: KindCredits, Message: T("m")}},
		{NNS, V191, "EX|two|-3|one|S%7C1", Failure{Kind: KindConflictingSession, Message: T("two"), Code: -3, ClientMessage: T("one"), Session: T("S|1")}},
		// Node.js sends any kind anywhere.
		{GIS, V191, "EX|two|-3|one|S1", Failure{Kind: KindConflictingSession, Message: T("two"), Code: -3, ClientMessage: T("one"), Session: T("S1")}},
		{GIS, V191, "EA|no", Failure{Kind: KindAccess, Message: T("no")}},
		{NUS, V183, "ER|later", Failure{Kind: KindResource, Message: T("later")}},
		// Unknown kinds are generic, whatever follows.
		{NUS, V191, "EQ|m|x|%zz", Failure{Message: T("m")}},
		{NUS, V191, "EAA|m", Failure{Message: T("m")}},
		{NUS, V191, "Eé|m", Failure{Message: T("m")}},
		{NUS, V191, "EA|m|more|tokens", Failure{Kind: KindAccess, Message: T("m")}},
	}
	for _, tt := range tests {
		got, isError, err := ParseError(tt.method, []byte(tt.body), tt.version)
		if !isError || err != nil || got != tt.want {
			t.Errorf("%s %s: %+v %v %v, want %+v", tt.method, tt.body, got, isError, err, tt.want)
		}
	}
	for _, body := range []string{"", "V", "S|x", "B|1", "|", "D|0|B|1"} {
		if got, isError, err := ParseError(NUS, []byte(body), V191); isError || err != nil || got != (Failure{}) {
			t.Errorf("%q: %+v %v %v", body, got, isError, err)
		}
	}
}

func TestParseErrorMalformed(t *testing.T) {
	for body, kind := range map[string]ErrorKind{
		"E": KindGeneric, "EA": KindAccess, "EA|%": KindAccess, "EC|m": KindCredits, "EC|m|x|y": KindCredits,
		"EC|m|1": KindCredits, "EX|m|1|c": KindConflictingSession, "EC|m|2147483648|c": KindCredits,
	} {
		f, isError, err := ParseError(NUS, []byte(body), V191)
		if _, ok := errors.AsType[*MalformedError](err); !ok || !isError || f.Kind != kind {
			t.Errorf("%s: %+v %v %v, want kind %q", body, f, isError, err, kind)
		}
	}
}
