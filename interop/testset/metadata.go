package testset

import (
	"context"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// What the Metadata Adapter allows, refuses and answers.
const (
	MaxBandwidth = 40 // kbit/s for each session
	EmptyGroup   = "empty_group"
	BufferSize   = 10 // of the item overflow

	RefusedMessage  = "throw me an error"
	RefusalCode     = -123
	RefusalText     = "test error"
	AnsweredMessage = "give me a result"
	Answer          = "result:ok"
)

// metadata lets everybody in. Groups and schemas are lists of names separated by spaces.
type metadata struct {
	adapter.LiteralMetadata
	names *names
}

func (m *metadata) NotifyUser(ctx context.Context, u adapter.User) (adapter.UserGrant, error) {
	grant, err := m.LiteralMetadata.NotifyUser(ctx, u)
	grant.MaxBandwidth = MaxBandwidth
	return grant, err
}

func (m *metadata) Items(ctx context.Context, r adapter.ItemsRequest) ([]string, error) {
	if r.Group == EmptyGroup {
		return nil, nil
	}
	return m.LiteralMetadata.Items(ctx, r)
}

// Schema tells STRANGE_NAMES what it has to serve.
func (m *metadata) Schema(ctx context.Context, r adapter.SchemaRequest) ([]string, error) {
	fields, err := m.LiteralMetadata.Schema(ctx, r)
	if err != nil {
		return nil, err
	}
	items, err := m.Items(ctx, adapter.ItemsRequest{User: r.User, SessionID: r.SessionID, Group: r.Group})
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if _, known := modes(item); known {
			continue
		}
		if err := m.names.ask(item, fields); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func (m *metadata) ItemData(ctx context.Context, item string) (adapter.ItemData, error) {
	data, err := m.LiteralMetadata.ItemData(ctx, item)
	data.Modes, _ = modes(item)
	return data, err
}

func (m *metadata) UserItemData(ctx context.Context, user, item string) (adapter.UserItemData, error) {
	data, err := m.LiteralMetadata.UserItemData(ctx, user, item)
	if item == OverflowItem {
		data.BufferSize = BufferSize
	}
	return data, err
}

// modes returns those an item is made for, and whether it is one of those with a fixed name.
func modes(item string) (allowed adapter.Modes, known bool) {
	switch {
	case item == CountItem:
		return adapter.ModesOf(adapter.Merge), true
	case item == MultTableItem, strings.HasPrefix(item, TwoLevelPrefix):
		return adapter.ModesOf(adapter.Command), true
	case item == ClearSnapshotItem:
		return adapter.ModesOf(adapter.Merge, adapter.Distinct, adapter.Command), true
	case item == EndOfSnapshotItem:
		return adapter.ModesOf(adapter.Distinct, adapter.Command), true
	case item == OverflowItem:
		return adapter.ModesOf(adapter.Raw, adapter.Merge, adapter.Distinct), true
	}
	return adapter.ModesOf(adapter.Raw, adapter.Merge, adapter.Distinct), false
}

// RespondToUserMessage is called in place of NotifyUserMessage. The answer reaches the client if the adapter runs in the process of the broker.
func (m *metadata) RespondToUserMessage(_ context.Context, message adapter.UserMessage) (string, error) {
	switch message.Message {
	case RefusedMessage:
		return "", &adapter.CreditsError{Code: RefusalCode, Message: RefusalText, UserMessage: RefusalText}
	case AnsweredMessage:
		return Answer, nil
	}
	return "", nil
}
