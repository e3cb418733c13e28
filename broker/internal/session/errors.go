package session

import (
	"errors"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// createError turns what the Metadata Adapter said to a new session into the CONERR for its client,
// who learns no more than the adapter meant for it.
func (m *Manager) createError(call string, err error) *refusal {
	m.logged("session: refused by the Metadata Adapter", "call", call, "error", errorText(err))
	pe, ok := errors.AsType[*provider.Error](err)
	if !ok {
		return refused(ByAdapter, tlcp.CodeMetadataException)
	}
	switch pe.Kind {
	case provider.Access:
		return refused(ByAdapter, tlcp.CodeUserRefused)
	case provider.Resource, provider.Unavailable:
		return refused(ByAdapter, tlcp.CodeCheckUnavailable)
	case provider.Credits, provider.ConflictingSession:
		return &refusal{SessionError: &tlcp.SessionError{Code: min(pe.Code, 0), Message: pe.ClientMessage.S}, by: ByAdapter}
	}
	return refused(ByAdapter, tlcp.CodeMetadataException)
}

// requestError turns what the Metadata Adapter said to a subscription into code and text of the
// REQERR.
func requestError(err error, badItems int) (code int, text string) {
	code = tlcp.CodeMetadataException
	if pe, ok := errors.AsType[*provider.Error](err); ok {
		switch pe.Kind {
		case provider.Credits, provider.ConflictingSession:
			return min(pe.Code, 0), pe.ClientMessage.S
		case provider.Items:
			code = badItems
		case provider.Schema:
			code = tlcp.CodeBadSchema
		}
	}
	return code, tlcp.RequestText(code)
}

// messageError turns what the Metadata Adapter said to a message into code and text of the MSGFAIL.
func messageError(err error) (code int, text string) {
	code = tlcp.CodeMessageException
	if pe, ok := errors.AsType[*provider.Error](err); ok {
		switch pe.Kind {
		case provider.Credits, provider.ConflictingSession:
			return min(pe.Code, 0), pe.ClientMessage.S
		case provider.Unavailable:
			code = tlcp.CodeMessageFault
		}
	}
	return code, tlcp.RequestText(code)
}
