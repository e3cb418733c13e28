package tlcp

import (
	"strings"
	"testing"
)

// Every code of the published lists has a text of its own; one that is in no list says its number.
func TestCodeTexts(t *testing.T) {
	session := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 21, 31, 32, 33, 34, 35, 40, 41, 48, 60, 64, 65, 66, 67, 68, 69, 70, 71}
	request := []int{
		3, 11, 13, 15, 16, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33, 34, 35, 38, 39,
		40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 56, 65, 66, 67, 68,
	}
	for _, tt := range []struct {
		kind  string
		codes []int
		text  func(int) string
		known map[int]string
	}{
		{"session", session, SessionText, sessionTexts},
		{"request", request, RequestText, requestTexts},
	} {
		for _, c := range tt.codes {
			if text := tt.text(c); text == "" || strings.HasPrefix(text, "Error ") {
				t.Errorf("%s code %d has no text", tt.kind, c)
			}
		}
		if len(tt.known) != len(tt.codes) {
			t.Errorf("%s: %d codes have texts, the list has %d", tt.kind, len(tt.known), len(tt.codes))
		}
	}
	if got := SessionText(-5); got != "Error -5" {
		t.Errorf("text of an application's code: %q", got)
	}
	// The text of 39 is a number by the protocol.
	if got := RequestText(CodeMessagesTimeout); got != "1" {
		t.Errorf("text of 39: %q", got)
	}
}

func TestErrorsAppendTheirLines(t *testing.T) {
	for _, tt := range []struct {
		line interface{ Append([]byte) []byte }
		want string
	}{
		{NewSessionError(CodeUserRefused), "CONERR,1,User/password check failed\r\n"},
		{&SessionError{-5, "credits, refused"}, "CONERR,-5,credits%2C refused\r\n"},
		{NewRequestError("1", CodeSubscriptionUnknown), "REQERR,1,19,Specified subscription not found\r\n"},
		{NewRequestError("", CodeInternal), "ERROR,68,Internal error\r\n"},
	} {
		if got := string(tt.line.Append(nil)); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
