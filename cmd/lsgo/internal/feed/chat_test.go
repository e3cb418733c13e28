package feed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestChatPost(t *testing.T) {
	for _, test := range []struct {
		name, text, want string
		err              error
	}{
		{name: "plain", text: "hello", want: "hello"},
		{name: "trimmed", text: "  hello \n", want: "hello"},
		{name: "inner lines stay", text: "a\nb", want: "a\nb"},
		{name: "separators stay", text: "CHAT|a|b", want: "CHAT|a|b"},
		{name: "invalid UTF-8", text: "a\xffb", want: "a\uFFFDb"},
		{name: "empty", text: "", err: ErrEmptyMessage},
		{name: "blank", text: " \t\n", err: ErrEmptyMessage},
		{name: "longest", text: strings.Repeat("é", MaxChatMessage), want: strings.Repeat("é", MaxChatMessage)},
		{name: "too long", text: strings.Repeat("é", MaxChatMessage+1), err: ErrMessageTooLong},
	} {
		t.Run(test.name, func(t *testing.T) {
			var room Chat
			err := room.Post("10.0.0.1", "Ann", test.text)
			if !errors.Is(err, test.err) {
				t.Fatalf("error is %v, want %v", err, test.err)
			}
			history, _ := room.Enter(t.Context())
			if err != nil {
				if len(history) > 0 {
					t.Errorf("a refused message is in the room: %v", history)
				}
				return
			}
			if len(history) != 1 || history[0].Text != test.want || history[0].IP != "10.0.0.1" || history[0].Nick != "Ann" {
				t.Errorf("the room holds %v, want one message %q", history, test.want)
			}
		})
	}
}

func TestChatNicknameIsBounded(t *testing.T) {
	var room Chat
	if err := room.Post("", strings.Repeat("n", 100), "hi"); err != nil {
		t.Fatal(err)
	}
	history, _ := room.Enter(t.Context())
	if n := len([]rune(history[0].Nick)); n != maxChatNickname {
		t.Errorf("nickname has %d characters, want %d", n, maxChatNickname)
	}
}

func TestChatHistoryAndNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var room Chat
		post := func(from, to int) {
			for i := from; i < to; i++ {
				if err := room.Post("", "", fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			}
		}
		post(0, 100)
		history, news := room.Enter(ctx)
		if len(history) != ChatHistory || history[0].Text != "70" || history[29].Text != "99" {
			t.Fatalf("history is %v, want 70 … 99", history)
		}
		post(100, 103) // before the reader begins: nothing is lost between history and news
		var got []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for message := range news {
				got = append(got, message.Text)
			}
		}()
		synctest.Wait()
		for i := 103; i < 2000; i++ { // past several shortenings of the log
			post(i, i+1)
			synctest.Wait()
		}
		cancel()
		<-done
		if len(got) != 1900 {
			t.Fatalf("%d messages, want 1900", len(got))
		}
		for i, text := range got {
			if text != fmt.Sprint(100+i) {
				t.Fatalf("message %d is %s", 100+i, text)
			}
		}
	})
}

func TestChatReaderFarBehind(t *testing.T) {
	var room Chat
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, news := room.Enter(ctx)
	for i := range 5000 {
		if err := room.Post("", "", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	n, last := 0, ""
	for message := range news {
		n, last = n+1, message.Text
		if last == "4999" {
			cancel()
		}
	}
	if n == 0 || n > chatLog {
		t.Errorf("%d messages kept, want some and at most %d", n, chatLog)
	}
}

func TestChatMessageValues(t *testing.T) {
	m := ChatMessage{Time: time.UnixMilli(1_700_000_000_123).UTC(), IP: "1.2.3.4", Nick: "Ann", Text: "a|b"}
	values := m.Values()
	if got, want := strings.Join(values[:], "|"), "1700000000123|22:13:20|1.2.3.4|Ann|a|b"; got != want {
		t.Errorf("values are %s, want %s", got, want)
	}
	if got := strings.Join(ChatFields[:], " "); got != "raw_timestamp timestamp IP nick message" {
		t.Errorf("fields are %s", got)
	}
}
