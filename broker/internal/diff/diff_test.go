package diff

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// checkPatch wants a JSON Patch, if there is one, to do what it should. It says whether there is one.
func checkPatch(t testing.TB, old, next string) (patch string, ok bool) {
	t.Helper()
	out, ok := JSONPatch([]byte("dst"), old, next)
	if patch, was := strings.CutPrefix(string(out), "dst"); !was || !ok && patch != "" {
		t.Fatalf("dst is changed: %q", out)
	}
	if !ok {
		return "", false
	}
	patch = string(out[3:])
	if have, whole := wireLen(patch)+tagLen, encodedLen(next); have >= whole {
		t.Errorf("%q → %q: patch %q has %d bytes, the value %d", old, next, patch, have, whole)
	}
	from, err := decode(old)
	if err != nil {
		t.Fatalf("a patch for what is no JSON, %q: %v", old, err)
	}
	want, err := decode(next)
	if err != nil {
		t.Fatalf("a patch for what is no JSON, %q: %v", next, err)
	}
	got, err := applyPatch(from, patch)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q → %q: patch %q\ngives %v (%v)\nwant  %v", old, next, patch, got, err, want)
	}
	return patch, true
}

// checkText wants a TLCP-diff, if there is one, to do what it should.
func checkText(t testing.TB, old, next string) (diff string, ok bool) {
	t.Helper()
	out, ok := TLCP([]byte("dst"), old, next)
	if diff, was := strings.CutPrefix(string(out), "dst"); !was || !ok && diff != "" {
		t.Fatalf("dst is changed: %q", out)
	}
	if !ok {
		return "", false
	}
	diff = string(out[3:])
	if have, whole := wireLen(diff)+tagLen, encodedLen(next); have >= whole {
		t.Errorf("%q → %q: diff %q has %d bytes, the value %d", old, next, diff, have, whole)
	}
	for name, apply := range map[string]func(old, diff string) (string, error){"UTF-16": applyText, "code points": applyPoints} {
		if got, err := apply(old, diff); err != nil || got != next {
			t.Errorf("%s: %q → %q: diff %q\ngives %q, %v", name, old, next, diff, got, err)
		}
	}
	return diff, true
}

// encodedLen is the length of a value on the wire, computed the simple way.
func encodedLen(s string) int {
	if s == "" {
		return 1
	}
	n := 0
	for i, c := range []byte(s) {
		if strings.ContainsRune("%|\r\n", rune(c)) || i == 0 && strings.ContainsRune("#$^", rune(c)) {
			n += 2
		}
		n++
	}
	return n
}

