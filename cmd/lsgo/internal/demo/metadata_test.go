package demo

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/feed"
)

func newTestMetadata(t *testing.T) *metadata {
	t.Helper()
	m := &metadata{
		market:    feed.NewMarket(1, time.Now()),
		room:      new(feed.Chat),
		positions: feed.NewPortfolio(map[string]int{"item1": 100}),
	}
	_, err := m.NotifyNewSession(t.Context(), adapter.Session{
		ID: "S1", User: "Ann", Context: map[string]string{"REMOTE_IP": "192.0.2.7", "USER_AGENT": "curl/8"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMessages(t *testing.T) {
	for _, test := range []struct {
		message string
		code    int    // 0: accepted
		says    string // part of the text for the client
		chat    string // the message in the room
		held    []feed.Change
	}{
		{message: "CHAT|hello", chat: "hello"},
		{message: "CHAT|a|b|c", chat: "a|b|c"},
		{message: "CHAT| ", code: codeBadChatMessage, says: "The message is empty."},
		{message: "CHAT", code: codeBadChatMessage, says: "The message is empty."},
		{message: "CHAT|" + strings.Repeat("x", 501), code: codeBadChatMessage, says: "longer than 500"},
		{message: "BUY|portfolio1|item3|100", held: []feed.Change{{Key: "item1", Quantity: 100, New: true}, {Key: "item3", Quantity: 100, New: true}}},
		{message: "BUY|portfolio1|item1|1", held: []feed.Change{{Key: "item1", Quantity: 101, New: true}}},
		{message: "SELL|portfolio1|item1|40", held: []feed.Change{{Key: "item1", Quantity: 60, New: true}}},
		{message: "SELL|portfolio1|item1|400", held: []feed.Change{}},
		{message: "SELL|portfolio1|item2|1", code: codeNotHeld, says: "does not hold item2"},
		{message: "BUY|portfolio1|item1|0", code: codeBadQuantity, says: "whole number"},
		{message: "BUY|portfolio1|item1|-5", code: codeBadQuantity, says: "whole number"},
		{message: "BUY|portfolio1|item1|1.5", code: codeBadQuantity, says: "whole number"},
		{message: "BUY|portfolio1|item1|99999999999999999999", code: codeBadQuantity, says: "whole number"},
		{message: "BUY|portfolio1|item1|1000000", code: codeBadQuantity, says: "cannot be larger"},
		{message: "BUY|portfolio1|item31|1", code: codeNoSuchStock, says: `no stock "item31"`},
		{message: "BUY|portfolio2|item1|1", code: codeNoSuchPortfolio, says: `no portfolio "portfolio2"`},
		{message: "BUY|portfolio1|item1", code: codeMalformed, says: "BUY|portfolio1|item3|100"},
		{message: "BUY|portfolio1|item1|1|", code: codeMalformed, says: "BUY|portfolio1|item3|100"},
		{message: "BUY", code: codeMalformed, says: "BUY|portfolio1|item3|100"},
		{message: "buy|portfolio1|item1|1", code: codeUnknownMessage, says: "Unknown message"},
		{message: "", code: codeUnknownMessage, says: "Unknown message"},
	} {
		t.Run(test.message, func(t *testing.T) {
			m := newTestMetadata(t)
			err := m.NotifyUserMessage(t.Context(), adapter.UserMessage{SessionID: "S1", Message: test.message})
			if test.code == 0 && err != nil {
				t.Fatalf("refused: %v", err)
			}
			if test.code != 0 {
				refusal, ok := errors.AsType[*adapter.CreditsError](err)
				if !ok || refusal.Code != test.code || !strings.Contains(refusal.UserMessage, test.says) {
					t.Fatalf("error is %#v, want code %d and a text with %q", err, test.code, test.says)
				}
			}
			history, _ := m.room.Enter(t.Context())
			switch {
			case test.chat == "" && len(history) > 0:
				t.Errorf("the room holds %v", history)
			case test.chat != "" && (len(history) != 1 || history[0].Text != test.chat || history[0].IP != "192.0.2.7" || history[0].Nick != "Ann"):
				t.Errorf("the room holds %v, want %q from Ann at 192.0.2.7", history, test.chat)
			}
			held := test.held
			if held == nil {
				held = []feed.Change{{Key: "item1", Quantity: 100, New: true}}
			}
			if got, _ := m.positions.Watch(t.Context()); !slices.Equal(got, held) {
				t.Errorf("the portfolio holds %v, want %v", got, held)
			}
		})
	}
}

func TestMessageAfterSessionClose(t *testing.T) {
	m := newTestMetadata(t)
	if err := m.NotifySessionClose(t.Context(), "S1"); err != nil {
		t.Fatal(err)
	}
	err := m.NotifyUserMessage(t.Context(), adapter.UserMessage{SessionID: "S1", Message: "CHAT|hello"})
	if _, ok := errors.AsType[*adapter.NotificationError](err); !ok {
		t.Errorf("error is %v, want a NotificationError", err)
	}
	if len(m.visitors) > 0 {
		t.Errorf("visitors kept: %v", m.visitors)
	}
}

func TestItemsAndModes(t *testing.T) {
	m := newTestMetadata(t)
	items, err := m.Items(t.Context(), adapter.ItemsRequest{Group: "item1 item30 chat_room portfolio1"})
	if err != nil || len(items) != 4 {
		t.Fatalf("items are %v, %v", items, err)
	}
	for item, mode := range map[string]adapter.Mode{"item1": adapter.Merge, "item30": adapter.Merge, "chat_room": adapter.Distinct, "portfolio1": adapter.Command} {
		data, err := m.ItemData(t.Context(), item)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []adapter.Mode{adapter.Merge, adapter.Distinct, adapter.Command} {
			if data.Modes.Has(other) != (other == mode) {
				t.Errorf("%s: %v allowed: %v", item, other, data.Modes.Has(other))
			}
		}
		if !data.Modes.Has(adapter.Raw) {
			t.Errorf("%s: RAW is not allowed", item)
		}
	}
	_, err = m.Items(t.Context(), adapter.ItemsRequest{Group: "item1 item31"})
	if _, ok := errors.AsType[*adapter.ItemsError](err); !ok || !strings.Contains(err.Error(), `"item31"`) {
		t.Errorf("error is %v, want an ItemsError that names item31", err)
	}
}

func TestProgramName(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                            "Firefox",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36":             "Chrome",
		"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0":     "Edge",
		"Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1":             "Safari",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36":     "Chrome",
		"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 OPR/120.0.0.0": "Opera",
		"curl/8.5": "curl",
	} {
		if got := programName(map[string]string{"USER_AGENT": agent, "CLIENT_TYPE": "web"}); got != want {
			t.Errorf("%q is shown as %q, want %q", agent, got, want)
		}
	}
	if got := programName(map[string]string{"CLIENT_TYPE": "nodejs client"}); got != "nodejs client" {
		t.Errorf("without a user agent: %q", got)
	}
	if got := programName(nil); got != "guest" {
		t.Errorf("without anything: %q", got)
	}
}
