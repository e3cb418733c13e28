package feed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// ChatItem is the item of the chat room.
const ChatItem = "chat_room"

// Limits of the chat room.
const (
	ChatHistory     = 30  // messages that somebody who enters is shown
	MaxChatMessage  = 500 // characters
	maxChatNickname = 40
	chatLog         = 500 // messages kept for watchers that are behind
)

// Mistakes of whoever posts.
var (
	ErrEmptyMessage   = errors.New("the message is empty")
	ErrMessageTooLong = fmt.Errorf("the message is longer than %d characters", MaxChatMessage)
)

// ChatFields are the names of a chat message's fields, in the order of [ChatMessage.Values].
var ChatFields = [...]string{"raw_timestamp", "timestamp", "IP", "nick", "message"}

// ChatMessage is one line of the chat room.
type ChatMessage struct {
	Time           time.Time
	IP, Nick, Text string
}

// Values returns the values of [ChatFields], in that order: raw_timestamp is in milliseconds since 1970.
func (c ChatMessage) Values() [len(ChatFields)]string {
	return [...]string{
		strconv.FormatInt(c.Time.UnixMilli(), 10), c.Time.Format(time.TimeOnly), c.IP, c.Nick, c.Text,
	}
}

// Chat is a chat room. The zero value is an empty one. Its methods are safe for concurrent use.
type Chat struct {
	mu      sync.Mutex
	log     []ChatMessage // the newest messages
	posted  int           // how many there have been, so the first of log has the number posted-len(log)
	changed bell
}

// Post adds a message, at the present time. Space around the text is dropped; the rest must be between 1 and
// [MaxChatMessage] characters, else the error is [ErrEmptyMessage] or [ErrMessageTooLong].
func (c *Chat) Post(ip, nick, text string) error {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if text == "" {
		return ErrEmptyMessage
	}
	if utf8.RuneCountInString(text) > MaxChatMessage {
		return ErrMessageTooLong
	}
	if runes := []rune(nick); len(runes) > maxChatNickname {
		nick = string(runes[:maxChatNickname-1]) + "…"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, ChatMessage{Time: time.Now(), IP: ip, Nick: nick, Text: text})
	if len(c.log) > chatLog {
		c.log = append([]ChatMessage(nil), c.log[len(c.log)-chatLog/2:]...)
	}
	c.posted++
	c.changed.ring()
	return nil
}

// Enter returns the last messages, at most [ChatHistory], and the messages posted after those, until ctx ends. A reader
// that falls behind by hundreds of messages misses the oldest of them.
func (c *Chat) Enter(ctx context.Context) (history []ChatMessage, news iter.Seq[ChatMessage]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	history = append(history, c.log[max(0, len(c.log)-ChatHistory):]...)
	next := c.posted
	return history, func(yield func(ChatMessage) bool) {
		for ctx.Err() == nil {
			c.mu.Lock()
			unread := append([]ChatMessage(nil), c.log[max(0, len(c.log)-(c.posted-next)):]...)
			next = c.posted
			changed := c.changed.wait()
			c.mu.Unlock()
			for _, message := range unread {
				if !yield(message) {
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	}
}
