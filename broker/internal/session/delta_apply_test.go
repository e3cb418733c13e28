package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// change does to a field what clients do with an element: after a JSON Patch they hold a document, whose text is their own, and no
// TLCP-diff can be applied to it.
func (it *replicaItem) change(v *tlcp.Value, doc *any, e tlcp.Element) (err error) {
	switch e.Kind {
	case tlcp.Set:
		*v, *doc = e.Value, nil
	case tlcp.TLCPDiff:
		if *doc != nil || v.Null {
			return errors.New("TLCP-diff on what is no text")
		}
		v.S, err = tlcp.ApplyDiff(v.S, e.Value.S)
	case tlcp.JSONPatch:
		if v.Null {
			return errors.New("JSON Patch on null")
		}
		if *doc == nil {
			if *doc, err = document(v.S); err != nil {
				return err
			}
		}
		if *doc, err = patched(*doc, e.Value.S); err != nil {
			return err
		}
		v.S = jsonText(*doc)
	}
	return err
}

func document(text string) (v any, err error) {
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("no JSON: %q", text)
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func jsonText(doc any) string {
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err) // of what a decoder has made
	}
	return string(text)
}

// patched applies the operations that the broker uses of RFC 6902.
func patched(doc any, patch string) (any, error) {
	var ops []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if err := json.Unmarshal([]byte(patch), &ops); err != nil {
		return nil, err
	}
	for _, op := range ops {
		var value any
		if op.Op != "remove" {
			var err error
			if value, err = document(string(op.Value)); err != nil {
				return nil, err
			}
		}
		names := strings.Split(op.Path, "/")[1:]
		if len(names) == 0 {
			return nil, fmt.Errorf("%s of the whole document", op.Op)
		}
		var err error
		if doc, err = patchedAt(doc, names, op.Op, value); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

func patchedAt(doc any, names []string, op string, value any) (any, error) {
	name := strings.ReplaceAll(strings.ReplaceAll(names[0], "~1", "/"), "~0", "~")
	switch d := doc.(type) {
	case map[string]any:
		child, there := d[name]
		switch {
		case len(names) > 1:
			changed, err := patchedAt(child, names[1:], op, value)
			d[name] = changed
			return d, err
		case there == (op == "add"):
			return nil, fmt.Errorf("%s %q: there is %v", op, name, there)
		case op == "remove":
			delete(d, name)
			return d, nil
		}
		d[name] = value
		return d, nil
	case []any:
		i, err := strconv.Atoi(name)
		switch {
		case err != nil || i < 0 || i > len(d) || i == len(d) && (op != "add" || len(names) > 1):
			return nil, fmt.Errorf("%s at %q of %d elements", op, name, len(d))
		case len(names) > 1:
			d[i], err = patchedAt(d[i], names[1:], op, value)
			return d, err
		case op == "add":
			return slices.Insert(d, i, value), nil
		case op == "remove":
			return slices.Delete(d, i, i+1), nil
		}
		d[i] = value
		return d, nil
	}
	return nil, fmt.Errorf("%s %q in what is no container", op, name)
}
