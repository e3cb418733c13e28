package testset

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

const (
	nameInterval = 100 * time.Millisecond
	// Bounds of what is remembered of the names that clients make up.
	maxItems  = 1000
	maxFields = 1000
)

// names remembers which fields clients have asked for: a Data Adapter is not told, and one that serves any field has to know. The zero value is
// ready; methods are safe for concurrent use.
type names struct {
	mu     sync.Mutex
	fields map[string][]string // by item
	order  []string            // items, the oldest first
}

// ask notes the fields wanted of an item. When there are too many items, the oldest are forgotten.
func (n *names) ask(item string, fields []string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	known, seen := n.fields[item]
	for _, field := range fields {
		if !slices.Contains(known, field) {
			known = append(known[:len(known):len(known)], field) // whoever has the old slice keeps it
		}
	}
	if len(known) > maxFields {
		return &adapter.SchemaError{Message: fmt.Sprintf("more than %d different fields of one item", maxFields)}
	}
	if n.fields == nil {
		n.fields = make(map[string][]string)
	}
	n.fields[item] = known
	if !seen {
		n.order = append(n.order, item)
	}
	if len(n.order) > maxItems {
		delete(n.fields, n.order[0])
		n.order = slices.Delete(n.order, 0, 1)
	}
	return nil
}

// of returns the fields asked for, which the caller must not change.
func (n *names) of(item string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fields[item]
}

// StrangeValue is the value number n of a field of STRANGE_NAMES.
func StrangeValue(item, field string, n int) string {
	return fmt.Sprintf("%s of %s: %d", field, item, n)
}

// strangeNames serves whatever is asked for.
func (s *Set) strangeNames(_ context.Context, sub *adapter.Subscription) error {
	n := 0
	values := func() adapter.Fields {
		n++
		fields := make(adapter.Fields)
		for _, field := range s.names.of(sub.Item()) {
			fields[field] = StrangeValue(sub.Item(), field, n)
		}
		return fields
	}
	if err := sub.Snapshot(values()); err != nil {
		return err
	}
	if err := sub.EndOfSnapshot(); err != nil {
		return err
	}
	every(&s.streams, sub, nameInterval, func() error { return sub.Update(values()) })
	return nil
}
