package session

import (
	"unicode/utf8"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/diff"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/item"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// accepted are the formats of differences a client gets.
type accepted struct{ patches, texts bool }

// acceptedBy is what the version knows, unless the client restricts it.
func acceptedBy(v tlcp.Version, d tlcp.Diffs) accepted {
	if !v.HasDiffs() {
		return accepted{}
	}
	return accepted{patches: !d.Restricted || d.JSONPatch, texts: !d.Restricted || d.TLCPDiff}
}

// line appends the U line for the values in the session's scratch space, unless a difference has to
// be found first. What it does to the client is noted by sent.
func (q *itemQueue) line(dst []byte) ([]byte, verdict) {
	s := q.sub.s
	if !q.differ() {
		return dst, unready
	}
	return tlcp.AppendUpdateDiffs(dst, q.sub.id, q.pos, s.held, s.values, s.diffs), made
}

// differ puts into the session's scratch space what can be sent instead of the values there;
// nothing if no field is declared for it. It returns false if a difference has to be found without
// the lock: it is in Session.puzzle then.
func (q *itemQueue) differ() bool {
	s := q.sub.s
	s.diffs = s.diffs[:0]
	if !q.cols.Deltas() || s.accepts == (accepted{}) || len(s.held) != len(s.values) {
		return true
	}
	for i := range s.values {
		e, p := q.difference(i, s.held[i], s.values[i])
		if p != nil && q.tries < maxTries {
			q.tries++
			s.puzzle = p
			return false
		}
		s.diffs = append(s.diffs, e)
	}
	return true
}

// difference returns what can be sent instead of the value of field i: by the first of the declared
// algorithms that the client accepts and that makes it shorter. The zero element is none. If it
// takes too much work to find it with the session's lock held, it is left to the puzzle.
func (q *itemQueue) difference(i int, old, next tlcp.Value) (tlcp.Element, *puzzle) {
	s := q.sub.s
	d := q.cols.Delta(i)
	if d == nil || old == next || old.Null || next.Null {
		return tlcp.Element{}, nil
	}
	for _, a := range d.Order() {
		var e tlcp.Element
		switch {
		case a == provider.JSONPatch && s.accepts.patches && s.m.cfg.patchable(old.S) && s.m.cfg.patchable(next.S):
			e.Kind = tlcp.JSONPatch
		case a == provider.DiffMatchPatch && s.accepts.texts && !q.document(i):
			e.Kind = tlcp.TLCPDiff
		default:
			continue
		}
		text, ok, known := d.Known(a, old.S, next.S)
		if !known {
			p := puzzle{delta: d, algorithm: a, old: old.S, next: next.S}
			switch {
			case s.solved.same(&p):
				text, ok = s.solved.text, s.solved.ok
			case len(old.S)+len(next.S) > maxInline:
				return tlcp.Element{}, &p
			default:
				p.solve(s.m)
				text, ok = p.text, p.ok
			}
		}
		if ok {
			e.Value.S = text
			return e, nil
		}
	}
	return tlcp.Element{}, nil
}

// maxInline is how long two values may be in all for their difference to be found with the
// session's lock held.
const maxInline = 4 << 10

// maxTries is for how many differences a line waits. Values that change faster than they can be
// compared are sent whole.
const maxTries = 16

// puzzle is a difference to be found.
type puzzle struct {
	delta     *item.Delta
	algorithm provider.DiffAlgorithm
	old, next string
	text      string
	ok        bool
}

// same reports whether p, which may be nil, is about the same difference as other.
func (p *puzzle) same(other *puzzle) bool {
	return p != nil && p.delta == other.delta && p.algorithm == other.algorithm && p.next == other.next && p.old == other.old
}

// solve finds the difference. It may take a while, and needs no lock.
func (p *puzzle) solve(m *Manager) {
	find := m.patch
	if p.algorithm == provider.DiffMatchPatch {
		find = m.diff
	}
	p.text, p.ok = p.delta.Difference(p.algorithm, p.old, p.next, find)
}

// patchable says whether a value is long enough for a JSON Patch.
func (c *Config) patchable(s string) bool {
	return len(s) >= c.MinPatchLength && (len(s) >= utf8.UTFMax*c.MinPatchLength || utf8.RuneCountInString(s) >= c.MinPatchLength)
}

func jsonPatch(old, next string) (string, bool) {
	out, ok := diff.JSONPatch(nil, old, next)
	return string(out), ok
}

func textDiff(old, next string) (string, bool) {
	out, ok := diff.TLCP(nil, old, next)
	return string(out), ok
}

// document says whether the client holds field i as a JSON document, to which only JSON Patches can be applied.
func (q *itemQueue) document(i int) bool { return q.documents != nil && q.documents[i] }

// sent notes that the line for the values in the scratch space is being written: what the client holds now.
func (q *itemQueue) sent() {
	s := q.sub.s
	for i := range s.diffs {
		switch {
		case s.diffs[i].Kind == tlcp.JSONPatch:
			if q.documents == nil {
				q.documents = make([]bool, len(s.values))
			}
			q.documents[i] = true
		case q.document(i) && s.held[i] != s.values[i]: // a complete value
			q.documents[i] = false
		}
	}
	s.sent++
	q.tries = 0
	q.holds(s.now, s.op)
}
