package session

import (
	"unicode/utf8"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/diff"
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

// line appends the U line for the values in the session's scratch space. What it does to the client is noted by sent.
func (q *itemQueue) line(dst []byte) []byte {
	s := q.sub.s
	q.differ()
	return tlcp.AppendUpdateDiffs(dst, q.sub.id, q.pos, q.last, s.values, s.diffs)
}

// differ puts into the session's scratch space what can be sent instead of the values there; nothing if no field is declared for it.
func (q *itemQueue) differ() {
	s := q.sub.s
	s.diffs = s.diffs[:0]
	if !q.cols.Deltas() || s.accepts == (accepted{}) || len(q.last) != len(s.values) {
		return
	}
	for i := range s.values {
		s.diffs = append(s.diffs, q.difference(i))
	}
}

// difference returns what can be sent instead of the value of field i: by the first of the declared algorithms that the client accepts
// and that makes it shorter. The zero element is none.
func (q *itemQueue) difference(i int) tlcp.Element {
	s := q.sub.s
	d, old, next := q.cols.Delta(i), q.last[i], s.values[i]
	if d == nil || old == next || old.Null || next.Null {
		return tlcp.Element{}
	}
	for _, a := range d.Order() {
		var e tlcp.Element
		var ok bool
		switch {
		case a == provider.JSONPatch && s.accepts.patches && s.m.cfg.patchable(old.S) && s.m.cfg.patchable(next.S):
			e.Kind = tlcp.JSONPatch
			e.Value.S, ok = d.Difference(a, old.S, next.S, jsonPatch)
		case a == provider.DiffMatchPatch && s.accepts.texts && !q.document(i):
			e.Kind = tlcp.TLCPDiff
			e.Value.S, ok = d.Difference(a, old.S, next.S, textDiff)
		}
		if ok {
			return e
		}
	}
	return tlcp.Element{}
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
		case q.document(i) && q.last[i] != s.values[i]: // a complete value
			q.documents[i] = false
		}
	}
	q.last = append(q.last[:0], s.values...)
}
