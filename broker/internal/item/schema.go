package item

import (
	"cmp"
	"slices"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// schema is where the fields of one list are in the rows of an item. Subscribers of the same list
// share it, since a list may be long and clients may ask for an item many times.
type schema struct {
	mode  provider.Mode
	names []string
	cols  Columns // replaced, not changed: receivers have it in use
	users int
	at    int // place in item.schemas
}

// looked is how many of the schemas in use, the newest first, are compared with a list. Clients of
// one application have few of them; whoever brings more pays for each.
const looked = 16

// share returns the schema for a list of names, for one more user.
func (it *item) share(m provider.Mode, names []string) *schema {
	for i := len(it.schemas) - 1; i >= max(0, len(it.schemas)-looked); i-- {
		if s := it.schemas[i]; s.mode == m && sameList(s.names, names) {
			s.users++
			return s
		}
	}
	s := &schema{mode: m, names: names, users: 1, at: len(it.schemas)}
	s.cols = it.find(m, names)
	it.schemas = append(it.schemas, s)
	return s
}

// unshare gives up one use.
func (it *item) unshare(s *schema) {
	if s.users--; s.users > 0 {
		return
	}
	last := len(it.schemas) - 1
	it.schemas[s.at] = it.schemas[last]
	it.schemas[s.at].at = s.at
	it.schemas[last] = nil
	it.schemas = it.schemas[:last]
}

// sameList is quick for the items of one subscription, which have the same slice.
func sameList(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// find looks up the columns that there are. Only the adapter makes new ones: were it clients, their
// invented names would use up the columns of the adapter's fields.
func (it *item) find(m provider.Mode, names []string) Columns {
	c := &columns{index: make([]int32, len(names))}
	for i, name := range names {
		if col, ok := it.index[name]; ok {
			c.set(i, col)
			continue
		}
		c.index[i] = -1
		c.missing = append(c.missing, int32(i))
	}
	slices.SortFunc(c.missing, func(a, b int32) int { return cmp.Compare(names[a], names[b]) })
	c.deltas = it.deltas(m, c.index)
	return Columns{c}
}

func (c *columns) set(i, col int) {
	c.index[i] = int32(col)
	c.mask |= bit(col)
}

// adopt makes the columns that are new known to the subscribers who have asked for such fields. It
// takes a binary search for each schema: names that no adapter ever sends cost no more.
func (it *item) adopt() {
	if len(it.added) == 0 {
		return
	}
	for _, s := range it.schemas {
		s.adopt(it)
	}
	it.added = it.added[:0]
}

func (s *schema) adopt(it *item) {
	var c *columns
	for _, name := range it.added {
		missing := s.cols.c.missing
		from, found := slices.BinarySearchFunc(missing, name, func(i int32, name string) int {
			return cmp.Compare(s.names[i], name)
		})
		if !found {
			continue
		}
		if c == nil {
			copied := *s.cols.c
			copied.index, copied.missing = slices.Clone(copied.index), slices.Clone(copied.missing)
			c = &copied
		}
		for ; from < len(missing) && s.names[missing[from]] == name; from++ {
			c.set(int(missing[from]), it.index[name])
		}
	}
	if c == nil {
		return
	}
	c.missing = slices.DeleteFunc(c.missing, func(i int32) bool { return c.index[i] >= 0 })
	c.deltas = it.deltas(s.mode, c.index)
	s.cols = Columns{c}
}
