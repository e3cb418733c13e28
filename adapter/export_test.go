package adapter

// MergeFields is mergeFields, for tests.
var MergeFields = mergeFields

// ItemMap is itemMap, for tests.
type ItemMap = itemMap[int]

// All returns what is in the map, and for how many items it has room at least.
func (m *itemMap[V]) All() (all map[string]V, room int) { return m.all, m.most }

// Put is put.
func (m *itemMap[V]) Put(item string, v V) { m.put(item, v) }

// Remove is remove.
func (m *itemMap[V]) Remove(item string) { m.remove(item) }
