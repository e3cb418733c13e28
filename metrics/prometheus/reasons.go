package prometheus

import (
	"errors"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

var disconnectionReasons = []string{"stopped", "lost", "closed", "occupied", "refused", "initialisation", "unreachable"}

// disconnectionReason names the end of a connection, or the failure of an attempt.
func disconnectionReason(info adapter.ConnInfo, err error) string {
	if err == nil {
		return "stopped"
	}
	if closed, ok := errors.AsType[*adapter.CloseError](err); ok {
		if closed.Occupied {
			return "occupied"
		}
		if closed.BeforeInit {
			return "refused"
		}
		return "closed"
	}
	if errors.Is(err, adapter.ErrTurnedAway) {
		return "refused"
	}
	if _, ok := errors.AsType[*adapter.InitError](err); ok {
		return "initialisation"
	}
	if info.Proxy == "" {
		return "unreachable"
	}
	return "lost"
}

// errorReason names the error of a callback by its type. The order is that in which the SDK looks for the types.
func errorReason(err error) string {
	for _, kind := range errorKinds {
		if kind.is(err) {
			return kind.name
		}
	}
	return "generic"
}

var errorKinds = []struct {
	name string
	is   func(error) bool
}{
	{"data_provider", is[*adapter.DataProviderError]},
	{"subscribe", is[*adapter.SubscribeError]},
	{"failure", is[*adapter.FailureError]},
	{"metadata_provider", is[*adapter.MetadataProviderError]},
	{"access", is[*adapter.AccessError]},
	{"resource_unavailable", is[*adapter.ResourceUnavailableError]},
	{"credits", is[*adapter.CreditsError]},
	{"conflicting_session", is[*adapter.ConflictingSessionError]},
	{"items", is[*adapter.ItemsError]},
	{"schema", is[*adapter.SchemaError]},
	{"notification", is[*adapter.NotificationError]},
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
