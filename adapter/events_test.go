package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

type quote struct {
	Last    float64   `ls:"last_price"`
	Time    string    `ls:"time"`
	Status  *string   `ls:"item|status"`
	Volume  int       `ls:"volume,omitempty"`
	Flags   uint8     `ls:"flags"`
	Ratio   float32   `ls:"ratio"`
	Open    bool      `ls:"open"`
	Raw     []byte    `ls:"raw"`
	At      time.Time `ls:"at"`
	hidden  string
	Skipped string `ls:"-"`
	Named   string
}

func TestStructs(t *testing.T) {
	p := newProxy(t)
	quotes := adapter.NewStruct[quote]()
	status := "active"
	type row struct {
		Qty int `ls:"qty"`
	}
	rows := adapter.NewStruct[row]()
	start(t, dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
		q := quote{Last: 12.5, Time: "10:00", Status: &status, Volume: 7, Flags: 200, Ratio: 0.1, Open: true, Raw: []byte("é+"), hidden: "x", Named: "n"}
		return errors.Join(
			quotes.Snapshot(sub, &q),
			quotes.Update(sub, &quote{}),
			rows.Add(sub, "k", &row{1}),
			rows.Modify(sub, "k", &row{-2}),
		)
	})))
	c := p.acceptData()
	c.say("2|SUB|S|i")
	c.expect(
		"UD3|S|i|S|2|B|1|S|last_price|S|12.5|S|time|S|10:00|S|item%7Cstatus|S|active|S|volume|S|7|S|flags|S|200|S|ratio|S|0.1|S|open|S|true|S|raw|S|é%2B|S|at|S|0001-01-01T00:00:00Z|S|Named|S|n",
		"UD3|S|i|S|2|B|0|S|last_price|S|0|S|time|S|$|S|item%7Cstatus|S|#|S|flags|S|0|S|ratio|S|0|S|open|S|false|S|raw|S|#|S|at|S|0001-01-01T00:00:00Z|S|Named|S|$",
		"UD3|S|i|S|2|B|0|S|key|S|k|S|command|S|ADD|S|qty|S|1",
		"UD3|S|i|S|2|B|0|S|key|S|k|S|command|S|UPDATE|S|qty|S|-2",
		"2|SUB|V",
	)
}

func TestStructsThatCannotBeSent(t *testing.T) {
	for want, f := range map[string]func(){
		"int is not a struct": func() { adapter.NewStruct[int]() },
		"field C of":          func() { adapter.NewStruct[struct{ C chan int }]() },
		`tag "x,omitnothing"`: func() {
			adapter.NewStruct[struct {
				S string `ls:"x,omitnothing"`
			}]()
		},
		"type []int":    func() { adapter.NewStruct[struct{ S []int }]() },
		"type **string": func() { adapter.NewStruct[struct{ S **string }]() },
	} {
		func() {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), want) {
					t.Errorf("panic = %v, want one with %q", p, want)
				}
			}()
			f()
		}()
	}
}

func TestStatsAndEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		var mu sync.Mutex
		var happened []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			happened = append(happened, fmt.Sprintf(format, args...))
		}
		flushed := 0
		s := dataServer(t, p, &provider{subscribe: func(_ context.Context, sub *adapter.Subscription) error {
			if sub.Item() == "bad" {
				return &adapter.SubscribeError{Message: "no"}
			}
			return sub.Update(nil)
		}})
		s.Name = "quotes"
		s.Events = adapter.JoinEvents(nil, &adapter.Events{
			Connected:     func(c adapter.ConnInfo) { note("connected %s %s", c.Server, c.Proxy) },
			Initialised:   func(c adapter.ConnInfo) { note("initialised %s", c.Protocol) },
			Disconnected:  func(_ adapter.ConnInfo, err error) { note("disconnected %v", err) },
			Request:       func(r adapter.RequestInfo) { note("request %s %v", r.Method, r.Err) },
			ProtocolError: func(err error) { note("protocol error %v", err) },
		}, &adapter.Events{
			Flushed:   func(f adapter.FlushInfo) { flushed += f.Updates },
			Connected: func(adapter.ConnInfo) { note("connected, again") },
		})
		r := start(t, s)
		c := p.acceptData()
		c.say("2|SUB|S|good")
		c.expect("UD3|S|good|S|2|B|0", "2|SUB|V")
		c.say("3|SUB|S|bad")
		c.expect("3|SUB|EU|no")
		c.say("4|NOPE|")
		c.say("5|USB|S|nothing")
		c.expect("5|USB|V")
		synctest.Wait()
		got := s.Stats()
		if got.BytesRead == 0 || got.BytesWritten == 0 {
			t.Errorf("no bytes counted: %+v", got)
		}
		got.BytesRead, got.BytesWritten = 0, 0
		want := adapter.Stats{Connected: true, Initialised: true, Connections: 1, Items: 1, Requests: 3, Refused: 1, ProtocolErrors: 1, Updates: 1}
		if got != want {
			t.Errorf("Stats() = %+v\nwant     %+v", got, want)
		}
		c.cut()
		synctest.Wait()
		if got := s.Stats(); got.Connected || got.Initialised || got.Items != 0 || got.Failures != 1 {
			t.Errorf("after the loss: %+v", got)
		}
		p.acceptData()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		wantEvents := []string{
			"connected quotes pipe", "connected, again", "initialised 1.9.1", "request SUB <nil>", "request SUB no", `protocol error unknown method "NOPE"`, "request USB <nil>",
			"disconnected connection to the proxy lost: closed by the proxy",
			"connected quotes pipe", "connected, again", "initialised 1.9.1", "disconnected <nil>",
		}
		if !slices.Equal(happened, wantEvents) {
			t.Errorf("events:\n%s\nwant:\n%s", strings.Join(happened, "\n"), strings.Join(wantEvents, "\n"))
		}
		if flushed != 1 {
			t.Errorf("%d updates reported by Flushed, want 1", flushed)
		}
	})
}

func TestMaxCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []int{1, 3} {
			p := newProxy(t)
			atWork := make(chan string, 16)
			goOn := make(chan struct{})
			s := dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
				atWork <- sub.Item()
				<-goOn
				return nil
			}))
			s.MaxCallbacks = limit
			start(t, s)
			c := p.acceptData()
			var want []string
			for i := range 8 {
				item := fmt.Sprint("i", i)
				want = append(want, item)
				c.say(fmt.Sprintf("%d|SUB|S|%s", i+2, item))
				synctest.Wait() // so that the calls within the limit begin in order too
			}
			time.Sleep(time.Second) //nolint:forbidigo // virtual: workers over the number of processors join when calls do not return
			if len(atWork) != limit {
				t.Errorf("%d callbacks at work, want %d", len(atWork), limit)
			}
			var got []string
			for range 8 {
				got = append(got, <-atWork)
				goOn <- struct{}{}
				synctest.Wait()
			}
			if !slices.Equal(got, want) {
				t.Errorf("called for %v, want the order of arrival", got)
			}
		}
	})
}

func TestLogLines(t *testing.T) {
	for _, tt := range []struct {
		categories adapter.LogCategories
		want       []string
	}{
		{0, nil},
		{adapter.LogRequests, []string{"requests.line=1|DPI|…", "requests.line=2|SUB|S|i"}},
		{adapter.LogReplies, []string{"replies.line=1|RAC|…", "replies.line=1|DPI|…", "replies.line=2|SUB|V"}},
		{adapter.LogNotifications, []string{"notifications.line=T|UD3|S|i|S|2|B|0|S|f|S|x"}},
		{adapter.LogKeepalives, []string{"keepalives.line=KEEPALIVE"}},
	} {
		t.Run(tt.categories.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProxy(t)
				var log lockedBuffer
				s := dataServer(t, p, adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
					return sub.Update(adapter.Fields{"f": "x"})
				}))
				s.Credentials = adapter.StaticCredentials("u", "tiger")
				s.LogLines = tt.categories
				s.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				r := start(t, s)
				c := p.acceptData()
				c.say("2|SUB|S|i")
				c.expect("UD3|S|i|S|2|B|0|S|f|S|x", "2|SUB|V")
				for c.nextRaw() != "KEEPALIVE" {
				}
				_ = r.stop()
				var got []string
				for line := range strings.Lines(log.String()) {
					if before, shown, ok := strings.Cut(line, ".line="); ok {
						category := before[strings.LastIndex(before, " ")+1:]
						shown, _, _ = strings.Cut(shown, " ")
						if stamp, rest, _ := strings.Cut(shown, "|"); category == "notifications" && len(stamp) > 10 {
							shown = "T|" + rest
						}
						got = append(got, category+".line="+shown)
					}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("logged %q, want %q", got, tt.want)
				}
				if strings.Contains(log.String(), "tiger") {
					t.Error("the password was logged")
				}
			})
		})
	}
}

func TestHalfCredentials(t *testing.T) {
	for _, tt := range []struct {
		c    adapter.Credentials
		want string
	}{
		{adapter.Credentials{}, "S|user|S|$|S|password|S|$|"},
		{adapter.Credentials{User: "u", NoPassword: true}, "S|user|S|u|"},
		{adapter.Credentials{Password: "p", NoUser: true}, "S|password|S|p|"},
		{adapter.Credentials{NoUser: true, NoPassword: true}, ""},
	} {
		p := newProxy(t)
		s := dataServer(t, p, &provider{})
		s.Credentials = func(context.Context) (adapter.Credentials, error) { return tt.c, nil }
		start(t, s)
		p.acceptRaw().expect("1|RAC|" + tt.want + "S|enableClosePacket|S|true|S|SDK|S|Go+Adapter+SDK+" + adapter.Version)
	}
}
