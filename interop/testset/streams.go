package testset

import "sync"

// streams counts the goroutines that feed subscriptions. It is no sync.WaitGroup since that remembers the testing/synctest bubble it was used in, and
// a provider can be tested in several.
type streams struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n becomes 0; made by who waits
}

// Go runs f on a goroutine that Wait waits for.
func (s *streams) Go(f func()) {
	s.mu.Lock()
	s.n++
	s.mu.Unlock()
	go func() {
		defer s.done()
		f()
	}()
}

func (s *streams) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n--; s.n == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// Wait returns when there was a moment without any of the goroutines.
func (s *streams) Wait() {
	s.mu.Lock()
	if s.n == 0 {
		s.mu.Unlock()
		return
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	<-idle
}
