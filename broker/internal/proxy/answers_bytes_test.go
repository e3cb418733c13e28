package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// TestAnswersAreBoundedInBytes: names that clients make up do not fill the memory, old ones no more
// than young ones.
func TestAnswersAreBoundedInBytes(t *testing.T) {
	a := newAnswers(time.Hour, time.Nanosecond)
	asked := 0
	for i := range 2000 {
		name := strings.Repeat("x", 48_000) + string(rune('a'+i%26)) + string(rune(i))
		_, err := a.items.through([]string{name, "short"}, func(missing []string) ([]provider.ItemData, error) {
			asked++
			return make([]provider.ItemData, len(missing)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = a.userItems.through([]userItem{{item: name}}, func(missing []userItem) ([]provider.UserItemData, error) {
			return make([]provider.UserItemData, len(missing)), nil
		})
		for _, bytes := range []int{a.items.bytes, a.userItems.bytes} {
			if bytes > maxAnswerBytes {
				t.Fatalf("%d bytes of names are kept", bytes)
			}
		}
	}
	if asked != 2000 || a.items.bytes < maxAnswerBytes/10 {
		t.Errorf("asked %d times, %d bytes are kept", asked, a.items.bytes)
	}
}
