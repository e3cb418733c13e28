package proxy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

var _ provider.Data = (*proxy.Data)(nil)

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{})
		r := connectData(t, ln)
		s := &sink{t: t}
		d.Subscribe("item|1", "", s)
		id := r.request("SUB|S|item%7C1")
		for _, tt := range []struct{ line, want string }{
			// Before the reply, which comes after the first.
			{"1|UD3|S|item%7C1|S|ID|B|1|S|a|S|1|S|b|S|#|S|c|S|$", "snap a=1 b=NULL c="},
			{"ID|SUB|V", ""},
			{"1|EOS|S|item%7C1|S|ID", "EOS"},
			{"1|UD3|S|item%7C1|S|ID|B|0|S|a%7C|S|x y%0D%0A€", "live a|=x y\r\n€"},
			{"1|UD3|S|item%7C1|S|ID|B|0", "live"},
			{"1|UD3|S|item%7C1|S|ID|B|0|", "live"},
			{"0|UD3|S|item%7C1|S|ID|B|0|I|0|S|f1|S|v|I|1|S|#|S|#|I|2|S|f3|S|w", "live f1=v f3=w"},
			{"1|CLS|S|item%7C1|S|ID", "CLS"},
			{"1|DFD|S|item%7C1|S|ID|S|a|F|JM|S|b|F|$|S|c|F|#", "DFD a=JM b="},
			{"1|UD3|S|another|S|ID|B|0|S|a|S|1", "live a=1"}, // the id counts
			{"1|UD3|S|item%7C1|S|nobody|B|0|S|a|S|1", ""},
			{"1|UD3|S|item%7C1|S|ID|B|2|S|a|S|1", ""}, // malformed
			{"1|UD3|S|item%7C1|S|ID", ""},
			{"1|EOS|S", ""},
			{"1|XYZ|S|item%7C1|S|ID|B|0|S|a|S|1", ""},
			{"9|FST|S|S1|V", ""}, // not on this channel
			{"9|NUS|D|0|B|0", ""},
			{"gibberish", ""},
		} {
			r.say("%s", strings.ReplaceAll(tt.line, "ID", id))
			s.expect(tt.want)
		}
		r.silent()
		d.Unsubscribe("item|1")
		s.ended.Store(true)
		r.request("USB|S|item%7C1")
		r.say("1|UD3|S|item%%7C1|S|%s|B|0|S|late|S|1", id)
		s.expect("")
		st := d.Stats()
		if st.Notifications != 9 || st.Ignored != 2 || st.Requests != 2 || st.Malformed < 6 {
			t.Errorf("%+v", st)
		}
	})
}

// TestOldEncoding has what only remotes of 1.8.x send.
func TestOldEncoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{})
		r := connect(t, ln).init(ari.Data, ari.V183)
		s := &sink{t: t}
		synctest.Wait()
		d.Subscribe("item one", "", s)
		id := r.request("SUB|S|item+one")
		r.say("1|UD3|S|item+one|S|%s|B|0|S|t|S|10%%3A15+h|S|bytes|Y|Y2Fm6Xwr", id)
		s.expect("live t=10:15 h bytes=café|+")
		r.say("1|DFD|S|item+one|S|%s|S|a|F|J", id) // exists from 1.9.0 on
		s.expect("")
	})
}

// TestFailedSubscription: what comes for it is dropped, its USB is sent all the same.
func TestFailedSubscription(t *testing.T) {
	for _, answer := range []string{"SUB|EU|no such item", "SUB|E|#", "SUB|B|1", "USB|V"} {
		synctest.Test(t, func(t *testing.T) {
			d, ln := startData(t, proxy.DataConfig{})
			r := connectData(t, ln)
			s := &sink{t: t}
			d.Subscribe("i", "", s)
			id := r.request("SUB|S|i")
			r.say("1|UD3|S|i|S|%s|B|0|S|a|S|1", id)
			r.say("%s|%s", id, answer)
			r.say("1|UD3|S|i|S|%s|B|0|S|a|S|2", id)
			s.expect("live a=1")
			d.Unsubscribe("i")
			r.say("%s|USB|V", r.request("USB|S|i"))
			d.Subscribe("i", "", s)
			second := r.request("SUB|S|i")
			r.say("1|UD3|S|i|S|%s|B|0|S|a|S|3\r\n1|UD3|S|i|S|%s|B|0|S|a|S|4", id, second)
			s.expect("live a=4")
		})
	}
}

func TestSubscriptionTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := newLog()
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Logger: log}})
		r := connectData(t, ln)
		s := &sink{t: t}
		d.Subscribe("i", "", s)
		id := r.request("SUB|S|i")
		pass(9999 * time.Millisecond)
		if n := d.Stats().TimedOut; n != 0 {
			t.Fatalf("%d timed out too early", n)
		}
		pass(time.Millisecond)
		synctest.Wait()
		if n := d.Stats().TimedOut; n != 1 || !strings.Contains(text.String(), "no answer in time") {
			t.Fatalf("%d timed out\n%s", n, text)
		}
		r.say("%s|SUB|V\r\n1|UD3|S|i|S|%s|B|0|S|a|S|1", id, id)
		s.expect("")
		if st := d.Stats(); st.LateReplies != 1 || st.Ignored != 1 {
			t.Errorf("%+v", st)
		}
		// Another's time-out is its own.
		d.Subscribe("j", "", s)
		r.say("%s|SUB|V", r.request("SUB|S|j"))
		pass(time.Minute)
		synctest.Wait()
		if n := d.Stats().TimedOut; n != 1 {
			t.Errorf("%d timed out", n)
		}
	})
}

// TestTimeoutsOneByOne: each request has its own time.
func TestTimeoutsOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Timeout: 5 * time.Second}})
		r := connectData(t, ln)
		for i := range 4 {
			d.Subscribe(fmt.Sprint(i), "", &sink{t: t})
			id := r.request(fmt.Sprintf("SUB|S|%d", i))
			if i == 2 {
				r.say("%s|SUB|V", id)
			}
			pass(time.Second)
		}
		for i, want := range []int64{0, 1, 2, 2, 3} {
			synctest.Wait()
			if n := d.Stats().TimedOut; n != want {
				t.Errorf("%d s after the last: %d timed out, want %d", i+1, n, want)
			}
			pass(time.Second)
		}
	})
}

// slowSink holds up the first event until it is let go.
type slowSink struct {
	sink
	entered, leave chan struct{}
}

func (s *slowSink) Update(u provider.Update) {
	close(s.entered)
	<-s.leave
	s.sink.Update(u)
}

func (s *slowSink) ClearSnapshot() {
	close(s.entered)
	<-s.leave
	s.sink.ClearSnapshot()
}

// TestUnsubscribeWaits: for the event being delivered, after which there is none. Not in a bubble, whose clock would stand
// still while a lock is waited for.
func TestUnsubscribeWaits(t *testing.T) {
	d, ln := startData(t, proxy.DataConfig{})
	r := connect(t, ln).init(ari.Data, ari.Latest)
	<-d.Ready()
	s := &slowSink{sink{t: t}, make(chan struct{}), make(chan struct{})}
	d.Subscribe("i", "", s)
	id := r.request("SUB|S|i")
	r.say("1|UD3|S|i|S|%s|B|0|S|a|S|1\r\n1|UD3|S|i|S|%s|B|0|S|a|S|2", id, id)
	<-s.entered
	left := background(func() error { d.Unsubscribe("i"); s.ended.Store(true); return nil })
	r.request("USB|S|i") // sent all the same
	select {
	case <-left:
		t.Error("Unsubscribe has returned while an event is being delivered")
	case <-time.After(20 * time.Millisecond): // a wrong Unsubscribe returns by then, or is found out by the sink
	}
	close(s.leave)
	<-left
	d.Close()
	if len(s.list) != 1 || s.list[0] != "live a=1" {
		t.Errorf("the item got %v", s.list)
	}
}

// TestUnsubscribeDuringLoss: an item left while the others are told of the loss is not told any more.
func TestUnsubscribeDuringLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true}, EventsRecovery: proxy.EnforceSnapshot})
		r := connectData(t, ln)
		first := &slowSink{sink{t: t}, make(chan struct{}), make(chan struct{})}
		second := &sink{t: t}
		d.Subscribe("1", "", first)
		d.Subscribe("2", "", second)
		r.nc.Close()
		<-first.entered
		d.Unsubscribe("2")
		second.ended.Store(true)
		close(first.leave)
		first.expect("LOST before CLS, CLS")
		second.expect("")
	})
}

func TestRepliesInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{MaxPendingRequests: 100})
		r := connectData(t, ln)
		var ids []string
		seen := map[string]bool{}
		for i := range 60 {
			d.Subscribe(fmt.Sprint(i), "", &sink{t: t})
			id := r.request(fmt.Sprintf("SUB|S|%d", i))
			if seen[id] {
				t.Fatalf("id %s twice", id)
			}
			seen[id] = true
			ids = append(ids, id)
		}
		for i := len(ids) - 1; i >= 0; i-- {
			r.say("%s|SUB|V\r\n%s|SUB|V", ids[i], ids[i]) // twice: the second is late
		}
		pass(time.Minute)
		if st := d.Stats(); st.TimedOut != 0 || st.LateReplies != 60 {
			t.Errorf("%+v", st)
		}
	})
}

func TestKeepaliveTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{KeepaliveTimeout: 5 * time.Second}})
		r := connect(t, ln)
		pass(9 * time.Second) // before the init reply Timeout is the limit
		r.init(ari.Data, ari.Latest)
		for range 1000 {
			pass(4999 * time.Millisecond)
			r.say(ari.KeepaliveLine)
		}
		begin := time.Now()
		r.expect("0|CLOSE|S|reason|S|keepalive+timeout")
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("closed after %v", took)
		}
		r.gone()
		<-d.Done()
		if !errors.Is(d.Err(), proxy.ErrLost) {
			t.Errorf("Err = %v", d.Err())
		}
	})
}

// TestBasicEnds: the life of a basic proxy is that of its remote.
func TestBasicEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(r *remote)
		want error
	}{
		"loss":      {func(r *remote) { r.nc.Close() }, proxy.ErrLost},
		"FAL":       {func(r *remote) { r.say("1|FAL|E|feed lost") }, proxy.ErrFailure},
		"FAL, null": {func(r *remote) { r.say("1|FAL|E|#") }, proxy.ErrFailure},
		"EF to SUB": {func(r *remote) { r.say("%s|SUB|EF|broken", r.request("SUB|S|i")) }, proxy.ErrFailure},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, ln := startData(t, proxy.DataConfig{})
				r := connectData(t, ln)
				if _, err := ln.dial(); err == nil {
					t.Error("a basic proxy with a remote still listens")
				}
				if err := d.WaitReady(t.Context(), 0); err != nil {
					t.Error(err)
				}
				s := &sink{t: t}
				d.Subscribe("i", "", s)
				tt.end(r)
				<-d.Done()
				if !errors.Is(d.Err(), tt.want) {
					t.Errorf("Err = %v, want %v", d.Err(), tt.want)
				}
				d.Subscribe("j", "", s)
				d.Unsubscribe("i")
				d.Unsubscribe("j")
				d.Unsubscribe("k")
				s.expect("")
			})
		})
	}
}

