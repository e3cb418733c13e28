package adapter

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// A Struct sends events made from structs of type T. Each exported field of T is a field of the event, under its own name or that of its tag:
//
//	type Quote struct {
//		Last   float64 `ls:"last_price"`
//		Time   string  `ls:"time"`
//		Status *string `ls:"item_status"`        // nil: null
//		Volume int     `ls:"volume,omitempty"`   // left out when 0: unchanged in MERGE mode
//		cached bool                              // not exported: not sent
//		Source string  `ls:"-"`                  // not sent
//	}
//
//	var quotes = adapter.NewStruct[Quote]()
//	...
//	quotes.Update(sub, &q)
//
// Fields can have the types that [Fields] allows, or be pointers to them. The plan is made once, by NewStruct; events are then encoded without a map
// and, but for [encoding.TextMarshaler], without allocating. A Struct is immutable and safe for concurrent use.
type Struct[T any] struct {
	fields   []structField
	userCode bool // one is a TextMarshaler
}

type structField struct {
	index     int
	head      []byte // "|S|<name>|S|"
	omitEmpty bool
	pointer   bool
	kind      valueKind
}

type valueKind uint8

const (
	textValue valueKind = iota
	bytesValue
	intValue
	uintValue
	floatValue
	float32Value
	boolValue
	marshalerValue
)

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

// NewStruct makes the plan for T. It panics if T is not a struct, or has a field that can't be sent: a mistake in the program, which shows when the
// program starts.
func NewStruct[T any]() *Struct[T] {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("adapter: NewStruct: %v is not a struct", t))
	}
	s := &Struct[T]{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("ls"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		field := structField{index: i, head: ari.AppendFieldName(nil, wire, name), omitEmpty: options == "omitempty"}
		vt := f.Type
		if vt.Kind() == reflect.Pointer {
			field.pointer, vt = true, vt.Elem()
		}
		kind, ok := valueKindOf(vt)
		if !ok || options != "" && !field.omitEmpty {
			panic(fmt.Sprintf("adapter: NewStruct: field %s of %v can't be sent: type %v, tag %q", f.Name, t, f.Type, f.Tag.Get("ls")))
		}
		field.kind = kind
		s.userCode = s.userCode || kind == marshalerValue
		s.fields = append(s.fields, field)
	}
	return s
}

func valueKindOf(t reflect.Type) (valueKind, bool) {
	if t.Implements(textMarshaler) {
		return marshalerValue, true
	}
	switch t.Kind() {
	case reflect.String:
		return textValue, true
	case reflect.Slice:
		return bytesValue, t.Elem().Kind() == reflect.Uint8
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return intValue, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return uintValue, true
	case reflect.Float64:
		return floatValue, true
	case reflect.Float32:
		return float32Value, true
	case reflect.Bool:
		return boolValue, true
	}
	return 0, false
}

// Update is [Subscription.Update] with the fields of v, which is read during the call.
func (s *Struct[T]) Update(sub *Subscription, v *T) error { return s.send(sub, live, "", "", v) }

// Snapshot is [Subscription.Snapshot] with the fields of v.
func (s *Struct[T]) Snapshot(sub *Subscription, v *T) error { return s.send(sub, snapshot, "", "", v) }

// Add is [Subscription.Add] with the fields of v; T must have no fields "key" and "command".
func (s *Struct[T]) Add(sub *Subscription, key string, v *T) error {
	return s.send(sub, snapshotIfOpen, "ADD", key, v)
}

// Modify is [Subscription.Modify] with the fields of v; T must have no fields "key" and "command".
func (s *Struct[T]) Modify(sub *Subscription, key string, v *T) error {
	return s.send(sub, live, "UPDATE", key, v)
}

func (s *Struct[T]) send(sub *Subscription, kind eventKind, command, key string, v *T) error {
	if s.userCode {
		return sub.sendCopy(kind, func(dst []byte) ([]byte, error) { return s.append(appendCommand(dst, command, key), v) })
	}
	return sub.send(kind, func(dst []byte) []byte {
		dst, _ = s.append(appendCommand(dst, command, key), v) // only user code fails
		return dst
	})
}

func (s *Struct[T]) append(dst []byte, v *T) ([]byte, error) {
	value := reflect.ValueOf(v).Elem()
	for i := range s.fields {
		f := &s.fields[i]
		x := value.Field(f.index)
		if f.omitEmpty && x.IsZero() {
			continue
		}
		dst = append(dst, f.head...)
		if f.pointer {
			if x.IsNil() {
				dst = append(dst, '#')
				continue
			}
			x = x.Elem()
		}
		var err error
		if dst, err = appendValue(dst, f.kind, x); err != nil {
			return dst, fmt.Errorf("field %s: %w", value.Type().Field(f.index).Name, err)
		}
	}
	return dst, nil
}

func appendValue(dst []byte, kind valueKind, x reflect.Value) ([]byte, error) {
	switch kind {
	case textValue:
		return ari.AppendString(dst, wire, x.String()), nil
	case bytesValue:
		if x.IsNil() {
			return append(dst, '#'), nil
		}
		return ari.AppendString(dst, wire, x.Bytes()), nil
	case intValue:
		return strconv.AppendInt(dst, x.Int(), 10), nil
	case uintValue:
		return strconv.AppendUint(dst, x.Uint(), 10), nil
	case floatValue:
		return appendFloatText(dst, x.Float(), 64), nil
	case float32Value:
		return appendFloatText(dst, x.Float(), 32), nil
	case boolValue:
		return strconv.AppendBool(dst, x.Bool()), nil
	}
	text, err := x.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return dst, err
	}
	return ari.AppendString(dst, wire, text), nil
}
