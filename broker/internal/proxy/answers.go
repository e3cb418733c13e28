package proxy

import (
	"maps"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// maxAnswers bounds each of the two kinds of answers kept.
const maxAnswers = 100_000

// answers keeps what a remote has said about items (GIT), and about items and users (GUI), for the clients that ask soon
// after.
type answers struct {
	items     memory[string, provider.ItemData]
	userItems memory[userItem, provider.UserItemData]
}

type userItem struct {
	user provider.Text
	item string
}

func newAnswers(itemAge, userItemAge time.Duration) *answers {
	return &answers{
		items:     memory[string, provider.ItemData]{age: itemAge, kept: make(map[string]answer[provider.ItemData])},
		userItems: memory[userItem, provider.UserItemData]{age: userItemAge, kept: make(map[userItem]answer[provider.UserItemData])},
	}
}

func (a *answers) clear() {
	a.items.clear()
	a.userItems.clear()
}

// memory keeps answers for a time.
type memory[K comparable, V any] struct {
	age time.Duration // 0: nothing is kept

	mu     sync.Mutex
	kept   map[K]answer[V]
	clears int // an answer asked for before a clear is not kept after it
}

type answer[V any] struct {
	value V
	until time.Time
}

// through answers for all keys, in their order: from what is kept, and by one call of ask for the keys that are not.
func (m *memory[K, V]) through(keys []K, ask func(missing []K) ([]V, error)) ([]V, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	values := make([]V, len(keys))
	var missing []K
	var at []int
	m.mu.Lock()
	clears := m.clears
	now := time.Now()
	for i, k := range keys {
		if a, ok := m.kept[k]; ok && a.until.After(now) {
			values[i] = a.value
			continue
		}
		missing, at = append(missing, k), append(at, i)
	}
	m.mu.Unlock()
	if len(missing) == 0 {
		return values, nil
	}
	got, err := ask(missing)
	if err != nil {
		return nil, err
	}
	for j, i := range at {
		values[i] = got[j]
	}
	m.keep(clears, missing, got)
	return values, nil
}

func (m *memory[K, V]) keep(clears int, keys []K, values []V) {
	if m.age <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clears != clears {
		return
	}
	now := time.Now()
	if len(m.kept)+len(keys) > maxAnswers {
		maps.DeleteFunc(m.kept, func(_ K, a answer[V]) bool { return !a.until.After(now) })
		if len(m.kept)+len(keys) > maxAnswers {
			clear(m.kept)
		}
	}
	if len(keys) > maxAnswers {
		return
	}
	for i, k := range keys {
		m.kept[k] = answer[V]{values[i], now.Add(m.age)}
	}
}

func (m *memory[K, V]) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.kept)
	m.clears++
}
