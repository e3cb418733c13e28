package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// nothing is a sink that wants nothing, for tests with very many items.
type nothing struct{}

func (nothing) Update(provider.Update)                     {}
func (nothing) EndOfSnapshot()                             {}
func (nothing) ClearSnapshot()                             {}
func (nothing) DeclareFieldDiffOrder([]provider.FieldDiff) {}
func (nothing) Lost(bool)                                  {}

// worker is a remote that reads no more than it has answered, but for what its buffer of 4 KiB
// holds.
type worker struct {
	t  *testing.T
	nc net.Conn
	in *bufio.Reader
}

func newWorker(t *testing.T, ln *memListener, ch ari.Channel) *worker {
	t.Helper()
	nc, err := ln.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	w := &worker{t, nc, bufio.NewReaderSize(nc, 4096)}
	id, _, _ := strings.Cut(w.line(), "|")
	w.say("%s\r\n%s", rac, ari.AppendInitReply(nil, id, ch, ari.Latest))
	return w
}

func (w *worker) line() string {
	line, err := w.in.ReadString('\n')
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimRight(line, "\r\n")
}

func (w *worker) say(format string, args ...any) {
	if _, err := fmt.Fprintf(w.nc, format+"\r\n", args...); err != nil {
		w.t.Fatal(err)
	}
}

// answer reads one request and answers it with V. It returns its method and first argument.
func (w *worker) answer() (method, arg string) {
	parts := strings.SplitN(w.line(), "|", 5)
	w.say("%s|%s|V", parts[0], parts[1])
	return parts[1], parts[3]
}

// TestResubscribesAll: 120,000 items in use come back with a remote that answers at its own pace,
// on one connection.
func TestResubscribesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true}})
		const items = 120_000
		for i := range items {
			d.Subscribe(fmt.Sprint("i", i), fmt.Sprint("owner", i/10), nothing{})
		}
		for life := range int64(2) {
			w := newWorker(t, ln, ari.Data)
			seen := make(map[string]bool, items)
			for n := range items {
				method, item := w.answer()
				if method != "SUB" || seen[item] {
					t.Fatalf("%s of %s, which was seen: %v", method, item, seen[item])
				}
				seen[item] = true
				if n%20 == 0 {
					pass(time.Millisecond)
				}
			}
			synctest.Wait()
			if got := d.Stats(); got.Connections != life+1 || got.TimedOut != 0 || got.Waiting != 0 || got.Requests != (life+1)*items {
				t.Fatalf("%+v", got)
			}
			w.nc.Close()
			synctest.Wait()
		}
		if got := d.Stats().MaybeLost; got != 2*items {
			t.Errorf("%d items told of losses", got)
		}
	})
}

// TestUnansweredAreBounded: what a remote has to answer is no more than it can take, which shows by
// its answers.
func TestUnansweredAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{})
		r := connectData(t, ln)
		for i := range 50_000 {
			d.Subscribe(fmt.Sprint(i), "", nothing{})
		}
		var ids []string
		collect := func() {
			synctest.Wait()
			for len(r.lines) > 0 {
				id, _, _ := strings.Cut(r.next(), "|")
				ids = append(ids, id)
			}
		}
		for _, want := range []int{64, 128, 256, 512, 1024, 2048, 4000, 4000} {
			collect()
			if len(ids) != want {
				t.Fatalf("%d requests are unanswered, want %d", len(ids), want)
			}
			answered := ids
			ids = nil
			for _, id := range answered {
				r.say("%s|SUB|V", id)
			}
		}
	})
}

// TestSlowRemote: a remote that serves one request after the other, in 100 ms each, is not asked
// for more than it can answer in time. One that takes as long for all of them at once is not held
// up for that.
func TestSlowRemote(t *testing.T) {
	const items = 3000
	start := func(t *testing.T) (*proxy.Data, *memListener) {
		d, ln := startData(t, proxy.DataConfig{})
		for i := range items {
			d.Subscribe(fmt.Sprint(i), "", nothing{})
		}
		return d, ln
	}
	check := func(t *testing.T, d *proxy.Data) {
		synctest.Wait()
		if got := d.Stats(); got.TimedOut != 0 || got.Requests != items || got.Waiting != 0 {
			t.Errorf("%+v", got)
		}
	}
	t.Run("one by one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, ln := start(t)
			w := newWorker(t, ln, ari.Data)
			for range items {
				pass(100 * time.Millisecond)
				w.answer()
			}
			check(t, d)
		})
	})
	t.Run("at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, ln := start(t)
			begin := time.Now()
			r := connectData(t, ln)
			for range items {
				id, _, _ := strings.Cut(r.next(), "|")
				time.AfterFunc(7*time.Second, func() { r.say("%s|SUB|V", id) })
			}
			pass(7 * time.Second)
			check(t, d)
			if took := time.Since(begin); took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	})
}

