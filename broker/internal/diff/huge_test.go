package diff

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// hostile are pairs of texts of a megabyte each, made to be hard to compare.
func hostile() map[string][2]string {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = MaxText - 64
	random := randomText(rng, "abcdefghijklmnop", n)
	reversed := []byte(random)
	slices.Reverse(reversed)
	lines := func(seed uint64) string {
		rng := rand.New(rand.NewPCG(seed, 3))
		var b strings.Builder
		for b.Len() < n-40 {
			fmt.Fprintf(&b, "line %d of the same few\n", rng.IntN(7))
		}
		return b.String()
	}
	numbers := func(from, step int) string {
		var b strings.Builder
		b.WriteString("[0")
		for i := 0; b.Len() < n-16 && i < maxNodes-8; i++ {
			fmt.Fprintf(&b, ",%d", from+i*step)
		}
		return b.String() + "]"
	}
	objects := func(v int) string {
		var b strings.Builder
		b.WriteString(`[{}`)
		for i := 0; b.Len() < n-100 && i < maxNodes/8; i++ {
			fmt.Fprintf(&b, `,{"a":%d,"b":[%d,%d],"c":"%s"}`, i*v, v, i, strings.Repeat("x", 20+(i*v)%50))
		}
		return b.String() + "]"
	}
	return map[string][2]string{
		"reversed":         {random, string(reversed)},
		"de Bruijn":        {deBruijn(n), deBruijn(n)[n/3:] + deBruijn(n)[:n/3]},
		"two letters":      {randomText(rng, "ab", n), randomText(rng, "ab", n)},
		"repeated lines":   {lines(1), lines(2)},
		"one letter":       {strings.Repeat("a", n), "b" + strings.Repeat("a", n-2) + "b"},
		"runs":             {runs(rng, "x", n/2), runs(rng, "y", n/2)},
		"shifted elements": {numbers(0, 1), numbers(7, 3)},
		"moved elements":   {numbers(0, 1), "[" + numbers(1000, 1)[3:]},
		"objects":          {objects(1), objects(3)},
	}
}

// deBruijn is a text in which no 17 characters come twice.
func deBruijn(n int) string {
	var b strings.Builder
	state := uint32(1)
	for b.Len() < n { // a shift register of 20 bits
		bit := (state ^ state>>3) & 1
		state = state>>1 | bit<<19
		b.WriteByte('a' + byte(state&1))
	}
	return b.String()[:n]
}

// TestHuge: no texts take more steps than the bound, whatever their length; and what is found is a
// difference.
func TestHuge(t *testing.T) {
	for name, tt := range hostile() {
		old, next := tt[0], tt[1]
		if len(old) > MaxText || len(next) > MaxText {
			t.Fatalf("%s: %d and %d bytes", name, len(old), len(next))
		}
		e := new(editor)
		appendTLCP(e, nil, []byte(old), []byte(next), room(next))
		// Beyond the bound goes what is begun with the last step: a pass over the text, and the
		// search for a short script.
		if spare := 3 * (len(old) + len(next)); e.steps < -spare {
			t.Errorf("TLCP, %s: %d steps", name, maxSteps-e.steps)
		}
		p := patcherPool.New().(*patcher)
		p.patch(nil, old, next)
		if spare := 3 * (len(old) + len(next)); p.steps < -spare || p.editor.steps < -maxEdits*maxEdits-spare {
			t.Errorf("JSON Patch, %s: %d and %d steps", name, maxSteps-p.steps, -p.editor.steps)
		}
		checkText(t, old, next)
		checkPatch(t, old, next)
	}
}

// BenchmarkHuge is what such texts take.
func BenchmarkHuge(b *testing.B) {
	for name, tt := range hostile() {
		for kind, f := range kinds {
			b.Run(kind+"/"+strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
				for b.Loop() {
					f(nil, tt[0], tt[1])
				}
			})
		}
	}
}
