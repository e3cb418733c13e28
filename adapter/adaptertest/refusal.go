package adaptertest

import (
	"fmt"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// An ErrorKind says which of the error types of package adapter a refusal was made of: the subtype of an error reply.
type ErrorKind uint8

// The kinds, named like the types of package adapter.
const (
	AnyError                 ErrorKind = iota // for Refused: whatever the kind
	GenericError                              // E: any other error, a panic
	DataProviderError                         // ED
	SubscribeError                            // EU
	FailureError                              // EF
	MetadataProviderError                     // EM
	AccessError                               // EA
	ResourceUnavailableError                  // ER
	CreditsError                              // EC
	ConflictingSessionError                   // EX
	ItemsError                                // EI
	SchemaError                               // ES
	NotificationError                         // EN
)

var errorKinds = [...]struct {
	name   string
	letter ari.ErrorKind
}{
	AnyError:                 {"any error", 0},
	GenericError:             {"generic error", ari.KindGeneric},
	DataProviderError:        {"DataProviderError", ari.KindDataProvider},
	SubscribeError:           {"SubscribeError", ari.KindSubscription},
	FailureError:             {"FailureError", ari.KindFailure},
	MetadataProviderError:    {"MetadataProviderError", ari.KindMetadataProvider},
	AccessError:              {"AccessError", ari.KindAccess},
	ResourceUnavailableError: {"ResourceUnavailableError", ari.KindResource},
	CreditsError:             {"CreditsError", ari.KindCredits},
	ConflictingSessionError:  {"ConflictingSessionError", ari.KindConflictingSession},
	ItemsError:               {"ItemsError", ari.KindItems},
	SchemaError:              {"SchemaError", ari.KindSchema},
	NotificationError:        {"NotificationError", ari.KindNotification},
}

// String returns the name of the error type.
func (k ErrorKind) String() string {
	if int(k) < len(errorKinds) {
		return errorKinds[k].name
	}
	return fmt.Sprintf("ErrorKind(%d)", uint8(k))
}

// A Refusal is an error reply, as the server gets it.
type Refusal struct {
	// Request is the method of the request: SUB, NUS, GIS and so on.
	Request string
	Kind    ErrorKind
	// Message is for the server's log.
	Message string
	// Code and UserMessage reach the client; of CreditsError and ConflictingSessionError only.
	Code        int
	UserMessage string
	// SessionID is the other session; of ConflictingSessionError only.
	SessionID string
}

// Error describes the refusal.
func (r *Refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s refused with a %s: %q", r.Request, r.Kind, r.Message)
	if r.Kind == CreditsError || r.Kind == ConflictingSessionError {
		fmt.Fprintf(&b, ", code %d, for the user %q", r.Code, r.UserMessage)
	}
	if r.Kind == ConflictingSessionError {
		fmt.Fprintf(&b, ", because of session %q", r.SessionID)
	}
	return b.String()
}

func refusalOf(m ari.Method, f ari.Failure) *Refusal {
	r := &Refusal{
		Request: m.String(), Kind: GenericError, Message: f.Message.S,
		Code: f.Code, UserMessage: f.ClientMessage.S, SessionID: f.Session.S,
	}
	for kind, k := range errorKinds {
		if kind != int(AnyError) && k.letter == f.Kind {
			r.Kind = ErrorKind(kind)
		}
	}
	return r
}