// TestManyNames: 25 subscriptions of 8,000 names by one client do not end the connection, nor hold
// up the one item of another, whether the first client has asked for it, too, or not. What is left
// before it was sent costs the remote nothing.
func TestManyNames(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprint("shared ", shared), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, ln := startData(t, proxy.DataConfig{})
				w := newWorker(t, ln, ari.Data)
				<-d.Ready()
				const names = 25 * 8000
				name := func(i int) string { return fmt.Sprint("name", i) }
				for i := range names {
					d.Subscribe(name(i), "greedy", nothing{})
				}
				wanted := "one"
				if shared {
					wanted = name(names - 1)
				}
				wait := func() (n int) {
					for ; ; n++ {
						if _, item := w.answer(); item == wanted {
							return n
						}
					}
				}
				for range 1000 {
					w.answer()
				}
				synctest.Wait()
				if shared {
					d.Share(wanted, "modest")
				} else {
					d.Subscribe(wanted, "modest", nothing{})
				}
				if n := wait(); n > 4000 {
					t.Errorf("%d requests before the one of another client", n)
				}
				synctest.Wait()
				before := d.Stats()
				for i := range names {
					d.Unsubscribe(name(i))
				}
				synctest.Wait()
				sent := before.Requests - before.Waiting
				usb := 0
				for d.Stats().Waiting > 0 || usb < int(sent)-1 {
					if method, _ := w.answer(); method == "USB" {
						usb++
					} else if usb > 4000 {
						t.Fatal("a SUB that was withdrawn has been sent")
					}
					synctest.Wait()
				}
				if got := d.Stats(); got.Connections != 1 || got.TimedOut != 0 || d.Err() != nil {
					t.Errorf("%+v, %v", got, d.Err())
				}
			})
		})
	}
}

// TestOrderOfAnItem: a SUB never overtakes the USB before it, whoever asks.
func TestOrderOfAnItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{MaxPendingRequests: 1})
		r := connectData(t, ln)
		d.Subscribe("a", "first", nothing{})
		a := r.request("SUB|S|a")
		for i := range 3 {
			d.Subscribe(fmt.Sprint(i), "first", nothing{})
		}
		d.Unsubscribe("a") // waits behind three
		d.Subscribe("a", "second", nothing{})
		d.Unsubscribe("a") // nothing is left of it
		d.Subscribe("a", "third", nothing{})
		d.Share("a", "fourth")
		r.silent()
		r.say("%s|SUB|V", a)
		for i := range 3 {
			r.say("%s|SUB|V", r.request(fmt.Sprintf("SUB|S|%d", i)))
		}
		r.say("%s|USB|V", r.request("USB|S|a"))
		r.say("%s|SUB|V", r.request("SUB|S|a"))
		r.silent()
		if got := d.Stats(); got.Waiting != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestMessagesWhileAdapterPauses: 1,000 messages of 48 KB of one session wait while the remote does
// not read for 4 s. The requests of other sessions do not wait for more than a window of them.
func TestMessagesWhileAdapterPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		w := newWorker(t, ln, ari.Metadata)
		<-m.Ready()
		const messages = 1000
		text := strings.Repeat("x", 48_000)
		done := make(chan error, messages+10)
		for range messages {
			go func() { // ends with the answer
				_, err := m.NotifyMessage(t.Context(), provider.T("u"), "greedy", text)
				done <- err
			}()
		}
		synctest.Wait()
		impatient, cancel := context.WithCancelCause(t.Context())
		gone := background(func() error { _, err := m.NotifyMessage(impatient, provider.T("u"), "impatient", "m"); return err })
		synctest.Wait()
		waiting := m.Stats().Waiting
		cancel(errStop)
		if err := <-gone; !errors.Is(err, errStop) {
			t.Errorf("got %v", err)
		}
		if got := m.Stats().Waiting; waiting < messages*9/10 || got != waiting-1 {
			t.Errorf("%d requests wait, after one has been called off %d", waiting, got)
		}
		pass(4 * time.Second)
		others := []<-chan error{
			background(func() error { _, err := m.NotifyUser(t.Context(), provider.User{}); return err }),
			background(func() error { _, err := m.NotifyMessage(t.Context(), provider.T("u"), "modest", "m"); return err }),
		}
		m.NotifySessionClose("closed")
		synctest.Wait()
		at := map[string]int{}
		for n := range messages + 3 {
			line := w.line()
			parts := strings.SplitN(line, "|", 4)
			answer := "V"
			if parts[1] == "NUS" {
				answer = "D|0|B|0"
			}
			w.say("%s|%s|%s", parts[0], parts[1], answer)
			if len(line) < 1000 {
				at[parts[1]] = n
			}
		}
		for range messages {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		for _, other := range others {
			if err := <-other; err != nil {
				t.Error(err)
			}
		}
		for _, method := range []string{"NUS", "NUM", "NSC"} {
			if n, ok := at[method]; !ok || n > 20 {
				t.Errorf("%s left after %d messages (%v)", method, n, ok)
			}
		}
		if got := m.Stats(); got.Connections != 1 || got.TimedOut != 0 || m.Err() != nil {
			t.Errorf("%+v, %v", got, m.Err())
		}
	})
}

// TestRequestsFailAlone: requests that wait too long fail, and nothing else; NTC and NSC wait on.
func TestRequestsFailAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		w := newWorker(t, ln, ari.Metadata)
		<-m.Ready()
		text := strings.Repeat("x", 48_000)
		var calls []<-chan error
		for range 100 {
			calls = append(calls, background(func() error {
				_, err := m.NotifyMessage(t.Context(), provider.T("u"), "S", text)
				return err
			}))
		}
		synctest.Wait()
		m.NotifyTablesClose("S", []provider.Table{table})
		m.NotifySessionClose("S")
		for _, call := range calls {
			asError(t, <-call, provider.Unavailable)
		}
		pass(time.Minute)
		for method := ""; method != "NTC"; {
			method, _ = w.answer()
		}
		if method, _ := w.answer(); method != "NSC" {
			t.Errorf("%s after NTC", method)
		}
		synctest.Wait()
		// Of NTC and NSC there may have been room for, which then have no answer in time either.
		if got := m.Stats(); got.TimedOut < 100 || got.Waiting != 0 || m.Err() != nil {
			t.Errorf("%+v, %v", got, m.Err())
		}
	})
}
