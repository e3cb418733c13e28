package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/feed"
)

// Codes that a client is told when its message is refused.
const (
	codeUnknownMessage = -100 - iota
	codeMalformed
	codeNoSuchPortfolio
	codeNoSuchStock
	codeBadQuantity
	codeNotHeld
	codeBadChatMessage
)

// metadata is the Metadata Adapter: everybody may connect, names in groups and schemas are separated by spaces, and
// messages go to the chat room and the portfolio.
type metadata struct {
	adapter.LiteralMetadata
	market    *feed.Market
	room      *feed.Chat
	positions *feed.Portfolio

	mu       sync.Mutex
	visitors map[string]visitor // by session
}

// visitor is what the chat room shows of a client.
type visitor struct{ ip, nick string }

// Items refuses names that no Data Adapter serves, so that a client with a misspelt name is told.
func (m *metadata) Items(ctx context.Context, r adapter.ItemsRequest) ([]string, error) {
	items, err := m.LiteralMetadata.Items(ctx, r)
	for _, item := range items {
		if m.modes(item) == 0 {
			return nil, &adapter.ItemsError{Message: fmt.Sprintf("there is no item %q", item)}
		}
	}
	return items, err
}

// ItemData allows each item the one mode it is made for, and RAW.
func (m *metadata) ItemData(ctx context.Context, item string) (adapter.ItemData, error) {
	data, err := m.LiteralMetadata.ItemData(ctx, item)
	data.Modes = m.modes(item)
	return data, err
}

func (m *metadata) modes(item string) adapter.Modes {
	switch {
	case item == feed.ChatItem:
		return adapter.ModesOf(adapter.Raw, adapter.Distinct)
	case item == feed.PortfolioItem:
		return adapter.ModesOf(adapter.Raw, adapter.Command)
	case m.market.Has(item):
		return adapter.ModesOf(adapter.Raw, adapter.Merge)
	}
	return 0
}

// NotifyNewSession keeps what the chat room will show of the client.
func (m *metadata) NotifyNewSession(_ context.Context, s adapter.Session) (adapter.SessionGrant, error) {
	nick := s.User
	if nick == "" {
		nick = programName(s.Context)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.visitors == nil {
		m.visitors = make(map[string]visitor)
	}
	m.visitors[s.ID] = visitor{ip: s.Context["REMOTE_IP"], nick: nick}
	return adapter.SessionGrant{}, nil
}

// NotifySessionClose forgets the client.
func (m *metadata) NotifySessionClose(_ context.Context, sessionID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.visitors, sessionID)
	return nil
}

// NotifyUserMessage takes CHAT|text, BUY|portfolio|item|quantity and SELL|portfolio|item|quantity.
func (m *metadata) NotifyUserMessage(_ context.Context, message adapter.UserMessage) error {
	verb, rest, _ := strings.Cut(message.Message, "|")
	switch verb {
	case "CHAT":
		return m.post(message.SessionID, rest)
	case "BUY":
		return m.order(m.positions.Buy, rest)
	case "SELL":
		return m.order(m.positions.Sell, rest)
	}
	return refuse(codeUnknownMessage, "Unknown message: send CHAT|text, BUY|portfolio1|item3|100 or SELL|portfolio1|item3|100.")
}

func (m *metadata) post(sessionID, text string) error {
	m.mu.Lock()
	from, known := m.visitors[sessionID]
	m.mu.Unlock()
	if !known {
		return &adapter.NotificationError{Message: "message of a session that was not announced"}
	}
	if err := m.room.Post(from.ip, from.nick, text); err != nil {
		return refuse(codeBadChatMessage, sentence(err))
	}
	return nil
}

func (m *metadata) order(trade func(key string, quantity int) error, order string) error {
	parts := strings.Split(order, "|")
	if len(parts) != 3 {
		return refuse(codeMalformed, "An order is BUY|portfolio1|item3|100 or SELL|portfolio1|item3|100.")
	}
	name, item := parts[0], parts[1]
	if name != feed.PortfolioItem {
		return refuse(codeNoSuchPortfolio, fmt.Sprintf("There is no portfolio %q, only %q.", clip(name), feed.PortfolioItem))
	}
	if !m.market.Has(item) {
		return refuse(codeNoSuchStock, fmt.Sprintf("There is no stock %q.", clip(item)))
	}
	quantity, err := strconv.Atoi(parts[2])
	if err != nil {
		return refuse(codeBadQuantity, sentence(feed.ErrQuantity))
	}
	switch err := trade(item, quantity); {
	case err == nil:
		return nil
	case errors.Is(err, feed.ErrNotHeld):
		return refuse(codeNotHeld, fmt.Sprintf("The portfolio does not hold %s.", item))
	default:
		return refuse(codeBadQuantity, sentence(err))
	}
}

// refuse makes the error whose code and text reach the client.
func refuse(code int, text string) error {
	return &adapter.CreditsError{Code: code, Message: text, UserMessage: text}
}

// sentence turns the text of an error into one for a person.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// clip bounds what is repeated of a client's words.
func clip(s string) string {
	const most = 40
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// programName is a short name of the client program, for visitors without a user name.
func programName(session map[string]string) string {
	agent := session["USER_AGENT"]
	// Browsers claim to be one another: the more particular mark comes first.
	for _, browser := range [...]struct{ mark, name string }{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	} {
		if strings.Contains(agent, browser.mark) {
			return browser.name
		}
	}
	if name, _, _ := strings.Cut(agent, "/"); name != "" {
		return name
	}
	if kind := session["CLIENT_TYPE"]; kind != "" {
		return kind
	}
	return "guest"
}
