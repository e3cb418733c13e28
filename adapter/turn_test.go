package adapter_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// isolation is how long a callback may hold up what comes after it.
const isolation = time.Millisecond

// A callback that takes its time holds up what comes after it for a moment only.
func TestSlowCallbackIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		start(t, dataServer(t, p, adapter.DataProviderFunc(func(ctx context.Context, sub *adapter.Subscription) error {
			if sub.Item() == "slow" {
				<-ctx.Done()
			}
			return nil
		})))
		c := p.acceptData()
		begun := time.Now()
		c.say("2|SUB|S|slow", "3|SUB|S|quick")
		c.expect("EOS|S|quick|S|3", "3|SUB|V")
		if d := time.Since(begun); d > isolation {
			t.Errorf("the second item was served after %v, want %v at the most", d, isolation)
		}
		// Once one is known to be slow, nothing waits at all.
		begun = time.Now()
		c.say("4|SUB|S|other")
		c.expect("EOS|S|other|S|4", "4|SUB|V")
		if d := time.Since(begun); d > 0 {
			t.Errorf("the third item was served after %v", d)
		}
	})
}

// Callbacks that wait for something do it at the same time.
func TestSlowCallbacksRunTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		start(t, metadataServer(t, p, slowMetadata{}))
		c := p.acceptMetadata()
		begun := time.Now()
		const requests = 200
		want := make([]string, 0, requests)
		for i := range requests {
			c.say(fmt.Sprintf("%d|GIS|S|user|S|item|S|S1", i+2))
			want = append(want, fmt.Sprintf("%d|GIS|S|item", i+2))
		}
		c.expectSet(want...)
		// One after the other they would take two seconds. Workers double every half millisecond.
		if d := time.Since(begun); d > 30*time.Millisecond {
			t.Errorf("%d callbacks of 10 ms took %v", requests, d)
		}
	})
}

type slowMetadata struct{ adapter.DefaultMetadata }

func (m slowMetadata) Items(ctx context.Context, r adapter.ItemsRequest) ([]string, error) {
	time.Sleep(10 * time.Millisecond) //nolint:forbidigo // virtual
	return m.DefaultMetadata.Items(ctx, r)
}

// flood asks for so many groups in one go, more than one read takes, and returns the replies to all but those named special. name says what
// the group of a number is called; special ones begin with an asterisk.
func flood(c *peer, requests int, name func(i int) string) (replies []string) {
	lines := make([]string, requests)
	padding := strings.Repeat("x", 100)
	for i := range requests {
		lines[i] = fmt.Sprintf("%d|GIS|S|%s|S|%s|S|S1", i+2, padding, name(i))
		if !strings.HasPrefix(name(i), "*") {
			replies = append(replies, fmt.Sprintf("%d|GIS|S|%s", i+2, name(i)))
		}
	}
	c.say(lines...)
	return replies
}

// floodedMetadata has special groups.
type floodedMetadata struct {
	adapter.DefaultMetadata
	special map[string]func(ctx context.Context)
}

func (m floodedMetadata) Items(ctx context.Context, r adapter.ItemsRequest) ([]string, error) {
	if f := m.special[r.Group]; f != nil {
		f(ctx)
	}
	return m.DefaultMetadata.Items(ctx, r)
}

// What the proxy sends faster than one goroutine takes it is shared with another: a callback among the last requests runs while one among the first does.
func TestFloodIsShared(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		late := make(chan struct{})
		start(t, metadataServer(t, p, floodedMetadata{special: map[string]func(context.Context){
			"*early": func(context.Context) { <-late },
			"*late":  func(context.Context) { close(late) },
		}}))
		c := p.acceptMetadata()
		begun := time.Now()
		replies := flood(c, 300, func(i int) string {
			switch i {
			case 0:
				return "*early"
			case 200:
				return "*late"
			}
			return "item"
		})
		c.expectSet(append(replies, "2|GIS|S|*early", "202|GIS|S|*late")...)
		if d := time.Since(begun); d != 0 {
			t.Errorf("it took %v: the first callback had to be taken the turn", d)
		}
	})
}

// Callbacks that are too short to cost the turn, but not short, run at the same time after a while; and none of the replies waits for all of the flood.
func TestFloodOfCallbacksThatTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		start(t, metadataServer(t, p, floodedMetadata{special: map[string]func(context.Context){
			"item": func(context.Context) { time.Sleep(400 * time.Microsecond) }, //nolint:forbidigo // virtual
		}}))
		c := p.acceptMetadata()
		begun := time.Now()
		const requests = 400
		replies := flood(c, requests, func(int) string { return "item" })
		first := c.next()
		if d := time.Since(begun); d > 2*isolation {
			t.Errorf("the first reply came after %v", d)
		}
		c.expectSet(slices.DeleteFunc(replies, func(l string) bool { return l == first })...)
		// One after the other they would take 160 ms.
		if d := time.Since(begun); d > 20*time.Millisecond {
			t.Errorf("all of them took %v", d)
		}
	})
}

