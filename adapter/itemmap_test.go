package adapter_test

import (
	"strconv"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

func TestItemMapGivesMemoryBack(t *testing.T) {
	var m adapter.ItemMap
	const items, left = 100_000, 100
	for i := range items {
		m.Put(strconv.Itoa(i), i)
	}
	for i := left; i < items; i++ {
		m.Remove(strconv.Itoa(i))
	}
	all, room := m.All()
	if len(all) != left || room > items/8 {
		t.Errorf("%d items left, room for %d", len(all), room)
	}
	for i := range left {
		if n, ok := all[strconv.Itoa(i)]; !ok || n != i {
			t.Fatalf("item %d is %d, %t", i, n, ok)
		}
	}
	m.Remove("0")
	m.Put("new", 1)
	if all, _ = m.All(); len(all) != left || all["new"] != 1 {
		t.Errorf("%d items", len(all))
	}
}
