package proxy

import (
	"sync"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// The values of the status item's only field.
const (
	statusConnecting   = "connecting"
	statusConnected    = "connected"
	statusReconnecting = "reconnecting"
)

// statusItem is the item that a robust data proxy serves itself.
type statusItem struct {
	name string

	gate  sync.Mutex // held while sink is called, as that of an entry
	value string
	sink  provider.Sink // nil: nobody has subscribed
}

func newStatusItem(name string) *statusItem {
	return &statusItem{name: name, value: statusConnecting}
}

func (s *statusItem) subscribe(sink provider.Sink) {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.sink = sink
	sink.Update(s.update(true))
	sink.EndOfSnapshot()
}

func (s *statusItem) unsubscribe() {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.sink = nil
}

func (s *statusItem) set(value string) {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.value == value {
		return
	}
	s.value = value
	if s.sink != nil {
		s.sink.Update(s.update(false))
	}
}

func (s *statusItem) update(snapshot bool) provider.Update {
	return provider.Update{Snapshot: snapshot, Fields: []provider.Field{{Name: "status", Value: provider.T(s.value)}}}
}