// Replies of a flood leave together, but do not wait for callbacks that take their time, nor for ones that never answer.
func TestFloodWithCallbacksThatDoNotReturn(t *testing.T) {
	for name, special := range map[string]func(context.Context){
		"hangs":              func(ctx context.Context) { <-ctx.Done() },
		"ends its goroutine": func(context.Context) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProxy(t)
				s := metadataServer(t, p, floodedMetadata{special: map[string]func(context.Context){"*": special}})
				r := start(t, s)
				c := p.acceptMetadata()
				for range 3 {
					begun := time.Now()
					c.expectSet(flood(c, 700, func(i int) string {
						if i == 50 || i == 350 || i == 699 {
							return "*"
						}
						return "item"
					})...)
					if d := time.Since(begun); d > 3*isolation {
						t.Errorf("three callbacks held up the others for %v", d)
					}
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
				if n := s.Stats().Requests; n != 3*700 {
					t.Errorf("%d requests counted, want %d", n, 3*700)
				}
			})
		})
	}
}

var errHook = errors.New("refused")

// A callback that ends its goroutine, as t.FailNow does, takes neither the connection nor a later stop with it.
func TestGoexitInCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t)
		s := dataServer(t, p, adapter.DataProviderFunc(func(ctx context.Context, sub *adapter.Subscription) error {
			switch sub.Item() {
			case "slow":
				<-ctx.Done()
			case "exit":
				runtime.Goexit()
			case "refused":
				return errHook
			}
			return nil
		}))
		s.Events = &adapter.Events{Request: func(r adapter.RequestInfo) {
			if errors.Is(r.Err, errHook) {
				runtime.Goexit()
			}
		}}
		r := start(t, s)
		c := p.acceptData()
		c.say("2|SUB|S|exit", "3|SUB|S|a") // on the goroutine that reads
		c.expect("EOS|S|a|S|3", "3|SUB|V")
		c.say("8|SUB|S|refused", "9|SUB|S|d") // in a hook
		c.expect("8|SUB|E|refused", "EOS|S|d|S|9", "9|SUB|V")
		c.say("4|SUB|S|slow", "5|SUB|S|b")
		c.expect("EOS|S|b|S|5", "5|SUB|V")
		c.say("6|SUB|S|exit", "7|SUB|S|c") // on a worker
		c.expect("EOS|S|c|S|7", "7|SUB|V")
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// Whatever is written in place, in part or not at all because the proxy does not read, arrives whole and in order.
func TestWritesInPlace(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const updates = 500
	start(t, &adapter.DataServer{
		Addr: l.Addr().String(), Logger: testLogger(t),
		Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
			go func() {
				row := sub.Row(adapter.NewSchema("n", "text"))
				for n := range updates {
					// Small ones alone, and large ones that no socket takes at once.
					text := strings.Repeat("x", n%7*40_000)
					if row.Update(strconv.Itoa(n), text) != nil {
						return // the test has failed
					}
				}
			}()
			return nil
		}),
	})
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 1<<20)
	line := func() string {
		text, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	line()
	fmt.Fprint(conn, "1|DPI|S|ARI.version|S|1.9.1\r\n")
	line()
	fmt.Fprint(conn, "2|SUB|S|i\r\n")
	for n := 0; n < updates; {
		text := line()
		_, fields, ok := strings.Cut(text, "|UD3|S|i|S|2|B|0|S|n|S|")
		if !ok { // the reply, the end of the snapshot, a keepalive
			continue
		}
		number, value, _ := strings.Cut(fields, "|S|text|S|")
		want := n % 7 * 40_000
		if value = strings.TrimSuffix(value, "\r\n"); value == "$" {
			value = ""
		}
		if number != strconv.Itoa(n) || len(value) != want {
			t.Fatalf("got update %s with %d characters, want %d with %d", number, len(value), n, want)
		}
		n++
	}
}

// Updates written in place put keepalives off, but do not end them.
func TestKeepaliveAfterWritesInPlace(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start(t, &adapter.DataServer{
		Addr: l.Addr().String(), Logger: testLogger(t), Keepalive: 20 * time.Millisecond,
		Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
			return sub.Update(adapter.Fields{"f": "x"})
		}),
	})
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, say := range []string{"1|DPI|S|ARI.version|S|1.9.1\r\n", "2|SUB|S|i\r\n", "3|USB|S|i\r\n", ""} {
		fmt.Fprint(conn, say)
		for range 3 {
			for line := ""; line != "KEEPALIVE\r\n"; {
				if line, err = in.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
