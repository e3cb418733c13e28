package broker

import (
	"slices"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// lateData stands in for a Data Adapter that is started when the Metadata Adapter of its set is there. What is subscribed until then is
// passed on when it starts.
type lateData struct {
	// mu is held while the adapter is called, so that the order of calls is kept. The adapter does not block, nor call back here.
	mu      sync.Mutex
	data    provider.Data
	waiting []lateItem
}

type lateItem struct {
	name, owner string
	sink        provider.Sink
}

var _ provider.Data = (*lateData)(nil)

// Subscribe implements provider.Data.
func (l *lateData) Subscribe(item, owner string, sink provider.Sink) {
	l.mu.Lock()
	if l.data == nil {
		l.waiting = append(l.waiting, lateItem{item, owner, sink})
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	l.data.Subscribe(item, owner, sink)
}

// Share implements provider.Data. What waits here is passed on in the order in which it came.
func (l *lateData) Share(item, owner string) {
	l.mu.Lock()
	data := l.data
	l.mu.Unlock()
	if data != nil {
		data.Share(item, owner)
	}
}

// Unsubscribe implements provider.Data.
func (l *lateData) Unsubscribe(item string) {
	l.mu.Lock()
	if l.data == nil {
		l.waiting = slices.DeleteFunc(l.waiting, func(w lateItem) bool { return w.name == item })
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	l.data.Unsubscribe(item)
}

// start passes on what waits. It is called once.
func (l *lateData) start(data provider.Data) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting {
		data.Subscribe(w.name, w.owner, w.sink)
	}
	l.data, l.waiting = data, nil
}
