package diff

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator makes JSON documents, of the types list, members and literal.
type generator struct{ rng *rand.Rand }

type (
	list    []any
	members []member // some with a key that comes twice
	literal string
)

type member struct {
	key   string // as it is written
	value any
}

func (g generator) pick(s ...string) string { return s[g.rng.IntN(len(s))] }

func (g generator) key() string {
	return g.pick("a", "b", "c", "d", "e", "long key", "", "a/b", "~", "~1", `\"`, `\\`, `\u0061`, `\n`, "é", "0", "-", `\ud83d\ude00`, "%|")
}

func (g generator) scalar() literal {
	if g.rng.IntN(3) == 0 {
		return literal(`"` + strings.Repeat(g.pick("x", "y z", "漢", `\t`, "|"), g.rng.IntN(30)) + `"`)
	}
	return literal(g.pick("0", "1", "-1.50", "1e400", "123456789012345678901", "true", "false", "null", `""`, `"a"`, `"\u0061"`, `"a b"`))
}

func (g generator) value(depth int) any {
	n := g.rng.IntN(8)
	switch kind := g.rng.IntN(5); {
	case depth == 0 || kind == 0 && depth < 4:
		return g.scalar()
	case kind < 3:
		var m members
		for range n {
			m = append(m, g.member(m, depth-1))
		}
		return m
	}
	var l list
	for range n {
		l = append(l, g.value(depth-1))
	}
	return l
}

// member makes one more member; seldom with a key that is there already.
func (g generator) member(m members, depth int) member {
	for {
		key := g.key()
		if !slices.ContainsFunc(m, func(x member) bool { return x.key == key }) || g.rng.IntN(50) == 0 {
			return member{key, g.value(depth)}
		}
	}
}

// edit returns a copy with one change somewhere inside.
func (g generator) edit(v any, depth int) any {
	if g.rng.IntN(8) == 0 && depth > 0 {
		return g.value(2)
	}
	at := func(n int) int { return g.rng.IntN(n + 1) }
	switch v := v.(type) {
	case list:
		v = slices.Clone(v)
		i := at(len(v))
		switch op := g.rng.IntN(4); {
		case op == 0 || i == len(v):
			return slices.Insert(v, i, g.value(2))
		case op == 1:
			return slices.Delete(v, i, i+1)
		default:
			v[i] = g.edit(v[i], depth+1)
		}
		return v
	case members:
		v = slices.Clone(v)
		i := at(len(v))
		switch op := g.rng.IntN(6); {
		case op == 0 || i == len(v):
			return slices.Insert(v, i, g.member(v, 2))
		case op == 1:
			return slices.Delete(v, i, i+1)
		case op == 2:
			v[0], v[i] = v[i], v[0]
		default:
			v[i].value = g.edit(v[i].value, depth+1)
		}
		return v
	}
	return g.scalar()
}

// write returns the text of a value, with blanks here and there.
func (g generator) write(v any) string {
	blank := func() string {
		if g.rng.IntN(200) == 0 {
			return g.pick(" ", "\n\t", "\r\n  ")
		}
		return ""
	}
	var parts []string
	switch v := v.(type) {
	case list:
		for _, e := range v {
			parts = append(parts, blank()+g.write(e)+blank())
		}
		return "[" + blank() + strings.Join(parts, ",") + "]"
	case members:
		for _, m := range v {
			parts = append(parts, fmt.Sprintf("%s\"%s\"%s:%s%s", blank(), m.key, blank(), blank(), g.write(m.value)))
		}
		return "{" + strings.Join(parts, ",") + blank() + "}"
	case literal:
		return string(v)
	}
	panic("unknown kind of value")
}
