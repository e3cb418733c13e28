package demo

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/feed"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// proxy is the broker's side of one data connection, in memory.
type proxy struct {
	t     *testing.T
	conn  net.Conn
	lines chan string
}

// serve runs provider against a proxy inside a bubble of fake time. When the test ends, so do the adapter and its streams.
func serve(t *testing.T, provider adapter.DataProvider, streams *streams, test func(*proxy)) {
	ours, theirs := net.Pipe()
	p := &proxy{t: t, conn: ours, lines: make(chan string, 100_000)}
	go func() {
		defer close(p.lines)
		lines := bufio.NewScanner(ours)
		for lines.Scan() {
			if line := strings.TrimSuffix(lines.Text(), "\r"); line != "KEEPALIVE" {
				p.lines <- line
			}
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	server := &adapter.DataServer{
		Provider: provider,
		Addr:     "proxy:6661",
		Dial:     func(context.Context, string, string) (net.Conn, error) { return theirs, nil },
	}
	go func() {
		ended <- server.Run(ctx)
		_ = theirs.Close() // also after a mistake in the fields, before any connection
	}()
	p.next("RAC")
	p.say(string(ari.AppendInit(nil, "1", ari.Data, []ari.Param{{Name: "ARI.version", Value: ari.T("1.9.1")}})))
	p.next("DPI")
	test(p)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	streams.Wait()
	if err := ours.Close(); err != nil {
		t.Error(err)
	}
}

func (p *proxy) say(line string) {
	p.t.Helper()
	if _, err := p.conn.Write([]byte(line + ari.EOL)); err != nil {
		p.t.Fatal(err)
	}
}

// line returns the next line. A minute of fake time without one fails the test: keepalives would go on for ever.
func (p *proxy) line() string {
	p.t.Helper()
	select {
	case line, open := <-p.lines:
		if !open {
			p.t.Fatal("the connection was closed")
		}
		return line
	case <-time.After(time.Minute):
		p.t.Fatal("no line for a minute")
		return ""
	}
}

// next returns the next line, which has to be of the given method.
func (p *proxy) next(method string) ari.Line {
	p.t.Helper()
	text := p.line()
	line, err := ari.ParseLine([]byte(text))
	if err != nil || string(line.Name) != method {
		p.t.Fatalf("%q instead of %s (%v)", text, method, err)
	}
	return line
}

// event returns the next update.
func (p *proxy) event() ari.Update {
	p.t.Helper()
	update, err := ari.ParseUpdate(p.next("UD3").Body, ari.V191)
	if err != nil {
		p.t.Fatal(err)
	}
	return update
}

func (p *proxy) subscribe(item string) {
	p.t.Helper()
	p.say(string(ari.AppendSubscribe(nil, "sub-"+item, ari.V191, item)))
}

// subscribed takes the lines of a subscription that starts: the reply, and before or after it n events of the snapshot and,
// if eos is true, its end.
func (p *proxy) subscribed(n int, eos bool) (snapshot []ari.Update) {
	p.t.Helper()
	for range n + 1 + map[bool]int{true: 1}[eos] {
		line, err := ari.ParseLine([]byte(p.line()))
		if err != nil {
			p.t.Fatal(err)
		}
		switch string(line.Name) {
		case "SUB":
			if err := ari.ParseVoidReply(line.Body); err != nil {
				p.t.Fatal(err)
			}
		case "UD3":
			update, err := ari.ParseUpdate(line.Body, ari.V191)
			if err != nil {
				p.t.Fatal(err)
			}
			if !update.Snapshot {
				p.t.Errorf("a live event before the end of the snapshot: %v", update)
			}
			snapshot = append(snapshot, update)
		case "EOS":
		default:
			p.t.Fatalf("unexpected %s", line.Name)
		}
	}
	if len(snapshot) != n {
		p.t.Fatalf("%d events in the snapshot, want %d", len(snapshot), n)
	}
	return snapshot
}

func values(u ari.Update) map[string]string {
	m := make(map[string]string)
	for _, field := range u.Fields {
		m[field.Name] = field.Value.S
	}
	return m
}

func TestQuotesOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s streams
		market := feed.NewMarket(5, time.Now())
		serve(t, &quotes{market, &s}, &s, func(p *proxy) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p.subscribe("item1")
			state := values(p.subscribed(1, false)[0])
			if got := slices.Sorted(maps.Keys(state)); !slices.Equal(got, slices.Sorted(slices.Values(feed.QuoteFields[:]))) {
				t.Errorf("the snapshot has the fields %v", got)
			}
			go market.Run(ctx)
			for range 50 {
				update := p.event()
				if update.Snapshot || update.Item != "item1" || len(update.Fields) == 0 || len(update.Fields) == len(feed.QuoteFields) {
					t.Fatalf("not an update of what has changed: %+v", update)
				}
				for name, value := range values(update) {
					if state[name] == value {
						t.Errorf("%s was sent though it has not changed: %+v", name, update)
					}
					state[name] = value
				}
			}
			cancel()
			synctest.Wait()
			for len(p.lines) > 0 {
				maps.Copy(state, values(p.event()))
			}
			for quote := range market.Watch(t.Context(), "item1") {
				for i, value := range quote.Values() {
					if name := feed.QuoteFields[i]; state[name] != value {
						t.Errorf("%s is %q on the wire, %q in the market", name, state[name], value)
					}
				}
				break
			}
		})
	})
}

func TestUnsubscribeEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s streams
		market := feed.NewMarket(5, time.Now())
		serve(t, &quotes{market, &s}, &s, func(p *proxy) {
			go market.Run(t.Context())
			p.subscribe("item1")
			p.subscribed(1, false)
			p.event()
			p.say(string(ari.AppendUnsubscribe(nil, "usb", ari.V191, "item1")))
			for !strings.HasPrefix(p.line(), "usb|USB|V") {
			}
			s.Wait() // while the connection lives
			<-time.After(time.Minute)
			if len(p.lines) > 0 {
				t.Errorf("after the unsubscription: %s", p.line())
			}
		})
	})
}

func TestChatOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s streams
		var room feed.Chat
		post := func(text string) {
			if err := room.Post("192.0.2.1", "Ann", text); err != nil {
				t.Error(err)
			}
		}
		post("one")
		post("two")
		serve(t, &chat{&room, &s}, &s, func(p *proxy) {
			p.subscribe("chat_room")
			var texts []string
			for _, update := range p.subscribed(2, true) {
				texts = append(texts, values(update)["message"])
			}
			post("three")
			live := p.event()
			texts = append(texts, values(live)["message"])
			if want := []string{"one", "two", "three"}; !slices.Equal(texts, want) || live.Snapshot {
				t.Errorf("messages are %q, the last one in the snapshot: %v", texts, live.Snapshot)
			}
			if v := values(live); len(v) != len(feed.ChatFields) || v["IP"] != "192.0.2.1" || v["nick"] != "Ann" || v["raw_timestamp"] == "" || v["timestamp"] == "" {
				t.Errorf("the message is %v", v)
			}
		})
	})
}

func TestPortfolioOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s streams
		positions := feed.NewPortfolio(map[string]int{"item1": 10, "item12": 5})
		serve(t, &portfolio{positions, &s}, &s, func(p *proxy) {
			p.subscribe("portfolio1")
			row := func(u ari.Update) string {
				v := values(u)
				return fmt.Sprint(v["command"], " ", v["key"], " ", v["qty"])
			}
			var rows []string
			for _, update := range p.subscribed(2, true) {
				rows = append(rows, row(update))
			}
			for _, trade := range []func() error{
				func() error { return positions.Buy("item3", 7) },
				func() error { return positions.Sell("item1", 4) },
				func() error { return positions.Sell("item12", 5) },
			} {
				if err := trade(); err != nil {
					t.Error(err)
				}
				rows = append(rows, row(p.event()))
			}
			want := []string{"ADD item1 10", "ADD item12 5", "ADD item3 7", "UPDATE item1 6", "DELETE item12 "}
			if !slices.Equal(rows, want) {
				t.Errorf("rows are %q, want %q", rows, want)
			}
		})
	})
}

func TestUnknownItems(t *testing.T) {
	for name, provider := range map[string]func(*streams) adapter.DataProvider{
		quoteAdapter:     func(s *streams) adapter.DataProvider { return &quotes{feed.NewMarket(1, time.Now()), s} },
		chatAdapter:      func(s *streams) adapter.DataProvider { return &chat{new(feed.Chat), s} },
		portfolioAdapter: func(s *streams) adapter.DataProvider { return &portfolio{new(feed.Portfolio), s} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s streams
				serve(t, provider(&s), &s, func(p *proxy) {
					p.subscribe("nothing")
					failure, isError, err := ari.ParseError(ari.ParseMethod([]byte("SUB")), p.next("SUB").Body, ari.V191)
					if err != nil || !isError || failure.Kind != ari.KindSubscription || !strings.Contains(failure.Message.S, `"nothing"`) {
						t.Errorf("the reply is %+v (error: %v, %v), want a subscription error that names the item", failure, isError, err)
					}
				})
			})
		})
	}
}
