package oracle

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/sergi/go-diff/diffmatchpatch"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/diff"
)

// document makes a random JSON value.
func document(r *rand.Rand, depth int) any {
	kind := r.IntN(8)
	if depth == 0 {
		kind = r.IntN(5)
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return r.IntN(1000)
	case 3, 4:
		return text(r, 30)
	case 5:
		list := make([]any, r.IntN(8))
		for i := range list {
			list[i] = document(r, depth-1)
		}
		return list
	}
	object := make(map[string]any)
	for range r.IntN(8) {
		object["k"+text(r, 6)] = document(r, depth-1)
	}
	return object
}

// text has what pointers, JSON and the wire have to escape, and characters of one to three bytes.
func text(r *rand.Rand, n int) string {
	const letters = "abcdefgh ~/\"\\|%#$^\r\n\té漢"
	runes := []rune(letters)
	var b strings.Builder
	for range r.IntN(n + 1) {
		b.WriteRune(runes[r.IntN(len(runes))])
	}
	return b.String()
}

// changed returns the value with something changed somewhere, in a copy.
func changed(r *rand.Rand, v any) any {
	if r.IntN(6) == 0 {
		return document(r, 2)
	}
	switch v := v.(type) {
	case []any:
		out := append([]any(nil), v...)
		switch at := r.IntN(len(out) + 1); {
		case at == len(out) || r.IntN(3) == 0:
			return append(out[:at:at], append([]any{document(r, 1)}, out[at:]...)...)
		case r.IntN(2) == 0:
			return append(out[:at:at], out[at+1:]...)
		default:
			out[at] = changed(r, out[at])
			return out
		}
	case map[string]any:
		out := make(map[string]any)
		for k, child := range v {
			switch r.IntN(10) {
			case 0: // removed
			case 1, 2:
				out[k] = changed(r, child)
			default:
				out[k] = child
			}
		}
		if r.IntN(3) == 0 {
			out["k"+text(r, 6)] = document(r, 1)
		}
		return out
	case string:
		return v + text(r, 3)
	}
	return document(r, 1)
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// parsed is a document for comparison. Numbers stay as they are written.
func parsed(doc string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// emptyName finds paths through a member with an empty name, which this library takes for the object itself, against RFC 6901. Nor does it take
// documents that are neither objects nor arrays.
var emptyName = regexp.MustCompile(`"path":"([^"\\]|\\.)*/[/"]`)

// checkPatch has the library apply the patch, if there is one, which is then shorter than the value.
func checkPatch(t *testing.T, old, next string) (found bool) {
	t.Helper()
	patch, ok := diff.JSONPatch(nil, old, next)
	if !ok {
		return false
	}
	if len(patch) >= len(next)*3 { // of what is escaped on the wire three times the length
		t.Errorf("%s\nto\n%s:\nthe patch is longer: %s", old, next, patch)
	}
	if emptyName.Match(patch) || !strings.ContainsAny(strings.TrimLeft(old, " \t\r\n")[:1], "{[") {
		return true
	}
	decoded, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		t.Fatalf("%s\nto\n%s:\npatch %s: %v", old, next, patch, err)
	}
	got, err := decoded.Apply([]byte(old))
	if err != nil {
		t.Fatalf("%s\nto\n%s:\npatch %s: %v", old, next, patch, err)
	}
	a, err := parsed(string(got))
	if err != nil {
		t.Fatalf("%s\nto\n%s:\npatch %s gives %s: %v", old, next, patch, got, err)
	}
	if b, err := parsed(next); err != nil || !reflect.DeepEqual(a, b) {
		t.Fatalf("%s\nto\n%s:\npatch %s gives\n%s, %v", old, next, patch, got, err)
	}
	return true
}

// TestJSONPatch: evanphx/json-patch gets from one document to the next.
func TestJSONPatch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	const documents = 5000
	for range documents {
		v := map[string]any{"pad": strings.Repeat("x", 60), "value": document(r, 4)}
		w := map[string]any{"pad": v["pad"], "value": changed(r, v["value"])}
		if checkPatch(t, marshal(t, v), marshal(t, w)) {
			found++
		}
	}
	if found < documents/2 {
		t.Errorf("only %d patches in %d documents", found, documents)
	}
}

