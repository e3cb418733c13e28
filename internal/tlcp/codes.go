package tlcp

import "strconv"

// Codes of CONERR and END. Zero and negative codes belong to the application.
const (
	CodeUserRefused          = 1
	CodeAdapterSetUnknown    = 2
	CodeIncompatibleVersion  = 3 // also a request code
	CodeRecoveryUnavailable  = 4
	CodeOverloaded           = 5
	CodeCheckUnavailable     = 6
	CodeLicensedSessions     = 7
	CodeConfiguredSessions   = 8
	CodeConfiguredLoad       = 9
	CodeSessionsSuspended    = 10
	CodeStreamingUnlicensed  = 11
	CodeSessionUnknown       = 20 // also a request code
	CodeSessionElsewhere     = 21
	CodeDestroyed            = 31
	CodeClosedByServer       = 32
	CodeServerFault          = 33
	CodeServerFailure        = 34
	CodeReplacedByNewSession = 35
	CodeRebound              = 40
	CodeRetired              = 41 // in no published list; clients treat it like CodeMaxDuration
	CodeMaxDuration          = 48
	CodeClientVersion        = 60
	CodeCombinedFailed       = 64
	CodeSyntax               = 65 // also a request code; clients end the session on it
	CodeMetadataException    = 66 // also a request code
	CodeMalformed            = 67 // also a request code; clients end the session on it
	CodeInternal             = 68 // also a request code
	CodeStreamingBusy        = 69
	CodePortRefused          = 70
	CodeClientRefused        = 71
)

// Codes of REQERR, ERROR and MSGFAIL, besides those shared with CONERR. Zero and negative codes belong to the application.
const (
	CodeRequestElsewhere     = 11 // clients end the session on it
	CodeReconfUnfiltered     = 13
	CodeKeyMissing           = 15
	CodeCommandMissing       = 16
	CodeDataAdapterUnknown   = 17
	CodeSubscriptionUnknown  = 19
	CodeBadGroup             = 21
	CodeBadGroupForSchema    = 22
	CodeBadSchema            = 23
	CodeModeRefused          = 24
	CodeBadSelector          = 25
	CodeUnfilteredLimited    = 26
	CodeUnfilteredPrefilter  = 27
	CodeUnfilteredUnlicensed = 28
	CodeRawUnlicensed        = 29
	CodeSubscriptionLicense  = 30
	CodeMessageSkipped       = 32
	CodeMessageRepeated      = 33
	CodeMessageFault         = 34
	CodeMessageException     = 35
	CodeMessageTimeout       = 38
	CodeMessagesTimeout      = 39 // the text of the line is how many, as a number
	CodeMPNDisabled          = 40
	CodeMPNFailed            = 41
	CodeMPNPlatform          = 42
	CodeMPNApplication       = 43
	CodeMPNTrigger           = 44
	CodeMPNDevice            = 45
	CodeMPNSubscription      = 46
	CodeMPNArgument          = 47
	CodeMPNSuspended         = 48
	CodeMPNLength            = 49
	CodeMPNEmpty             = 50
	CodeMPNPayload           = 51
	CodeMPNFormat            = 52
	CodeMPNFormatEmpty       = 53
	CodeMPNMismatch          = 56
)

var sessionTexts = map[int]string{
	CodeUserRefused:          "User/password check failed",
	CodeAdapterSetUnknown:    "Requested Adapter Set not available",
	CodeIncompatibleVersion:  "Session created with an incompatible protocol version",
	CodeRecoveryUnavailable:  "Recovery point not available",
	CodeOverloaded:           "Server overloaded",
	CodeCheckUnavailable:     "User/password check temporarily not available",
	CodeLicensedSessions:     "Licensed maximum number of sessions reached",
	CodeConfiguredSessions:   "Configured maximum number of sessions reached",
	CodeConfiguredLoad:       "Configured maximum server load reached",
	CodeSessionsSuspended:    "New sessions temporarily blocked",
	CodeStreamingUnlicensed:  "Streaming not available with the current license",
	CodeSessionUnknown:       "Specified session not found",
	CodeSessionElsewhere:     "Session not compatible with this instance",
	CodeDestroyed:            "Destroy invoked by client",
	CodeClosedByServer:       "Session closed by the server",
	CodeServerFault:          "Unexpected error",
	CodeServerFailure:        "Unexpected error",
	CodeReplacedByNewSession: "Another session was opened by the same user",
	CodeRebound:              "Session rebound by another client",
	CodeRetired:              "Session retired by the server",
	CodeMaxDuration:          "Maximum session duration reached",
	CodeClientVersion:        "Client version not supported",
	CodeCombinedFailed:       "Control request of the session creation failed",
	CodeSyntax:               "Wrong syntax or value of a parameter",
	CodeMetadataException:    "Unexpected exception in the Metadata Adapter",
	CodeMalformed:            "Malformed request",
	CodeInternal:             "Internal error",
	CodeStreamingBusy:        "Another session is bound to this WebSocket",
	CodePortRefused:          "Session creation not allowed on this port",
	CodeClientRefused:        "Kind of client not supported",
}

