package ari

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
)

// The golden lines were read off the sockets of the official SDKs, or fed to them; testdata/ari-vectors.jsonl says with
// each what it means.
const vectorCount = 1514

type vector struct {
	Name      string `json:"name"`
	Direction string `json:"direction"`
	ARI       string `json:"ari"`
	Line      string `json:"line"`
	Decoded   object `json:"decoded"`
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	f, err := os.Open("testdata/ari-vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var vectors []vector
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var v vector
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.UseNumber() // statistics go up to the greatest 64-bit integer
		if err := d.Decode(&v); err != nil {
			t.Fatalf("line %d: %v", len(vectors)+1, err)
		}
		vectors = append(vectors, v)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return vectors
}

// exceptions are the vectors of which we give another account on purpose: how it differs, and why.
var exceptions = map[string]struct {
	reason string
	ours   func(want object) object
}{
	"java-1.7.0/data/UD3/by-indexed-event-with-hole": {
		"a hole is no field: the recommendation is to skip fields with a null name",
		func(want object) object {
			fields := want["fields"].([]any)
			return want.with("fields", []any{fields[0], fields[2]})
		},
	},
}

// A line we append otherwise than the peer did must be of one of these kinds; it then has to decode to the same.
var notCanonical = []struct {
	name string
	is   func(vector) bool
}{
	{"escapes that no encoder writes", func(v vector) bool { return strings.Contains(v.Name, "/decode-only") }},
	{"legacy punctuation of the platform", func(v vector) bool {
		m, version := vectorMethod(v), vectorVersion(v)
		return m.Encoding(version) == Legacy && strings.ContainsAny(v.Line, "~*!'()")
	}},
	{"number format of the platform", func(v vector) bool {
		m := vectorMethod(v)
		return v.Decoded.str("kind") == "reply" && (m == NUS || m == NUA || m == GIT || m == GUI)
	}},
	{"trailing separator", func(v vector) bool { return strings.HasSuffix(v.Line, "|") }},
	{"indexed update", func(v vector) bool { return v.Decoded.has("indexed") }},
}

func vectorMethod(v vector) Method   { return ParseMethod([]byte(v.Decoded.str("method"))) }
func vectorVersion(v vector) Version { version, _ := ParseVersion(v.ARI); return version }

func TestVectors(t *testing.T) {
	vectors := loadVectors(t)
	if len(vectors) != vectorCount {
		t.Fatalf("%d vectors, want %d", len(vectors), vectorCount)
	}
	kinds := make([]int, len(notCanonical))
	excepted := map[string]bool{}
	passed, canonical := 0, 0
	for _, v := range vectors {
		want := v.Decoded
		if x, ok := exceptions[v.Name]; ok {
			if checkDecode(v, want) == nil {
				t.Errorf("%s: is no exception (any more)", v.Name)
			}
			excepted[v.Name] = true
			want = x.ours(want)
			t.Logf("exception %s: %s", v.Name, x.reason)
		}
		if err := checkDecode(v, want); err != nil {
			t.Errorf("%s: %v\n line %s", v.Name, err, v.Line)
			continue
		}
		line, err := encodeVector(v, want)
		if err != nil {
			t.Errorf("%s: append: %v", v.Name, err)
			continue
		}
		if string(line) == v.Line {
			passed++
			canonical++
			continue
		}
		kind := notCanonicalKind(v)
		if kind < 0 {
			t.Errorf("%s: appended otherwise\n got  %s\n want %s", v.Name, line, v.Line)
			continue
		}
		kinds[kind]++
		again := v
		again.Line = string(line)
		// We never write the indexed form.
		if err := checkDecode(again, want.without("indexed")); err != nil {
			t.Errorf("%s: appended line: %v\n line %s", v.Name, err, line)
			continue
		}
		passed++
	}
	for name := range exceptions {
		if !excepted[name] {
			t.Errorf("exception %s: no such vector", name)
		}
	}
	for i, n := range kinds {
		if n == 0 {
			t.Errorf("kind of non-canonical lines not needed: %s", notCanonical[i].name)
		}
		t.Logf("%4d lines differ in: %s", n, notCanonical[i].name)
	}
	t.Logf("%d of %d vectors pass, %d of them byte for byte, %d with a listed exception", passed, len(vectors), canonical, len(excepted))
	if passed != vectorCount {
		t.Errorf("%d of %d vectors pass", passed, vectorCount)
	}
}

func notCanonicalKind(v vector) int {
	for i, k := range notCanonical {
		if k.is(v) {
			return i
		}
	}
	return -1
}

// checkDecode decodes the line of v with the parser of its direction, kind and method, and compares with want.
func checkDecode(v vector, want object) error {
	got, err := decodeVector(v)
	if err != nil {
		return err
	}
	g, w := normal(got), normal(want)
	if !reflect.DeepEqual(g, w) {
		return fmt.Errorf("decoded otherwise\n got  %v\n want %v", g, w)
	}
	return nil
}

// normal turns v into what encoding/json makes of it, with each whole number as an int64, so that 1.0 and 1 are the same.
func normal(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		panic(err)
	}
	return normalNumbers(out)
}

func normalNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if b, ok := bytesOf(v); ok {
			return latin1(b) // we give bytes as the text they mean
		}
		for k := range v {
			v[k] = normalNumbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = normalNumbers(v[i])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		if f == math.Trunc(f) && math.Abs(f) < 1<<62 {
			return int64(f)
		}
		return f
	}
	return v
}

// object is the meaning of a line, with the keys of the vectors.
type object map[string]any

func (o object) with(key string, value any) object {
	c := o.without(key)
	c[key] = value
	return c
}

func (o object) without(key string) object {
	c := object{}
	for k, v := range o {
		if k != key {
			c[k] = v
		}
	}
	return c
}

func (o object) has(key string) bool   { _, ok := o[key]; return ok }
func (o object) str(key string) string { s, _ := o[key].(string); return s }
func (o object) boolean(key string) bool {
	b, _ := o[key].(bool)
	return b
}

func (o object) text(key string) Text { return textOf(o[key]) }

func (o object) int64(key string) int64 {
	n, _ := o[key].(json.Number)
	i, err := n.Int64()
	if err != nil {
		panic(fmt.Sprintf("%s: %v", key, err))
	}
	return i
}

func (o object) int(key string) int { return int(o.int64(key)) }

func (o object) double(key string) float64 {
	switch v := o[key].(type) {
	case json.Number:
		f, _ := v.Float64()
		return f
	case string:
		return map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1)}[v]
	}
	panic("no number: " + key)
}

func (o object) object(key string) object {
	m, _ := o[key].(map[string]any)
	return m
}

func (o object) objects(key string) []object {
	var list []object
	a, _ := o[key].([]any)
	for _, e := range a {
		list = append(list, e.(map[string]any))
	}
	return list
}

func (o object) strs(key string) []string {
	var list []string
	a, _ := o[key].([]any)
	for _, e := range a {
		list = append(list, e.(string))
	}
	return list
}

func (o object) params(key string) []Param {
	var list []Param
	a, _ := o[key].([]any)
	for _, e := range a {
		pair := e.([]any)
		list = append(list, Param{pair[0].(string), textOf(pair[1])})
	}
	return list
}

func textOf(v any) Text {
	s, ok := v.(string)
	return Text{S: s, Null: !ok}
}

func ofText(t Text) any {
	if t.Null {
		return nil
	}
	return t.S
}

func ofParams(params []Param) []any {
	list := []any{}
	for _, p := range params {
		list = append(list, []any{p.Name, ofText(p.Value)})
	}
	return list
}

func ofStrs(list []string) []any {
	a := []any{}
	for _, s := range list {
		a = append(a, s)
	}
	return a
}

func ofDouble(f float64) any {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	}
	return f
}