// TestRecovery has a row for each way to pick up the items in use.
func TestRecovery(t *testing.T) {
	tests := []struct {
		mode              proxy.EventsRecovery
		atLoss, snap, eos string // snap: of what the new remote's snapshot becomes
	}{
		{proxy.LeaveHole, "LOST", "", ""},
		{proxy.UseSnapshot, "LOST", "snap a=2", "EOS"},
		{proxy.EnforceSnapshot, "LOST before CLS, CLS", "live a=2", ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true}, EventsRecovery: tt.mode})
				early, s, half, gone := &sink{t: t}, &sink{t: t}, &sink{t: t}, &sink{t: t}
				d.Subscribe("early", "", early)
				early.expect("EOS") // no remote: an empty snapshot
				r := connectData(t, ln)
				first := r.request("SUB|S|early")
				r.say("1|UD3|S|early|S|%s|B|1|S|a|S|2", first)
				r.say("1|EOS|S|early|S|%s", first)
				early.expect(strings.Trim(tt.snap+", "+tt.eos, ", "))

				d.Subscribe("s", "", s)
				d.Subscribe("half", "", half)
				d.Subscribe("gone", "", gone)
				id := r.request("SUB|S|s")
				halfID := r.request("SUB|S|half")
				r.request("SUB|S|gone")
				r.say("1|UD3|S|s|S|%s|B|1|S|a|S|1\r\n1|EOS|S|s|S|%s\r\n1|UD3|S|half|S|%s|B|1|S|k|S|1", id, id, halfID)
				s.expect("snap a=1, EOS")
				half.expect("snap k=1")

				r.nc.Close()
				early.take()
				s.expect(tt.atLoss)
				half.expect(tt.atLoss)
				gone.expect(tt.atLoss)
				if got := d.Stats().MaybeLost; got != 4 {
					t.Errorf("%d items were told of the loss, want 4", got)
				}
				d.Unsubscribe("gone")
				gone.ended.Store(true)
				late := &sink{t: t}
				d.Subscribe("new", "", late)
				late.expect("EOS")

				r = connectData(t, ln)
				r.request("SUB|S|early")
				again := r.request("SUB|S|s")
				halfID = r.request("SUB|S|half")
				newID := r.request("SUB|S|new")
				if again == id {
					t.Errorf("the id %s is used again", id)
				}
				r.say("1|UD3|S|s|S|%s|B|0|S|old|S|1", id) // of the lost connection
				r.say("1|UD3|S|s|S|%s|B|1|S|a|S|2\r\n1|EOS|S|s|S|%s\r\n1|UD3|S|s|S|%s|B|0|S|a|S|3", again, again, again)
				s.expect(strings.Trim(strings.ReplaceAll(tt.snap+", "+tt.eos+", live a=3", ", , ", ", "), ", "))
				r.say("1|UD3|S|new|S|%s|B|1|S|a|S|2", newID)
				late.expect(tt.snap)
				// A snapshot that the lost remote had not completed is not a hole.
				r.say("1|UD3|S|half|S|%s|B|1|S|a|S|2\r\n1|EOS|S|half|S|%s\r\n1|CLS|S|half|S|%s", halfID, halfID, halfID)
				want := "snap a=2, EOS, CLS"
				if tt.mode == proxy.EnforceSnapshot {
					want = "live a=2, CLS"
				}
				half.expect(want)

				d.Unsubscribe("s")
				r.request("USB|S|s")
				r.silent()
				fresh := &sink{t: t}
				d.Subscribe("s", "", fresh)
				id = r.request("SUB|S|s")
				r.say("1|UD3|S|s|S|%s|B|1|S|a|S|9\r\n1|EOS|S|s|S|%s", id, id)
				fresh.expect("snap a=9, EOS")
			})
		})
	}
}

// TestRobustDetach: a failure declared by the adapter detaches the remote, and another may come.
func TestRobustDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true, ConnectionRecovery: -1}})
		for _, line := range []string{"1|FAL|E|x", "ID|SUB|EF|x", "ID|USB|EF|x"} {
			r := connectData(t, ln)
			d.Subscribe("i", "", &sink{t: t})
			id := r.request("SUB|S|i")
			d.Unsubscribe("i")
			if usb := r.request("USB|S|i"); strings.Contains(line, "USB") {
				id = usb
			}
			r.say("%s", strings.ReplaceAll(line, "ID", id))
			r.expect("0|CLOSE|S|reason|S|the+adapter+has+failed")
			r.gone()
			synctest.Wait()
		}
		if d.Stats().Connections != 3 || d.Err() != nil {
			t.Errorf("%+v %v", d.Stats(), d.Err())
		}
	})
}

func TestStatusItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{Config: proxy.Config{Robust: true}, StatusItem: "status"})
		s := &sink{t: t}
		d.Subscribe("status", "", s)
		s.expect("snap status=connecting, EOS")
		r := connectData(t, ln)
		s.expect("live status=connected")
		r.silent() // the item is not the remote's
		r.nc.Close()
		s.expect("live status=reconnecting")
		connectData(t, ln)
		s.expect("live status=connected")
		d.Unsubscribe("status")
		s.ended.Store(true)
		again := &sink{t: t}
		d.Subscribe("status", "", again)
		again.expect("snap status=connected, EOS")
	})
}

func TestStatusItemOfBasic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{StatusItem: "status"})
		r := connectData(t, ln)
		d.Subscribe("status", "", &sink{t: t})
		r.request("SUB|S|status")
	})
}

// TestSubscribedTwice: an error of the kernel does not become one on the wire.
func TestSubscribedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := startData(t, proxy.DataConfig{})
		r := connectData(t, ln)
		d.Subscribe("i", "", &sink{t: t})
		d.Subscribe("i", "", &sink{t: t})
		r.request("SUB|S|i")
		r.request("USB|S|i")
		r.request("SUB|S|i")
		d.Unsubscribe("i")
		d.Unsubscribe("i")
		r.request("USB|S|i")
		r.silent()
	})
}