var requestTexts = map[int]string{
	CodeIncompatibleVersion:  "Request not supported by the protocol version of the session",
	CodeRequestElsewhere:     "Session not compatible with this instance",
	CodeReconfUnfiltered:     "Frequency change not allowed on an unfiltered subscription",
	CodeKeyMissing:           "Invalid schema for COMMAND mode: key field missing",
	CodeCommandMissing:       "Invalid schema for COMMAND mode: command field missing",
	CodeDataAdapterUnknown:   "Data Adapter not found",
	CodeSubscriptionUnknown:  "Specified subscription not found",
	CodeSessionUnknown:       "Session not found",
	CodeBadGroup:             "Bad Item Group name",
	CodeBadGroupForSchema:    "Bad Item Group name for this Field Schema",
	CodeBadSchema:            "Bad Field Schema name",
	CodeModeRefused:          "Invalid mode for these items",
	CodeBadSelector:          "Bad Selector name",
	CodeUnfilteredLimited:    "Unfiltered dispatching not allowed for an item, because a frequency limit is set",
	CodeUnfilteredPrefilter:  "Unfiltered dispatching not supported for an item, because it is prefiltered",
	CodeUnfilteredUnlicensed: "Unfiltered dispatching not available with the current license",
	CodeRawUnlicensed:        "RAW mode not available with the current license",
	CodeSubscriptionLicense:  "Subscriptions not available with the current license",
	CodeMessageSkipped:       "Message number too low: already received or skipped",
	CodeMessageRepeated:      "Message number too low: already received",
	CodeMessageFault:         "Unexpected error in message processing",
	CodeMessageException:     "Unexpected exception in the Metadata Adapter",
	CodeMessageTimeout:       "Message skipped by timeout",
	CodeMessagesTimeout:      "1",
	CodeMPNDisabled:          "MPN Module is disabled",
	CodeMPNFailed:            "MPN request failed for lack of resources",
	CodeMPNPlatform:          "MPN platform unknown",
	CodeMPNApplication:       "MPN application unknown",
	CodeMPNTrigger:           "MPN trigger with wrong syntax",
	CodeMPNDevice:            "MPN device unknown",
	CodeMPNSubscription:      "MPN subscription unknown",
	CodeMPNArgument:          "MPN format or trigger with a wrong argument name",
	CodeMPNSuspended:         "MPN device suspended",
	CodeMPNLength:            "MPN request parameter too long",
	CodeMPNEmpty:             "MPN subscription without items or fields",
	CodeMPNPayload:           "MPN notification too long",
	CodeMPNFormat:            "MPN notification format is no valid JSON",
	CodeMPNFormatEmpty:       "MPN notification format is empty",
	CodeMPNMismatch:          "MPN subscription parameters do not match",
	CodeSyntax:               "Wrong syntax or value of a parameter",
	CodeMetadataException:    "Unexpected exception in the Metadata Adapter",
	CodeMalformed:            "Malformed request",
	CodeInternal:             "Internal error",
}

// SessionText returns the customary text of a CONERR or END code. Unknown codes get a text that says the number.
func SessionText(code int) string { return codeText(sessionTexts, code) }

// RequestText returns the customary text of a REQERR, ERROR or MSGFAIL code. Unknown codes get a text that says the number.
func RequestText(code int) string { return codeText(requestTexts, code) }

func codeText(texts map[int]string, code int) string {
	if text, ok := texts[code]; ok {
		return text
	}
	return "Error " + strconv.Itoa(code)
}

// SessionError refuses a session: it is the CONERR a server answers to create_session or bind_session, and what a client makes of
// one. Message is what the client is told: it must hold no secret.
type SessionError struct {
	Code    int
	Message string
}

// NewSessionError returns the refusal with the customary text of the code.
func NewSessionError(code int) *SessionError {
	return &SessionError{Code: code, Message: SessionText(code)}
}

// Error tells code and text.
func (e *SessionError) Error() string {
	return "tlcp: session refused with code " + strconv.Itoa(e.Code) + ": " + e.Message
}

// Append appends the CONERR line.
func (e *SessionError) Append(dst []byte) []byte { return AppendCONERR(dst, e.Code, e.Message) }

// RequestError refuses a control request or a message: it is the REQERR a server answers if ReqID is known, else the ERROR.
// Message is what the client is told: it must hold no secret.
type RequestError struct {
	ReqID   string // empty if the request could not be understood as far as its id
	Code    int
	Message string
}

// NewRequestError returns the refusal with the customary text of the code.
func NewRequestError(reqID string, code int) *RequestError {
	return &RequestError{ReqID: reqID, Code: code, Message: RequestText(code)}
}

// Error tells request id, code and text.
func (e *RequestError) Error() string {
	return "tlcp: request " + strconv.Quote(e.ReqID) + " refused with code " + strconv.Itoa(e.Code) + ": " + e.Message
}

// Append appends the REQERR line, or the ERROR line if the request id is not known.
func (e *RequestError) Append(dst []byte) []byte {
	if e.ReqID == "" {
		return AppendERROR(dst, e.Code, e.Message)
	}
	return AppendREQERR(dst, e.ReqID, e.Code, e.Message)
}