func TestJSONPatch(t *testing.T) {
	pad := `,"pad":"` + strings.Repeat("x", 300) + `"}`
	for _, tt := range []struct{ old, next, want string }{
		{`{"a":1`, `{"a":2`, `[{"op":"replace","path":"/a","value":2}]`},
		{`{"a":1`, `{"a":1`, `[]`},
		{`{"a":1`, ` { "a" :1 `, `[]`},
		{`{"a":1,"b":2`, `{"b":2,"a":1`, `[]`},
		{`{"a":1,"b":2`, `{"b":2`, `[{"op":"remove","path":"/a"}]`},
		{`{"z":0`, `{"z":0,"c":[ 1, "a b" ],"b":null`, `[{"op":"add","path":"/c","value":[1,"a b"]},{"op":"add","path":"/b","value":null}]`},
		{`{"a":{"b":{"c":"x"}}`, `{"a":{"b":{"c":"y"}}`, `[{"op":"replace","path":"/a/b/c","value":"y"}]`},
		{`{"a":[1,2]`, `{"a":[1,7,2]`, `[{"op":"add","path":"/a/1","value":7}]`},
		{`{"a":[1,2]`, `{"a":[1,2,3]`, `[{"op":"add","path":"/a/2","value":3}]`},
		{`{"a":[1,2,3,4]`, `{"a":[2,3,4,5]`, `[{"op":"replace","path":"/a","value":[2,3,4,5]}]`},
		{`{"a":["one","two"]`, `{"a":[]`, `[{"op":"replace","path":"/a","value":[]}]`},
		{`{"a":{"b":1}`, `{"a":[1]`, `[{"op":"replace","path":"/a","value":[1]}]`},
		{`{"n":12345678901234567890123`, `{"n":12345678901234567890124`, `[{"op":"replace","path":"/n","value":12345678901234567890124}]`},
		{`{"n":1`, `{"n":1.0`, `[{"op":"replace","path":"/n","value":1.0}]`},
		{`{"a/b~c":1`, `{"a/b~c":2`, `[{"op":"replace","path":"/a~1b~0c","value":2}]`},
		{`{"q\"\\\u0001":1`, `{"q\u0022\u005c\u0001":2`, `[{"op":"replace","path":"/q\"\\\u0001","value":2}]`},
		{`{"\u0061":1`, `{"a":2`, `[{"op":"replace","path":"/a","value":2}]`},
		{`{"\ud83d\ude00":1`, `{"😀":2`, `[{"op":"replace","path":"/😀","value":2}]`},
		{`{"o":{"-":1}`, `{"o":{"-":2}`, `[{"op":"replace","path":"/o","value":{"-":2}}]`},
		{`{"o":{"-":1,"a":1}`, `{"o":{"-":1,"a":2}`, `[{"op":"replace","path":"/o/a","value":2}]`},
		{`{"o":{"a":1}`, `{"o":{"-":1,"a":1}`, `[{"op":"replace","path":"/o","value":{"-":1,"a":1}}]`},
		{`{"o":{"-":1,"a":1}`, `{"o":{"a":1}`, `[{"op":"replace","path":"/o","value":{"a":1}}]`},
		{`{"":1`, `{"":2`, `[{"op":"replace","path":"/","value":2}]`},
		{`{"s":"\u00e9\ud800"`, `{"s":"\u00e8\ud800"`, `[{"op":"replace","path":"/s","value":"\u00e8\ud800"}]`},
		{`{"d":{"k":1,"k":2}`, `{"d":{"k":2,"k":3}`, `[{"op":"replace","path":"/d","value":{"k":2,"k":3}}]`},
		{`{"d":{"k":1,"\u006b":2}`, `{"d":{"k":3}`, `[{"op":"replace","path":"/d","value":{"k":3}}]`},
		{`{"d":{"k":1,"k":2}`, `{"d":{"k":1,"k":2},"e":0`, `[{"op":"add","path":"/e","value":0}]`},
	} {
		if got, ok := checkPatch(t, tt.old+pad, tt.next+pad); !ok || got != tt.want {
			t.Errorf("%s → %s: %s, want %s", tt.old, tt.next, got, tt.want)
		}
	}
}

