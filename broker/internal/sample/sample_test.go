package sample

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)), time.Minute, 2)
		for range 100 {
			l.Warn("a", "a happened")
		}
		l.Warn("b", "b happened", "peer", "x")
		if got := strings.Count(out.String(), "a happened"); got != 2 || !strings.Contains(out.String(), "peer=x") {
			t.Errorf("logged %s", &out)
		}
		out.Reset()
		<-time.After(time.Minute)
		l.Warn("a", "a happened", "peer", "y")
		if !strings.Contains(out.String(), "peer=y left_out=98") {
			t.Errorf("after a minute: %s", &out)
		}
	})
}

// Keys that a peer makes up are bounded, and so are their lines.
func TestInventedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)), time.Minute, 1)
		for i := range 100_000 {
			l.Warn(fmt.Sprint(i), "happened")
		}
		if got := strings.Count(out.String(), "\n"); got > maxKeys+1 || len(l.keys) > maxKeys+1 {
			t.Errorf("%d lines, %d keys", got, len(l.keys))
		}
		<-time.After(time.Minute)
		out.Reset()
		l.Warn("new", "happened")
		if len(l.keys) > 2 || !strings.Contains(out.String(), "happened") {
			t.Errorf("%d keys after their time, %s", len(l.keys), &out)
		}
	})
}
