package proxy

import (
	"maps"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// maxAnswers and maxAnswerBytes bound each of the two kinds of answers kept. The names in them are
// the clients'.
const (
	maxAnswers     = 100_000
	maxAnswerBytes = 16 << 20
)

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
		items: memory[string, provider.ItemData]{
			age: itemAge, kept: make(map[string]answer[provider.ItemData]), length: func(item string) int { return len(item) },
		},
		userItems: memory[userItem, provider.UserItemData]{
			age: userItemAge, kept: make(map[userItem]answer[provider.UserItemData]), length: userItem.length,
		},
	}
}

func (i userItem) length() int { return len(i.user.S) + len(i.item) }

func (a *answers) clear() {
	a.items.clear()
	a.userItems.clear()
}

// memory keeps answers for a time.
type memory[K comparable, V any] struct {
	age    time.Duration // 0: nothing is kept
	length func(K) int   // of the text in a key

	mu     sync.Mutex
	kept   map[K]answer[V]
	bytes  int // of the text in the keys of kept
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
	length := 0
	for _, k := range keys {
		length += m.length(k)
	}
	if m.full(len(keys), length) {
		maps.DeleteFunc(m.kept, func(k K, a answer[V]) bool {
			old := !a.until.After(now)
			if old {
				m.bytes -= m.length(k)
			}
			return old
		})
		if m.full(len(keys), length) {
			m.empty()
		}
	}
	if m.full(len(keys), length) {
		return
	}
	for i, k := range keys {
		if _, ok := m.kept[k]; !ok {
			m.bytes += m.length(k)
		}
		m.kept[k] = answer[V]{values[i], now.Add(m.age)}
	}
}

// full reports whether there is no room for so many more. mu is held.
func (m *memory[K, V]) full(more, length int) bool {
	return len(m.kept)+more > maxAnswers || m.bytes+length > maxAnswerBytes
}

func (m *memory[K, V]) empty() {
	clear(m.kept)
	m.bytes = 0
}

func (m *memory[K, V]) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.empty()
	m.clears++
}