// TestArrays: what has moved in a long array is not written again.
func TestArrays(t *testing.T) {
	element := func(i int) string { return fmt.Sprintf(`{"id":%d,"text":"element number %d"}`, i, i) }
	list := func(ids ...int) string {
		var all []string
		for _, i := range ids {
			all = append(all, element(i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	for _, tt := range []struct{ old, next, want string }{
		{list(1, 2, 3, 4, 5), list(2, 3, 4, 5, 6), `[{"op":"remove","path":"/0"},{"op":"add","path":"/4","value":` + element(6) + `}]`},
		{list(1, 2, 3, 4), list(1, 4), `[{"op":"remove","path":"/1"},{"op":"remove","path":"/1"}]`},
		{list(1, 2, 3), list(1, 2, 2, 3), `[{"op":"add","path":"/2","value":` + element(2) + `}]`},
		{list(1, 2, 3, 4, 5), list(2, 3, 9, 5), `[{"op":"remove","path":"/0"},{"op":"replace","path":"/2","value":` + element(9) + `}]`},
	} {
		if got, ok := checkPatch(t, tt.old, tt.next); !ok || got != tt.want {
			t.Errorf("%s → %s:\ngot  %s\nwant %s", tt.old, tt.next, got, tt.want)
		}
	}
}

// TestAligned: that two elements have the same hash is not enough for them to be left alone.
func TestAligned(t *testing.T) {
	p := patcherPool.New().(*patcher)
	for _, tt := range []struct {
		old, next string
		hunks     []hunk
		want      bool
	}{
		{"[1,2,3]", "[1,2,3]", nil, true},
		{"[1,2,3]", "[1,2,4]", nil, false},
		{"[1,2,3]", "[1,4,3]", nil, false},
		{"[1,2,3]", "[1,4,3]", []hunk{{1, 2, 1, 2}}, true},
		{"[1,2,3]", "[0,4,3]", []hunk{{1, 2, 1, 2}}, false},
		{"[1,2,3]", "[1,2,5,3]", []hunk{{2, 2, 2, 3}}, true},
	} {
		if !p.old.parse(tt.old) || !p.next.parse(tt.next) {
			t.Fatal("no JSON")
		}
		p.stack = p.stack[:0]
		p.children(&p.old, 0)
		mid := len(p.stack)
		p.children(&p.next, 0)
		if got := p.aligned(tt.hunks, 0, mid, mid); got != tt.want {
			t.Errorf("%s → %s, %v: %v", tt.old, tt.next, tt.hunks, got)
		}
	}
}

func TestNoJSONPatch(t *testing.T) {
	long := strings.Repeat("x", 300)
	valid := `{"a":1,"pad":"` + long + `"}`
	nested := func(n int) string { return strings.Repeat("[", n) + `"` + long + `"` + strings.Repeat("]", n) }
	if _, ok := checkPatch(t, valid, strings.Replace(valid, "1", "2", 1)); !ok {
		t.Error("no patch for a change of one member")
	}
	if _, ok := checkPatch(t, nested(maxDepth), nested(maxDepth - 1)[1:]+"]"); ok {
		t.Error("a patch for half a text")
	}
	if _, ok := checkPatch(t, "["+nested(maxDepth-1)+",1]", "["+nested(maxDepth-1)+",2]"); !ok {
		t.Errorf("no patch for a depth of %d", maxDepth)
	}
	for name, tt := range map[string][2]string{
		"old is no JSON":          {valid[1:], valid},
		"new is no JSON":          {valid, valid[1:]},
		"text behind":             {valid, valid + "x"},
		"two values":              {valid, valid + valid},
		"empty":                   {"", valid},
		"new is empty":            {valid, ""},
		"leading zero":            {valid, strings.Replace(valid, "1", "01", 1)},
		"NaN":                     {valid, strings.Replace(valid, "1", "NaN", 1)},
		"no digits":               {valid, strings.Replace(valid, "1", "1.", 1)},
		"plus":                    {valid, strings.Replace(valid, "1", "+1", 1)},
		"comma at the end":        {valid, strings.Replace(valid, "1", "[1,]", 1)},
		"no comma":                {valid, strings.Replace(valid, "1", "[1 2]", 1)},
		"bad escape":              {valid, strings.Replace(valid, "1", `"\x"`, 1)},
		"bad unicode escape":      {valid, strings.Replace(valid, "1", `"\u12g4"`, 1)},
		"end in an escape":        {valid, valid[:len(valid)-2] + `\u12`},
		"short unicode escape":    {valid, strings.Replace(valid, "1", `"\u12"`, 1)},
		"control character":       {valid, strings.Replace(valid, "1", "\"\x01\"", 1)},
		"minus":                   {valid, strings.Replace(valid, "1", "-", 1)},
		"no exponent":             {valid, strings.Replace(valid, "1", "1e+", 1)},
		"bad word":                {valid, strings.Replace(valid, "1", "nul", 1)},
		"other blank":             {valid, "\v" + valid},
		"byte order mark":         {valid, "\ufeff" + valid},
		"invalid UTF-8":           {valid, strings.Replace(valid, "1", "\"\xff\"", 1)},
		"longer than the value":   {`{"a":1}`, `{"a":2}`},
		"all new":                 {`["` + long + `"]`, `["` + strings.ToUpper(long) + `"]`},
		"another kind of root":    {`["` + long + `"]`, `{"a":"` + long + `"}`},
		"scalars":                 {`"` + long + `"`, `"` + long + `y"`},
		"half a surrogate as key": {valid, strings.Replace(valid, `"a"`, `"\ud83d"`, 1)},
		"wrong half":              {valid, strings.Replace(valid, `"a"`, `"\ude00\ud83d"`, 1)},
		"prototype":               {valid, strings.Replace(valid, `"a"`, `"__proto__"`, 1)},
		"escaped prototype":       {strings.Replace(valid, `"a"`, `"__proto_\u005f"`, 1), valid},
		"duplicate at the root":   {`{"b":1,` + valid[1:], `{"a":3,` + valid[1:]},
		"too deep":                {nested(maxDepth + 1), nested(maxDepth+1) + " "},
		"too long":                {`["` + strings.Repeat("x", MaxText) + `",1]`, `["` + strings.Repeat("x", MaxText) + `",2]`},
		"too many values":         {"[" + strings.Repeat("1,", maxNodes) + "1]", "[" + strings.Repeat("1,", maxNodes) + "2]"},
	} {
		if patch, ok := checkPatch(t, tt[0], tt[1]); ok {
			t.Errorf("%s: %.100s", name, patch)
		}
	}
}

func TestTLCP(t *testing.T) {
	alphabet := "abcdefghijklmnopqrstuvwxyz"
	for _, tt := range []struct{ old, next, want string }{
		{"abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnopqrstuvwxyz012|456789", "Bdb|bg"},
		{"foobar", "foo", ""}, // ^Td is no shorter
		{"foobar", "foob", "e"},
		{"a123", "a124", ""},
		{"#123", "#124", "db4"}, // the value would be %23124
		{alphabet, alphabet, "Ba"},
		{alphabet, alphabet[:3] + alphabet[10:], "dahq"},
		{alphabet, "zap" + alphabet, "adzapaBa"},
		{alphabet, alphabet + "!", "Bab!"},
		{alphabet, alphabet[:20], "u"},
		{alphabet + alphabet, alphabet + "0123456" + alphabet[6:], "Bah0123456gu"},
		{strings.Repeat("x", 700), strings.Repeat("x", 699), "BAx"},
		{strings.Repeat("é", 30) + "a", strings.Repeat("é", 30) + "ü", "Bebü"},
		{strings.Repeat("\uffff", 30) + "a", strings.Repeat("\uffff", 30) + "b", "Bebb"},
		{alphabet + "1" + "pqrst" + "2" + alphabet, alphabet + "3" + "pqrst" + "4" + alphabet, "Bab3bfb4bBa"},
		{alphabet + "1" + "pq" + "2" + alphabet, alphabet + "3" + "pq" + "4" + alphabet, "Bae3pq4eBa"}, // not worth copying
		{alphabet + "1" + "||" + "2" + alphabet, alphabet + "3" + "||" + "4" + alphabet, "Bab3bcb4bBa"},
	} {
		if got, ok := checkText(t, tt.old, tt.next); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s → %s: %q, want %q", tt.old, tt.next, got, tt.want)
		}
	}
}

func TestNoTLCP(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, tt := range map[string][2]string{
		"empty":            {"", ""},
		"from nothing":     {"", long},
		"to nothing":       {long, ""},
		"nothing common":   {long, strings.Repeat("y", 300)},
		"null's text":      {"#", "#"},
		"old beyond basic": {long + "😀", long},
		"new beyond basic": {long, long + "😀"},
		"invalid UTF-8":    {long, long + "\xff"},
		"surrogate":        {long, long + "\xed\xa0\x80"},
		"too long":         {strings.Repeat("x", MaxText+1), strings.Repeat("x", MaxText+1)},
	} {
		if diff, ok := checkText(t, tt[0], tt[1]); ok {
			t.Errorf("%s: %q", name, diff)
		}
	}
	if diff, ok := checkText(t, long, long+"\ufffd"); !ok {
		t.Errorf("no diff with U+FFFD, which is a character: %q", diff)
	}
}

// TestRandomText edits texts at random: there is a diff that does it, and few edits make a short one.
func TestRandomText(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 1000 {
		letters := []string{"ab", "abcdefghijklmnopqrstuvwxyz ", "%|\r\n", "aé漢", "0123456789.,:{}\""}[rng.IntN(5)]
		old := randomText(rng, letters, rng.IntN(2000))
		edits := rng.IntN(6)
		next := []rune(old)
		for range edits {
			at := rng.IntN(len(next) + 1)
			cut := min(rng.IntN(10)*rng.IntN(20), len(next)-at)
			next = []rune(string(next[:at]) + randomText(rng, letters, rng.IntN(10)*rng.IntN(20)) + string(next[at+cut:]))
		}
		diff, ok := checkText(t, old, string(next))
		if edits == 0 && len(next) > 10 && (!ok || len(diff) > 4) {
			t.Errorf("equal texts of %d characters: diff %q", len(next), diff)
		}
		if t.Failed() {
			t.Fatalf("round %d", i)
		}
	}
}

func randomText(rng *rand.Rand, letters string, n int) string {
	all := []rune(letters)
	out := make([]rune, n)
	for i := range out {
		out[i] = all[rng.IntN(len(all))]
	}
	return string(out)
}

// TestTextGain wants diffs to be about as long as what has changed, also where a shortest script would be too long to look for.
func TestTextGain(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	words := strings.Fields("the quick brown fox jumps over a lazy dog while seven wizards mix boxing gloves")
	prose := func(n int) string {
		var b strings.Builder
		for b.Len() < n {
			fmt.Fprintf(&b, "%s%d ", words[rng.IntN(len(words))], rng.IntN(100))
		}
		return b.String()
	}
	a, b, c, d, e := prose(2000), prose(600), prose(3000), prose(400), prose(1500)
	for name, tt := range map[string]struct {
		old, next string
		limit     int
	}{
		"one word":             {a + "first" + c, a + "second" + c, 20},
		"two small edits":      {a + "1" + c + "2" + e, a + "3" + c + "4" + e, 30},
		"long insertion":       {a + "x" + c + e, a + b + c + "y" + e, len(b) + 40},
		"long deletion":        {a + b + c + "x" + e, a + c + "y" + e, 100},
		"two long edits":       {a + b + c + "x" + e, a + c + d + e, len(d) + 100},
		"everything different": {a, c, len(c)},
		"accents":              {"é" + a + b + c + e, "é" + a + c + d + e, len(d) + 100},
	} {
		if diff, ok := checkText(t, tt.old, tt.next); ok && len(diff) > tt.limit || !ok && name != "everything different" {
			t.Errorf("%s: diff of %d bytes (%v), want at most %d", name, len(diff), ok, tt.limit)
		}
	}
}

// TestRandomJSON edits documents at random.
func TestRandomJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	patches := 0
	for i := range 1000 {
		g := generator{rng}
		doc := g.value(4)
		next := doc
		for range 1 + rng.IntN(3) {
			next = g.edit(next, 0)
		}
		if _, ok := checkPatch(t, g.write(doc), g.write(next)); ok {
			patches++
		}
		if t.Failed() {
			t.Fatalf("round %d", i)
		}
	}
	if patches < 600 {
		t.Errorf("only %d patches", patches)
	}
}

// FuzzJSONPatch wants every patch to do what it should, and a change of one member to be found.
func FuzzJSONPatch(f *testing.F) {
	pad := strings.Repeat("x", 80)
	for _, s := range [][2]string{
		{`{"a":1,"pad":"` + pad + `"}`, `{"a":2,"pad":"` + pad + `"}`},
		{`[1,2,3,"` + pad + `"]`, `[2,3,"` + pad + `",4]`},
		{`{"a":{"b":[{"c":1}]},"p":"` + pad + `"}`, `{"p":"` + pad + `","a":{"b":[{"c":2},null]}}`},
		{`{"\u0061/~\"":1e5,"p":"` + pad + `"}`, ` { "a/~\"" : -1E-5 , "p" : "` + pad + `" } `},
		{`{"k":1,"k":2,"p":"` + pad + `"}`, `{"k":1,"k":3,"p":"` + pad + `"}`},
		{`[[[[1]]]]`, `[[[[2]]],"` + pad + `"]`},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, old, next string) {
		checkPatch(t, old, next)
		checkPatch(t, next, old)
		if _, err := decode(old); err == nil && len(old) < 10000 && utf8.ValidString(old) && !strings.Contains(old, "\\") && !strings.Contains(old, proto) && strings.Count(old, "[")+strings.Count(old, "{") < maxDepth {
			if _, ok := checkPatch(t, "["+old+`,1,"`+pad+`"]`, "["+old+`,2,"`+pad+`"]`); !ok {
				t.Errorf("no patch around %q", old)
			}
		}
	})
}

// FuzzTLCP wants every diff to do what it should, and equal texts to be recognised.
func FuzzTLCP(f *testing.F) {
	for _, s := range [][2]string{
		{"foobar", "fzapbar"}, {"foobar", "foo"}, {"abcabcabcabc", "cabcabcabcab"}, {"é漢字", "é字漢"}, {"a|b%c\r\n", "a|b%d\r\n"},
		{strings.Repeat("ab", 200), strings.Repeat("ba", 190)}, {"😀", "😁"}, {"\xff", "\xfe"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, old, next string) {
		checkText(t, old, next)
		checkText(t, strings.Repeat(old, 3), next+old)
		if _, ok := checkText(t, next, next); !ok && len(next) > 40 && len(next) < 10000 {
			if _, basic := basic(next); basic {
				t.Errorf("no diff between equal texts %q", next)
			}
		}
	})
}
