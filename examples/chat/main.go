// Command chat is a chat room: an item in DISTINCT mode, "room", fed by the messages that clients send. Whoever joins gets the last messages
// as the snapshot.
//
//	go run ./cmd/lsgo serve --adapters examples/chat/adapters
//	go run ./examples/chat
//
// Clients use Adapter Set CHAT, mode DISTINCT, fields user, text, time; what they send with sendMessage appears in the room.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// Both how many messages are kept here, and how many the server keeps for those who join later.
const history = 20

// room is the Data Adapter.
type room struct {
	// mu keeps the messages in one order. It is held while one is sent, so if the server stops reading, the room stands still.
	mu   sync.Mutex
	sub  *adapter.Subscription // nil while nobody is in the room
	last []adapter.Fields
}

// Subscribe takes the place of an earlier subscription: calls for one item never overlap.
func (r *room) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	if sub.Item() != "room" {
		return &adapter.SubscribeError{Message: "no such room"}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, message := range r.last {
		if err := sub.Snapshot(message); err != nil {
			return err
		}
	}
	r.sub = sub
	return sub.EndOfSnapshot()
}

func (r *room) say(user, text string) {
	message := adapter.Fields{"user": user, "text": text, "time": time.Now().Format(time.TimeOnly)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = append(r.last, message)
	if len(r.last) > history {
		r.last = r.last[1:]
	}
	if r.sub != nil {
		_ = r.sub.Update(message) // an error says that everybody has left
	}
}

// door is the Metadata Adapter.
type door struct {
	adapter.DefaultMetadata
	room *room
}

func (door) ItemData(context.Context, string) (adapter.ItemData, error) {
	return adapter.ItemData{Modes: adapter.ModesOf(adapter.Distinct), DistinctSnapshotLength: history}, nil
}

// NotifyUserMessage takes what a client says. The text of the error's UserMessage is shown to its sender.
func (d door) NotifyUserMessage(_ context.Context, m adapter.UserMessage) error {
	text := strings.TrimSpace(m.Message)
	switch {
	case m.User == "":
		return &adapter.CreditsError{Code: -1, Message: "anonymous", UserMessage: "Tell your name first."}
	case text == "":
		return &adapter.CreditsError{Code: -2, Message: "empty message", UserMessage: "Say something."}
	case utf8.RuneCountInString(text) > 500:
		return &adapter.CreditsError{Code: -3, Message: "long message", UserMessage: "500 characters are enough."}
	}
	d.room.say(m.User, text)
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	log := slog.Default()
	r := new(room)
	err := adapter.Run(ctx,
		&adapter.MetadataServer{Provider: door{room: r}, Addr: "localhost:8003", Logger: log},
		&adapter.DataServer{Provider: r, Addr: "localhost:8001", Logger: log})
	stop()
	if err != nil {
		log.Error("stopped", "err", err)
		os.Exit(1)
	}
}
