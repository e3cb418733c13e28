package session

import (
	"context"
	"fmt"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Release ends the sessions of an Adapter Set that goes out of service, with code 32, gives its items back to the Data Adapters, and
// returns when nothing of the set is in use any more. Config.Sets must not return the set any more. If ctx ends first Release returns
// its error, and what is left ends by itself.
func (m *Manager) Release(ctx context.Context, set *provider.Set) error {
	m.mu.Lock()
	as := m.sets[set]
	if as == nil || m.closed {
		m.mu.Unlock()
		return nil // never used, or Close is at it
	}
	delete(m.sets, set)
	as.released = true
	var all []*Session
	for _, s := range m.sessions {
		if s.set == as {
			all = append(all, s)
		}
	}
	m.wg.Add(1)
	m.mu.Unlock()
	for _, s := range all {
		s.terminate(cause{code: tlcp.CodeClosedByServer, text: tlcp.SessionText(tlcp.CodeClosedByServer), by: ByServer})
	}
	done := make(chan struct{})
	go func() { // ends with the sessions; Close waits for it
		defer m.wg.Done()
		defer close(done)
		as.sessions.Wait()
		for _, src := range as.sources {
			src.Close()
		}
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("session: Adapter Set %q is still in use: %w", set.ID, ctx.Err())
	}
}
