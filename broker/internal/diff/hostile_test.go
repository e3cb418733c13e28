package diff

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSteps: texts made to be hard to compare take no more work than their length allows. What is counted is comparisons and bytes
// written, so that the test says the same on any machine.
func TestSteps(t *testing.T) {
	const n = 20_000
	rng := rand.New(rand.NewPCG(7, 8))
	key := strings.Repeat("k", n)
	deep := func(v string) string {
		return strings.Repeat(`{"`+strings.Repeat("k", 300)+`":[1,`, 60) + v + strings.Repeat("]}", 60)
	}
	count := func(from, step int) string {
		var b strings.Builder
		for i := range n / 8 {
			fmt.Fprintf(&b, "%s%d", map[bool]string{true: ","}[i > 0], from+step*i)
		}
		return "[" + b.String() + "]"
	}
	many := func(v int) string {
		var b strings.Builder
		for i := range n / 16 {
			fmt.Fprintf(&b, `%s"%s%d":%d`, map[bool]string{true: ","}[i > 0], "a long common beginning", i, v)
		}
		return "{" + b.String() + "}"
	}
	for name, tt := range map[string][2]string{
		"random":        {randomText(rng, "abcdefgh", n), randomText(rng, "abcdefgh", n)},
		"two letters":   {randomText(rng, "ab", n), randomText(rng, "ab", n)},
		"one letter":    {strings.Repeat("a", n), "b" + strings.Repeat("a", n/2) + "b"},
		"periodic":      {strings.Repeat("abcabcabd", n/9), strings.Repeat("abcabdabc", n/9)},
		"shifted":       {randomText(rng, "ab", 1000) + strings.Repeat("ab", n/2), strings.Repeat("ab", n/2) + randomText(rng, "ab", 1000)},
		"runs":          {runs(rng, "x", n), runs(rng, "y", n)},
		"wide":          {randomText(rng, "aé漢", n), randomText(rng, "aé漢", n)},
		"long path":     {`{"` + key + `":[[1],[2],[3],[4],[5],[6]]}`, `{"` + key + `":[[2],[3],[4],[5],[6],[7]]}`},
		"many paths":    {`{"` + key + `":` + count(0, 1) + `}`, `{"` + key + `":` + count(7, 3) + `}`},
		"deep":          {deep("1"), deep("2")},
		"deep, wide":    {deep(count(0, 1)), deep(count(5, 3))},
		"many numbers":  {count(0, 1), count(5, 3)},
		"many members":  {many(1), many(2)},
		"equal members": {many(1), many(1) + " "},
	} {
		texts := new(texts)
		texts.wa, texts.wb = wide(nil, tt[0]), wide(nil, tt[1])
		e := &texts.editor
		appendTLCP(e, nil, texts.wa, texts.wb, room(tt[1]))
		if spare := 8 * (len(tt[0]) + len(tt[1])); e.steps < -spare {
			t.Errorf("TLCP, %s: %d steps beyond %d", name, -e.steps, editSteps(len(texts.wa)+len(texts.wb)))
		}
		p := patcherPool.New().(*patcher)
		out, _ := p.patch(nil, tt[0], tt[1])
		if spare := 4 * (len(tt[0]) + len(tt[1])); p.steps < -spare {
			t.Errorf("JSON Patch, %s: %d steps beyond %d", name, -p.steps, patchSteps(tt[0], tt[1]))
		}
		if limit := 8 * (len(tt[0]) + len(tt[1])); cap(p.dst) > limit || len(out) > len(tt[1]) {
			t.Errorf("JSON Patch, %s: %d bytes of memory for %d of result", name, cap(p.dst), len(out))
		}
		checkPatch(t, tt[0], tt[1])
		checkText(t, tt[0], tt[1])
	}
}

// runs is a text that is equal to others like it over long stretches, at any distance.
func runs(rng *rand.Rand, between string, n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(strings.Repeat("a", rng.IntN(n/50)) + between)
	}
	return b.String()
}

// TestShortestLimit: the search for a shortest script ends when its steps do, after the round it is in.
func TestShortestLimit(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	a, b := []byte(runs(rng, "x", 20_000)), []byte(runs(rng, "y", 20_000))
	b = b[:min(len(a), len(b))]
	a = a[:len(b)]
	e := &editor{steps: 1 << 30}
	if shortest(e, a, b, 0, 0, 1<<30) {
		t.Fatal("a script was found")
	}
	all := 1<<30 - e.steps
	e.steps = 1 << 30
	if shortest(e, a, b, 0, 0, all/10) || 1<<30-e.steps > all/5 {
		t.Errorf("%d steps with a limit of %d", 1<<30-e.steps, all/10)
	}
	if len(e.hunks) > 0 {
		t.Errorf("hunks left behind: %v", e.hunks)
	}
}

// TestGivesUp: where each level of a document would be written and taken back, with a long path, it is not tried to the end.
func TestGivesUp(t *testing.T) {
	nested := func(depth, v int) string {
		leaf := fmt.Sprintf("[%d,%d,%d]", v, v+1, v+2)
		s := leaf
		for range depth {
			s = "[" + s + "," + leaf + "," + leaf + "," + leaf + "]"
		}
		return `{"` + strings.Repeat("k", 10_000) + `":` + s + `,"pad":"` + strings.Repeat("x", 30_000) + `"}`
	}
	for depth, want := range map[int]bool{3: true, 100: false} {
		p := patcherPool.New().(*patcher)
		if _, ok := p.patch(nil, nested(depth, 1), nested(depth, 5)); ok != want || (p.steps >= 0) != want {
			t.Errorf("depth %d: patch %v with %d steps left", depth, ok, p.steps)
		}
		checkPatch(t, nested(depth, 1), nested(depth, 5))
	}
}

// TestUnwind: the recursion is bounded whatever the texts.
func TestUnwind(t *testing.T) {
	for _, open := range []string{"[", `{"a":`, `[{"a":`, `[1,`} {
		s := strings.Repeat(open, MaxText/len(open))
		checkPatch(t, s, s)
		checkPatch(t, s+"1", s+"2")
	}
}

// TestConcurrent is for the race detector: scratch space is not shared.
func TestConcurrent(t *testing.T) {
	for g := range 4 {
		t.Run(fmt.Sprint(g), func(t *testing.T) {
			t.Parallel()
			gen := generator{rand.New(rand.NewPCG(uint64(g), 9))}
			for range 40 {
				doc := gen.value(4)
				next := gen.edit(doc, 0)
				a, b := gen.write(doc), gen.write(next)
				checkPatch(t, a, b)
				checkText(t, a, b)
			}
		})
	}
}
