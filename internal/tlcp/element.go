package tlcp

import (
	"bytes"
	"errors"
	"fmt"
)

// ElementKind tells what a U line says about one field.
type ElementKind uint8

// The kinds of element.
const (
	Unchanged ElementKind = iota // the value of the previous update of the item
	Set                          // Value
	JSONPatch                    // Value.S is an RFC 6902 patch on the previous value
	TLCPDiff                     // Value.S is a diff on the previous value, for ApplyDiff
)

// Element is what a U line says about one field.
type Element struct {
	Kind  ElementKind
	Value Value
}

// AppendElements reads the list of values of a U line: one element for each of the fields of the subscription, runs of unchanged
// fields expanded. A list that does not cover exactly that many fields is an error. It keeps no part of values, and allocates for
// texts and for the growth of dst only.
func AppendElements(dst []Element, values []byte, fields int) ([]Element, error) {
	start := len(dst)
	for more := true; more; {
		var raw []byte
		raw, values, more = bytes.Cut(values, []byte{'|'})
		left := fields - (len(dst) - start)
		if left < 1 {
			return dst[:start], fmt.Errorf("tlcp: update: more than %d values", fields)
		}
		if n, isRun, err := parseRun(raw, left); err != nil {
			return dst[:start], err
		} else if isRun {
			for range n {
				dst = append(dst, Element{})
			}
			continue
		}
		e, err := parseElement(raw)
		if err != nil {
			return dst[:start], fmt.Errorf("tlcp: update: field %d: %w", len(dst)-start+1, err)
		}
		dst = append(dst, e)
	}
	if n := len(dst) - start; n != fields {
		return dst[:start], fmt.Errorf("tlcp: update: %d values for %d fields", n, fields)
	}
	return dst, nil
}

// parseRun reads ^ and digits. The number is checked against the fields left before anything grows by it.
func parseRun(raw []byte, left int) (n int, isRun bool, err error) {
	if len(raw) < 2 || raw[0] != '^' || raw[1] < '0' || raw[1] > '9' {
		return 0, false, nil
	}
	v, ok := parseInt(raw[1:])
	if !ok || v < 1 || v > int64(left) {
		return 0, false, fmt.Errorf("tlcp: update: run %q with %d fields left", clip(string(raw)), left)
	}
	return int(v), true, nil
}

func parseElement(raw []byte) (Element, error) {
	switch {
	case len(raw) == 0:
		return Element{}, nil
	case len(raw) == 1 && raw[0] == '#':
		return Element{Kind: Set, Value: Value{Null: true}}, nil
	case len(raw) == 1 && raw[0] == '$':
		return Element{Kind: Set}, nil
	}
	kind := Set
	if raw[0] == '^' {
		switch {
		case len(raw) > 1 && raw[1] == 'P':
			kind = JSONPatch
		case len(raw) > 1 && raw[1] == 'T':
			kind = TLCPDiff
		default:
			return Element{}, fmt.Errorf("unknown kind of value %q", clip(string(raw)))
		}
		raw = raw[2:]
	}
	s, err := unescapeText(raw)
	return Element{Kind: kind, Value: Value{S: s}}, err
}

// ErrJSONPatch is what [Merge] answers for a field whose change is a JSON Patch: it takes a JSON document to apply it to, which is
// the caller's.
var ErrJSONPatch = errors.New("tlcp: update: a JSON Patch has to be applied by the caller")

// Merge applies the elements of an update to the row of values the item had, in place. Row nil is the first update, which must set
// every field; otherwise both lengths must agree. On an error the row is as it was.
func Merge(row []Value, elements []Element) ([]Value, error) {
	if row != nil && len(row) != len(elements) {
		return row, fmt.Errorf("tlcp: update: %d values for a row of %d", len(elements), len(row))
	}
	next := make([]Value, len(elements))
	for i, e := range elements {
		switch {
		case e.Kind == Set:
			next[i] = e.Value
		case row == nil:
			return row, fmt.Errorf("tlcp: update: field %d: the first update of an item has to set it", i+1)
		case e.Kind == Unchanged:
			next[i] = row[i]
		case e.Kind == TLCPDiff && !row[i].Null:
			s, err := ApplyDiff(row[i].S, e.Value.S)
			if err != nil {
				return row, fmt.Errorf("%w (field %d)", err, i+1)
			}
			next[i] = Value{S: s}
		case e.Kind == JSONPatch:
			return row, fmt.Errorf("%w (field %d)", ErrJSONPatch, i+1)
		default:
			return row, fmt.Errorf("tlcp: update: field %d: a diff on a null value", i+1)
		}
	}
	if row == nil {
		return next, nil
	}
	copy(row, next)
	return row, nil
}