// delta translates a TLCP-diff into the delta that diffmatchpatch reads, where every character of the old text has to be accounted for.
func delta(old, tlcp string) (string, error) {
	var out []string
	left := utf8.RuneCountInString(old)
	for section := 0; tlcp != ""; section++ {
		n, rest, err := number(tlcp)
		if err != nil {
			return "", err
		}
		tlcp = rest
		switch section % 3 {
		case 0:
			out, left = append(out, fmt.Sprint("=", n)), left-n
		case 1:
			runes := []rune(tlcp)
			if n > len(runes) {
				return "", fmt.Errorf("%d characters to add, and only %d there", n, len(runes))
			}
			added := string(runes[:n])
			tlcp = tlcp[len(added):]
			insert := diffmatchpatch.Diff{Type: diffmatchpatch.DiffInsert, Text: added}
			out = append(out, diffmatchpatch.New().DiffToDelta([]diffmatchpatch.Diff{insert}))
		case 2:
			out, left = append(out, fmt.Sprint("-", n)), left-n
		}
	}
	if left > 0 {
		out = append(out, fmt.Sprint("-", left))
	}
	return strings.Join(out, "\t"), nil
}

// number reads one in base 26, of which the last digit is lower case.
func number(s string) (n int, rest string, err error) {
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z':
			n = n*26 + int(c-'A')
		case 'a' <= c && c <= 'z':
			return n*26 + int(c-'a'), s[i+1:], nil
		default:
			return 0, "", fmt.Errorf("%q is no digit", c)
		}
	}
	return 0, "", fmt.Errorf("%q has no last digit", s)
}

func checkText(t *testing.T, old, next string) (found bool) {
	t.Helper()
	text, ok := diff.TLCP(nil, old, next)
	if !ok {
		return false
	}
	steps, err := delta(old, string(text))
	if err != nil {
		t.Fatalf("%q to %q: diff %q: %v", old, next, text, err)
	}
	dmp := diffmatchpatch.New()
	diffs, err := dmp.DiffFromDelta(old, steps)
	if err != nil {
		t.Fatalf("%q to %q: diff %q is %q: %v", old, next, text, steps, err)
	}
	if got := dmp.DiffText2(diffs); got != next {
		t.Fatalf("%q to %q: diff %q gives %q", old, next, text, got)
	}
	return true
}

// TestTLCPDiff: diffmatchpatch gets from one text to the next.
func TestTLCPDiff(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	found := 0
	const texts = 5000
	for range texts {
		old := text(r, 400)
		runes := []rune(old)
		for range 1 + r.IntN(4) {
			from := r.IntN(len(runes) + 1)
			to := min(from+r.IntN(10), len(runes))
			runes = append(runes[:from:from], append([]rune(text(r, 10)), runes[to:]...)...)
		}
		if checkText(t, old, string(runes)) {
			found++
		}
	}
	if found < texts/2 {
		t.Errorf("only %d diffs in %d texts", found, texts)
	}
}

// FuzzOracle has the libraries apply whatever the package makes of two texts.
func FuzzOracle(f *testing.F) {
	pad := strings.Repeat("x", 80)
	f.Add(`{"a":1,"p":"`+pad+`"}`, `{"a":2,"p":"`+pad+`"}`)
	f.Add(`{"a":{"b":[{"c":1}]},"p":"`+pad+`"}`, `{"p":"`+pad+`","a":{"b":[{"c":2},null]}}`)
	f.Add(`[1,2,3,"`+pad+`"]`, `[2,3,"`+pad+`",4]`)
	f.Add(`{"~1/":"é","p":"`+pad+`"}`, `{"~1/":"漢","p":"`+pad+`"}`)
	f.Fuzz(func(t *testing.T, old, next string) {
		checkPatch(t, old, next)
		checkText(t, old, next)
	})
}
