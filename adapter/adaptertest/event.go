package adaptertest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// An EventKind says what an [Event] is.
type EventKind uint8

// The kinds of event.
const (
	LiveEvent          EventKind = iota + 1 // UD3, not part of the snapshot
	SnapshotEvent                           // UD3, part of the snapshot
	EndOfSnapshotEvent                      // EOS
	ClearSnapshotEvent                      // CLS
	DiffOrderEvent                          // DFD
)

// String names the kind.
func (k EventKind) String() string {
	switch k {
	case LiveEvent:
		return "update"
	case SnapshotEvent:
		return "snapshot"
	case EndOfSnapshotEvent:
		return "end of snapshot"
	case ClearSnapshotEvent:
		return "clear snapshot"
	case DiffOrderEvent:
		return "field diff order"
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// An Event is something an adapter has sent for an item.
type Event struct {
	Kind EventKind
	// Fields of an update or a snapshot event. Values are strings, or nil for null; a field that was left out is not in the map.
	Fields adapter.Fields
	// Order of a DiffOrderEvent.
	Order adapter.FieldDiffOrder
}

// String shows the event in a line.
func (e Event) String() string {
	switch e.Kind {
	case LiveEvent, SnapshotEvent:
		return fmt.Sprintf("%s{%s}", e.Kind, showFields(e.Fields))
	case DiffOrderEvent:
		return fmt.Sprintf("%s%v", e.Kind, e.Order)
	}
	return e.Kind.String()
}

// An Expectation says what a test wants to see next of an item; see [Item.Expect].
type Expectation struct {
	what   string
	answer answer
	kind   ErrorKind
	match  func(Event) bool
	only   []string // names of all the fields; nil: there may be others
}

// answer is what an Expectation about a reply, not an event, waits for.
type answer uint8

const (
	noAnswer answer = iota
	subscribed
	refused
	unsubscribed
)

// String says what is expected.
func (x Expectation) String() string { return x.what }

// Only returns the expectation of the same event with no other fields than those named.
func (x Expectation) Only() Expectation {
	if x.match == nil || x.only == nil {
		return x
	}
	match, only := x.match, x.only
	x.what += " and no other field"
	x.match = func(e Event) bool { return match(e) && len(e.Fields) == len(only) }
	return x
}

// Update expects a live event with the given fields: names and values in turn. A value is a string, nil for null, or what fmt.Sprint makes a
// string of; [Any] stands for each of them. Other fields may be there as well, see [Expectation.Only]. It panics if a value is missing or
// a name is not a string.
func Update(fields ...any) Expectation { return expectFields(LiveEvent, pairs(fields)) }

// Snapshot expects an event of the snapshot; fields are as in [Update].
func Snapshot(fields ...any) Expectation { return expectFields(SnapshotEvent, pairs(fields)) }

// Add expects a new row of an item in COMMAND mode, of the snapshot or live; fields are as in [Update], besides key and command.
func Add(key string, fields ...any) Expectation {
	x := expectFields(LiveEvent, withCommand("ADD", key, fields))
	live := x.match
	x.what = "row" + x.what[len(LiveEvent.String()):]
	x.match = func(e Event) bool {
		if e.Kind == SnapshotEvent {
			e.Kind = LiveEvent
		}
		return live(e)
	}
	return x
}

// Modify expects a changed row of an item in COMMAND mode, see [Add].
func Modify(key string, fields ...any) Expectation {
	return expectFields(LiveEvent, withCommand("UPDATE", key, fields))
}

// Delete expects the end of a row of an item in COMMAND mode.
func Delete(key string) Expectation {
	return expectFields(LiveEvent, withCommand("DELETE", key, nil))
}

// EndOfSnapshot expects the end of the snapshot.
func EndOfSnapshot() Expectation { return expectKind(EndOfSnapshotEvent) }

// ClearSnapshot expects that the item is declared empty.
func ClearSnapshot() Expectation { return expectKind(ClearSnapshotEvent) }

// DiffOrder expects a declaration of algorithms, exactly this one.
func DiffOrder(order adapter.FieldDiffOrder) Expectation {
	return Expectation{
		what: fmt.Sprintf("%s%v", DiffOrderEvent, order),
		match: func(e Event) bool {
			return e.Kind == DiffOrderEvent && maps.EqualFunc(e.Order, order, slices.Equal)
		},
	}
}

// Subscribed expects that the subscription succeeds.
func Subscribed() Expectation { return Expectation{what: "subscribed", answer: subscribed} }

// Refused expects that the subscription is refused; kind can be [AnyError].
func Refused(kind ErrorKind) Expectation {
	return Expectation{what: "refused with " + kind.String(), answer: refused, kind: kind}
}

// Unsubscribed expects that the unsubscription succeeds. Events that crossed it are passed over.
func Unsubscribed() Expectation { return Expectation{what: "unsubscribed", answer: unsubscribed} }

type anyValue struct{}

// Any stands for whatever value, null included, of a field that has to be there.
var Any any = anyValue{}

func expectKind(kind EventKind) Expectation {
	return Expectation{what: kind.String(), match: func(e Event) bool { return e.Kind == kind }}
}

type pair struct {
	name  string
	value any
}

func pairs(fields []any) []pair {
	if len(fields)%2 != 0 {
		panic("adaptertest: a field without a value: fields are names and values in turn")
	}
	list := make([]pair, 0, len(fields)/2)
	for i := 0; i < len(fields); i += 2 {
		name, ok := fields[i].(string)
		if !ok {
			panic(fmt.Sprintf("adaptertest: %v (%T) stands where the name of a field is due", fields[i], fields[i]))
		}
		value := fields[i+1]
		switch value.(type) {
		case nil, string, anyValue:
		default:
			value = fmt.Sprint(value)
		}
		list = append(list, pair{name, value})
	}
	return list
}

func withCommand(command, key string, fields []any) []pair {
	return append([]pair{{"key", key}, {"command", command}}, pairs(fields)...)
}

func expectFields(kind EventKind, fields []pair) Expectation {
	shown := adapter.Fields{}
	names := []string{}
	for _, p := range fields {
		shown[p.name] = p.value
		if p.value == Any {
			shown[p.name] = wildcard{}
		}
		names = append(names, p.name)
	}
	return Expectation{
		what: Event{Kind: kind, Fields: shown}.String(),
		only: names,
		match: func(e Event) bool {
			if e.Kind != kind {
				return false
			}
			for _, p := range fields {
				value, ok := e.Fields[p.name]
				if !ok || p.value != Any && value != p.value {
					return false
				}
			}
			return true
		},
	}
}

// wildcard is how Any shows.
type wildcard struct{}

func (wildcard) String() string { return "*" }
