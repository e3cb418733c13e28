package adaptertest

import (
	"fmt"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// snapshotState follows the events of one subscription: snapshot events, the end of the snapshot, live events.
type snapshotState struct {
	mode  adapter.Mode // 0: not known, so what depends on it is not checked
	over  bool
	count int // snapshot events
	live  int
}

// update returns what is wrong with an update here, or "".
func (s *snapshotState) update(e Event) string {
	if e.Kind == LiveEvent {
		s.over = true
		s.live++
		return s.row(e)
	}
	s.count++
	switch {
	case s.over:
		return "a snapshot event after the end of the snapshot"
	case s.mode == adapter.Raw:
		return "a snapshot event for an item in RAW mode, which has no snapshot"
	case s.mode == adapter.Merge && s.count > 1:
		return "a second snapshot event: in MERGE mode one tells the whole state"
	}
	return s.row(e)
}

// row checks what makes an event one of COMMAND mode.
func (s *snapshotState) row(e Event) string {
	if s.mode != adapter.Command {
		return ""
	}
	if key, ok := e.Fields["key"].(string); !ok || key == "" {
		return `an event in COMMAND mode needs the field "key"`
	}
	switch command := e.Fields["command"]; {
	case command == "ADD":
		return ""
	case command != "UPDATE" && command != "DELETE":
		return fmt.Sprintf(`the field "command" is %s; in COMMAND mode it is ADD, UPDATE or DELETE`, showValue(command))
	case e.Kind == SnapshotEvent:
		return fmt.Sprintf("a snapshot event with the command %s: a snapshot in COMMAND mode is made of ADD", command)
	}
	return ""
}

func (s *snapshotState) endOfSnapshot() string {
	if s.over {
		return "the end of a snapshot that has ended already"
	}
	s.over = true
	return ""
}

// notification judges UD3, EOS, CLS and DFD.
func (k *checker) notification(r *received, line ari.Line) string {
	if wrong := stripStamp(r, line); wrong != "" {
		return wrong
	}
	if k.kind != DataAdapter {
		return fmt.Sprintf("%s from a Metadata Adapter", line.Method)
	}
	if !k.ready {
		return fmt.Sprintf("%s before the reply to the initialisation", line.Method)
	}
	item, id, err := parseNotification(&r.event, line, k.version)
	if err != nil {
		return err.Error()
	}
	s := k.subs[id]
	if s == nil && k.blind {
		return ""
	}
	if s == nil {
		return fmt.Sprintf("%s for the subscription %q, which was never made on this connection", line.Method, clip(id, 40))
	}
	if s.item != item {
		return fmt.Sprintf("%s for item %q under the subscription %q, which is that of item %q", line.Method, clip(item, 100), id, s.item)
	}
	if s.over != "" {
		return fmt.Sprintf("%s for item %q under the subscription %q, which %s", line.Method, item, id, s.over)
	}
	r.sub = s
	wrong := ""
	switch r.event.Kind {
	case LiveEvent, SnapshotEvent:
		wrong = s.state.update(r.event)
	case EndOfSnapshotEvent:
		wrong = s.state.endOfSnapshot()
	case ClearSnapshotEvent:
		s.state.over = true
	}
	if wrong != "" {
		wrong = fmt.Sprintf("item %q, subscription %q: %s", item, id, wrong)
	}
	return wrong
}

// parseNotification fills in e and returns item and subscription id.
func parseNotification(e *Event, line ari.Line, v ari.Version) (string, string, error) {
	switch line.Method {
	case ari.UD3:
		u, err := ari.ParseUpdate(line.Body, v)
		e.Kind = LiveEvent
		if u.Snapshot {
			e.Kind = SnapshotEvent
		}
		e.Fields = make(adapter.Fields, len(u.Fields))
		for _, f := range u.Fields {
			if f.Value.Null {
				e.Fields[f.Name] = nil
			} else {
				e.Fields[f.Name] = f.Value.S
			}
		}
		if err == nil && len(e.Fields) != len(u.Fields) {
			err = fmt.Errorf("a field occurs twice in an update of item %q", u.Item)
		}
		return u.Item, u.SubID, err
	case ari.DFD:
		item, id, order, err := ari.ParseDiffOrder(line.Body, v)
		e.Kind = DiffOrderEvent
		e.Order = make(adapter.FieldDiffOrder, len(order))
		for _, d := range order {
			if d.None {
				continue
			}
			algorithms := []adapter.DiffAlgorithm{}
			for _, a := range d.Algorithms {
				algorithms = append(algorithms, adapter.DiffAlgorithm(a))
			}
			e.Order[d.Field] = algorithms
		}
		return item, id, err
	case ari.CLS:
		e.Kind = ClearSnapshotEvent
	default:
		e.Kind = EndOfSnapshotEvent
	}
	return ari.ParseItemEvent(line.Body, v)
}
