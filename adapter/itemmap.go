package adapter

import "maps"

// itemMap is a map by item. Go's maps keep the memory of all that was ever in them at a time; this one gives it back when most of many items are gone, at a
// fraction of the cost of their removal.
type itemMap[V any] struct {
	all  map[string]V
	most int // items in all, since it was made
}

func (m *itemMap[V]) put(item string, v V) {
	if m.all == nil {
		m.all = make(map[string]V)
	}
	m.all[item] = v
	m.most = max(m.most, len(m.all))
}

func (m *itemMap[V]) remove(item string) {
	delete(m.all, item)
	const many = 1024
	if m.most < many || len(m.all) > m.most/8 {
		return
	}
	all := make(map[string]V, len(m.all))
	maps.Copy(all, m.all)
	m.all, m.most = all, len(all)
}
