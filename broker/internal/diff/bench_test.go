package diff

import (
	"fmt"
	"strings"
	"testing"
)

// quote is a document of about 1.7 KB, of which two values change.
func quote(last, volume int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"symbol":"ANDRA","last":%d.25,"volume":%d,"book":[`, last, volume)
	for i := range 20 {
		fmt.Fprintf(&b, `%s{"price":%d.5,"size":%d,"orders":[1,2,3],"venue":"exchange %d"}`, map[bool]string{true: ","}[i > 0], 100+i, 10*i, i)
	}
	b.WriteString(`],"status":"open","note":"the quick brown fox jumps over the lazy dog","flags":{"halted":false,"auction":null}}`)
	return b.String()
}

var kinds = map[string]func([]byte, string, string) ([]byte, bool){"JSONPatch": JSONPatch, "TLCP": TLCP}

func BenchmarkDiff(b *testing.B) {
	old, next := quote(3, 1000), quote(4, 1017)
	for name, f := range kinds {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(next)))
			var dst []byte
			for b.Loop() {
				dst, _ = f(dst[:0], old, next)
			}
			b.ReportMetric(float64(len(dst)), "bytes")
		})
	}
}

// BenchmarkHopeless compares texts that have nothing in common.
func BenchmarkHopeless(b *testing.B) {
	old, next := quote(3, 1000), strings.NewReplacer(`":`, `_":1`, "1", "9", "2", "8", "3", "7", "e", "u", "o", "a").Replace(quote(4, 1017))
	for name, f := range kinds {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f(nil, old, next)
			}
		})
	}
}

// TestAllocs: once there is scratch space, a difference takes no memory but the result's.
func TestAllocs(t *testing.T) {
	old, next := quote(3, 1000), quote(4, 1017)
	dst := make([]byte, 0, 4096)
	p, e := patcherPool.New().(*patcher), new(editor) // not from a pool, which may be emptied at any time
	for name, f := range map[string]func() ([]byte, bool){
		"JSONPatch": func() ([]byte, bool) { return p.patch(dst, old, next) },
		"TLCP":      func() ([]byte, bool) { return appendTLCP(e, dst, []byte(old), []byte(next), room(next)) },
	} {
		n := testing.AllocsPerRun(100, func() {
			if out, ok := f(); !ok || len(out) > 200 {
				t.Fatalf("%s: %q", name, out)
			}
		})
		if limit := map[string]float64{"TLCP": 2}[name]; n > limit { // the two conversions here
			t.Errorf("%s: %v allocations, want at most %v", name, n, limit)
		}
	}
}
