package adapter

import (
	"encoding"
	"fmt"
	"math"
	"strconv"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// Fields are the fields of one event by name. Values can be
//
//   - string and []byte: the text; bytes that are not UTF-8 become U+FFFD
//   - nil: null (in an update of MERGE or COMMAND: the field becomes null; a field left out does not change)
//   - bool, integers and floats: their shortest decimal text
//   - [encoding.TextMarshaler]: its text
//
// Any other value is an error that names field and type, and nothing is sent. The map and what it holds are read only during
// the call. For values that are all text, [Subscription.UpdateStrings] is faster; for feeds that send the same fields each time, [Schema] is.
type Fields map[string]any

func appendFields(dst []byte, fields Fields) ([]byte, error) {
	var err error
	for name, value := range fields {
		if dst, err = appendAny(dst, name, value); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendStrings(dst []byte, fields map[string]string) []byte {
	for name, value := range fields {
		dst = ari.AppendField(dst, wire, name, value)
	}
	return dst
}

// wire is the encoding of everything that data adapters send: they refuse proxies that do not speak 1.9.1.
const wire = ari.Smart

func appendAny(dst []byte, name string, value any) ([]byte, error) {
	switch v := value.(type) {
	case string:
		return ari.AppendField(dst, wire, name, v), nil
	case nil:
		return ari.AppendNullField(dst, wire, name), nil
	case []byte:
		return ari.AppendField(dst, wire, name, v), nil
	case int:
		return appendInt(dst, name, int64(v)), nil
	case int64:
		return appendInt(dst, name, v), nil
	case int32:
		return appendInt(dst, name, int64(v)), nil
	case int16:
		return appendInt(dst, name, int64(v)), nil
	case int8:
		return appendInt(dst, name, int64(v)), nil
	case uint:
		return appendUint(dst, name, uint64(v)), nil
	case uint64:
		return appendUint(dst, name, v), nil
	case uint32:
		return appendUint(dst, name, uint64(v)), nil
	case uint16:
		return appendUint(dst, name, uint64(v)), nil
	case uint8:
		return appendUint(dst, name, uint64(v)), nil
	case float64:
		return appendFloat(dst, name, v, 64), nil
	case float32:
		return appendFloat(dst, name, float64(v), 32), nil
	case bool:
		return ari.AppendField(dst, wire, name, strconv.FormatBool(v)), nil
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return dst, fmt.Errorf("field %q: %w", name, err)
		}
		return ari.AppendField(dst, wire, name, text), nil
	}
	return dst, fmt.Errorf("field %q: a %T is not text; convert it to a string", name, value)
}

// Digits and a minus need no escaping, but the field's name may.
func appendInt(dst []byte, name string, v int64) []byte {
	return strconv.AppendInt(ari.AppendFieldName(dst, wire, name), v, 10)
}

func appendUint(dst []byte, name string, v uint64) []byte {
	return strconv.AppendUint(ari.AppendFieldName(dst, wire, name), v, 10)
}

func appendFloat(dst []byte, name string, v float64, bits int) []byte {
	return appendFloatText(ari.AppendFieldName(dst, wire, name), v, bits)
}

// Without an exponent a number has no character to escape, but for the "+" of an infinity.
func appendFloatText(dst []byte, v float64, bits int) []byte {
	if math.IsInf(v, 1) {
		return append(dst, "Infinity"...)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, bits)
}

// A Schema is a fixed list of fields whose names are encoded once. Make one for each kind of event, when the program starts, and
// send with [Subscription.Row]. A Schema is immutable and safe for concurrent use.
type Schema struct {
	names []string
	heads [][]byte // "|S|<name>|S|"
}

// NewSchema returns a Schema of the given fields, in that order.
func NewSchema(fields ...string) *Schema {
	s := &Schema{names: append([]string(nil), fields...), heads: make([][]byte, len(fields))}
	for i, name := range s.names {
		s.heads[i] = ari.AppendFieldName(nil, wire, name)
	}
	return s
}

func appendRow(dst []byte, s *Schema, values []string) []byte {
	for i, v := range values {
		dst = append(dst, s.heads[i]...)
		dst = ari.AppendString(dst, wire, v)
	}
	return dst
}

func appendByteRow(dst []byte, s *Schema, values [][]byte) []byte {
	for i, v := range values {
		dst = append(dst, s.heads[i]...)
		if v == nil {
			dst = append(dst, '#')
			continue
		}
		dst = ari.AppendString(dst, wire, v)
	}
	return dst
}
