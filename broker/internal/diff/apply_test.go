package diff

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// decode reads a JSON text; numbers stay as they are written.
func decode(text string) (any, error) {
	if !json.Valid([]byte(text)) {
		return nil, errors.New("no JSON")
	}
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	err := d.Decode(&v)
	return v, err
}

// operation is one of those of RFC 6902 that the package uses.
type operation struct {
	Op    string
	Path  *string
	Value json.RawMessage
}

// applyPatch applies a JSON Patch to a decoded document, as strictly as the RFC allows: whatever is added or replaced in an object,
// removed or replaced must be there.
func applyPatch(doc any, patch string) (any, error) {
	d := json.NewDecoder(strings.NewReader(patch))
	d.DisallowUnknownFields()
	var ops []operation
	if err := d.Decode(&ops); err != nil {
		return nil, err
	}
	for _, op := range ops {
		var value any
		switch {
		case op.Path == nil:
			return nil, errors.New("no path")
		case op.Op == "remove" && op.Value == nil:
		case (op.Op == "add" || op.Op == "replace") && op.Value != nil:
			var err error
			if value, err = decode(string(op.Value)); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("bad operation %+v", op)
		}
		path := strings.Split(*op.Path, "/")
		if path[0] != "" {
			return nil, fmt.Errorf("path %q", *op.Path)
		}
		var err error
		if doc, err = applyAt(doc, path[1:], op.Op, value); err != nil {
			return nil, fmt.Errorf("%s %q: %w", op.Op, *op.Path, err)
		}
	}
	return doc, nil
}

var unpointer = strings.NewReplacer("~1", "/", "~0", "~")

func applyAt(doc any, path []string, op string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	name := unpointer.Replace(path[0])
	switch doc := doc.(type) {
	case map[string]any:
		child, there := doc[name]
		switch {
		case there == (op == "add" && len(path) == 1): // we never add what is there, though the RFC allows it
			return nil, fmt.Errorf("key %q: there is %v", name, there)
		case len(path) > 1:
			changed, err := applyAt(child, path[1:], op, value)
			doc[name] = changed
			return doc, err
		case op == "remove":
			delete(doc, name)
		default:
			doc[name] = value
		}
		return doc, nil
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || strconv.Itoa(i) != name || i < 0 || i > len(doc) || i == len(doc) && (op != "add" || len(path) > 1) {
			return nil, fmt.Errorf("index %q of %d elements", name, len(doc))
		}
		switch {
		case len(path) > 1:
			changed, err := applyAt(doc[i], path[1:], op, value)
			doc[i] = changed
			return doc, err
		case op == "add":
			return slices.Insert(doc, i, value), nil
		case op == "remove":
			return slices.Delete(doc, i, i+1), nil
		}
		doc[i] = value
		return doc, nil
	}
	return nil, fmt.Errorf("%q of a scalar", name)
}

// applyText applies a TLCP-diff the way the specification describes it, on characters as JavaScript counts them.
func applyText(old, diff string) (string, error) {
	return applyUnits(utf16.Encode([]rune(old)), utf16.Encode([]rune(diff)), func(u []uint16) string { return string(utf16.Decode(u)) })
}

// applyPoints is applyText on characters as Python counts them.
func applyPoints(old, diff string) (string, error) {
	return applyUnits([]rune(old), []rune(diff), func(r []rune) string { return string(r) })
}

func applyUnits[T uint16 | rune](old, diff []T, text func([]T) string) (string, error) {
	number := func() (int, error) {
		for n, i := 0, 0; i < len(diff); i++ {
			c := diff[i]
			switch {
			case 'A' <= c && c <= 'Z':
				n = 26*n + int(c-'A')
			case 'a' <= c && c <= 'z':
				diff = diff[i+1:]
				return 26*n + int(c-'a'), nil
			default:
				return 0, fmt.Errorf("no digit: %q", rune(c))
			}
		}
		return 0, errors.New("number without end")
	}
	var out []T
	for section := 0; len(diff) > 0; section++ {
		n, err := number()
		if err != nil {
			return "", err
		}
		from := &old
		if section%3 == 1 {
			from = &diff
		}
		if n > len(*from) {
			return "", fmt.Errorf("section %d is %d characters long, there are %d", section, n, len(*from))
		}
		if section%3 != 2 {
			out = append(out, (*from)[:n]...)
		}
		*from = (*from)[n:]
	}
	return text(out), nil
}
