// Command auth shows a Metadata Adapter that knows its users: who may come in, what each may see and how fast, and that nobody is there twice.
//
//	go run ./cmd/lsgo serve --adapters examples/auth/adapters
//	go run ./examples/auth
//
// Clients use Adapter Set AUTH, mode MERGE, field time; items "free" and "premium". Users: ann (password "a", premium), ben ("b"), and cleo ("c"),
// who has not paid.
package main

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// account is what is known of a user. A real one has a salted hash in the place of the password.
type account struct {
	password  string
	premium   bool
	suspended bool
}

type guard struct {
	adapter.DefaultMetadata
	accounts map[string]account

	mu       sync.Mutex
	sessions map[string]string // by user
}

// NotifyUser is asked first. An AccessError says "wrong user or password", a CreditsError brings a code and a text of our own to the client.
func (g *guard) NotifyUser(_ context.Context, u adapter.User) (adapter.UserGrant, error) {
	a, known := g.accounts[u.Name]
	if subtle.ConstantTimeCompare([]byte(a.password), []byte(u.Password)) == 0 || !known {
		return adapter.UserGrant{}, &adapter.AccessError{Message: "wrong user or password"}
	}
	if a.suspended {
		return adapter.UserGrant{}, &adapter.CreditsError{Code: -10, Message: "suspended", UserMessage: "Your account is suspended: please pay the bill."}
	}
	if a.premium {
		return adapter.UserGrant{}, nil // no limit
	}
	return adapter.UserGrant{MaxBandwidth: 50}, nil // kbit/s
}

// NotifyNewSession lets a user in once. With a ConflictingSessionError the server closes the other session and asks again, perhaps
// before it tells of the close: the other session is forgotten at once.
func (g *guard) NotifyNewSession(_ context.Context, s adapter.Session) (adapter.SessionGrant, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if other, there := g.sessions[s.User]; there {
		delete(g.sessions, s.User)
		return adapter.SessionGrant{}, &adapter.ConflictingSessionError{Code: -20, Message: "second session", UserMessage: "You are here already.", SessionID: other}
	}
	g.sessions[s.User] = s.ID
	return adapter.SessionGrant{TimeToLive: 12 * time.Hour}, nil
}

func (g *guard) NotifySessionClose(_ context.Context, sessionID string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for user, id := range g.sessions {
		if id == sessionID {
			delete(g.sessions, user)
		}
	}
	return nil
}

// UserItemData gives the permissions: no mode at all means that the user may not see the item.
func (g *guard) UserItemData(_ context.Context, user, item string) (adapter.UserItemData, error) {
	a := g.accounts[user]
	switch {
	case item == "premium" && !a.premium:
		return adapter.UserItemData{}, nil
	case a.premium:
		return adapter.UserItemData{Modes: adapter.AllModes}, nil
	default:
		return adapter.UserItemData{Modes: adapter.AllModes, MaxItemFrequency: 1}, nil // update per second
	}
}

// clock feeds every item alike.
func clock(_ context.Context, sub *adapter.Subscription) error {
	now := func() adapter.Fields { return adapter.Fields{"time": time.Now().Format(time.StampMilli)} }
	if err := sub.Snapshot(now()); err != nil {
		return err
	}
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = sub.Update(now())
			case <-sub.Context().Done():
				return
			}
		}
	}()
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	log := slog.Default()
	g := &guard{
		accounts: map[string]account{"ann": {password: "a", premium: true}, "ben": {password: "b"}, "cleo": {password: "c", suspended: true}},
		sessions: make(map[string]string),
	}
	err := adapter.Run(ctx,
		&adapter.MetadataServer{Provider: g, Addr: "localhost:8003", Logger: log},
		&adapter.DataServer{Provider: adapter.DataProviderFunc(clock), Addr: "localhost:8001", Logger: log})
	stop()
	if err != nil {
		log.Error("stopped", "err", err)
		os.Exit(1)
	}
}
