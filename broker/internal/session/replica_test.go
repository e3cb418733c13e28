package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// replica is a client: it reads data notifications as the official ones do, complains where they would end the session, and keeps
// what an application would have seen.
type replica struct {
	t    *testing.T
	subs map[int]*replicaSub
	msgs []string
}

type replicaSub struct {
	fields, key, command int
	items                []replicaItem
	gone                 bool
}

type replicaItem struct {
	last   []tlcp.Value
	docs   []any // by field: the document it holds since a JSON Patch; nil: it holds a text
	eos    int
	events []string            // "a|b" for an update, EOS, CS, "OV n"
	rows   map[string][]string // COMMAND: the table the client would show
	lost   int64
}

func newReplica(t *testing.T) *replica { return &replica{t: t, subs: map[int]*replicaSub{}} }

func (r *replica) apply(lines []string) {
	for _, text := range lines {
		l, err := tlcp.ParseLine([]byte(text))
		if err != nil {
			r.t.Errorf("%q: %v", text, err)
			continue
		}
		switch l.Tag {
		case tlcp.TagSUBOK, tlcp.TagSUBCMD:
			if s := r.subs[l.SubID]; s != nil && !s.gone {
				r.t.Errorf("%q: already subscribed", text)
			}
			r.subs[l.SubID] = &replicaSub{fields: l.Fields, key: l.KeyPos - 1, command: l.CommandPos - 1, items: make([]replicaItem, l.Items)}
		case tlcp.TagMSGDONE, tlcp.TagMSGFAIL:
			r.msgs = append(r.msgs, text)
		case tlcp.TagCONF, tlcp.TagU, tlcp.TagEOS, tlcp.TagCS, tlcp.TagOV, tlcp.TagUNSUB:
			s := r.subs[l.SubID]
			if s == nil || s.gone {
				r.t.Errorf("%q: no such subscription", text)
				continue
			}
			s.apply(r.t, l, text)
		}
	}
}

func (s *replicaSub) apply(t *testing.T, l tlcp.Line, text string) {
	if l.Tag == tlcp.TagUNSUB {
		s.gone = true
	}
	if l.Item < 1 || l.Item > len(s.items) {
		return
	}
	it := &s.items[l.Item-1]
	switch l.Tag {
	case tlcp.TagEOS:
		if it.eos++; it.eos > 1 {
			t.Errorf("%q: second end of snapshot", text)
		}
		it.events = append(it.events, "EOS")
	case tlcp.TagCS:
		it.events = append(it.events, "CS")
		it.rows = nil
	case tlcp.TagOV:
		it.lost += l.Count
		it.events = append(it.events, fmt.Sprint("OV ", l.Count))
	case tlcp.TagU:
		elements, err := tlcp.AppendElements(nil, l.Values, s.fields)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			return
		}
		row := slices.Clone(it.last)
		if row == nil {
			row = make([]tlcp.Value, s.fields)
			it.docs = make([]any, s.fields)
		}
		shown := make([]string, s.fields)
		for i, e := range elements {
			if e.Kind != tlcp.Set && it.last == nil {
				t.Errorf("%q: the first update of the item leaves out field %d", text, i+1)
				continue
			}
			if err := it.change(&row[i], &it.docs[i], e); err != nil {
				t.Errorf("%q: field %d: %v", text, i+1, err)
			}
			if (i == s.key || i == s.command) && e.Kind > tlcp.Set {
				t.Errorf("%q: difference on key or command", text)
			}
			if shown[i] = row[i].S; row[i].Null {
				shown[i] = "#"
			}
		}
		it.last = row
		it.events = append(it.events, strings.Join(shown, "|"))
		if s.command >= 0 {
			it.command(t, shown, s.key, s.command, text)
		}
	}
}

// command keeps the table of a COMMAND item, and wants the commands to agree with it.
func (it *replicaItem) command(t *testing.T, shown []string, key, command int, text string) {
	if it.rows == nil {
		it.rows = map[string][]string{}
	}
	_, have := it.rows[shown[key]]
	switch cmd := shown[command]; {
	case cmd == "ADD" && !have, cmd == "UPDATE" && have:
		it.rows[shown[key]] = shown
	case cmd == "DELETE" && have:
		delete(it.rows, shown[key])
	default:
		t.Errorf("%q: %s of key %s, which is there: %v", text, cmd, shown[key], have)
	}
}

// equal compares what two clients have seen, except of some subscriptions.
func (r *replica) equal(want *replica, except ...int) {
	r.t.Helper()
	if !slices.Equal(r.msgs, want.msgs) {
		r.t.Errorf("messages %q, want %q", r.msgs, want.msgs)
	}
	for id, s := range want.subs {
		got := r.subs[id]
		if got == nil || got.gone != s.gone {
			r.t.Errorf("subscription %d: %+v, want %+v", id, got, s)
			continue
		}
		for i := range s.items {
			if !slices.Contains(except, id) && !slices.Equal(got.items[i].events, s.items[i].events) {
				r.t.Errorf("subscription %d: events %q, want %q", id, got.items[i].events, s.items[i].events)
			}
		}
	}
}
