package tlcp

import (
	"bytes"
	"errors"
	"fmt"
	"math"
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

// ErrValueTooLong is in the error of [MergeWithin] for a value longer than the limit.
var ErrValueTooLong = errors.New("tlcp: update: value too long")

// Merge is [MergeWithin] without a limit on the length of values.
func Merge(row []Value, elements []Element) ([]Value, error) {
	return MergeWithin(row, elements, math.MaxInt)
}

// MergeWithin applies the elements of an update to the row of values the item had, in place. Row
// nil is the first update, which must set every field; otherwise both lengths must agree. No value
// may be longer than limit bytes, which matters for diffs: each may make the value longer by the
// length of its own text, update after update. On an error the row is as it was.
//
// The elements are scratch space: they do not hold the same afterwards. Nothing is allocated but
// the values that diffs result in, and the row if there was none.
func MergeWithin(row []Value, elements []Element, limit int) ([]Value, error) {
	if row != nil && len(row) != len(elements) {
		return row, fmt.Errorf("tlcp: update: %d values for a row of %d", len(elements), len(row))
	}
	for i := range elements {
		if err := resolve(row, i, &elements[i], limit); err != nil {
			return row, fmt.Errorf("%w (field %d)", err, i+1)
		}
	}
	if row == nil {
		row = make([]Value, len(elements))
	}
	for i, e := range elements {
		if e.Kind == Set {
			row[i] = e.Value
		}
	}
	return row, nil
}

// resolve makes the element of a field a whole value, unless it is unchanged.
func resolve(row []Value, i int, e *Element, limit int) error {
	switch {
	case e.Kind == Set:
		if len(e.Value.S) > limit {
			return fmt.Errorf("%w: %d bytes, at most %d", ErrValueTooLong, len(e.Value.S), limit)
		}
	case row == nil:
		return errors.New("tlcp: update: the first update of an item has to set every field")
	case e.Kind == Unchanged:
	case e.Kind == TLCPDiff && !row[i].Null:
		s, err := applyDiff(row[i].S, e.Value.S, limit)
		if err != nil {
			return err
		}
		*e = Element{Kind: Set, Value: Value{S: s}}
	case e.Kind == JSONPatch:
		return ErrJSONPatch
	default:
		return errors.New("tlcp: update: a diff on a null value")
	}
	return nil
}
