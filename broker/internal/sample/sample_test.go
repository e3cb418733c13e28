package sample

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// output is what was logged, also by timers.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is what was logged since the last Reset.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Reset()
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out output
		l := New(slog.New(slog.NewTextHandler(&out, nil)), time.Minute, 2)
		for range 100 {
			l.Warn("a", "a happened")
		}
		l.Info("b", "b happened", "peer", "x")
		if got := strings.Count(out.String(), "a happened"); got != 2 || !strings.Contains(out.String(), "peer=x") {
			t.Errorf("logged %s", &out)
		}
		out.Reset()
		<-time.After(time.Minute)
		synctest.Wait()
		if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `level=WARN msg="a happened" left_out=98 in=1m0s`) {
			t.Errorf("after a minute: %s", got)
		}
		out.Reset()
		l.Warn("a", "a happened", "peer", "y")
		if got := out.String(); !strings.Contains(got, "peer=y") || strings.Contains(got, "left_out") {
			t.Errorf("in the next minute: %s", got)
		}
		for range 5 {
			l.Info("c", "c happened")
		}
		l.Close()
		if got := out.String(); !strings.Contains(got, `level=INFO msg="c happened" left_out=3`) {
			t.Errorf("at the end: %s", got)
		}
		out.Reset()
		<-time.After(time.Hour)
		if out.String() != "" {
			t.Errorf("after the end: %s", &out)
		}
	})
}

// Keys that a peer makes up are bounded, and so are their lines.
func TestInventedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out output
		l := New(slog.New(slog.NewTextHandler(&out, nil)), time.Minute, 1)
		for i := range 100_000 {
			l.Warn(fmt.Sprint(i), "happened")
		}
		l.mu.Lock()
		if got := strings.Count(out.String(), "\n"); got > maxKeys+1 || len(l.keys) > maxKeys+1 {
			t.Errorf("%d lines, %d keys", got, len(l.keys))
		}
		l.mu.Unlock()
		<-time.After(time.Minute)
		synctest.Wait()
		out.Reset()
		l.Warn("new", "happened")
		l.mu.Lock()
		if len(l.keys) > 2 || !strings.Contains(out.String(), "happened") {
			t.Errorf("%d keys after their time, %s", len(l.keys), &out)
		}
		l.mu.Unlock()
		l.Close()
	})
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"api":                    "api",
		`say "hi"`:               `say "hi"`,
		"a\r\nlevel=ERROR\x1b[2": `a\r\nlevel=ERROR\x1b[2`,
		"caffè ☃":                "caffè ☃",
		"\xff":                   `\xff`,
		strings.Repeat("☃", 100): strings.Repeat("☃", 40) + "...",
		strings.Repeat("x", 5e4): strings.Repeat("x", 120) + "...",
	} {
		if got := Text(in); got != want {
			t.Errorf("%.20q: %q, want %q", in, got, want)
		}
	}
	if got := Text(strings.Repeat("\x00", 5e4)); len(got) > 4*maxText+3 {
		t.Errorf("%d bytes", len(got))
	}
}
