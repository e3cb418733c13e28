package adapter

import (
	"context"
	"strings"
)

// DefaultMetadata answers every request of [MetadataProvider] as the official MetadataProviderAdapter does: everybody is admitted
// without limits, every mode is allowed, notifications are accepted and user messages are refused. Groups and schemas, for
// which Java has no default, are lists of names separated by spaces, as in Python.
//
// It is meant to be embedded; the zero value is ready.
type DefaultMetadata struct{}

func (DefaultMetadata) mustEmbedDefaultMetadata() {}

// Initialize accepts.
func (DefaultMetadata) Initialize(context.Context, Init) error { return nil }

// NotifyUser admits everybody, with unlimited bandwidth and no table notifications.
func (DefaultMetadata) NotifyUser(context.Context, User) (UserGrant, error) { return UserGrant{}, nil }

// NotifyNewSession accepts, without a limit of time.
func (DefaultMetadata) NotifyNewSession(context.Context, Session) (SessionGrant, error) {
	return SessionGrant{}, nil
}

// NotifySessionClose does nothing.
func (DefaultMetadata) NotifySessionClose(context.Context, string) error { return nil }

// Items returns the names in the group, which spaces separate.
func (DefaultMetadata) Items(_ context.Context, r ItemsRequest) ([]string, error) {
	return splitNames(r.Group), nil
}

// Schema returns the names in the schema, which spaces separate.
func (DefaultMetadata) Schema(_ context.Context, r SchemaRequest) ([]string, error) {
	return splitNames(r.Schema), nil
}

// splitNames splits at spaces only (other white space may be part of a name) and drops empty names, as .NET does.
func splitNames(list string) []string {
	names := make([]string, 0, strings.Count(list, " ")+1)
	for list != "" {
		end := strings.IndexByte(list, ' ')
		if end < 0 {
			return append(names, list)
		}
		if end > 0 {
			names = append(names, list[:end])
		}
		list = list[end+1:]
	}
	return names
}

// ItemData allows every mode, with no snapshot in DISTINCT and no frequency limit.
func (DefaultMetadata) ItemData(context.Context, string) (ItemData, error) {
	return ItemData{Modes: AllModes}, nil
}

// UserItemData allows every mode, with no limit of frequency and buffers.
func (DefaultMetadata) UserItemData(context.Context, string, string) (UserItemData, error) {
	return UserItemData{Modes: AllModes}, nil
}

// NotifyUserMessage refuses with a [*CreditsError] of code 0.
func (DefaultMetadata) NotifyUserMessage(context.Context, UserMessage) error {
	return &CreditsError{Message: "Unsupported function", UserMessage: "Unsupported function"}
}

// NotifyNewTables accepts; no unsubscription by the adapter, no final statistics.
func (DefaultMetadata) NotifyNewTables(context.Context, NewTables) (TablesGrant, error) {
	return TablesGrant{}, nil
}

// NotifyTablesClose does nothing.
func (DefaultMetadata) NotifyTablesClose(context.Context, TablesClose) error { return nil }

// NotifyMPNDeviceAccess accepts.
func (DefaultMetadata) NotifyMPNDeviceAccess(context.Context, MPNDeviceAccess) error { return nil }

// NotifyMPNSubscriptionActivation accepts.
func (DefaultMetadata) NotifyMPNSubscriptionActivation(context.Context, MPNSubscriptionActivation) error {
	return nil
}

// NotifyMPNDeviceTokenChange accepts.
func (DefaultMetadata) NotifyMPNDeviceTokenChange(context.Context, MPNDeviceTokenChange) error {
	return nil
}
